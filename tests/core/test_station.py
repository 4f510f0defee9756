"""The rules as one function: every fact, faults, deadlines, the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent import events
from agent.core import station
from agent.core.devices import LOCK_RETRY_S
from agent.core.problems import Words
from agent.core.sensing import MAX_READINGS
from agent.core.station import HANDLERS
from agent.effects import (
    AppendEntry,
    BuildGallery,
    Exit,
    KillVision,
    PublishEntries,
    PublishReadings,
    ReadOutbox,
    StartVision,
    WriteReading,
)
from agent.events import (
    BrokerConnected,
    BrokerDisconnected,
    CameraFailed,
    CameraRecovered,
    DeviceFailed,
    DeviceRecovered,
    DiskSpaceChanged,
    EntriesAcknowledged,
    EntriesLost,
    Event,
    ExitButtonPressed,
    FaceSeen,
    FaceUnusable,
    GalleryBuilt,
    LoggedEntry,
    MinuteReading,
    MinutesMeasured,
    OutboxRead,
    PauseSkipped,
    Restored,
    SensorRead,
    ShutdownRequested,
    StorageFailed,
    StorageRecovered,
    TrackEnded,
    VisionBeat,
    VisionStarted,
    VisionStopped,
    WorkerFailed,
)
from tests.core.station_play import ENGINE, RULES, begin, face_of, member, ready


def test_every_fact_has_a_rule() -> None:
    named = [each for each in vars(events).values() if isinstance(each, type)]
    ours = {each for each in named if issubclass(each, Event) and each is not Event}
    assert len(ours) > 30
    assert set(HANDLERS) == ours


# --- the start and the end -------------------------------------------------------------------------------------------


def test_the_start_is_in_the_log_with_who_is_inside() -> None:
    play = begin(restored=Restored(open_visits=(events.OpenVisit("x-1", None),)))
    assert play.logged("started") == [{"version": "1", "inside": 1}]
    assert play.found(StartVision) == [StartVision()]


def test_without_vision_no_child_is_started() -> None:
    play = begin(rules=replace(RULES, has_vision=False))
    play.wait(600.0)
    assert play.found(StartVision) == []


def test_what_storage_had_to_mend_is_a_fault() -> None:
    play = begin(restored=Restored(problems=(("storage", "a backup was restored"),)))
    assert [each["code"] for each in play.logged("fault.raised")] == ["storage.mended"]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (ShutdownRequested(9.0, "SIGTERM"), 0),
        (WorkerFailed(9.0, "storage", "OSError"), 1),
    ],
)
def test_the_end_is_the_last_order_and_comes_once(event: Event, code: int) -> None:
    play = ready(member("m-1", 1))
    play.see_face(1)
    play.wait_until(20.0)
    play.take()
    play.put_late(40.0, event)  # the refresh and a child's silence are due as well
    assert isinstance(play.orders[-1], Exit)
    assert play.orders[-1].code == code
    assert play.log_types() == ["stopping"]
    play.put_late(41.0, event)
    assert len(play.found(Exit)) == 1


# --- faults ----------------------------------------------------------------------------------------------------------

FAULTS = [
    ("camera.failed", CameraFailed(0.0, "unplugged"), CameraRecovered(0.0)),
    ("vision.stopped", VisionStopped(0.0, "killed"), VisionStarted(0.0, *ENGINE)),
    ("storage.failed", StorageFailed(0.0, "disk full"), StorageRecovered(0.0)),
    ("storage.low", DiskSpaceChanged(0.0, True, 90), DiskSpaceChanged(0.0, False, 400)),
    ("broker.disconnected", BrokerDisconnected(0.0, Words("timeout", "timeout")), BrokerConnected(0.0, "s-1")),
    ("device.failed", DeviceFailed(0.0, "button", "no such pin"), DeviceRecovered(0.0, "button")),
    ("lock.failed", DeviceFailed(0.0, "lock", "no such pin"), DeviceRecovered(0.0, "lock")),
]


@pytest.mark.parametrize(("code", "fails", "recovers"), FAULTS, ids=[each[0] for each in FAULTS])
def test_a_fault_is_raised_once_and_cleared_once(code: str, fails: Event, recovers: Event) -> None:
    play = ready()
    play.put(replace(recovers, at=play.now))
    play.take()
    for _ in range(3):
        play.put(replace(fails, at=play.now))
    raised = play.logged("fault.raised")
    assert [each["code"] for each in raised] == [code]
    assert [key[0] for key in play.state.faults] == [code]
    failed_at = play.now
    play.put(replace(recovers, at=failed_at + 0.25))
    play.put(replace(recovers, at=failed_at + 0.25))
    (cleared,) = play.logged("fault.cleared")
    assert (cleared["code"], cleared["lasted_s"]) == (code, 0.25)
    assert play.state.faults == {}


def test_a_reason_stands_in_the_fault_but_not_in_the_log_and_has_a_bound() -> None:
    play = ready()
    play.put(CameraFailed(play.now, "secret" * 1000))
    assert "secret" not in repr(play.found(AppendEntry))
    (fault,) = play.state.faults.values()
    assert "secret" in fault.text.en
    assert len(fault.text.en) < 1000


def test_entries_that_were_lost_stay_a_fault() -> None:
    play = ready()
    play.put(EntriesLost(play.now, ("", "")))
    play.put(StorageRecovered(play.now))
    assert [key[0] for key in play.state.faults] == ["storage.lost"]


def test_a_new_child_speaks_for_its_own_camera() -> None:
    play = ready()
    play.put(CameraFailed(play.now, "frozen"))
    play.put(VisionStopped(play.now, "killed"))
    assert [key[0] for key in play.state.faults] == ["vision.stopped"]
    play.put(VisionStarted(play.now, *ENGINE))
    assert play.state.faults == {}


# --- the lock's driver -----------------------------------------------------------------------------------------------


def test_a_lock_that_failed_is_given_its_order_until_it_works() -> None:
    play = ready()
    play.put(ExitButtonPressed(play.now))
    play.wait(1.0)
    play.put(DeviceFailed(play.now, "lock", "no such pin"))
    play.take()
    play.wait(3 * LOCK_RETRY_S)
    orders = play.lock_orders()
    assert orders[0] is True
    assert orders[-1] is False
    play.put(DeviceRecovered(play.now, "lock"))
    play.take()
    play.wait(60.0)
    assert play.lock_orders() == []


# --- vision ----------------------------------------------------------------------------------------------------------


def test_a_child_that_says_nothing_is_ended() -> None:
    play = ready()
    play.wait(4.0)
    assert play.found(KillVision) == []
    play.wait(2.0)
    assert len(play.found(KillVision)) == 1


@pytest.mark.parametrize(
    "fact",
    [
        VisionBeat(0.0, 1, 0.1),
        CameraFailed(0.0, "frozen"),
        CameraRecovered(0.0),
        FaceUnusable(0.0, 1, "too_far"),
        TrackEnded(0.0, 1),
        FaceSeen(0.0, 1, 0.0, face_of(9), liveness="live"),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_every_fact_of_a_child_shows_that_it_lives(fact: Event) -> None:
    play = ready()
    for _ in range(10):
        play.wait(4.0)
        play.put(replace(fact, at=play.now))
    assert play.found(KillVision) == []


def test_without_a_gallery_nobody_is_let_in_and_nobody_refused() -> None:
    play = begin(member("m-1", 1))
    play.put(VisionStarted(play.now, *ENGINE))
    play.take()
    play.see_face(1, frames=10)
    assert play.lock_orders() == []
    assert play.log_types() == []


def test_a_gallery_of_a_child_that_is_gone_is_never_used() -> None:
    play = begin(member("m-1", 1))
    play.see_engine()
    play.put(VisionStarted(play.now, *ENGINE))
    order = play.found(BuildGallery)[-1]
    gallery = play.state.gallery
    assert gallery is None
    play.put(VisionStopped(play.now, "killed"))
    old = begin(member("m-1", 1))
    old.see_engine()
    assert old.state.gallery is not None
    play.put(GalleryBuilt(play.now, order.request, old.state.gallery))
    assert play.state.gallery is None


def test_a_camera_that_fails_forgets_the_faces_it_followed() -> None:
    play = ready(member("m-1", 1))
    play.see_face(1, frames=1)
    play.put(CameraFailed(play.now, "frozen"))
    play.put(CameraRecovered(play.now))
    play.see_face(1, frames=1)
    assert play.lock_orders() == []


@pytest.mark.parametrize("reason", ["too_far", "two_faces", "turned_away"])
def test_a_face_that_cannot_be_used_is_told_how_to_stand_and_not_logged(reason: str) -> None:
    play = ready()
    play.put(FaceUnusable(play.now, 1, reason))
    assert play.patterns() == ["look_here"]
    assert play.log_types() == []


def test_a_reason_that_nobody_knows_shows_nothing() -> None:
    play = ready()
    play.put(FaceUnusable(play.now, 1, "wears_a_hat"))
    assert play.patterns() == []


# --- readings --------------------------------------------------------------------------------------------------------


def test_every_reading_is_written_and_the_power_says_what_the_appliance_does() -> None:
    play = ready()
    at = play.now
    play.put(SensorRead(at, "microwave", {"power_w": 700.0, "voltage_v": 230.0}))
    assert play.found(WriteReading) == [
        WriteReading(at, "microwave", "power_w", 700.0),
        WriteReading(at, "microwave", "voltage_v", 230.0),
    ]
    assert play.logged("appliance.changed") == [{"appliance": "microwave", "state": "running", "was": "unknown"}]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_number_is_not_written(value: float) -> None:
    play = ready()
    play.put(SensorRead(play.now, "microwave", {"power_w": value}))
    assert play.found(WriteReading) == []
    assert play.log_types() == []


def test_a_sensor_without_an_appliance_is_only_written() -> None:
    play = ready()
    play.put(SensorRead(play.now, "thermometer", {"temperature_c": 21.0, "power_w": 3.0}))
    assert len(play.found(WriteReading)) == 2
    assert play.log_types() == []


def test_a_sensor_that_falls_silent_is_a_fault_until_it_speaks() -> None:
    play = ready()
    play.put(SensorRead(play.now, "microwave", {"power_w": 700.0}))
    play.take()
    play.wait(31.0)
    assert [each for each in play.log_types() if "vision" not in each][:2] == ["appliance.changed", "fault.raised"]
    assert ("sensor.stale", "microwave") in play.state.faults
    play.put(SensorRead(play.now, "microwave", {"power_w": 0.0}))
    assert ("sensor.stale", "microwave") not in play.state.faults


def test_readings_are_published_in_batches() -> None:
    play = ready()
    row = MinuteReading("2026-11-22T03:04Z", "microwave", "power_w", 1.0, 2.0, 3.0, 60)
    play.put(MinutesMeasured(play.now, (row,)))
    play.put(MinutesMeasured(play.now + 60, (row,)))
    assert play.found(PublishReadings) == []
    play.wait(300.0)
    assert play.found(PublishReadings) == [PublishReadings((row, row))]
    play.wait(600.0)
    assert len(play.found(PublishReadings)) == 1


def test_readings_that_were_dropped_are_counted_with_the_next_batch() -> None:
    play = ready()
    row = MinuteReading("2026-11-22T03:04Z", "microwave", "power_w", 1.0, 2.0, 3.0, 60)
    play.put(MinutesMeasured(play.now, (row,) * (MAX_READINGS - 1), lost=5))
    play.put(MinutesMeasured(play.now, (row,) * 3))
    play.wait(300.0)
    (told,) = play.found(PublishReadings)
    assert (len(told.readings), told.lost) == (MAX_READINGS, 5 + 2)
    play.put(MinutesMeasured(play.now, (row,)))
    play.wait(300.0)
    assert play.found(PublishReadings)[-1] == PublishReadings((row,), lost=0)


# --- the broker ------------------------------------------------------------------------------------------------------


def test_what_is_durable_is_read_sent_and_acknowledged() -> None:
    play = ready()
    play.connect()
    play.ask("door.unlock")
    play.write_log()
    (read,) = play.found(ReadOutbox)
    newest = play.state.outbox.newest
    assert (read.epoch, read.after) == (0, 0)
    logged = [LoggedEntry(1, n, "station.started", "", "", 0, "", "{}", "", "", "") for n in range(1, newest[1] + 1)]
    play.put(OutboxRead(play.now, tuple(logged)))
    (sent,) = play.found(PublishEntries)
    assert (sent.session, list(sent.entries)) == ("s-1", logged)
    play.put(EntriesAcknowledged(play.now, "s-1", tuple((each.epoch, each.sequence) for each in logged)))
    assert play.state.outbox.cursor == newest
    play.ask("status", request="r-2")
    broker = play.replies("r-2")[-1].result["broker"]
    assert broker == {"enabled": True, "connected": True, "acknowledged": len(logged)}


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_pause_that_was_skipped_ends_no_request_and_no_child() -> None:
    play = ready()
    play.put(SensorRead(play.now, "microwave", {"power_w": 700.0}))
    play.ask("members.list")
    play.take()
    skipped_s = 3600.0
    play.put_late(play.now + skipped_s, PauseSkipped(play.now, skipped_s))
    assert play.found(KillVision) == []
    assert play.replies() == []
    assert play.state.appliances["microwave"].running.value == "running"


def test_the_same_facts_give_the_same_orders() -> None:
    first, second = ready(member("m-1", 1)), ready(member("m-1", 1))
    for play in (first, second):
        play.see_face(1)
        play.put(ExitButtonPressed(play.now))
        play.wait(100.0)
    assert first.orders == second.orders


def test_a_step_leaves_the_state_before_it_as_it_was() -> None:
    play = ready()
    before = play.state
    copy = replace(before)
    station.step(before, ExitButtonPressed(play.now), play.now, RULES)
    assert before == copy
