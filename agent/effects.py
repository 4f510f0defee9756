"""What the agent can do: orders, frozen, in the imperative.

Rules return them; `agent.app` maps each type to the one part that carries it out. An order never waits: it either takes
microseconds (a relay) or is put into a bounded queue of the part that owns the slow thing. Answers come back as events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agent.events import Consent, LoggedEntry, Member, MinuteReading, Movement, SealedCard, SealedPin

if TYPE_CHECKING:
    from agent.core.gallery import Gallery


@dataclass(frozen=True, slots=True)
class Effect:
    """An order."""


# --- wires -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EnergiseLock(Effect):
    """Put current on the lock. `seen_at`: station time of the fact that caused it, for measuring."""

    seen_at: float | None = None


@dataclass(frozen=True, slots=True)
class DeenergiseLock(Effect):
    """Take the current off the lock: its safe state, whether that is open (fail-safe) or shut (fail-secure)."""

    seen_at: float | None = None


@dataclass(frozen=True, slots=True)
class ShowIndication(Effect):
    """Light and sound for the person at the door. `pattern` is a key of `drivers.indicator.PATTERNS`."""

    pattern: str


@dataclass(frozen=True, slots=True)
class SwitchAppliance(Effect):
    """Switch an appliance's plug where the settings allow it; `ApplianceSwitched` answers, within some seconds."""

    appliance: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class ReadClock(Effect):
    """Read the wall clock; `ClockRead` answers."""


# --- the vision child ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartVision(Effect):
    """Spawn the child."""


@dataclass(frozen=True, slots=True)
class KillVision(Effect):
    """End a child that no longer answers; `VisionStopped` follows."""

    reason: str


@dataclass(frozen=True, slots=True)
class EncodePhoto(Effect):
    """Order a vector of one photo (the bytes of a JPEG or PNG file)."""

    order: str
    photo: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EnrolFromCamera(Effect):
    """Look for one person's good frames instead of watching the door, for at most `seconds`."""

    order: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ChallengeFace(Effect):
    """Judge whether the face of a track turns to this side, for at most `within_s`; `ChallengeAnswered` answers."""

    challenge: str
    track: int
    movement: Movement
    within_s: float


@dataclass(frozen=True, slots=True)
class WatchAgain(Effect):
    """Watch the door again after `EnrolFromCamera`."""


@dataclass(frozen=True, slots=True)
class BuildGallery(Effect):
    """Build the gallery of these members' templates on a worker; `GalleryBuilt` answers."""

    request: int
    engine: str
    weights: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class AuditGallery(Effect):
    """Compare everybody in the gallery with everybody on a worker; `GalleryAudited` answers."""

    request: str
    gallery: Gallery = field(compare=False, repr=False)
    strangers_a_day: float = 20.0


@dataclass(frozen=True, slots=True)
class CheckPass(Effect):
    """Check on a worker what a code says and whose signature it has; `PassChecked` answers. `at`: when it was seen."""

    at: float
    text: str = field(repr=False)


# --- cards and PINs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FindCard(Effect):
    """Find whose card this is, on a worker; `CardFound` answers, or `CodeUnchecked`."""

    request: str
    card: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CheckPin(Effect):
    """Check a number with its PIN on a worker, which takes as long for a wrong number as for a wrong PIN.

    `PinChecked` answers, or `CodeUnchecked`.
    """

    request: str
    number: str = field(repr=False)
    pin: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FindNumber(Effect):
    """Find whose number this is; `CodePresented` follows, with nobody in it for a number that nobody has.

    `presented_at`: station time.
    """

    number: str = field(repr=False)
    presented_at: float = 0.0


@dataclass(frozen=True, slots=True)
class SealCard(Effect):
    """Make of a card's number what is stored of it; `CardSealed` answers, or `CredentialsRefused`."""

    request: str
    member_id: str
    card: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealPin(Effect):
    """Make of a PIN what is stored of it; `PinSealed` answers, or `CredentialsRefused`.

    `number`: the member's own, empty: they keep theirs, or get one. `duress`: empty for none.
    """

    request: str
    member_id: str
    number: str
    pin: str = field(repr=False)
    duress: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SealMember(Effect):
    """Make of all cards and the PIN that a member is to have what is stored; `MemberSealed`, or `CredentialsRefused`.

    `pin`: empty for none. Orders of this kind are answered one after the other, also those with nothing to seal.
    """

    request: str
    member_id: str
    cards: tuple[str, ...] = field(default=(), repr=False)
    pin: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class LoadCredentials(Effect):
    """Read all cards and PINs anew from the disk; `CredentialsLoaded` answers."""


