"""The twins of the sensors: where hardware is simulated, every sensor of the settings has one, whatever its driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from agent.clock import Clock
from agent.sensor_hardware import Post, SensorHardware
from agent.sensor_settings import METERS, PLUGS
from agent.settings import Settings
from drivers.bus import BusPoller
from drivers.simulated.iio import SimulatedIioSensor
from drivers.simulated.meter import SimulatedMeter
from drivers.simulated.one_wire import SimulatedDs18b20
from drivers.simulated.plug import SimulatedPlug
from drivers.simulated.radar import SimulatedRadar
from drivers.simulated.signal import SimulatedSignal

_REPORT_S = 60.0  # how often a simulated plug says everything, as real ones do by themselves


@dataclass(slots=True)
class SimulatedSensors:
    """The handles of the twins, by their names in the settings. `meters`: whatever can be told what is drawn."""

    meters: dict[str, SimulatedMeter | SimulatedPlug] = field(default_factory=dict)
    thermometers: dict[str, SimulatedDs18b20] = field(default_factory=dict)
    air: dict[str, SimulatedIioSensor] = field(default_factory=dict)
    radars: dict[str, SimulatedRadar] = field(default_factory=dict)
    contacts: dict[str, SimulatedSignal] = field(default_factory=dict)


class SimulatedSensorHardware(SensorHardware):
    """Makes them, and reports what they are told to say as real ones would."""

    def __init__(self, settings: Settings, clock: Clock, post: Post) -> None:
        super().__init__(settings, clock, post)
        self.parts = SimulatedSensors()

    def open(self) -> None:
        """Make all of them."""
        parts = self.parts
        meters = {name: SimulatedMeter(clock=self.clock.now) for name in self.of(*METERS, "simulated")}
        plugs = {name: self._make_plug(name) for name in self.of(*PLUGS)}
        parts.meters = {**meters, **plugs}
        parts.thermometers = {name: SimulatedDs18b20() for name in self.of("ds18b20")}
        parts.air = {name: SimulatedIioSensor() for name in self.of("iio")}
        self.poll("twins", {**meters, **parts.thermometers, **parts.air})
        self._repeat(plugs)
        parts.radars = {
            name: SimulatedRadar(
                partial(self.saw, name),
                on_failed=self.reports.device_failed(f"sensors.{name}"),
                on_recovered=self.reports.device_recovered(f"sensors.{name}"),
                clock=self.clock.now,
            )
            for name in self.of("ld2410")
        }
        parts.contacts = {
            name: SimulatedSignal(
                partial(self.reports.contact_changed, name),
                on_failed=self.reports.device_failed(f"contacts.{name}"),
                is_active=chosen.kind == "mains",
                clock=self.clock.now,
            )
            for name, chosen in self.settings.contacts.items()
        }
        self.contacts.update(parts.contacts)
        for radar in parts.radars.values():
            self.at_end(radar.close)
        for contact in parts.contacts.values():
            self.at_end(contact.close)

    def _make_plug(self, name: str) -> SimulatedPlug:
        plug = SimulatedPlug(
            name,
            on_read=self.reports.read,
            on_contact=self.reports.state_told,
            on_failed=self.reports.failed,
            on_recovered=self.reports.recovered,
            on_switched=self.reports.switched,
            can_switch=any(each.can_switch and each.power == name for each in self.settings.appliances.values()),
            clock=self.clock.now,
        )
        self.add_plugs(plug, (name,))
        return plug

    def _repeat(self, plugs: Mapping[str, SimulatedPlug]) -> None:
        """Let the twins report by themselves, as plugs do; else they would seem silent."""
        if plugs:
            poller = BusPoller(
                "plugs",
                {name: _Reporting(plug) for name, plug in plugs.items()},
                interval_s=_REPORT_S,
                on_read=lambda *_: None,
                on_failed=self.reports.failed,
                on_recovered=self.reports.recovered,
                on_died=self.reports.died,
                clock=self.clock.now,
            )
            self.add_poller(poller)


class _Reporting:
    """A `PolledDevice` that lets a plug say what it says, and has nothing of its own."""

    def __init__(self, plug: SimulatedPlug) -> None:
        self._plug = plug

    def read(self) -> Mapping[str, float]:
        self._plug.report()
        return {}
