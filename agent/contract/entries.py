"""Every type of entry that the agent writes into its log: what it says, and the fields of its body.

The types stand where the rules and the storage write them; tests hold this table to them in both directions, and to the
bodies that they really write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, create_model

from agent.core.access import Reason
from agent.core.appliance import Running
from agent.core.door import Alarm, Lock, Mode
from agent.core.posted import LEVELS
from agent.core.repairs import Stage
from agent.core.schedule import Admission
from agent.mqtt.payloads import Code, Hash, Message, Seconds, Short

PREFIX = "station."
"""Before every type on the wire: the table has the types as the rules name them."""

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a body. `type`: what pydantic makes a schema of; `may_lack`: it is not always there."""

    type: Any
    means: str
    may_lack: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One type of entry. `means`: a sentence for whoever reads the log."""

    means: str
    parts: Mapping[str, Part] = field(default_factory=dict)


def _one_of(*values: str) -> Any:
    return Literal[values]


def _or_none(type_: Any) -> Any:
    return type_ | None


_WAY = Part(Short, "the way in or out: face, card, keypad, pass, remote, exit_button; two factors are joined by +")
_MEMBER = Part(Short, "the member's id")
_PERHAPS_MEMBER = Part(_or_none(Short), "the member's id, null where nobody was recognised")
_PASS = Part(Short, "the id of the pass, where one was shown", may_lack=True)
_WHO = {"way": _WAY, "member": _PERHAPS_MEMBER, "pass": _PASS}
_VISITS = Part(list[Short], "ids of the visits that ended with it")
_INSIDE = Part(Count, "how many people are inside after it")
_ACTOR = Part(Short, "the account that asked")
_BY = Part(Short, "the account that did it")
_KIND = Part(Short, "where that account is: local, or the central server")
_WHY = Part(Short, "why")
_CODE = Part(Code, "the problem's code")
_WHERE = Part(Short, "a setting's path or a device's name")
_SEVERITY = Part(_one_of("warning", "error"), "an error stops something that people need, a warning will")
_ALARM = Part(_one_of(*Alarm), "which")
_APPLIANCE = Part(Short, "its name in the settings")
_SUPPLY = Part(Short, "its name in the settings")
_QUANTITY = Part(Count, "how many")
_LEFT = Part(_or_none(Count), "how many are left; null: nobody has counted yet")
_BORROWER = Part(Short, "the member who has it", may_lack=True)

ENTRIES: Mapping[str, Entry] = {
    # --- visits and the door
    "visit.entered": Entry(
        "Somebody went in, and a visit began.",
        {
            **_WHO,
            "visit": Part(Short, "the new visit's id"),
            "ended": Part(list[Short], "ids of visits that must have ended unseen before"),
            "inside": _INSIDE,
        },
    ),
    "visit.left": Entry(
        "Somebody left. No visits are named while more than one person is inside and the exit does not say who.",
        {
            "way": Part(Short, "exit_button, exit_reader, time_limit, erased"),
            "visits": _VISITS,
            "inside": _INSIDE,
        },
    ),
    "access.granted": Entry("The door was opened for somebody.", _WHO),
    "access.first_factor": Entry("The first of two factors was given; the second one is waited for.", _WHO),
    "access.passback": Entry("A member came in who had not left.", _WHO),
    "access.refused": Entry("Somebody was not let in.", {"reason": Part(_one_of(*Reason), "why not"), **_WHO}),
    "access.not_taken": Entry("The door was opened and nobody went through.", _WHO),
    "access.exit_requested": Entry("The exit button was pressed.", _WHO),
    "access.duress": Entry(
        "Somebody entered under duress. The door shows nothing of it.", {"way": _WAY, "member": _MEMBER}
    ),
    "access.way_blocked": Entry(
        "One way in is blocked for a while after wrong codes.",
        {
            "way": _WAY,
            "seconds": Part(Seconds, "for how long"),
            "wrong_codes": Part(Count, "how many wrong codes in a row led to it"),
        },
    ),
    "access.way_unblocked": Entry("That way in is open again.", {"way": _WAY}),
    "door.mode_changed": Entry("What holds for the door has changed.", {"mode": Part(_one_of(*Mode), "the new mode")}),
    "door.ordered": Entry(
        "The station master's standing order for the door has changed.",
        {"order": Part(_one_of(*Mode, "none"), "a mode, or none")},
    ),
    "door.alarm_raised": Entry("The door raised an alarm.", {"alarm": _ALARM}),
    "door.alarm_cleared": Entry(
        "What the alarm was about is over.",
        {"alarm": _ALARM, "open_s": Part(_or_none(Seconds), "how long the leaf stood open, where it was about that")},
    ),
    "schedule.changed": Entry(
        "The opening hours admit others now.",
        {"admission": Part(_one_of(*Admission), "whom"), "was": Part(_one_of(*Admission), "whom before")},
    ),
    # --- members, cards, passes
    "member.consented": Entry(
        "Somebody consented to being recognised by their face.",
        {
            "member": _MEMBER,
            "version": Part(Short, "of the text that was shown"),
            "language": Part(Short, "of that text"),
            "purpose": Part(Short, "what for"),
            "until": Part(Short, "when the consent ends, UTC"),
        },
    ),
    "member.enrolled": Entry(
        "A member was enrolled, or enrolled again.",
        {"member": _MEMBER, "look_alikes": Part(list[JsonValue], "ids of members who look alike")},
    ),
    "member.withdrawal_requested": Entry(
        "Somebody asked to withdraw a member's consent.", {"actor": _ACTOR, "kind": _KIND}
    ),
    "member.consent_ended": Entry(
        "A member's consent has ended, and their face is erased.",
        {"member": _MEMBER, "templates": Part(Count, "how many templates were erased"), "why": _WHY},
    ),
    "member.erasure_requested": Entry("Somebody asked to erase a member.", {"actor": _ACTOR, "kind": _KIND}),
    "member.erased": Entry(
        "A member was erased. Only the receipt's holder can tell whom this is about.",
        {
            "why": _WHY,
            "digest": Part(Hash, "of the receipt", may_lack=True),
            "rows": Part(dict[str, Count], "how many rows of what are gone", may_lack=True),
        },
    ),
    "member.card_added": Entry("A member was given a card.", {"member": _MEMBER}),
    "member.cards_removed": Entry("A member's cards were taken back.", {"member": _MEMBER}),
    "member.pin_set": Entry("A member was given a number with a PIN.", {"member": _MEMBER}),
    "member.pin_removed": Entry("A member's PIN was taken back.", {"member": _MEMBER}),
    "member.added": Entry("A member was taken up who comes in by other ways than their face.", {"member": _MEMBER}),
    "member.changed": Entry(
        "Something that is stored of a member was changed.",
        {"member": _MEMBER, "changed": Part(list[Short], "what, without its value")},
    ),
    "member.suspended": Entry(
        "A member is kept out for now.",
        {"member": _MEMBER, "until": Part(_or_none(Short), "until when, UTC; null: until they are resumed")},
    ),
    "member.resumed": Entry("A suspended member may come in again.", {"member": _MEMBER, "why": _WHY}),
    "pass.revoked": Entry("A pass opens nothing any more.", {"pass": Part(Short, "its id")}),
    # --- what people order
    "control.done": Entry(
        "Somebody ordered something, and it was done.",
        {
            "action": Part(Short, "what, as the command is called"),
            "actor": _ACTOR,
            "kind": _KIND,
            "mode": Part(_one_of(*Mode), "the door's mode after it", may_lack=True),
            "lock": Part(_one_of(*Lock), "the lock after it", may_lack=True),
            "pass": _PASS,
            "member": Part(Short, "whom it is about", may_lack=True),
            "within_s": Part(Seconds, "for how long it waits", may_lack=True),
            "until": Part(_or_none(Short), "until when they are suspended", may_lack=True),
        },
    ),
    "control.refused": Entry(
        "Somebody ordered something and may not, or the door stands against it.",
        {
            "action": Part(Short, "what"),
            "actor": _ACTOR,
            "role": Part(Short, "what the account may do", may_lack=True),
            "reason": Part(Short, "what stands against it", may_lack=True),
            "more": Part(Count, "how often again within the last minute", may_lack=True),
        },
    ),
    "command.accepted": Entry(
        "A command of the central server is being carried out.",
        {
            "id": Part(Short, "of the command"),
            "name": Part(Short, "of the command"),
            "key": Part(Short, "the id of the key that signed it"),
        },
    ),
    "command.ended": Entry(
        "What became of it.",
        {
            "id": Part(Short, "of the command"),
            "status": Part(_one_of("done", "failed"), "how it ended"),
            "code": Part(Short, "the problem that made it fail, else empty"),
        },
    ),
    "call.made": Entry(
        "Somebody at the door called the station master.",
        {"waits_s": Part(Seconds, "for how long they are told to wait")},
    ),
    "call.ended": Entry(
        "The call is over.",
        {
            "how": Part(_one_of("opened", "answered", "unanswered"), "how"),
            "actor": Part(_or_none(Short), "the account that saw to it; null: nobody did"),
            "presses": Part(Count, "how often they pressed"),
            "waited_s": Part(Seconds, "how long they waited"),
        },
    ),
    # --- faults, alarms, things
    "fault.raised": Entry(
        "Something is to be put right.",
        {
            "code": _CODE,
            "where": _WHERE,
            "severity": _SEVERITY,
            "by": Part(Short, "the account that reported it; the agent itself where it is lacking", may_lack=True),
        },
    ),
    "fault.updated": Entry(
        "Somebody took a step towards putting it right.",
        {"code": _CODE, "where": _WHERE, "stage": Part(_one_of(*Stage), "how far it is"), "by": _BY},
    ),
    "fault.cleared": Entry(
        "The same sensor proves that it is over.",
        {
            "code": _CODE,
            "where": _WHERE,
            "lasted_s": Part(_or_none(Seconds), "seconds; null for a fault from before the start"),
        },
    ),
    "alarm.acknowledged": Entry("Somebody has seen an alarm.", {"alarm": Part(Code, "which"), "by": _BY}),
    "welfare.raised": Entry(
        "Somebody inside may need help: nothing has moved, or somebody stays, for too long.",
        {
            "check": Part(_one_of("still", "stay"), "nothing moved, or a visit goes on"),
            "lasted_s": Part(Seconds, "for how long"),
        },
    ),
    "notice.put": Entry(
        "Somebody put a notice on the station's screens. What it says stays out of the log.",
        {
            "level": Part(_one_of(*LEVELS), "how much it matters"),
            "until": Part(_or_none(Short), "when it comes down by itself, UTC; null: when somebody takes it down"),
            "by": _BY,
            "kind": _KIND,
        },
    ),
    "notice.cleared": Entry(
        "The notice is off the screens.",
        {
            "why": Part(_one_of("asked", "until"), "somebody took it down, or its time was over"),
            "by": Part(Short, "the account that took it down", may_lack=True),
            "kind": Part(Short, "where that account is: local, or the central server", may_lack=True),
        },
    ),
    "notice.sent": Entry(
        "Somebody was told of what is wrong, over a service that the settings name.",
        {
            "recipient": Part(Short, "their name in the settings"),
            "about": Part(list[Short], "the most pressing: what it is, and where"),
            "count": Part(Count, "how many it was about"),
            "passed": Part(Count, "how many of them had passed by then"),
            "held": Part(Count, "how many messages the limit an hour had held back"),
        },
    ),
    "appliance.changed": Entry(
        "An appliance does something else than before.",
        {
            "appliance": _APPLIANCE,
            "state": Part(_one_of(*Running), "what it does"),
            "was": Part(_one_of(*Running), "what it did"),
        },
    ),
    "appliance.replaced": Entry(
        "Somebody says that another appliance stands in its place; its usual power is learned anew.",
        {"appliance": _APPLIANCE, "by": _BY},
    ),
    "appliance.switched": Entry(
        "An appliance was told to be on or off.",
        {
            "appliance": _APPLIANCE,
            "is_on": Part(bool, "what it was told"),
            "is_done": Part(bool, "whether its switch took it"),
            "by": Part(Short, "the account that ordered it; lacking where the rules did", may_lack=True),
        },
    ),
    "appliance.unneeded": Entry(
        "Nobody is inside: an appliance that only serves people is told to be off.",
        {"appliance": _APPLIANCE, "empty_s": Part(Seconds, "seconds without anybody inside")},
    ),
    "supply.checked": Entry(
        "Somebody counted a supply.",
        {
            "supply": _SUPPLY,
            "quantity": _QUANTITY,
            "best_before": Part(_or_none(Short), "the earliest date on them"),
            "by": _BY,
        },
    ),
    "supply.taken": Entry(
        "Somebody took or borrowed some.",
        {"supply": _SUPPLY, "quantity": _QUANTITY, "left": _LEFT, "member": _BORROWER, "by": _BY},
    ),
    "supply.returned": Entry(
        "Somebody brought some back.",
        {"supply": _SUPPLY, "quantity": _QUANTITY, "left": _LEFT, "member": _BORROWER, "by": _BY},
    ),
    # --- the agent itself
    "started": Entry("The agent started.", {"version": Part(Short, "of the agent"), "inside": _INSIDE}),
    "stopping": Entry("The agent ends.", {"reason": Part(Short, "why")}),
    "log.epoch_began": Entry(
        "The log goes on in a new epoch: what the server has of the former one may be more than the station has.",
        {
            "reason": Part(Short, "first_start, or what was found"),
            "station": Part(Short, "its id"),
            "after": Part(_or_none(dict[str, JsonValue]), "the entry that this one follows: epoch, sequence, hash"),
            "head": Part(_or_none(dict[str, JsonValue]), "what the head file says: epoch, sequence"),
        },
    ),
    "log.entries_lost": Entry(
        "The disk did not write for so long that something was dropped.",
        {"entries": Part(Count, "entries of the log"), "readings": Part(Count, "readings")},
    ),
    "log.confirmed": Entry(
        "The central server has the log safely up to and including an entry.",
        {
            "epoch": Part(Count, "of that entry"),
            "sequence": Part(Count, "of that entry"),
            "hash": Part(Hash, "of that entry"),
        },
    ),
    "log.pruned": Entry(
        "Old entries went, as the settings say. The chain of the rest hangs on the last of them.",
        {
            "entries": Part(Count, "how many entries of the log went"),
            "visits": Part(Count, "how many visits went with them"),
            "through": Part(dict[str, JsonValue], "the last that went: epoch, sequence, hash"),
            "inside": Part(_or_none(Count), "how many were inside, where what went said so last"),
            "order": Part(_or_none(Short), "the order to the door, where what went said so last"),
        },
    ),
    "ledger.applied": Entry(
        "A backup had brought back what was erased; it was erased again.",
        {
            "erased": Part(Count, "members"),
            "withdrawn": Part(Count, "consents"),
            "credentials": Part(Count, "members whose cards or PINs were taken back"),
            "suspensions": Part(Count, "suspensions that hold again, or are over again"),
            "validities": Part(Count, "members who are valid again from when and until when they were", may_lack=True),
            "notes": Part(Count, "what must only grow, such as the revision of a key"),
        },
    ),
    "diagnostics.requested": Entry(
        "Somebody asked for a bundle for a support engineer; there is nothing about people in it.",
        {"by": _BY, "kind": _KIND},
    ),
    "vault.sealed": Entry(
        "Templates that were stored in the clear are encrypted now.",
        {"templates": Part(Count, "how many"), "key": Part(Short, "the key's id")},
    ),
    "vault.rotation_began": Entry("Somebody ordered a new key for the templates.", {"actor": _ACTOR, "kind": _KIND}),
    "vault.rotated": Entry(
        "All templates are sealed with the new key.",
        {
            "key": Part(Short, "its id"),
            "dropped": Part(list[Short], "ids of keys that are gone"),
            "templates": Part(Count, "how many were sealed"),
        },
    ),
}
"""By type, without `PREFIX`, in the order in which they are printed."""


@cache
def body_model(kind: str) -> type[Message]:
    """The body of an entry of this type, without `PREFIX`, as a model. Raises KeyError for a type that is not here."""
    fields: dict[str, Any] = {
        name: (
            part.type,
            Field(default=None, description=part.means) if part.may_lack else Field(description=part.means),
        )
        for name, part in ENTRIES[kind].parts.items()
    }
    name = "".join(word.capitalize() for word in kind.replace(".", "_").split("_"))
    model: type[Message] = create_model(f"{name}Data", __base__=Message, __doc__=ENTRIES[kind].means, **fields)
    return model
