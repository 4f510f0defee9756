"""Tells people elsewhere: looks at what stands, orders messages, and learns how they fared; see `core.notices`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from agent import events
from agent.core import notice_words, notices
from agent.core.notices import Box, Delivery, Notices, Quiet, Standing, Subject
from agent.core.problems import Words, problem
from agent.core.state import StationState, Waiting
from agent.core.turn import Turn
from agent.effects import Note, Notify, Reply
from agent.events import ControlRequested, Restored

KIND = "notice"
TEST_PATIENCE_S = 40.0  # a delivery ends within 25 s, another may be before it; less than the control server waits
ABOUT_MAX = 20  # in an entry of the log

_OF_THE_FILE = frozenset({"notify.urls_refused", "notify.url_missing"})
UNREACHED = "notify.failed"


def begin(turn: Turn, restored: Restored) -> None:
    """Go on from what everybody had been told."""
    found = restored.notes.get(KIND, {})
    boxes = {name: notices.restored(found[name], turn.now) if name in found else Box() for name in _recipients(turn)}
    known = turn.state.notices
    merged = {name: _merged(box, known.boxes[name]) if name in known.boxes else box for name, box in boxes.items()}
    turn.set(notices=replace(known, boxes=merged, is_placed=False, looked_at=()))


def _merged(restored: Box, current: Box) -> Box:
    """Storage opened late: what was told since the start is newer."""
    return replace(current, told={**restored.told, **current.told}, sent_utc=restored.sent_utc)


def deadline(state: StationState) -> float | None:
    """When `tend` has something to do."""
    return state.notices.due_at


def tend(turn: Turn) -> None:
    """Order what is to be told now."""
    if not turn.rules.notices.recipients:
        return
    state, known = turn.state, turn.state.notices
    seen = _seen(state)
    is_same = len(known.looked_at) == len(seen) and all(a is b for a, b in zip(known.looked_at, seen, strict=True))
    if is_same and (known.due_at is None or turn.now < known.due_at):
        return
    if state.clock is not None and not known.is_placed:
        boxes = {name: notices.placed(box, state.clock, turn.now) for name, box in known.boxes.items()}
        turn.set(notices=replace(known, boxes=boxes, is_placed=True))
    _give_up_on_the_silent(turn)
    quiet = {name: _quiet(turn, name, seen) for name in _recipients(turn)}
    stands = notices.standing(turn.state.alarms, turn.state.repairs)
    known_subjects = _known(turn.state)
    due: list[float] = []
    for name, recipient in turn.rules.notices.recipients.items():
        wanted = {subject: each for subject, each in stands.items() if recipient.wants(subject, name)}
        box = turn.state.notices.boxes.get(name, Box())
        box, delivery = notices.follow(recipient, box, wanted, known_subjects, now=turn.now, quiet=quiet[name])
        _put(turn, name, box)
        if delivery is not None:
            _order(turn, name, delivery)
        at = notices.deadline(recipient, box, wanted, turn.now, quiet[name])
        due += [] if at is None else [at]
    due_at = min(due, default=None)
    turn.set(notices=replace(turn.state.notices, quiet=quiet, due_at=due_at, looked_at=_seen(turn.state)))


def put_off(state: Notices, seconds: float) -> Notices:
    """Station time jumped ahead, what sends did not."""
    boxes = {
        name: box
        if box.under_way is None
        else replace(box, under_way=replace(box.under_way, until=box.under_way.until + seconds))
        for name, box in state.boxes.items()
    }
    return replace(state, boxes=boxes, looked_at=())


def on_done(turn: Turn, event: events.NotifyDone) -> None:
    """A message arrived, or did not; or a test did."""
    recipient = turn.rules.notices.recipients.get(event.recipient)
    if recipient is None:
        return
    box = turn.state.notices.boxes.get(event.recipient, Box())
    box = replace(box, ways={way: event.ways[way] for way in recipient.ways if way in event.ways})
    delivery = box.under_way
    if delivery is None or event.request != _name(event.recipient, delivery.number):
        if event.ok:  # a test, or one that was given up: they can be reached after all
            box = replace(box, failures=0, failing_since=None, try_at=min(box.try_at, turn.now))
        _put(turn, event.recipient, box)
    elif event.ok:
        box = notices.reached(box, delivery, turn.now, turn.utc())
        _put(turn, event.recipient, box)
        note = Note(KIND, event.recipient, notices.as_note(box, lambda at: _utc_of(turn, at)))
        turn.log("notice.sent", _entry(event.recipient, delivery), notes=(note,))
    else:
        _miss(turn, event.recipient, box, delivery, may_have_arrived=event.reason == "timed_out")
    if event.ok:
        turn.clear_fault(UNREACHED, event.recipient)
    if turn.forget(event.request) is not None:
        result = {"recipient": event.recipient, "ok": event.ok, "reason": event.reason, "ways": dict(event.ways)}
        turn.do(Reply(event.request, ok=True, result=result))


def on_examined(turn: Turn, event: events.NotifyExamined) -> None:
    """Have exactly these faults of the file of URLs stand."""
    wanted = {(code, where): detail for code, where, detail in event.faults if code in _OF_THE_FILE}
    for code, where in tuple(turn.state.repairs):
        if code in _OF_THE_FILE and (code, where) not in wanted:
            turn.clear_fault(code, where)
    for (code, where), detail in wanted.items():
        turn.word_fault(code, where, detail)


def send_test(turn: Turn, asked: ControlRequested) -> None:
    """Send a test message, whatever the hour and the limit; answered when it arrived or did not."""
    name = str(asked.arguments["recipient"])
    recipient = turn.rules.notices.recipients.get(name)
    if recipient is None:
        turn.refuse(asked.request, problem("notify.unknown", name))
        return
    title, body = notice_words.trial(recipient, turn.rules.plate)
    turn.do(Notify(asked.request, name, title, body))
    late = problem("request.timed_out", asked.action, Words("前面还有消息在发送", "other messages are being sent"))
    turn.set(waiting={**turn.state.waiting, asked.request: Waiting(turn.now + TEST_PATIENCE_S, late)})


def list_recipients(turn: Turn, asked: ControlRequested) -> None:
    """Who is told, and how that went last."""
    rows = [_row(turn, name) for name in _recipients(turn)]
    turn.do(Reply(asked.request, ok=True, result={"rows": rows, "timezone": turn.rules.plate.timezone}))


def _row(turn: Turn, name: str) -> dict[str, Any]:
    recipient, box = turn.rules.notices.recipients[name], turn.state.notices.boxes.get(name, Box())
    quiet = notices.quiet_at(recipient, turn.state.clock, turn.state.started_at, turn.now)
    return {
        "recipient": name,
        "language": recipient.language,
        "ways": [{"way": way, "reason": box.ways.get(way)} for way in recipient.ways],
        "reached_at": box.reached_utc,
        "waiting": len(box.waiting) + (0 if box.under_way is None else len(box.under_way.about)),
        "failures": box.failures,
        "is_quiet": quiet.is_quiet,
        "within_the_hour": sum(at + notices.HOUR_S > turn.now for at in box.sent),
        "per_hour": recipient.per_hour,
    }


def _recipients(turn: Turn) -> tuple[str, ...]:
    return tuple(turn.rules.notices.recipients)


def _put(turn: Turn, name: str, box: Box) -> None:
    known = turn.state.notices
    turn.set(notices=replace(known, boxes={**known.boxes, name: box}, looked_at=()))


def _order(turn: Turn, name: str, delivery: Delivery) -> None:
    rules = turn.rules
    recipient = rules.notices.recipients[name]
    title, body = notice_words.compose(delivery, recipient, rules.plate, rules.zone, turn.state.members)
    is_urgent = any(recipient.is_urgent(subject) for subject in delivery.about)
    turn.do(Notify(_name(name, delivery.number), name, title, body, is_urgent))


def _give_up_on_the_silent(turn: Turn) -> None:
    """Whoever should have said how a delivery went did not: it may have arrived."""
    for name, box in turn.state.notices.boxes.items():
        if box.under_way is not None and turn.now >= box.under_way.until:
            _miss(turn, name, box, box.under_way, may_have_arrived=True)


def _miss(turn: Turn, name: str, box: Box, delivery: Delivery, *, may_have_arrived: bool) -> None:
    box = notices.missed(box, delivery, turn.now, may_have_arrived=may_have_arrived)
    _put(turn, name, box)
    if box.failing_since is not None and turn.now - box.failing_since >= notices.FAILED_AFTER_S:
        turn.raise_fault(UNREACHED, name)


def _quiet(turn: Turn, name: str, seen: tuple[object, ...]) -> Quiet:
    """As it was found last, unless the clock was read since or its hours changed: working it out takes a while."""
    known = turn.state.notices
    before = known.quiet.get(name)
    has_same_clock = bool(known.looked_at) and known.looked_at[-1] is seen[-1]
    if before is not None and has_same_clock and turn.now < before.until:
        return before
    recipient = turn.rules.notices.recipients[name]
    return notices.quiet_at(recipient, turn.state.clock, turn.state.started_at, turn.now)


def _seen(state: StationState) -> tuple[object, ...]:
    """What the rules look at, the clock last; each is another object whenever it is different."""
    return state.alarms, state.repairs, state.clock


def _known(state: StationState) -> frozenset[Subject]:
    of_alarms = (("alarm", name, "") for name in state.alarms)
    return frozenset((*of_alarms, *(("fault", code, where) for code, where in state.repairs)))


def _name(recipient: str, number: int) -> str:
    return f"notice:{recipient}:{number}"


def _entry(name: str, delivery: Delivery) -> Mapping[str, Any]:
    about = [_about(subject, each) for subject, each in delivery.about.items()]
    return {
        "recipient": name,
        "about": about[:ABOUT_MAX],
        "count": len(about),
        "passed": len(delivery.passed),
        "held": delivery.held,
    }


def _about(subject: Subject, each: Standing) -> str:
    kind, what, where = subject
    text = f"{kind}:{what}@{where}" if where else f"{kind}:{what}"
    return text if each.times == 1 else f"{text}#{each.times}"


def _utc_of(turn: Turn, at: float) -> str | None:
    clock = turn.state.clock
    if clock is None:
        return None
    return (clock.utc + timedelta(seconds=at - clock.at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
