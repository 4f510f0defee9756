from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from drivers import indicator as module
from drivers.errors import DeviceError, PinError
from drivers.indicator import PATTERNS, LightAndBuzzer, Pattern, Step
from drivers.pins import GpiodFactory
from tests.drivers.fake_gpiod import FakeGpiod
from tests.drivers.waiting import eventually

LIGHT, BUZZER = 20, 21


@pytest.fixture
def fake() -> FakeGpiod:
    return FakeGpiod()


@pytest.fixture
def pins(fake: FakeGpiod) -> Iterator[GpiodFactory]:
    with GpiodFactory(gpiod=fake) as factory:
        yield factory


@pytest.fixture
def short_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lasts and one that does not, in hundredths of a second."""
    table = {
        "off": PATTERNS["off"],
        "lasting": Pattern((Step(0.01, light=True), Step(0.01)), lasts=True),
        "momentary": Pattern((Step(0.01, light=True, sound=True), Step(0.01)), lasts=False),
    }
    monkeypatch.setattr(module, "PATTERNS", table)


def rises(levels: list[bool]) -> int:
    return sum(after and not before for before, after in pairwise(levels))


def test_the_table_has_the_patterns_that_the_rules_order() -> None:
    assert set(PATTERNS) == {
        "granted", "refused", "look_here", "look_left", "look_right", "called", "close_the_door",
        "door_open_too_long", "alarm", "ready", "fault", "off",
    }  # fmt: skip
    momentary = {"granted", "refused", "look_here", "look_left", "look_right", "called"}
    assert {name for name, pattern in PATTERNS.items() if not pattern.lasts} == momentary
    assert all(step.seconds > 0 for pattern in PATTERNS.values() for step in pattern.steps)


def test_only_what_concerns_the_rider_sounds() -> None:
    sounding = {name for name, pattern in PATTERNS.items() if any(step.sound for step in pattern.steps)}
    to_the_rider = {"granted", "refused", "look_left", "look_right", "called"}
    assert sounding == {*to_the_rider, "close_the_door", "door_open_too_long", "alarm"}


def test_granted_and_refused_differ_in_their_sound() -> None:
    def tones(name: str) -> int:
        return rises([False, *(step.sound for step in PATTERNS[name].steps)])

    assert (tones("granted"), tones("refused")) == (1, 3)


def test_which_way_to_look_can_be_told_by_the_tone_and_by_the_light_alone() -> None:
    for part in ("sound", "light"):
        shown = {
            name: [step.seconds for step in PATTERNS[name].steps if getattr(step, part)]
            for name in ("look_left", "look_right", "granted", "refused", "look_here")
        }
        assert len(shown["look_left"]) == 1
        assert len(shown["look_right"]) == 2
        assert shown["look_left"][0] > 2 * max(shown["look_right"])
        assert shown["look_left"][0] > sum(shown["granted"]) + 0.4 or part == "light"
        assert len(shown["refused"]) == 3
    assert PATTERNS["look_left"].steps[0].seconds < 1.0  # told while there is time to turn


def test_light_and_buzzer_begin_dark_and_silent_without_a_blip(fake: FakeGpiod, pins: GpiodFactory) -> None:
    shown = LightAndBuzzer(LIGHT, BUZZER, light_active_high=False, pin_factory=pins)
    shown.close()
    assert set(fake.lines[LIGHT].driven) == {True}
    assert set(fake.lines[BUZZER].driven) == {False}


@pytest.mark.usefixtures("short_patterns")
def test_a_pattern_that_lasts_goes_on_after_a_momentary_one(fake: FakeGpiod, pins: GpiodFactory) -> None:
    shown = LightAndBuzzer(LIGHT, BUZZER, pin_factory=pins)
    shown.show("lasting")
    assert eventually(lambda: rises(fake.lines[LIGHT].driven) >= 2)
    shown.show("momentary")
    assert eventually(lambda: rises(fake.lines[BUZZER].driven) == 1)
    so_far = rises(fake.lines[LIGHT].driven)
    assert eventually(lambda: rises(fake.lines[LIGHT].driven) >= so_far + 3)
    assert rises(fake.lines[BUZZER].driven) == 1
    shown.close()
    assert fake.lines[LIGHT].driven[-1] is False


@pytest.mark.usefixtures("short_patterns")
def test_a_lasting_pattern_that_is_overtaken_at_once_is_not_forgotten(fake: FakeGpiod, pins: GpiodFactory) -> None:
    shown = LightAndBuzzer(LIGHT, BUZZER, pin_factory=pins)
    shown.show("lasting")
    shown.show("momentary")
    assert eventually(lambda: rises(fake.lines[BUZZER].driven) == 1)
    assert eventually(lambda: rises(fake.lines[LIGHT].driven) >= 4)
    shown.close()


def test_a_steady_light_stays_on_until_close(fake: FakeGpiod, pins: GpiodFactory) -> None:
    shown = LightAndBuzzer(LIGHT, pin_factory=pins)
    shown.show("ready")
    assert eventually(lambda: fake.lines[LIGHT].driven[-1] is True)
    shown.close()
    assert fake.lines[LIGHT].driven[-1] is False


def test_close_interrupts_a_long_step(fake: FakeGpiod, pins: GpiodFactory) -> None:
    shown = LightAndBuzzer(LIGHT, BUZZER, pin_factory=pins)
    shown.show("granted")
    assert eventually(lambda: fake.lines[LIGHT].driven[-1] is True)
    began = time.monotonic()
    shown.close()
    assert time.monotonic() - began < 1.0
    assert (fake.lines[LIGHT].request, fake.lines[BUZZER].request) == (None, None)


def test_a_buzzer_that_cannot_be_had_gives_the_light_back(fake: FakeGpiod, pins: GpiodFactory) -> None:
    fake.lines[BUZZER].consumer = "another"
    with pytest.raises(PinError, match=r"buzzer on line 21.*'another'"):
        LightAndBuzzer(LIGHT, BUZZER, pin_factory=pins)
    assert fake.lines[LIGHT].request is None


@pytest.mark.usefixtures("short_patterns")
def test_a_pin_that_cannot_be_written_is_reported_once_and_its_recovery_too(
    fake: FakeGpiod, pins: GpiodFactory
) -> None:
    told: list[str] = []
    shown = LightAndBuzzer(
        LIGHT,
        pin_factory=pins,
        on_failed=lambda at, reason: told.append(f"{at} {reason}"),
        on_recovered=lambda at: told.append(f"{at} recovered"),
        clock=lambda: 7.0,
    )
    shown.show("lasting")
    fake.is_gone = True
    assert eventually(lambda: len(told) == 1)
    time.sleep(0.05)  # several steps more
    assert len(told) == 1
    assert told[0].startswith("7.0 indicator: ")
    fake.is_gone = False
    assert eventually(lambda: told[1:] == ["7.0 recovered"])
    fake.is_gone = True
    with pytest.raises(DeviceError, match="No such device"):
        shown.close()
    assert fake.lines[LIGHT].request is None


def test_a_thread_that_dies_of_a_mistake_says_so(
    fake: FakeGpiod, pins: GpiodFactory, caplog: pytest.LogCaptureFixture
) -> None:
    died: list[tuple[str, str]] = []

    def fail(_at: float, _reason: str) -> None:
        raise RuntimeError("a mistake in the receiver")

    with caplog.at_level(logging.CRITICAL):
        shown = LightAndBuzzer(
            LIGHT, pin_factory=pins, on_failed=fail, on_died=lambda worker, reason: died.append((worker, reason))
        )
        fake.is_gone = True
        shown.show("ready")
        assert eventually(lambda: bool(died))
    fake.is_gone = False
    shown.close()
    assert died == [("indicator", "RuntimeError: a mistake in the receiver")]
    assert not any(thread.name == "indicator" for thread in threading.enumerate())
