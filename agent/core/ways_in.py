"""Cards and numbers at the door: what a reader reports becomes a question to a worker, and its answer an entry.

Whose card or number it is comes as a fact: nothing here knows a hash or a PIN of anybody. Where nobody is named the
answer and what follows are the same whatever was wrong.
"""

from __future__ import annotations

from dataclasses import replace

from agent import events
from agent.core import guessing, keypad
from agent.core.access import Reason
from agent.core.admission import admit, is_stale
from agent.core.codes import CARD, CHECK_S, DURESS_S, KEYPAD, Codes, Question, without
from agent.core.door import Cause
from agent.core.guessing import Guesses
from agent.core.keypad import CodeTyped, NumberTyped
from agent.core.passage import advise, let_out, name_leaver, refuse_entry
from agent.core.problems import problem
from agent.core.turn import Turn
from agent.effects import CheckPin, FindCard, FindNumber, LoadCredentials, SealCard

EXIT = "exit"
"""The way of a question about a card inside: whatever the answer is, the door is open already."""


def load(turn: Turn) -> None:
    """Have the worker read who has which card and number, where there is anything to read one with."""
    if turn.rules.codes.readers:
        turn.do(LoadCredentials())


def on_loaded(turn: Turn, event: events.CredentialsLoaded) -> None:
    """What keeps cards and PINs from being checked."""
    for code in ("credentials.key_lost", "credentials.key_refused", "credentials.unreadable"):
        if code == event.fault:
            turn.raise_fault(code, "credentials", event.detail)
        else:
            turn.clear_fault(code, "credentials")


# --- what readers report ---------------------------------------------------------------------------------------------


def on_card(turn: Turn, event: events.CardRead) -> None:
    """Leaving is honoured at once, whoever it is; anybody else's card is looked for."""
    is_inside = turn.rules.codes.readers.get(event.reader)
    if is_inside is None:
        return
    if is_inside:
        was_counted = let_out(turn, event.at)
        if not turn.state.codes.is_asking(event.reader):  # only to know whose visit ends
            request = _ask(turn, event.reader, EXIT, event.at, was_counted=was_counted)
            turn.do(FindCard(request, event.number))
        return
    codes = turn.state.codes
    if codes.card_wanted is not None:
        _take_card(turn, event)
    elif is_stale(turn, event.at):
        refuse_entry(turn, Reason.CODE_UNCHECKED, CARD)
    elif _may_try(turn, event.reader, "card", event.at):
        request = _ask(turn, event.reader, "card", event.at)
        turn.do(FindCard(request, event.number))


def on_key(turn: Turn, event: events.KeyPressed) -> None:
    """Put the keys together; nothing is checked before both parts are there."""
    if turn.rules.codes.readers.get(event.reader) is not False:
        return  # a keypad that is not in the settings, or stands inside
    codes = turn.state.codes
    if codes.is_asking(event.reader) or codes.guesses_of("keypad").is_blocked(event.at):
        if event.key == keypad.ENTER:
            _may_try(turn, event.reader, "keypad", event.at)
        return
    entry, typed = keypad.press(codes.entries.get(event.reader), event.key, event.at)
    entries = {key: each for key, each in codes.entries.items() if key != event.reader}
    if entry is not None:
        entries[event.reader] = entry
    turn.set(codes=replace(codes, entries=entries))
    match typed:
        case NumberTyped(number):
            if turn.state.gallery is not None and turn.state.gallery.is_too_large:
                turn.do(FindNumber(number, event.at))  # their face can confirm it, instead of a PIN
        case CodeTyped() if is_stale(turn, event.at):
            refuse_entry(turn, Reason.CODE_UNCHECKED, KEYPAD)
        case CodeTyped(number, pin):
            turn.do(CheckPin(_ask(turn, event.reader, "keypad", event.at), number, pin))


def _may_try(turn: Turn, reader: str, way: str, at: float) -> bool:
    codes = turn.state.codes
    if codes.guesses_of(way).is_blocked(at):
        advise(turn, Reason.WAY_BLOCKED)  # not logged: the block is, and somebody may go on for hours
        return False
    return not codes.is_asking(reader)


def _ask(turn: Turn, reader: str, way: str, at: float, *, was_counted: bool = False) -> str:
    codes = turn.state.codes
    request = f"code-{codes.asked + 1}"
    question = Question(reader, way, at, turn.now + CHECK_S, was_counted)
    turn.set(codes=replace(codes, asked=codes.asked + 1, questions={**codes.questions, request: question}))
    return request


def _take_card(turn: Turn, event: events.CardRead) -> None:
    """It is not to open the door but to be given to somebody."""
    wanted = turn.state.codes.card_wanted
    if wanted is not None:
        turn.set(codes=replace(turn.state.codes, card_wanted=None))
        turn.do(SealCard(wanted.request, wanted.member_id, event.number))
        turn.expect(wanted.request, problem("storage.failed", "members.card", "the card is not on the disk yet"))


