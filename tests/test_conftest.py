"""The net under the tests has no hole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).with_name("conftest.py")

LEAKS = """
import threading

def test_that_leaks():
    threading.Thread(target=threading.Event().wait, args=(5.0,), name="forgotten", daemon=True).start()

def test_that_does_not():
    thread = threading.Thread(target=print)
    thread.start()
    thread.join()
"""


def test_a_test_that_leaves_a_thread_behind_fails_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text().replace("_ENDING_S = 3.0", "_ENDING_S = 0.1"))
    (tmp_path / "test_leaks.py").write_text(LEAKS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "threads left behind: forgotten" in done.stdout
    assert "2 passed, 1 error" in done.stdout
