"""The same station, wired four ways: without pins, on gpiozero's mock pins, on a fake kernel, on real pins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing

from gpiozero import Factory, InputDevice, OutputDevice
from gpiozero.pins.mock import MockFactory

from drivers.button import Button, PushButton
from drivers.contact import Contact, DoorContact
from drivers.indicator import Indicator, LightAndBuzzer
from drivers.lock import Lock, LockRelay
from drivers.motion import Motion, MotionSensor
from drivers.pins import GpiodFactory, open_pins
from drivers.signal import Signal, SignalContact
from drivers.simulated.button import SimulatedPushButton
from drivers.simulated.contact import SimulatedDoorContact
from drivers.simulated.indicator import SimulatedIndicator
from drivers.simulated.lock import SimulatedLockRelay
from drivers.simulated.motion import SimulatedMotionSensor
from drivers.simulated.signal import SimulatedSignal
from tests.drivers.fake_gpiod import FakeGpiod

Clock = Callable[[], float]


class Rig(ABC):
    """Devices, and the hands and the lamp of somebody who stands beside them. One device at a time."""

    def __init__(self) -> None:
        self.on_exit = ExitStack()

    @abstractmethod
    def lock(self, *, active_high: bool) -> Lock: ...

    @abstractmethod
    def relay_has_current(self, *, active_high: bool) -> bool: ...

    @abstractmethod
    def contact(self, on_change: Callable[[float, bool | None], None], clock: Clock) -> Contact: ...

    @abstractmethod
    def move_door(self, *, is_open: bool) -> None: ...

    @abstractmethod
    def button(self, what: str, on_press: Callable[[float], None], clock: Clock) -> Button: ...

    @abstractmethod
    def push_button(self, *, is_down: bool) -> None: ...

    @abstractmethod
    def motion(self, on_change: Callable[[float, bool], None], clock: Clock) -> Motion: ...

    @abstractmethod
    def move_about(self, *, is_moving: bool) -> None: ...

    @abstractmethod
    def signal(self, on_change: Callable[[float, bool | None], None], clock: Clock) -> Signal: ...

    @abstractmethod
    def say(self, *, is_active: bool) -> None: ...

    @abstractmethod
    def indicator(self) -> Indicator: ...


class SimulatedRig(Rig):
    def lock(self, *, active_high: bool) -> Lock:
        self._lock = self.on_exit.enter_context(closing(SimulatedLockRelay()))
        return self._lock

    def relay_has_current(self, *, active_high: bool) -> bool:
        return self._lock.has_current

    def contact(self, on_change: Callable[[float, bool | None], None], clock: Clock) -> Contact:
        self._contact = self.on_exit.enter_context(closing(SimulatedDoorContact(on_change, clock=clock)))
        return self._contact

    def move_door(self, *, is_open: bool) -> None:
        if is_open:
            self._contact.open_door()
        else:
            self._contact.shut_door()

    def button(self, what: str, on_press: Callable[[float], None], clock: Clock) -> Button:
        self._button = self.on_exit.enter_context(closing(SimulatedPushButton(what, on_press, clock=clock)))
        return self._button

    def push_button(self, *, is_down: bool) -> None:
        if is_down:
            self._button.hold()
        else:
            self._button.let_go()

    def motion(self, on_change: Callable[[float, bool], None], clock: Clock) -> Motion:
        self._motion = self.on_exit.enter_context(closing(SimulatedMotionSensor(on_change, clock=clock)))
        return self._motion

    def move_about(self, *, is_moving: bool) -> None:
        if is_moving:
            self._motion.start_moving()
        else:
            self._motion.stop_moving()

    def signal(self, on_change: Callable[[float, bool | None], None], clock: Clock) -> Signal:
        self._signal = self.on_exit.enter_context(closing(SimulatedSignal(on_change, clock=clock)))
        return self._signal

    def say(self, *, is_active: bool) -> None:
        if is_active:
            self._signal.begin()
        else:
            self._signal.end()

    def indicator(self) -> Indicator:
        return self.on_exit.enter_context(closing(SimulatedIndicator()))


class PinRig(Rig):
    """The real drivers on pins. Wires: the contact and the button to ground, a PIR that drives."""

    output = 23
    input = 24

    def __init__(self, factory: Factory) -> None:
        super().__init__()
        self.factory = self.on_exit.enter_context(factory)

    @abstractmethod
    def drive(self, level: bool) -> None:
        """Put a level on the input's wire."""

    @abstractmethod
    def sense(self, *, rest: bool) -> bool:
        """The level on the output's wire, which a resistor pulls to `rest` while nobody drives it."""

    def lock(self, *, active_high: bool) -> Lock:
        relay = LockRelay(self.output, active_high=active_high, pin_factory=self.factory)
        return self.on_exit.enter_context(closing(relay))

    def relay_has_current(self, *, active_high: bool) -> bool:
        return self.sense(rest=not active_high) is active_high

    def contact(self, on_change: Callable[[float, bool | None], None], clock: Clock) -> Contact:
        self.drive(False)
        contact = DoorContact(self.input, on_change, pin_factory=self.factory, clock=clock)
        # Mock pins take the level of their pull when they become an input; a made contact is stronger than that.
        self.drive(False)
        return self.on_exit.enter_context(closing(contact))

    def move_door(self, *, is_open: bool) -> None:
        self.drive(is_open)

    def button(self, what: str, on_press: Callable[[float], None], clock: Clock) -> Button:
        self.drive(True)
        button = PushButton(what, self.input, on_press, pin_factory=self.factory, clock=clock)
        return self.on_exit.enter_context(closing(button))

    def push_button(self, *, is_down: bool) -> None:
        self.drive(not is_down)

    def motion(self, on_change: Callable[[float, bool], None], clock: Clock) -> Motion:
        self.drive(False)
        sensor = MotionSensor(self.input, on_change, pin_factory=self.factory, clock=clock)
        return self.on_exit.enter_context(closing(sensor))

    def move_about(self, *, is_moving: bool) -> None:
        self.drive(is_moving)

    def signal(self, on_change: Callable[[float, bool | None], None], clock: Clock) -> Signal:
        self.drive(False)
        signal = SignalContact("fire contact", self.input, on_change, pin_factory=self.factory, clock=clock)
        self.drive(False)  # as for the door contact
        return self.on_exit.enter_context(closing(signal))

    def say(self, *, is_active: bool) -> None:
        self.drive(is_active)

    def indicator(self) -> Indicator:
        light = LightAndBuzzer(self.output, pin_factory=self.factory)
        return self.on_exit.enter_context(closing(light))


