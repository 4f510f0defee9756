"""What is published: the very models that the agent encodes its messages with, strict and frozen.

The contract (`contract.md`) is printed from these. JSON, UTF-8, one object a message, at most `MAX_PAYLOAD_BYTES`.
No message carries a face, a template or a person's name; a member is an opaque id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from agent.effects import PublishReply
from agent.events import LoggedEntry, MinuteReading

CONTRACT_VERSION = "1.0"
MAX_PAYLOAD_BYTES = 64 * 1024  # the contract's bound; every common broker takes it without a setting
# Characters of a body that is not measured: each is at most 4 bytes, and what stands around it far less than the rest.
_SURELY_FITS = MAX_PAYLOAD_BYTES // 8
_UNREADABLE = "[]"  # what is no object is no body
MAX_BATCH = 128  # readings in one message; with the longest names these stay below the bound
SEQUENCE_DIGITS = 19  # of the largest 64-bit signed integer, so that text order is number order for ever
HISTORICAL_AFTER = timedelta(minutes=1)  # older entries are a backlog, not news
# Every part is told again each 30 s by the deciding thread: two lost ones are not an outage, a hung agent goes stale.
HOLDS_S = 90.0

Utc = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$")]
Minute = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\dZ$")]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]
Short = Annotated[str, Field(max_length=200)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(ge=0)]


class PayloadError(ValueError):
    """A message that the contract does not allow; it is not published, and trying again cannot help."""


class Message(BaseModel):
    """A part of the contract."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Words(Message):
    """One text in the two languages of the station."""

    zh: Annotated[str, Field(max_length=1000)]
    en: Annotated[str, Field(max_length=1000)]


# --- status and about ------------------------------------------------------------------------------------------------


class Status(Message):
    """Birth, goodbye and last will. An `offline` whose session is not the newest counts for nothing.

    `since` is null in the last will: it is written before it happens, and only its receiver knows when that was.
    """

    status: Literal["online", "offline"]
    session: Annotated[str, Field(min_length=8, max_length=64)]
    agent: Short
    contract: Short
    since: Utc | None


class Coordinates(Message):
    """WGS 84, degrees."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]


class StationMaster(Message):
    """Only where the settings make it public."""

    name: Short
    phone: Short


class About(Message):
    """What the service board outside shows."""

    name: Short
    address: Short = ""
    coordinates: Coordinates | None = None
    opening_hours: Short = ""
    equipment: Annotated[tuple[Short, ...], Field(max_length=64)] = ()
    capabilities: Annotated[tuple[Short, ...], Field(max_length=64)] = ()
    station_master: StationMaster | None = None


# --- live state ------------------------------------------------------------------------------------------------------


class State(Message):
    """`observed_at`: when it was so, UTC; `holds_s`: after so many seconds without a newer one it is stale."""

    observed_at: Utc
    holds_s: Seconds


class DoorState(State):
    """The door's product of mode, lock, contact and alarms.

    `mode` is the highest of what is wanted: fire, emergency, the master's order, opening hours. `admission`: whom the
    schedule admits, which the modes above it override.
    """

    mode: Literal["normal", "unlocked", "held_open", "blocked", "locked_down", "emergency", "released_by_fire"]
    admission: Literal["open", "members", "two_factors", "closed"]
    lock: Literal["secured", "released", "unknown"]
    contact: Literal["closed", "open", "unknown"]
    alarms: Annotated[tuple[Code, ...], Field(max_length=16)]


class OccupancyState(State):
    """How many visits are open, and whether anybody is inside.

    `state` is what all sensors say together, with `confidence` 0.5 to 1 in it, `since` when, and an `estimate` of how
    many, which may differ from the visits; null: nothing is claimed. `stuck`: sensors that are left out. `check`: why
    somebody should look after whoever is inside: nobody moves (`still`), or a stay far beyond the usual (`stay`).
    """

    count: Annotated[int, Field(ge=0)]
    is_occupied: bool
    state: Literal["occupied", "empty", "unknown"] = "unknown"
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.5
    estimate: Annotated[int | None, Field(ge=0)] = None
    since: Utc | None = None
    stuck: Annotated[tuple[Short, ...], Field(max_length=16)] = ()
    check: Literal["still", "stay"] | None = None


class ApplianceState(State):
    """Whether an appliance is `usable`, what it is doing since when, and what its meter says.

    `energy_kwh`, `cycles` and `in_use_s` only grow; they count from when the station first saw it. `temperature_c`: of
    its inside, where that is measured. `faults`: codes of what is wrong, in full in `health`. `switched_off`: somebody
    ordered it off, so it is not usable and nothing is wrong with it.
    """

    state: Literal["off", "standby", "running", "fault", "unknown"]
    usable: Literal["yes", "no", "unknown"] = "unknown"
    since: Utc | None = None
    power_w: float | None
    energy_kwh: Annotated[float, Field(ge=0)] = 0.0
    cycles: Annotated[int, Field(ge=0)] = 0
    in_use_s: Seconds = 0.0
    temperature_c: float | None = None
    faults: Annotated[tuple[Code, ...], Field(max_length=16)] = ()
    switched_off: bool = False


class SupplyState(State):
    """What was counted last. `usable`: there is some and it is in date; `best_before`: the earliest, a local date."""

    quantity: Annotated[int, Field(ge=0)] | None
    minimum: Annotated[int, Field(ge=0)]
    best_before: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")] | None
    checked_at: Utc | None
    lent: Annotated[int, Field(ge=0)]
    usable: Literal["yes", "no", "unknown"]
    faults: Annotated[tuple[Code, ...], Field(max_length=16)]


class EnvironmentState(State):
    """The air in the room; null: that is not measured, or what was measured is too old."""

    temperature_c: Annotated[float | None, Field(ge=-40, le=60)]
    humidity_percent: Annotated[float | None, Field(ge=0, le=100)]
    co2_ppm: Annotated[float | None, Field(ge=0, le=40_000)]


class Notice(Message):
    """One text in each language. `level`: how much it matters; `until`: when it comes down by itself."""

    zh: Annotated[str, Field(min_length=1, max_length=200)]
    en: Annotated[str, Field(min_length=1, max_length=200)]
    level: Literal["info", "warning"]
    until: Utc | None
    put_at: Utc | None


class NoticeState(State):
    """The notice on the station's screens; null: there is none."""

    notice: Notice | None


