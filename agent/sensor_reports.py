"""What sensors report, as events: called by their drivers on threads of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from agent.clock import Clock
from agent.effects import SwitchAppliance
from agent.events import (
    ApplianceSwitched,
    DeviceFailed,
    DeviceRecovered,
    Event,
    SensorRead,
    SensorStateTold,
    SignalChanged,
    WorkerFailed,
)
from agent.settings import Settings

log = logging.getLogger(__name__)

_HUNG = (
    "its read does not end, and what is on the same bus is not asked meanwhile: pull it out, then check its wires and "
    "its power"
)


class SensorReports:
    """Makes events of reports. Sensors are named as in the settings; `at` is station time.

    For each contact that an MQTT device tells, it keeps what was told last, for devices repeat themselves. All reports
    about one sensor come on one thread.
    """

    def __init__(self, settings: Settings, clock: Clock, post: Callable[[Event], None]) -> None:
        self._clock = clock
        self._post = post
        self._appliances = {each.power: name for name, each in settings.appliances.items() if each.power is not None}
        self._contacts: dict[str, dict[str, list[tuple[str, bool]]]] = {}
        for name, contact in settings.contacts.items():
            if contact.sensor is not None:
                by_state = self._contacts.setdefault(contact.sensor, {})
                by_state.setdefault(contact.shown_by, []).append((name, contact.is_active_high))
        self._told: dict[str, bool | None] = {}

    def read(self, at: float, sensor: str, values: Mapping[str, float]) -> None:
        """Values of one reading."""
        self._post(SensorRead(at, sensor, values))

    def state_told(self, at: float, sensor: str, state: str, is_active: bool) -> None:
        """A value of two states, and the contacts that go by it."""
        self._post(SensorStateTold(at, sensor, state, is_active))
        for contact, is_active_high in self._contacts.get(sensor, {}).get(state, ()):
            self._tell_contact(at, contact, is_active is is_active_high)

    def failed(self, at: float, sensor: str, reason: str) -> None:
        """It begins to fail: of its contacts nothing is known."""
        self.device_failed(f"sensors.{sensor}")(at, reason)
        for contacts in self._contacts.get(sensor, {}).values():
            for contact, _ in contacts:
                self._tell_contact(at, contact, None)

    def recovered(self, at: float, sensor: str) -> None:
        """It answers again."""
        self.device_recovered(f"sensors.{sensor}")(at)

    def hung(self, sensor: str) -> None:
        """Its read does not end; its bus reports the failure, or that it works again, once it does."""
        self.device_failed(f"sensors.{sensor}")(self._clock.now(), _HUNG)

    def device_failed(self, device: str) -> Callable[[float, str], None]:
        """For a driver that reports its own failing. `device`: its place in the settings."""

        def failed(at: float, reason: str) -> None:
            log.warning("%s: %s", device, reason)
            self._post(DeviceFailed(at, device, reason))

        return failed

    def device_recovered(self, device: str) -> Callable[[float], None]:
        """As `device_failed`."""
        return lambda at: self._post(DeviceRecovered(at, device))

    def contact_changed(self, contact: str, at: float, is_active: bool | None) -> None:
        """A raw edge of a contact on a pin."""
        self._post(SignalChanged(at, contact, is_active))

    def switched(self, at: float, sensor: str, is_on: bool, reason: str) -> None:
        """How an order to a plug ended."""
        appliance = self._appliances.get(sensor)
        if appliance is not None:
            self._post(ApplianceSwitched(at, appliance, is_on, reason))

    def refused(self, order: SwitchAppliance, reason: str) -> None:
        """An order that reached no plug."""
        log.warning("appliances.%s was not switched: %s", order.appliance, reason)
        self._post(ApplianceSwitched(self._clock.now(), order.appliance, order.is_on, reason))

    def died(self, worker: str, reason: str) -> None:
        """A thread of a driver died: the agent ends and is started anew."""
        self._post(WorkerFailed(self._clock.now(), worker, reason))

    def _tell_contact(self, at: float, contact: str, is_active: bool | None) -> None:
        if self._told.get(contact) is not is_active or contact not in self._told:
            self._told[contact] = is_active
            self._post(SignalChanged(at, contact, is_active))
