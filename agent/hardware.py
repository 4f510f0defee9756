"""Opens the station's drivers, or their simulated twins, and turns what they report into events.

Beside the vision child the only place that knows drivers. A device that cannot be opened is reported as failed and the
rest works without it; the lock is tried again with every order, for it is what the station is about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from gpiozero import Factory

from agent.clock import Clock
from agent.door_settings import ButtonSettings, ReaderSettings
from agent.effects import ShowIndication, SwitchAppliance
from agent.events import (
    CallButtonPressed,
    CardRead,
    DeviceFailed,
    DeviceRecovered,
    DoorContactChanged,
    Event,
    ExitButtonPressed,
    KeyPressed,
    MotionChanged,
    PersonCounted,
    SignalChanged,
    WorkerFailed,
)
from agent.sensor_hardware import RealSensors, SensorHardware
from agent.sensor_twins import SimulatedSensorHardware, SimulatedSensors
from agent.settings import Settings
from drivers.beam import BeamPair
from drivers.button import PushButton
from drivers.contact import Contact, DoorContact
from drivers.errors import DriverError
from drivers.hid_reader import HidReader
from drivers.indicator import Indicator, LightAndBuzzer
from drivers.lock import Lock, LockRelay
from drivers.motion import MotionSensor
from drivers.pins import open_pins
from drivers.signal import Signal, SignalContact
from drivers.simulated.beam import SimulatedBeams
from drivers.simulated.button import SimulatedPushButton
from drivers.simulated.camera import Stage
from drivers.simulated.contact import SimulatedDoorContact
from drivers.simulated.door import SimulatedDoor
from drivers.simulated.indicator import SimulatedIndicator
from drivers.simulated.lock import SimulatedLockRelay
from drivers.simulated.motion import SimulatedMotionSensor
from drivers.simulated.reader import SimulatedReader
from drivers.simulated.signal import SimulatedSignal
from drivers.wiegand import WiegandReader

log = logging.getLogger(__name__)

Post = Callable[[Event], None]
Opened = TypeVar("Opened")


@dataclass(slots=True)
class SimulatedParts:
    """The handles of the simulated twins: what a hand would do at a real door. `signals`: contacts, too."""

    door: SimulatedDoor
    exit_button: SimulatedPushButton
    call_button: SimulatedPushButton
    counter: SimulatedBeams
    motion: SimulatedMotionSensor
    indicator: SimulatedIndicator
    stage: Stage
    sensors: SimulatedSensors = field(default_factory=SimulatedSensors)
    signals: Mapping[str, SimulatedSignal] = field(default_factory=dict)
    readers: Mapping[str, SimulatedReader] = field(default_factory=dict)


def signals_of(settings: Settings) -> dict[str, tuple[int | None, bool]]:
    """The signals that are fitted: pin, and whether a high level means that there is something to say."""
    wires = {
        "fire": (settings.fire.fitted, settings.fire.pin, settings.fire.fire_when),
        "emergency": (settings.emergency.enabled, settings.emergency.pin, settings.emergency.broken_when),
        "tamper": (settings.tamper.fitted, settings.tamper.pin, settings.tamper.opened_when),
        "bolt": (settings.bolt.fitted, settings.bolt.pin, settings.bolt.secured_when),
    }
    return {name: (pin, level == "high") for name, (is_fitted, pin, level) in wires.items() if is_fitted}


def stage_path(settings: Settings) -> Path:
    """The file that directs a simulated camera."""
    return settings.state.directory / "stage.json"


class LockPort:
    """Carries out orders to the lock and says when it cannot; opens it anew when it could not be opened.

    Deciding thread only.
    """

    def __init__(self, open_lock: Callable[[], Lock], clock: Clock, post: Post) -> None:
        self._open = open_lock
        self._clock = clock
        self._post = post
        self._lock: Lock | None = None
        self._has_failed = False
        self.on_moved: Callable[[bool, float | None], None] | None = None

    def drive(self, *, energised: bool, seen_at: float | None) -> None:
        """Put the current on or off; `on_moved` is then told that and the station time of the first sign."""
        try:
            if self._lock is None:
                self._lock = self._open()
            if energised:
                self._lock.energise()
            else:
                self._lock.deenergise()
        except DriverError as error:
            if not self._has_failed:
                self._has_failed = True
                self._post(DeviceFailed(self._clock.now(), "lock", str(error)))
            return
        if self.on_moved is not None:
            self.on_moved(energised, seen_at)
        if self._has_failed:
            self._has_failed = False
            self._post(DeviceRecovered(self._clock.now(), "lock"))

    def close(self) -> None:
        """Take the current off and let go of the pin."""
        if self._lock is None:
            return
        try:
            self._lock.close()
        except DriverError as error:
            log.error("the lock may not be in its safe state: %s", error)  # noqa: TRY400 - one line says it all


class Hardware:
    """Everything with wires. `simulated` holds the twins' handles, and is None with real hardware."""

    def __init__(
        self,
        lock: LockPort,
        indicator: Indicator | None,
        contact: Contact | None,
        simulated: SimulatedParts | None,
        signals: Mapping[str, Signal] | None = None,
        *,
        sensors: SensorHardware,
    ) -> None:
        self.lock = lock
        self.contact = contact
        self.simulated = simulated
        self.signals = signals or {}
        self.sensors = sensors
        self._indicator = indicator

    def show(self, order: ShowIndication) -> None:
        """Light and sound, where fitted."""
        if self._indicator is not None:
            self._indicator.show(order.pattern)

    def switch(self, order: SwitchAppliance) -> None:
        """An appliance's plug, where the settings allow it."""
        self.sensors.switch(order)


