"""A gap at the server is filled by `log.replay`, through a real mosquitto and from a whole agent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent import command_keys
from agent.cli.program import app as cli
from agent.clock import SystemClock
from agent.effects import AppendEntry, MoveCursor
from agent.events import EntriesLogged, Event
from agent.fleet.audit import audit
from agent.fleet.commander import Commander
from agent.fleet.watch import Watcher
from agent.mqtt.client import Broker
from agent.storage.database import open_readonly
from agent.storage.log import read_after
from agent.storage.writer import StorageWriter
from tests.broker import Mosquitto
from tests.system.stations import PATIENCE_S, STATION, Station, eventually, running, write_settings
from tests.system.test_commands import TOPICS, commanded


@contextmanager
def listening(broker: Broker) -> Iterator[Watcher]:
    """A server that gets nothing of what came while it was away."""
    watcher = Watcher(broker)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.close()


def all_sent(station: Station) -> int:
    """Wait until the broker has everything; returns the newest sequence."""
    eventually(lambda: station.status()["parts"]["health"]["backlog"] == 0, "everything is sent")
    return int(station.status()["log"]["sequence"])


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_server_that_was_away_asks_for_what_it_missed_and_has_the_whole_log(tmp_path: Path, version: str) -> None:
    signer = command_keys.generate("central-1")
    with commanded(tmp_path, signer, ["records"], version=version) as (station, broker):
        with listening(broker) as before:
            station.let_somebody_in()
            seen = all_sent(station)
            assert before.wait_for(
                lambda each: str(seen) in {e.sequence.lstrip("0") for e in each.entries()}, PATIENCE_S
            )
        for _ in range(3):
            station.let_somebody_in()  # the broker acknowledges it, and has nobody to give it to
        missed = all_sent(station)
        with listening(broker) as after, Commander(broker, TOPICS, signer) as commander:
            station.let_somebody_in()
            newest = all_sent(station)
            assert after.wait_for(lambda each: int(each.entries()[-1].sequence) >= newest, PATIENCE_S)
            gaps = audit([*before.entries(), *after.entries()], is_from_first=True).gaps
            assert [(each.epoch, each.last) for each in gaps if each.first > 1] == [(1, missed)]
            sent = 0
            for gap in gaps:
                for arguments in gap.requests():
                    last = list(commander.send("log.replay", arguments))[-1]
                    assert last.status == "done"
                    sent += int(str(last.result["sent"]))
            assert sent == sum(each.last - each.first + 1 for each in gaps), "exactly what was missing"
            assert after.wait_for(lambda each: audit([*before.entries(), *each.entries()]).is_whole, PATIENCE_S)
            assert after.duplicates == 0
            assert after.complaints() == ()
            received = {(e.epoch, int(e.sequence)): e.hash for e in (*before.entries(), *after.entries())}
        state = station.settings.state.directory
    with closing(open_readonly(state / "station.db")) as database:
        logged = {(each.epoch, each.sequence): each.hash for each in read_after(database, 0, 0, 1_000)}
    assert set(received) >= {(1, sequence) for sequence in range(1, newest + 1)}
    assert all(logged[place] == found for place, found in received.items())


def test_the_command_line_asks_for_a_range_again(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    key = tmp_path / "central.key"
    command_keys.save(signer, key)
    with commanded(tmp_path, signer, ["records"]) as (station, broker), listening(broker) as watcher:
        all_sent(station)
        base = ["fleet", "command", "--station", STATION, "--key", str(key), "--host", broker.host]
        base += ["--port", str(broker.port), "log.replay", "-a", "epoch=1", "-a", "first=1"]
        done = CliRunner().invoke(cli, [*base, "-a", "last=2"])
        assert (done.exit_code, json.loads(done.stdout.splitlines()[-1])["result"]["sent"]) == (0, 2)
        assert watcher.wait_for(lambda each: {int(e.sequence) for e in each.entries()} >= {1, 2}, PATIENCE_S)
        refused = CliRunner().invoke(cli, [*base, "-a", "last=0"])
        assert json.loads(refused.stdout.splitlines()[-1])["code"] == "bad_arguments"


def test_the_server_confirms_what_it_has_and_the_station_keeps_it_over_a_restart(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    with commanded(tmp_path, signer, ["records"]) as (station, broker):
        newest = all_sent(station)
        state = station.settings.state.directory
        with closing(open_readonly(state / "station.db")) as database:
            entry = read_after(database, 0, 0, newest)[-1]
        place = {"epoch": entry.epoch, "sequence": entry.sequence}
        with Commander(broker, TOPICS, signer) as commander:
            other = list(commander.send("log.confirm", {**place, "hash": "0" * 64}))[-1]
            assert (other.status, other.code) == ("failed", "log.other_hash")
            beyond = list(commander.send("log.confirm", {**place, "sequence": 10_000, "hash": entry.hash}))[-1]
            assert (beyond.status, beyond.code) == ("failed", "log.beyond_cursor")
            assert station.status()["parts"]["health"]["confirmed"] is None
            done = list(commander.send("log.confirm", {**place, "hash": entry.hash}))[-1]
            assert (done.status, done.result["confirmed"]) == ("done", place)
    with running(tmp_path / "station.toml") as station:
        assert station.status()["parts"]["health"]["confirmed"] == place


def fill(directory: Path, count: int) -> None:
    """A log of before, all of which the broker has acknowledged."""
    is_written = threading.Event()

    def post(event: Event) -> None:
        if isinstance(event, EntriesLogged) and any(each.tag == "last" for each in event.receipts):
            is_written.set()

    writer = StorageWriter(directory, STATION, SystemClock(), post)
    writer.open()
    for number in range(2, count):  # the first is the storage's own
        writer.submit(AppendEntry(0.0, "station.test.happened", {"number": number}))
    writer.submit(AppendEntry(0.0, "station.test.happened", {}, "last"))
    assert is_written.wait(PATIENCE_S)
    writer.submit(MoveCursor(1, count))
    assert writer.close(PATIENCE_S)


def test_a_replay_that_a_broken_broker_cuts_short_is_asked_for_again_from_where_it_stopped(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    state = tmp_path / "state"
    fill(state, 150)
    broker = Mosquitto(tmp_path)
    broker.start()
    tables: dict[str, dict[str, Any]] = {
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": broker.port},
        f"commands.keys.{signer.name}": {"public": signer.public_text, "scopes": ["records"]},
    }
    link = Broker("127.0.0.1", broker.port)
    try:
        with running(write_settings(tmp_path, tables)) as station, listening(link) as watcher:
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
            with Commander(link, TOPICS, signer) as commander:
                answers = commander.send("log.replay", {"epoch": 1, "first": 1, "last": 150}, command="cut")
                assert next(answers).status == "accepted"
                assert watcher.wait_for(lambda each: any(int(e.sequence) < 150 for e in each.entries()), PATIENCE_S)
                broker.kill()  # it takes the station three seconds to send them all
            eventually(lambda: not station.status()["broker"]["connected"], "the outage is noticed")
            broker.start()
            eventually(lambda: station.status()["broker"]["connected"], "the link is up again")
            assert watcher.wait_for(lambda each: each.is_subscribed and each.is_online(STATION), PATIENCE_S)
            with Commander(link, TOPICS, signer) as commander:
                (stored,) = commander.send("log.replay", {"epoch": 1, "first": 1, "last": 150}, command="cut")
                assert (stored.status, stored.code) == ("failed", "broker.disconnected")
                before = len(watcher.entries(STATION))
                assert 0 < before < 150
                for gap in watcher.gaps(STATION):
                    for arguments in gap.requests():
                        assert list(commander.send("log.replay", arguments))[-1].status == "done"
            newest = all_sent(station)
            assert watcher.wait_for(lambda each: len(each.entries(STATION)) >= newest, PATIENCE_S)
            assert watcher.gaps(STATION) == ()
            assert watcher.audit(STATION).is_whole
            assert watcher.complaints() == ()
            received = {(each.epoch, int(each.sequence), each.hash) for each in watcher.entries(STATION)}
    finally:
        broker.stop()
    with closing(open_readonly(state / "station.db")) as database:
        logged = {(each.epoch, each.sequence, each.hash) for each in read_after(database, 0, 0, 1_000)}
    assert {each for each in logged if each[1] <= newest} <= received <= logged
