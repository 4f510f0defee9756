"""Contact, button, motion and signal where they differ from their twins: polarity, pulls, a chip that goes away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gpiod.line import Bias

from drivers.button import PushButton
from drivers.contact import DoorContact
from drivers.motion import MotionSensor
from drivers.pins import GpiodFactory
from drivers.signal import SignalContact
from tests.drivers.fake_gpiod import FakeGpiod
from tests.drivers.waiting import eventually


@pytest.fixture
def fake() -> FakeGpiod:
    return FakeGpiod()


@pytest.fixture
def pins(fake: FakeGpiod) -> Iterator[GpiodFactory]:
    with GpiodFactory(gpiod=fake) as factory:
        yield factory


def test_a_cut_wire_reads_as_an_open_door(fake: FakeGpiod, pins: GpiodFactory) -> None:
    contact = DoorContact(4, lambda _at, _is_open: None, pin_factory=pins)
    fake.wire(4, False)
    assert contact.is_open is False
    fake.wire(4, None)
    assert contact.is_open is True
    contact.close()


def test_a_contact_that_is_made_while_the_door_is_open_can_be_told(fake: FakeGpiod, pins: GpiodFactory) -> None:
    seen: list[bool | None] = []
    contact = DoorContact(
        4, lambda _at, is_open: seen.append(is_open), open_is_high=False, pull="none", pin_factory=pins
    )
    assert fake.lines[4].settings.bias is Bias.DISABLED
    assert contact.is_open is True
    fake.wire(4, True)
    assert eventually(lambda: seen == [False])
    assert contact.is_open is False
    contact.close()


def test_a_contact_on_a_chip_that_went_away_is_neither_open_nor_shut(fake: FakeGpiod, pins: GpiodFactory) -> None:
    seen: list[bool | None] = []
    contact = DoorContact(4, lambda _at, is_open: seen.append(is_open), pin_factory=pins)
    fake.unplug()
    assert eventually(lambda: seen == [None])
    assert contact.is_open is None
    contact.close()


def test_a_button_to_the_supply_can_be_told(fake: FakeGpiod, pins: GpiodFactory) -> None:
    pressed: list[float] = []
    button = PushButton("call button", 4, pressed.append, pressed_is_high=True, pull="down", pin_factory=pins)
    assert button.is_pressed is False
    fake.wire(4, True)
    fake.wire(4, False)
    assert eventually(lambda: len(pressed) == 1)
    button.close()


def test_a_button_and_a_sensor_that_cannot_be_read_any_more_say_so_once(fake: FakeGpiod, pins: GpiodFactory) -> None:
    reasons: list[str] = []
    events: list[object] = []
    button = PushButton(
        "exit button", 4, events.append, on_failed=lambda _at, reason: reasons.append(reason), pin_factory=pins
    )
    sensor = MotionSensor(
        5,
        lambda _at, is_moving: events.append(is_moving),
        on_failed=lambda _at, reason: reasons.append(reason),
        pin_factory=pins,
    )
    fake.unplug()
    assert eventually(lambda: len(reasons) == 2)
    button.close()
    sensor.close()
    assert sorted(reasons) == [
        "the exit button cannot be read: check the GPIO chip, then restart",
        "the motion sensor cannot be read: check the GPIO chip, then restart",
    ]
    assert events == []


def test_a_sensor_that_pulls_low_can_be_told(fake: FakeGpiod, pins: GpiodFactory) -> None:
    seen: list[bool] = []
    sensor = MotionSensor(
        4, lambda _at, is_moving: seen.append(is_moving), moving_is_high=False, pull="up", pin_factory=pins
    )
    assert sensor.is_moving is False
    fake.wire(4, False)
    assert eventually(lambda: seen == [True])
    sensor.close()


def test_a_cut_wire_of_the_fire_alarm_reads_as_fire(fake: FakeGpiod, pins: GpiodFactory) -> None:
    signal = SignalContact("fire contact", 4, lambda _at, _is_active: None, pin_factory=pins)
    fake.wire(4, False)
    assert signal.is_active is False
    fake.wire(4, None)
    assert signal.is_active is True
    signal.close()


def test_a_signal_that_is_made_when_it_is_active_can_be_told(fake: FakeGpiod, pins: GpiodFactory) -> None:
    seen: list[bool | None] = []
    signal = SignalContact(
        "bolt contact", 4, lambda _at, is_active: seen.append(is_active), active_is_high=False, pin_factory=pins
    )
    fake.wire(4, False)
    assert eventually(lambda: seen == [True])
    signal.close()


def test_a_signal_on_a_chip_that_went_away_says_so(fake: FakeGpiod, pins: GpiodFactory) -> None:
    seen: list[bool | None] = []
    failures: list[str] = []
    signal = SignalContact(
        "fire contact",
        4,
        lambda _at, is_active: seen.append(is_active),
        on_failed=lambda _at, reason: failures.append(reason),
        pin_factory=pins,
    )
    fake.unplug()
    assert eventually(lambda: seen == [None])
    assert failures == ["the fire contact cannot be read: check the GPIO chip, then restart"]
    assert signal.is_active is None
    signal.close()