@contextmanager
def open_hardware(settings: Settings, clock: Clock, post: Post) -> Iterator[Hardware]:
    """Open every device that the settings name; closes them in reverse, the lock last and without current."""
    with ExitStack() as stack:
        opening = _Simulated if settings.hardware.simulated else _Real
        hardware = opening(settings, clock, post, stack).open()
        if hardware.contact is not None:
            post(DoorContactChanged(clock.now(), hardware.contact.is_open))
        for name, signal in hardware.signals.items():
            post(SignalChanged(clock.now(), name, signal.is_active))
        hardware.sensors.start()
        yield hardware


class _Opening:
    """What opening real and simulated devices have in common."""

    def __init__(self, settings: Settings, clock: Clock, post: Post, stack: ExitStack) -> None:
        self.settings = settings
        self.clock = clock
        self.post = post
        self.stack = stack

    def contact_changed(self, at: float, is_open: bool | None) -> None:
        self.post(DoorContactChanged(at, is_open))

    def exit_pressed(self, at: float) -> None:
        self.post(ExitButtonPressed(at))

    def call_pressed(self, at: float) -> None:
        self.post(CallButtonPressed(at))

    def person_counted(self, at: float, is_entering: bool) -> None:
        self.post(PersonCounted(at, is_entering))

    def motion_changed(self, at: float, is_moving: bool) -> None:
        self.post(MotionChanged(at, is_moving))

    def signal_changed(self, name: str) -> Callable[[float, bool | None], None]:
        return lambda at, is_active: self.post(SignalChanged(at, name, is_active))

    def card_read(self, reader: str) -> Callable[[float, str], None]:
        return lambda at, number: self.post(CardRead(at, reader, number))

    def key_pressed(self, reader: str) -> Callable[[float, str], None]:
        return lambda at, key: self.post(KeyPressed(at, reader, key))

    def recovered(self, device: str) -> Callable[[float], None]:
        return lambda at: self.post(DeviceRecovered(at, device))

    def failed(self, device: str) -> Callable[[float, str], None]:
        return lambda at, reason: self.post(DeviceFailed(at, device, reason))

    def died(self, worker: str, reason: str) -> None:
        self.post(WorkerFailed(self.clock.now(), worker, reason))

    def keep_lock(self, open_lock: Callable[[], Lock]) -> LockPort:
        port = LockPort(open_lock, self.clock, self.post)
        self.stack.callback(port.close)
        return port


