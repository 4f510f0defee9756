"""The whole of what the agent knows, and the settings its rules go by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from agent.core.alarms import Alarm
from agent.core.appliance import Appliance, Profile
from agent.core.assessment import DEFAULT, Criterion, Scale
from agent.core.calls import Call, CallRules
from agent.core.certificates import LinkRules
from agent.core.codes import CodeRules, Codes
from agent.core.commands import Commands
from agent.core.consent import ConsentRules
from agent.core.debounce import Debounced
from agent.core.door import DoorState, DoorTimings, LockKind
from agent.core.enrolment import Enrolment, EnrolmentRules
from agent.core.gallery import Gallery
from agent.core.movement import Challenges
from agent.core.notices import NoticeRules, Notices
from agent.core.occupancy import Occupancy
from agent.core.outbox import START, Limits, Outbox, Position
from agent.core.pass_book import PassBook, PassRules
from agent.core.passback import VisitRules
from agent.core.posted import Board
from agent.core.presence import Presence
from agent.core.problems import Problem
from agent.core.recognition import RecognitionSettings, Track
from agent.core.refusals import Refusals
from agent.core.repairs import Repairs
from agent.core.replaying import Replay
from agent.core.retention import RetentionRules
from agent.core.room import Source
from agent.core.saving import Savings
from agent.core.schedule import Admission, Schedule
from agent.core.sensors import Told
from agent.core.supervision import Supervision
from agent.core.supplies import Supply, SupplyRules
from agent.core.switch_orders import Switches
from agent.core.tally import CounterRules, Tally
from agent.core.verification import Code
from agent.core.welfare import Welfare, WelfareRules
from agent.effects import PutMember
from agent.events import ClockRead, ControlRequested, Member, MinuteReading

_UNREAD: Debounced[bool | None] = Debounced(None, None)


@dataclass(frozen=True, slots=True)
class GallerySettings:
    """See `core.gallery.build_gallery`; `ceiling`: distance between vectors of length 1, None: the engine's own."""

    target_fpir: float = 0.01
    ceiling: float | None = 0.30


@dataclass(frozen=True, slots=True)
class Plate:
    """What screens need to know of the station itself. `labels`: of appliances, by name and language, where given."""

    id: str = ""
    name: str = ""
    timezone: str = "UTC"
    has_contact: bool = True
    has_broker: bool = True
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the installer chose, as the rules need it. Times in seconds; `readings_every_s` None: readings stay here.

    `zone`: the station's, for dates. `sensors`: what is fitted, by its name in faults, with its kind. `room`: what
    tells of the air, by quantity.
    `contacts`: those with a meaning, name → kind.
    `mains_signal`: the contact that is active while there is mains; empty: none is fitted.
    """

    version: str = ""
    plate: Plate = field(default_factory=Plate)
    visit_prefix: str = "visit"
    lock_kind: LockKind = LockKind.FAIL_SECURE
    door: DoorTimings = field(default_factory=DoorTimings)
    contact_debounce_s: float = 0.03
    recognition: RecognitionSettings = field(default_factory=RecognitionSettings)
    gallery: GallerySettings = field(default_factory=GallerySettings)
    appliances: Mapping[str, Profile] = field(default_factory=dict)
    sensors: Mapping[str, str] = field(default_factory=dict)
    room: Mapping[str, Source] = field(default_factory=dict)
    contacts: Mapping[str, str] = field(default_factory=dict)
    outbox: Limits = field(default_factory=Limits)
    readings_every_s: float | None = 300.0
    consent: ConsentRules = field(default_factory=ConsentRules)
    enrolment: EnrolmentRules = field(default_factory=EnrolmentRules)
    retention: RetentionRules = field(default_factory=RetentionRules)
    passes: PassRules = field(default_factory=PassRules)
    codes: CodeRules = field(default_factory=CodeRules)
    visits: VisitRules = field(default_factory=VisitRules)
    supplies: Mapping[str, SupplyRules] = field(default_factory=dict)
    assessment: Mapping[Criterion, Scale] = field(default_factory=lambda: DEFAULT)
    zone: tzinfo = UTC
    calls: CallRules = field(default_factory=CallRules)
    counter: CounterRules = field(default_factory=CounterRules)
    welfare: WelfareRules = field(default_factory=WelfareRules)
    mains_signal: str = ""
    challenge_secret: bytes = field(default=b"", repr=False)
    notices: NoticeRules = field(default_factory=NoticeRules)
    link: LinkRules = field(default_factory=LinkRules)
    has_vision: bool = True
    has_emergency: bool = False
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A control request whose answer needs the disk. `result` is what it will be told, `late` what after `until`.

    `needs_lock`: it is done only if the lock's relay could be driven.
    """

    until: float
    late: Problem
    result: Mapping[str, Any] = field(default_factory=dict)
    needs_lock: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """An erasure, or the withdrawal of a consent, that storage was given and has not answered; the newest of a member.

    It is about who was enrolled before it: storage carries out its orders one after the other.
    """

    request: str
    is_erasure: bool


