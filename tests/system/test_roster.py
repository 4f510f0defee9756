"""The roster from afar: through a real mosquitto to a whole agent with a reader at its door."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent import command_keys
from agent.cli.program import app as cli
from agent.control.client import ControlError
from agent.fleet.commander import Commander
from agent.mqtt.client import Broker, Connection, Received, Signal, Subscribed
from agent.mqtt.payloads import CommandReply
from tests.broker import Mosquitto
from tests.system.stations import STATION, Station, eventually, running, write_settings
from tests.system.test_commands import TOPICS
from tests.system.test_readers import lock, patterns

CARD, OTHER_CARD, PIN, NUMBER = "00ff4711af12", "987654321098", "258036914", "4242424242"
SECRETS = ("ff4711af12", "987654321098", PIN)
NOBODY = {
    "cards": 0,
    "categories": [],
    "face": False,
    "needs_longer": False,
    "pin": False,
    "suspended": False,
    "suspended_until": None,
    "valid_from": None,
    "valid_until": None,
}


class Server:
    """The central server: commands, and all that the station says."""

    def __init__(self, commander: Commander, station: Station, heard: list[Signal], by_hand: list[str]) -> None:
        self.commander = commander
        self.by_hand = by_hand
        self.station = station
        self.heard = heard

    def command(self, command: str, **arguments: Any) -> CommandReply:
        return list(self.commander.send(command, arguments))[-1]

    def put(self, **arguments: Any) -> CommandReply:
        return self.command("members.put", id="m-9", **arguments)

    def digest(self, **arguments: Any) -> dict[str, Any]:
        reply = self.command("members.digest", **arguments)
        assert (reply.status, reply.code) == ("done", "")
        return dict(reply.result)

    def said(self) -> bytes:
        return b"\n".join(each.payload for each in self.heard if isinstance(each, Received))

    def reasons(self, member: str = "m-9") -> list[str]:
        rows = self.station.client.request("members.data", id=member, part="log")["rows"]
        return [each["body"]["reason"] for each in rows if each["type"] == "station.access.refused"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    signer = command_keys.generate("central-1")
    mosquitto = Mosquitto(tmp_path)
    mosquitto.start()
    broker = Broker("127.0.0.1", mosquitto.port)
    tables: dict[str, dict[str, Any]] = {
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": mosquitto.port},
        "commands.keys.central-1": {"public": signer.public_text, "scopes": ["roster"]},
        "readers.front": {"driver": "simulated"},
        "passes": {"trust_unsynchronised_clock": True},  # the machine of the tests may have no time source
    }
    command_keys.save(signer, tmp_path / "central.key")
    by_hand = ["fleet", "command", "--station", STATION, "--key", str(tmp_path / "central.key")]
    by_hand += ["--host", "127.0.0.1", "--port", str(mosquitto.port), "members.put"]
    heard: list[Signal] = []
    listener = Connection(broker, "listener", heard.append)
    try:
        with running(write_settings(tmp_path, tables)) as station:
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
            listener.open()
            listener.subscribe(tuple(f"stations/+/{each}" for each in ("status", "about", "state/#", "log", "replies")))
            eventually(lambda: any(isinstance(each, Subscribed) for each in heard), "the server listens")
            with Commander(broker, TOPICS, signer) as commander:
                yield Server(commander, station, heard, by_hand)
    finally:
        listener.cut()
        mosquitto.stop()


def recipe(**facts: Any) -> str:
    text = json.dumps(NOBODY | facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_member_is_taken_up_from_afar_and_their_card_opens_until_their_validity_is_over(
    server: Server, tmp_path: Path
) -> None:
    station = server.station
    front = station.parts.readers["front"]
    empty = server.digest()
    assert (empty["members"], empty["digest"]) == ([], hashlib.sha256(b"").hexdigest())

    done = server.put(cards=[CARD], pin=PIN, number=NUMBER, categories=[3, 1], valid_until="2099-01-01T08:00:00+08:00")
    assert (done.status, done.result["member"], done.result["created"]) == ("done", "m-9", True)
    front.present("ff4711af12")
    eventually(lambda: lock(station) == "released", "the card opens")
    eventually(lambda: lock(station) == "secured", "and the door relocks")
    front.press(f"{NUMBER}#{PIN}#")
    eventually(lambda: lock(station) == "released", "so do the number and its PIN")
    eventually(lambda: lock(station) == "secured", "and the door relocks again")
    facts = {"id": "m-9", "cards": 1, "pin": True, "categories": [1, 3], "valid_until": "2099-01-01T00:00:00.000Z"}
    assert server.digest()["members"] == [{"id": "m-9", "digest": recipe(**facts)}]
    (row,) = station.client.request("members.list")["rows"]
    assert (row["name"], row["categories"], row["valid_until_utc"]) == ("", "1,3", facts["valid_until"])

    assert server.put(valid_until="2026-01-01T00:00:00Z").status == "done"
    front.present("ff4711af12")
    eventually(lambda: server.reasons() == ["validity_over"], "it opens no more")
    front.press(f"{NUMBER}#{PIN}#")
    eventually(lambda: server.reasons() == ["validity_over"] * 2, "neither does the PIN")
    assert lock(station) == "secured"
    expected = recipe(**facts | {"valid_until": "2026-01-01T00:00:00.000Z"})
    assert server.digest()["members"] == [{"id": "m-9", "digest": expected}]

    assert (
        server.put(valid_until=None, valid_from="2099-01-01T00:00:00Z", cards=[OTHER_CARD], pin=None).status == "done"
    )
    front.present(OTHER_CARD)
    eventually(lambda: server.reasons()[2:] == ["validity_early"], "they may not come in yet")
    assert server.put(valid_from=None).status == "done"
    front.present(OTHER_CARD)
    eventually(lambda: lock(station) == "released", "now they may")
    refused = patterns(station).count("refused")
    front.present("ff4711af12")
    eventually(lambda: patterns(station).count("refused") > refused, "the former card is nobody's")

    assert server.command("members.erase", id="m-9").status == "done"
    assert server.digest() == empty
    on_disk = b"".join(each.read_bytes() for each in (tmp_path / "state").iterdir() if each.is_file())
    for secret in SECRETS:
        assert secret.encode() not in server.said()
        assert secret.encode() not in on_disk


def test_what_belongs_to_somebody_else_fails_and_nothing_of_the_whole_is_done(server: Server) -> None:
    assert server.command("members.put", id="m-1", cards=[CARD], pin=PIN, number=NUMBER).status == "done"
    before = server.digest()
    for arguments, code in (
        ({"cards": [OTHER_CARD, "FF4711AF12"], "needs_longer": True}, "card.taken"),
        ({"cards": [OTHER_CARD], "pin": PIN, "number": NUMBER}, "number.taken"),
        ({"cards": [OTHER_CARD], "pin": "1234"}, "pin.weak"),
        ({"valid_from": "2027-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"}, "member.validity"),
    ):
        reply = server.put(**arguments)
        assert (reply.status, reply.code, reply.result) == ("failed", code, {})
    refused = server.put(name="Wang Fang")
    assert (refused.status, refused.code) == ("refused", "bad_arguments")
    assert server.digest() == before
    assert b"Wang Fang" not in server.said()


def test_a_card_is_given_by_hand_without_standing_on_the_command_line(server: Server) -> None:
    given = json.dumps({"id": "m-9", "cards": [CARD]})
    done = CliRunner().invoke(cli, [*server.by_hand, "--arguments-file", "-", "-a", "needs_longer=true"], input=given)
    assert (done.exit_code, json.loads(done.stdout.splitlines()[-1])["status"]) == (0, "done")
    assert server.digest()["members"] == [{"id": "m-9", "digest": recipe(id="m-9", cards=1, needs_longer=True)}]
    wrong = CliRunner().invoke(cli, [*server.by_hand, "--arguments-file", "-"], input=f"[{PIN}]")
    assert wrong.exit_code == 1
    assert "no JSON object" in wrong.output
    assert PIN not in wrong.output


def test_a_page_says_where_the_next_begins_and_the_master_names_who_came_from_afar(server: Server) -> None:
    for number in range(3):
        assert server.command("members.put", id=f"m-{number}").status == "done"
    first = server.digest(limit=2)
    last = server.digest(after=first["next"], limit=2)
    assert [each["id"] for each in (*first["members"], *last["members"])] == ["m-0", "m-1", "m-2"]
    assert (first["digest"], first["count"], last["next"]) == (last["digest"], 3, None)
    server.station.client.request("members.put", id="m-0", name="Wang Fang")
    assert server.station.client.request("members.list")["rows"][0]["name"] == "Wang Fang"
    assert server.digest()["digest"] == first["digest"]
    with pytest.raises(ControlError, match="no such member"):
        server.station.client.request("members.put", id="m-7", name="Nobody")
    assert b"Wang Fang" not in server.said()
