"""The demo's scenario: what happens, and what must come of it. A TOML file checked by these models."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue


class ScenarioError(ValueError):
    """The scenario file cannot be played; the message says where and why."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _time_of_day(text: str) -> str:
    time.fromisoformat(text)
    return text


class Enrol(_Table):
    """The station master enrols a person from their portrait, over the control socket."""

    do: Literal["enrol"]
    member: str
    person: str


class Show(_Table):
    """A person steps before the camera, or a picture of them is held up."""

    do: Literal["show"]
    person: str
    kind: Literal["rider", "print", "bent_print", "screen", "replay"] = "rider"


class IssuePass(_Table):
    """The union issues a guest a pass for one time at this station, for a day, to the phone of that name."""

    do: Literal["issue_pass"]
    phone: str
    guest: str


class HoldUp(_Table):
    """A phone with a pass on it is held up before the camera; the same one waits until that is another time."""

    do: Literal["hold_up"]
    phone: str


class Act(_Table):
    """A hand at the door: nobody stands before the camera, push, let go, press the exit button."""

    do: Literal["clear", "push_door", "shut_door", "press_exit"]


class SetPower(_Table):
    """An appliance draws this much, watts."""

    do: Literal["set_power"]
    appliance: str
    power_w: float


class Request(_Table):
    """The station master asks for something over the control socket."""

    do: Literal["request"]
    action: str
    arguments: Mapping[str, str] = Field(default_factory=dict)


class Skip(_Table):
    """So many seconds pass at once."""

    do: Literal["skip"]
    seconds: float = Field(gt=0)


class SkipTo(_Table):
    """It becomes this time of day at the station, today or tomorrow."""

    do: Literal["skip_to"]
    time: Annotated[str, AfterValidator(_time_of_day)]


class PressKeys(_Table):
    """Somebody types on the keypad of this name; `#` ends a number."""

    do: Literal["press_keys"]
    reader: str
    keys: str


class Wire(_Table):
    """A wire that says one thing (fire, break glass) begins or ends to say it."""

    do: Literal["wire"]
    name: str
    says: bool


class ExpectEntry(_Table):
    """The subscriber receives `times` entries of this type, with at least these values, since the scene began."""

    do: Literal["expect_entry"]
    type: str
    times: int = Field(default=1, ge=1)
    with_: Mapping[str, JsonValue] = Field(default_factory=dict, alias="with")


class ExpectNoEntry(_Table):
    """The subscriber has received no entry of this type since the scene began."""

    do: Literal["expect_no_entry"]
    type: str


class ExpectState(_Table):
    """The live state of a part, as the subscriber has it, has these values."""

    do: Literal["expect_state"]
    part: str
    with_: Mapping[str, JsonValue] = Field(alias="with")


class ExpectNotice(_Table):
    """The recipient of notifications gets a message with these words in it, since the scene began."""

    do: Literal["expect_notice"]
    words: str


class ExpectLock(_Table):
    """The simulated lock itself is released or secured."""

    do: Literal["expect_lock"]
    is_: Literal["released", "secured"] = Field(alias="is")


class ExpectClosed(_Table):
    """A push against the door does not open it."""

    do: Literal["expect_closed"]


Step = Annotated[
    Enrol
    | Show
    | IssuePass
    | HoldUp
    | Act
    | SetPower
    | Request
    | PressKeys
    | Wire
    | Skip
    | SkipTo
    | ExpectEntry
    | ExpectNoEntry
    | ExpectState
    | ExpectNotice
    | ExpectLock
    | ExpectClosed,
    Field(discriminator="do"),
]


class Totals(_Table):
    """What the subscriber counts (`faults`: of appliances), and the messages (`notices`) that the recipient gets."""

    visits: int = 0
    refusals: int = 0
    alarms: int = 0
    faults: int = 0
    notices: int = 0


class Scene(_Table):
    """Steps in order. `once`: only in the first round. `pause_s`: quiet after it, skipped. `brings`: see `Totals`."""

    name: str
    zh: str
    en: str
    once: bool = False
    pause_s: float = Field(default=0, ge=0)
    brings: Totals = Totals()
    steps: tuple[Step, ...]


class Scenario(_Table):
    """The whole file. `portraits`: people by the name that steps use, and who they are. `begins`: the time of day."""

    portraits: Mapping[str, str]
    begins: Annotated[str, AfterValidator(_time_of_day)]
    scenes: tuple[Scene, ...]

    @property
    def phones(self) -> frozenset[str]:
        """The phones that passes are issued to."""
        return frozenset(step.phone for scene in self.scenes for step in scene.steps if isinstance(step, IssuePass))


def find_config(name: str) -> Path:
    """A file of `config/`, in the checkout or where the wheel put it. Raises `ScenarioError`."""
    folders = (Path(__file__).parents[2] / "config", Path(sys.prefix) / "share/station-agent/config")
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise ScenarioError(f"{name} is in none of {', '.join(map(str, folders))}: install station-agent again")


def load_scenario(path: Path) -> Scenario:
    """Read a scenario. Raises `ScenarioError`."""
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return Scenario.model_validate(data)
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path} is no scenario: {error}") from error
