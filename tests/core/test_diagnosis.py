"""A bundle for a support engineer, as the rules ask for it and hand it on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.core.commands import Scope
from agent.core.diagnosis import LEFT_OUT, PATIENCE_S
from agent.core.problems import Words
from agent.effects import AppendEntry, CollectDiagnostics, PublishReply
from agent.events import (
    Actor,
    BrokerDisconnected,
    ClockRead,
    CommandReceived,
    DeviceFailed,
    DiagnosticsCollected,
    NotifyExamined,
    SensorRead,
    VaultExamined,
)
from tests.core.station_play import RULES, Play, member, ready

ADMINISTRATOR = Actor("local", "root", "administrator")
PARTS: tuple[Mapping[str, Any], ...] = (
    {"station": {"id": "x"}},
    {"messages": [{"at": "1"}]},
    {"messages": [{"at": "2"}]},
)


def ask(play: Play, request: str = "r-1") -> CollectDiagnostics:
    play.ask("diagnostics.collect", request=request, actor=ADMINISTRATOR)
    return play.found(CollectDiagnostics)[-1]


def command(play: Play, identifier: str = "c-1", session: str = "s-1") -> list[PublishReply]:
    received = CommandReceived(
        play.now, identifier, "diagnostics.collect", {}, "central-1", frozenset({Scope.RECORDS}), "0" * 32
    )
    already = len(play.found(PublishReply))
    play.put(replace(received, session=session))
    return play.found(PublishReply)[already:]


def test_the_time_is_that_of_the_bundle_and_not_of_the_last_look_at_the_clock() -> None:
    play = ready()
    play.put(ClockRead(play.now, datetime(2026, 11, 22, 11, 59, 30, tzinfo=UTC), True))
    looked_at = play.now
    play.wait(45)
    assert ask(play).sections["station"]["utc"] == (
        datetime(2026, 11, 22, 11, 59, 30, tzinfo=UTC) + timedelta(seconds=play.now - looked_at)
    ).isoformat(timespec="seconds")
    assert play.now > looked_at + 40


# --- asking ----------------------------------------------------------------------------------------------------------


def test_a_bundle_comes_whole_to_whoever_asks_on_this_machine() -> None:
    play = ready()
    order = ask(play)
    assert play.replies() == []
    play.put(DiagnosticsCollected(play.now, order.request, PARTS))
    (reply,) = play.replies()
    assert (reply.ok, reply.result) == (True, {"parts": list(PARTS)})
    assert play.logged("diagnostics.requested") == [{"by": "root", "kind": "local"}]


def test_one_bundle_at_a_time_is_collected() -> None:
    play = ready()
    ask(play)
    ask(play, "r-2")
    assert play.problem_codes("r-2") == ["request.busy"]
    assert len(play.found(CollectDiagnostics)) == 1
    play.put(DiagnosticsCollected(play.now, "r-1", PARTS))
    ask(play, "r-3")
    assert len(play.found(CollectDiagnostics)) == 2


def test_a_bundle_that_does_not_come_is_told_in_time_and_comes_to_nobody_later() -> None:
    play = ready()
    ask(play)
    play.wait(PATIENCE_S)
    assert play.problem_codes() == ["request.timed_out"]
    play.put(DiagnosticsCollected(play.now, "r-1", PARTS))
    assert len(play.replies()) == 1


# --- over the broker -------------------------------------------------------------------------------------------------


def test_the_central_server_gets_it_in_parts_and_the_last_one_is_done() -> None:
    play = ready()
    play.connect()
    play.take()
    (accepted,) = command(play)
    assert (accepted.status, accepted.part, accepted.parts) == ("accepted", None, None)
    play.put(DiagnosticsCollected(play.now, play.found(CollectDiagnostics)[0].request, PARTS))
    _, *sent = play.found(PublishReply)
    assert [(each.status, each.part, each.parts) for each in sent] == [
        ("accepted", 1, 3),
        ("accepted", 2, 3),
        ("done", 3, 3),
    ]
    assert tuple(each.result for each in sent) == PARTS
    assert play.logged("command.ended") == [{"id": "c-1", "status": "done", "code": ""}]


def test_a_repeated_id_hears_only_that_it_was_sent() -> None:
    play = ready()
    play.connect()
    command(play)
    play.put(DiagnosticsCollected(play.now, play.found(CollectDiagnostics)[0].request, PARTS))
    play.take()
    (again,) = command(play)
    assert (again.status, again.result) == ("done", {"omitted": "sent", "parts": 3})
    assert play.found(CollectDiagnostics) == []
    kept = [note.body for entry in play.found(AppendEntry) for note in entry.notes]
    assert kept == []


def test_a_bundle_for_a_server_that_is_out_of_reach_has_failed_and_was_not_sent() -> None:
    play = ready()
    play.connect()
    command(play)
    play.put(BrokerDisconnected(play.now, Words("cut", "cut")))
    play.put(DiagnosticsCollected(play.now, play.found(CollectDiagnostics)[0].request, PARTS))
    play.connect("s-2")
    (again,) = command(play, session="s-2")
    assert (again.status, again.code, again.result) == ("failed", "broker.disconnected", {})


def test_what_is_kept_of_the_answer_is_small() -> None:
    play = ready()
    play.connect()
    command(play)
    play.put(DiagnosticsCollected(play.now, play.found(CollectDiagnostics)[0].request, PARTS))
    (note,) = [note for entry in play.found(AppendEntry) for note in entry.notes if note.kind == "reply"][-1:]
    assert note.body is not None
    assert (note.body["status"], note.body["result"]) == ("done", {"omitted": "sent", "parts": 3})


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_the_rules_tell_how_the_station_is() -> None:
    play = ready(member("m-1", 1))
    play.put(DeviceFailed(play.now, "sensors.radar", "the port is gone"))
    play.put(SensorRead(play.now, "microwave", {"power_w": float("nan"), "voltage_v": 230.0}))
    told = ask(play).sections
    assert told["station"]["members"] == 1
    assert told["station"]["vision"] == "running"
    assert told["station"]["door"]["lock"] == "secured"
    assert told["outbox"]["backlog"] == 0
    (fault,) = [each for each in told["faults"] if each["where"] == "sensors.radar"]
    assert (fault["code"], fault["is_present"]) == ("device.failed", True)
    assert "the port is gone" in fault["text"]
    (oven,) = told["appliances"]
    assert (oven["appliance"], oven["switched_off"]) == ("microwave", False)
    values = {each["quantity"]: each["value"] for row in told["sensors"] for each in row["values"]}
    assert values["voltage_v"] == 230.0
    assert values["power_w"] is None, "JSON has no word for what is not a number"
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(
    "event",
    [
        VaultExamined(0.0, (("vault.template_refused", "zhang-san", "zhang-san"),)),
        NotifyExamined(0.0, (("notify.url_missing", "zhang-san", "zhang-san"),)),
    ],
)
def test_a_fault_about_somebody_is_told_without_them(event: VaultExamined | NotifyExamined) -> None:
    play = ready(member("zhang-san", 1))
    play.put(replace(event, at=play.now))
    play.ask("faults.report", request="r-2", where="lisi", what="dirty")
    faults = ask(play).sections["faults"]
    assert {each["where"] for each in faults} == {LEFT_OUT}
    assert {each["text"] for each in faults} == {None}
    assert "zhang-san" not in json.dumps(play.found(CollectDiagnostics)[-1].sections)


def test_the_notice_on_the_screens_stays_out() -> None:
    play = ready()
    play.ask("notice.put", request="r-2", zh="找张三", en="Ask Zhang San")
    told = ask(play).sections
    assert told["station"]["has_notice"] is True
    assert "Zhang San" not in json.dumps(told)


def test_every_place_where_the_rules_name_something_of_the_station_is_told() -> None:
    rules = replace(RULES, supplies={})
    play = ready(rules=rules)
    for device in ("lock", "camera", "contact"):
        play.put(DeviceFailed(play.now, device, "broken"))
    assert {each["where"] for each in ask(play).sections["faults"]} == {"lock", "camera", "contact"}