# --- storage ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BeginVisit:
    """A new visit, in one transaction with the entry that reports it. `member_id`: None for an anonymous one."""

    visit: str
    member_id: str | None
    entered_at: float


@dataclass(frozen=True, slots=True)
class EndVisit:
    """The visit ended. `how`: `exit_button`, `room_empty`, `erased` …"""

    visit: str
    left_at: float
    how: str


VisitChange = BeginVisit | EndVisit


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the rules want to find again after a start, in place of the note of this kind and name before it.

    `kind` is the module of `core` that reads it back. `body` holds JSON values only, and never a name, a face, a PIN or
    a key; None: the note is thrown away. `outlives_backup`: a restored backup does not bring an older one back.
    """

    kind: str
    name: str
    body: Mapping[str, Any] | None
    outlives_backup: bool = False


CONFIRMED = "confirmed"
"""The kind of the note that says up to where the central server has the log; pruning may have to wait for it."""


@dataclass(frozen=True, slots=True)
class AppendEntry(Effect):
    """Append to the log. `at`: station time; `tag` comes back in the `Receipt`.

    `visits` and `notes` commit together with it. `may_wait`: nobody asks for it at once, so it waits for company, up to
    a quarter of an hour, and a sudden death may forget it; every commit wears the card.

    `body` holds JSON values only, and never a name, a face, a PIN or a key.
    """

    at: float
    type: str
    body: Mapping[str, Any]
    tag: str = ""
    visits: tuple[VisitChange, ...] = ()
    notes: tuple[Note, ...] = ()
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class KeepNotes(Effect):
    """Keep notes that no entry reports, such as what was learned of an appliance. Each costs a card a commit.

    `may_wait`: as in `AppendEntry`.
    """

    notes: tuple[Note, ...]
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class ReadOutbox(Effect):
    """Read the next entries after the cursor given; `OutboxRead` answers."""

    epoch: int
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class ReadEntries(Effect):
    """Read entries of one epoch, after `after` up to and with `last`, at most `limit`; `EntriesRead` answers."""

    question: str
    epoch: int
    after: int
    last: int
    limit: int


@dataclass(frozen=True, slots=True)
class MoveCursor(Effect):
    """The broker has everything up to and including this entry."""

    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class WriteReading(Effect):
    """Add one value to the readings of the current minute."""

    at: float
    sensor: str
    quantity: str
    value: float


@dataclass(frozen=True, slots=True)
class SaveMember(Effect):
    """Insert or replace a member and their templates. `name` is for the station master's eyes only.

    `consent_id`: what the templates rest on; empty leaves the consent as it is.
    """

    request: str
    member: Member
    name: str = field(repr=False)
    at: float = 0.0
    consent_id: str = ""


@dataclass(frozen=True, slots=True)
class PutMember(Effect):
    """Change what is kept of a member beside their face, all of it or nothing; `MemberPut` answers, or `PutRefused`.

    `given`: the names of the fields that count, the others stay as they are. `may_create`: somebody who is not there is
    taken up, without a name. `valid_from`, `valid_until`: UTC, None for no limit. `cards`: all that they have from then
    on, each as it is under every key, the newest key last. `pin` None: it is taken away; `number`: empty: they keep
    theirs, or get one that is free.
    """

    request: str
    member_id: str
    at: float
    given: frozenset[str] = frozenset()
    may_create: bool = False
    name: str = field(default="", repr=False)
    needs_longer: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    categories: tuple[int, ...] = ()
    cards: tuple[tuple[SealedCard, ...], ...] = ()
    number: str = field(default="", repr=False)
    pin: SealedPin | None = None


@dataclass(frozen=True, slots=True)
class SuspendMember(Effect):
    """Suspend a member, or end that; a restored backup changes neither. `MemberSuspended` answers.

    `until`: UTC, None: until somebody resumes them. `why`: `asked`, or `until` when its time was over.
    """

    request: str
    member_id: str
    is_suspended: bool
    at: float
    until: datetime | None = None
    why: str = "asked"


@dataclass(frozen=True, slots=True)
class SaveCard(Effect):
    """Give a member a card; `CredentialsChanged` answers, or `CredentialsRefused`."""

    request: str
    member_id: str
    card: SealedCard
    at: float


@dataclass(frozen=True, slots=True)
class SavePin(Effect):
    """Set a member's PIN in the place of an earlier one; `CredentialsChanged` answers, or `CredentialsRefused`.

    `number`: empty: they keep theirs, or get one that is free.
    """

    request: str
    member_id: str
    number: str
    pin: SealedPin
    at: float


@dataclass(frozen=True, slots=True)
class RemoveCredentials(Effect):
    """Take away all cards of a member, or their PIN; `what`: `cards` or `pin`. A restored backup brings none back.

    `CredentialsChanged` answers, or `CredentialsRefused`.
    """

    request: str
    member_id: str
    what: str
    at: float


@dataclass(frozen=True, slots=True)
class EraseMember(Effect):
    """Erase a member; the ledger keeps the id so that a restored backup is erased again."""

    request: str
    member_id: str
    at: float
    why: str = "asked"


@dataclass(frozen=True, slots=True)
class RecordConsent(Effect):
    """Record a consent and its log entry, durably and before anything else is done; `ConsentRecorded` answers."""

    request: str
    member_id: str
    consent: Consent
    at: float


@dataclass(frozen=True, slots=True)
class WithdrawConsent(Effect):
    """Erase a member's templates and end their consents; the member stays. `why`: `withdrawn` or `expired`.

    The ledger keeps it, so that a restored backup does not bring the templates back. `ConsentWithdrawn` answers.
    """

    request: str
    member_id: str
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class ReadRetention(Effect):
    """Read when members were last seen and until when they consented; `RetentionRead` answers."""

    at: float


@dataclass(frozen=True, slots=True)
class RedeemPass(Effect):
    """Spend a pass durably, unless it is spent or it is `until` (station time) already; `PassRedeemed` answers."""

    pass_id: str
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class RevokePass(Effect):
    """Keep in the ledger that this pass opens nothing any more; `PassRevoked` answers."""

    request: str
    pass_id: str
    at: float


@dataclass(frozen=True, slots=True)
class RunQuery(Effect):
    """Read rows on the reader's thread; `query` is a key of `storage.queries.QUERIES`."""

    request: str
    query: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CollectDiagnostics(Effect):
    """Add to these sections what the machine says, on a worker; `DiagnosticsCollected` answers. No personal data."""

    request: str
    sections: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DescribeVault(Effect):
    """Say which keys the templates have; `VaultDescribed` answers."""

    request: str


