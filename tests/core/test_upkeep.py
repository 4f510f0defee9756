from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from agent.core import repairs
from agent.core.repairs import MAX_REPAIRS, MAX_STEPS, STEPS, Stage
from agent.effects import AppendEntry, KeepNotes
from agent.events import (
    CallButtonPressed,
    CameraFailed,
    CameraRecovered,
    ClockRead,
    DeviceFailed,
    DoorContactChanged,
    Event,
    MotionChanged,
    PersonCounted,
    PresenceSensed,
    Restored,
    SensorRead,
    SensorStateTold,
    StorageFailed,
    VaultExamined,
)
from tests.core.station_play import RULES, VIEWER, Play, begin, ready

CAMERA = "camera.failed@camera"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def update(play: Play, fault: str, *stages: str) -> None:
    for stage in stages:
        play.ask("faults.update", fault=fault, stage=stage)
        play.write_log()


def stages(play: Play) -> Mapping[str, str]:
    return {repairs.identity(key): each.stage.value for key, each in play.state.repairs.items()}


def noted(play: Play) -> dict[str, dict[str, Mapping[str, Any]]]:
    """What the disk would hold after these orders."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for order in play.orders:
        for note in order.notes if isinstance(order, (AppendEntry, KeepNotes)) else ():
            of_kind = found.setdefault(note.kind, {})
            of_kind.pop(note.name, None)
            if note.body is not None:
                of_kind[note.name] = note.body
    return found


def after_a_restart(play: Play) -> Play:
    return begin(restored=Restored(notes=noted(play)))


# --- faults ----------------------------------------------------------------------------------------------------------


def test_every_step_from_every_stage_has_its_answer() -> None:
    every = list(Stage)
    assert set(STEPS) == set(product(every[:-1], every[1:]))


def test_a_fault_goes_round_its_loop_with_times_and_names() -> None:
    play = ready()
    play.put(ClockRead(play.now, NOON, True))
    play.ask("faults.report", where="toilet", what="broken")
    assert play.logged("fault.raised")[-1] == {
        "code": "reported.broken",
        "where": "toilet",
        "severity": "error",
        "by": "master",
    }
    update(play, "reported.broken@toilet", "seen", "in_repair", "put_right")
    play.ask("faults.list", actor=VIEWER)
    (row,) = play.replies()[-1].result["rows"]
    assert [(each["stage"], each["by"]) for each in row["steps"]] == [
        ("raised", "master"),
        ("seen", "master"),
        ("in_repair", "master"),
        ("put_right", "master"),
    ]
    assert all(each["at"].startswith("2026-11-22T12:00:") for each in row["steps"])
    update(play, "reported.broken@toilet", "checked")
    assert stages(play) == {}
    assert [each["stage"] for each in play.logged("fault.updated")] == ["seen", "in_repair", "put_right", "checked"]


def test_a_fault_closes_by_itself_only_when_the_sensor_proves_it() -> None:
    play = ready()
    play.put(CameraFailed(play.now, "unplugged"))
    update(play, CAMERA, "seen", "put_right", "checked")
    assert play.problem_codes() == ["fault.still_there"]
    assert stages(play) == {CAMERA: "put_right"}
    play.put(CameraRecovered(play.now))
    assert stages(play) == {}
    assert play.logged("fault.cleared")[-1]["code"] == "camera.failed"


def test_nothing_is_checked_off_that_nobody_put_right() -> None:
    play = ready()
    play.ask("faults.report", where="microwave", what="dirty")
    for stage in ("", "seen", "in_repair"):
        if stage:
            update(play, "reported.dirty@microwave", stage)
        play.ask("faults.update", request="r-2", fault="reported.dirty@microwave", stage="checked")
        assert play.problem_codes("r-2") == ["fault.not_put_right"]


def test_a_step_that_was_taken_is_answered_and_not_logged_again() -> None:
    play = ready()
    play.ask("faults.report", where="microwave", what="dirty")
    update(play, "reported.dirty@microwave", "in_repair", "seen", "in_repair")
    assert len(play.logged("fault.updated")) == 1
    assert play.replies()[-1].result == {"fault": "reported.dirty@microwave", "stage": "in_repair"}


def test_the_same_fault_is_not_raised_twice_by_people_nor_after_a_restart() -> None:
    play = ready()
    for _ in range(3):
        play.ask("faults.report", where="microwave", what="dirty")
    play.put(CameraFailed(play.now, "unplugged"))
    update(play, CAMERA, "seen")
    assert len(play.logged("fault.raised")) == 2
    again = after_a_restart(play)
    assert stages(again) == {CAMERA: "seen", "reported.dirty@microwave": "raised"}
    again.put(CameraFailed(again.now, "unplugged"))
    assert again.logged("fault.raised") == []
    assert again.state.repairs["camera.failed", "camera"].is_present


def test_a_fault_from_before_the_start_is_over_when_its_sensor_says_so() -> None:
    play = ready()
    play.put(DoorContactChanged(play.now, None))
    assert list(stages(play)) == ["device.failed@contact"]
    again = after_a_restart(play)
    again.move_leaf(is_open=False)
    assert stages(again) == {}
    assert again.logged("fault.cleared") == [{"code": "device.failed", "where": "contact", "lasted_s": None}]


def test_faults_that_the_start_itself_disproves_are_over_with_it() -> None:
    play = ready()
    play.put(StorageFailed(play.now, "full"))
    play.put(VaultExamined(play.now, (("vault.key_lost", "vault", "gone"),)))
    assert set(stages(play)) == {"storage.failed@storage", "vault.key_lost@vault"}
    assert stages(after_a_restart(play)) == {}


def test_what_nothing_shows_after_a_restart_can_be_checked_off() -> None:
    play = ready()
    play.put(CameraFailed(play.now, "unplugged"))
    again = after_a_restart(play)
    update(again, CAMERA, "put_right", "checked")
    assert stages(again) == {}


def test_notes_that_no_version_wrote_do_no_harm() -> None:
    notes: dict[str, Mapping[str, Any]] = {
        "a": {},
        "b": {"code": "no.such", "where": "x", "steps": [["raised", None, "agent"]]},
    }
    odd: dict[str, Mapping[str, Any]] = {
        "c": {"code": "camera.failed", "where": "camera", "steps": []},
        "d": {"code": 1, "where": [], "steps": "xyz"},
    }
    play = begin(restored=Restored(notes={"repair": {**notes, **odd}, "alarm": {"forced": {}, "no_such": {}}}))
    assert stages(play) == {}
    assert set(play.state.alarms) == {"forced"}


def test_a_repair_that_never_ends_keeps_its_beginning_and_its_newest_steps() -> None:
    play = ready()
    play.ask("faults.report", where="microwave", what="broken")
    update(play, "reported.broken@microwave", *("put_right", "in_repair") * MAX_STEPS)
    (repair,) = play.state.repairs.values()
    assert len(repair.steps) == MAX_STEPS
    assert repair.steps[0].stage is Stage.RAISED


def test_people_can_report_so_many_things_and_no_more() -> None:
    play = ready()
    for number in range(MAX_REPAIRS + 1):
        play.ask("faults.report", where=f"shelf-{number}", what="missing")
    assert play.problem_codes() == ["fault.too_many"]
    assert len(play.state.repairs) == MAX_REPAIRS


def test_an_update_is_answered_once_it_is_on_the_disk() -> None:
    play = ready()
    play.put(CameraFailed(play.now, "unplugged"))
    play.take()
    play.ask("faults.update", fault=CAMERA, stage="seen")
    assert play.replies() == []
    play.write_log()
    assert play.replies()[-1].ok


def test_an_unknown_fault_is_refused() -> None:
    play = ready()
    update(play, CAMERA, "seen")
    assert play.problem_codes() == ["fault.unknown"]


def test_health_tells_the_worst_faults_and_how_many_there_are() -> None:
    play = ready()
    play.connect()
    for number in range(30):
        play.ask("faults.report", where=f"shelf-{number}", what="missing")
    play.put(CameraFailed(play.now, "unplugged"))
    health = play.published("health")[-1]
    assert health["fault_count"] == 31
    assert health["faults"][0]["code"] == "camera.failed"
    assert len(health["faults"]) == 16


# --- alarms ----------------------------------------------------------------------------------------------------------


def force(play: Play) -> None:
    play.move_leaf(is_open=True)


def test_an_alarm_stays_until_somebody_has_seen_it() -> None:
    play = ready()
    force(play)
    play.move_leaf(is_open=False)
    play.ask("alarms.list", actor=VIEWER)
    (row,) = play.replies()[-1].result["rows"]
    assert (row["alarm"], row["is_active"], row["is_acknowledged"], row["times"]) == ("forced", False, False, 1)
    play.ask("alarms.acknowledge", alarm="forced")
    assert play.state.alarms == {}
    assert play.logged("alarm.acknowledged") == [{"alarm": "forced", "by": "master"}]


def test_an_alarm_that_goes_on_is_acknowledged_and_forgotten_when_it_is_over() -> None:
    play = ready()
    force(play)
    play.ask("alarms.acknowledge", alarm="forced")
    assert play.state.alarms["forced"].is_acknowledged
    play.move_leaf(is_open=False)
    assert play.state.alarms == {}


def test_one_that_comes_again_unseen_is_counted() -> None:
    play = ready()
    for _ in range(3):
        force(play)
        play.move_leaf(is_open=False)
    assert play.state.alarms["forced"].times == 3


def test_an_alarm_that_nobody_saw_outlives_a_restart() -> None:
    play = ready()
    force(play)
    again = after_a_restart(play)
    assert not again.state.alarms["forced"].is_active
    again.ask("alarms.acknowledge", alarm="forced")
    assert after_a_restart(again).state.alarms == {}


def test_an_alarm_that_is_not_there_is_refused() -> None:
    play = ready()
    play.ask("alarms.acknowledge", alarm="forced")
    assert play.problem_codes() == ["alarm.unknown"]


def test_a_reminder_to_close_the_door_is_no_alarm() -> None:
    play = ready(rules=replace(RULES, door=replace(RULES.door, open_alarm_s=30.0, open_warning_s=10.0)))
    play.ask("door.unlock")
    play.move_leaf(is_open=True)
    play.wait(21.0)
    assert [each.value for each in play.state.door.alarms] == ["open_warning"]
    assert play.state.alarms == {}


def test_a_call_is_an_alarm_until_it_is_answered() -> None:
    play = ready()
    play.put(CallButtonPressed(play.now))
    assert play.state.alarms["call"].is_active
    play.ask("alarms.acknowledge", alarm="call")
    assert play.state.call is None
    assert play.state.alarms == {}


def test_opening_answers_the_call_and_its_alarm() -> None:
    play = ready()
    play.put(CallButtonPressed(play.now))
    play.ask("door.unlock")
    assert play.state.alarms == {}


def test_a_call_that_nobody_answered_stays_to_be_seen() -> None:
    play = ready()
    play.put(CallButtonPressed(play.now))
    play.wait(RULES.calls.waits_s + 1)
    assert not play.state.alarms["call"].is_active


@pytest.mark.parametrize("action", ["faults.update", "faults.report", "alarms.acknowledge"])
def test_a_viewer_only_looks(action: str) -> None:
    play = ready()
    play.ask(action, actor=VIEWER, fault=CAMERA, stage="seen", where="door", what="broken", alarm="forced")
    assert play.problem_codes() == ["request.forbidden"]


@pytest.mark.parametrize(
    ("device", "word"),
    [
        ("sensors.radar", PresenceSensed(9.0, "radar", False, False)),
        ("sensors.microwave", SensorRead(9.0, "microwave", {"power_w": 0.0})),
        ("sensors.microwave", SensorStateTold(9.0, "microwave", "on", True)),
        ("motion", MotionChanged(9.0, False)),
        ("counter", PersonCounted(9.0, True)),
    ],
)
def test_a_device_that_failed_before_the_start_and_speaks_after_it_is_put_right(device: str, word: Event) -> None:
    play = begin()
    play.put(DeviceFailed(1.0, device, "no answer"))
    again = after_a_restart(play)
    assert list(again.state.repairs) == [("device.failed", device)]
    again.put(word)
    assert ("device.failed", device) not in again.state.repairs
    assert [each["where"] for each in again.logged("fault.cleared")] == [device]


def test_what_a_device_said_just_before_it_failed_does_not_end_the_fault() -> None:
    play = begin()
    play.put(DeviceFailed(9.0, "sensors.radar", "no answer"))
    play.put(PresenceSensed(8.0, "radar", False, False), 9.0)
    assert ("device.failed", "sensors.radar") in play.state.faults
