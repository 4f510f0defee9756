"""What the station knows of codes that are typed or read: entries, questions under way, blocks and their alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agent.core.factors import Held
from agent.core.guessing import NONE, Guesses, GuessingRules
from agent.core.keypad import Entry

CARD, KEYPAD = "card", "keypad"
"""The ways in by something that is read or typed."""

CHECK_S = 5.0  # a check takes a tenth of a second; a machine that is that busy is about to be restarted
DURESS_S = 600.0  # how long the alarm is shown to those who see alarms; the log has it for good
MAX_LEAVING = 16  # more people do not leave in one opening
READ_CARD_S = 30.0  # for a card that is to be given to a member: the time to walk to the door


@dataclass(frozen=True, slots=True)
class CodeRules:
    """`readers`: name → whether it is inside. `pin_digits`: the fewest a new PIN may have."""

    readers: Mapping[str, bool] = field(default_factory=dict)
    guessing: GuessingRules = field(default_factory=GuessingRules)
    factors_needed: int = 1
    pin_digits: int = 4


@dataclass(frozen=True, slots=True)
class Question:
    """A code that is being checked. `seen_at`: when it was given; `until`: when nobody waits for the answer.

    `was_counted`: of a card inside, whether the door counts the one who leaves by it.
    """

    reader: str
    way: str
    seen_at: float
    until: float
    was_counted: bool = False


@dataclass(frozen=True, slots=True)
class CardWanted:
    """The next card at the door is to be given to this member."""

    request: str
    member_id: str
    until: float


@dataclass(frozen=True, slots=True)
class Codes:
    """Frozen, times in station time. `guesses` by way, `entries` by reader, `questions` by request.

    `blocked`: way → until when. `leaving`: members whom the reader inside named, and until when they can open the door.
    `taken_away`: (member, way) that opens nothing any more, though the worker may still know it: of members whose cards
    or PIN were removed, or who were erased, until that id is given new ones.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    questions: Mapping[str, Question] = field(default_factory=dict)
    guesses: Mapping[str, Guesses] = field(default_factory=dict)
    blocked: Mapping[str, float] = field(default_factory=dict)
    held: Held | None = None
    card_wanted: CardWanted | None = None
    duress_until: float | None = None
    leaving: tuple[tuple[str, float], ...] = ()
    taken_away: frozenset[tuple[str, str]] = frozenset()
    asked: int = 0

    def deadline(self) -> float | None:
        """When something is over."""
        ends = [each.until for each in self.entries.values()]
        ends += [each.until for each in self.questions.values()]
        ends += self.blocked.values()
        if self.card_wanted is not None:
            ends.append(self.card_wanted.until)
        if self.duress_until is not None:
            ends.append(self.duress_until)
        return min(ends, default=None)

    def guesses_of(self, way: str) -> Guesses:
        """What was guessed on this way."""
        return self.guesses.get(way, NONE)

    def is_asking(self, reader: str) -> bool:
        """Whether a code of this reader is being checked."""
        return any(each.reader == reader for each in self.questions.values())

    @property
    def alarms(self) -> tuple[str, ...]:
        """What those see who see alarms; nothing at the door shows them."""
        return (*(["duress"] if self.duress_until is not None else []), *(["guessing"] if self.blocked else []))

    def put_off(self, seconds: float) -> Codes:
        """A pause was skipped: the workers that are asked did not live through it."""
        later = {key: replace(each, until=each.until + seconds) for key, each in self.questions.items()}
        return replace(self, questions=later)


def without(codes: Codes, request: str) -> Codes:
    """The question has its answer, or nobody waits for it."""
    return replace(codes, questions={key: each for key, each in codes.questions.items() if key != request})


def take_away(codes: Codes, member_id: str, *ways: str) -> Codes:
    """None of these opens for this member from now on, whatever the disk and the worker have still to do."""
    return replace(codes, taken_away=codes.taken_away | {(member_id, way) for way in ways})


def give(codes: Codes, member_id: str, way: str) -> Codes:
    """They have a new one."""
    return replace(codes, taken_away=codes.taken_away - {(member_id, way)})
