from __future__ import annotations

import errno
import inspect
import logging
import threading
import time
from collections.abc import Iterator

import gpiod
import pytest
from gpiod.line import Bias, Direction
from gpiozero.exc import PinFixedPull, PinInvalidFunction, PinInvalidPull, PinSetInput

from drivers.edges import EdgeInput
from drivers.errors import DeviceError, PinError
from drivers.lock import LockRelay
from drivers.pins import CONSUMER, GpiodFactory, open_pins
from tests.drivers import fake_gpiod
from tests.drivers.fake_gpiod import FakeGpiod
from tests.drivers.waiting import eventually


@pytest.fixture
def fake() -> FakeGpiod:
    return FakeGpiod()


@pytest.fixture
def pins(fake: FakeGpiod) -> Iterator[GpiodFactory]:
    with GpiodFactory(gpiod=fake) as factory:
        yield factory


@pytest.mark.parametrize(
    ("real", "faked"),
    [
        (gpiod.Chip.request_lines, fake_gpiod.Chip.request_lines),
        (gpiod.LineRequest.get_value, fake_gpiod.LineRequest.get_value),
        (gpiod.LineRequest.set_value, fake_gpiod.LineRequest.set_value),
        (gpiod.LineRequest.reconfigure_lines, fake_gpiod.LineRequest.reconfigure_lines),
        (gpiod.LineRequest.read_edge_events, fake_gpiod.LineRequest.read_edge_events),
        (gpiod.LineRequest.release, fake_gpiod.LineRequest.release),
    ],
)
def test_the_fake_takes_the_arguments_of_the_real_module(real: object, faked: object) -> None:
    wanted, given = (inspect.signature(function).parameters for function in (real, faked))  # type: ignore[arg-type]
    assert [(p.name, p.default) for p in wanted.values()] == [(p.name, p.default) for p in given.values()]


@pytest.mark.parametrize("level", [True, False])
def test_an_output_has_its_first_value_from_its_first_moment(fake: FakeGpiod, pins: GpiodFactory, level: bool) -> None:
    pins.pin(17).output_with_state(level)
    assert fake.lines[17].driven == [level]
    assert fake.lines[17].consumer == CONSUMER


def test_an_active_low_relay_never_blips(fake: FakeGpiod, pins: GpiodFactory) -> None:
    lock = LockRelay(17, active_high=False, pin_factory=pins)
    assert fake.lines[17].driven == [True]
    lock.energise()
    lock.deenergise()
    lock.close()
    assert set(fake.lines[17].driven[3:]) == {True}
    assert fake.lines[17].driven[:3] == [True, False, True]


def test_making_a_pin_leaves_its_line_alone(fake: FakeGpiod, pins: GpiodFactory) -> None:
    pins.pin(17)
    assert fake.lines[17].request is None
    assert pins.pin("GPIO17") is pins.pin(17)


def test_an_output_without_a_first_value_is_refused(pins: GpiodFactory) -> None:
    with pytest.raises(PinInvalidFunction, match="output_with_state"):
        pins.pin(17).function = "output"


def test_an_input_that_becomes_an_output_has_its_first_value_too(fake: FakeGpiod, pins: GpiodFactory) -> None:
    pin = pins.pin(17)
    pin.input_with_pull("up")
    pin.output_with_state(True)
    assert fake.lines[17].driven == [True]
    assert pin.function == "output"
    pin.function = "input"
    assert fake.lines[17].settings.direction is Direction.INPUT


@pytest.mark.parametrize(
    ("pull", "bias"), [("up", Bias.PULL_UP), ("down", Bias.PULL_DOWN), ("floating", Bias.DISABLED)]
)
def test_an_input_is_pulled_as_asked(fake: FakeGpiod, pins: GpiodFactory, pull: str, bias: Bias) -> None:
    pins.pin(4).input_with_pull(pull)
    assert fake.lines[4].settings.bias is bias
    assert pins.pin(4).pull == pull


def test_nonsense_is_refused_with_what_would_be_right(pins: GpiodFactory) -> None:
    with pytest.raises(PinInvalidPull, match="up, down or floating"):
        pins.pin(4).input_with_pull("sideways")
    with pytest.raises(PinInvalidFunction, match="input or output"):
        pins.pin(4).function = "alt0"
    pins.pin(4).input_with_pull("up")
    with pytest.raises(PinSetInput):
        pins.pin(4).state = True
    pins.pin(5).output_with_state(False)
    with pytest.raises(PinFixedPull):
        pins.pin(5).pull = "up"


def test_a_line_that_another_program_holds_is_named_with_that_program(fake: FakeGpiod, pins: GpiodFactory) -> None:
    fake.lines[17].consumer = "other-daemon"
    with pytest.raises(PinError, match=r"lock relay.*line 17 .*in use by 'other-daemon'.*stop that program"):
        LockRelay(17, active_high=True, pin_factory=pins)


def test_a_line_that_two_devices_want_is_refused_to_the_second(pins: GpiodFactory) -> None:
    first = LockRelay(17, active_high=True, pin_factory=pins)
    with pytest.raises(PinError, match=r"lock relay on line 17.*in use"):
        LockRelay(17, active_high=True, pin_factory=pins)
    first.close()
    LockRelay(17, active_high=True, pin_factory=pins).close()


def test_a_line_that_the_chip_does_not_have_is_refused_with_those_it_has(pins: GpiodFactory) -> None:
    with pytest.raises(PinError, match="no line 99, only 0 to 53"):
        LockRelay(99, active_high=True, pin_factory=pins)


