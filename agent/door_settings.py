"""The tables of the settings that are about the door: its wires, its hours, and the ways in without a face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from agent.mistakes import fault
from agent.opening_hours import EXCEPTIONS_MAX, AdmissionWord, Dates, Hours
from agent.settings_fields import FilePath, Level, PassPublicKey, Pin, Table


def _key_id(value: str) -> str:
    from agent.core.passes import KEY_IDS

    if value not in {str(each) for each in KEY_IDS}:
        raise fault(
            f"应为 {KEY_IDS[0]} 到 {KEY_IDS[-1]} 的整数", f"must be a whole number from {KEY_IDS[0]} to {KEY_IDS[-1]}"
        )
    return value


KeyId = Annotated[str, AfterValidator(_key_id)]


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


class PassesSettings(Table):
    """Signed codes that open. `keys`: a key's id → its public key, base64 of 32 bytes; without one no pass opens."""

    trust_unsynchronised_clock: bool = False
    keys: Mapping[KeyId, PassPublicKey] = Field(default_factory=dict, max_length=20)


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
