"""The real child: its own process, real faces, the simulated camera."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from PIL import Image

from agent import events
from agent.clock import SystemClock
from agent.events import Event, FaceSeen, PhotoEncoded, PhotoRefused, VisionBeat, VisionStarted, VisionStopped
from agent.vision import protocol
from agent.vision.protocol import CameraConfig, SimulatedCameraConfig, SimulatedPortrait, VisionConfig
from agent.vision.supervisor import COMMAND, VisionProcess
from drivers.simulated.camera import Fault, Stage
from tests.drivers.waiting import eventually

T = TypeVar("T", bound=Event)

FPS = 15
SAME_PERSON = 0.2  # the portrait under the simulated camera lies within 0.1; other people above 0.3
FAULT_WITHIN_S = 3.0

IMPATIENT = (
    "import sys; from agent.vision import process; process.HANG_S = 1.0; sys.exit(process.main(int(sys.argv[1])))"
)


class Watched:
    """A vision child, what it said, and the stage before its camera."""

    def __init__(self, config: VisionConfig, command: tuple[str, ...] = COMMAND) -> None:
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self.vision = VisionProcess(config, SystemClock(), self._post, command)

    def _post(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def mark(self) -> int:
        """A place among the events, to look from it on."""
        with self._changed:
            return len(self._events)

    def since(self, mark: int) -> list[Event]:
        with self._changed:
            return self._events[mark:]

    def expect(self, kind: type[T], mark: int = 0, count: int = 1, within_s: float = 30.0) -> list[T]:
        """Wait for `count` events of a kind."""
        found: list[T] = []

        def is_there() -> bool:
            found[:] = [event for event in self._events[mark:] if isinstance(event, kind)]
            return len(found) >= count

        with self._changed:
            assert self._changed.wait_for(is_there, within_s), f"no {kind.__name__} within {within_s} s"
        return found

    def pid(self) -> int:
        """The child's process."""
        found = [
            int(each) for task in Path("/proc/self/task").iterdir() for each in _children(task) if _is_vision(each)
        ]
        return found[-1]


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def _is_vision(pid: str) -> bool:
    return b"agent.vision" in Path(f"/proc/{pid}/cmdline").read_bytes()


def config_for(stage: Path, cache: Path, people: dict[str, Path]) -> VisionConfig:
    portraits = {name: SimulatedPortrait(path=str(path)) for name, path in people.items()}
    camera = SimulatedCameraConfig(stage=str(stage), portraits=portraits)
    return VisionConfig(camera=camera, fps=FPS, cache=str(cache), detector="hog")


@pytest.fixture(scope="module")
def people(collins_path: Path, hopper_path: Path) -> dict[str, Path]:
    return {"collins": collins_path, "hopper": hopper_path}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    stage = Stage(tmp_path_factory.mktemp("stage") / "stage.json")
    stage.clear()
    return stage


@pytest.fixture(scope="module")
def running(stage: Stage, network_cache: Path, people: dict[str, Path]) -> Iterator[Watched]:
    """One child for most of the tests."""
    watched = Watched(config_for(stage.path, network_cache, people))
    watched.vision.start()
    watched.expect(VisionStarted)
    yield watched
    watched.vision.close()


@pytest.fixture
def watched(running: Watched, stage: Stage) -> Iterator[Watched]:
    """The child with nobody before its camera."""
    yield running
    if stage.read().subject is not None:
        mark = running.mark()
        stage.clear()
        running.expect(events.TrackEnded, mark)


def seen(events_: list[Event]) -> list[FaceSeen]:
    return [event for event in events_ if isinstance(event, FaceSeen)]


def test_the_child_names_what_makes_its_vectors(running: Watched) -> None:
    (started,) = running.expect(VisionStarted)
    assert started.engine == "dlib"
    assert len(started.weights) == 64


def test_an_empty_scene_gives_beats_and_no_faces(watched: Watched) -> None:
    mark = watched.mark()
    first, second = watched.expect(VisionBeat, mark, 2)[:2]
    assert second.frames > first.frames
    assert second.frame_age_s is not None
    assert second.frame_age_s < 1
    assert seen(watched.since(mark)) == []


