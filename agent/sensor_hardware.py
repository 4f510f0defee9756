"""Opens the sensors that the settings name: one thread for each bus, and events of what they report.

A sensor that cannot be opened or read is reported as failed, by its name in the settings (`sensors.NAME`,
`contacts.NAME`), and tried again by its own thread; the others go on. What is on a pin is not tried again:
its chip or its line needs somebody first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from gpiozero import Factory

from agent.clock import Clock
from agent.effects import SwitchAppliance
from agent.events import Event, PresenceSensed, SignalChanged
from agent.sensor_reports import SensorReports
from agent.sensor_settings import METERS, PLUGS, NamedContactSettings, SensorSettings
from agent.settings import Settings
from drivers import iio, one_wire
from drivers.bus import BusPoller, PolledDevice
from drivers.errors import DriverError
from drivers.iio import IioSensor
from drivers.modbus_line import ModbusLine
from drivers.modbus_meter import ModbusMeter
from drivers.mqtt_connection import MqttBroker
from drivers.mqtt_device import MqttDevice, MqttDevices, Plugs
from drivers.one_wire import Ds18b20
from drivers.radar import Ld2410, Presence
from drivers.signal import Signal, SignalContact

log = logging.getLogger(__name__)

CLOSE_S = 0.5  # for all sensors together: a SIGTERM has to end within 2 s, and what hangs is left behind
_LOOK_S = 0.5  # how often the buses are looked at for a device that hangs

_PARITIES: Mapping[str, Literal["N", "E", "O"]] = {"none": "N", "even": "E", "odd": "O"}

Post = Callable[[Event], None]


class SensorHardware:
    """What real and simulated sensors have in common: pollers, their watch, orders to plugs, and the end."""

    def __init__(self, settings: Settings, clock: Clock, post: Post) -> None:
        self.settings = settings
        self.clock = clock
        self.post = post
        self.reports = SensorReports(settings, clock, post)
        self.contacts: dict[str, Signal] = {}
        self._pollers: list[BusPoller] = []
        self._closings: list[Callable[[], object]] = []
        self._plugs: dict[str, Plugs] = {}
        self._watch: _HangWatch | None = None

    def start(self) -> None:
        """Say what the contacts show, and begin to ask."""
        for name, contact in self.contacts.items():
            self.post(SignalChanged(self.clock.now(), name, contact.is_active))
        for poller in self._pollers:
            poller.start()
        for plugs in dict.fromkeys(self._plugs.values()):
            plugs.start()
        if self._pollers:
            self._watch = _HangWatch(self._pollers, self.reports.hung)
            self._watch.start()

    def switch(self, order: SwitchAppliance) -> None:
        """Give an order to an appliance's plug; `ApplianceSwitched` tells how it ended. Never waits."""
        appliance = self.settings.appliances.get(order.appliance)
        sensor = appliance.power if appliance is not None and appliance.can_switch else None
        plugs = self._plugs.get(sensor or "")
        if sensor is None or plugs is None:
            self.reports.refused(order, "the settings do not allow it")
            return
        try:
            plugs.switch(sensor, order.is_on)
        except (DriverError, ValueError) as error:
            self.reports.refused(order, str(error))

    def close(self) -> None:
        """End everything side by side, within `CLOSE_S`; what hangs is left behind."""
        if self._watch is not None:
            self._closings.append(self._watch.stop)
        _close_all(self._closings, CLOSE_S)

    def poll(
        self, bus: str, devices: Mapping[str, PolledDevice], closing: Callable[[], None] = lambda: None, **limits: float
    ) -> None:
        """One thread for these devices, each asked at its own pace; `closing` comes after it has ended."""
        if not devices:
            return
        poller = BusPoller(
            bus,
            devices,
            interval_s={name: self.settings.sensors[name].pace_s for name in devices},
            on_read=self.reports.read,
            on_failed=self.reports.failed,
            on_recovered=self.reports.recovered,
            on_died=self.reports.died,
            clock=self.clock.now,
            **limits,
        )
        self.add_poller(poller, closing)

    def add_poller(self, poller: BusPoller, closing: Callable[[], None] = lambda: None) -> None:
        """Start it with the others, and end it with them."""

        def close() -> None:
            poller.stop(CLOSE_S)
            closing()

        self._pollers.append(poller)
        self._closings.append(close)

    def add_plugs(self, plugs: Plugs, sensors: Sequence[str]) -> None:
        """Plugs that these sensors are, to be switched by their names."""
        self._plugs |= dict.fromkeys(sensors, plugs)
        self.at_end(plugs.close)

    def at_end(self, closing: Callable[[], object]) -> None:
        """Close this with everything else."""
        self._closings.append(closing)

    def of(self, *drivers: str) -> dict[str, SensorSettings]:
        """The sensors with one of these drivers."""
        return {name: each for name, each in self.settings.sensors.items() if each.driver in drivers}

    def saw(self, sensor: str, at: float, presence: Presence) -> None:
        """Report what a radar sees."""
        is_present = presence.is_moving or presence.is_still
        self.post(PresenceSensed(at, sensor, is_present, presence.is_moving))