class Fault(Message):
    """Something to be put right (`core.problems`). `where`: a setting's path or a device's name.

    `stage`: how far its repair is. `is_present`: the sensor says so now; False: somebody reported it, or nothing has
    shown since the start whether it still is. `since`: of this start; `raised_at`: of the first time.
    """

    code: Code
    severity: Literal["warning", "error"]
    where: Short
    since: Utc | None
    text: Words
    remedy: Words
    stage: Literal["raised", "seen", "in_repair", "put_right"]
    is_present: bool
    raised_at: Utc | None


class AlarmState(Message):
    """Something to be seen now: active, or over and not acknowledged. `times`: how often it began unseen."""

    alarm: Code
    raised_at: Utc | None
    is_active: bool
    is_acknowledged: bool
    times: Annotated[int, Field(ge=1)]


class EntryPlace(Message):
    """Where an entry of the log stands."""

    epoch: Annotated[int, Field(ge=1)]
    sequence: Annotated[int, Field(ge=1)]


class HealthState(State):
    """Beats from the deciding thread, so that a hung agent goes stale. `backlog`: log entries not yet sent.

    `faults`: the worst of `fault_count`. `confirmed`: the newest entry that `log.confirm` named, null: none yet.
    """

    faults: Annotated[tuple[Fault, ...], Field(max_length=16)]
    fault_count: Annotated[int, Field(ge=0)]
    alarms: Annotated[tuple[AlarmState, ...], Field(max_length=32)]
    uptime_s: Seconds
    vision: Literal["running", "starting", "stopped"]
    storage: Literal["ok", "failed"]
    backlog: Annotated[int, Field(ge=0)]
    confirmed: EntryPlace | None = None


STATES: Mapping[str, type[State]] = {
    "door": DoorState,
    "occupancy": OccupancyState,
    "appliances": ApplianceState,
    "supplies": SupplyState,
    "environment": EnvironmentState,
    "notice": NoticeState,
    "health": HealthState,
}
NAMED = frozenset({"appliances", "supplies"})  # parts of which a station has several: `appliances/NAME`


