"""Smart plugs and sensors over a local MQTT broker, in the forms of Zigbee2MQTT, Tasmota and Shelly.

One connection and one thread serve every device; see `drivers.mqtt_forms` for what they say. Bounds: exact topics
only, so that no more names come in than there are devices; 16 KiB a message (the broker keeps back what is longer);
a number of messages a second for each device, beyond which they are dropped unread, so that a flood takes nothing
from the others.

What the broker kept from some earlier time (a retained message) proves no freshness: a retained "offline" is believed,
a retained value or state never; it counts once a fresh one comes. Where the form can, a device is asked for its state
after each connection, and again when it has been silent for half of what it may.

Untested with real devices: tested with a real mosquitto and messages of the documented forms.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from drivers.errors import DeviceClosedError, DeviceError, NotAllowedError
from drivers.mqtt_connection import Arrived, Connection, MqttBroker
from drivers.mqtt_forms import FORMS
from drivers.mqtt_message import MAX_PAYLOAD_BYTES, SWITCHABLE, Command, Heard, Parser, check_name

_logger = logging.getLogger(__name__)

MOST_DEVICES = 100
"""Of one broker: a station has a dozen; as many subscriptions as every broker takes."""

_MAX_PACKET_BYTES = MAX_PAYLOAD_BYTES + 1024  # with its topic and properties
# A device speaks some times a minute, in up to ten messages at once; beyond this it is broken or not what it says.
_MESSAGES_A_SECOND = 10.0
_MESSAGES_AT_ONCE = 50.0
_CONFIRM_S = 5.0  # a relay answers within a second; a Zigbee route that is searched anew takes a few
_MOST_ORDERS = 100  # that wait for the thread, which takes them at once; more are a mistake of whoever gives them
# A broker that restarts is back within seconds; one that stays away must not be asked ten times a second.
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 30.0
_TICK_S = 0.25  # how late a silence or a missing confirmation may be noticed
_JOIN_S = 7.0  # an attempt to connect ends within 5 s

_UNKNOWN_RESULT = "the connection to the broker broke: whether it was carried out shows once the device answers"


@dataclass(frozen=True, slots=True)
class MqttDevice:
    """One plug or sensor. `form`: a key of `FORMS`; `name`: the one in its topics.

    can_switch: whether `switch` may reach it at all. stale_s: a longer silence is a failure; above the device's own
    interval (Tasmota's TelePeriod is 300 s, a Zigbee sensor on a battery may be silent for hours).
    """

    form: str
    name: str
    can_switch: bool = False
    stale_s: float = 900.0

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"there is no form {self.form!r} of MQTT devices: use one of {', '.join(FORMS)}")
        check_name(self.name)
        if not self.stale_s > 0:
            raise ValueError(f"{self.name} cannot be stale after {self.stale_s} s: give more than 0")


class OnSwitched(Protocol):
    """Told how an order ended: `reason` is empty when the device itself has confirmed `is_on`."""

    def __call__(self, at: float, device: str, is_on: bool, reason: str, /) -> None: ...  # noqa: D102


class Plugs(Protocol):
    """Devices that report by themselves and may be switched."""

    def start(self) -> None:
        """Begin to report."""

    def switch(self, device: str, is_on: bool) -> None:
        """Give an order and return at once; `on_switched` tells once how it ended.

        For every thread. Raises `NotAllowedError`, `DeviceClosedError`, or ValueError for a device that is not there.
        """

    def close(self) -> None:
        """End, safe to repeat; nothing is reported afterwards."""


@dataclass(slots=True)
class _Order:
    is_on: bool
    deadline: float
    ask_again_at: float


class _Budget:
    """How many messages of a device are read: some at once, and then so many a second."""

    def __init__(self) -> None:
        self._left = _MESSAGES_AT_ONCE
        self._at = time.monotonic()

    def take(self, now: float) -> bool:
        self._left = min(_MESSAGES_AT_ONCE, self._left + (now - self._at) * _MESSAGES_A_SECOND)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class _State:
    """What is known of one device. Times are `time.monotonic`."""

    def __init__(self, key: str, device: MqttDevice) -> None:
        self.key = key
        self.device = device
        self.form = FORMS[device.form]
        self.budget = _Budget()
        self.heard_at = time.monotonic()
        self.asked_at = 0.0
        self.has_failed = False
        self.skipped = 0
        self.order: _Order | None = None

    def command(self, command: Command) -> tuple[str, bytes]:
        return command.topic.format(name=self.device.name), command.payload


class MqttDevices:
    """`Plugs` at one broker; `devices`: by their names in the settings, at most `MOST_DEVICES`.

    `on_read(at, device, values)` gets numbers by quantity (`LIMITS`), `on_contact(at, device, name, is_active)` values
    of two states (`STATES`); both only what a fresh message says, which need not be everything. `on_failed(at, device,
    reason)` is called once when a device begins to fail: it is offline, silent for longer than it may, or the broker is
    away; `on_recovered(at, device)` once a fresh message comes again, before what it says. All run on this object's
    thread and must not wait; `at` is station time by `clock`. `on_died(worker, reason)`: the thread died of a mistake.
    """

    def __init__(
        self,
        broker: MqttBroker,
        devices: Mapping[str, MqttDevice],
        *,
        on_read: Callable[[float, str, Mapping[str, float]], None],
        on_contact: Callable[[float, str, str, bool], None],
        on_failed: Callable[[float, str, str], None],
        on_recovered: Callable[[float, str], None],
        on_switched: OnSwitched,
        on_died: Callable[[str, str], None],
        confirm_s: float = _CONFIRM_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if len(devices) > MOST_DEVICES:
            raise ValueError(f"{len(devices)} MQTT devices are more than {MOST_DEVICES}: use a second broker")
        self._broker = broker
        self._on_read = on_read
        self._on_contact = on_contact
        self._on_failed = on_failed
        self._on_recovered = on_recovered
        self._on_switched = on_switched
        self._on_died = on_died
        self._confirm_s = confirm_s
        self._clock = clock
        self._states = {key: _State(key, device) for key, device in devices.items()}
        self._readers = _readers(self._states.values())
        self._orders: deque[tuple[str, bool]] = deque()
        self._lock = threading.Lock()  # of the orders and of the end
        self._is_closed = False
        self._connection: Connection | None = None
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="mqtt-devices", daemon=True)

    def start(self) -> None:
        """See `Plugs`."""
        self._thread.start()

    def switch(self, device: str, is_on: bool) -> None:
        """See `Plugs`."""
        state = self._states.get(device)
        if state is None:
            raise ValueError(f"there is no MQTT device {device!r}: name one of the settings")
        if not state.device.can_switch:
            raise NotAllowedError(f"{device} may not be switched: allow it in the settings, and mind what hangs on it")
        with self._lock:
            if self._is_closed:
                raise DeviceClosedError("the MQTT devices are closed: give no orders after the end")
            if len(self._orders) >= _MOST_ORDERS:
                raise DeviceError(f"{_MOST_ORDERS} orders wait already: give fewer")
            self._orders.append((device, is_on))
            os.eventfd_write(self._wake, 1)

    def skipped(self) -> Mapping[str, int]:
        """Count the messages of each device that were not read, or not wholly. For every thread."""
        return {key: state.skipped for key, state in self._states.items()}

    def close(self) -> None:
        """See `Plugs`."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            os.eventfd_write(self._wake, 1)
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            _logger.error("%s did not end in %s s: a receiver hangs", self._thread.name, _JOIN_S)
        else:
            os.close(self._wake)

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            retry_s = _FIRST_RETRY_S
            while not self._is_closed:
                connection = Connection(self._broker, tuple(self._readers), max_packet_bytes=_MAX_PACKET_BYTES)
                try:
                    connection.open()
                    self._serve(connection)
                except DeviceError as error:
                    self._lose(str(error))
                finally:
                    self._connection = None
                    connection.close()
                retry_s = _FIRST_RETRY_S if connection.is_ready else retry_s
                self._pause(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
        except Exception as error:  # the border of this thread
            _logger.exception("the MQTT devices' thread died")
            self._on_died("mqtt devices", f"{type(error).__name__}: {error}")

    def _serve(self, connection: Connection) -> None:
        """Until the end, or until `DeviceError` says that the broker is away."""
        while not self._is_closed:
            arrived = connection.exchange(self._wake, _TICK_S)
            if connection.is_ready and self._connection is None:
                self._begin(connection)
            for message in arrived:
                self._take(message)
            self._take_orders()
            self._look_at_clocks()

    def _begin(self, connection: Connection) -> None:
        self._connection = connection
        now = time.monotonic()
        for state in self._states.values():
            state.heard_at = now  # silence counts from when it could be heard
            self._ask(state, now)

    def _take(self, message: Arrived) -> None:
        now = time.monotonic()
        for state, parse in self._readers.get(message.topic, ()):
            if self._is_closed:
                return
            if not state.budget.take(now):
                self._skip(state, f"it sends more than {_MESSAGES_A_SECOND:.0f} messages a second")
            elif len(message.payload) > MAX_PAYLOAD_BYTES:
                self._skip(state, f"it sent {len(message.payload)} bytes at once")
            else:
                self._hear(state, message, parse(message.payload), now)

    def _hear(self, state: _State, message: Arrived, heard: Heard, now: float) -> None:
        if heard.faults:
            self._skip(state, f"in {message.topic}: {'; '.join(heard.faults)}")
        if heard.is_online is False:
            self._fail(state, f"it is offline by {message.topic}: check its power and its radio")
        elif heard.is_online and not message.is_retained:
            self._ask(state, now)
        if message.is_retained or not (heard.values or heard.states):
            return
        state.heard_at = now
        at = self._clock()
        if state.has_failed:
            state.has_failed = False
            self._on_recovered(at, state.key)
        if heard.values:
            self._on_read(at, state.key, heard.values)
        for name, is_active in heard.states.items():
            self._on_contact(at, state.key, name, is_active)
        if state.order is not None and heard.states.get(SWITCHABLE) is state.order.is_on:
            self._end_order(state, "")

    def _skip(self, state: _State, reason: str) -> None:
        state.skipped += 1
        level = logging.WARNING if state.skipped == 1 else logging.DEBUG
        _logger.log(level, "%s: a message was skipped: %s", state.key, reason)

    def _fail(self, state: _State, reason: str) -> None:
        if not state.has_failed and not self._is_closed:
            state.has_failed = True
            self._on_failed(self._clock(), state.key, reason)

    def _ask(self, state: _State, now: float) -> None:
        state.asked_at = now
        if state.form.ask is not None and self._connection is not None:
            self._connection.publish(*state.command(state.form.ask))

    # --- orders ------------------------------------------------------------------------------------------------------

    def _take_orders(self) -> None:
        """Carry out what was ordered; without a connection it fails at once, for nobody wants it late."""
        with self._lock:
            orders = list(self._orders)
            self._orders.clear()
            if not self._is_closed:
                _drain(self._wake)
        for key, is_on in orders:
            state = self._states[key]
            if state.order is not None:
                self._end_order(state, "a newer order came")
            now = time.monotonic()
            state.order = _Order(is_on, now + self._confirm_s, now + self._confirm_s / 2)
            command = state.form.turn_on if is_on else state.form.turn_off
            if self._connection is None or not self._connection.publish(*state.command(command)):
                self._end_order(state, "the MQTT broker is away: order it again once it is back")
            else:
                self._ask(state, now)

    def _end_order(self, state: _State, reason: str) -> None:
        order, state.order = state.order, None
        if order is not None and not self._is_closed:
            self._on_switched(self._clock(), state.key, order.is_on, reason)

    # --- what does not happen ----------------------------------------------------------------------------------------

    def _look_at_clocks(self) -> None:
        if self._connection is None:
            return
        now = time.monotonic()
        for state in self._states.values():
            silent_s, stale_s = now - state.heard_at, state.device.stale_s
            if silent_s > stale_s:
                skipped = f" and {state.skipped} of its messages could not be read" if state.skipped else ""
                self._fail(state, f"nothing fresh came for {stale_s:g} s{skipped}: check its power, radio and name")
            if silent_s > stale_s / 2 and now - state.asked_at > stale_s / 2:
                self._ask(state, now)
            if state.order is not None and now > state.order.deadline:
                self._end_order(state, f"it did not confirm within {self._confirm_s:g} s: check the device")
            elif state.order is not None and now > state.order.ask_again_at:
                state.order.ask_again_at = state.order.deadline
                self._ask(state, now)

    def _lose(self, reason: str) -> None:
        """The broker is away: nothing is known of any device until it is heard anew."""
        self._connection = None
        for state in self._states.values():
            self._fail(state, reason)
            self._end_order(state, _UNKNOWN_RESULT)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        while not self._is_closed and (left_s := deadline - time.monotonic()) > 0:
            poll.poll(left_s * 1000)
            self._take_orders()


def _readers(states: Iterable[_State]) -> dict[str, list[tuple[_State, Parser]]]:
    """Return who reads each topic, and how: some topics speak for several devices."""
    readers: dict[str, list[tuple[_State, Parser]]] = {}
    for state in states:
        for topic, parse in state.form.topics.items():
            readers.setdefault(topic.format(name=state.device.name), []).append((state, parse))
    return readers


def _drain(wake: int) -> None:
    try:
        os.eventfd_read(wake)
    except BlockingIOError:
        return