class RealSensors(SensorHardware):
    """Sensors on wires, and at the local broker. `one_wire_root`, `iio_root`: where the kernel shows such devices."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        post: Post,
        *,
        one_wire_root: Path = one_wire.ROOT,
        iio_root: Path = iio.ROOT,
    ) -> None:
        super().__init__(settings, clock, post)
        self._one_wire_root = one_wire_root
        self._iio_root = iio_root

    def open(self, pins: Factory | None) -> None:
        """Open all of them; without `pins` those that need none."""
        for line in self.settings.serial:
            self._open_line(line)
        thermometers = {
            name: Ds18b20(each.device or "", root=self._one_wire_root) for name, each in self.of("ds18b20").items()
        }
        self.poll("one-wire", thermometers)
        for name, each in self.of("iio").items():  # the kernel waits for each apart: a slow one delays nobody
            sensor = IioSensor(each.device or "", root=self._iio_root)
            self.poll(f"iio-{name}", {name: sensor}, read_limit_s=iio.READ_LIMIT_S)
        self._open_plugs()
        for name, each in self.of("ld2410").items():
            self._open_radar(name, each)
        if pins is not None:
            for name, contact in self.settings.contacts.items():
                if contact.pin is not None:
                    self._attempt(f"contacts.{name}", partial(self._open_contact, name, contact, contact.pin, pins))

    def _attempt(self, device: str, opening: Callable[[], None]) -> None:
        try:
            opening()
        except DriverError as error:
            self.reports.device_failed(device)(self.clock.now(), str(error))

    def _open_line(self, name: str) -> None:
        chosen = self.settings.serial[name]
        sensors = {key: each for key, each in self.of(*METERS).items() if each.line == name}
        line = ModbusLine(chosen.port, baud=chosen.baud, parity=_PARITIES[chosen.parity], stop_bits=chosen.stop_bits)
        meters = {key: ModbusMeter(line, each.address or 0, each.driver) for key, each in sensors.items()}
        self.poll(f"serial-{name}", meters, closing=line.close)

    def _open_plugs(self) -> None:
        chosen, sensors = self.settings.plugs, self.of(*PLUGS)
        if not sensors:
            return
        switched = {each.power for each in self.settings.appliances.values() if each.can_switch}
        devices = {
            name: MqttDevice(each.driver, each.device or "", can_switch=name in switched, stale_s=each.stale_s)
            for name, each in sensors.items()
        }
        broker = MqttBroker(chosen.host, chosen.port, chosen.username or None, chosen.password_file, chosen.ca_file)
        plugs = MqttDevices(
            broker,
            devices,
            on_read=self.reports.read,
            on_contact=self.reports.state_told,
            on_failed=self.reports.failed,
            on_recovered=self.reports.recovered,
            on_switched=self.reports.switched,
            on_died=self.reports.died,
            clock=self.clock.now,
        )
        self.add_plugs(plugs, tuple(sensors))

    def _open_radar(self, name: str, chosen: SensorSettings) -> None:
        radar = Ld2410(
            chosen.port or "",
            partial(self.saw, name),
            on_failed=self.reports.device_failed(f"sensors.{name}"),
            on_recovered=self.reports.device_recovered(f"sensors.{name}"),
            on_died=self.reports.died,
            clock=self.clock.now,
        )
        self.at_end(radar.close)

    def _open_contact(self, name: str, chosen: NamedContactSettings, pin: int, pins: Factory) -> None:
        contact = SignalContact(
            f"contact {name}",
            pin,
            partial(self.reports.contact_changed, name),
            active_is_high=chosen.is_active_high,
            on_failed=self.reports.device_failed(f"contacts.{name}"),
            pin_factory=pins,
            clock=self.clock.now,
        )
        self.contacts[name] = contact
        self.at_end(contact.close)


class _HangWatch:
    """Tells of the device whose read does not end: its bus cannot say so itself, and the others on it are not asked."""

    def __init__(self, pollers: Sequence[BusPoller], on_hung: Callable[[str], None]) -> None:
        self._pollers = pollers
        self._on_hung = on_hung
        self._told: dict[BusPoller, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            for poller in self._pollers:
                name = poller.hanging()
                if name is None:
                    self._told.pop(poller, None)  # its bus has told how that read ended
                elif self._told.get(poller) != name:
                    self._told[poller] = name
                    self._on_hung(name)


def _close_all(closings: Sequence[Callable[[], object]], within_s: float) -> None:
    threads = [threading.Thread(target=_close, args=(each,), name="closing", daemon=True) for each in closings]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if left := sum(thread.is_alive() for thread in threads):
        log.error("%d sensors did not close within %s s: they are left behind", left, within_s)


def _close(closing: Callable[[], object]) -> None:
    try:
        closing()
    except Exception:  # the border of a thread: one that cannot be closed must not keep the others
        log.exception("a sensor could not be closed")