def state_of(part: str, body: Mapping[str, Any], at: float, utc: Callable[[float], str]) -> State:
    """Make the message for one part from what the rules say. `utc` turns station time into RFC 3339 text.

    Raises PayloadError for a part without a model and for a body that does not fit it.
    """
    kind, _, name = part.partition("/")
    model = STATES.get(kind)
    if model is None or (kind in NAMED) != bool(name):
        raise PayloadError(f"part {part!r:.80} is not in the contract; give it a model in agent.mqtt.payloads")
    fields: dict[str, Any] = {**_with_utc(body, utc), "observed_at": utc(at), "holds_s": HOLDS_S}
    if kind == "health" and isinstance(fields.get("faults"), (list, tuple)):
        fields["faults"] = [_with_utc(fault, utc) for fault in fields["faults"]]
    try:  # through JSON, because strict about JSON's types is what the wire is: a list may fill a tuple
        return model.model_validate_json(json.dumps(fields, allow_nan=False))
    except (ValidationError, ValueError, TypeError, RecursionError) as error:
        raise PayloadError(f"state {part!r:.80} does not fit the contract: {_reasons(error)}") from None


def _with_utc(fault: Any, utc: Callable[[float], str]) -> Any:
    if isinstance(fault, Mapping) and isinstance(fault.get("since"), (int, float)):
        return {**fault, "since": utc(float(fault["since"]))}
    return fault


def _reasons(error: Exception) -> str:
    """Say which fields are wrong, without their values: those may be about people."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'all'}: {e['msg']}" for e in error.errors()[:8])
    return type(error).__name__


# --- the log ---------------------------------------------------------------------------------------------------------


class LogEvent(Message):
    """A CloudEvents 1.0 event, JSON format. `data` and `salt` are absent once the body has been blanked.

    `sequence` is zero-padded text, as that extension demands. `monotonic` is text as well, milliseconds since the boot
    `boot`: CloudEvents integers have 32 bits, 25 days. `clock` says whether `time` can be trusted. `hash` and `digest`
    are the chain's. `withheld` says why a body that is stored does not travel: it would not fit.
    """

    specversion: Literal["1.0"] = "1.0"
    id: Short
    source: Short
    type: Annotated[str, Field(pattern=r"^station\.[a-z0-9_.]{1,100}$")]
    time: Utc
    datacontenttype: Literal["application/json"] | None = None
    data: dict[str, JsonValue] | None = None
    sequence: Annotated[str, Field(pattern=rf"^\d{{{SEQUENCE_DIGITS}}}$")]
    epoch: Annotated[int, Field(ge=0, lt=2**31)]
    hash: Hash
    digest: Hash
    salt: Annotated[str, Field(pattern=r"^([0-9a-f]{2}){8,64}$")] | None = None
    boot: Short
    monotonic: Annotated[str, Field(pattern=r"^\d{1,19}$")]
    clock: Short
    historical: bool
    withheld: Literal["too_large", "unreadable"] | None = None

    def entry(self) -> LoggedEntry:
        """Read it back as the entry it was made from; the body is parsed, so its text is left out (None)."""
        return LoggedEntry(
            epoch=self.epoch,
            sequence=int(self.sequence),
            type=self.type,
            time=self.time,
            boot=self.boot,
            monotonic_ms=int(self.monotonic),
            clock=self.clock,
            body=None,
            salt=self.salt,
            digest=self.digest,
            hash=self.hash,
        )


def log_event(station: str, entry: LoggedEntry, now_utc: datetime, age: timedelta | None = None) -> LogEvent:
    """Make the event for one entry. `age` decides whether it is historical: by a clock that nobody sets, where it is
    known; otherwise by `now_utc`.

    A body that cannot travel (too large, not an object) is withheld and the event says so: the chain still verifies,
    and one bad body never holds up the entries behind it. Raises PayloadError when the entry's own columns are wrong.
    """
    data, withheld = _body(entry)
    try:
        event = LogEvent(
            id=f"{station}/{entry.epoch}/{entry.sequence}",
            source=f"/stations/{station}",
            type=entry.type,
            time=entry.time,
            datacontenttype=None if data is None else "application/json",
            data=data,
            sequence=f"{entry.sequence:0{SEQUENCE_DIGITS}d}",
            epoch=entry.epoch,
            hash=entry.hash,
            digest=entry.digest,
            salt=None if data is None else entry.salt,
            boot=entry.boot,
            monotonic=str(entry.monotonic_ms),
            clock=entry.clock,
            historical=(now_utc - datetime.fromisoformat(entry.time) if age is None else age) > HISTORICAL_AFTER,
            withheld=withheld,
        )
    except (ValidationError, ValueError, TypeError) as error:  # TypeError: a time without its zone
        if data is not None:  # such as a number beyond a double, or too deep; or it is not the body at all
            return log_event(station, replace(entry, body=_UNREADABLE), now_utc, age)
        where = f"entry {entry.epoch}/{entry.sequence}"
        raise PayloadError(f"{where} does not fit the contract: {_reasons(error)}") from None
    if data is None or len(entry.body or "") <= _SURELY_FITS or len(_json(event)) <= MAX_PAYLOAD_BYTES:
        return event
    absent = {"datacontenttype": None, "data": None, "salt": None}
    return event.model_copy(update={**absent, "withheld": "too_large"})


def _body(entry: LoggedEntry) -> tuple[dict[str, JsonValue] | None, Literal["unreadable"] | None]:
    if entry.body is None:
        return None, None
    try:
        data = json.loads(entry.body)
        if "\\ud" in entry.body or "\\uD" in entry.body:  # perhaps half a character, which has no UTF-8
            json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None, "unreadable"
    return (data, None) if isinstance(data, dict) else (None, "unreadable")


# --- readings --------------------------------------------------------------------------------------------------------


class Reading(Message):
    """One quantity of one sensor over one minute, UTC; the unit is in the quantity's name (`power_w`)."""

    sensor: Short
    quantity: Code
    minute: Minute
    min: float
    mean: float
    max: float
    count: Annotated[int, Field(ge=1)]


