"""MQTT devices at a real mosquitto: what they say, and everything that goes wrong between them and the station."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import DeviceClosedError, NotAllowedError
from drivers.mqtt_connection import MqttBroker
from drivers.mqtt_device import MOST_DEVICES, MqttDevice, MqttDevices
from tests.broker import Mosquitto, free_port
from tests.drivers.mqtt_station import AHEAD_S, Firmware, Reports, served
from tests.drivers.waiting import eventually

FRIDGE = MqttDevice("zigbee2mqtt", "fridge")
KETTLE = MqttDevice("tasmota", "kettle", can_switch=True)
HEATER = MqttDevice("shelly_gen1", "shellyplug-1", can_switch=True)
OVEN = MqttDevice("shelly_gen2", "shellyplugsg3-1", can_switch=True)
TANK = MqttDevice("zigbee2mqtt", "tank", can_switch=True)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def firmware(mosquitto: Mosquitto) -> Iterator[Firmware]:
    with closing(Firmware(mosquitto.port)) as client:
        yield client


@pytest.fixture
def reports() -> Reports:
    return Reports()


def said(reports: Reports, firmware: Firmware, device: str, topic: str, payload: str, *, kind: str = "read") -> bool:
    """Say it until it is heard: the driver may not have subscribed yet."""
    before = len(reports.of(kind, device))

    def heard() -> bool:
        firmware.say(topic, payload)
        time.sleep(0.02)
        return len(reports.of(kind, device)) > before

    return eventually(heard)


# --- what they say ---------------------------------------------------------------------------------------------------


def test_devices_of_every_form_are_read_over_one_connection(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    devices = {"fridge": FRIDGE, "kettle": KETTLE, "heater": HEATER, "oven": OVEN}
    with served(mosquitto.port, devices, reports):
        assert said(reports, firmware, "fridge", "zigbee2mqtt/fridge", '{"power": 61.5, "contact": false}')
        firmware.say("tele/kettle/SENSOR", '{"ENERGY": {"Power": 1843, "Voltage": 221, "Total": 7.25}}')
        firmware.say("shellies/shellyplug-1/relay/0/power", "43.5")
        firmware.say("shellies/shellyplug-1/relay/0", "on")
        status = {"switch:0": {"apower": 12.5, "output": True, "aenergy": {"total": 900}}}
        firmware.say("shellyplugsg3-1/events/rpc", json.dumps({"method": "NotifyStatus", "params": status}))
        assert eventually(lambda: reports.of("contact", "oven") == [("on", True)])
    assert reports.values("fridge") == {"power_w": 61.5}
    assert reports.values("kettle") == {"power_w": 1843.0, "voltage_v": 221.0, "energy_kwh": 7.25}
    assert reports.values("heater") == {"power_w": 43.5}
    assert reports.values("oven") == pytest.approx({"power_w": 12.5, "energy_kwh": 0.9})
    assert ("open", True) in reports.of("contact", "fridge")
    assert ("on", True) in reports.of("contact", "heater")
    assert not [each for each in reports.all if each[0] in ("failed", "recovered")]
    now = time.monotonic() + AHEAD_S
    assert all(now - 60 < at <= now for at in reports.times)


def test_a_name_in_folders_and_in_chinese_is_served(mosquitto: Mosquitto, firmware: Firmware, reports: Reports) -> None:
    with served(mosquitto.port, {"microwave": MqttDevice("zigbee2mqtt", "厨房/微波炉")}, reports):
        assert said(reports, firmware, "microwave", "zigbee2mqtt/厨房/微波炉", '{"power": 900}')


def test_devices_are_asked_for_their_state_after_each_connection(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    firmware.answer(
        "cmnd/kettle/STATUS", lambda _: firmware.say("stat/kettle/STATUS10", '{"StatusSNS": {"ENERGY": {"Power": 5}}}')
    )
    firmware.answer(
        "shellyplugsg3-1/command/switch:0", lambda _: firmware.say("shellyplugsg3-1/status/switch:0", '{"apower": 6}')
    )
    firmware.answer("shellies/shellyplug-1/command", lambda _: firmware.say("shellies/shellyplug-1/relay/0/power", "7"))
    with served(mosquitto.port, {"kettle": KETTLE, "oven": OVEN, "heater": HEATER}, reports):
        assert eventually(lambda: all(reports.of("read", each) for each in ("kettle", "oven", "heater")))
    assert [reports.values(each)["power_w"] for each in ("kettle", "oven", "heater")] == [5.0, 6.0, 7.0]
    assert {(topic, payload) for topic, payload, _ in firmware.heard} == {
        ("cmnd/kettle/STATUS", b"10"),
        ("shellyplugsg3-1/command/switch:0", b"status_update"),
        ("shellies/shellyplug-1/command", b"update"),
    }


def test_a_value_that_the_broker_kept_is_no_reading_and_no_proof_of_life(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    firmware.say("zigbee2mqtt/fridge", '{"power": 61.5, "contact": true}', retain=True)
    firmware.say("zigbee2mqtt/fridge/availability", '{"state": "online"}', retain=True)
    with served(mosquitto.port, {"fridge": MqttDevice("zigbee2mqtt", "fridge", stale_s=0.5)}, reports):
        assert eventually(lambda: reports.of("failed", "fridge") != [])
        assert "nothing fresh came for 0.5 s" in reports.of("failed", "fridge")[0]
        firmware.say("zigbee2mqtt/fridge", '{"power": 62}', retain=True)  # fresh, though the broker keeps it as well
        assert eventually(lambda: reports.values("fridge") == {"power_w": 62.0})
    assert [each[0] for each in reports.all][:3] == ["failed", "recovered", "read"]
    assert reports.of("contact", "fridge") == []


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_device_that_dies_is_offline_by_its_last_will_and_recovers_with_its_next_value(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    dying = Firmware(mosquitto.port, will=("tele/kettle/LWT", "Offline"))
    with closing(dying), served(mosquitto.port, {"kettle": KETTLE, "fridge": FRIDGE}, reports):
        assert said(reports, dying, "kettle", "tele/kettle/SENSOR", '{"ENERGY": {"Power": 3}}')
        dying.die()
        assert eventually(lambda: reports.of("failed", "kettle") != [])
        assert "offline by tele/kettle/LWT" in reports.of("failed", "kettle")[0]
        firmware.say("tele/kettle/LWT", "Online", retain=True)
        assert said(reports, firmware, "kettle", "tele/kettle/SENSOR", '{"ENERGY": {"Power": 4}}')
        assert eventually(lambda: reports.values("kettle") == {"power_w": 4.0})
    kinds = [each[0] for each in reports.all if each[1] == "kettle"]
    assert kinds.index("failed") < kinds.index("recovered") < len(kinds) - 1
    assert kinds.count("failed") == kinds.count("recovered") == 1
    assert reports.of("failed", "fridge") == []


def test_a_device_that_is_online_again_is_asked_and_recovers_with_its_answer(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    firmware.answer("cmnd/kettle/STATUS", lambda _: None)
    with served(mosquitto.port, {"kettle": KETTLE}, reports):
        assert eventually(lambda: len(firmware.heard) == 1)
        firmware.say("tele/kettle/LWT", "Offline", retain=True)
        assert eventually(lambda: reports.of("failed", "kettle") != [])
        firmware.answer(
            "cmnd/kettle/STATUS",
            lambda _: firmware.say("stat/kettle/STATUS10", '{"StatusSNS": {"ENERGY": {"Power": 9}}}'),
        )
        firmware.say("tele/kettle/LWT", "Online", retain=True)
        assert eventually(lambda: reports.values("kettle") == {"power_w": 9.0})
    assert [each[0] for each in reports.all] == ["failed", "recovered", "read"]


def test_a_last_will_that_the_broker_kept_is_believed(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    firmware.say("shellyplugsg3-1/online", "false", retain=True)
    with served(mosquitto.port, {"oven": OVEN}, reports):
        assert eventually(lambda: reports.of("failed", "oven") != [])
    assert "offline by shellyplugsg3-1/online" in reports.of("failed", "oven")[0]


def test_all_zigbee_devices_fail_with_their_bridge_and_no_others(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    with served(mosquitto.port, {"fridge": FRIDGE, "tank": TANK, "kettle": KETTLE}, reports):
        assert said(reports, firmware, "fridge", "zigbee2mqtt/fridge", '{"power": 1}')
        firmware.say("zigbee2mqtt/bridge/state", '{"state": "offline"}', retain=True)
        assert eventually(lambda: bool(reports.of("failed", "fridge") and reports.of("failed", "tank")))
    assert reports.of("failed", "kettle") == []


def test_a_device_that_falls_silent_is_asked_and_then_fails(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    firmware.answer("cmnd/kettle/STATUS", lambda _: None)
    with served(mosquitto.port, {"kettle": MqttDevice("tasmota", "kettle", stale_s=1.0)}, reports):
        assert said(reports, firmware, "kettle", "tele/kettle/SENSOR", '{"ENERGY": {"Power": 3}}')
        assert eventually(lambda: reports.of("failed", "kettle") != [])
        assert len(firmware.heard) >= 2  # after it connected, and before it gave up
        assert said(reports, firmware, "kettle", "tele/kettle/STATE", '{"POWER": "ON"}', kind="contact")
    assert [each[0] for each in reports.all if each[0] in ("failed", "recovered")] == ["failed", "recovered"]


def test_a_broker_that_is_killed_fails_everything_once_and_is_found_again(
    mosquitto: Mosquitto, reports: Reports
) -> None:
    with served(mosquitto.port, {"fridge": FRIDGE, "kettle": KETTLE}, reports):
        with closing(Firmware(mosquitto.port)) as before:
            assert said(reports, before, "fridge", "zigbee2mqtt/fridge", '{"power": 1}')
        mosquitto.kill()
        assert eventually(lambda: bool(reports.of("failed", "fridge") and reports.of("failed", "kettle")))
        assert "broker" in reports.of("failed", "fridge")[0]
        time.sleep(1.0)  # some attempts
        mosquitto.start()
        with closing(Firmware(mosquitto.port)) as after:
            assert said(reports, after, "fridge", "zigbee2mqtt/fridge", '{"power": 2}')
    assert len(reports.of("failed", "fridge")) == len(reports.of("failed", "kettle")) == 1
    assert len([each for each in reports.all if each[:2] == ("recovered", "fridge")]) == 1
    assert not [each for each in reports.all if each[:2] == ("recovered", "kettle")]
    assert reports.values("fridge") == {"power_w": 2.0}


def test_a_broker_that_is_not_there_is_said_once_and_ends_quickly(reports: Reports) -> None:
    with served(free_port(), {"fridge": FRIDGE}, reports):
        assert eventually(lambda: reports.of("failed", "fridge") != [])
        time.sleep(1.2)
    assert len(reports.all) == 1
    assert "cannot be reached" in reports.of("failed", "fridge")[0]


GARBAGE: list[str | bytes] = [
    "garbage",
    b"\xff\xfe\x00",
    '{"power": NaN}',
    '{"power": "61"}',
    "[" * 10_000,
    '{"power": 1e999}',
    "null",
    b"x" * 20_000,
]


def test_garbage_is_skipped_counted_and_said_once(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING, "drivers.mqtt_device"),
        served(mosquitto.port, {"fridge": FRIDGE}, reports) as driver,
    ):
        assert said(reports, firmware, "fridge", "zigbee2mqtt/fridge", '{"power": 1}')
        before = len(reports.all)
        for each in GARBAGE:
            firmware.say("zigbee2mqtt/fridge", each)
        assert said(reports, firmware, "fridge", "zigbee2mqtt/fridge", '{"power": 2}')
        # The last is longer than is taken at all: the broker keeps it back.
        assert driver.skipped() == {"fridge": len(GARBAGE) - 1}
    assert {json.dumps(each[2]) for each in reports.all[before:]} == {'{"power_w": 2.0}'}
    warnings = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "fridge: a message was skipped" in warnings[0].getMessage()


def test_a_device_that_sends_only_garbage_fails_and_says_so(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    with served(mosquitto.port, {"fridge": MqttDevice("zigbee2mqtt", "fridge", stale_s=1.0)}, reports) as driver:

        def garbled() -> bool:
            firmware.say("zigbee2mqtt/fridge", "{")
            time.sleep(0.05)
            return driver.skipped()["fridge"] > 3

        assert eventually(garbled)
        assert eventually(lambda: reports.of("failed", "fridge") != [])
    assert "of its messages could not be read" in reports.of("failed", "fridge")[0]


@pytest.mark.parametrize("retain", [False, True])
def test_a_megabyte_never_reaches_the_station_and_ends_nothing(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports, retain: bool
) -> None:
    huge = b'{"power": 1, "x": "' + b"x" * 1_000_000 + b'"}'
    if retain:
        firmware.say("zigbee2mqtt/fridge", huge, retain=True)
    with served(mosquitto.port, {"fridge": FRIDGE, "tank": TANK}, reports):
        firmware.say("zigbee2mqtt/fridge", huge)
        assert said(reports, firmware, "tank", "zigbee2mqtt/tank", '{"temperature": 4.5}')
        firmware.say("zigbee2mqtt/fridge", huge)
        assert said(reports, firmware, "fridge", "zigbee2mqtt/fridge", '{"power": 2}')
    assert reports.values("fridge") == {"power_w": 2.0}
    assert not [each for each in reports.all if each[0] == "failed"]


def test_a_flood_of_one_device_is_dropped_and_the_others_are_served(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    with served(mosquitto.port, {"fridge": FRIDGE, "tank": TANK}, reports) as driver:
        assert said(reports, firmware, "tank", "zigbee2mqtt/tank", '{"temperature": 4}')
        began = time.monotonic()
        with closing(Firmware(mosquitto.port)) as flooding:
            for number in range(5_000):
                flooding.say("zigbee2mqtt/fridge", f'{{"power": {number}}}', qos=0)
            assert said(reports, firmware, "tank", "zigbee2mqtt/tank", '{"temperature": 5}')
            assert eventually(lambda: driver.skipped()["fridge"] > 1_000)
            assert said(reports, firmware, "tank", "zigbee2mqtt/tank", '{"temperature": 6}')
        took_s = time.monotonic() - began
        time.sleep(0.3)  # a few may come again
        assert said(reports, firmware, "fridge", "zigbee2mqtt/fridge", '{"power": 7777}')
    assert len(reports.of("read", "fridge")) <= 50 + 10 * (took_s + 11)
    assert driver.skipped()["tank"] == 0
    assert not [each for each in reports.all if each[0] == "failed"]


# --- switching -------------------------------------------------------------------------------------------------------

FIRMWARES: list[tuple[MqttDevice, str, dict[bytes, tuple[str, str]]]] = [
    (
        TANK,
        "zigbee2mqtt/tank/set",
        {
            b'{"state":"ON"}': ("zigbee2mqtt/tank", '{"state": "ON"}'),
            b'{"state":"OFF"}': ("zigbee2mqtt/tank", '{"state": "OFF"}'),
        },
    ),
    (KETTLE, "cmnd/kettle/POWER", {b"ON": ("stat/kettle/POWER", "ON"), b"OFF": ("stat/kettle/POWER", "OFF")}),
    (
        HEATER,
        "shellies/shellyplug-1/relay/0/command",
        {b"on": ("shellies/shellyplug-1/relay/0", "on"), b"off": ("shellies/shellyplug-1/relay/0", "off")},
    ),
    (
        OVEN,
        "shellyplugsg3-1/command/switch:0",
        {
            b"on": ("shellyplugsg3-1/status/switch:0", '{"output": true}'),
            b"off": ("shellyplugsg3-1/status/switch:0", '{"output": false}'),
        },
    ),
]


@pytest.mark.parametrize(("device", "topic", "states"), FIRMWARES, ids=[each[0].form for each in FIRMWARES])
def test_an_order_is_confirmed_by_the_device_itself(
    mosquitto: Mosquitto,
    firmware: Firmware,
    reports: Reports,
    device: MqttDevice,
    topic: str,
    states: dict[bytes, tuple[str, str]],
) -> None:
    firmware.answer(topic, lambda order: firmware.say(*states[order]) if order in states else None)
    with served(mosquitto.port, {"plug": device}, reports) as driver:
        first_topic, first = next(iter(states.values()))
        assert said(reports, firmware, "plug", first_topic, first, kind="contact")
        for is_on in (False, True, True):
            driver.switch("plug", is_on)
            before = len(reports.of("switched", "plug"))
            assert eventually(lambda before=before: len(reports.of("switched", "plug")) > before)  # type: ignore[misc]
    assert reports.of("switched", "plug") == [(False, ""), (True, ""), (True, "")]
    orders = [each for each in firmware.heard if each[1] in states]
    assert len(orders) == 3
    assert not any(is_retained for _topic, _order, is_retained in orders)
    with closing(Firmware(mosquitto.port)) as later:  # nothing stays at the broker to switch it again some day
        later.answer(topic, lambda _: None)
        later.answer("end", lambda _: None)
        later.say("end", "x")
        assert eventually(lambda: bool(later.heard))
        assert [each[0] for each in later.heard] == ["end"]


def connected(reports: Reports, firmware: Firmware) -> bool:
    return said(reports, firmware, "kettle", "tele/kettle/STATE", '{"POWER": "OFF"}', kind="contact")


def test_an_order_that_the_device_does_not_confirm_is_reported_as_failed(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    firmware.answer("cmnd/kettle/POWER", lambda _: firmware.say("stat/kettle/POWER", "OFF"))  # its relay is stuck
    with served(mosquitto.port, {"kettle": KETTLE}, reports, confirm_s=0.5) as driver:
        assert connected(reports, firmware)
        driver.switch("kettle", True)
        assert eventually(lambda: reports.of("switched", "kettle") != [])
    [(is_on, reason)] = reports.of("switched", "kettle")
    assert is_on is True
    assert "did not confirm within 0.5 s" in reason


def test_a_newer_order_replaces_one_that_is_not_confirmed(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    firmware.answer(
        "cmnd/kettle/POWER", lambda order: firmware.say("stat/kettle/POWER", "OFF") if order == b"OFF" else None
    )
    with served(mosquitto.port, {"kettle": KETTLE}, reports) as driver:
        assert connected(reports, firmware)
        driver.switch("kettle", True)
        assert eventually(lambda: ("cmnd/kettle/POWER", b"ON", False) in firmware.heard)
        driver.switch("kettle", False)
        assert eventually(lambda: len(reports.of("switched", "kettle")) == 2)
    assert reports.of("switched", "kettle") == [(True, "a newer order came"), (False, "")]


def test_an_order_without_a_broker_fails_at_once_and_is_never_carried_out(
    mosquitto: Mosquitto, reports: Reports
) -> None:
    with served(mosquitto.port, {"kettle": KETTLE}, reports) as driver:
        with closing(Firmware(mosquitto.port)) as before:
            assert connected(reports, before)
        mosquitto.kill()
        assert eventually(lambda: reports.of("failed", "kettle") != [])
        driver.switch("kettle", True)
        assert eventually(lambda: reports.of("switched", "kettle") != [])
        mosquitto.start()
        with closing(Firmware(mosquitto.port)) as after:
            after.answer("cmnd/kettle/POWER", lambda _: None)
            assert connected(reports, after)
            assert after.heard == []
    [(is_on, reason)] = reports.of("switched", "kettle")
    assert is_on is True
    assert "broker is away" in reason


def test_an_order_that_is_under_way_when_the_broker_goes_is_reported_as_unknown(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    firmware.answer("cmnd/kettle/POWER", lambda _: None)
    with served(mosquitto.port, {"kettle": KETTLE}, reports, confirm_s=60.0) as driver:
        assert connected(reports, firmware)
        driver.switch("kettle", True)
        assert eventually(lambda: firmware.heard != [])
        mosquitto.kill()
        assert eventually(lambda: reports.of("switched", "kettle") != [])
    assert "whether it was carried out" in reports.of("switched", "kettle")[0][1]


def test_what_may_not_be_switched_is_refused_and_nothing_is_published(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    firmware.answer("zigbee2mqtt/fridge/set", lambda _: None)
    with served(mosquitto.port, {"fridge": FRIDGE}, reports) as driver:
        assert said(reports, firmware, "fridge", "zigbee2mqtt/fridge", '{"power": 1}')
        with pytest.raises(NotAllowedError, match="fridge may not be switched"):
            driver.switch("fridge", False)
        with pytest.raises(ValueError, match="there is no MQTT device 'other'"):
            driver.switch("other", False)
        assert said(reports, firmware, "fridge", "zigbee2mqtt/fridge", '{"power": 2}')
    assert firmware.heard == []
    assert [each for each in reports.all if each[0] == "switched"] == []


def test_a_closed_driver_takes_no_orders(mosquitto: Mosquitto, reports: Reports) -> None:
    with served(mosquitto.port, {"kettle": KETTLE}, reports) as driver:
        driver.close()
        with pytest.raises(DeviceClosedError, match="closed"):
            driver.switch("kettle", True)


# --- coming in -------------------------------------------------------------------------------------------------------


def test_a_password_is_read_from_its_file_and_a_wrong_one_is_named_as_the_fault(
    tmp_path: Path, reports: Reports
) -> None:
    passwords, secret = tmp_path / "passwords", tmp_path / "secret"
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(passwords), "station", "right"], check=True, capture_output=True
    )
    passwords.chmod(0o600)
    server = Mosquitto(tmp_path, ("allow_anonymous false", f"password_file {passwords}"))
    server.start()
    try:
        secret.write_text("wrong\n")
        broker = MqttBroker("127.0.0.1", server.port, username="station", password_file=secret)
        with served(server.port, {"fridge": FRIDGE}, reports, broker=broker):
            assert eventually(lambda: reports.of("failed", "fridge") != [])
            secret.write_text("right\n")
            assert eventually(lambda: "as " in server.log() and "u'station'" in server.log())
    finally:
        server.stop()
    assert "refused" in reports.of("failed", "fridge")[0]
    assert "wrong" not in str(reports.all)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"x" * 70_000])
def test_a_password_file_that_is_none_is_named_as_the_fault_without_what_is_in_it(
    mosquitto: Mosquitto, tmp_path: Path, reports: Reports, content: bytes | None
) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    broker = MqttBroker("127.0.0.1", mosquitto.port, username="station", password_file=secret)
    with served(mosquitto.port, {"fridge": FRIDGE}, reports, broker=broker):
        assert eventually(lambda: reports.of("failed", "fridge") != [])
    [reason] = reports.of("failed", "fridge")
    assert str(secret) in reason
    assert "xxx" not in reason


def test_settings_that_cannot_be_are_refused(reports: Reports) -> None:
    nothing: dict[str, Any] = {**reports.receivers(), "on_died": lambda *_: None}
    with pytest.raises(ValueError, match="there is no form 'zwave'"):
        MqttDevice("zwave", "a")
    with pytest.raises(ValueError, match="give more than 0"):
        MqttDevice("tasmota", "a", stale_s=0.0)
    with pytest.raises(ValueError, match="is not a device's name"):
        MqttDevice("tasmota", "+")
    many = {str(number): MqttDevice("tasmota", f"a{number}") for number in range(MOST_DEVICES + 1)}
    with pytest.raises(ValueError, match="use a second broker"):
        MqttDevices(MqttBroker(), many, **nothing)


def test_as_many_devices_as_may_be_are_served_over_one_connection(
    mosquitto: Mosquitto, firmware: Firmware, reports: Reports
) -> None:
    many = {f"d{number}": MqttDevice("shelly_gen2", f"d{number}") for number in range(MOST_DEVICES)}
    with served(mosquitto.port, many, reports):
        last = f"d{MOST_DEVICES - 1}"
        assert said(reports, firmware, last, f"{last}/status/devicepower:0", '{"battery": {"percent": 5}}')
        assert said(reports, firmware, "d0", "d0/online", "false", kind="failed")


def test_a_receiver_that_fails_ends_the_thread_and_is_told(mosquitto: Mosquitto, firmware: Firmware) -> None:
    died = threading.Event()
    reasons: list[tuple[str, str]] = []

    def note(worker: str, reason: str) -> None:
        reasons.append((worker, reason))
        died.set()

    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    receivers: dict[str, Any] = {**Reports().receivers(), "on_read": fail}
    driver = MqttDevices(MqttBroker("127.0.0.1", mosquitto.port), {"fridge": FRIDGE}, **receivers, on_died=note)
    driver.start()
    try:
        while not died.wait(0.05):
            firmware.say("zigbee2mqtt/fridge", '{"power": 1}')
    finally:
        driver.close()
    assert reasons == [("mqtt devices", "RuntimeError: a mistake")]


def documented_access(folder: Path) -> tuple[str, ...]:
    """The documentation's access list at work, with an account for each who speaks; all have the same password."""
    text = (Path(__file__).parents[2] / "docs" / "sensors.md").read_text(encoding="utf-8")
    [listed] = [each for each in text.split("```\n") if each.startswith("# mosquitto's acl_file")]
    (folder / "access").write_text(listed)
    passwords = folder / "passwords"
    for number, name in enumerate(("station", "zigbee2mqtt", "kettle", "shellyplug-1", "shellyplugsg3-1")):
        create = ["-c"] if number == 0 else []
        command = ["mosquitto_passwd", "-b", *create, str(passwords), name, "secret"]
        subprocess.run(command, check=True, capture_output=True)
    for path in (passwords, folder / "access"):
        path.chmod(0o600)
    return "allow_anonymous false", f"password_file {passwords}", f"acl_file {folder / 'access'}"


