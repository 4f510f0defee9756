"""The settings: one TOML file, one frozen tree of models, and every mistake in it named at once.

The models are the truth about names, defaults and bounds; `config/station.toml` documents them and a test holds the two
together. Mistakes come out as `Problem`s in plain words: pydantic finds them, this module says them.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from agent.contradictions import contradictions
from agent.core.assessment import DEFAULT, Criterion, Scale, is_ordered
from agent.core.notices import URGENT
from agent.core.problems import Problem, Words, problem
from agent.mistakes import dotted, fault, place_of, problems_of
from agent.notice_settings import AlarmName, FaultPatternText, QuietHours
from agent.opening_hours import EXCEPTIONS_MAX, AdmissionWord, Dates, Hours
from agent.paths import DEFAULT_SOCKET, DEFAULT_STATE
from agent.sensor_settings import (
    ApplianceSettings,
    NamedContactSettings,
    PlugsSettings,
    RoomSettings,
    SensorSettings,
    SerialSettings,
)
from agent.settings_fields import FilePath, Level, Name, Pin, Table, Text, in_base

SOCKET_PATH_MAX = 107  # bytes in sockaddr_un.sun_path without its NUL (unix(7))


class SettingsError(Exception):
    """The settings cannot be used. `problems`: every mistake, each with its dotted path in `where`.

    `rest`: the settings with what is wrong at its default, to look at further; None where nothing can be made of them.
    """

    def __init__(self, problems: tuple[Problem, ...], rest: Settings | None = None) -> None:
        super().__init__("; ".join(f"{each.where}: {each.text.en}" for each in problems))
        self.problems = problems
        self.rest = rest


def _source(value: str, info: ValidationInfo) -> str:
    return value if value == "simulated" else str(in_base(Path(value), info))


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError):
        raise fault(
            f"没有时区“{value}”,例如 Asia/Shanghai", f'there is no time zone "{value}"; e.g. Asia/Shanghai'
        ) from None
    return value


def _prefix(value: str) -> str:
    if not re.fullmatch(r"[^+#$/\x00-\x1f\s][^+#/\x00-\x1f\s]*(/[^+#/\x00-\x1f\s]+)*", value):
        raise fault(
            "不能为空,不能含空格、+、#,不能以 / 或 $ 开头,也不能以 / 结尾",
            "must not be empty, hold spaces, + or #, begin with / or $, or end with /",
        )
    return value


def _socket(value: Path, info: ValidationInfo) -> Path:
    path = in_base(value, info)
    if (length := len(bytes(path))) > SOCKET_PATH_MAX:
        raise fault(
            f"路径太长:{length} 字节,最多 {SOCKET_PATH_MAX} 字节",
            f"the path is too long: {length} bytes, at most {SOCKET_PATH_MAX}",
        )
    return path


def _key_id(value: str) -> str:
    from agent.core.passes import KEY_IDS

    if value not in {str(each) for each in KEY_IDS}:
        raise fault(
            f"应为 {KEY_IDS[0]} 到 {KEY_IDS[-1]} 的整数", f"must be a whole number from {KEY_IDS[0]} to {KEY_IDS[-1]}"
        )
    return value


def _public_key(value: str) -> str:
    from agent.signatures import public_key

    try:
        public_key(value)
    except ValueError:
        raise fault(
            "不是通行码公钥;请原样使用 station passes keygen 输出的那一行",
            "is no public key of passes: copy the line that `station passes keygen` prints",
        ) from None
    return value


Role = Literal["viewer", "master", "administrator"]
Limit = Annotated[float, Field(ge=0, le=10_000)]
StarLimits = Annotated[tuple[Limit, Limit, Limit, Limit], Field(strict=False)]
Weight = Annotated[float, Field(ge=0, le=10)]
KeyId = Annotated[str, AfterValidator(_key_id)]
PublicKey = Annotated[str, AfterValidator(_public_key)]
KeyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


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


class ConsentSettings(Table):
    """What people consent to. The texts are `VERSION.zh.md` and `VERSION.en.md` in `folder`."""

    version: str = Field(default="2026-11", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    folder: FilePath | None = None
    valid_days: int = Field(default=365, ge=1, le=1095)
    under_age: int = Field(default=14, ge=14, le=18)


class EnrolmentSettings(Table):
    """How many good frames that differ a template needs."""

    min_frames: int = Field(default=3, ge=1, le=6)


class RetentionSettings(Table):
    """How long people stay who no longer come, and how early the end of a consent is told."""

    unseen_days: int = Field(default=365, ge=1, le=1095)
    consent_warning_days: int = Field(default=30, ge=1, le=365)


class VaultSettings(Table):
    """The keys that templates are encrypted with. Not set: `template.keys` in `state.directory`."""

    key_file: FilePath | None = None


class HardwareSettings(Table):
    """Real pins or simulated twins."""

    simulated: bool = False
    gpio_chip: str = Field(default="/dev/gpiochip0", pattern=r"^/dev/gpiochip[0-9]{1,3}$")


class LockSettings(Table):
    """The lock's relay. `kind`: what the lock does without current."""

    kind: Literal["fail_secure", "fail_safe"] = "fail_secure"
    pin: Pin | None = None
    active_high: bool = True


