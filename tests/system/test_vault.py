"""The whole agent with its templates sealed: the key is turned, lost, and put back; the door goes on."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np

from agent.clock import SystemClock
from agent.core.gallery import Gallery
from agent.effects import SaveMember
from agent.events import Member, MemberSaved, Template
from agent.storage.database import open_readonly
from agent.storage.keys import KeyFile
from agent.storage.log import read_after
from agent.storage.writer import StorageWriter
from tests.storage.inbox import Inbox
from tests.system.stations import Station, eventually, running, write_settings

LOST = ("vault.key_lost", "vault")
VECTOR = np.random.default_rng(1).standard_normal(128).astype(np.float32)


def prepare(folder: Path, engine: tuple[str, str] = ("dlib", "w" * 64)) -> tuple[Path, Path]:
    """Settings, and the key file apart from the state, which has one member."""
    key_file = folder / "keys" / "template.keys"
    key_file.parent.mkdir(mode=0o700)
    inbox = Inbox()
    writer = StorageWriter(folder / "state", "test-0001", SystemClock(), inbox, KeyFile(key_file))
    writer.open()
    writer.submit(SaveMember("s", Member("m-1", (Template(*engine, VECTOR),)), "Somebody", 1.0))
    inbox.wait(MemberSaved)
    assert writer.close(5.0)
    return write_settings(folder, {"vault": {"key_file": "keys/template.keys"}}), key_file


def test_an_administrator_turns_the_key_while_the_door_works(tmp_path: Path) -> None:
    settings, key_file = prepare(tmp_path)
    old = key_file.read_bytes()
    with running(settings) as station:
        before = station.client.request("vault.status")["keys"]
        done = station.client.request("vault.rotate")
        assert done["dropped"] == [before[0]["id"]]
        after = station.client.request("vault.status")
        assert after["keys"] == [{"id": done["key"], "templates": 1, "seals": True}]
        station.let_somebody_in()
        assert station.faults() == set()
    assert key_file.read_bytes() != old
    assert json.dumps(done["key"]) in log_of(tmp_path / "state"), "the log names the key by its id"
    text = "".join(path.read_text(errors="replace") for path in (tmp_path / "state").iterdir() if path.is_file())
    for line in (old + key_file.read_bytes()).decode().splitlines():
        assert line.startswith("#") or line == "sealed" or line not in text


def test_a_lost_key_is_a_fault_with_its_remedy_and_the_door_opens_by_other_ways(tmp_path: Path) -> None:
    settings, key_file = prepare(tmp_path)
    key_file.rename(tmp_path / "safe")
    with running(settings) as station:
        (fault,) = (
            each for each in station.status()["parts"]["health"]["faults"] if (each["code"], each["where"]) == LOST
        )
        assert "1 templates cannot be read" in fault["text"]["en"]
        assert "vault rotate" in fault["remedy"]["en"]
        station.let_somebody_in()
        station.parts.exit_button.press()
        eventually(lambda: station.parts.door.is_released, "leaving works")
    assert not key_file.exists()
    (tmp_path / "safe").rename(key_file)
    with running(settings) as station:
        assert station.faults() == set()
        assert station.client.request("vault.status")["locked"] == 0


def test_faces_are_compared_only_while_their_key_is_there(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, {"vision": {"enabled": True}})
    key_file = tmp_path / "state" / "template.keys"
    with running(settings) as station:
        engine = gallery_of(station)[0]
    inbox = Inbox()
    writer = StorageWriter(tmp_path / "state", "test-0001", SystemClock(), inbox)
    writer.open()
    writer.submit(SaveMember("s", Member("m-1", (Template(*engine, VECTOR),)), "Somebody", 1.0))
    inbox.wait(MemberSaved)
    assert writer.close(5.0)

    key_file.rename(tmp_path / "safe")
    with running(settings) as station:
        assert gallery_of(station) == (engine, ())
        assert LOST in station.faults()
        station.let_somebody_in()
    (tmp_path / "safe").rename(key_file)
    with running(settings) as station:
        assert gallery_of(station) == (engine, ("m-1",))
        assert LOST not in station.faults()


def gallery_of(station: Station) -> tuple[tuple[str, str], tuple[str, ...]]:
    """The engine in use and the members whose faces are compared, once vision runs."""
    found: list[Gallery] = []

    def is_built() -> bool:
        state = station.app.loop.state
        if state is not None and state.gallery is not None:
            found.append(state.gallery)
        return bool(found)

    eventually(is_built, "the gallery is built", 60)
    return (found[0].engine, found[0].weights), found[0].members


def log_of(state: Path) -> str:
    with closing(open_readonly(state / "station.db")) as database:
        return " ".join(each.body or "" for each in read_after(database, 0, 0, 1000))