@dataclass(frozen=True, slots=True)
class Suspension:
    """A suspension, or its end, that storage was given and has not answered; the newest of a member."""

    request: str
    is_suspended: bool
    until: datetime | None = None


@dataclass(frozen=True)
class StationState:
    """Everything, frozen. Times are station time.

    `rests`: member → until when their face alone opens nothing (`admission.is_resting`); `review_at`: when retention is
    looked at next; `clock_offset_s`: UTC less station time at the last look; `was_ordered`: whether the station master
    has ordered a mode of the door since the start; `is_read`: whether storage could be, so that no member is missing.
    `vouched`: the newest look at a clock that counted, at a start that of the newest such entry of the log;
    `puts`: changes of members that were begun and not answered, by request; `held`: suspensions of somebody whom one of
    them is about to take up.
    `contacts`: floats and contacts by name; `appliances_kept_at`: when what was learned of appliances was noted.
    `confirmed`: up to where the central server says that it has the log.
    `savings`: those that were ordered off since nobody is inside.
    `sensors`: what each said last. `notices`: who is told what elsewhere; `board`: the notice on the screens.
    """

    started_at: float
    door: DoorState = field(default_factory=DoorState)
    contact: Debounced[bool | None] = field(default_factory=lambda: _UNREAD)
    signals: Mapping[str, Debounced[bool | None]] = field(default_factory=dict)
    is_emergency_ordered: bool = False
    was_ordered: bool = False
    admission: Admission = Admission.MEMBERS
    clock: ClockRead | None = None
    vouched: ClockRead | None = None
    clock_due_at: float = 0.0
    is_moving: bool = False
    members: Mapping[str, Member] = field(default_factory=dict)
    is_read: bool = True
    gallery: Gallery | None = None
    gallery_request: int = 0
    engine: tuple[str, str] | None = None
    tracks: Mapping[int, Track] = field(default_factory=dict)
    challenges: Challenges = field(default_factory=Challenges)
    code: Code | None = None
    rests: Mapping[str, float] = field(default_factory=dict)
    passes: PassBook = field(default_factory=PassBook)
    codes: Codes = field(default_factory=Codes)
    call: Call | None = None
    call_pressed_at: float | None = None
    occupancy: Occupancy = field(default_factory=Occupancy)
    tally: Tally = field(default_factory=Tally)
    presence: Presence = field(default_factory=Presence)
    welfare: Welfare = field(default_factory=Welfare)
    contacts: Mapping[str, Debounced[bool | None]] = field(default_factory=dict)
    appliances: Mapping[str, Appliance] = field(default_factory=dict)
    appliances_kept_at: float = 0.0
    savings: Savings = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)
    sensors: Mapping[str, Told] = field(default_factory=dict)
    faults: Mapping[tuple[str, str], Problem] = field(default_factory=dict)
    supplies: Mapping[str, Supply] = field(default_factory=dict)
    repairs: Repairs = field(default_factory=dict)
    alarms: Mapping[str, Alarm] = field(default_factory=dict)
    notices: Notices = field(default_factory=Notices)
    board: Board = field(default_factory=Board)
    lock_retry_at: float | None = None
    vision: Supervision = field(default_factory=Supervision)
    outbox: Outbox = field(default_factory=Outbox)
    replay: Replay | None = None
    confirmed: Position = START
    session: str | None = None
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    enrolments: Mapping[str, Enrolment] = field(default_factory=dict)
    removals: Mapping[str, Removal] = field(default_factory=dict)
    commands: Commands = field(default_factory=Commands)
    suspensions: Mapping[str, Suspension] = field(default_factory=dict)
    puts: Mapping[str, PutMember] = field(default_factory=dict)
    held: tuple[ControlRequested, ...] = ()
    refusals: Refusals = field(default_factory=dict)
    subscribers: tuple[str, ...] = ()
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refresh_at: float = 0.0
    readings: tuple[MinuteReading, ...] = ()
    readings_lost: int = 0
    readings_due_at: float | None = None
    review_at: float | None = None
    clock_offset_s: float | None = None
    entries_logged: int = 0
    certificates: Mapping[str, datetime] = field(default_factory=dict)
    is_ending: bool = False

    def changed(self, changes: Mapping[str, Any]) -> StationState:
        """As `dataclasses.replace`, which sets each field by itself, and a turn changes the state some ten times.

        Without slots all are copied at once, in a twentieth of the time. Raises TypeError for a field that is none.
        """
        if unknown := changes.keys() - self.__dict__.keys():
            raise TypeError(f"the state has no {', '.join(sorted(unknown))}")
        new = object.__new__(StationState)
        new.__dict__.update(self.__dict__, **changes)
        return new
