"""Makes door.md anew from the door's table: `python docs/make_door.py`."""

from __future__ import annotations

import inspect
from collections import defaultdict
from itertools import product
from pathlib import Path

from agent.core.door import ADMITTING_NOBODY, STANDING_OPEN, Contact, DoorState, DoorTimings, Input, Mode, Wishes
from agent.core.door_reactions import Reaction
from agent.core.door_table import COLUMNS, ROWS, step

TARGET = Path(__file__).with_name("door.md")

_INTRODUCTION = """\
# The door

Made from `agent/core/door_table.py` by `python docs/make_door.py`; a test fails when it is stale.

**Who wins**: fire, then emergency (break glass), then the station master's order, then opening hours. What is under a
higher wish is kept and holds again after it. A lock-down is ended by `resume` alone. Leaving is honoured in every mode.

**Wire it so that nobody depends on this program**: the exit button and the fire alarm's contact each switch the lock's
current themselves; the agent only hears of them. Hang the AED outside, in a cabinet that anybody can open; the break
glass at the door is the second best, and off by default.

**What can be known of a lock.** Without a monitor of the bolt, nobody can tell a lock that did not move from a door
that nobody pushed, so *lock fault* needs one, and it must follow the bolt or the strike's cam, not the leaf's latch.
A relay that cannot be driven is the fault `lock.failed`. A contact whose wire is cut reads as an open door: *forced*.
Tailgating needs a counter in the door.

**Times**: release 5 s, open 30 s (members who need longer: 15 s and 60 s), reminder 10 s before the alarm, delay before
relocking 0 s, and 250 ms in which a strike may fall in or a leaf may bounce. All are settings.
"""


def text() -> str:
    """The whole document."""
    return "\n".join([_INTRODUCTION, _modes(), _diagram(), _cells(), _reactions()])


def _modes() -> str:
    lines = ["## Modes, from the lowest to the highest", "", "| mode | lock | who comes in |", "|---|---|---|"]
    for mode in Mode:
        lock = "released" if mode in STANDING_OPEN else "secured but for an access"
        who = "everybody" if mode in STANDING_OPEN else "nobody" if mode in ADMITTING_NOBODY else "by the schedule"
        lines.append(f"| {mode.value} | {lock} | {who} |")
    return "\n".join([*lines, ""])


def _diagram() -> str:
    """Every change of mode that the table makes from any state, as it is played."""
    edges: dict[tuple[Mode, Mode], list[str]] = defaultdict(list)
    orders = (None, Mode.HELD_OPEN, Mode.BLOCKED, Mode.LOCKED_DOWN)
    for fire, emergency, order, hours in product((False, True), (False, True), orders, (False, True)):
        before = DoorState(Wishes(fire, emergency, order, hours), Contact.CLOSED)
        for what in Input:
            after, _ = step(before, what, 0.0, DoorTimings())
            if after.mode is not before.mode and what.value not in edges[before.mode, after.mode]:
                edges[before.mode, after.mode].append(what.value)
    lines = ["## Changes of mode", "", "```mermaid", "stateDiagram-v2", "    [*] --> normal"]
    for source, target in sorted(edges, key=lambda each: (list(Mode).index(each[0]), list(Mode).index(each[1]))):
        if edges[source, target]:
            lines.append(f"    {source.value} --> {target.value}: {', '.join(edges[source, target])}")
    return "\n".join([*lines, "```", ""])


def _cells() -> str:
    heads = [f"{phase.value}, {contact.value}" for phase, contact in COLUMNS]
    lines = [
        "## The table",
        "",
        "What each input does, by mode, phase of the access and place of the leaf. “—” changes nothing.",
        "",
        "| input | modes | " + " | ".join(heads) + " |",
        "|---" * (2 + len(heads)) + "|",
    ]
    for what, modes, row in ROWS:
        shown = "all" if len(modes) == len(Mode) else ", ".join(mode.value for mode in Mode if mode in modes)
        lines.append(f"| {what.value} | {shown} | " + " | ".join(_name(each) for each in row) + " |")
    return "\n".join([*lines, ""])


def _reactions() -> str:
    used = dict.fromkeys(each for _, _, row in ROWS for each in row)
    lines = ["## The reactions", "", "| reaction | what happens |", "|---|---|"]
    lines += [f"| {_name(each)} | {_first_line(each)} |" for each in sorted(used, key=lambda each: each.__name__)]
    return "\n".join([*lines, ""])


def _name(reaction: Reaction) -> str:
    return "—" if reaction.__name__ == "ignore" else reaction.__name__.replace("_", " ")


def _first_line(reaction: Reaction) -> str:
    return (inspect.getdoc(reaction) or "").partition("\n")[0]


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
