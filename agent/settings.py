"""The settings: one TOML file, one frozen tree of models, and every mistake in it named at once.

The models are the truth about names, defaults and bounds; `config/station.toml` documents them and a test holds the two
together. Mistakes come out as `Problem`s in plain words: pydantic finds them, this module says them.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from agent.contradictions import contradictions
from agent.core.assessment import DEFAULT, Criterion, Scale, is_ordered
from agent.core.notices import URGENT
from agent.core.problems import Problem, Words, problem
from agent.core.spoken import system_words
from agent.door_settings import (
    BoltSettings,
    CallButtonSettings,
    CodesSettings,
    ContactSettings,
    CounterSettings,
    DoorSettings,
    EmergencySettings,
    ExitButtonSettings,
    FireSettings,
    HardwareSettings,
    IndicatorSettings,
    LockSettings,
    MotionSettings,
    PassesSettings,
    ReaderSettings,
    ScheduleSettings,
    TamperSettings,
    VisitsSettings,
)
from agent.face_settings import (
    CameraSettings,
    ConsentSettings,
    EnrolmentSettings,
    LivenessSettings,
    RecognitionSettings,
    RetentionSettings,
    VaultSettings,
    VisionSettings,
)
from agent.link_settings import CommandsSettings, ControlSettings, MqttSettings
from agent.mistakes import dotted, fault, place_of, problems_of
from agent.notice_settings import AlarmName, FaultPatternText, QuietHours
from agent.paths import DEFAULT_STATE
from agent.sensor_settings import (
    ApplianceSettings,
    NamedContactSettings,
    PlugsSettings,
    RoomSettings,
    SensorSettings,
    SerialSettings,
)
from agent.settings_fields import FilePath, Name, Table, Text


class SettingsError(Exception):
    """The settings cannot be used. `problems`: every mistake, each with its dotted path in `where`.

    `rest`: the settings with what is wrong at its default, to look at further; None where nothing can be made of them.
    """

    def __init__(self, problems: tuple[Problem, ...], rest: Settings | None = None) -> None:
        super().__init__("; ".join(f"{each.where}: {each.text.en}" for each in problems))
        self.problems = problems
        self.rest = rest


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError):
        raise fault(
            f"没有时区“{value}”,例如 Asia/Shanghai", f'there is no time zone "{value}"; e.g. Asia/Shanghai'
        ) from None
    return value


Limit = Annotated[float, Field(ge=0, le=10_000)]
StarLimits = Annotated[tuple[Limit, Limit, Limit, Limit], Field(strict=False)]
Weight = Annotated[float, Field(ge=0, le=10)]


class StationSettings(Table):
    """Who and where the station is: what the service board shows."""

    id: str = Field(pattern=r"^[a-z0-9-]+$", min_length=1, max_length=64)
    name: Text = ""
    address: Text = ""
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    opening_hours: Text = ""
    equipment: Annotated[tuple[Text, ...], Field(strict=False, max_length=50)] = ()
    hotline: Text = ""
    master_name: Text = Field(default="", repr=False)
    master_phone: Text = Field(default="", repr=False)
    is_master_public: bool = False


class StateSettings(Table):
    """Where the database, the head file and the ledger live."""

    directory: FilePath = DEFAULT_STATE


class SupplySettings(Table):
    """One supply that is counted on a round; the table's name is its name on the wire."""

    label_zh: Text = ""
    label_en: Text = ""
    minimum: int = Field(default=1, ge=0, le=10_000)
    check_every_days: float = Field(default=7.0, ge=0.5, le=400)
    warning_days: int = Field(default=30, ge=0, le=400)
    lent_hours: float | None = Field(default=None, gt=0, le=8760)


class RecipientSettings(Table):
    """One recipient of notifications; the table's name is theirs in the log. `urls`: names in `notify.urls_file`."""

    urls: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=8)]
    language: Literal["zh", "en"] = "zh"
    alarms: Annotated[tuple[AlarmName, ...], Field(strict=False, max_length=50)] = ("all",)
    faults: Annotated[tuple[FaultPatternText, ...], Field(strict=False, max_length=50)] = ("all:error",)
    quiet_hours: QuietHours | None = None
    urgent: Annotated[tuple[AlarmName, ...], Field(strict=False, max_length=50)] = URGENT
    repeat_minutes: float = Field(default=15.0, ge=0, le=1440)
    repeats: int = Field(default=8, ge=0, le=100)
    per_hour: int = Field(default=12, ge=1, le=60)


class NotifySettings(Table):
    """Who is told of alarms and faults. `urls_file` not set: `notify.urls` in `state.directory`."""

    urls_file: FilePath | None = None
    recipients: Mapping[Name, RecipientSettings] = Field(default_factory=dict, max_length=16)


class WelfareSettings(Table):
    """When somebody should look after whoever is inside."""

    still_min: float = Field(default=45.0, ge=10, le=1440)
    stay_h: float = Field(default=2.0, ge=0.5, le=168)
    stay_times: float = Field(default=4.0, ge=1, le=100)
    quiet_min: float = Field(default=60.0, ge=5, le=1440)