class DoorSettings(Table):
    """The door's times."""

    unlock_s: float = Field(default=5.0, ge=1, le=60)
    open_alarm_s: float = Field(default=30.0, ge=5, le=3600)
    open_warning_s: float = Field(default=10.0, ge=0, le=600)
    extended_unlock_s: float = Field(default=15.0, ge=1, le=120)
    extended_open_alarm_s: float = Field(default=60.0, ge=5, le=3600)
    relock_delay_s: float = Field(default=0.0, ge=0, le=10)
    relock_grace_ms: int = Field(default=250, ge=0, le=2000)
    contact_debounce_ms: int = Field(default=30, ge=0, le=500)


class ContactSettings(Table):
    """The door contact."""

    fitted: bool = True
    pin: Pin | None = None
    closed_when: Level = "low"


class ButtonSettings(Table):
    """A push button."""

    fitted: bool = False
    pin: Pin | None = None
    pressed_when: Level = "low"


class ExitButtonSettings(ButtonSettings):
    """The exit button's second contact (the first is wired to the lock itself)."""

    fitted: bool = True


class CallButtonSettings(ButtonSettings):
    """The button at the door that calls the station master."""

    waits_s: float = Field(default=300.0, ge=30, le=3600)


class FireSettings(Table):
    """The fire alarm system's contact: it releases the door."""

    fitted: bool = False
    pin: Pin | None = None
    fire_when: Level = "high"


class EmergencySettings(Table):
    """The break glass at the door, and the master's emergency order: off unless the station wants them."""

    enabled: bool = False
    pin: Pin | None = None
    broken_when: Level = "high"


class TamperSettings(Table):
    """The contact of the housing's lid."""

    fitted: bool = False
    pin: Pin | None = None
    opened_when: Level = "high"


class BoltSettings(Table):
    """The monitor of the lock's bolt."""

    fitted: bool = False
    pin: Pin | None = None
    secured_when: Level = "low"
    move_s: float = Field(default=2.0, ge=0.2, le=30)


class ScheduleSettings(Table):
    """Who comes in when, in the station's time zone. A weekday that is not set has the hours of `every_day`."""

    otherwise: AdmissionWord = "members"
    untrusted_clock: Literal["open", "members", "two_factors", "closed", "schedule"] = "members"
    every_day: Hours = ()
    monday: Hours | None = None
    tuesday: Hours | None = None
    wednesday: Hours | None = None
    thursday: Hours | None = None
    friday: Hours | None = None
    saturday: Hours | None = None
    sunday: Hours | None = None
    exceptions: Mapping[Dates, Hours] = Field(default_factory=dict, max_length=EXCEPTIONS_MAX)


class MotionSettings(Table):
    """The motion sensor inside."""

    fitted: bool = False
    pin: Pin | None = None
    moving_when: Level = "high"


class CounterSettings(Table):
    """A pair of light barriers that counts the people who pass the door; the outer one is nearer to the street."""

    fitted: bool = False
    outer_pin: Pin | None = None
    inner_pin: Pin | None = None
    interrupted_when: Level = "high"


class IndicatorSettings(Table):
    """Lights and the buzzer at the door; a pin that is not set is not fitted."""

    light_pin: Pin | None = None
    buzzer_pin: Pin | None = None
    active_high: bool = True


class CameraSettings(Table):
    """Where pictures come from."""

    source: Annotated[str, Field(min_length=1), AfterValidator(_source)] = "/dev/video0"
    width: int = Field(default=640, ge=160, le=3840)
    height: int = Field(default=480, ge=120, le=2160)
    fps: int = Field(default=10, ge=1, le=60)
    mirrored: bool = False


class VisionSettings(Table):
    """Finding faces."""

    enabled: bool = True
    detector: Literal["auto", "hog", "yunet"] = "auto"
    engine: Literal["dlib", "sface"] = "dlib"
    models: FilePath | None = None
    min_score: float | None = Field(default=None, ge=0, le=5)
    face_min_width_px: int = Field(default=80, ge=40, le=1000)


class RecognitionSettings(Table):
    """Telling who it is; distances are Euclidean between vectors of length 1."""

    max_distance: float = Field(default=0.30, gt=0, le=1)
    target_fpir: float = Field(default=0.01, gt=0, le=0.5)
    frames_needed: int = Field(default=2, ge=1, le=20)
    refuse_after_frames: int = Field(default=5, ge=1, le=100)
    again_after_s: float = Field(default=10.0, ge=1, le=600)
    code_window_s: float = Field(default=15.0, ge=2, le=120)


