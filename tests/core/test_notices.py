"""Who is told what, and when: the rules of notifications, played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agent.core import notices
from agent.core import station as station_rules
from agent.core.notice_words import BODY_BYTES, NEXT, REASONS
from agent.core.notices import ANSWER_S, HOUR_S, PAUSES_S, FaultPattern, NoticeRules, Recipient
from agent.core.problems import CATALOGUE, Severity
from agent.core.schedule import Admission, Schedule, Span
from agent.core.state import Plate, Rules
from agent.core.turn import Turn
from agent.effects import AppendEntry, KeepNotes, Notify
from agent.events import (
    CallButtonPressed,
    CameraFailed,
    CameraRecovered,
    ClockRead,
    DeviceFailed,
    DeviceRecovered,
    NotifyDone,
    NotifyExamined,
    PauseSkipped,
    Restored,
    TimePassed,
)
from tests.core.station_play import RULES, VIEWER, Play, begin, member

SHANGHAI = ZoneInfo("Asia/Shanghai")
NIGHT = (Span(22 * 60, 30 * 60 + 30, Admission.CLOSED),)  # 22:00-06:30
QUIET = Schedule(SHANGHAI, (NIGHT, NIGHT, NIGHT, NIGHT, NIGHT, NIGHT, NIGHT), otherwise=Admission.OPEN)
NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)  # in Shanghai
THREE = datetime(2026, 11, 22, 19, tzinfo=UTC)  # in the morning, in Shanghai
MASTER = Recipient(
    ("wecom",), "en", frozenset({"forced", "call"})
)  # a room that stays quiet is no matter of these tests
PLATE = Plate(id="s-1", name="East gate", timezone="Asia/Shanghai", labels={"microwave": {"en": "Microwave"}})


def rules(**recipients: Recipient) -> Rules:
    return replace(RULES, plate=PLATE, notices=NoticeRules(recipients or {"master": MASTER}), zone=SHANGHAI)


def station(
    utc: datetime = NOON, chosen: Rules | None = None, restored: Restored | None = None, *, is_trusted: bool = True
) -> Play:
    """A station whose door is closed, that knows the time and has settled."""
    play = begin(member("m-1", 1), rules=chosen or rules(), restored=restored)
    play.put(ClockRead(0.0, utc, is_trusted))
    play.move_leaf(is_open=False)
    play.wait(notices.SETTLE_S)
    play.take()
    return play


def force(play: Play) -> None:
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)


def answer(play: Play, reason: str = "", *, to: str = "", way: str = "wecom") -> None:
    """What became of the newest message (to somebody)."""
    order = [each for each in play.found(Notify) if to in ("", each.recipient)][-1]
    play.put(NotifyDone(play.now, order.request, order.recipient, not reason, reason, {way: reason}))


def sent(play: Play, to: str = "") -> list[Notify]:
    return [each for each in play.found(Notify) if to in ("", each.recipient)]


def run(play: Play, seconds: float, reason: str = "") -> list[float]:
    """Let time pass, every message answered at once; when each was sent."""
    times: list[float] = []
    end = play.now + seconds
    answered = len(sent(play))
    while play.now < end:
        due = station_rules.next_deadline(play.state, play.rules)
        play.wait_until(end if due is None else min(end, max(due, play.now)))
        while len(sent(play)) > answered:
            answered += 1
            times.append(play.now)
            order = sent(play)[answered - 1]
            play.put(NotifyDone(play.now, order.request, order.recipient, not reason, reason, {"wecom": reason}))
    return times


def noted(play: Play) -> dict[str, dict[str, Mapping[str, Any]]]:
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for order in play.orders:
        for note in order.notes if isinstance(order, (AppendEntry, KeepNotes)) else ():
            of_kind = found.setdefault(note.kind, {})
            of_kind.pop(note.name, None)
            if note.body is not None:
                of_kind[note.name] = note.body
    return found


# --- a forced door ---------------------------------------------------------------------------------------------------


def test_a_forced_door_at_three_in_the_morning_reaches_somebody_at_once() -> None:
    play = station(THREE, rules(master=replace(MASTER, alarms=None, quiet=QUIET)))
    play.move_leaf(is_open=True)
    (message,) = sent(play)
    assert message.is_urgent
    assert message.title == "East gate: the door was forced open"
    assert "Since: 2026-11-23 03:01" in message.body
    assert "station alarms acknowledge forced" in message.body


def test_it_is_repeated_until_somebody_acknowledges_it() -> None:
    play = station()
    force(play)
    answer(play)
    assert len(run(play, 3 * 900.0)) == 3
    assert "(over, but nobody has seen it)" in sent(play)[-1].body
    play.ask("alarms.acknowledge", alarm="forced")
    assert run(play, 3 * 900.0) == []


def test_it_is_repeated_so_often_and_no_more() -> None:
    play = station(chosen=rules(master=replace(MASTER, repeats_max=3)))
    force(play)
    answer(play)
    assert len(run(play, 12 * 900.0)) == 3


def test_it_is_told_once_where_nothing_is_to_be_repeated() -> None:
    play = station(chosen=rules(master=replace(MASTER, repeat_s=0.0)))
    force(play)
    answer(play)
    assert run(play, 3 * HOUR_S) == []


def test_one_that_begins_again_after_it_was_acknowledged_is_news() -> None:
    play = station()
    force(play)
    answer(play)
    play.ask("alarms.acknowledge", alarm="forced")
    play.wait(5.0)
    play.put(ClockRead(play.now, NOON + timedelta(seconds=play.now), True))
    force(play)
    assert len(sent(play)) == 2


def test_one_that_comes_and_goes_unseen_is_not_told_each_time() -> None:
    play = station()
    for _ in range(20):
        force(play)
        answer(play)
        play.wait(10.0)
    assert len(sent(play)) == 1
    run(play, 900.0)
    assert sent(play)[1].title.endswith("× 20")


def test_the_log_says_who_was_told_of_what_and_no_more() -> None:
    play = station()
    force(play)
    assert play.logged("notice.sent") == []
    answer(play)
    (body,) = play.logged("notice.sent")
    assert body == {"recipient": "master", "about": ["alarm:forced"], "count": 1, "passed": 0, "held": 0}


# --- a call ----------------------------------------------------------------------------------------------------------


def test_a_call_at_the_door_reaches_the_master_also_in_quiet_hours_and_ends_with_its_answer() -> None:
    play = station(THREE, rules(master=replace(MASTER, quiet=QUIET, repeat_s=60.0)))
    for _ in range(3):
        play.put(CallButtonPressed(play.now))
        play.wait(1.0)
    (message,) = sent(play)
    assert message.title == "East gate: somebody at the door calls the station master"
    assert message.is_urgent
    assert "Since: 2026-11-23 03:01" in message.body
    answer(play)
    assert len(run(play, 90.0)) == 1
    assert "station alarms acknowledge call" in sent(play)[-1].body
    play.ask("door.answer")
    assert run(play, HOUR_S) == []
    play.put(CallButtonPressed(play.now))
    assert len(sent(play)) == 3


def test_whoever_goes_on_calling_does_not_keep_a_forced_door_from_being_told() -> None:
    play = station(THREE, rules(master=replace(MASTER, quiet=QUIET, per_hour=6, repeat_s=0.0)))
    for _ in range(10):
        play.put(CallButtonPressed(play.now))
        if play.state.notices.boxes["master"].under_way:
            answer(play)
        play.ask("door.answer")
        play.wait(30.0)
    assert len(sent(play)) == 4
    force(play)
    assert sent(play)[-1].title == "East gate: the door was forced open"


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_fault_is_told_until_somebody_has_seen_it() -> None:
    play = station()
    play.put(CameraFailed(play.now, "unplugged at /dev/secret"))
    answer(play)
    message = sent(play)[-1]
    assert message.title == "East gate: camera: The camera gives no fresh picture."
    assert "Check the camera's cable" in message.body
    assert "secret" not in message.body
    assert not message.is_urgent
    assert len(run(play, 900.0)) == 1
    play.ask("faults.update", fault="camera.failed@camera", stage="seen")
    assert run(play, 2 * 900.0) == []


def test_a_fault_that_comes_and_goes_is_not_told_each_time() -> None:
    play = station()
    for _ in range(10):
        play.put(DeviceFailed(play.now, "motion", "x"))
        if len(sent(play)) == 1:
            answer(play)
        play.wait(20.0)
        play.put(DeviceRecovered(play.now, "motion"))
        play.wait(20.0)
    assert len(sent(play)) == 1


@pytest.mark.parametrize(
    ("patterns", "codes"),
    [
        ((FaultPattern(),), {"camera.failed", "reported.dirty"}),
        ((FaultPattern(severity=Severity.ERROR),), {"camera.failed"}),
        ((FaultPattern(severity=Severity.WARNING),), {"reported.dirty"}),
        ((FaultPattern("camera"),), {"camera.failed"}),
        ((FaultPattern("reported", Severity.ERROR),), set()),
        ((FaultPattern("reported.dirty"), FaultPattern("camera.failed")), {"camera.failed", "reported.dirty"}),
        ((FaultPattern("came"),), set()),
        ((), set()),
    ],
)
def test_who_gets_which_faults_is_a_table(patterns: tuple[FaultPattern, ...], codes: set[str]) -> None:
    play = station(chosen=rules(master=replace(MASTER, faults=patterns)))
    play.put(CameraFailed(play.now, "x"))
    if sent(play):
        answer(play)
    play.ask("faults.report", where="microwave", what="dirty")
    words = {
        code: CATALOGUE[code].text.en.partition(":")[0].rstrip(".") for code in ("camera.failed", "reported.dirty")
    }
    assert {code for code, text in words.items() if any(text in each.title for each in sent(play))} == codes


def test_who_gets_which_alarms_is_a_table() -> None:
    chosen = rules(guard=replace(MASTER, alarms=frozenset({"forced"})), office=replace(MASTER, alarms=frozenset()))
    play = station(chosen=chosen)
    force(play)
    assert [each.recipient for each in sent(play)] == ["guard"]


# --- quiet hours -----------------------------------------------------------------------------------------------------


def test_what_quiet_hours_keep_back_comes_as_one_summary_at_their_end() -> None:
    play = station(THREE, rules(master=replace(MASTER, quiet=QUIET)))
    play.put(CameraFailed(play.now, "x"))
    play.ask("faults.report", where="microwave", what="broken")
    play.put(DeviceFailed(play.now, "motion", "x"))
    play.wait(60.0)
    play.put(DeviceRecovered(play.now, "motion"))
    assert run(play, 3.4 * HOUR_S) == []
    (at,) = run(play, 600.0)
    assert at == pytest.approx(3.5 * HOUR_S, abs=6.0)
    (message,) = sent(play)
    assert message.title == "East gate: 2 things to see to"
    assert message.body.startswith("Kept back until now:")
    assert "Microwave: Somebody reports that it is broken." in message.body
    assert "Came and went meanwhile: motion: The device does not work." in message.body


def test_what_is_urgent_goes_alone_and_leaves_the_rest_for_the_end() -> None:
    play = station(THREE, rules(master=replace(MASTER, quiet=QUIET, repeat_s=0.0)))
    play.put(CameraFailed(play.now, "x"))
    force(play)
    answer(play)
    assert [each.title for each in sent(play)] == ["East gate: the door was forced open"]
    assert "camera" not in sent(play)[0].body
    run(play, 4 * HOUR_S)
    assert [each.title for each in sent(play)][1:] == ["East gate: camera: The camera gives no fresh picture."]


def test_which_alarms_are_urgent_is_the_recipients_choice() -> None:
    play = station(THREE, rules(master=replace(MASTER, quiet=QUIET, urgent=frozenset({"fire"}))))
    force(play)
    assert sent(play) == []


def test_with_a_clock_that_nobody_set_there_are_no_quiet_hours() -> None:
    play = station(THREE, rules(master=replace(MASTER, quiet=QUIET)), is_trusted=False)
    play.put(CameraFailed(play.now, "x"))
    assert len(sent(play)) == 1


def test_a_clock_that_loses_its_trust_at_night_ends_the_quiet() -> None:
    play = station(THREE, rules(master=replace(MASTER, quiet=QUIET)))
    play.put(CameraFailed(play.now, "x"))
    assert sent(play) == []
    play.put(ClockRead(play.now, THREE + timedelta(seconds=play.now), False))
    assert len(sent(play)) == 1


def test_in_the_first_minute_only_what_is_urgent_is_told_while_the_time_is_not_known() -> None:
    play = begin(rules=rules(master=replace(MASTER, quiet=QUIET)))
    play.put(CameraFailed(1.0, "x"))
    play.move_leaf(is_open=False)
    assert sent(play) == []
    force(play)
    answer(play)
    assert "not known (the clock was not set)" in sent(play)[-1].body
    play.wait(notices.SETTLE_S)
    assert [each.title for each in sent(play)][1:] == ["East gate: camera: The camera gives no fresh picture."]


def test_quiet_hours_end_by_the_stations_own_clocks_also_when_those_are_put_forward() -> None:
    zone = ZoneInfo("Europe/Berlin")
    quiet = Schedule(zone, (NIGHT,) * 7, otherwise=Admission.OPEN)
    before = datetime(2027, 3, 27, 22, tzinfo=UTC)  # 23:00; at 02:00 it is 03:00, so 06:30 comes 6.5 hours later
    found = notices.quiet_at(replace(MASTER, quiet=quiet), ClockRead(0.0, before, True), 0.0, 0.0)
    assert found.is_quiet
    assert found.until == pytest.approx(6.5 * HOUR_S, abs=0.1)


# --- the limit -------------------------------------------------------------------------------------------------------


def report(play: Play, number: int) -> None:
    play.ask("faults.report", where=f"shelf-{number}", what="broken")


def test_what_is_over_the_limit_is_counted_and_comes_as_one_message_after_it() -> None:
    play = station(chosen=rules(master=replace(MASTER, per_hour=3, repeat_s=0.0)))
    times: list[float] = []
    for number in range(8):
        report(play, number)
        times += [play.now] * (len(sent(play)) - len(times))
        answer(play)
        play.wait(60.0)
    assert len(times) == 2  # a third is kept free for what is urgent
    run(play, HOUR_S)
    assert len(sent(play)) == 3
    assert sent(play)[-1].title == "East gate: 6 things to see to"
    assert "6 messages waited for this one: at most 3 an hour." in sent(play)[-1].body


def test_an_urgent_alarm_is_told_though_faults_have_used_up_their_share() -> None:
    play = station(chosen=rules(master=replace(MASTER, per_hour=3, repeat_s=0.0)))
    for number in range(5):
        report(play, number)
        answer(play)
    assert len(sent(play)) == 2
    force(play)
    assert "the door was forced open" in sent(play)[2].body
    answer(play)
    play.ask("alarms.acknowledge", alarm="forced")
    play.put(ClockRead(play.now, NOON + timedelta(seconds=play.now + 30), True))
    force(play)
    assert len(sent(play)) == 3  # and never more than the limit
    run(play, HOUR_S)
    assert "the door was forced open" in sent(play)[3].body


@pytest.mark.parametrize("per_hour", [1, 2, 3, 12])
def test_no_hour_has_more_messages_than_the_limit(per_hour: int) -> None:
    play = station(chosen=rules(master=replace(MASTER, per_hour=per_hour, repeat_s=60.0, repeats_max=100)))
    report(play, 1)
    force(play)
    run(play, 3 * HOUR_S)
    times = [at for order, at in zip(play.orders, play.ordered_at, strict=True) if isinstance(order, Notify)]
    assert len(times) > 2 * (per_hour - per_hour // 3)
    assert max(sum(at <= other < at + HOUR_S for other in times) for at in times) <= per_hour


# --- failures --------------------------------------------------------------------------------------------------------


def test_a_message_that_fails_is_tried_again_after_growing_pauses() -> None:
    play = station(chosen=rules(master=replace(MASTER, repeat_s=0.0)))
    force(play)
    answer(play, "unreachable")
    began = play.now
    times = run(play, 2 * HOUR_S, "unreachable")
    pauses = [after - before for before, after in zip([began, *times], times, strict=False)]
    for pause, expected in zip(pauses, [*PAUSES_S, *[PAUSES_S[-1]] * 9], strict=False):
        assert pause == pytest.approx(expected, abs=6.0)
    assert len(times) >= 10
    run(play, 2 * PAUSES_S[-1])
    assert play.state.notices.boxes["master"].failures == 0
    assert play.state.notices.boxes["master"].waiting == {}


def test_what_failed_is_made_anew_of_what_is_so_by_then() -> None:
    play = station()
    play.put(CameraFailed(play.now, "x"))
    answer(play, "unreachable")
    play.put(CameraRecovered(play.now))
    force(play)
    play.wait(PAUSES_S[0])
    assert sent(play)[-1].title == "East gate: the door was forced open"
    assert "Came and went meanwhile: camera" in sent(play)[-1].body


def test_what_somebody_has_seen_meanwhile_is_not_told_any_more() -> None:
    play = station()
    force(play)
    answer(play, "unreachable")
    play.ask("alarms.acknowledge", alarm="forced")
    assert run(play, HOUR_S) == []


def test_a_recipient_who_cannot_be_reached_is_a_fault_that_others_are_told() -> None:
    play = station(chosen=rules(master=MASTER, office=replace(MASTER, alarms=frozenset())))
    force(play)
    for _ in range(6):
        answer(play, "refused", to="master")
        if sent(play, "office"):
            answer(play, to="office")
        play.wait(170.0)
    assert ("notify.failed", "master") in play.state.faults
    assert [each.title for each in sent(play, "office")] == [
        "East gate: master: This recipient has not been reached for a while."
    ]
    answer(play, to="master")
    assert ("notify.failed", "master") not in play.state.faults
    assert not any("has not been reached" in each.body for each in sent(play, "master"))


def test_one_failure_is_no_fault() -> None:
    play = station()
    force(play)
    answer(play, "timed_out")
    play.wait(PAUSES_S[0])
    answer(play)
    run(play, HOUR_S)
    assert play.logged("fault.raised") == []


def test_a_delivery_of_which_nothing_is_heard_counts_as_failed() -> None:
    play = station()
    force(play)
    play.wait(ANSWER_S + PAUSES_S[0] + 1.0)
    assert len(sent(play)) == 2


def test_the_answer_to_a_message_that_was_given_up_changes_nothing() -> None:
    play = station()
    force(play)
    first = sent(play)[0]
    play.wait(ANSWER_S + PAUSES_S[0] + 1.0)
    play.put(NotifyDone(play.now, first.request, "master", False, "timed_out", {"wecom": "timed_out"}))
    assert play.state.notices.boxes["master"].under_way is not None
    play.put(NotifyDone(play.now, "notice:nobody:1", "nobody", True))


def test_after_very_many_failures_what_waited_is_given_up_and_what_is_new_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notices, "TRIES_MAX", 8)
    play = station(chosen=rules(master=replace(MASTER, repeat_s=0.0)))
    force(play)
    for _ in range(notices.TRIES_MAX):
        answer(play, "unreachable")
        play.wait(PAUSES_S[-1] + 1.0)
    count = len(sent(play))
    assert count == notices.TRIES_MAX
    play.wait(4 * HOUR_S)
    assert len(sent(play)) == count
    report(play, 1)
    play.wait(PAUSES_S[-1] + 1.0)
    assert len(sent(play)) == count + 1


def test_a_pause_that_is_skipped_fails_no_delivery() -> None:
    play = station()
    force(play)
    play.now += 1000.0
    play.put_late(play.now, PauseSkipped(play.now, 1000.0))
    assert play.state.notices.boxes["master"].under_way is not None


# --- a restart -------------------------------------------------------------------------------------------------------


def again(play: Play, after_s: float, chosen: Rules) -> Play:
    """The station after a restart, so much later."""
    return station(NOON + timedelta(seconds=play.now + after_s), chosen, Restored(notes=noted(play)))


def test_after_a_restart_nothing_is_told_twice_and_nothing_unseen_is_forgotten() -> None:
    chosen = rules(master=replace(MASTER, repeats_max=2, repeat_s=1800.0))
    play = begin(rules=chosen)
    play.put(ClockRead(0.0, NOON, True))
    play.move_leaf(is_open=False)
    force(play)
    play.put(CameraFailed(play.now, "x"))
    for _ in range(2):
        answer(play)
    assert len(sent(play)) == 2
    after = again(play, 600.0, chosen)
    assert run(after, 900.0) == []
    assert len(run(after, 3 * HOUR_S)) in (2, 4)  # each twice more, in messages of their own or not
    assert run(after, 3 * HOUR_S) == []


def test_what_was_not_told_before_a_restart_is_told_after_it() -> None:
    play = begin(rules=rules())
    play.put(ClockRead(0.0, NOON, True))
    play.move_leaf(is_open=False)
    force(play)
    answer(play, "unreachable")
    after = begin(rules=rules(), restored=Restored(notes=noted(play)))
    after.put(ClockRead(0.0, NOON, True))
    assert [each.title for each in sent(after)] == ["East gate: the door was forced open"]


def test_a_restart_does_not_lift_the_limit() -> None:
    chosen = rules(master=replace(MASTER, per_hour=3, repeat_s=0.0))
    play = begin(rules=chosen)
    play.put(ClockRead(0.0, NOON, True))
    for number in range(2):
        report(play, number)
        answer(play)
    after = again(play, 60.0, chosen)
    report(after, 7)
    assert sent(after) == []
    run(after, HOUR_S)
    assert len(sent(after)) == 1


def test_an_alarm_that_was_acknowledged_and_begins_again_after_the_restart_is_news() -> None:
    chosen = rules()
    play = begin(rules=chosen)
    play.put(ClockRead(0.0, NOON, True))
    play.move_leaf(is_open=False)
    force(play)
    answer(play)
    play.ask("alarms.acknowledge", alarm="forced")
    after = again(play, 60.0, chosen)
    force(after)
    assert len(sent(after)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"told": 1, "sent": {}},
        {
            "told": [
                [],
                [1],
                ["alarm", "forced", "", "no time", 1, None],
                ["alarm", "forced", "", "2026-11-22", 1, None],
            ]
        },
        {"told": [["alarm", "forced", "", None, "x", None]], "sent": [None, 1, "2026", "x"]},
    ],
)
def test_notes_that_no_version_wrote_do_no_harm(body: dict[str, Any]) -> None:
    play = station(restored=Restored(notes={"notice": {"master": body, "gone": {}}}))
    force(play)
    assert len(sent(play)) == 1


def test_a_note_stays_short_however_much_was_told() -> None:
    play = station(chosen=rules(master=replace(MASTER, per_hour=60)))
    for number in range(180):
        report(play, number)
        answer(play)
    run(play, HOUR_S)
    assert len(str(noted(play)["notice"]["master"])) < 12_000


# --- words -----------------------------------------------------------------------------------------------------------


def test_a_message_speaks_the_recipients_language() -> None:
    play = station(chosen=rules(master=replace(MASTER, language="zh")))
    force(play)
    (message,) = sent(play)
    assert message.title == "【East gate】门被强行打开"
    assert "时间:2026-11-22 12:01" in message.body


def test_no_message_holds_a_members_id_or_a_programs_own_words() -> None:
    chosen = rules(master=replace(MASTER, faults=(FaultPattern(),), per_hour=60))
    for code in CATALOGUE:
        play = begin(member("li-lei", 1), rules=chosen)
        play.put(ClockRead(0.0, NOON, True))
        turn_with(play, code)
        text = "".join(f"{each.title}\n{each.body}" for each in sent(play))
        assert text
        assert "li-lei" not in text
        assert "secret" not in text
        assert "{" not in text


def turn_with(play: Play, code: str) -> None:
    """A fault of this code about a member, with particulars."""
    turn = Turn(play.state, play.rules, play.now)
    turn.raise_fault(code, "li-lei", "secret words of li-lei")
    play.state = turn.state
    play.put(TimePassed(play.now))


def test_a_message_fits_into_a_group_bots_and_says_what_it_leaves_out() -> None:
    play = station(THREE, rules(master=replace(MASTER, quiet=QUIET, language="zh", repeat_s=0.0)))
    for number in range(60):
        report(play, number)
    run(play, 4 * HOUR_S)
    (message,) = sent(play)
    assert message.title == "【East gate】60 项待处理"
    assert len(message.body.encode()) <= BODY_BYTES
    assert "执行 station status 查看" in message.body


def test_every_reason_and_every_alarm_has_both_languages() -> None:
    for words in (*REASONS.values(), *NEXT.values()):
        assert words.zh
        assert words.en


# --- tests and lists -------------------------------------------------------------------------------------------------


def test_a_test_says_whether_it_arrived_and_counts_against_nothing() -> None:
    play = station(THREE, rules(master=replace(MASTER, quiet=QUIET, per_hour=1)))
    for number, reason in enumerate(("", "unreachable")):
        play.ask("notify.test", request=f"r-{number}", recipient="master")
        assert sent(play)[-1].request == f"r-{number}"
        assert play.replies(f"r-{number}") == []
        answer(play, reason)
        (reply,) = play.replies(f"r-{number}")
        assert reply.ok
        assert (reply.result["ok"], reply.result["ways"]) == (not reason, {"wecom": reason})
    force(play)
    assert sent(play)[-1].title == "East gate: the door was forced open"


def test_a_test_that_arrives_ends_the_pause_after_failures() -> None:
    play = station()
    force(play)
    for _ in range(7):
        answer(play, "unreachable")
        play.wait(901.0)
    answer(play, "unreachable")
    play.ask("notify.test", recipient="master")
    answer(play)
    assert ("notify.failed", "master") not in play.state.faults
    assert sent(play)[-1].title == "East gate: the door was forced open"


def test_a_test_that_nobody_answers_is_answered_in_time() -> None:
    play = station()
    play.ask("notify.test", recipient="master")
    play.wait(60.0)
    assert play.problem_codes() == ["request.timed_out"]


def test_only_the_master_tests_and_only_who_is_there() -> None:
    play = station()
    play.ask("notify.test", actor=VIEWER, recipient="master")
    assert play.problem_codes() == ["request.forbidden"]
    play.ask("notify.test", recipient="nobody")
    assert play.problem_codes() == ["notify.unknown"]


def test_the_list_says_how_it_went_last() -> None:
    play = station(THREE, rules(master=replace(MASTER, quiet=QUIET, ways=("wecom", "mail"))))
    force(play)
    order = sent(play)[-1]
    play.put(NotifyDone(play.now, order.request, "master", True, "", {"wecom": "", "mail": "timed_out"}))
    play.ask("notify.list")
    (row,) = play.replies()[-1].result["rows"]
    assert row["ways"] == [{"way": "wecom", "reason": ""}, {"way": "mail", "reason": "timed_out"}]
    assert row["reached_at"].startswith("2026-11-22T19:01:0")
    assert (row["waiting"], row["within_the_hour"], row["is_quiet"], row["failures"]) == (0, 1, True, 0)


def test_what_is_wrong_with_the_file_of_urls_is_a_fault_until_it_is_put_right() -> None:
    play = station()
    play.put(NotifyExamined(play.now, (("notify.urls_refused", "notify.urls_file", "its mode 0644"),)))
    assert ("notify.urls_refused", "notify.urls_file") in play.state.faults
    play.put(NotifyExamined(play.now, (("notify.url_missing", "master", "mail"),)))
    assert [code for code, _ in play.state.faults] == ["notify.url_missing"]
    play.put(NotifyExamined(play.now, ()))
    assert play.state.faults == {}


def test_a_station_without_recipients_tells_nobody_and_wakes_for_nothing() -> None:
    play = station(chosen=replace(RULES, plate=PLATE))
    force(play)
    assert sent(play) == []
    assert play.state.notices.due_at is None
