"""What is to be expected of the door, said a second time and without its table.

Written from the requirements: fire goes before emergency, emergency before a lock-down, that before the rest; leaving
is always honoured; the lock is released only for somebody or by a mode; it always relocks; no alarm is missed.
"""

from __future__ import annotations

from agent.core.door import Cause, DoorTimings, Input

ABOUT_THE_LEAF = {"forced", "open_warning", "open_too_long", "tailgating"}


class Expected:
    """A plain door: facts in (`take`, `tick`), and what must be true of the real one in its attributes."""

    def __init__(self, timings: DoorTimings) -> None:
        self.times = timings
        self.fire = self.emergency = self.hours = False
        self.order = ""
        self.leaf = "unknown"
        self.bolt = "unknown"
        self.alarms: set[str] = set()
        self.here: dict[tuple[str, str | None], Cause] = {}  # let in or out in this opening
        self.until: float | None = None  # of the access that is under way
        self.grace: float | None = None  # of the strike that falls in
        self.warn_at: float | None = None
        self.late_at: float | None = None
        self.bolt_late_at: float | None = None
        self.let_in = self.went_in = 0
        self.passed: list[Cause] = []
        self.unused: list[Cause] = []
        self.refused: list[Cause] = []

    @property
    def mode(self) -> str:
        if self.fire:
            return "released_by_fire"
        if self.emergency:
            return "emergency"
        return self.order or ("unlocked" if self.hours else "normal")

    @property
    def is_standing_open(self) -> bool:
        return self.fire or self.emergency or self.order == "held_open" or (self.hours and not self.order)

    @property
    def is_released(self) -> bool:
        return self.is_standing_open or self.until is not None

    # --- facts -------------------------------------------------------------------------------------------------------

    def take(self, what: Input, now: float, cause: Cause) -> None:
        was_open, was_released = self.is_standing_open, self.is_released
        mode = self.mode
        if what is Input.GRANT and mode in ("blocked", "locked_down"):
            self.refused.append(cause)
        elif what in (Input.GRANT, Input.EXIT):
            self._come(now, cause)
        elif what is Input.ENTERED and not self.is_standing_open:
            self.went_in += 1
            if self.went_in > self.let_in:
                self.alarms.add("tailgating")
        elif what in (Input.OPENED, Input.CLOSED, Input.CONTACT_LOST):
            self._move(what, now)
        elif what in (Input.TAMPERED, Input.TAMPER_ENDED):
            self._set_alarm("tamper", what is Input.TAMPERED)
        elif what in (Input.BOLT_SECURED, Input.BOLT_RELEASED, Input.BOLT_LOST):
            self.bolt = {Input.BOLT_SECURED: "secured", Input.BOLT_RELEASED: "released"}.get(what, "unknown")
        else:
            self._want(what)
        if self.mode != mode:
            self._change_mode(now, was_open, was_released)
        self._watch_bolt(now)

    def _come(self, now: float, cause: Cause) -> None:
        if self.leaf == "unknown" and self.until is None:
            self._begin_opening()
        length = self.times.extended_release_s if cause.needs_longer else self.times.release_s
        self.until = max(now + length, self.until or 0.0)
        self.grace = None
        if (cause.way, cause.member_id) not in self.here:
            self.here[cause.way, cause.member_id] = cause
            if self.leaf != "closed":
                self._pass([cause])

    def _move(self, what: Input, now: float) -> None:
        before = self.leaf
        self.leaf = {Input.OPENED: "open", Input.CLOSED: "closed"}.get(what, "unknown")
        if self.leaf == before and before != "unknown":
            return
        if self.leaf != "unknown":
            self.alarms.discard("contact_fault")
        if self.leaf == "open":
            if before == "closed":
                self._begin_opening()
                if self.is_released or self.grace is not None:
                    self._pass(list(self.here.values()))
                else:
                    self.alarms.add("forced")
            self.grace = None
            if not self.is_standing_open:
                self._limit(now)
            return
        was_forced = "forced" in self.alarms
        self.alarms -= ABOUT_THE_LEAF
        self.warn_at = self.late_at = None
        if self.leaf == "unknown":
            self._set_alarm("forced", was_forced)  # cutting a wire silences no break-in
            self.alarms.add("contact_fault")
            if before == "closed":
                self._pass(list(self.here.values()))
            return
        self.here = {}
        if before == "open" and not self.is_standing_open:
            delay = self.times.relock_delay_s
            self.until = now + delay if self.until is not None and delay > 0 else None
            if self.until is None:
                self.grace = now + self.times.relock_grace_s

    def _want(self, what: Input) -> None:
        orders = {Input.HOLD_OPEN: "held_open", Input.BLOCK: "blocked", Input.LOCK_DOWN: "locked_down"}
        if what in (Input.FIRE_BEGAN, Input.FIRE_ENDED):
            self.fire = what is Input.FIRE_BEGAN
            self._set_alarm("fire", self.fire)
        elif what in (Input.EMERGENCY_BEGAN, Input.EMERGENCY_ENDED):
            self.emergency = what is Input.EMERGENCY_BEGAN
            self._set_alarm("emergency", self.emergency)
        elif what in (Input.HOURS_BEGAN, Input.HOURS_ENDED):
            self.hours = what is Input.HOURS_BEGAN
        elif what is Input.RESUME:
            self.order = ""
        elif what in orders and self.order != "locked_down":  # which only `resume` ends
            self.order = orders[what]

    def _change_mode(self, now: float, was_open: bool, was_released: bool) -> None:
        if self.is_standing_open:
            self.alarms -= ABOUT_THE_LEAF
            self.warn_at = self.late_at = None
            return
        if was_open and self.leaf == "open":
            self._limit(now)
        if self.order in ("blocked", "locked_down"):
            if self.leaf == "closed":
                self.unused += [each for each in self.here.values() if not each.is_exit]
                self.here = {key: each for key, each in self.here.items() if each.is_exit}
            is_leaving = any(each.is_exit for each in self.here.values())
            if self.until is not None and (not is_leaving or self.leaf == "open"):
                self.until = None
                if self.leaf == "unknown":
                    self.here = {}
        if was_released and not self.is_released and self.leaf == "closed":
            self.grace = now + self.times.relock_grace_s

    # --- times -------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Everything that is due by `now` happens now."""
        if self.until is not None and self.until <= now:
            self.until = None
            if self.is_standing_open:
                self._give_up()
            elif self.leaf == "closed":
                self.grace = now + self.times.relock_grace_s
            elif self.leaf == "unknown":
                self.here = {}
        if self.grace is not None and self.grace <= now:
            self.grace = None
            self._give_up()
        if self.warn_at is not None and self.warn_at <= now:
            self.warn_at = None
            self.alarms.add("open_warning")
        if self.late_at is not None and self.late_at <= now:
            self.late_at = None
            self.alarms.discard("open_warning")
            self.alarms.add("open_too_long")
        if self.bolt_late_at is not None and self.bolt_late_at <= now:
            self.bolt_late_at = None
            self.alarms.add("lock_fault")
        self._watch_bolt(now)

    def settle_strike(self, now: float) -> None:
        """The strike has fallen in, if it is time."""
        if self.grace is not None and self.grace < now:
            self.grace = None
            self._give_up()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _begin_opening(self) -> None:
        self.let_in = self.went_in = 0
        self.alarms.discard("tailgating")

    def _pass(self, causes: list[Cause]) -> None:
        self.passed += causes
        self.let_in += sum(not each.is_exit for each in causes)

    def _give_up(self) -> None:
        if self.leaf == "closed":
            self.unused += self.here.values()
        self.here = {}

    def _limit(self, now: float) -> None:
        needs_longer = any(each.needs_longer for each in self.here.values())
        open_s = self.times.extended_open_alarm_s if needs_longer else self.times.open_alarm_s
        self.late_at = now + open_s
        self.warn_at = self.late_at - min(self.times.open_warning_s, open_s / 2)

    def _set_alarm(self, alarm: str, is_on: bool) -> None:
        if is_on:
            self.alarms.add(alarm)
        else:
            self.alarms.discard(alarm)

    def _watch_bolt(self, now: float) -> None:
        is_wrong = (self.bolt == "secured" and self.is_released) or (
            self.bolt == "released" and not self.is_released and self.leaf == "closed"
        )
        if not is_wrong:
            self.bolt_late_at = None
            self.alarms.discard("lock_fault")
        elif self.bolt_late_at is None and "lock_fault" not in self.alarms:
            self.bolt_late_at = now + self.times.bolt_move_s
