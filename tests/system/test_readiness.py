"""What systemd hears from `station run`: ready once it decides, then the watchdog fed by the deciding thread."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from tests.system.stations import PATIENCE_S, AgentProcess, write_settings


def test_the_agent_says_when_it_is_ready_and_feeds_the_watchdog(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(PATIENCE_S)
        agent = AgentProcess(write_settings(tmp_path), {"NOTIFY_SOCKET": str(address)})
        try:
            assert systemd.recv(100) == b"READY=1"
            began_at = time.monotonic()
            fed = [systemd.recv(100) for _ in range(4)]
            assert set(fed) == {b"WATCHDOG=1"}
            assert time.monotonic() - began_at < 10, "WatchdogSec is 15: three feedings have to fit"
            agent.process.terminate()
            heard = b""
            while heard != b"STOPPING=1":
                heard = systemd.recv(100)
        finally:
            agent.kill()
