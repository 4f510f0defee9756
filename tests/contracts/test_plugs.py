"""What every smart plug promises, whatever it is made of: simulated, or in each maker's form at a real broker."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from drivers.errors import DeviceClosedError, NotAllowedError
from drivers.mqtt_device import MqttDevice, Plugs
from drivers.simulated.plug import SimulatedPlug
from tests.broker import Mosquitto
from tests.drivers.mqtt_station import Firmware, Reports, served, station_time
from tests.drivers.waiting import eventually


class Rig(ABC):
    """A plug named `plug` that begins switched on, and an appliance in it."""

    def __init__(self) -> None:
        self.on_exit = ExitStack()
        self.reports = Reports()

    @abstractmethod
    def plug(self, *, can_switch: bool) -> Plugs:
        """It has started, and has been heard."""

    @abstractmethod
    def draw(self, power_w: float) -> None:
        """The appliance would draw this."""

    @abstractmethod
    def lose(self) -> None:
        """The plug goes out of reach."""

    @abstractmethod
    def find(self) -> None:
        """It is in reach again."""


class SimulatedRig(Rig):
    def plug(self, *, can_switch: bool) -> Plugs:
        self._plug = SimulatedPlug("plug", **self.reports.receivers(), can_switch=can_switch, clock=station_time)
        self._plug.start()
        return self.on_exit.enter_context(closing(self._plug))

    def draw(self, power_w: float) -> None:
        self._plug.set_power(power_w)

    def lose(self) -> None:
        self._plug.go_offline()

    def find(self) -> None:
        self._plug.come_back()


class MqttRig(Rig):
    """The real driver, and a firmware that behaves as a plug: it obeys, answers and says what it measures."""

    form: str
    command: str
    turn_on: bytes
    turn_off: bytes

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._mosquitto = Mosquitto(folder)
        self._mosquitto.start()
        self.on_exit.callback(self._mosquitto.stop)
        self.firmware = self.on_exit.enter_context(closing(Firmware(self._mosquitto.port)))
        self.is_on = True
        self.power_w = 0.0
        self.is_in_reach = True
        self._lock = threading.RLock()  # it speaks on two threads, and must say things in their order
        self.firmware.answer(self.command, self.obey)

    @abstractmethod
    def tell(self, power_w: float, is_on: bool) -> None: ...

    @abstractmethod
    def tell_availability(self, is_online: bool) -> None: ...

    def obey(self, order: bytes) -> None:
        with self._lock:
            if order in (self.turn_on, self.turn_off):  # and not a question
                self.is_on = order == self.turn_on
            self.report()

    def report(self) -> None:
        with self._lock:
            if self.is_in_reach:
                self.tell(self.power_w if self.is_on else 0.0, self.is_on)

    def plug(self, *, can_switch: bool) -> Plugs:
        devices = {"plug": MqttDevice(self.form, "p1", can_switch=can_switch)}
        driver = self.on_exit.enter_context(served(self._mosquitto.port, devices, self.reports))

        def is_heard() -> bool:
            self.report()
            time.sleep(0.02)
            return bool(self.reports.of("contact", "plug"))

        assert eventually(is_heard)
        return driver

    def draw(self, power_w: float) -> None:
        with self._lock:
            self.power_w = power_w
            self.report()

    def lose(self) -> None:
        with self._lock:
            self.is_in_reach = False
            self.tell_availability(False)

    def find(self) -> None:
        with self._lock:
            self.is_in_reach = True
            self.tell_availability(True)
            self.report()


class ZigbeeRig(MqttRig):
    form = "zigbee2mqtt"
    command = "zigbee2mqtt/p1/set"
    turn_on, turn_off = b'{"state":"ON"}', b'{"state":"OFF"}'

    def tell(self, power_w: float, is_on: bool) -> None:
        self.firmware.say("zigbee2mqtt/p1", f'{{"power": {power_w}, "state": "{"ON" if is_on else "OFF"}"}}')

    def tell_availability(self, is_online: bool) -> None:
        self.firmware.say("zigbee2mqtt/p1/availability", f'{{"state": "{"online" if is_online else "offline"}"}}')


class TasmotaRig(MqttRig):
    form = "tasmota"
    command = "cmnd/p1/POWER"
    turn_on, turn_off = b"ON", b"OFF"

    def tell(self, power_w: float, is_on: bool) -> None:
        self.firmware.say("tele/p1/SENSOR", f'{{"ENERGY": {{"Power": {power_w}}}}}')
        self.firmware.say("stat/p1/POWER", "ON" if is_on else "OFF")

    def tell_availability(self, is_online: bool) -> None:
        self.firmware.say("tele/p1/LWT", "Online" if is_online else "Offline")


class FirstShellyRig(MqttRig):
    form = "shelly_gen1"
    command = "shellies/p1/relay/0/command"
    turn_on, turn_off = b"on", b"off"

    def tell(self, power_w: float, is_on: bool) -> None:
        self.firmware.say("shellies/p1/relay/0/power", f"{power_w:.2f}")
        self.firmware.say("shellies/p1/relay/0", "on" if is_on else "off")

    def tell_availability(self, is_online: bool) -> None:
        self.firmware.say("shellies/p1/online", "true" if is_online else "false")


class LaterShellyRig(MqttRig):
    form = "shelly_gen2"
    command = "p1/command/switch:0"
    turn_on, turn_off = b"on", b"off"

    def tell(self, power_w: float, is_on: bool) -> None:
        output = "true" if is_on else "false"
        status = f'{{"switch:0": {{"id": 0, "apower": {power_w}, "output": {output}}}}}'
        self.firmware.say("p1/events/rpc", f'{{"method": "NotifyStatus", "params": {status}}}')

    def tell_availability(self, is_online: bool) -> None:
        self.firmware.say("p1/online", "true" if is_online else "false")


@pytest.fixture(params=[SimulatedRig, ZigbeeRig, TasmotaRig, FirstShellyRig, LaterShellyRig])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rig: Rig = request.param() if request.param is SimulatedRig else request.param(tmp_path)
    with rig.on_exit:
        yield rig


def is_latest(rig: Rig, power_w: float, *, is_on: bool) -> bool:
    contacts = [is_active for name, is_active in rig.reports.of("contact", "plug") if name == "on"]
    return rig.reports.values("plug").get("power_w") == power_w and contacts[-1:] == [is_on]


def test_a_plug_reports_what_is_drawn_with_its_station_time(rig: Rig) -> None:
    began = station_time()
    rig.plug(can_switch=False)
    for power_w in (1043.5, 2.5, 0.0):
        rig.draw(power_w)
        assert eventually(lambda power_w=power_w: is_latest(rig, power_w, is_on=True))  # type: ignore[misc]
    assert rig.reports.times == sorted(rig.reports.times)
    assert began - 0.001 <= rig.reports.times[0] <= rig.reports.times[-1] <= station_time() + 0.001
    assert {each[0] for each in rig.reports.all} == {"read", "contact"}


def test_a_plug_that_is_switched_off_draws_nothing_until_it_is_on_again(rig: Rig) -> None:
    plug = rig.plug(can_switch=True)
    rig.draw(800.0)
    assert eventually(lambda: is_latest(rig, 800.0, is_on=True))
    plug.switch("plug", False)
    assert eventually(lambda: is_latest(rig, 0.0, is_on=False))
    rig.draw(900.0)  # the appliance would
    plug.switch("plug", True)
    assert eventually(lambda: is_latest(rig, 900.0, is_on=True))
    assert eventually(lambda: len(rig.reports.of("switched", "plug")) == 2)
    assert rig.reports.of("switched", "plug") == [(False, ""), (True, "")]


def test_a_plug_that_may_not_be_switched_stays_as_it_is(rig: Rig) -> None:
    plug = rig.plug(can_switch=False)
    with pytest.raises(NotAllowedError, match="plug may not be switched"):
        plug.switch("plug", False)
    with pytest.raises(ValueError, match="there is no MQTT device 'other'"):
        plug.switch("other", False)
    rig.draw(50.0)
    assert eventually(lambda: is_latest(rig, 50.0, is_on=True))
    assert rig.reports.of("switched", "plug") == []


def test_a_plug_out_of_reach_is_told_once_and_once_when_it_is_back_before_its_values(rig: Rig) -> None:
    rig.plug(can_switch=False)
    rig.draw(10.0)
    assert eventually(lambda: is_latest(rig, 10.0, is_on=True))
    for count in (1, 2):
        rig.lose()
        rig.lose()
        assert eventually(lambda count=count: len(rig.reports.of("failed", "plug")) == count)  # type: ignore[misc]
        begin = len(rig.reports.all)
        rig.find()
        assert eventually(lambda begin=begin: "read" in [each[0] for each in rig.reports.all[begin:]])  # type: ignore[misc]
        assert rig.reports.all[begin][0] == "recovered"
    kinds = [each[0] for each in rig.reports.all]
    assert kinds.count("failed") == kinds.count("recovered") == 2
    assert all(reason for reason in rig.reports.of("failed", "plug"))


def test_a_closed_plug_reports_nothing_and_takes_no_orders(rig: Rig) -> None:
    plug = rig.plug(can_switch=True)
    plug.close()
    plug.close()
    before = len(rig.reports.all)
    rig.draw(70.0)
    rig.lose()
    rig.find()
    with pytest.raises(DeviceClosedError, match="closed"):
        plug.switch("plug", False)
    time.sleep(0.1)
    assert len(rig.reports.all) == before
