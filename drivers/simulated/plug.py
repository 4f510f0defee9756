"""Smart plugs without a broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from drivers.errors import DeviceClosedError, NotAllowedError
from drivers.mqtt_device import OnSwitched
from drivers.simulated.meter import SimulatedMeter


class SimulatedPlug:
    """`drivers.mqtt_device.Plugs` with one plug, `device`, and an appliance that would draw what it is told.

    It draws nothing while it is off, confirms every order at once and reports on the thread that calls. It has no
    radio, no delay and no interval: it speaks when something changes, or by `report`. It begins switched on.
    """

    def __init__(
        self,
        device: str,
        *,
        on_read: Callable[[float, str, Mapping[str, float]], None],
        on_contact: Callable[[float, str, str, bool], None],
        on_failed: Callable[[float, str, str], None],
        on_recovered: Callable[[float, str], None],
        on_switched: OnSwitched,
        can_switch: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = device
        self._on_read = on_read
        self._on_contact = on_contact
        self._on_failed = on_failed
        self._on_recovered = on_recovered
        self._on_switched = on_switched
        self._can_switch = can_switch
        self._clock = clock
        self._lock = threading.RLock()  # of everything below, also while it reports: reports keep their order
        self._meter = SimulatedMeter(clock=clock)
        self._wanted_w = 0.0
        self._is_on = True
        self._is_online = True
        self._is_closed = False

    @property
    def is_on(self) -> bool:
        """Whether the relay has switched through."""
        return self._is_on

    def start(self) -> None:
        """See `Plugs`."""
        self.report()

    def switch(self, device: str, is_on: bool) -> None:
        """See `Plugs`; an order to a plug that is offline fails at once."""
        if device != self._device:
            raise ValueError(f"there is no MQTT device {device!r}: name one of the settings")
        if not self._can_switch:
            raise NotAllowedError(f"{device} may not be switched: allow it in the settings, and mind what hangs on it")
        with self._lock:
            if self._is_closed:
                raise DeviceClosedError("the MQTT devices are closed: give no orders after the end")
            if not self._is_online:
                self._on_switched(self._clock(), device, is_on, "the simulated plug is offline: call come_back()")
                return
            self._turn(is_on)
            self._on_switched(self._clock(), device, is_on, "")

    def press_button(self) -> None:
        """Switch it by hand, at its own button."""
        with self._lock:
            self._turn(not self._is_on)

    def set_power(self, power_w: float) -> None:
        """The appliance draws this much from now on, while the plug is on."""
        with self._lock:
            self._wanted_w = power_w
            self._meter.set_power(power_w if self._is_on else 0.0)
            self.report()

    def report(self) -> None:
        """Say everything once; nothing while it is offline or closed."""
        with self._lock:
            if self._is_online and not self._is_closed:
                at = self._clock()
                self._on_read(at, self._device, self._meter.read())
                self._on_contact(at, self._device, "on", self._is_on)

    def go_offline(self, reason: str = "the simulated plug is offline: call come_back()") -> None:
        """It is out of reach from now on; the appliance goes on."""
        with self._lock:
            if self._is_online and not self._is_closed:
                self._is_online = False
                self._on_failed(self._clock(), self._device, reason)

    def come_back(self) -> None:
        """It is in reach again, and reports."""
        with self._lock:
            if not self._is_online and not self._is_closed:
                self._is_online = True
                self._on_recovered(self._clock(), self._device)
                self.report()

    def close(self) -> None:
        """See `Plugs`."""
        with self._lock:
            self._is_closed = True

    def _turn(self, is_on: bool) -> None:
        self._is_on = is_on
        self._meter.set_power(self._wanted_w if is_on else 0.0)
        self.report()