def test_a_face_at_the_door_matches_its_photo(watched: Watched, stage: Stage, collins_path: Path) -> None:
    mark = watched.mark()
    watched.vision.encode_photo("enrol:1", collins_path.read_bytes())
    (photo,) = watched.expect(PhotoEncoded, mark)
    assert photo.order == "enrol:1"
    shown_at = time.monotonic()
    stage.show("collins")
    faces = watched.expect(FaceSeen, mark, 3)[:3]
    for face in faces:
        assert float(np.linalg.norm(face.vector - photo.vector)) < SAME_PERSON
        assert shown_at - 0.1 < face.first_at <= face.at <= time.monotonic()
    assert len({face.track for face in faces}) == 1
    assert faces[2].at - faces[0].first_at < 1.0  # three good frames at once
    stage.clear()
    watched.expect(events.TrackEnded, mark)


def test_somebody_who_is_enrolled_opens_no_door_meanwhile_and_the_watch_goes_on(watched: Watched, stage: Stage) -> None:
    mark = watched.mark()
    watched.vision.enrol("r-1", 60.0)
    stage.show("collins")
    watched.expect(events.EnrolmentFrameTaken, mark)
    mark = watched.mark()
    frames = watched.expect(events.EnrolmentFrameTaken, mark, 3)
    assert {frame.order for frame in frames} == {"r-1"}
    assert all(abs(frame.turn) < 0.35 and frame.width_px >= 80 for frame in frames)
    assert seen(watched.since(mark)) == []
    mark = watched.mark()
    watched.vision.watch()
    watched.expect(FaceSeen, mark)


def test_an_enrolment_that_nobody_ends_ends_by_itself(watched: Watched, stage: Stage) -> None:
    mark = watched.mark()
    watched.vision.enrol("r-1", 1.0)
    stage.show("collins")
    watched.expect(events.EnrolmentFrameTaken, mark)
    watched.expect(FaceSeen, watched.mark())


def test_a_change_of_person_never_mixes_two_in_a_track(watched: Watched, stage: Stage, people: dict[str, Path]) -> None:
    mark = watched.mark()
    references = {}
    for name, path in people.items():
        watched.vision.encode_photo(name, path.read_bytes())
    for photo in watched.expect(PhotoEncoded, mark, 2):
        references[photo.order] = photo.vector
    tracks: dict[int, set[str]] = {}
    for name in ("collins", "hopper", "collins"):
        shown = watched.mark()
        stage.show(name)
        watched.expect(FaceSeen, shown, 4)
    for face in seen(watched.since(mark)):
        nearest = min(references, key=lambda each: float(np.linalg.norm(references[each] - face.vector)))
        tracks.setdefault(face.track, set()).add(nearest)
    assert len(tracks) >= 3
    assert all(len(names) == 1 for names in tracks.values())


def test_photos_are_refused_with_the_reason_and_frames_go_on(watched: Watched) -> None:
    mark = watched.mark()
    blank, tiny = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (640, 480), (90, 120, 140)).save(blank, "PNG")
    Image.new("RGB", (1, 1)).save(tiny, "PNG")
    for order, data in {"blank": blank.getvalue(), "tiny": tiny.getvalue(), "text": b"no picture"}.items():
        watched.vision.encode_photo(order, data)
    refused = {each.order: each.reason for each in watched.expect(PhotoRefused, mark, 3)}
    assert refused == {"blank": "no_face", "tiny": "too_small", "text": "not_a_picture"}
    first, second = watched.expect(VisionBeat, mark, 2)[:2]
    assert second.frames > first.frames


