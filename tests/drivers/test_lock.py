from __future__ import annotations

import errno
import subprocess
import sys

import pytest

import drivers.lock
from drivers.errors import DeviceError, PinError
from drivers.lock import LockRelay, make_safe
from drivers.pins import GpiodFactory
from tests.drivers.fake_gpiod import FakeGpiod

HEAVY = ("agent", "numpy", "cv2", "dlib", "face_recognition", "pydantic", "paho", "sqlite_utils", "asyncio", "typer")


def test_the_lock_driver_imports_nothing_heavy() -> None:
    program = f"import sys, drivers.lock; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_lock_that_a_dead_process_left_with_current_is_made_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeGpiod()
    monkeypatch.setattr(drivers.lock, "open_pins", lambda chip: GpiodFactory(chip, gpiod=fake))
    make_safe(17, active_high=True)
    assert fake.lines[17].driven[0] is False
    assert set(fake.lines[17].driven) == {False}
    assert fake.lines[17].request is None
    assert not fake.chips[0].is_open


def test_a_machine_without_pins_cannot_make_its_lock_safe_and_says_so() -> None:
    with pytest.raises(PinError, match="/dev/no-gpiochip cannot be opened"):
        make_safe(17, active_high=True, chip="/dev/no-gpiochip")


def test_a_lock_on_a_chip_that_went_away_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeGpiod()
    with GpiodFactory(gpiod=fake) as pins:
        lock = LockRelay(17, active_high=True, pin_factory=pins)
        fake.is_gone = True
        for order in (lock.energise, lock.deenergise, lambda: lock.is_energised):
            with pytest.raises(DeviceError, match=r"lock relay on line 17.*No such device.*check the wiring") as caught:
                order()
            assert isinstance(caught.value.__cause__, OSError)
            assert caught.value.__cause__.errno == errno.ENODEV
        with pytest.raises(DeviceError, match="No such device"):
            lock.close()
        assert fake.lines[17].request is None