class _Simulated(_Opening):
    def open(self) -> Hardware:
        lock = SimulatedLockRelay()
        contact = SimulatedDoorContact(self.contact_changed, clock=self.clock.now)
        sensors = SimulatedSensorHardware(self.settings, self.clock, self.post)
        sensors.open()
        signals = {
            name: SimulatedSignal(self.signal_changed(name), clock=self.clock.now) for name in signals_of(self.settings)
        }
        readers = {
            name: SimulatedReader(self.card_read(name), self.key_pressed(name), clock=self.clock.now)
            for name in self.settings.readers
        }
        parts = SimulatedParts(
            door=SimulatedDoor(lock, contact, is_fail_safe=self.settings.lock.kind == "fail_safe"),
            exit_button=SimulatedPushButton("exit button", self.exit_pressed, clock=self.clock.now),
            call_button=SimulatedPushButton("call button", self.call_pressed, clock=self.clock.now),
            counter=SimulatedBeams(
                self.person_counted,
                on_failed=self.failed("counter"),
                on_recovered=self.recovered("counter"),
                clock=self.clock.now,
            ),
            motion=SimulatedMotionSensor(self.motion_changed, clock=self.clock.now),
            indicator=SimulatedIndicator(clock=self.clock.now),
            stage=Stage(stage_path(self.settings)),
            sensors=sensors.parts,
            signals={**signals, **sensors.parts.contacts},
            readers=readers,
        )
        port = self.keep_lock(lambda: lock)
        for each in (contact, parts.exit_button, parts.call_button, parts.counter, parts.motion, parts.indicator):
            self.stack.callback(each.close)
        for signal in signals.values():
            self.stack.callback(signal.close)
        for reader in readers.values():
            self.stack.callback(reader.close)
        self.stack.callback(sensors.close)
        fitted = contact if self.settings.contact.fitted else None
        return Hardware(port, parts.indicator, fitted, parts, signals, sensors=sensors)


