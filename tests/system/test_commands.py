"""Commands of the central server through a real mosquitto to a whole agent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent import command_keys
from agent.cli.program import app as cli
from agent.command_gate import CommandClaims, sign
from agent.command_keys import CommandSigner
from agent.fleet.commander import Commander, CommandError
from agent.mqtt.client import Broker, Connection, Received, Signal, Subscribed
from agent.mqtt.topics import Topics
from agent.storage.database import open_readonly
from agent.storage.log import read_after
from drivers.simulated.plug import SimulatedPlug
from tests.broker import Mosquitto
from tests.system.stations import STATION, Station, eventually, running, write_settings

TOPICS = Topics("stations", STATION)
WAITING = 300


@contextmanager
def commanded(
    folder: Path,
    signer: CommandSigner,
    scopes: list[str],
    more: Mapping[str, dict[str, Any]] | None = None,
    **mqtt: object,
) -> Iterator[tuple[Station, Broker]]:
    broker = Mosquitto(folder)
    broker.start()
    tables: dict[str, dict[str, Any]] = {
        **(more or {}),
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": broker.port, **mqtt},
        f"commands.keys.{signer.name}": {"public": signer.public_text, "scopes": scopes},
    }
    try:
        with running(write_settings(folder, tables)) as station:
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
            yield station, Broker("127.0.0.1", broker.port)
    finally:
        broker.stop()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_the_door_opens_by_a_signed_command_and_says_whether_somebody_went_in(tmp_path: Path, version: str) -> None:
    signer = command_keys.generate("central-1")
    with commanded(tmp_path, signer, ["open"], version=version) as (station, broker):
        with Commander(broker, TOPICS, signer) as commander:
            answers = commander.send("door.unlock")
            assert next(answers).status == "accepted"
            assert station.parts.door.push()
            last = next(answers)
        assert (last.status, last.result["opened"]) == ("done", True)


def test_a_recorded_command_opens_nothing_however_often_it_is_sent(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    heard: list[Signal] = []
    with commanded(tmp_path, signer, ["open"]) as (station, broker):
        spy = Connection(broker, "spy", heard.append)
        spy.open()
        spy.subscribe((TOPICS.commands,))
        eventually(lambda: any(isinstance(each, Subscribed) for each in heard), "the spy listens")
        try:
            with Commander(broker, TOPICS, signer) as commander:
                assert [each.status for each in commander.send("door.unlock", timeout_s=30.0)][-1] == "done"
            eventually(lambda: station.status()["parts"]["door"]["lock"] == "secured", "the door is locked again")
            (recorded,) = [m.payload for m in heard if isinstance(m, Received) and b"." in m.payload][-1:]
            for _ in range(20):
                spy.publish(TOPICS.commands, recorded, retain=False)
            spy.publish(TOPICS.commands, recorded, retain=True)
            eventually(lambda: len([m for m in heard if isinstance(m, Received)]) >= 22, "all of it went round")
            assert station.status()["parts"]["door"]["lock"] == "secured"
        finally:
            spy.cut()
        state = station.settings.state.directory
    with closing(open_readonly(state / "station.db")) as database:
        types = [each.type for each in read_after(database, 0, 0, 1000)]
    assert types.count("station.access.granted") == types.count("station.command.accepted") == 1


def test_an_erasure_waits_in_the_broker_for_a_station_that_is_offline(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    broker = Mosquitto(tmp_path)
    broker.start()
    tables: dict[str, dict[str, Any]] = {
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": broker.port},
        "commands.keys.central-1": {"public": signer.public_text, "scopes": ["roster"]},
    }
    settings = write_settings(tmp_path, tables)
    try:
        with running(settings) as station:
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
        claims = CommandClaims(
            id="c-away",
            station=STATION,
            name="members.erase",
            arguments={"id": "m-1"},
            issued_at="2026-11-22T00:00:00Z",
            revision=3,
        )
        heard: list[Signal] = []
        central = Connection(Broker("127.0.0.1", broker.port), "central", heard.append)
        central.open()
        central.subscribe((TOPICS.replies,))
        eventually(lambda: any(isinstance(each, Subscribed) for each in heard), "the server listens")
        central.publish(TOPICS.commands, sign(claims, "central-1", signer.private).encode(), retain=False)
        try:
            with running(settings):
                eventually(lambda: sum(isinstance(each, Received) for each in heard) >= 2, "it is answered")
        finally:
            central.cut()
        found = [json.loads(each.payload) for each in heard if isinstance(each, Received)]
        assert [(each["status"], each["code"]) for each in found] == [("accepted", ""), ("failed", "member.unknown")]
    finally:
        broker.stop()


def test_all_commands_that_waited_in_the_broker_are_read_and_answered(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    broker = Mosquitto(tmp_path)
    broker.start()
    tables: dict[str, dict[str, Any]] = {
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": broker.port},
        "commands.keys.central-1": {"public": signer.public_text, "scopes": ["roster"]},
    }
    settings = write_settings(tmp_path, tables)
    heard: list[Signal] = []
    try:
        with running(settings) as station:
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
        central = Connection(Broker("127.0.0.1", broker.port), "central", heard.append)
        central.open()
        central.subscribe((TOPICS.replies,))
        eventually(lambda: any(isinstance(each, Subscribed) for each in heard), "the server listens")
        for number in range(WAITING):
            claims = CommandClaims(
                id=f"c-{number}",
                station=STATION,
                name="members.erase",
                arguments={"id": f"m-{number}"},
                issued_at="2026-11-22T00:00:00Z",
                revision=number + 1,
            )
            central.publish(TOPICS.commands, sign(claims, "central-1", signer.private).encode(), retain=False)
        try:
            with running(settings):
                eventually(lambda: len(_ended(heard)) == WAITING, "each of them has its last answer")
        finally:
            central.cut()
    finally:
        broker.stop()


def _ended(heard: list[Signal]) -> set[str]:
    found = [json.loads(each.payload) for each in list(heard) if isinstance(each, Received)]
    return {each["id"] for each in found if each["status"] not in {"accepted", "refused"}}


def test_the_command_line_sends_one_and_says_what_came_of_it(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    key = tmp_path / "central.key"
    command_keys.save(signer, key)
    with commanded(tmp_path, signer, ["operate"]) as (station, broker):
        base = ["fleet", "command", "--station", STATION, "--key", str(key), "--host", broker.host]
        base += ["--port", str(broker.port)]
        done = CliRunner().invoke(cli, [*base, "station.refresh"])
        assert (done.exit_code, json.loads(done.stdout)["status"]) == (0, "done")
        refused = CliRunner().invoke(cli, [*base, "door.unlock"])
        assert refused.exit_code == 1
        assert json.loads(refused.stdout.splitlines()[-1])["code"] == "not_in_scope"
        assert station.status()["parts"]["door"]["lock"] == "secured"


def test_an_appliance_is_switched_from_afar_once_its_plug_says_so(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    tables: dict[str, dict[str, Any]] = {
        "sensors.plug": {"driver": "tasmota", "device": "p1"},
        "appliances.heater": {"kind": "heater", "power": "plug", "can_switch": True},
        "appliances.fridge": {"kind": "refrigerator"},
    }
    with (
        commanded(tmp_path, signer, ["operate"], tables) as (station, broker),
        Commander(broker, TOPICS, signer) as commander,
    ):
        plug = station.parts.sensors.meters["plug"]
        assert isinstance(plug, SimulatedPlug)
        done = [each.status for each in commander.send("appliance.switch", {"appliance": "heater", "on": False})]
        assert (done, plug.is_on) == (["accepted", "done"], False)
        assert station.status()["parts"]["appliances/heater"]["switched_off"] is True
        station.client.request("appliances.switch", appliance="heater", on=True)
        assert plug.is_on
        plug.go_offline()
        *_, failed = commander.send("appliance.switch", {"appliance": "heater", "on": False})
        assert (failed.status, failed.code, plug.is_on) == ("failed", "appliance.not_switched", True)
        *_, refused = commander.send("appliance.switch", {"appliance": "fridge", "on": False})
        assert (refused.status, refused.code) == ("failed", "appliance.never_switched")


def test_a_notice_waits_for_a_station_that_is_offline_and_outlives_its_restart(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    text = {"zh": "今天停水。", "en": "The water is off today."}
    broker = Mosquitto(tmp_path)
    broker.start()
    tables: dict[str, dict[str, Any]] = {
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": broker.port},
        "commands.keys.central-1": {"public": signer.public_text, "scopes": ["operate"]},
    }
    settings = write_settings(tmp_path, tables)
    link = Broker("127.0.0.1", broker.port)

    def notice(station: Station) -> dict[str, Any]:
        return station.status()["parts"]["notice"]["notice"] or {}

    try:
        with running(settings) as station:
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
            assert notice(station) == {}
        with Commander(link, TOPICS, signer) as commander, pytest.raises(CommandError, match="does not answer"):
            list(commander.send("notice.put", text, timeout_s=0.5))
        with running(settings) as station:
            eventually(lambda: notice(station).get("en") == text["en"], "the notice is up")
            eventually(lambda: station.status()["log"]["sequence"] > 4, "and on the disk")
        with running(settings) as station, Commander(link, TOPICS, signer) as commander:
            assert notice(station)["zh"] == text["zh"]
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
            assert [each.status for each in commander.send("notice.clear")] == ["accepted", "done"]
            assert notice(station) == {}
    finally:
        broker.stop()


def test_without_a_key_the_station_takes_no_command(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        settings = write_settings(tmp_path, {"mqtt": {"enabled": True, "host": "127.0.0.1", "port": broker.port}})
        with running(settings) as station:
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
            with (
                Commander(Broker("127.0.0.1", broker.port), TOPICS, signer) as commander,
                pytest.raises(CommandError, match="does not answer"),
            ):
                list(commander.send("station.refresh", timeout_s=2.0))
    finally:
        broker.stop()
