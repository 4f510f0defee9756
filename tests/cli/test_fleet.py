"""`station fleet conformance`: what it says, how it ends, and that it sends nothing without a key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agent import command_keys
from agent.cli.language import clean_json
from agent.cli.program import app as cli
from agent.fleet.conformance.kit import PROMISES
from agent.fleet.conformance.promises import Need
from agent.mqtt import payloads
from agent.mqtt.client import Broker, Connection, Received, Signal, Subscribed
from tests.broker import Mosquitto, free_port
from tests.mosquitto_configuration import SecureBroker
from tests.system.stations import STATION, eventually, running, write_settings

QUICK = ["--listen", "0.5", "--patience", "5", "--log-wait", "5"]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "central.key"
    command_keys.save(command_keys.generate("central-1"), path)
    return path


@pytest.fixture
def station(tmp_path: Path, mosquitto: Mosquitto, key: Path) -> Iterator[None]:
    tables: dict[str, dict[str, Any]] = {
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": mosquitto.port},
        "commands.keys.central-1": {"public": command_keys.load(key).public_text, "scopes": ["operate"]},
    }
    with running(write_settings(tmp_path, tables)) as agent:
        eventually(lambda: agent.status()["broker"]["connected"], "the link is up")
        yield


def conformance(port: int, *more: str, lang: str = "en") -> Result:
    base = ["--lang", lang, "fleet", "conformance", "--station", STATION, "--broker", f"mqtt://127.0.0.1:{port}"]
    return CliRunner().invoke(cli, [*base, *QUICK, *more])


def test_what_a_station_says_steers_no_terminal_and_stays_the_same() -> None:
    said = {"code": "\x1b[2J\x9b31m\u202e", "\ud800": ["停水 😀", "\U000e0001"]}
    text = clean_json(json.dumps(said, ensure_ascii=False, indent=2))
    assert json.loads(text) == said
    assert all(each.isprintable() for each in text.replace("\n", ""))
    assert "停水 😀" in text


@pytest.mark.usefixtures("station")
def test_without_a_key_it_sends_nothing_and_says_what_it_did_not_look_at(mosquitto: Mosquitto) -> None:
    heard: list[Signal] = []
    spy = Connection(Broker("127.0.0.1", mosquitto.port), "spy", heard.append)
    spy.open()
    spy.subscribe((f"stations/{STATION}/commands",))
    eventually(lambda: any(isinstance(each, Subscribed) for each in heard), "the spy listens")
    try:
        found = conformance(mosquitto.port, "--format", "json")
    finally:
        spy.cut()
    assert found.exit_code == 0, found.output
    told = {each["promise"]: each for each in json.loads(found.stdout)["promises"]}
    for each in PROMISES:
        if each.need is not Need.LISTENING:
            assert told[each.name]["verdict"] == "not_checked"
            assert "--key" in told[each.name]["seen"]["en"]
    assert told["kept"]["verdict"] == "holds"
    assert not [each for each in heard if isinstance(each, Received)]


@pytest.mark.usefixtures("station")
@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_with_a_key_it_prints_a_line_for_each_promise_and_a_sum(mosquitto: Mosquitto, key: Path, version: str) -> None:
    found = conformance(mosquitto.port, "--key", str(key), "--scopes", "operate", "--mqtt", version)
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("BROKEN")] == []
    named = [
        name for line in lines for name in line.replace(",", "").split() if name in {each.name for each in PROMISES}
    ]
    assert {each.name for each in PROMISES} <= set(named)
    assert "0 broken" in lines[-1]
    assert any(line.startswith("holds") and "bad_signature" in line for line in lines)
    assert any(line.startswith("not checked") and " retained " in line for line in lines) is (version == "3.1.1")


@pytest.mark.usefixtures("station")
def test_a_station_that_answers_nobody_is_not_asked_for_the_rest(mosquitto: Mosquitto, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.key"
    command_keys.save(command_keys.generate("stranger"), stranger)
    found = conformance(mosquitto.port, "--key", str(stranger), "--patience", "0.5", "--format", "json")
    assert found.exit_code == 1
    told = {each["promise"]: each for each in json.loads(found.stdout)["promises"]}
    assert [name for name, each in told.items() if each["verdict"] == "broken"] == ["answered"]
    assert "settings" in told["answered"]["seen"]["en"]
    assert told["bad_signature"]["verdict"] == "not_checked"


@pytest.mark.usefixtures("station")
def test_what_is_broken_is_said_in_both_languages_and_ends_with_1(
    mosquitto: Mosquitto, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payloads, "HISTORICAL_AFTER", timedelta(days=-1))
    found = conformance(mosquitto.port, "--key", str(key), lang="zh")
    assert found.exit_code == 1
    assert "不符" in found.stdout
    assert "historical 为 true" in found.stdout
    assert "1 项不符" in found.stdout.splitlines()[-1]


def test_what_cannot_be_run_says_why_and_ends_with_2(mosquitto: Mosquitto, key: Path, tmp_path: Path) -> None:
    absent = conformance(mosquitto.port)
    assert (absent.exit_code, "nothing was heard" in absent.output) == (2, True)
    offline = conformance(mosquitto.port, "--key", str(key), "--patience", "0.3")
    assert (offline.exit_code, "is not online" in offline.output) == (2, True)
    nobody = conformance(free_port())
    assert (nobody.exit_code, "no connection" in nobody.output) == (2, True)
    keyless = conformance(mosquitto.port, "--key", str(tmp_path / "none.key"))
    assert (keyless.exit_code, "there is no such file" in keyless.output) == (2, True)


def test_in_chinese_what_cannot_be_done_is_chinese_and_only_the_systems_own_words_are_not(
    mosquitto: Mosquitto, key: Path, tmp_path: Path
) -> None:
    absent = conformance(mosquitto.port, lang="zh")
    assert f"没有收到站点 {STATION} 的任何消息" in absent.stderr
    nobody = conformance(port := free_port(), lang="zh")
    assert nobody.stderr == (f"无法查验:无法连接消息服务器 127.0.0.1:{port}:那里没有程序在监听(Connection refused)\n")
    keyless = conformance(mosquitto.port, "--key", str(missing := tmp_path / "none.key"), lang="zh")
    assert keyless.stderr == f"无法查验:{missing}:没有这个文件(No such file or directory)\n"
    base = ["--lang", "zh", "fleet", "command", "station.refresh", "--station", STATION, "--key", str(key)]
    unsent = CliRunner().invoke(cli, [*base, "--broker", f"mqtt://127.0.0.1:{mosquitto.port}", "--timeout", "1"])
    assert unsent.exit_code == 1
    assert unsent.stderr == "指令没有完成:站点从未连接过这个服务器:请检查 --station、--prefix 和 --broker\n"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--scopes", "open"], "need a key"),
        (["--may-open"], "need a key"),
        (["--broker", "http://localhost"], "mqtt://HOST"),
        (["--broker", "localhost"], "mqtt://HOST"),
        (["--broker", "mqtt://localhost:x"], "mqtt://HOST"),
        (["--broker", "mqtt://somebody:secret@localhost"], "--password-file"),
        (["--broker", "mqtt://localhost", "--ca-file", "ca.pem"], "mqtts://"),
        (["--broker", "mqtt://localhost/topic"], "mqtt://HOST"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_the_remedy(more: list[str], why: str) -> None:
    found = CliRunner().invoke(cli, ["--lang", "en", "fleet", "conformance", "--station", STATION, *QUICK, *more])
    assert found.exit_code == 2
    assert why in found.output
    assert "secret" not in found.output


def test_scopes_that_there_are_not_are_refused(key: Path) -> None:
    found = conformance(1, "--key", str(key), "--scopes", "open,everything")
    assert (found.exit_code, "records" in found.output) == (2, True)


@pytest.mark.usefixtures("station")
def test_a_command_takes_the_same_address(mosquitto: Mosquitto, key: Path) -> None:
    base = ["fleet", "command", "station.refresh", "--station", STATION, "--key", str(key)]
    found = CliRunner().invoke(cli, [*base, "--broker", f"mqtt://127.0.0.1:{mosquitto.port}"])
    assert (found.exit_code, json.loads(found.stdout)["status"]) == (0, "done")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["appliance.switch", "-a", "appliance=oven", "-a", "on=maybe"], ("bad_arguments", "on must be true or false")),
        (
            ["notice.put", "-a", "zh=停水", "-a", "card=04A1B2C3"],
            ("bad_arguments", "no argument card", "en is missing"),
        ),
        (["station.refresh", "-a", "x=1"], ("bad_arguments", "it takes no arguments")),
        (["door.explode"], ("unknown_command", "door.unlock, door.hold_open")),
        (["log.replay", "-a", "epoch=1", "-a", "first=1", "-a", "last=2"], ("not_in_scope", "its key may not do that")),
        (["alarm.acknowledge", "-a", "alarm=door"], ("alarm.unknown", "station alarms list")),
    ],
)
@pytest.mark.usefixtures("station")
def test_a_command_that_comes_to_nothing_says_why_and_repeats_no_value(
    mosquitto: Mosquitto, key: Path, command: list[str], says: tuple[str, ...]
) -> None:
    base = ["--station", STATION, "--key", str(key), "--broker", f"mqtt://127.0.0.1:{mosquitto.port}"]
    found = CliRunner().invoke(cli, ["--lang", "en", "fleet", "command", *command, *base])
    assert found.exit_code == 1
    for each in says:
        assert each in found.stderr
    assert "04A1B2C3" not in found.output
    assert all(json.loads(line)["id"] for line in found.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["-a", "pin=2580", "-a", 'cards=["04A1B2C3"]'], "cards, pin"), (["-a", "id=m-1"], ""), ([], "")],
)
def test_a_card_or_a_pin_on_the_command_line_is_warned_of_and_not_repeated(
    key: Path, tmp_path: Path, arguments: list[str], named: str
) -> None:
    secrets = tmp_path / "arguments.json"
    secrets.write_text('{"pin": "1470"}', encoding="utf-8")
    base = ["fleet", "command", "members.put", "--station", STATION, "--key", str(key), "--port", str(free_port())]
    found = CliRunner().invoke(cli, ["--lang", "en", *base, "--arguments-file", str(secrets), *arguments])
    assert found.exit_code == 1
    assert (f"others on this machine see {named} on" in found.stderr) is bool(named)
    assert ("--arguments-file" in found.stderr) is bool(named)
    assert not any(secret in found.output for secret in ("2580", "04A1B2C3", "1470"))


def test_it_goes_through_the_shipped_broker(tmp_path: Path, key: Path) -> None:
    secure = SecureBroker(tmp_path, STATION)
    folder = secure.certificates.folder
    tls = {"enabled": True, "ca_file": str(folder / "ca.pem")}
    tls |= {"cert_file": str(folder / f"{STATION}.pem"), "key_file": str(folder / f"{STATION}.key")}
    tables: dict[str, dict[str, Any]] = {
        "mqtt": {"enabled": True, "host": "localhost", "port": secure.mosquitto.port},
        "mqtt.tls": tls,
        "commands.keys.central-1": {"public": command_keys.load(key).public_text, "scopes": ["operate"]},
    }
    base = ["--lang", "en", "fleet", "conformance", "--station", STATION, *QUICK, "--key", str(key), "--format", "json"]
    base += ["--broker", f"mqtts://localhost:{secure.mosquitto.port}", "--ca-file", str(folder / "ca.pem")]
    base += ["--cert-file", str(folder / "operator.pem"), "--key-file", str(folder / "operator.key")]
    try:
        with running(write_settings(tmp_path, tables)) as agent:
            eventually(lambda: agent.status()["broker"]["connected"], "the link is up")
            found = CliRunner().invoke(cli, base)
    finally:
        secure.mosquitto.stop()
    assert found.exit_code == 0, found.output
    told = {each["promise"]: each["verdict"] for each in json.loads(found.stdout)["promises"]}
    assert {told[each] for each in ("kept", "answered", "bad_signature", "bounded")} == {"holds"}