class AssessmentSettings(Table):
    """The limits of five, four, three and two stars, and how much each counts. See `core.assessment`."""

    availability_percent: StarLimits = DEFAULT[Criterion.AVAILABILITY].limits
    availability_weight: Weight = DEFAULT[Criterion.AVAILABILITY].weight
    repair_h: StarLimits = DEFAULT[Criterion.REPAIR].limits
    repair_weight: Weight = DEFAULT[Criterion.REPAIR].weight
    supplies_percent: StarLimits = DEFAULT[Criterion.SUPPLIES].limits
    supplies_weight: Weight = DEFAULT[Criterion.SUPPLIES].weight
    rounds_percent: StarLimits = DEFAULT[Criterion.ROUNDS].limits
    rounds_weight: Weight = DEFAULT[Criterion.ROUNDS].weight
    alarms_h: StarLimits = DEFAULT[Criterion.ALARMS].limits
    alarms_weight: Weight = DEFAULT[Criterion.ALARMS].weight

    @field_validator(*Criterion)
    @classmethod
    def _in_order(cls, value: StarLimits, info: ValidationInfo) -> StarLimits:
        if is_ordered(Criterion(str(info.field_name)), value):
            return value
        raise fault(
            "应从五星到二星逐级放宽", "must go from five stars to two, each easier to reach than the one before"
        )

    def scale(self, criterion: Criterion) -> Scale:
        """One row of the table."""
        name = criterion.value.partition("_")[0]
        return Scale(getattr(self, criterion.value), getattr(self, f"{name}_weight"))


class ReadingsSettings(Table):
    """Sensor values by the minute. `commit_minutes`: how often they are written."""

    commit_minutes: int = Field(default=15, ge=10, le=15)
    keep_days: int = Field(default=90, ge=1, le=3650)
    publish: bool = True
    publish_interval_s: int = Field(default=300, ge=60, le=86_400)


class LogSettings(Table):
    """The log. The contract with the central server promises 30 days.

    `prune_after`: whose word lets an old entry go, the broker's or the central server's (`log.confirm`).
    """

    keep_days: int = Field(default=365, ge=30, le=3650)
    prune_after: Literal["acknowledged", "confirmed"] = "acknowledged"


class Settings(Table):
    """Everything that `config/station.toml` documents."""

    station: StationSettings
    state: StateSettings = StateSettings()
    vault: VaultSettings = VaultSettings()
    consent: ConsentSettings = ConsentSettings()
    enrolment: EnrolmentSettings = EnrolmentSettings()
    retention: RetentionSettings = RetentionSettings()
    hardware: HardwareSettings = HardwareSettings()
    lock: LockSettings = LockSettings()
    door: DoorSettings = DoorSettings()
    contact: ContactSettings = ContactSettings()
    exit_button: ExitButtonSettings = ExitButtonSettings()
    call_button: CallButtonSettings = CallButtonSettings()
    fire: FireSettings = FireSettings()
    emergency: EmergencySettings = EmergencySettings()
    tamper: TamperSettings = TamperSettings()
    bolt: BoltSettings = BoltSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    motion: MotionSettings = MotionSettings()
    counter: CounterSettings = CounterSettings()
    indicator: IndicatorSettings = IndicatorSettings()
    camera: CameraSettings = CameraSettings()
    vision: VisionSettings = VisionSettings()
    recognition: RecognitionSettings = RecognitionSettings()
    passes: PassesSettings = PassesSettings()
    codes: CodesSettings = CodesSettings()
    visits: VisitsSettings = VisitsSettings()
    readers: Mapping[Name, ReaderSettings] = Field(default_factory=dict, max_length=8)
    liveness: LivenessSettings = LivenessSettings()
    mqtt: MqttSettings = MqttSettings()
    commands: CommandsSettings = CommandsSettings()
    control: ControlSettings = ControlSettings()
    serial: Mapping[Name, SerialSettings] = Field(default_factory=dict, max_length=8)
    plugs: PlugsSettings = PlugsSettings()
    sensors: Mapping[Name, SensorSettings] = Field(default_factory=dict, max_length=50)
    contacts: Mapping[Name, NamedContactSettings] = Field(default_factory=dict, max_length=30)
    appliances: Mapping[Name, ApplianceSettings] = Field(default_factory=dict, max_length=50)
    room: RoomSettings = RoomSettings()
    welfare: WelfareSettings = WelfareSettings()
    supplies: Mapping[Name, SupplySettings] = Field(default_factory=dict, max_length=50)
    notify: NotifySettings = NotifySettings()
    assessment: AssessmentSettings = AssessmentSettings()
    readings: ReadingsSettings = ReadingsSettings()
    log: LogSettings = LogSettings()

    @property
    def key_file(self) -> Path:
        """Where the keys of the templates are, unless systemd gives them."""
        return self.vault.key_file or self.state.directory / "template.keys"

    @property
    def credential_key_file(self) -> Path:
        """Where the key of cards and PINs is, unless systemd gives it."""
        return self.codes.key_file or self.state.directory / "credential.keys"

    @property
    def notify_urls_file(self) -> Path:
        """Where the URLs of notifications are, unless systemd gives them."""
        return self.notify.urls_file or self.state.directory / "notify.urls"

    @property
    def models_folder(self) -> Path:
        """Where networks that an operator installed lie: `vision.models`, else beside the state."""
        return self.vision.models or self.state.directory / "models"

    @property
    def distance_ceiling(self) -> float | None:
        """`recognition.max_distance` where it means anything: its default is dlib's, another engine has its own."""
        chosen = self.recognition
        is_meant = self.vision.engine == "dlib" or "max_distance" in chosen.model_fields_set
        return chosen.max_distance if is_meant else None


