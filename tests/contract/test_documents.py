"""The printed contract: its copies are fresh, and what it says is what is published."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from base64 import urlsafe_b64decode
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc.jwk import OKPKey
from typer.testing import CliRunner

from agent.cli.program import app
from agent.command_gate import CommandClaims, sign
from agent.contract import channels as topics
from agent.contract import entries
from agent.contract.asyncapi import asyncapi
from agent.contract.commands import DOES, REFUSED, arguments_of
from agent.contract.documents import asyncapi_text, markdown_text
from agent.contract.entries import ENTRIES, PREFIX, Entry
from agent.contract.examples import EXAMPLES
from agent.core.commands import COMMANDS, Refusal
from agent.mqtt.payloads import NAMED, STATES

DOCS = Path(__file__).parents[2] / "docs"
PARSER = Path(os.environ.get("STATION_ASYNCAPI_PARSER", Path.home() / ".cache/station-agent/asyncapi"))


@pytest.fixture
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_contract", DOCS / "make_contract.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return found.union(*(references(each) for each in value.values()))
    if isinstance(value, list):
        return set[str]().union(*(references(each) for each in value))
    return set()


def at(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_the_copies_are_made_from_the_models_as_they_are(maker: ModuleType) -> None:
    for target, text in maker.TARGETS.items():
        assert target.read_text(encoding="utf-8") == text(), "run `python docs/make_contract.py`"


def test_a_changed_model_makes_both_copies_stale(maker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENTRIES, "started", Entry("Something else."))
    entries.body_model.cache_clear()
    try:
        assert all(target.read_text(encoding="utf-8") != text() for target, text in maker.TARGETS.items())
    finally:
        entries.body_model.cache_clear()


def test_the_command_prints_them() -> None:
    assert CliRunner().invoke(app, ["contract", "--format", "asyncapi"]).stdout == asyncapi_text()
    assert CliRunner().invoke(app, ["contract"]).stdout == markdown_text()


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi()
    found = references(document)
    assert "#/components/schemas/LogEvent" in found
    assert all(at(document, each) is not None for each in found)
    assert "$defs" not in json.dumps(document)


def test_every_topic_of_the_agent_is_in_it() -> None:
    addresses = {each["address"] for each in asyncapi()["channels"].values()}
    parts = {f"state/{part}/{{name}}" if part in NAMED else f"state/{part}" for part in STATES}
    names = {"status", "about", "log", "readings", "commands", "replies", *parts}
    assert {f"{topics.PREFIX}/{{station}}/{each}" for each in names} <= addresses
    assert all(each.model in STATES.values() for each in topics.channels() if each.name.startswith("state_"))


def test_live_state_is_retained_and_the_log_is_not() -> None:
    operations = asyncapi()["operations"]
    retained = {name for name, each in operations.items() if each["bindings"]["mqtt"]["retain"]}
    assert {name.removeprefix("send_") for name in retained} == {
        "status",
        "about",
        *(f"state_{part}" for part in STATES),
    }
    assert all(each["bindings"]["mqtt"]["qos"] == 1 for each in operations.values())


def test_every_type_of_entry_is_a_message_with_its_own_data() -> None:
    document = asyncapi()
    messages = [at(document, each["$ref"]) for each in document["channels"]["log"]["messages"].values()]
    types = [message["payload"]["allOf"][1]["properties"]["type"]["const"] for message in messages]
    assert types == [f"{PREFIX}{kind}" for kind in ENTRIES]


def test_a_reader_is_not_told_to_refuse_what_a_later_version_adds_and_a_station_refuses_it() -> None:
    taken = {"CommandClaims", *(arguments_of(name).__name__ for name in COMMANDS)}
    for name, schema in asyncapi()["components"]["schemas"].items():
        assert (schema.get("additionalProperties") is False) is (name in taken), name


def test_every_command_has_a_sentence_and_asks_for_its_proof() -> None:
    document = asyncapi()
    assert list(DOES) == list(COMMANDS)
    assert list(REFUSED) == list(Refusal)
    messages = [at(document, each["$ref"]) for each in document["channels"]["commands"]["messages"].values()]
    asked = {each["title"]: each["payload"]["x-claims"]["allOf"][1]["required"] for each in messages}
    assert asked == {name: [command.freshness.value] for name, command in COMMANDS.items()}
    assert document["operations"]["receive_commands"]["reply"] == {"channel": {"$ref": "#/channels/replies"}}


def test_a_command_as_the_fleet_signs_it_looks_as_the_document_says() -> None:
    claims = CommandClaims(
        id="c-1", station="demo-1", name="nonce.request", issued_at="2026-11-22T03:04:05Z", session="s" * 16
    )
    key = OKPKey.generate_key("Ed25519")
    document = asyncapi()
    pattern = at(document, "#/components/messages/command_nonce_request")["payload"]["pattern"]
    assert re.fullmatch(pattern, sign(claims, "k-1", key))


def test_the_command_that_is_shown_is_signed_with_the_test_key_of_rfc_8037() -> None:
    shown = markdown_text().split('```\n{"alg"', 1)[1].split("```", 1)[0]
    header, claims, signature = shown.split("\n\n", 1)[1].replace("\n", "").split(".")
    public = Ed25519PublicKey.from_public_bytes(decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
    public.verify(decoded(signature), f"{header}.{claims}".encode())
    assert CommandClaims.model_validate_json(decoded(claims)).name == "door.unlock"


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_what_is_absent_in_an_event_is_not_null() -> None:
    event = asyncapi()["components"]["schemas"]["LogEvent"]
    assert {"specversion", "id", "source", "type", "sequence"} <= set(event["required"])
    assert not {"data", "salt", "datacontenttype", "withheld"} & set(event["required"])
    assert "null" not in json.dumps(event["properties"])


def test_every_topic_has_an_example() -> None:
    assert set(EXAMPLES) >= {each.name for each in topics.channels() if each.name not in ("log", "commands")}


def test_every_topic_and_type_is_in_the_text() -> None:
    text = markdown_text()
    assert all(f"`{PREFIX}{kind}`" in text for kind in ENTRIES)
    assert all(each.address.replace("{station}", "ID").replace("{name}", "NAME") in text for each in topics.channels())
    assert not re.search(r"\{\{", text)


def test_the_parser_of_asyncapi_finds_nothing_wrong(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not (PARSER / "node_modules/@asyncapi/parser").is_dir():
        message = f"needs node, and @asyncapi/parser: npm install --prefix {PARSER} @asyncapi/parser"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    wrong = asyncapi()
    wrong["operations"]["send_log"]["channel"] = {"$ref": "#/channels/nothing"}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    check = [node, str(DOCS / "check_contract.mjs"), str(PARSER)]
    good = subprocess.run(
        [*check, str(DOCS / "asyncapi.json")], capture_output=True, text=True, timeout=90, check=False
    )
    bad = subprocess.run(
        [*check, str(tmp_path / "wrong.json")], capture_output=True, text=True, timeout=90, check=False
    )

    assert good.returncode == 0, good.stderr
    assert "valid" in good.stdout
    assert bad.returncode == 1
    assert "nothing" in bad.stderr
