from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping

import pytest

from drivers import bus as module
from drivers.bus import READ_LIMIT_S, BusPoller, PolledDevice
from drivers.errors import DeviceError
from drivers.simulated.meter import SimulatedMeter
from tests.drivers.waiting import eventually


class Told:
    """Everything a poller says, in order, as one list."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, object]] = []

    def poller(
        self,
        devices: Mapping[str, PolledDevice],
        *,
        interval_s: float | Mapping[str, float] = 0.01,
        read_limit_s: float = READ_LIMIT_S,
    ) -> BusPoller:
        return BusPoller(
            "rs485",
            devices,
            interval_s=interval_s,
            on_read=lambda at, device, values: self.all.append(("read", device, dict(values))),
            on_failed=lambda at, device, reason: self.all.append(("failed", device, reason)),
            on_recovered=lambda at, device: self.all.append(("recovered", device, at)),
            on_died=lambda bus, reason: self.all.append(("died", bus, reason)),
            read_limit_s=read_limit_s,
            clock=lambda: 42.0,
        )

    def count(self, what: str, device: str) -> int:
        return sum(entry[:2] == (what, device) for entry in self.all)


class Answering:
    """A device made of one function."""

    def __init__(self, answer: Callable[[], Mapping[str, float]]) -> None:
        self._answer = answer

    def read(self) -> Mapping[str, float]:
        return self._answer()


@pytest.fixture
def told() -> Told:
    return Told()


def test_every_device_is_read_again_and_again_on_one_thread(told: Told) -> None:
    threads: set[str] = set()

    def answer() -> Mapping[str, float]:
        threads.add(threading.current_thread().name)
        return {"power_w": 5.0}

    poller = told.poller({"kettle": Answering(answer), "microwave": SimulatedMeter(power_w=1150.0)})
    poller.start()
    assert eventually(lambda: min(told.count("read", "kettle"), told.count("read", "microwave")) >= 3)
    assert poller.stop()
    assert threads == {"bus-rs485"}
    assert told.all[0] == ("read", "kettle", {"power_w": 5.0})
    values = next(values for what, name, values in told.all if name == "microwave")
    assert isinstance(values, dict)
    assert values["power_w"] == 1150.0


def test_a_device_that_fails_is_reported_once_and_its_recovery_before_its_next_reading(told: Told) -> None:
    meter = SimulatedMeter()
    meter.fail("no answer from address 3: check its power")
    poller = told.poller({"meter": meter})
    poller.start()
    assert eventually(lambda: told.count("failed", "meter") == 1)
    time.sleep(0.1)  # several tries more
    meter.recover()
    assert eventually(lambda: told.count("read", "meter") >= 1)
    assert poller.stop()
    assert told.all[:2] == [
        ("failed", "meter", "no answer from address 3: check its power"),
        ("recovered", "meter", 42.0),
    ]
    assert [what for what, _, _ in told.all[2:]] == ["read"] * len(told.all[2:])


def test_a_dead_device_does_not_hold_up_the_others(told: Told) -> None:
    def time_out() -> Mapping[str, float]:
        time.sleep(0.03)
        raise DeviceError("no answer: check its power")

    tries = 0

    def count_and_time_out() -> Mapping[str, float]:
        nonlocal tries
        tries += 1
        return time_out()

    poller = told.poller({"dead": Answering(count_and_time_out), "alive": SimulatedMeter()})
    poller.start()
    assert eventually(lambda: told.count("read", "alive") >= 30)
    assert poller.stop()
    assert tries < 15  # about as often as the other without pauses; 15 would take minutes with them


def test_a_device_that_answers_too_late_counts_as_failed(told: Told) -> None:
    def answer() -> Mapping[str, float]:
        time.sleep(0.05)
        return {"power_w": 1.0}

    poller = told.poller({"slow": Answering(answer)}, read_limit_s=0.01)
    poller.start()
    assert eventually(lambda: told.count("failed", "slow") == 1)
    assert poller.stop()
    assert "at most 0.01 s: check the wiring" in str(told.all[0][2])
    assert told.count("read", "slow") == 0


@pytest.mark.parametrize("nonsense", [math.nan, math.inf])
def test_nonsense_is_not_passed_on(told: Told, nonsense: float) -> None:
    poller = told.poller({"meter": Answering(lambda: {"power_w": nonsense, "voltage_v": 220.0})})
    poller.start()
    assert eventually(lambda: bool(told.all))
    assert poller.stop()
    assert told.all == [("failed", "meter", "power_w is not a number: check the device and its type in the settings")]


def test_a_driver_with_a_mistake_does_not_take_the_bus_with_it(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    def stumble() -> Mapping[str, float]:
        raise KeyError("register 12")

    poller = told.poller({"odd": Answering(stumble), "good": SimulatedMeter()})
    with caplog.at_level(logging.CRITICAL):
        poller.start()
        assert eventually(lambda: told.count("read", "good") >= 2)
        assert poller.stop()
    assert told.count("failed", "odd") == 1
    assert told.count("died", "rs485") == 0


def test_a_hanging_read_is_named_and_stop_does_not_wait_for_it(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    is_let_go = threading.Event()

    def hang() -> Mapping[str, float]:
        is_let_go.wait(30.0)
        return {"power_w": 1.0}

    poller = told.poller({"stuck": Answering(hang)}, read_limit_s=0.02)
    assert poller.hanging() is None
    poller.start()
    assert eventually(lambda: poller.hanging() == "stuck")
    with caplog.at_level(logging.CRITICAL):
        assert poller.stop(join_s=0.05) is False
    is_let_go.set()
    assert poller.stop() is True
    assert told.all == []  # nothing is said after stop


def test_a_receiver_that_fails_ends_the_bus_and_says_so(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    died: list[tuple[str, str]] = []

    def fail(_at: float, _device: str, _values: object) -> None:
        raise RuntimeError("a mistake in the receiver")

    poller = BusPoller(
        "rs485",
        {"meter": SimulatedMeter()},
        interval_s=0.01,
        on_read=fail,
        on_failed=lambda _at, _device, _reason: None,
        on_recovered=lambda _at, _device: None,
        on_died=lambda bus, reason: died.append((bus, reason)),
    )
    with caplog.at_level(logging.CRITICAL):
        poller.start()
        assert eventually(lambda: bool(died))
    assert poller.stop()
    assert died == [("rs485", "RuntimeError: a mistake in the receiver")]


def test_stop_does_not_wait_for_the_next_turn(told: Told) -> None:
    poller = told.poller({"meter": SimulatedMeter()}, interval_s=3600.0)
    poller.start()
    assert eventually(lambda: told.count("read", "meter") == 1)
    began = time.monotonic()
    assert poller.stop()
    assert time.monotonic() - began < 1.0


def test_a_bus_without_devices_and_one_that_never_began_can_be_stopped(told: Told) -> None:
    empty = told.poller({})
    empty.start()
    assert empty.stop()
    assert told.poller({"meter": SimulatedMeter()}).stop()


@pytest.mark.parametrize("interval_s", [0.0, -1.0, math.nan, {"meter": 0.0}, {"other": 1.0}])
def test_an_interval_that_is_none_is_refused(told: Told, interval_s: float | Mapping[str, float]) -> None:
    with pytest.raises(ValueError, match=r"cannot poll meter on rs485 every .* give more than 0"):
        told.poller({"meter": SimulatedMeter()}, interval_s=interval_s)


def test_each_device_is_asked_at_its_own_pace(told: Told) -> None:
    devices = {"quick": SimulatedMeter(), "slow": SimulatedMeter(), "once": SimulatedMeter()}
    poller = told.poller(devices, interval_s={"quick": 0.01, "slow": 0.1, "once": 3600.0})
    poller.start()
    assert eventually(lambda: told.count("read", "slow") >= 4)
    assert poller.stop()
    assert told.count("read", "once") == 1
    assert told.count("read", "quick") > 2 * told.count("read", "slow")


def test_pauses_after_failures_grow_to_a_bound() -> None:
    turn = module._Turn(SimulatedMeter(), interval_s=1.0, due=0.0)
    pauses = []
    for turn.failures in (0, 1, 2, 5, 6, 10_000):
        pauses.append(turn.pause_s())
    assert pauses == [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]
    slow = module._Turn(SimulatedMeter(), interval_s=300.0, due=0.0, failures=3)
    assert slow.pause_s() == 300.0  # never more often than it was meant to be