class _Real(_Opening):
    """Real pins. The chip and the lines are opened one by one, so that one missing wire leaves the others."""

    def open(self) -> Hardware:
        pins = self.attempt("gpio", lambda: self.stack.enter_context(open_pins(self.settings.hardware.gpio_chip)))
        lock = self.keep_lock(lambda: self._open_lock(pins))
        sensors = RealSensors(self.settings, self.clock, self.post)
        self.stack.callback(sensors.close)
        sensors.open(pins)
        for name, reader in self.settings.readers.items():
            if reader.driver == "hid":
                self._open_hid_reader(name, reader)
            elif pins is not None:
                self._open_wiegand_reader(pins, name, reader)
        if pins is None:
            return Hardware(lock, None, None, None, sensors=sensors)
        contact = self.attempt("contact", lambda: self._open_contact(pins))
        for name, (chosen, on_press) in self.buttons().items():
            self.attempt(name, partial(self._open_button, name, chosen, on_press, pins))
        self.attempt("motion", lambda: self._open_motion(pins))
        self.attempt("counter", lambda: self._open_counter(pins))
        indicator = self.attempt("indicator", lambda: self._open_indicator(pins))
        signals = dict(self._open_signals(pins))
        return Hardware(lock, indicator, contact, None, signals, sensors=sensors)

    def attempt(self, device: str, opening: Callable[[], Opened]) -> Opened | None:
        try:
            return opening()
        except DriverError as error:
            log.warning("%s: %s", device, error)
            self.post(DeviceFailed(self.clock.now(), device, str(error)))
            return None

    def _open_lock(self, pins: Factory | None) -> Lock:
        chosen = self.settings.lock
        if chosen.pin is None:
            raise DriverError("lock.pin is not set: name the line of the lock's relay in the settings")
        if pins is None:
            pins = self.stack.enter_context(open_pins(self.settings.hardware.gpio_chip))
        return LockRelay(chosen.pin, active_high=chosen.active_high, pin_factory=pins)

    def _open_contact(self, pins: Factory) -> Contact | None:
        chosen = self.settings.contact
        if not chosen.fitted or chosen.pin is None:
            return None
        contact = DoorContact(
            chosen.pin,
            self.contact_changed,
            open_is_high=chosen.closed_when == "low",
            pin_factory=pins,
            clock=self.clock.now,
        )
        self.stack.callback(contact.close)
        return contact

    def _open_signals(self, pins: Factory) -> Iterator[tuple[str, Signal]]:
        for name, (pin, is_high) in signals_of(self.settings).items():
            if pin is not None:
                opened = self.attempt(name, partial(self._open_signal, name, pin, is_high, pins))
                if opened is not None:
                    yield name, opened

    def _open_signal(self, name: str, pin: int, is_high: bool, pins: Factory) -> Signal:
        signal = SignalContact(
            f"{name} contact",
            pin,
            self.signal_changed(name),
            active_is_high=is_high,
            on_failed=self.failed(name),
            pin_factory=pins,
            clock=self.clock.now,
        )
        self.stack.callback(signal.close)
        return signal

    def buttons(self) -> Mapping[str, tuple[ButtonSettings, Callable[[float], None]]]:
        return {
            "exit_button": (self.settings.exit_button, self.exit_pressed),
            "call_button": (self.settings.call_button, self.call_pressed),
        }

    def _open_button(self, name: str, chosen: ButtonSettings, on_press: Callable[[float], None], pins: Factory) -> None:
        if chosen.fitted and chosen.pin is not None:
            button = PushButton(
                name.replace("_", " "),
                chosen.pin,
                on_press,
                pressed_is_high=chosen.pressed_when == "high",
                on_failed=self.failed(name),
                pin_factory=pins,
                clock=self.clock.now,
            )
            self.stack.callback(button.close)

    def _open_hid_reader(self, name: str, chosen: ReaderSettings) -> None:
        """It opens its device by itself, and again whenever that is plugged in."""
        if chosen.device is not None:
            reader = HidReader(
                chosen.device,
                chosen.sends,
                self.card_read(name),
                self.key_pressed(name),
                on_failed=self.failed(f"readers.{name}"),
                on_recovered=self.recovered(f"readers.{name}"),
                on_died=self.died,
                clock=self.clock.now,
            )
            self.stack.callback(reader.close)

    def _open_wiegand_reader(self, pins: Factory, name: str, chosen: ReaderSettings) -> None:
        d0_pin, d1_pin = chosen.d0_pin, chosen.d1_pin
        if d0_pin is None or d1_pin is None:
            return
        reader = self.attempt(
            f"readers.{name}",
            lambda: WiegandReader(
                d0_pin,
                d1_pin,
                self.card_read(name),
                self.key_pressed(name),
                on_failed=self.failed(f"readers.{name}"),
                on_died=self.died,
                pin_factory=pins,
                clock=self.clock.now,
            ),
        )
        if reader is not None:
            self.stack.callback(reader.close)

    def _open_motion(self, pins: Factory) -> None:
        chosen = self.settings.motion
        if chosen.fitted and chosen.pin is not None:
            sensor = MotionSensor(
                chosen.pin,
                self.motion_changed,
                moving_is_high=chosen.moving_when == "high",
                on_failed=self.failed("motion"),
                pin_factory=pins,
                clock=self.clock.now,
            )
            self.stack.callback(sensor.close)

    def _open_counter(self, pins: Factory) -> None:
        chosen = self.settings.counter
        if chosen.fitted and chosen.outer_pin is not None and chosen.inner_pin is not None:
            counter = BeamPair(
                chosen.outer_pin,
                chosen.inner_pin,
                self.person_counted,
                interrupted_is_high=chosen.interrupted_when == "high",
                on_failed=self.failed("counter"),
                on_recovered=self.recovered("counter"),
                on_died=self.died,
                pin_factory=pins,
                clock=self.clock.now,
            )
            self.stack.callback(counter.close)

    def _open_indicator(self, pins: Factory) -> Indicator | None:
        chosen = self.settings.indicator
        if chosen.light_pin is None:
            return None
        indicator = LightAndBuzzer(
            chosen.light_pin,
            chosen.buzzer_pin,
            light_active_high=chosen.active_high,
            buzzer_active_high=chosen.active_high,
            on_failed=self.failed("indicator"),
            on_recovered=lambda at: self.post(DeviceRecovered(at, "indicator")),
            on_died=self.died,
            pin_factory=pins,
            clock=self.clock.now,
        )
        self.stack.callback(indicator.close)
        return indicator