# --- what the worker says --------------------------------------------------------------------------------------------


def on_card_found(turn: Turn, event: events.CardFound) -> None:
    """Whose card it is."""
    question = turn.state.codes.questions.get(event.request)
    if question is not None and question.way == EXIT:
        turn.set(codes=without(turn.state.codes, event.request))
        if event.member_id is not None:
            name_leaver(turn, event.member_id, was_counted=question.was_counted)
        return
    _on_answer(turn, event.request, event.member_id)


def on_pin_checked(turn: Turn, event: events.PinChecked) -> None:
    """Whose number and PIN they are. What happens at the door is the same when somebody is forced to give them."""
    _on_answer(turn, event.request, event.member_id)
    is_theirs = event.member_id in turn.state.members and (event.member_id, KEYPAD) not in turn.state.codes.taken_away
    if event.is_duress and is_theirs:  # also when it comes too late to open
        turn.set(codes=replace(turn.state.codes, duress_until=turn.now + DURESS_S))
        turn.log("access.duress", {"way": KEYPAD, "member": event.member_id})


def on_unchecked(turn: Turn, event: events.CodeUnchecked) -> None:
    """Nothing can be said; it is no wrong code either."""
    question = turn.state.codes.questions.get(event.request)
    if question is not None:
        turn.set(codes=without(turn.state.codes, event.request))
        if question.way != EXIT:
            refuse_entry(turn, Reason.CODE_UNCHECKED, question.way)


def _on_answer(turn: Turn, request: str, member_id: str | None) -> None:
    question = turn.state.codes.questions.get(request)
    if question is None:
        return  # it came too late, and was refused
    turn.set(codes=without(turn.state.codes, request))
    if member_id not in turn.state.members or (member_id, question.way) in turn.state.codes.taken_away:
        refuse_entry(turn, Reason.CODE_WRONG, question.way)
        count_wrong(turn, question.way)
        return
    count_right(turn, question.way, admit(turn, Cause(question.way, member_id, question.seen_at)))


def count_right(turn: Turn, way: str, refusal: Reason | None) -> None:
    """It was right; `refusal`: what became of it. Who is kept out could else guess on for ever, and raise no alarm."""
    if refusal is None or refusal is Reason.SECOND_NEEDED:
        _keep(turn, way, guessing.right(turn.state.codes.guesses_of(way), turn.now))


def count_wrong(turn: Turn, way: str) -> None:
    """It was wrong: with too many of them this way is blocked."""
    rules = turn.rules.codes.guessing
    after, blocked_s = guessing.wrong(turn.state.codes.guesses_of(way), turn.now, rules)
    _keep(turn, way, after)
    if blocked_s is not None:
        codes = turn.state.codes
        entries = {} if way == "keypad" else codes.entries
        turn.set(codes=replace(codes, entries=entries, blocked={**codes.blocked, way: after.blocked_until}))
        turn.log("access.way_blocked", {"way": way, "seconds": blocked_s, "wrong_codes": rules.wrong_codes})


def _keep(turn: Turn, way: str, guesses: Guesses) -> None:
    codes = turn.state.codes
    turn.set(codes=replace(codes, guesses={**codes.guesses, way: guesses}))


# --- time ------------------------------------------------------------------------------------------------------------


def tend(turn: Turn) -> None:
    """Do what is due."""
    due_at = turn.state.codes.deadline()
    if due_at is None or turn.now < due_at:
        return
    codes, now = turn.state.codes, turn.now
    over = {key: each for key, each in codes.questions.items() if now >= each.until}
    opened = [way for way, until in codes.blocked.items() if now >= until]
    wanted = codes.card_wanted
    turn.set(codes=_without_what_is_over(codes, now))
    for question in over.values():
        if question.way != EXIT:
            refuse_entry(turn, Reason.CODE_UNCHECKED, question.way)
    for way in opened:
        turn.log("access.way_unblocked", {"way": way})
    if wanted is not None and now >= wanted.until:
        turn.refuse(wanted.request, problem("request.timed_out", "members.card", "no card was read"))


def leave(turn: Turn, request: str) -> None:
    """Whoever waited for a card is gone."""
    wanted = turn.state.codes.card_wanted
    if wanted is not None and wanted.request == request:
        turn.set(codes=replace(turn.state.codes, card_wanted=None))


def _without_what_is_over(codes: Codes, now: float) -> Codes:
    wanted = codes.card_wanted
    return replace(
        codes,
        entries={key: each for key, each in codes.entries.items() if now < each.until},
        questions={key: each for key, each in codes.questions.items() if now < each.until},
        blocked={way: until for way, until in codes.blocked.items() if now < until},
        card_wanted=None if wanted is None or now >= wanted.until else wanted,
        duress_until=None if codes.duress_until is None or now >= codes.duress_until else codes.duress_until,
    )