def test_the_documented_access_list_allows_what_is_needed_and_no_device_speaks_for_another(
    tmp_path: Path, reports: Reports
) -> None:
    server = Mosquitto(tmp_path, documented_access(tmp_path))
    server.start()
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    broker = MqttBroker("127.0.0.1", server.port, username="station", password_file=secret)
    devices = {"tank": TANK, "kettle": KETTLE, "heater": HEATER, "oven": OVEN}
    owners = ("zigbee2mqtt", "kettle", "shellyplug-1", "shellyplugsg3-1")
    try:
        with ExitStack() as stack:
            clients = [stack.enter_context(closing(Firmware(server.port, account=(name, "secret")))) for name in owners]
            for client, (_device, topic, states) in zip(clients, FIRMWARES, strict=True):
                client.answer(
                    topic,
                    lambda order, c=client, s=states: c.say(*s[order]) if order in s else None,  # type: ignore[misc]
                )
            driver = stack.enter_context(served(server.port, devices, reports, broker=broker))
            for name, client, (_device, _topic, states) in zip(devices, clients, FIRMWARES, strict=True):
                off, on = (states[order] for order in sorted(states))
                assert said(reports, client, name, *off, kind="contact")
                driver.switch(name, True)
                assert eventually(lambda name=name: reports.of("switched", name) == [(True, "")])  # type: ignore[misc]
                assert said(reports, client, name, *off, kind="contact")
                before = len(reports.of("contact", name))
                for other in clients:
                    if other is not client:
                        other.say(*on, retain=True)  # as if it were the one; waits until the broker has it
                assert said(reports, client, name, *off, kind="contact")
                assert ("on", True) not in reports.of("contact", name)[before:]
    finally:
        server.stop()