@pytest.mark.parametrize("fault", ["freeze", "unplug", "hang"])
def test_a_camera_that_fails_is_told_in_time_gives_no_evidence_and_recovers(
    watched: Watched, stage: Stage, fault: Fault
) -> None:
    mark = watched.mark()
    stage.show("collins")
    watched.expect(FaceSeen, mark, 2)
    failed_at = time.monotonic()
    stage.fail(fault)
    (failed,) = watched.expect(events.CameraFailed, mark)
    assert failed.at - failed_at < FAULT_WITHIN_S
    assert failed.reason
    facts = watched.since(mark)
    assert [event for event in facts if isinstance(event, events.TrackEnded)]
    assert max(face.at for face in seen(facts)) < failed_at + 0.5  # the frame that was under way
    dark = watched.mark()
    watched.expect(VisionBeat, dark, 1)
    assert seen(watched.since(dark)) == []
    stage.show("collins")  # and the fault is over
    watched.expect(events.CameraRecovered, dark, within_s=10)
    again = watched.expect(FaceSeen, dark, 2)
    assert {face.track for face in again}.isdisjoint({face.track for face in seen(facts)})


def test_a_camera_that_hangs_for_long_ends_the_child(
    stage: Stage, network_cache: Path, people: dict[str, Path]
) -> None:
    config = config_for(stage.path, network_cache, people).model_copy(update={"fresh_within_s": 0.4})
    watched = Watched(config, (sys.executable, "-P", "-c", IMPATIENT))
    try:
        stage.fail("hang")
        watched.vision.start()
        (failed,) = watched.expect(events.CameraFailed)
        (stopped,) = watched.expect(VisionStopped)
        assert "does not answer" in failed.reason
        assert "hangs" in stopped.reason
    finally:
        watched.vision.close()
        stage.clear()


def test_a_missing_network_is_said_in_plain_words(network_cache: Path, tmp_path: Path) -> None:
    config = VisionConfig(
        camera=CameraConfig(source="none"), cache=str(network_cache), detector="yunet", models=str(tmp_path)
    )
    watched = Watched(config)
    try:
        watched.vision.start()
        (stopped,) = watched.expect(VisionStopped)
        assert "yunet" in stopped.reason.lower()
        assert "Traceback" not in stopped.reason
    finally:
        watched.vision.close()


@pytest.mark.parametrize("first", [b"", b"\xff" * 64])
def test_a_child_without_a_configuration_ends(first: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = (*COMMAND, str(theirs.fileno()))
        with subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE) as child:
            theirs.close()
            ours.sendall(first)
            ours.shutdown(socket.SHUT_WR)
            assert child.wait(30) == 1
            assert child.stderr is not None
            assert child.stderr.read().strip()


def test_a_missing_camera_is_no_end_but_the_agents_death_is(network_cache: Path, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = (*COMMAND, str(theirs.fileno()))
        with subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL) as child:
            theirs.close()
            camera = CameraConfig(source=str(tmp_path / "video7"))
            config = VisionConfig(camera=camera, cache=str(network_cache), detector="hog", fresh_within_s=0.4)
            for order in (protocol.Configure(config=config), protocol.Watch(id="door")):
                ours.sendall(protocol.pack(order))
            facts: list[protocol.Fact] = []
            while not isinstance(facts[-1] if facts else None, protocol.CameraFailed):
                fact = protocol.read_fact(ours.recv)
                assert fact is not None
                facts.append(fact)
            assert isinstance(facts[0], protocol.Hello)
            assert isinstance(facts[-1], protocol.CameraFailed)
            assert "video7" in facts[-1].reason
            assert isinstance(protocol.read_fact(ours.recv), protocol.Beat)
            ours.close()
            assert eventually(lambda: child.poll() is not None)


def test_a_child_that_is_killed_or_stopped_is_reported_once_and_started_again(running: Watched) -> None:
    """The last one, for it ends the child that the others share."""
    mark = running.mark()
    os.kill(running.pid(), signal.SIGKILL)
    running.expect(VisionStopped, mark)
    running.vision.start()
    running.expect(VisionStarted, mark)
    os.kill(running.pid(), signal.SIGSTOP)
    running.vision.kill("it sends nothing any more")
    killed, stopped = running.expect(VisionStopped, mark, 2)
    assert killed.reason
    assert stopped.reason == "it sends nothing any more"
    running.vision.close()
    assert len(running.expect(VisionStopped, mark)) == 2