class PassesSettings(Table):
    """Signed codes that open. `keys`: a key's id → its public key, base64 of 32 bytes; without one no pass opens."""

    trust_unsynchronised_clock: bool = False
    keys: Mapping[KeyId, PublicKey] = Field(default_factory=dict, max_length=20)


class CodesSettings(Table):
    """Cards, numbers and PINs. `key_file` not set: `credential.keys` in `state.directory`."""

    key_file: FilePath | None = None
    factors: int = Field(default=1, ge=1, le=2)
    pin_min_digits: int = Field(default=4, ge=4, le=12)
    wrong_codes: int = Field(default=5, ge=1, le=5)
    block_s: float = Field(default=30.0, ge=10, le=3600)
    block_max_s: float = Field(default=900.0, ge=10, le=86_400)


class VisitsSettings(Table):
    """How long a visit lasts at most, how many may be inside, and what becomes of who comes in twice."""

    limit_h: float = Field(default=12.0, ge=0.5, le=168)
    capacity: int | None = Field(default=None, ge=1, le=200)
    passback: Literal["off", "soft", "hard"] = "off"


class ReaderSettings(Table):
    """One reader or keypad; the table's name is its name in faults. `device`: of a USB one; pins: of a Wiegand one."""

    driver: Literal["hid", "wiegand", "simulated"]
    side: Literal["outside", "inside"] = "outside"
    sends: Literal["cards", "keys"] = "cards"
    device: Annotated[str, Field(pattern=r"^/dev/input/[A-Za-z0-9._:/-]{1,200}$")] | None = None
    d0_pin: Pin | None = None
    d1_pin: Pin | None = None


class LivenessSettings(Table):
    """Whether a face must prove to be no picture before it opens the door."""

    mode: Literal["off", "photo", "challenge"] = "photo"


class TlsSettings(Table):
    """Encryption of the link to the broker. Without `ca_file` the system's authorities are trusted."""

    enabled: bool = False
    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None


def _is_local(host: str) -> bool:
    """Whether a broker of this name is on this machine: nobody is on the way to it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class HomeAssistantSettings(Table):
    """Lets Home Assistant find the station by itself, at the same broker."""

    enabled: bool = False
    prefix: Annotated[str, Field(max_length=128), AfterValidator(_prefix)] = "homeassistant"
    language: Literal["zh", "en"] = "zh"


class MqttSettings(Table):
    """The link to the central server's broker."""

    enabled: bool = False
    host: str = Field(default="localhost", min_length=1, max_length=253)
    port: int = Field(default=1883, ge=1, le=65_535)
    version: Literal["5", "3.1.1"] = "5"
    prefix: Annotated[str, Field(max_length=128), AfterValidator(_prefix)] = "stations"
    username: str = Field(default="", max_length=128)
    password_file: FilePath | None = None
    keepalive_s: int = Field(default=30, ge=5, le=3600)
    in_flight_max: int = Field(default=20, ge=1, le=1000)
    entries_per_s_max: int = Field(default=50, ge=1, le=1000)
    tls: TlsSettings = TlsSettings()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()

    @property
    def is_in_the_clear(self) -> bool:
        """Whether the link leaves this machine without encryption."""
        return self.enabled and not self.tls.enabled and not _is_local(self.host)


class CommandKeySettings(Table):
    """One key of the central server: its public half, base64 of 32 bytes, and what it may do."""

    public: PublicKey
    scopes: Annotated[
        tuple[Literal["open", "roster", "operate", "records"], ...], Field(strict=False, max_length=4)
    ] = ()


class CommandsSettings(Table):
    """Who may send commands over the broker; without a key nobody may."""

    keys: Mapping[KeyName, CommandKeySettings] = Field(default_factory=dict, max_length=20)


class ControlSettings(Table):
    """The local socket of the command line. `roles`: an account of this machine → what it may do."""

    socket: Annotated[Path, Field(strict=False), AfterValidator(_socket)] = DEFAULT_SOCKET
    roles: Mapping[Name, Role] = Field(default_factory=dict, max_length=100)


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
    """The log. The contract with the central server promises 30 days."""

    keep_days: int = Field(default=365, ge=30, le=3650)


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
        raise _unreadable(path, f"{path}: {error.strerror}") from None
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


def _without_mistakes(data: Mapping[str, Any], error: ValidationError, base: Path) -> Settings | None:
    """Settings with every wrong value at its default, so that contradictions among the right ones are found as well."""
    pruned = copy.deepcopy(dict(data))
    for _ in range(3):  # taking a value out may make another one missing, which takes its table out
        for each in error.errors(include_url=False):
            place = place_of(each)
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
