"""The control socket's messages as the agent reads and writes them; see `wire` for how they travel."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, date, datetime
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from agent.control.wire import CARDS_MAX, DIGESTS_MAX, PAGE_ROWS, PHOTO_BYTES_MAX, PHOTOS_MAX
from agent.core.passes import CATEGORIES
from agent.core.problems import Problem, Words, problem
from agent.core.replaying import MAX_ENTRIES as REPLAY_ENTRIES_MAX
from agent.mistakes import fault, problems_of, show

NOTICE_MAX = 200  # characters: some lines on a screen; a state in Home Assistant has 255


class _Message(BaseModel):
    """`nulls`: arguments for which null is something else than to leave them out."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
    nulls: ClassVar[frozenset[str]] = frozenset()


class Request(_Message):
    """A request. `id` is the client's and comes back in every answer."""

    version: Literal[1] = 1
    id: str = Field(min_length=1, max_length=64)
    action: str = Field(min_length=1, max_length=64)
    arguments: dict[str, Any] = Field(default_factory=dict, max_length=20, repr=False)


class Response(_Message):
    """An answer. More follow unless `is_last`. `problems` are those of `core.problems`, as dictionaries."""

    version: Literal[1] = 1
    id: str = Field(max_length=64)
    ok: bool
    result: dict[str, Any] = Field(default_factory=dict)
    problems: list[dict[str, Any]] = Field(default_factory=list)
    is_last: bool = True


# --- arguments -------------------------------------------------------------------------------------------------------


def _photo(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise fault("照片应为 base64 文字", "a photo must be base64 text")
    if len(value) > (PHOTO_BYTES_MAX + 2) // 3 * 4:
        most = PHOTO_BYTES_MAX // 1024 // 1024
        raise fault(f"照片超过 {most} MiB", f"a photo has more than {most} MiB")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise fault("照片不是正确的 base64", "a photo is not valid base64") from None


def _name(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or not value.isprintable()):
        raise fault(
            "姓名不能为空或含不可见字符", "the name must not be blank or hold characters that cannot be printed"
        )
    return value.strip() if isinstance(value, str) else value


def _notice_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.replace("\u3000", " ").strip()  # the space of Chinese type
    if not text or not text.isprintable():
        raise fault(
            "通知不能为空,只能写一行,不含不可见字符",
            "a notice must not be blank; it is one line, without characters that cannot be printed",
        )
    return text


def _time(value: object) -> object:
    if isinstance(value, str):
        try:
            given = datetime.fromisoformat(value)
            has_zone = given.tzinfo is not None and MINYEAR < given.year < MAXYEAR  # or another zone may not have it
        except ValueError:
            has_zone = False
        if not has_zone:
            raise fault("应带时区,例如 2026-11-01T00:00:00Z", "needs its zone, as in 2026-11-01T00:00:00Z")
    return value


def _date(value: object) -> object:
    if isinstance(value, str):
        try:
            is_date = date.fromisoformat(value).isoformat() == value
        except ValueError:
            is_date = False
        if not is_date:
            raise fault("应为日期,例如 2027-06-30", "must be a date, such as 2027-06-30")
    return value


PlaceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
MemberId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
PersonName = Annotated[str, BeforeValidator(_name), Field(max_length=100)]
NoticeText = Annotated[str, BeforeValidator(_notice_text), Field(max_length=NOTICE_MAX)]
Photo = Annotated[bytes, BeforeValidator(_photo), Field(min_length=1, max_length=PHOTO_BYTES_MAX)]
Time = Annotated[str, BeforeValidator(_time), Field(max_length=40)]
CardNumber = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{1,32}$")]
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}$")]
Number = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}$")]
Cursor = Annotated[str, Field(max_length=200)]


class NoArguments(_Message):
    """For actions that need none."""


class ConsentArguments(_Message):
    """What somebody agreed to. `how`: on paper or on screen; `guardian`: how they are related, never a name."""

    version: Annotated[str, Field(max_length=64)]
    language: Literal["zh", "en"]
    how: Literal["paper", "screen"]
    is_under_age: bool = False
    guardian: Literal["father", "mother", "grandparent", "sibling", "other"] | None = None


class ConsentTextArguments(_Message):
    """In which language."""

    language: Literal["zh", "en"] = "zh"


