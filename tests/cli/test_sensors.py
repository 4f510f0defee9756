"""`station sensors …` as an account uses it: over a real control socket of a whole station, and without an agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from agent.cli.program import app
from tests.drivers.modbus_bench import BENCH_METERS, MeterServer, Wire
from tests.system.stations import Station, eventually, running, write_settings

_STATION = Path(sys.executable).with_name("station")
TABLES: dict[str, dict[str, Any]] = {
    "sensors.oven": {"driver": "simulated", "interval_s": 0.2},
    "sensors.cold": {"driver": "ds18b20", "device": "28-0316a2794aff", "interval_s": 0.2},
    "contacts.tank": {"kind": "water"},
    "appliances.oven": {"kind": "microwave", "power": "oven"},
}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONUTF8": "1"}
    command = [_STATION, *arguments, "--lang", "en"]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False, env=environment)


def values(station: Station) -> dict[str, dict[str, Any]]:
    rows = station.client.request("sensors.read")["rows"]
    return {row["sensor"]: {each["quantity"]: each["value"] for each in row["values"]} for row in rows}


def test_each_raw_value_its_age_and_the_error_of_a_broken_sensor_are_shown(tmp_path: Path) -> None:
    config = write_settings(tmp_path, TABLES)
    with running(config) as station:
        station.parts.sensors.meters["oven"].set_power(812.5)
        station.parts.sensors.thermometers["cold"].fail("no reading: check its wires")
        eventually(lambda: values(station)["sensors.oven"].get("power_w") == 812.5, "the meter is read")
        eventually(lambda: ("device.failed", "sensors.cold") in station.faults(), "the thermometer fails")
        eventually(
            lambda: station.status()["parts"]["appliances/oven"]["state"] == "running",
            "the appliance follows its meter",
        )
        shown = run("sensors", "read", "--config", config)
        told = run("sensors", "read", "--json", "--config", config)
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["sensor", "kind", "quantity", "value", "age"]
    assert any(line.split()[:4] == ["sensors.oven", "simulated", "power_w", "812.5"] for line in lines)
    assert any(line.split()[:3] == ["sensors.cold", "!", "ds18b20"] for line in lines)
    assert any(line.split()[:4] == ["contacts.tank", "water", "active", "no"] for line in lines)
    assert "no reading: check its wires" in shown.stderr
    rows = {row["sensor"]: row for row in json.loads(told.stdout)}
    assert rows["sensors.cold"]["error"] == "no reading: check its wires"
    assert all(each["age_s"] >= 0 for each in rows["sensors.oven"]["values"])


def test_watching_shows_the_values_again_and_again(tmp_path: Path) -> None:
    config = write_settings(tmp_path, TABLES)
    with running(config) as station:
        command: list[str | Path] = [_STATION, "sensors", "read", "--watch", "--json", "--config", config]
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as watching:
            assert watching.stdout is not None
            json.loads(watching.stdout.readline())
            station.parts.sensors.meters["oven"].set_power(99.0)
            seen = ""
            while '"value": 99.0' not in seen:
                seen = watching.stdout.readline()
                assert seen, "it ended"
            watching.terminate()


def test_without_an_agent_a_reading_says_what_to_do(tmp_path: Path) -> None:
    ended = run("sensors", "read", "--config", write_settings(tmp_path, TABLES))

    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr != ""


def test_a_line_is_searched_without_an_agent(tmp_path: Path) -> None:
    bench = BENCH_METERS["sdm120"]()
    bench.show(5.0, voltage_v=230.0, power_factor=1.0, energy_kwh=0.0)
    with closing(Wire(tmp_path / "port", {2})) as wire, closing(MeterServer(wire.far.path, {2: bench})):
        port = str(wire.port.resolve())
        options = ("--port", port, "--addresses", "1-3", "--config", tmp_path / "none.toml")
        found = run("sensors", "scan", *options)
        told = run("sensors", "scan", "--json", *options)
    assert found.returncode == 0, found.stderr
    assert '[sensors.meter_2]\n    driver = "sdm120"\n    line = "meters"\n    address = 2' in found.stdout
    assert any(each["description"] == "sdm120 or sdm230" for each in json.loads(told.stdout))


def test_a_search_that_cannot_be_made_is_said_and_the_rest_is_made(tmp_path: Path) -> None:
    config = write_settings(tmp_path, {"sensors.p": {"driver": "tasmota", "device": "x"}, "plugs": {"port": 1}})
    ended = run("sensors", "scan", "--config", config)

    assert ended.returncode == 1
    assert "MQTT broker 127.0.0.1:1 was not searched" in ended.stderr
    assert run("sensors", "scan", "--no-mqtt", "--config", config).returncode == 0


def test_wrong_options_are_used_wrongly(tmp_path: Path) -> None:
    config = write_settings(tmp_path, TABLES)
    for options in (
        ("--addresses", "0-5"),
        ("--addresses", "x"),
        ("--line", "none"),
        ("--port", "ttyUSB0"),
        ("--port", "/dev/ttyUSB0", "--baud", "1"),
    ):
        ended = CliRunner().invoke(app, ["sensors", "scan", "--config", str(config), *options])
        assert ended.exit_code == 2, options
