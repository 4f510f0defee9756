"""What can happen: facts, frozen, in the past tense.

Every fact that reaches the deciding thread is one of these. `at` is station time in seconds (`Clock.now()`), taken
where the fact arose, on whatever thread; rules compare it with deadlines and never ask a clock. A fact carries plain
values only: no handles, no frames, no file objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agent.core.gallery import Gallery
    from agent.core.passes import Pass
    from agent.core.problems import Words

Movement = Literal["left", "right"]
"""To which side a head is turned, as its owner sees it."""

MovementAnswer = Literal["turned", "wrong_way", "not_in_time", "too_early", "changed"]
"""What came of a movement that was asked for. `changed`: not one face that was followed all the while."""


@dataclass(frozen=True, slots=True)
class Event:
    """A fact. `at`: station time, seconds."""

    at: float


# --- wires -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DoorContactChanged(Event):
    """A raw, bouncing edge of the door contact. `is_open` is None when the contact cannot be read."""

    is_open: bool | None


@dataclass(frozen=True, slots=True)
class ExitButtonPressed(Event):
    """Somebody inside pressed the exit button (a raw edge)."""


@dataclass(frozen=True, slots=True)
class CallButtonPressed(Event):
    """Somebody at the door pressed the button that calls the station master (a raw edge)."""


@dataclass(frozen=True, slots=True)
class MotionChanged(Event):
    """The motion sensor saw movement begin or end (a raw edge)."""

    is_moving: bool


@dataclass(frozen=True, slots=True)
class SignalChanged(Event):
    """A raw edge of a wire that says one thing.

    `signal`: `fire`, `emergency` (break glass), `tamper`, `bolt`, or a float's or contact's name in the settings.
    `is_active`: there is fire, the glass is broken, a housing is open, the bolt is thrown, what the name says is so;
    None: it cannot be read.
    """

    signal: str
    is_active: bool | None


@dataclass(frozen=True, slots=True)
class PersonCounted(Event):
    """A counter in the door saw one person go in or out."""

    is_entering: bool


@dataclass(frozen=True, slots=True)
class PresenceSensed(Event):
    """A radar began or ceased to see somebody. `sensor`: its name in the settings; `is_moving`: not just breathing."""

    sensor: str
    is_present: bool
    is_moving: bool


@dataclass(frozen=True, slots=True)
class SensorRead(Event):
    """One reading: `values` by quantity with the unit in its name, such as `power_w`. `sensor`: as in the settings."""

    sensor: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SensorStateTold(Event):
    """A sensor told a value of two states, such as `open` or `on` (a plug's relay); also when nothing has changed."""

    sensor: str
    state: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class ApplianceSwitched(Event):
    """The answer to `SwitchAppliance`: its plug confirmed `is_on`, or `reason` says why not (empty: it did)."""

    appliance: str
    is_on: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeviceFailed(Event):
    """A driver could not do its work; sent once when it begins to fail. `device` is its name in the settings."""

    device: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceRecovered(Event):
    """The device works again."""

    device: str


# --- the vision child ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VisionStarted(Event):
    """The child is up and its networks are loaded. `engine` and `weights` (sha256) name what makes its vectors."""

    engine: str
    weights: str


@dataclass(frozen=True, slots=True)
class VisionStopped(Event):
    """The child ended or was ended."""

    reason: str


@dataclass(frozen=True, slots=True)
class VisionBeat(Event):
    """The child lives. `frames` counts evidence frames since its start; `frame_age_s` is None before the first."""

    frames: int
    frame_age_s: float | None


@dataclass(frozen=True, slots=True)
class CameraFailed(Event):
    """No fresh frames: unplugged, frozen, hung or unreadable."""

    reason: str


@dataclass(frozen=True, slots=True)
class CameraRecovered(Event):
    """Fresh frames again."""


@dataclass(frozen=True, slots=True)
class FaceSeen(Event):
    """A face good enough to compare. `at`: when its frame was captured; `first_at`: when its track's first was.

    `vector`: (128,) float32, length 1. `score`: the detector's own. `width_px`: of the face box. `liveness`: what is
    known of the track; `live` also where the settings ask for no proof. `turn`: how far the nose stands towards the
    person's own left, in distances between the eyes.
    """

    track: int
    first_at: float
    vector: NDArray[np.float32] = field(compare=False, repr=False)
    score: float = 0.0
    width_px: int = 0
    liveness: Literal["live", "undecided", "attack"] = "undecided"
    turn: float = 0.0


@dataclass(frozen=True, slots=True)
class ChallengeAnswered(Event):
    """What came of `ChallengeFace`. `at`: when the frame was captured that decided it."""

    challenge: str
    track: int
    answer: MovementAnswer


@dataclass(frozen=True, slots=True)
class FaceUnusable(Event):
    """A face is there but does not count. `reason` is a refusal code of `core.access` (`too_far`, `two_faces` …)."""

    track: int
    reason: str


@dataclass(frozen=True, slots=True)
class TrackEnded(Event):
    """The face left, or another one took its place."""

    track: int


@dataclass(frozen=True, slots=True)
class PhotoEncoded(Event):
    """The answer to `EncodePhoto`: the vector of the one face in it, (128,) float32, length 1."""

    order: str
    vector: NDArray[np.float32] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PhotoRefused(Event):
    """The answer to `EncodePhoto` when it cannot be used. `reason`: `no_face`, `two_faces`, `not_a_picture` …"""

    order: str
    reason: str


@dataclass(frozen=True, slots=True)
class GalleryBuilt(Event):
    """The answer to `BuildGallery`. `request` numbers the builds: an older one than the last asked for is dropped."""

    request: int
    gallery: Gallery = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class GalleryAudited(Event):
    """The answer to `AuditGallery`: `report` holds JSON values (`core.audit.Audit.as_dict`)."""

    request: str
    report: Mapping[str, Any] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class EnrolmentFrameTaken(Event):
    """A good frame of the person who is enrolled from the camera (see `EnrolFromCamera`).

    `vector`: (128,) float32, length 1. `turn`, `nod`: how far the nose stands aside of and below the eyes' middle, in
    distances between the eyes. `width_px`: of the face box.
    """

    order: str
    vector: NDArray[np.float32] = field(compare=False, repr=False)
    turn: float
    nod: float
    width_px: int


@dataclass(frozen=True, slots=True)
class EnrolmentFrameUnusable(Event):
    """A face is there but does not count; `reason` as in `FaceUnusable`. At most about one a second."""

    order: str
    reason: str


# --- codes that name members -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CodePresented(Event):
    """A code at the door names one member or a few; the face is still to confirm it.

    `way`: what showed it, such as `number`, `card`, `pass` or `master`. `member_ids` is empty for a code that nobody
    has: the person at the door must not learn that from what happens next.
    """

    way: str
    member_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodeSeen(Event):
    """A QR code came into the camera's view: whatever it says, at most 200 printable ASCII characters."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PassChecked(Event):
    """The answer to `CheckPass`; `at` is still when the code was seen.

    `token`: what a known key has signed, else None and `fault` is `pass_unreadable` or `pass_forged` of `core.access`.
    `minute`: UTC as it was checked, minutes since 1970, with whether that is trusted.
    """

    token: Pass | None
    fault: str
    minute: int
    is_clock_trusted: bool


@dataclass(frozen=True, slots=True)
class PassRedeemed(Event):
    """The answer to `RedeemPass`. `outcome`: `redeemed` (durably, by this order), `spent` (before) or `late`.

    `until`: the order's own, for a pass may be shown again while an order about it that was given up still waits.
    """

    pass_id: str
    outcome: str
    until: float


@dataclass(frozen=True, slots=True)
class PassRevoked(Event):
    """The ledger holds the revocation (the answer to `RevokePass`)."""

    request: str
    pass_id: str


@dataclass(frozen=True, slots=True)
class CardRead(Event):
    """A card was held to a reader. `reader`: its name in the settings; `number`: as the reader gives it."""

    reader: str
    number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyPressed(Event):
    """A key of a keypad: a digit, a letter a–f, `#` or `*`. `reader`: its name in the settings."""

    reader: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CardFound(Event):
    """The answer to `FindCard`: whose card it is; None: nobody's."""

    request: str
    member_id: str | None


@dataclass(frozen=True, slots=True)
class PinChecked(Event):
    """The answer to `CheckPin`: who gave their own number and PIN; None: nobody, and not which of the two was wrong.

    `is_duress`: it was the PIN for the case that somebody forces them.
    """

    request: str
    member_id: str | None
    is_duress: bool = False


@dataclass(frozen=True, slots=True)
class CodeUnchecked(Event):
    """The answer to `FindCard` or `CheckPin` when nothing can be said: no key, or nothing could be read yet."""

    request: str


@dataclass(frozen=True, slots=True)
class SealedCard:
    """A card as it is stored: a keyed hash, hexadecimal, and the id of its key."""

    key_id: str
    hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedPin:
    """A PIN and a duress PIN as they are stored: slow peppered hashes with one salt.

    Without a duress PIN its hash is of nothing that can be typed.
    """

    key_id: str
    salt: bytes = field(repr=False)
    hash: bytes = field(repr=False)
    duress_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CardSealed(Event):
    """The answer to `SealCard`."""

    request: str
    member_id: str
    card: SealedCard


@dataclass(frozen=True, slots=True)
class PinSealed(Event):
    """The answer to `SealPin`."""

    request: str
    member_id: str
    number: str
    pin: SealedPin


@dataclass(frozen=True, slots=True)
class MemberSealed(Event):
    """The answer to `SealMember`. `cards`: each under every key, the newest last; `pin` None: there was none."""

    request: str
    member_id: str
    cards: tuple[tuple[SealedCard, ...], ...] = ()
    pin: SealedPin | None = None


@dataclass(frozen=True, slots=True)
class CredentialsChanged(Event):
    """A member's cards or PIN are changed, durably. `what`: `card_added`, `cards_removed`, `pin_set`, `pin_removed`.

    `count`: how many cards; `number`: the one that goes with the PIN.
    """

    request: str
    member_id: str
    what: str
    count: int = 0
    number: str = ""


@dataclass(frozen=True, slots=True)
class CredentialsRefused(Event):
    """A card or a PIN cannot be stored, and nothing was changed. `code`: of `core.problems`."""

    request: str
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CredentialsLoaded(Event):
    """The answer to `LoadCredentials`, also when it fails later. `fault`: a code of `core.problems`, or empty."""

    fault: str = ""
    detail: str = ""


# --- storage ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Receipt:
    """A log entry that is durable. `tag` is the one its `AppendEntry` carried, or empty."""

    epoch: int
    sequence: int
    tag: str = ""


@dataclass(frozen=True, slots=True)
class EntriesLogged(Event):
    """These entries are on the disk: committed with `synchronous=FULL`, and the head file after them."""

    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class EntriesLost(Event):
    """The writer's bound was reached while the disk did not write; `tags` names the entries that were dropped."""

    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StorageFailed(Event):
    """The database cannot be written; entries wait in memory and are tried again."""

    reason: str


@dataclass(frozen=True, slots=True)
class DiskSpaceChanged(Event):
    """The disk of the storage has begun or ceased to be short of space, with `free_mb` megabytes left."""

    is_low: bool
    free_mb: int


@dataclass(frozen=True, slots=True)
class StorageRecovered(Event):
    """The database is written again, and what waited is in it."""


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """One row of the log as it goes onto the wire (see `storage.log` for what each column is)."""

    epoch: int
    sequence: int
    type: str
    time: str
    boot: str
    monotonic_ms: int
    clock: str
    body: str | None
    salt: str | None
    digest: str
    hash: str


@dataclass(frozen=True, slots=True)
class OutboxRead(Event):
    """The answer to `ReadOutbox`: the next entries in order, possibly none."""

    entries: tuple[LoggedEntry, ...]


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where an entry stands, and its hash."""

    epoch: int
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class EntriesRead(Event):
    """The answer to `ReadEntries`: those of the range that are there, in order, at most as many as were asked for.

    `anchor`: the last entry that was let go, None where none was; `error`: why the log could not be read.
    """

    question: str
    entries: tuple[LoggedEntry, ...] = ()
    anchor: LogPlace | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class MinuteReading:
    """One quantity of one sensor over one minute (UTC, `2026-11-22T03:04Z`); the unit is in the quantity's name."""

    minute: str
    sensor: str
    quantity: str
    minimum: float
    mean: float
    maximum: float
    count: int


@dataclass(frozen=True, slots=True)
class MinutesMeasured(Event):
    """Whole minutes of readings: to be published now; they wait in memory for the next commit.

    `lost`: single values that had to be dropped before they were part of a minute.
    """

    readings: tuple[MinuteReading, ...]
    lost: int = 0


@dataclass(frozen=True, slots=True)
class QueryAnswered(Event):
    """The answer to `RunQuery`. `error` is empty when it worked."""

    request: str
    rows: tuple[Mapping[str, Any], ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class DiagnosticsCollected(Event):
    """The answer to `CollectDiagnostics`: JSON values in parts that each fit into a message and stand by themselves."""

    request: str
    parts: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class MemberSaved(Event):
    """A member and their template are durable (the answer to `SaveMember`)."""

    member: Member
    request: str


@dataclass(frozen=True, slots=True)
class MemberPut(Event):
    """What is kept of a member beside their face is changed, durably (the answer to `PutMember`).

    `member`: as they are now, without templates. `changed`: which of it, never what it is now; `card_count`, `has_pin`:
    where those are among it. `number`: the one that was drawn for a PIN.
    """

    request: str
    member: Member
    was_created: bool = False
    changed: tuple[str, ...] = ()
    card_count: int = 0
    has_pin: bool = False
    number: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PutRefused(Event):
    """Nothing of a `PutMember` was carried out. `code`: of `core.problems`."""

    request: str
    member_id: str
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MemberSuspended(Event):
    """A suspension, or its end, is in the ledger and on the disk (the answer to `SuspendMember`)."""

    request: str
    member_id: str
    existed: bool
    is_suspended: bool
    until: datetime | None = None
    why: str = "asked"


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """The proof of an erasure, without personal data.

    `digest`: SHA-256 of `SALT:ID`, hexadecimal. Whoever holds the salt can show that the receipt is about their id; it
    is given out once and kept nowhere. `rows`: how many of each kind were erased, made anonymous or blanked.
    """

    at_utc: str
    digest: str
    rows: Mapping[str, int]
    salt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class MemberErased(Event):
    """Nothing of this member is left but the ledger's line (the answer to `EraseMember`)."""

    member_id: str
    request: str
    existed: bool
    receipt: ErasureReceipt | None = None
    why: str = "asked"


@dataclass(frozen=True, slots=True)
class Consent:
    """What somebody agreed to before their face was worked on.

    `how`: `paper` or `screen`; `recorded_by`: the account that says so; `guardian`: how the guardian who consented is
    related, never a name; `text_sha256`: of the text that was shown.
    """

    version: str
    language: str
    text_sha256: str
    purpose: str
    how: str
    recorded_by: str
    valid_days: int
    is_under_age: bool = False
    guardian: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentRecorded(Event):
    """A consent and its log entry are durable (the answer to `RecordConsent`).

    `consent_id` is empty when the clock had never been set, and then nothing was recorded.
    """

    request: str
    member_id: str
    consent_id: str
    until_utc: str


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn(Event):
    """No template of this member is left, nor in the write-ahead file (the answer to `WithdrawConsent`)."""

    request: str
    member_id: str
    existed: bool
    templates: int
    why: str


@dataclass(frozen=True, slots=True)
class MemberDates:
    """What retention goes by. `last_seen_on`: UTC date; `consent_ended`: `withdrawn`, `expired`, `renewed` or empty."""

    id: str
    last_seen_on: str | None
    consent_until_utc: str | None
    consent_ended: str
    has_templates: bool


@dataclass(frozen=True, slots=True)
class RetentionRead(Event):
    """The answer to `ReadRetention`, with the wall time that it was read at (RFC 3339) and whether that is trusted."""

    utc: str
    is_clock_trusted: bool
    members: tuple[MemberDates, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A fused face vector, (128,) float32, length 1, and what made it."""

    engine: str
    weights: str
    vector: NDArray[np.float32] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class OpenVisit:
    """A visit that had not ended when the agent did."""

    id: str
    member_id: str | None


STORAGE_NOT_OPENED = "not_opened"
"""The code of the problem in `Restored` that the files cannot be written; `StorageOpened` follows when they can."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What storage holds as the agent starts. Positions are (epoch, sequence), (0, 0) before the first entry.

    `inside`: how many people were in, None when nobody ever was; `order`: the master's last to the door, empty when
    there was none.
    `notes`: what the rules noted (`effects.Note`), by kind and name.
    `problems` are what had to be mended, as (code, sentence). `faults` are what is wrong with the vault, as (code of
    `core.problems`, where, detail). `revoked_passes` is None while the ledger cannot be read; `is_read` is False while
    nothing can be read, and whatever else stands here is unknown. `vouched_utc`: the time of the newest entry by a
    clock that a time source had set, None when there is none: it is later than that now, whatever the clock says.
    """

    members: tuple[Member, ...] = ()
    open_visits: tuple[OpenVisit, ...] = ()
    cursor: tuple[int, int] = (0, 0)
    newest: tuple[int, int] = (0, 0)
    inside: int | None = None
    order: str = ""
    notes: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    problems: tuple[tuple[str, str], ...] = ()
    faults: tuple[tuple[str, str, str], ...] = ()
    revoked_passes: frozenset[str] | None = None
    is_read: bool = True
    vouched_utc: datetime | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """An enrolled person as the rules see one: an opaque id and templates. The name stays in the database.

    `needs_longer`: the door's extended times are theirs. `suspended_until`: UTC, None: until somebody resumes them.
    `valid_from`, `valid_until`: UTC, the end not included; None for no limit. `categories`: numbers, in order, of
    `core.passes.CATEGORIES`.
    """

    id: str
    templates: tuple[Template, ...] = ()
    is_suspended: bool = False
    needs_longer: bool = False
    suspended_until: datetime | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    categories: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StorageOpened(Event):
    """Storage that could not be opened at the start now is; what waited is written next.

    `restored` is what a start would have got, without members whose erasure waits; of open visits, notes, who is inside
    and the order to the door only what the start did not know.
    """

    restored: Restored


@dataclass(frozen=True, slots=True)
class VaultDescribed(Event):
    """The answer to `DescribeVault`: `report` holds JSON values, ids of keys and counts."""

    request: str
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class VaultRotated(Event):
    """The answer to `RotateVault`: `templates` were sealed anew with `key`, and nothing of the former is left.

    `dropped`: keys that no template needs any more, and that are gone.
    """

    request: str
    key: str
    dropped: tuple[str, ...]
    templates: int


@dataclass(frozen=True, slots=True)
class VaultRefused(Event):
    """The vault cannot do what this request needs, and nothing was changed. `code`: of `core.problems`."""

    request: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class VaultExamined(Event):
    """What is wrong with the vault has changed. `faults`: all of it, as in `Restored`."""

    faults: tuple[tuple[str, str, str], ...]


# --- the broker ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BrokerConnected(Event):
    """The birth message is out. `session` is random and new at every connect."""

    session: str


@dataclass(frozen=True, slots=True)
class BrokerDisconnected(Event):
    """The link is down; it tries again by itself. What was in flight counts as not sent."""

    reason: Words


@dataclass(frozen=True, slots=True)
class CertificateRead(Event):
    """A certificate of the link to the broker, or why its file cannot be used: then `ends_at_utc` is None.

    `where`: the setting that names the file. Of a file with several it is the first end of the station's own, and the
    last one of authorities.
    """

    where: str
    ends_at_utc: datetime | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EntriesAcknowledged(Event):
    """The broker sent PUBACK for these entries, in the session named. `places`: (epoch, sequence) of each."""

    session: str
    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class EntryReplayed(Event):
    """The broker sent PUBACK for an entry that was published again; `error`: why it was not taken, or could not go."""

    request: str
    epoch: int
    sequence: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class CommandReceived(Event):
    """A command whose signature is good: of `key`, which has these scopes, for this station.

    `nonce`, `revision`, `session`: its proof of freshness; `arguments` fit its name; `entropy`: random, never used
    before, for a nonce.
    """

    id: str
    name: str
    arguments: Mapping[str, Any] = field(repr=False)  # cards and PINs are among them
    key: str
    scopes: frozenset[str]
    entropy: str = field(repr=False)
    nonce: str | None = field(default=None, repr=False)
    revision: int | None = None
    session: str | None = None
    is_retained: bool = False


@dataclass(frozen=True, slots=True)
class CommandRejected(Event):
    """A message on the topic of commands that is none. `reason`: of `core.commands.Refusal`; `id`, `key`: if known."""

    reason: str
    id: str = ""
    key: str = ""


# --- people elsewhere ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NotifyDone(Event):
    """The answer to `Notify`: `ok` where at least one way took the message.

    `reason`: why not, a key of `core.notice_words.REASONS`. `ways`: the same for each way by its name, empty where it
    took the message.
    """

    request: str
    recipient: str
    ok: bool
    reason: str = ""
    ways: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotifyExamined(Event):
    """What is wrong with the file of the recipients' URLs has changed.

    `faults`: (code of `core.problems`, where, detail); no detail holds anything of a URL.
    """

    faults: tuple[tuple[str, str, str], ...]


# --- people and processes that ask -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: `kind` is `local` (a peer uid) or `remote`; `name` is an account's, never a member's."""

    kind: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class ControlRequested(Event):
    """A request came over the control socket. `request` names it in the `Reply`."""

    request: str
    actor: Actor
    action: str
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)  # cards and PINs are among them


@dataclass(frozen=True, slots=True)
class SubscriberLeft(Event):
    """A control connection that subscribed is gone."""

    request: str


@dataclass(frozen=True, slots=True)
class TimePassed(Event):
    """A deadline came, or the inbox was quiet; rules look at `now`."""


@dataclass(frozen=True, slots=True)
class ClockRead(Event):
    """The answer to `ReadClock`. `utc`: the wall clock at `at`; `is_trusted`: a time source had set it."""

    utc: datetime
    is_trusted: bool


@dataclass(frozen=True, slots=True)
class PauseSkipped(Event):
    """Station time jumped ahead by `seconds` (the demo and tests); real processes did not live through it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerFailed(Event):
    """A thread of the agent died: the agent ends and is started anew."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class ShutdownRequested(Event):
    """SIGTERM or SIGINT."""

    reason: str