class EnrolArguments(_Message):
    """Photos or the camera. `photos`: the bytes of JPEG or PNG files, in base64 on the wire.

    `again`: the member exists and enrols once more; without it an id that is taken is refused.
    """

    id: MemberId
    name: Annotated[str, BeforeValidator(_name), Field(max_length=100, repr=False)]
    photos: Annotated[list[Photo], Field(default_factory=list, min_length=1, max_length=PHOTOS_MAX, repr=False)]
    camera: bool = False
    again: bool = False
    consent: ConsentArguments | None = None


class AddMemberArguments(_Message):
    """Somebody who comes in by other ways than their face."""

    id: MemberId
    name: PersonName = Field(repr=False)
    needs_longer: bool = False


def _categories(value: list[int]) -> list[int]:
    if len(set(value)) < len(value):
        raise fault("同一类别出现两次", "a category stands there twice")
    return value


def _no_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


_ABSENT: Any = None  # the default of what may be left out and is never null
Category = Annotated[int, Field(ge=CATEGORIES[0], le=CATEGORIES[-1])]
Categories = Annotated[list[Category], AfterValidator(_categories), Field(max_length=len(CATEGORIES))]


class _ParticularsArguments(_Message):
    """What is to be changed of a member; what is not given stays. Null for a limit removes it."""

    nulls: ClassVar[frozenset[str]] = frozenset({"valid_from", "valid_until"})

    id: MemberId
    needs_longer: bool = Field(default=_ABSENT, json_schema_extra=_no_default)
    valid_from: Time | None = Field(default=None, json_schema_extra=_no_default)
    valid_until: Time | None = Field(default=None, json_schema_extra=_no_default)
    categories: Categories = Field(default=_ABSENT, json_schema_extra=_no_default)


class ChangeMemberArguments(_ParticularsArguments):
    """What the master changes of a member; what is not given stays. Null for a limit removes it."""

    name: PersonName = Field(default=_ABSENT, json_schema_extra=_no_default, repr=False)


class PutMemberArguments(_ParticularsArguments):
    """What the central server says of a member, never with a name; what is not given stays. Null removes it.

    `cards` takes the place of all that they have. `number`: what they type before the PIN; without one they keep
    theirs, or get one.
    """

    nulls: ClassVar[frozenset[str]] = frozenset({"valid_from", "valid_until", "pin"})

    cards: list[CardNumber] = Field(default=_ABSENT, max_length=CARDS_MAX, json_schema_extra=_no_default, repr=False)
    pin: Digits | None = Field(default=None, json_schema_extra=_no_default, repr=False)
    number: Number = Field(default=_ABSENT, json_schema_extra=_no_default, repr=False)

    @model_validator(mode="after")
    def _check_number(self) -> Self:
        if "number" in self.model_fields_set and self.pin is None:
            raise fault("编号要和密码一起给出", "a number needs its PIN beside it")
        return self


class DigestArguments(_Message):
    """A page of the roster's digests by id, after `after`."""

    after: MemberId | Literal[""] = ""
    limit: int = Field(default=DIGESTS_MAX, ge=1, le=DIGESTS_MAX)


class SuspendArguments(_Message):
    """Whom to keep out; `until` is not included, and without it they are kept out until they are resumed."""

    id: MemberId
    until: Time | None = None


class ResumeArguments(_Message):
    """Whom to let in again."""

    id: MemberId


class PresentCodeArguments(_Message):
    """Whom the face at the door must be."""

    member_id: MemberId


class AuditArguments(_Message):
    """How many strangers look at the camera on a day."""

    strangers_a_day: float = Field(default=20.0, ge=0, le=100_000)


class AlarmArguments(_Message):
    """Which alarm somebody has seen."""

    alarm: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,31}$")]


class ApplianceArguments(_Message):
    """Which appliance."""

    appliance: PlaceName


class SwitchArguments(_Message):
    """Which appliance is to be on or off."""

    appliance: PlaceName
    on: bool


class NoticeArguments(_Message):
    """What the screens show in each language, and until when; without `until` until it is taken down.

    Printable characters on one line. Everybody at the station and at the broker reads it: no names, no numbers.
    """

    zh: NoticeText
    en: NoticeText
    until: Time | None = None
    level: Literal["info", "warning"] = "info"


class FaultArguments(_Message):
    """Which fault (`CODE@PLACE`), and how far its repair is."""

    fault: Annotated[str, Field(min_length=3, max_length=300)]
    stage: Literal["seen", "in_repair", "put_right", "checked"]


