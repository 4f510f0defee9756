"""Real readers as the agent opens them: on mock pins, and on a USB device that is not there."""

from __future__ import annotations

import queue
import time
from pathlib import Path
from unittest.mock import patch

import pytest
from gpiozero.pins.mock import MockFactory

from agent import hardware
from agent.clock import SystemClock
from agent.events import CallButtonPressed, CardRead, DeviceFailed, Event, ExitButtonPressed, PersonCounted
from agent.settings import settings_from
from tests.drivers.typed import card_bits, times

WAIT_S = 10.0


def test_readers_are_opened_by_their_settings_and_one_that_is_not_there_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = MockFactory()
    monkeypatch.setattr(hardware, "open_pins", lambda _chip: factory)
    settings = settings_from(
        {
            "station": {"id": "t-1"},
            "lock": {"pin": 17},
            "contact": {"fitted": False},
            "exit_button": {"fitted": False},
            "readers": {
                "gate": {"driver": "wiegand", "d0_pin": 5, "d1_pin": 6},
                "usb": {"driver": "hid", "device": "/dev/input/by-id/none"},
            },
        },
        tmp_path,
    )
    posted: queue.Queue[Event] = queue.Queue()
    with hardware.open_hardware(settings, SystemClock(), posted.put):
        failed = posted.get(timeout=WAIT_S)
        assert isinstance(failed, DeviceFailed)
        assert failed.device == "readers.usb"
        for at, bit in times(card_bits(4711), time.monotonic(), 0.0005):
            with patch("gpiozero.pins.mock.monotonic", return_value=at):
                factory.pin(5 + bit).drive_low()
                factory.pin(5 + bit).drive_high()
        read = posted.get(timeout=WAIT_S)
        assert isinstance(read, CardRead)
        assert (read.reader, read.number) == ("gate", "4711")


def test_both_buttons_and_the_counter_are_opened_by_their_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = MockFactory()
    monkeypatch.setattr(hardware, "open_pins", lambda _chip: factory)
    settings = settings_from(
        {
            "station": {"id": "t-1"},
            "lock": {"pin": 17},
            "contact": {"fitted": False},
            "exit_button": {"pin": 22},
            "call_button": {"fitted": True, "pin": 26, "pressed_when": "high"},
            "counter": {"fitted": True, "outer_pin": 18, "inner_pin": 19},
        },
        tmp_path,
    )
    posted: queue.Queue[Event] = queue.Queue()
    with hardware.open_hardware(settings, SystemClock(), posted.put):
        factory.pin(22).drive_low()
        assert isinstance(posted.get(timeout=WAIT_S), ExitButtonPressed)
        factory.pin(26).drive_low()  # let go
        factory.pin(26).drive_high()
        assert isinstance(posted.get(timeout=WAIT_S), CallButtonPressed)
        for pin, is_interrupted in ((18, False), (19, False), (18, True), (19, True), (18, False), (19, False)):
            time.sleep(0.02)  # longer than a glitch
            factory.pin(pin).drive_high() if is_interrupted else factory.pin(pin).drive_low()
        counted = posted.get(timeout=WAIT_S)
        assert isinstance(counted, PersonCounted)
        assert counted.is_entering
