"""What every lock, contact, button, motion sensor, signal and indicator promises, whatever it is made of."""

from __future__ import annotations

import time

import pytest

from drivers.errors import DeviceClosedError, UnknownPatternError
from drivers.indicator import PATTERNS
from tests.contracts.rigs import Rig
from tests.drivers.waiting import eventually

BUTTONS = ["exit button", "call button"]
AHEAD_S = 86_400.0  # a station whose time was skipped by a day


def station_time() -> float:
    return time.monotonic() + AHEAD_S


@pytest.fixture(params=[True, False], ids=["active_high", "active_low"])
def active_high(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# --- lock ------------------------------------------------------------------------------------------------------------


def test_a_lock_begins_without_current(rig: Rig, active_high: bool) -> None:
    lock = rig.lock(active_high=active_high)
    assert lock.is_energised is False
    assert rig.relay_has_current(active_high=active_high) is False


def test_a_lock_follows_its_orders(rig: Rig, active_high: bool) -> None:
    lock = rig.lock(active_high=active_high)
    for order, has_current in [(lock.energise, True), (lock.deenergise, False)] * 2:
        order()
        order()  # the same order again changes nothing
        assert lock.is_energised is has_current
        assert rig.relay_has_current(active_high=active_high) is has_current


def test_a_closed_lock_has_no_current_and_takes_no_orders(rig: Rig, active_high: bool) -> None:
    lock = rig.lock(active_high=active_high)
    lock.energise()
    assert rig.relay_has_current(active_high=active_high) is True
    lock.close()
    lock.close()
    assert rig.relay_has_current(active_high=active_high) is False
    for order in (lock.energise, lock.deenergise, lambda: lock.is_energised):
        with pytest.raises(DeviceClosedError, match="closed: give no orders"):
            order()
    assert rig.relay_has_current(active_high=active_high) is False


# --- contact ---------------------------------------------------------------------------------------------------------


def test_a_contact_tells_how_the_door_stands_before_it_moves(rig: Rig) -> None:
    contact = rig.contact(lambda _at, _is_open: None, station_time)
    assert contact.is_open is False
    rig.move_door(is_open=True)
    assert contact.is_open is True


def test_a_contact_reports_each_move_with_its_station_time(rig: Rig) -> None:
    seen: list[tuple[float, bool | None]] = []
    rig.contact(lambda at, is_open: seen.append((at, is_open)), station_time)
    seen.clear()  # what settling the wire made
    began = station_time()
    for is_open in (True, False, True):
        rig.move_door(is_open=is_open)
    assert eventually(lambda: len(seen) == 3)
    assert [is_open for _at, is_open in seen] == [True, False, True]
    times = [at for at, _is_open in seen]
    assert times == sorted(times)
    assert began - 0.001 <= times[0] <= times[-1] <= station_time() + 0.001


def test_a_contact_that_is_closed_reports_nothing(rig: Rig) -> None:
    seen: list[bool | None] = []
    contact = rig.contact(lambda _at, is_open: seen.append(is_open), station_time)
    contact.close()
    contact.close()
    seen.clear()
    rig.move_door(is_open=True)
    assert seen == []
    with pytest.raises(DeviceClosedError, match="closed: read nothing"):
        _ = contact.is_open


# --- button ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", BUTTONS)
def test_a_button_reports_presses_and_not_releases(rig: Rig, what: str) -> None:
    pressed: list[float] = []
    button = rig.button(what, pressed.append, station_time)
    assert button.is_pressed is False
    began = station_time()
    for is_down in (True, False, True):
        rig.push_button(is_down=is_down)
        assert button.is_pressed is is_down
    assert eventually(lambda: len(pressed) == 2)
    assert began - 0.001 <= pressed[0] <= pressed[1] <= station_time() + 0.001


@pytest.mark.parametrize("what", BUTTONS)
def test_a_button_that_is_closed_reports_nothing(rig: Rig, what: str) -> None:
    pressed: list[float] = []
    button = rig.button(what, pressed.append, station_time)
    button.close()
    button.close()
    rig.push_button(is_down=True)
    assert pressed == []
    with pytest.raises(DeviceClosedError, match=f"{what} .*closed: read nothing"):
        _ = button.is_pressed


# --- motion ----------------------------------------------------------------------------------------------------------


def test_a_motion_sensor_reports_beginning_and_end(rig: Rig) -> None:
    seen: list[tuple[float, bool]] = []
    sensor = rig.motion(lambda at, is_moving: seen.append((at, is_moving)), station_time)
    assert sensor.is_moving is False
    began = station_time()
    rig.move_about(is_moving=True)
    assert sensor.is_moving is True
    rig.move_about(is_moving=False)
    assert eventually(lambda: len(seen) == 2)
    assert [is_moving for _at, is_moving in seen] == [True, False]
    assert began - 0.001 <= seen[0][0] <= seen[1][0] <= station_time() + 0.001


def test_a_motion_sensor_that_is_closed_reports_nothing(rig: Rig) -> None:
    seen: list[bool] = []
    sensor = rig.motion(lambda _at, is_moving: seen.append(is_moving), station_time)
    sensor.close()
    sensor.close()
    rig.move_about(is_moving=True)
    assert seen == []
    with pytest.raises(DeviceClosedError, match="closed: read nothing"):
        _ = sensor.is_moving


# --- signal ----------------------------------------------------------------------------------------------------------


def test_a_signal_tells_what_it_says_before_it_changes(rig: Rig) -> None:
    signal = rig.signal(lambda _at, _is_active: None, station_time)
    assert signal.is_active is False
    rig.say(is_active=True)
    assert signal.is_active is True


def test_a_signal_reports_beginning_and_end_with_its_station_time(rig: Rig) -> None:
    seen: list[tuple[float, bool | None]] = []
    rig.signal(lambda at, is_active: seen.append((at, is_active)), station_time)
    seen.clear()  # what settling the wire made
    began = station_time()
    for is_active in (True, False, True):
        rig.say(is_active=is_active)
    assert eventually(lambda: len(seen) == 3)
    assert [is_active for _at, is_active in seen] == [True, False, True]
    assert began - 0.001 <= seen[0][0] <= seen[-1][0] <= station_time() + 0.001


def test_a_signal_that_is_closed_reports_nothing(rig: Rig) -> None:
    seen: list[bool | None] = []
    signal = rig.signal(lambda _at, is_active: seen.append(is_active), station_time)
    signal.close()
    signal.close()
    seen.clear()
    rig.say(is_active=True)
    assert seen == []
    with pytest.raises(DeviceClosedError, match="closed: read nothing"):
        _ = signal.is_active


# --- indicator -------------------------------------------------------------------------------------------------------


def test_an_indicator_shows_every_pattern_without_keeping_its_caller_waiting(rig: Rig) -> None:
    indicator = rig.indicator()
    began = time.monotonic()
    for pattern in PATTERNS:
        indicator.show(pattern)
    # Playing them takes four times as long.
    assert time.monotonic() - began < 2.0


def test_an_indicator_refuses_a_pattern_it_does_not_have(rig: Rig) -> None:
    with pytest.raises(UnknownPatternError, match=r"no indication is called 'blink': use one of granted, .*off"):
        rig.indicator().show("blink")


def test_an_indicator_that_is_closed_shows_nothing(rig: Rig) -> None:
    indicator = rig.indicator()
    indicator.show("alarm")
    indicator.close()
    indicator.close()
    with pytest.raises(DeviceClosedError, match="closed: show nothing"):
        indicator.show("ready")