# --- loading ---------------------------------------------------------------------------------------------------------

_SIZE_MAX = 1_000_000  # bytes; a real file has some thousands, and a wrong path may name a video
_PRIVATE = frozenset({"station.master_name", "station.master_phone"})  # problems never repeat what is about a person


def load_settings(path: Path) -> Settings:
    """Read and check the whole file; relative paths in it count from its folder.

    Raises `SettingsError` with every mistake.
    Reads this one file and nothing else: whether the files and devices it names are there is not asked here, because
    the door must also work without them.
    """
    return settings_from(parse(path, read(path)), path.parent)


def settings_from(data: Mapping[str, Any], base: Path) -> Settings:
    """Check what was read from TOML; relative paths count from `base`. Raises `SettingsError`."""
    try:
        settings = Settings.model_validate(data, context={"base": base})
    except ValidationError as error:
        wrong = frozenset(dotted(place_of(each)) for each in error.errors(include_url=False))
        found = problems_of(error, Settings, _PRIVATE)
        rest = _without_mistakes(data, error, base)
        if rest is not None:
            found += contradictions(rest, wrong)
        raise SettingsError(tuple(found), rest) from None
    if found := contradictions(settings, frozenset()):
        raise SettingsError(tuple(found), settings)
    return settings


def read(path: Path, *, errors: Literal["strict", "replace"] = "strict") -> str:
    """The text of a settings file; `errors`: what to do with bytes that are not UTF-8. Raises `SettingsError`."""
    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_MAX + 1)
    except OSError as error:
        why = system_words(error)
        raise _unreadable(path, Words(f"{path}:{why.zh}", f"{path}: {why.en}")) from None
    if len(data) > _SIZE_MAX:
        raise _unreadable(
            path,
            Words(
                f"{path} 超过 {_SIZE_MAX} 字节,不像配置文件",
                f"{path} has more than {_SIZE_MAX} bytes: not a settings file",
            ),
        )
    try:
        return data.decode("utf-8-sig", errors)  # editors on Windows put a mark in front
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _unreadable(
            path,
            Words(f"{path} 第 {line} 行不是 UTF-8 编码", f"{path}, line {line}: not UTF-8; save the file as UTF-8"),
        ) from None


def parse(path: Path, text: str) -> dict[str, Any]:
    """The tables in it; `path` is for the message. Raises `SettingsError`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(path, _syntax(path, text, str(error))) from None
    except RecursionError:
        raise _unreadable(path, Words(f"{path} 嵌套太深", f"{path} is nested too deeply")) from None


def _syntax(path: Path, text: str, message: str) -> Words:
    place = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    line, column = (int(place[1]), int(place[2])) if place else (text.count("\n") + 1, 1)
    what = message[: place.start()] if place else message.removesuffix(" (at end of document)")
    return Words(
        f"{path} 第 {line} 行第 {column} 列有 TOML 语法错误({what})",
        f"{path}, line {line}, column {column}: not TOML ({what})",
    )


def _unreadable(path: Path, detail: str | Words) -> SettingsError:
    return SettingsError((problem("settings.unreadable", str(path), detail),))


# Kinds that may be taken as `other` to see what else their tables name: sensors and contacts that there are not.
_STAND_INS = frozenset({("appliances", "kind"), ("contacts", "kind")})


def _without_mistakes(data: Mapping[str, Any], error: ValidationError, base: Path) -> Settings | None:
    """Settings with every wrong value at its default, so that contradictions among the right ones are found as well."""
    pruned = copy.deepcopy(dict(data))
    for _ in range(3):  # taking a value out may make another one missing, which takes its table out
        for each in error.errors(include_url=False):
            place = place_of(each)
            if each["type"] == "missing" and (place[0], place[-1]) in _STAND_INS:
                pruned[str(place[0])][place[1]][place[-1]] = "other"
                continue
            if each["type"] == "missing" and place[0] != "station":
                place = place[:-1]
            _take_out(pruned, place)
        station = pruned.get("station")
        pruned["station"] = {"id": "unknown", **(station if isinstance(station, dict) else {})}
        try:
            return Settings.model_validate(pruned, context={"base": base})
        except ValidationError as left:
            error = left
    return None


def _take_out(data: Any, place: Sequence[str | int]) -> None:
    for step in place[:-1]:
        if isinstance(step, int) or not isinstance(data, dict) or isinstance(data.get(step), list):
            break
        data = data.get(step)
    else:
        step = place[-1]
    if isinstance(data, dict):
        data.pop(step, None)