class Readings(Message):
    """A batch. Readings may be lost: `lost` counts minutes and values that were dropped since the batch before."""

    readings: Annotated[tuple[Reading, ...], Field(max_length=MAX_BATCH)]
    lost: Annotated[int, Field(ge=0)] = 0


def readings_of(minutes: Sequence[MinuteReading], lost: int) -> Readings:
    """Make a batch of at most `MAX_BATCH`. Raises PayloadError for values that are not numbers."""
    try:
        readings = tuple(
            Reading(
                sensor=each.sensor,
                quantity=each.quantity,
                minute=each.minute,
                min=float(each.minimum),
                mean=float(each.mean),
                max=float(each.maximum),
                count=each.count,
            )
            for each in minutes
        )
        return Readings(readings=readings, lost=lost)
    except ValidationError as error:
        raise PayloadError(f"readings do not fit the contract: {_reasons(error)}") from None


# --- replies ---------------------------------------------------------------------------------------------------------


class CommandReply(Message):
    """What became of the command `id`. `code`: why it was refused, or the problem that made it fail.

    `part` of `parts`, from 1: an answer that takes several messages, each of which can be read alone; those before the
    last are `accepted`. Null: this is the whole answer.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
    status: Literal["accepted", "done", "failed", "refused"]
    at: Utc
    code: Annotated[str, Field(max_length=64)] = ""
    result: dict[str, JsonValue] = Field(default_factory=dict)
    part: Annotated[int, Field(ge=1)] | None = None
    parts: Annotated[int, Field(ge=1)] | None = None


def reply_of(order: PublishReply, utc: Callable[[float], str]) -> CommandReply:
    """Make the message for one reply. Raises PayloadError for a result that is not JSON."""
    fields = {
        "id": order.command,
        "status": order.status,
        "at": utc(order.at),
        "code": order.code,
        "result": dict(order.result),
        "part": order.part,
        "parts": order.parts,
    }
    try:
        return CommandReply.model_validate_json(json.dumps(fields, allow_nan=False))
    except (ValidationError, ValueError, TypeError, RecursionError) as error:
        raise PayloadError(f"the reply to a command does not fit the contract: {_reasons(error)}") from None


def encode(message: Message) -> bytes:
    """Write a message as JSON, UTF-8. Raises PayloadError beyond `MAX_PAYLOAD_BYTES`."""
    payload = _json(message)
    if len(payload) > MAX_PAYLOAD_BYTES:
        what = f"a {type(message).__name__} of {len(payload)} bytes"
        raise PayloadError(f"{what} exceeds the contract's {MAX_PAYLOAD_BYTES}; put less into it")
    return payload


def _json(message: Message) -> bytes:
    # An event's absent attributes are left out, as CloudEvents demands; None inside its `data` stays.
    return message.model_dump_json(exclude_none=isinstance(message, LogEvent)).encode()
