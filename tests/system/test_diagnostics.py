"""A bundle for a support engineer from a whole agent, here and through a real mosquitto; a hunt for people in it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from agent import command_keys
from agent.cli.program import app as cli
from agent.core.bundle import PART_BYTES, unpacked
from agent.fleet.commander import Commander
from agent.log_ring import LINE_MAX, LINES_MAX
from agent.mqtt.client import Broker
from agent.mqtt.topics import Topics
from agent.storage.database import open_readonly
from tests.broker import Mosquitto
from tests.system.stations import STATION, Station, eventually, running, write_settings

MEMBERS = ("rider-7f3a", "li.si.88", "m-4711")
NAMES = ("欧阳春晓", "Bartholomew Fitzgerald", "Ludmilla")
SECRETS = (
    *MEMBERS,
    *NAMES,
    *("0400A1B2C3", "830117", "830118", "654321"),
    *("mailto://box:Tulpe-Garten@mail.example.org", "Tulpe-Garten", "mail.example.org", "night-watch", "watch-mail"),
    *("司马站长", "139-2222-3333", "13922223333", "槐花巷", "春风驿站", "30.1234", "120.5678"),
    *("broker-account", "Feuer-Wasser-77", "broker.password", "bookkeeper"),
    *("请找老王", "Ask for old Wang"),
)
"""Everything that is about people, or is secret, in the station below."""


def settings_of(folder: Path, port: int, public: str) -> Path:
    password = folder / "broker.password"
    password.write_text("Feuer-Wasser-77\n", encoding="utf-8")
    urls = folder / "people.urls"
    urls.write_text('watch-mail = "mailto://box:Tulpe-Garten@mail.example.org"\n', encoding="utf-8")
    for private in (password, urls):
        private.chmod(0o600)
    tables: dict[str, dict[str, Any]] = {
        "station": {
            "id": STATION,
            "name": "春风驿站",
            "address": "槐花巷 9 号",
            "latitude": 30.1234,
            "longitude": 120.5678,
            "master_name": "司马站长",
            "master_phone": "139-2222-3333",
        },
        "mqtt": {
            "enabled": True,
            "host": "127.0.0.1",
            "port": port,
            "username": "broker-account",
            "password_file": "broker.password",
        },
        "commands.keys.central-1": {"public": public, "scopes": ["records"]},
        "control.roles": {"bookkeeper": "viewer"},
        "notify": {"urls_file": "people.urls"},
        "notify.recipients.night-watch": {"urls": ["watch-mail"], "faults": []},
        "sensors.oven": {"driver": "simulated", "interval_s": 0.2},
        "appliances.oven": {"kind": "microwave", "power": "oven"},
    }
    return write_settings(folder, tables)


def fill(station: Station) -> None:
    """People, what they carry, and what somebody wrote for them."""
    ask = station.client.request
    for member, name in zip(MEMBERS, NAMES, strict=True):
        ask("members.add", id=member, name=name)
    ask("members.card", id=MEMBERS[0], number="0400A1B2C3")
    ask("members.pin", id=MEMBERS[1], pin="830117", duress="830118", number="654321")
    ask("members.suspend", id=MEMBERS[2])
    ask("notice.put", zh="请找老王", en="Ask for old Wang")
    ask("faults.report", where="ludmilla", what="other")
    for number in range(LINES_MAX):  # so many that the bundle takes several messages
        logging.getLogger("agent.test").warning("%03d %s", number, "驿" * LINE_MAX)
    logging.getLogger("agent.test").warning("the account bookkeeper called 139-2222-3333, and 13922223333")


def hunt(bundle: dict[str, Any]) -> None:
    text = json.dumps(bundle, ensure_ascii=False)
    assert [each for each in SECRETS if each.lower() in text.lower()] == []


def test_nobody_is_in_a_bundle_wherever_it_goes(tmp_path: Path) -> None:
    signer = command_keys.generate("central-1")
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        settings = settings_of(tmp_path, broker.port, signer.public_text)
        with running(settings) as station:
            eventually(lambda: station.status()["broker"]["connected"], "the link is up")
            fill(station)
            target = tmp_path / "bundle.json"
            done = CliRunner().invoke(
                cli, ["diagnostics", "collect", "--file", str(target), "--config", str(settings), "--lang", "en"]
            )
            assert (done.exit_code, done.stdout) == (0, f"It is in {target}.\n")
            with Commander(Broker("127.0.0.1", broker.port), Topics("stations", STATION), signer) as commander:
                replies = list(commander.send("diagnostics.collect", timeout_s=40.0, command="c-77"))
                (again,) = list(commander.send("diagnostics.collect", command="c-77"))
        stored = open_readonly(station.settings.state.directory / "station.db")
        try:
            kept = json.dumps(list(stored.conn.execute("SELECT name, body FROM notes WHERE kind = 'reply'")))
        finally:
            stored.close()
    finally:
        broker.stop()
    accepted, *parts = replies
    assert (accepted.status, accepted.part) == ("accepted", None)
    assert [each.part for each in parts] == list(range(1, len(parts) + 1))
    assert {each.parts for each in parts} == {len(parts)}
    assert len(parts) >= 7  # some 400 KiB of lines
    assert [each.status for each in parts] == ["accepted"] * (len(parts) - 1) + ["done"]
    assert all(len(each.model_dump_json().encode()) <= PART_BYTES + 1024 for each in parts)
    assert (again.status, again.result) == ("done", {"omitted": "sent", "parts": len(parts)})
    assert "omitted" in kept
    assert "versions" not in kept

    for bundle in (json.loads(target.read_text(encoding="utf-8")), unpacked(each.result for each in parts)):
        hunt(bundle)
        rows = {each["table"]: each["rows"] for each in bundle["tables"]}
        assert (rows["members"], rows["cards"], rows["pins"]) == (3, 1, 1)
        assert {"station.started", "station.member.added"} <= {each["type"] for each in bundle["entries"]}
        assert bundle["station"]["members"] == 3
        assert "mqtt-link" in {each["thread"] for each in bundle["threads"]}
        assert {"path": "notify.recipients", "count": 1} in bundle["settings"]
        assert len(bundle["messages"]) == LINES_MAX
        assert [each for each in bundle["messages"] if "called" in each["message"]]
        assert not [name for name, section in bundle.items() if "error" in section]