class MockPinRig(PinRig):
    def __init__(self) -> None:
        super().__init__(MockFactory())

    def drive(self, level: bool) -> None:
        pin = self.factory.pin(self.input)
        if level:
            pin.drive_high()
        else:
            pin.drive_low()

    def sense(self, *, rest: bool) -> bool:
        return bool(self.factory.pin(self.output).state)


class FakeKernelRig(PinRig):
    def __init__(self) -> None:
        self._fake = FakeGpiod()
        super().__init__(GpiodFactory(gpiod=self._fake))

    def drive(self, level: bool) -> None:
        self._fake.wire(self.input, level)

    def sense(self, *, rest: bool) -> bool:
        return self._fake.lines[self.output].driven[-1]


class HardwareRig(PinRig):
    """Real pins: the line that drives and the line that senses are joined by a jumper, whichever the device is on."""

    def __init__(self, chip: str, drive: int, sense: int) -> None:
        super().__init__(open_pins(chip))
        self.output, self.input = drive, sense
        self._driver: OutputDevice | None = None
        self._sensor: InputDevice | None = None

    def drive(self, level: bool) -> None:
        if self._driver is None:
            self._driver = self.on_exit.enter_context(
                OutputDevice(self.output, initial_value=level, pin_factory=self.factory)
            )
        self._driver.value = level

    def sense(self, *, rest: bool) -> bool:
        if self._sensor is None:
            self._sensor = self.on_exit.enter_context(InputDevice(self.input, pull_up=rest, pin_factory=self.factory))
        return bool(self._sensor.pin.state)


def make_rig(kind: str, options: Mapping[str, str]) -> Rig:
    """`kind`: `simulated`, `mock_pins`, `fake_kernel` or `hardware`, which `options` are for."""
    if kind == "hardware":
        return HardwareRig(options["chip"], int(options["drive"]), int(options["sense"]))
    makers: dict[str, Callable[[], Rig]] = {
        "simulated": SimulatedRig,
        "mock_pins": MockPinRig,
        "fake_kernel": FakeKernelRig,
    }
    return makers[kind]()
