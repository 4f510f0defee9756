"""Sensors, contacts, plugs and appliances in the settings: what is right, and every wrong pair in plain words."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.appliance_kinds import KINDS
from agent.core.problems import Problem
from agent.core.room import Source
from agent.core.welfare import WelfareRules
from agent.rules import rules_of, sensors_of
from agent.sensor_settings import METERS, PLUGS
from agent.settings import Settings, SettingsError, settings_from

REAL = "[station]\nid = 't-1'\n[lock]\npin = 17\n[contact]\npin = 27\n[exit_button]\npin = 22\n"
LINE = "[serial.a]\nport = '/dev/ttyUSB0'\n"
METER = LINE + "[sensors.m]\ndriver = 'sdm120'\nline = 'a'\naddress = 1\n"
PLUG = "[sensors.p]\ndriver = 'tasmota'\ndevice = 'plug-1'\n"
FRIDGE = "[sensors.t]\ndriver = 'ds18b20'\ndevice = '28-0316a2794aff'\n"
ALL_KINDS = (
    METER
    + PLUG
    + FRIDGE
    + """
[sensors.air]
driver = "iio"
device = "bme280@1-0076"
interval_s = 60.0
[sensors.leak]
driver = "zigbee2mqtt"
device = "kitchen/leak"
stale_s = 90000.0
[sensors.radar]
driver = "ld2410"
port = "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"
[contacts.tank]
kind = "water"
pin = 5
[contacts.floor]
kind = "leak"
sensor = "leak"
[contacts.grid]
kind = "mains"
pin = 6
[counter]
fitted = true
outer_pin = 19
inner_pin = 20
[appliances.dispenser]
kind = "water_dispenser"
power = "m"
water = "tank"
[appliances.lamp]
kind = "light"
power = "p"
can_switch = true
[appliances.fridge]
kind = "refrigerator"
temperature = "t"
"""
)


def load(text: str) -> Settings:
    return settings_from(tomllib.loads(REAL + text), Path())


def problems(text: str) -> list[Problem]:
    with pytest.raises(SettingsError) as caught:
        load(text)
    return list(caught.value.problems)


def test_every_kind_of_sensor_can_be_described() -> None:
    settings = load(ALL_KINDS)

    assert {each.driver for each in settings.sensors.values()} >= {"sdm120", "tasmota", "ds18b20", "iio", "ld2410"}
    assert sensors_of(settings) == {
        "sensors.m": "sdm120",
        "sensors.p": "tasmota",
        "sensors.t": "ds18b20",
        "sensors.air": "iio",
        "sensors.leak": "zigbee2mqtt",
        "sensors.radar": "ld2410",
        "contacts.tank": "water",
        "contacts.floor": "leak",
        "contacts.grid": "mains",
        "counter": "counter",
    }


def test_sensors_are_asked_at_the_pace_of_their_kind_and_too_old_after_five_missed_readings() -> None:
    settings = load(ALL_KINDS)
    rules = rules_of(settings)

    assert [settings.sensors[name].pace_s for name in ("m", "t", "air")] == [2.0, 30.0, 60.0]
    assert [settings.sensors[name].silence_s for name in ("m", "t", "air", "p")] == [10.0, 150.0, 300.0, 900.0]
    assert (rules.appliances["dispenser"].meter, rules.appliances["dispenser"].stale_after_s) == ("m", 10.0)
    assert (rules.appliances["lamp"].meter, rules.appliances["lamp"].stale_after_s) == ("p", 900.0)
    assert rules.appliances["fridge"].meter == ""


def test_the_rules_learn_which_sensor_tells_what() -> None:
    rules = rules_of(load(ALL_KINDS + "[appliances.oven]\nkind = 'microwave'\nrunning_above_w = 300.0\n"))
    dispenser, fridge = rules.appliances["dispenser"], rules.appliances["fridge"]

    assert (dispenser.water_signal, dispenser.thermometer) == ("tank", "")
    assert (fridge.water_signal, fridge.thermometer) == ("", "t")
    assert rules.mains_signal == "grid"
    assert (dispenser.is_learning, rules.appliances["oven"].is_learning) == (True, False)


def test_what_the_installer_sets_takes_the_place_of_what_is_usual_for_the_kind() -> None:
    text = FRIDGE + METER + "[appliances.a]\nkind = 'refrigerator'\npower = 'm'\ntemperature = 't'\n"
    chosen = (
        "run_max_min = 30.0\nidle_max_h = 2.0\ndead_max_min = 5.0\nshort_min = 4.0\nweak_below = 0.3\n"
        "warm_above_c = 6.0\nwarm_after_h = 0.5\n"
    )
    usual = KINDS["refrigerator"]

    assert rules_of(load(text)).appliances["a"].limits == usual
    assert rules_of(load(text + chosen)).appliances["a"].limits == replace(
        usual,
        run_max_s=1800.0,
        idle_max_s=7200.0,
        dead_max_s=300.0,
        short_s=240.0,
        weak_below=0.3,
        warm_above_c=6.0,
        warm_after_s=1800.0,
    )


def test_learning_is_as_the_installer_says_whatever_the_levels_are() -> None:
    def is_learning(chosen: str) -> bool:
        text = METER + f"[appliances.a]\nkind = 'other'\npower = 'm'\n{chosen}\n"
        return rules_of(load(text)).appliances["a"].is_learning

    assert is_learning("") is True
    assert is_learning("running_above_w = 300.0") is False
    assert is_learning("learn = false") is False
    assert is_learning("running_above_w = 300.0\nlearn = true") is True


def test_only_what_is_said_to_be_is_switched_off_when_nobody_is_inside() -> None:
    lamp = PLUG + "[appliances.lamp]\nkind = 'light'\npower = 'p'\ncan_switch = true\n"

    assert rules_of(load(lamp)).appliances["lamp"].saving_after_s is None
    assert rules_of(load(lamp + "switch_off_when_empty_min = 20.0\n")).appliances["lamp"].saving_after_s == 1200.0


def test_the_air_in_the_room_comes_from_the_sensors_that_are_named_for_it() -> None:
    rules = rules_of(load(ALL_KINDS + "[room]\ntemperature = 't'\nco2 = 'air'\n"))

    assert rules_of(load(ALL_KINDS)).room == {}
    assert rules.room == {"temperature_c": Source("t", 150.0), "co2_ppm": Source("air", 300.0)}


def test_the_limits_of_welfare_are_those_of_the_settings() -> None:
    chosen = "[welfare]\nstill_min = 30.0\nstay_h = 3.0\nstay_times = 5.0\nquiet_min = 15.0\n"

    assert rules_of(load("")).welfare == WelfareRules()
    assert rules_of(load(chosen)).welfare == WelfareRules(1800.0, 10_800.0, 5.0, 900.0)


def test_the_counter_of_a_pzem_is_known_to_begin_again() -> None:
    text = (
        LINE
        + "[sensors.m]\ndriver = 'pzem004t'\nline = 'a'\naddress = 1\n[appliances.a]\nkind = 'other'\npower = 'm'\n"
    )

    assert rules_of(load(text)).appliances["a"].counter_wrap_kwh == 10_000.0
    assert rules_of(load(text.replace("pzem004t", "sdm120"))).appliances["a"].counter_wrap_kwh is None


def test_a_cut_wire_says_that_the_tank_is_empty_and_that_the_mains_are_gone() -> None:
    contacts = load(ALL_KINDS).contacts

    assert contacts["tank"].is_active_high is True
    assert contacts["grid"].is_active_high is False
    assert (contacts["floor"].shown_by, contacts["floor"].is_active_high) == ("water_leak", True)


def drivers_in(schema: dict[str, object]) -> set[str]:
    found = schema["$defs"]["SensorSettings"]["properties"]["driver"]["enum"]  # type: ignore[index]
    return set(found)


CONTRADICTIONS = [
    (
        "[contacts.a]\nkind = 'mains'\npin = 4\n[contacts.b]\nkind = 'mains'\npin = 5",
        "contacts.b.kind",
        "one contact tells of the mains, and contacts.a does",
    ),
    (LINE + "[sensors.m]\ndriver = 'sdm120'\nline = 'a'", "sensors.m.address", "required and missing"),
    ("[sensors.m]\ndriver = 'sdm120'\naddress = 1", "sensors.m.line", "required and missing"),
    ("[sensors.m]\ndriver = 'sdm120'\nline = 'b'\naddress = 1", "sensors.m.line", "there is no table [serial.b]"),
    (METER + "device = 'x'", "sensors.m.device", "sdm120 has no device; it needs line, address"),
    (METER.replace("address = 1", "address = 248"), "sensors.m.address", "between 1 and 247"),
    (METER + "[sensors.n]\ndriver = 'sdm230'\nline = 'a'\naddress = 1", "sensors.n.address", "sensors.m.address"),
    (METER + "stale_s = 20.0", "sensors.m.stale_s", "only MQTT devices have stale_s"),
    (LINE + "baud = 9601", "serial.a.baud", "must be one of 1200, 2400"),
    (LINE + "parity = 'evn'", "serial.a.parity", "nearest: even"),
    ("[serial.a]\nport = 'ttyUSB0'", "serial.a.port", "must be a device such as /dev/serial/by-id"),
    ("[serial.a]\nbaud = 9600", "serial.a.port", "required and missing"),
    (LINE + "[serial.b]\nport = '/dev/ttyUSB0'", "serial.b.port", "already used by serial.a.port"),
    (
        LINE + "[sensors.r]\ndriver = 'ld2410'\nport = '/dev/ttyUSB0'",
        "sensors.r.port",
        "already used by serial.a.port",
    ),
    (
        LINE + "baud = 2400\n[sensors.m]\ndriver = 'pzem004t'\nline = 'a'\naddress = 1",
        "sensors.m.line",
        "speaks at 9600 baud only, serial.a.baud is 2400",
    ),
    ("[sensors.t]\ndriver = 'ds18b20'", "sensors.t.device", "required and missing"),
    (
        "[sensors.t]\ndriver = 'ds18b20'\ndevice = '28-03'",
        "sensors.t.device",
        'twelve digits or letters a to f, is "28-0',
    ),
    ("[sensors.t]\ndriver = 'iio'\ndevice = 'a b'", "sensors.t.device", "NAME@PLACE"),
    (FRIDGE + FRIDGE.replace(".t]", ".u]"), "sensors.u.device", "already used by sensors.t.device"),
    (FRIDGE + "interval_s = 0.1", "sensors.t.interval_s", "between 0.2 and 3600"),
    (PLUG + "interval_s = 5.0", "sensors.p.interval_s", "tasmota speaks by itself"),
    (PLUG.replace("plug-1", "plug/+"), "sensors.p.device", "without + and #"),
    (PLUG.replace("plug-1", "/plug"), "sensors.p.device", "without a slash at either end"),
    (PLUG.replace("plug-1", "bridge/x"), "sensors.p.device", "the device's name in its topics"),
    ("[plugs]\npassword_file = 'p'", "plugs.password_file", "a password needs plugs.username"),
    ("[sensors.x]\ndriver = 'sdm72'", "sensors.x.driver", "nearest: sdm"),
    ("[contacts.fire]\nkind = 'smoke'\npin = 4", "contacts.fire", "belongs to the table [fire]"),
    ("[contacts.c]\nkind = 'leak'", "contacts.c.pin", "required and missing"),
    ("[contacts.c]\nkind = 'leak'\npin = 17", "contacts.c.pin", "pin 17 is already used by lock.pin"),
    (PLUG + "[contacts.c]\nkind = 'leak'\npin = 4\nsensor = 'p'", "contacts.c.sensor", "not both"),
    ("[contacts.c]\nkind = 'leak'\npin = 4\nstate = 'open'", "contacts.c.state", "only a contact of an MQTT sensor"),
    ("[contacts.c]\nkind = 'leak'\nsensor = 'p'", "contacts.c.sensor", "there is no table [sensors.p]"),
    (METER + "[contacts.c]\nkind = 'leak'\nsensor = 'm'", "contacts.c.sensor", "sensors.m (sdm120) does not tell this"),
    ("[counter]\nfitted = true\nouter_pin = 5", "counter.inner_pin", "required and missing"),
    (
        "[counter]\nfitted = true\nouter_pin = 5\ninner_pin = 5",
        "counter.inner_pin",
        "already used by counter.outer_pin",
    ),
    ("[appliances.a]\nkind = 'other'\npower = 'm'", "appliances.a.power", "there is no table [sensors.m]"),
    (
        FRIDGE + "[appliances.a]\nkind = 'other'\npower = 't'",
        "appliances.a.power",
        "sensors.t (ds18b20) does not tell this",
    ),
    (METER + "[appliances.a]\nkind = 'other'\ntemperature = 'm'", "appliances.a.temperature", "what does: zigbee2mqtt"),
    (
        METER + "[appliances.a]\nkind = 'other'\npower = 'm'\n[appliances.b]\nkind = 'other'\npower = 'm'",
        "appliances.b.power",
        "already used by appliances.a.power: a meter tells of one appliance",
    ),
    ("[appliances.a]\nkind = 'other'\nwater = 'tank'", "appliances.a.water", "there is no table [contacts.tank]"),
    (
        "[contacts.tank]\nkind = 'waste'\npin = 4\n[appliances.a]\nkind = 'other'\nwater = 'tank'",
        "appliances.a.water",
        "must be of the kind water, is waste",
    ),
    (
        METER + "[appliances.a]\nkind = 'light'\npower = 'm'\ncan_switch = true",
        "appliances.a.can_switch",
        "must be a plug",
    ),
    ("[appliances.a]\nkind = 'light'\ncan_switch = true", "appliances.a.can_switch", "must be a plug"),
    (
        PLUG + "[appliances.a]\nkind = 'refrigerator'\npower = 'p'\ncan_switch = true",
        "appliances.a.can_switch",
        "never switched off",
    ),
    (
        PLUG + "[appliances.a]\nkind = 'aed'\npower = 'p'\ncan_switch = true",
        "appliances.a.can_switch",
        "an AED is never switched off",
    ),
    (
        PLUG + "[appliances.a]\nkind = 'router'\npower = 'p'\ncan_switch = true",
        "appliances.a.can_switch",
        "a router is never switched off",
    ),
    *(
        (
            PLUG + f"[appliances.a]\nkind = '{kind}'\npower = 'p'\nswitch_off_when_empty_min = 20.0",
            "appliances.a.switch_off_when_empty_min",
            "only light, heater, air_conditioner",
        )
        for kind in ("refrigerator", "aed", "router", "water_dispenser", "microwave", "charger", "other")
    ),
    (
        PLUG + "[appliances.a]\nkind = 'light'\npower = 'p'\nswitch_off_when_empty_min = 20.0",
        "appliances.a.switch_off_when_empty_min",
        "needs appliances.a.can_switch = true",
    ),
    (FRIDGE + "[room]\nco2 = 't'", "room.co2", "what does: zigbee2mqtt"),
    ("[room]\ntemperature = 'air'", "room.temperature", "there is no table [sensors.air]"),
    ("[appliances.a]\nkind = 'microwave'\nrun_max_min = 20.0", "appliances.a.run_max_min", "set appliances.a.power"),
    ("[appliances.a]\nkind = 'microwave'\nlearn = true", "appliances.a.learn", "set appliances.a.power"),
    (
        METER + "[appliances.a]\nkind = 'refrigerator'\npower = 'm'\nwarm_above_c = 6.0",
        "appliances.a.warm_above_c",
        "set appliances.a.temperature",
    ),
    (
        FRIDGE + "[appliances.a]\nkind = 'other'\ntemperature = 't'\nwarm_after_h = 2.0",
        "appliances.a.warm_after_h",
        "needs appliances.a.warm_above_c",
    ),
]


@pytest.mark.parametrize(("text", "where", "words"), CONTRADICTIONS)
def test_a_wrong_pair_is_one_problem_in_plain_words(text: str, where: str, words: str) -> None:
    (found,) = problems(text + "\n")

    assert found.where == where
    assert words in f"{found.text.en} {found.remedy.en}"
    assert re.search("[一-鿿]", found.text.zh)


def test_what_a_table_lacks_is_not_said_again_of_those_who_name_it() -> None:
    text = "[sensors.p]\ndevice = 'x'\n[serial.a]\n[contacts.tank]\npin = 4\n[appliances.a]\nkind = 'other'\n"
    found = problems(text + "power = 'p'\nwater = 'tank'\n")

    assert {each.where for each in found} == {"sensors.p.driver", "serial.a.port", "contacts.tank.kind"}


def test_simulated_hardware_needs_no_pins_for_contacts_and_counter() -> None:
    text = "[station]\nid = 't'\n[hardware]\nsimulated = true\n[counter]\nfitted = true\n[contacts.c]\nkind = 'leak'\n"

    assert settings_from(tomllib.loads(text), Path()).contacts["c"].pin is None


def test_a_simulated_sensor_may_keep_what_belongs_to_the_real_one() -> None:
    text = "[station]\nid = 't'\n[hardware]\nsimulated = true\n" + METER.replace("sdm120", "simulated")

    assert settings_from(tomllib.loads(text), Path()).sensors["m"].address == 1


def test_every_example_of_the_document_is_right() -> None:
    text = (Path(__file__).parents[1] / "docs" / "sensors.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)

    assert len(examples) >= 8
    for each in examples:
        settings = load(each)
        assert settings.sensors or settings.contacts or settings.counter.fitted


def test_every_driver_has_its_place_among_the_kinds() -> None:
    drivers = drivers_in(Settings.model_json_schema())

    assert {*METERS, *PLUGS, "ds18b20", "iio", "ld2410", "simulated"} == drivers