class ReportArguments(_Message):
    """What is wrong where: an appliance, a supply or a part of the room by its name, never a person."""

    where: PlaceName
    what: Literal["broken", "dirty", "missing", "other"]


class SupplyArguments(_Message):
    """How many of what somebody takes or brings back. `member_id`: who, where it is lent."""

    supply: PlaceName
    quantity: int = Field(default=1, ge=1, le=1000)
    member_id: MemberId | None = None


class SupplyCheckArguments(_Message):
    """How many there are, counted, and the earliest best-before date (`2027-06-30`) where they have one."""

    supply: PlaceName
    quantity: int = Field(ge=0, le=100_000)
    best_before: Annotated[str, BeforeValidator(_date), Field(max_length=10)] | None = None


class RecipientArguments(_Message):
    """Who gets the test message, by their name in the settings."""

    recipient: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class MonthArguments(_Message):
    """One part of what the report of a month is made of; the rest is for its pages (`agent.core.figures`)."""

    month: Annotated[str, StringConstraints(pattern=r"^(19|20|21)\d{2}-(0[1-9]|1[0-2])$")]
    part: Literal["setup", "span", "log", "energy"]
    epoch: int | None = Field(default=None, ge=0, lt=2**53)
    after: int | None = Field(default=None, ge=0, lt=2**53)
    since: Time | None = None
    until: Time | None = None


class ConfirmArguments(_Message):
    """Up to and including which entry the server has the log, and the hash of that entry."""

    epoch: int = Field(ge=1, lt=2**31)
    sequence: int = Field(ge=1, lt=2**53)
    hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ReplayArguments(_Message):
    """Which entries of the log to publish again, both ends included."""

    epoch: int = Field(ge=1, lt=2**31)
    first: int = Field(ge=1, lt=2**53)
    last: int = Field(ge=1, lt=2**53)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.last < self.first:
            raise fault("last 不能小于 first", "last must not be less than first")
        if self.last - self.first >= REPLAY_ENTRIES_MAX:
            most = REPLAY_ENTRIES_MAX
            raise fault(f"一次最多补发 {most} 条", f"at most {most} entries can be asked for at one time")
        return self


class RevokePassArguments(_Message):
    """Which pass opens nothing any more."""

    pass_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class EraseArguments(_Message):
    """Whom to erase."""

    id: MemberId


class CardArguments(_Message):
    """Whose card, and its number, or that it is to be read at the door."""

    id: MemberId
    number: CardNumber | None = Field(default=None, repr=False)
    read: bool = False


class PinArguments(_Message):
    """Whose PIN. `number`: what they type before it; without one they keep theirs, or get one."""

    id: MemberId
    pin: Digits = Field(repr=False)
    duress: Digits | None = Field(default=None, repr=False)
    number: Number | None = None


class CredentialsArguments(_Message):
    """Whose cards or PIN."""

    id: MemberId


class WithdrawArguments(_Message):
    """Whose face to erase."""

    id: MemberId


class DataArguments(_Message):
    """One part of what is stored about a person; visits and the log page by page, after the last row seen."""

    id: MemberId
    part: Literal["member", "consents", "templates", "credentials", "visits", "log"]
    after_entered_at: Cursor = ""
    after_id: Cursor = ""
    epoch: int = Field(default=0, ge=0, lt=2**53)
    after: int = Field(default=0, ge=0, lt=2**53)


class MembersArguments(_Message):
    """A page of members by id, after `after_id`."""

    after_id: Cursor = ""
    limit: int = Field(default=PAGE_ROWS, ge=1, le=PAGE_ROWS)


class VisitsArguments(_Message):
    """The newest visits that began in the period; `since` is included, `until` is not."""

    since: Time | None = None
    until: Time | None = None
    limit: int = Field(default=100, ge=1, le=PAGE_ROWS)


class VisitsPageArguments(_Message):
    """Visits oldest first; `after_entered_at` and `after_id` are those of the last row seen."""

    since: Time | None = None
    until: Time | None = None
    after_entered_at: Cursor = ""
    after_id: Cursor = ""
    limit: int = Field(default=PAGE_ROWS, ge=1, le=PAGE_ROWS)