def test_a_chip_that_is_not_there_is_refused_with_the_remedy(fake: FakeGpiod) -> None:
    fake.refusal = FileNotFoundError(errno.ENOENT, "No such file or directory")
    with pytest.raises(PinError, match=r"/dev/gpiochip7 cannot be opened \(No such file.*simulated") as caught:
        GpiodFactory("/dev/gpiochip7", gpiod=fake)
    assert "\n" not in str(caught.value)


def test_a_chip_without_permission_is_refused_with_the_remedy(fake: FakeGpiod) -> None:
    fake.refusal = PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(PinError, match="group gpio"):
        GpiodFactory(gpiod=fake)


def test_the_real_module_refuses_a_file_that_is_no_chip(tmp_path: object) -> None:
    with pytest.raises(PinError, match="cannot be opened"):
        open_pins(f"{tmp_path}/gpiochip0")


def test_closing_the_factory_releases_every_line(fake: FakeGpiod) -> None:
    pins = GpiodFactory(gpiod=fake)
    pins.pin(1).output_with_state(True)
    pins.pin(2).input_with_pull("up")
    pins.close()
    pins.close()
    assert [line.request for line in fake.lines] == [None] * len(fake.lines)
    assert not fake.chips[0].is_open


# --- edges -----------------------------------------------------------------------------------------------------------


def _watch(pins: GpiodFactory, seen: list[tuple[float, bool | None]], station_ahead_s: float = 0.0) -> EdgeInput:
    return EdgeInput(
        "contact",
        4,
        pull="up",
        on_edge=lambda at, is_high: seen.append((at, is_high)),
        pin_factory=pins,
        clock=lambda: time.monotonic() + station_ahead_s,
    )


def test_an_edge_carries_the_time_the_kernel_gave_it(fake: FakeGpiod, pins: GpiodFactory) -> None:
    seen: list[tuple[float, bool | None]] = []
    contact = _watch(pins, seen, station_ahead_s=3600.0)
    happened = time.monotonic() - 5.0  # the process was busy: the edge is handed over late
    fake.wire(4, False, at=happened)
    assert eventually(lambda: bool(seen))
    assert seen[0][0] == pytest.approx(happened + 3600.0, abs=0.05)
    assert seen[0][1] is False
    contact.close()


@pytest.mark.parametrize("stamp", [-1.8e9, 1.8e9])
def test_an_edge_stamped_with_another_clock_counts_as_just_arrived(
    fake: FakeGpiod, pins: GpiodFactory, stamp: float
) -> None:
    seen: list[tuple[float, bool | None]] = []
    contact = _watch(pins, seen)
    before = time.monotonic()
    fake.wire(4, False, at=stamp)
    assert eventually(lambda: bool(seen))
    assert before <= seen[0][0] <= time.monotonic()
    contact.close()


def test_every_bounce_arrives_in_order(fake: FakeGpiod, pins: GpiodFactory) -> None:
    seen: list[tuple[float, bool | None]] = []
    contact = _watch(pins, seen)
    for bounce in range(21):
        fake.wire(4, bounce % 2 == 1)
    assert eventually(lambda: len(seen) == 21)
    assert [is_high for _at, is_high in seen] == [bounce % 2 == 1 for bounce in range(21)]
    contact.close()


def test_a_burst_beyond_the_buffer_keeps_the_newest_edge(fake: FakeGpiod, pins: GpiodFactory) -> None:
    seen: list[bool | None] = []
    is_free = threading.Event()

    def receive(_at: float, is_high: bool | None) -> None:
        is_free.wait(10.0)
        seen.append(is_high)

    contact = EdgeInput("contact", 4, pull="up", on_edge=receive, pin_factory=pins)
    for bounce in range(1001):
        fake.wire(4, bounce % 2 == 1)
    is_free.set()
    assert eventually(lambda: seen[-1:] == [False] and len(seen) > 1)
    assert len(seen) < 1001
    contact.close()


def test_a_chip_that_goes_away_is_reported_once_and_ends_the_thread(fake: FakeGpiod, pins: GpiodFactory) -> None:
    seen: list[tuple[float, bool | None]] = []
    contact = _watch(pins, seen)
    fake.unplug()
    assert eventually(lambda: not any(t.name.startswith("edges-") for t in threading.enumerate()))
    assert [is_high for _at, is_high in seen] == [None]
    with pytest.raises(DeviceError, match=r"contact on line 4.*No such device.*check the wiring"):
        _ = contact.is_high
    contact.close()


def test_a_receiver_that_fails_loses_one_edge_and_not_the_next(
    fake: FakeGpiod, pins: GpiodFactory, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[bool | None] = []

    def receive(_at: float, is_high: bool | None) -> None:
        seen.append(is_high)
        if len(seen) == 1:
            raise RuntimeError("a mistake in the receiver")

    contact = EdgeInput("contact", 4, pull="up", on_edge=receive, pin_factory=pins)
    with caplog.at_level(logging.ERROR):
        fake.wire(4, False)
        assert eventually(lambda: len(seen) == 1)
        fake.wire(4, True)
        assert eventually(lambda: len(seen) == 2)
    assert "a mistake in the receiver" in caplog.text
    contact.close()


def test_a_receiver_may_close_its_own_input(fake: FakeGpiod, pins: GpiodFactory) -> None:
    contact = EdgeInput("contact", 4, pull="up", on_edge=lambda _at, _high: contact.close(), pin_factory=pins)
    fake.wire(4, False)
    assert eventually(lambda: fake.lines[4].request is None)


def test_nothing_is_reported_after_close(fake: FakeGpiod, pins: GpiodFactory) -> None:
    seen: list[tuple[float, bool | None]] = []
    contact = _watch(pins, seen)
    contact.close()
    contact.close()
    fake.wire(4, False)
    assert seen == []
    assert not any(t.name.startswith("edges-") for t in threading.enumerate())