@dataclass(frozen=True, slots=True)
class RotateVault(Effect):
    """Seal every template with a fresh key, and leave nothing under the former; `VaultRotated` answers."""

    request: str


# --- the broker ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublishState(Effect):
    """Publish one retained part: `door`, `occupancy`, `appliances/NAME`, `health`. `at`: when it was observed."""

    part: str
    at: float
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PublishReply(Effect):
    """Tell the central server what became of a command. `status`, `code`: of `core.commands`.

    `part` of `parts`, from 1: of an answer that takes several messages; None: this is the whole.
    """

    command: str
    at: float
    status: str
    code: str
    result: Mapping[str, Any]
    part: int | None = None
    parts: int | None = None


@dataclass(frozen=True, slots=True)
class PublishPresence(Effect):
    """Publish `status` and `about` again, as at the beginning of the session."""


@dataclass(frozen=True, slots=True)
class PublishEntries(Effect):
    """Publish entries of the log in order; `EntriesAcknowledged` follows, in one or several."""

    session: str
    entries: tuple[LoggedEntry, ...]


@dataclass(frozen=True, slots=True)
class ReplayEntries(Effect):
    """Publish entries again that the broker has acknowledged before; `EntryReplayed` follows for each.

    They go after all that is new; `request` names whose they are.
    """

    session: str
    request: str
    entries: tuple[LoggedEntry, ...]


@dataclass(frozen=True, slots=True)
class PublishReadings(Effect):
    """Publish minutes of readings when nothing else waits; without a link they are counted as lost.

    `lost`: minutes, and values of minutes, that were dropped before they came so far.
    """

    readings: tuple[MinuteReading, ...]
    lost: int = 0


# --- people elsewhere ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notify(Effect):
    """Send a message to one recipient of the settings by every way that they have; `NotifyDone` answers.

    `request`: a control request (a test), or a name that the rules made. Plain text in the recipient's language, never
    with a person's name, a face, a PIN or a card.
    """

    request: str
    recipient: str
    title: str
    body: str
    is_urgent: bool = False


# --- people and processes that ask -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply(Effect):
    """Answer a control request. `problems` says what is wrong, in the one model (`core.problems`)."""

    request: str
    ok: bool
    result: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Mapping[str, Any], ...] = ()
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class Exit(Effect):
    """End the process with this code, the lock in its safe state and the log written."""

    code: int
    reason: str