ARGUMENTS: Mapping[str, type[_Message]] = MappingProxyType(
    {
        "status": NoArguments,
        "subscribe": NoArguments,
        "door.unlock": NoArguments,
        "door.answer": NoArguments,
        "door.hold_open": NoArguments,
        "door.block": NoArguments,
        "door.emergency": NoArguments,
        "door.emergency_over": NoArguments,
        "door.lock_down": NoArguments,
        "door.resume": NoArguments,
        "access.present_code": PresentCodeArguments,
        "alarms.acknowledge": AlarmArguments,
        "appliances.replaced": ApplianceArguments,
        "appliances.switch": SwitchArguments,
        "alarms.list": NoArguments,
        "faults.list": NoArguments,
        "faults.report": ReportArguments,
        "faults.update": FaultArguments,
        "faces.audit": AuditArguments,
        "consent.show": ConsentTextArguments,
        "log.confirm": ConfirmArguments,
        "log.replay": ReplayArguments,
        "diagnostics.collect": NoArguments,
        "members.add": AddMemberArguments,
        "members.card": CardArguments,
        "members.data": DataArguments,
        "members.enrol": EnrolArguments,
        "members.erase": EraseArguments,
        "members.list": MembersArguments,
        "members.pin": PinArguments,
        "members.put": ChangeMemberArguments,
        "members.resume": ResumeArguments,
        "members.suspend": SuspendArguments,
        "members.uncard": CredentialsArguments,
        "members.unpin": CredentialsArguments,
        "members.withdraw": WithdrawArguments,
        "report.month": MonthArguments,
        "roster.digest": DigestArguments,
        "roster.put": PutMemberArguments,
        "sensors.read": NoArguments,
        "supplies.check": SupplyCheckArguments,
        "supplies.list": NoArguments,
        "supplies.return": SupplyArguments,
        "supplies.take": SupplyArguments,
        "notice.clear": NoArguments,
        "notice.put": NoticeArguments,
        "notify.list": NoArguments,
        "notify.test": RecipientArguments,
        "vault.rotate": NoArguments,
        "vault.status": NoArguments,
        "passes.revoke": RevokePassArguments,
        "visits.list": VisitsArguments,
        "visits.page": VisitsPageArguments,
    }
)
"""The actions there are; which role may ask for which is for `core.requests` to say."""


class RequestError(Exception):
    """A request cannot be understood. `id` is the client's, or empty when that could not be read either."""

    def __init__(self, problems: list[Problem], identifier: str = "") -> None:
        super().__init__("; ".join(each.text.en for each in problems))
        self.problems = problems
        self.id = identifier


def decode_request(line: bytes) -> Request:
    """Read one line. Raises `RequestError`."""
    try:
        return Request.model_validate_json(line)
    except ValidationError as error:
        raise RequestError([_invalid(each) for each in problems_of(error, Request, None)]) from None


def decode_arguments(request: Request) -> dict[str, Any]:
    """The arguments as plain values: photos as a tuple of bytes, what was not given left out. Raises `RequestError`."""
    model = ARGUMENTS.get(request.action)
    if model is None:
        raise RequestError([problem("request.unknown", "action", show(request.action))], request.id)
    try:
        given = model.model_validate(request.arguments)
    except ValidationError as error:
        raise RequestError([_invalid(each) for each in problems_of(error, model, None)], request.id) from None
    nulls = given.model_fields_set & model.nulls
    arguments = {key: value for key, value in given if value is not None or key in nulls}
    if "photos" in arguments:
        arguments["photos"] = tuple(arguments["photos"])
    if "consent" in arguments:
        arguments["consent"] = arguments["consent"].model_dump()
    return arguments


def _invalid(found: Problem) -> Problem:
    """What is wrong with an argument, in the words for requests instead of those for settings; no value is repeated."""
    where = show(found.where)[1:-1]
    if found.code == "settings.missing":
        return problem("request.invalid", where, Words(f"缺少 {where}", f"{where} is missing"))
    if found.code == "settings.unknown_key":
        return problem("request.invalid", where, Words(f"没有参数 {where}", f"there is no argument {where}"))
    zh, en = found.text.zh.partition(":")[2], found.text.en.partition(": ")[2]
    place = where or "JSON"
    return problem("request.invalid", place, Words(f"{place} {zh}", f"{place} {en}"))


def encode(message: Request | Response) -> bytes:
    """One line, with its end. Raises `ValueError` when it holds what JSON cannot say."""
    return message.model_dump_json().encode() + b"\n"
