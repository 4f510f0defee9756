"""Plays a scenario on a running agent and watches, from the other end of the broker, what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.app import App
from agent.control.client import ControlClient, ControlError
from agent.demo import scenario as script
from agent.demo.passes import PassOffice
from agent.demo.recipient import NoticeRecipient
from agent.events import PauseSkipped
from agent.fleet.watch import Watcher
from agent.hardware import SimulatedParts
from agent.mqtt.payloads import LogEvent

PATIENCE_S = 10.0  # for anything expected: generous on a small busy machine, and only a failure waits so long
NOTICE_S = 30.0  # a message has 25 s: the program that sends it is loaded anew for each
ANOTHER_S = 5.5
"""Real time. A code that was out of view for less is the one that was told already (`vision.codes.AGAIN_S`)."""

_POLL_S = 0.002  # how closely the simulated lock is watched


@dataclass(slots=True)
class Outcome:
    """What one step came to. `took_ms`: real time until it was seen; `failure` is empty when it happened."""

    scene: str
    step: str
    took_ms: float
    failure: str = ""


@dataclass(slots=True)
class Director:
    """Plays scenes one after another; `tell` gets each outcome as it comes.

    `latencies_ms`: from the capture of the first frame with a face to the lock's effect.
    """

    app: App
    watcher: Watcher
    client: ControlClient
    portraits: Mapping[str, Path]
    office: PassOffice
    recipient: NoticeRecipient
    tell: Callable[[Outcome], None]
    outcomes: list[Outcome] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    _entries_before: int = 0
    _notices_before: int = 0
    _held_up: str | None = None
    _lowered_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app.hardware.lock.on_moved = self._lock_moved

    @property
    def parts(self) -> SimulatedParts:
        """The door's simulated twins."""
        parts = self.app.hardware.simulated
        if parts is None:
            raise RuntimeError("the demo needs hardware.simulated = true in its settings")
        return parts

    @property
    def station(self) -> str:
        """The station's id."""
        return self.app.settings.station.id

    def play(self, scene: script.Scene) -> None:
        """Play one scene to its end, also when a step of it fails; then skip the quiet after it."""
        self._entries_before = len(self.watcher.entries(self.station))
        self._notices_before = self.recipient.count
        for step in scene.steps:
            began = time.monotonic()
            try:
                failure = self._take(step)
            except ControlError as error:
                failure = str(error)
            took_ms = (time.monotonic() - began) * 1000
            outcome = Outcome(scene.name, _describe(step), took_ms, failure)
            self.outcomes.append(outcome)
            self.tell(outcome)
        self._leave_stage()
        if scene.pause_s:
            # Frames on their way would be seen after the pause, as if the person had come a second time.
            self._wait(self._sees_nobody, "the camera still sees somebody")
            self._skip(scene.pause_s)

    def _take(self, step: script.Step) -> str:
        match step:
            case script.Enrol():
                photo = self.portraits[step.person].read_bytes()
                text = self.client.request("consent.show", language="en")
                consent = {"version": text["version"], "language": "en", "how": "paper"}
                self.client.request("members.enrol", id=step.member, name=step.person, photos=[photo], consent=consent)
            case script.Show() | script.HoldUp():
                self._enter_stage(step)
            case script.IssuePass():
                self.office.issue(step.phone, step.guest, self.app.clock.wall().utc)
            case script.Act():
                return self._act(step.do)
            case script.SetPower():
                self.parts.sensors.meters[step.appliance].set_power(step.power_w)
            case script.Request():
                self.client.request(step.action, **step.arguments)
            case script.PressKeys():
                self.parts.readers[step.reader].press(step.keys)
            case script.Wire():
                signal = self.parts.signals[step.name]
                signal.begin() if step.says else signal.end()
            case script.Skip() | script.SkipTo():
                self._skip(self._seconds_of(step))
            case script.ExpectLock():
                is_released = step.is_ == "released"
                return self._wait(lambda: self.parts.door.is_released is is_released, f"the lock is not {step.is_}")
            case script.ExpectClosed():
                return "the door gave way" if self.parts.door.push() else ""
            case _:
                return self._watch(step)
        return ""

    def _act(self, what: str) -> str:
        match what:
            case "clear":
                self._leave_stage()
            case "push_door":
                return "" if self.parts.door.push() else "the door did not open"
            case "shut_door":
                self.parts.door.let_go()
            case "press_exit":
                self.parts.exit_button.press()
        return ""

    def _enter_stage(self, step: script.Show | script.HoldUp) -> None:
        self._leave_stage()
        if isinstance(step, script.Show):
            self.parts.stage.show(step.person, step.kind)
            return
        time.sleep(max(0.0, self._lowered_at.get(step.phone, 0.0) + ANOTHER_S - time.monotonic()))
        self.parts.stage.show(step.phone, "screen")
        self._held_up = step.phone

    def _leave_stage(self) -> None:
        self.parts.stage.clear()
        if self._held_up is not None:
            self._lowered_at[self._held_up] = time.monotonic()
            self._held_up = None

    def _watch(self, step: script.Step) -> str:
        """Hold an expectation against what the independent subscriber, or who is notified, received."""
        match step:
            case script.ExpectEntry():
                came = self.watcher.wait_for(lambda _watcher: self._has_entry(step), PATIENCE_S)
                return "" if came else f"no entry {step.type} with {dict(step.with_)} was received"
            case script.ExpectNoEntry():
                came = any(event.type == step.type for event in self._entries_of_scene())
                return f"an entry {step.type} was received" if came else ""
            case script.ExpectState():
                came = self.watcher.wait_for(lambda _watcher: self._has_state(step), PATIENCE_S)
                return "" if came else f"{step.part} never became {dict(step.with_)}"
            case script.ExpectNotice():
                came = self.recipient.wait_for(step.words, self._notices_before, NOTICE_S)
                return "" if came else f"no message about {step.words} came"
        raise TypeError(f"no rule for {step}")

    def _entries_of_scene(self) -> tuple[LogEvent, ...]:
        return self.watcher.entries(self.station)[self._entries_before :]

    def _has_entry(self, step: script.ExpectEntry) -> bool:
        found = [
            event
            for event in self._entries_of_scene()
            if event.type == step.type and _contains(event.data or {}, step.with_)
        ]
        return len(found) >= step.times

    def _has_state(self, step: script.ExpectState) -> bool:
        state = self.watcher.state(self.station, step.part)
        return state is not None and _contains(state.model_dump(mode="json"), step.with_)

    def _wait(self, condition: Callable[[], bool], failure: str) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                return failure
            time.sleep(_POLL_S)
        return ""

    def _sees_nobody(self) -> bool:
        state = self.app.loop.state
        return state is not None and not state.tracks

    def _seconds_of(self, step: script.Skip | script.SkipTo) -> float:
        if isinstance(step, script.Skip):
            return step.seconds
        return seconds_until(step.time, self.app.clock.wall().utc, self.app.settings.station.timezone)

    def _skip(self, seconds: float) -> None:
        before = self.app.clock.now()
        self.app.inbox.post(PauseSkipped(before, seconds))
        self._wait(lambda: self.app.clock.now() >= before + seconds, "time does not pass")

    def _lock_moved(self, is_energised: bool, seen_at: float | None) -> None:
        """Called on the deciding thread, right after the relay moved."""
        del is_energised
        state = self.app.loop.state
        if seen_at is not None and state is not None and state.door.causes and state.door.causes[-1].way == "face":
            self.latencies_ms.append((self.app.clock.now() - seen_at) * 1000)


def seconds_until(text: str, now: datetime, timezone: str) -> float:
    """How long it is from `now` (with its zone) until it is next this time of day there."""
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    moments = (
        datetime.combine(today + timedelta(days=days), time_of_day.fromisoformat(text), zone).astimezone(UTC)
        for days in (0, 1, 2)
    )
    return next((each - now).total_seconds() for each in moments if each > now)


def _contains(data: Mapping[str, object], expected: Mapping[str, object]) -> bool:
    return all(key in data and data[key] == value for key, value in expected.items())


def _describe(step: script.Step) -> str:
    """The step in a few words, such as `expect entry station.visit.entered (member m-0001, inside 1)`."""
    values = [value for key, value in step.model_dump(by_alias=True).items() if key not in ("do", "times")]
    words = [step.do.replace("_", " ")]
    for value in values:
        if isinstance(value, Mapping):
            words.append(f"({', '.join(f'{key} {each}' for key, each in value.items())})" if value else "")
        else:
            words.append(str(value))
    return " ".join(word for word in words if word)
