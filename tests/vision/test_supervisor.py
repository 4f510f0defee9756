"""The agent's side against children that do everything wrong."""

from __future__ import annotations

import logging
import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from agent import events
from agent.clock import SystemClock
from agent.events import Event, VisionStopped
from agent.vision.protocol import MAX_PHOTO_BYTES, CameraConfig, VisionConfig
from agent.vision.supervisor import LINE_CHARACTERS, STDERR_LINES_PER_S, WAITING_ORDERS, VisionProcess
from tests.drivers.waiting import eventually

ELDERS: set[str] = set()

PRELUDE = """
import base64, json, os, signal, socket, struct, sys, time
connection = socket.socket(fileno=int(sys.argv[1]))
def frame(body, photo=0):
    return struct.pack("!II", len(body), photo) + body
def say(**fact):
    connection.sendall(frame(json.dumps(fact).encode()))
def vector(value=128 ** -0.5):
    return base64.b64encode(struct.pack("<128f", *[value] * 128)).decode()
def hello(**changes):
    say(**{"type": "hello", "at": 1.0, "protocol": 5, "engine": "dlib", "weights": "0" * 64,
           "detector": "hog", **changes})
def face(**changes):
    now = time.monotonic()
    say(**{"type": "face_seen", "at": now, "order": "door", "track": 1, "first_at": now, "vector": vector(),
           "score": 1.0, "width_px": 100, "liveness": "live", "turn": 0.1, **changes})
def beat():
    say(type="beat", at=time.monotonic(), frames=1, frame_at=None)
"""

FakeChild = Callable[[str], VisionProcess]


class Posted:
    """What was posted, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def reasons(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, VisionStopped)]


@pytest.fixture
def posted() -> Posted:
    return Posted()


@pytest.fixture
def fake(tmp_path: Path, posted: Posted) -> Iterator[FakeChild]:
    """A function that makes the agent's side of a child whose program it is given."""
    made: list[VisionProcess] = []
    config = VisionConfig(camera=CameraConfig(source="none"), cache=str(tmp_path))

    def make(program: str) -> VisionProcess:
        script = tmp_path / f"child{len(made)}.py"
        script.write_text(PRELUDE + textwrap.dedent(program))
        made.append(VisionProcess(config, SystemClock(), posted, (sys.executable, "-I", "-S", str(script))))
        return made[-1]

    yield make
    for vision in made:
        vision.close()


@pytest.fixture(autouse=True)
def elders(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests have left running, such as the tracker of a pool of processes, is nobody's child here."""
    monkeypatch.setattr(f"{__name__}.ELDERS", children())


def children() -> set[str]:
    """The processes that this one started since the test began, and that are not buried."""
    found = set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()) | {
        child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()
    }
    return found - ELDERS


def has_stopped(posted: Posted, times: int) -> bool:
    return len(posted.reasons) == times


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "program",
    [
        'connection.sendall(struct.pack("!II", 2**31, 0))',
        'connection.sendall(struct.pack("!II", 2**32 - 1, 2**32 - 1))',
        "connection.sendall(os.urandom(5000))",
        'connection.sendall(frame(b"{"))',
        'connection.sendall(frame(b"[" * 4000))',
        "beat()",
        "hello(protocol=99)",
        'hello(weights="none")',
        "hello(); hello()",
        'hello(); connection.sendall(struct.pack("!II", 20, 5) + b"x" * 25)',
        'hello(); say(type="stop")',
        'hello(); say(type="beat", at=-1.0, frames=1, frame_at=None)',
        "hello(); face(vector=vector(0.5))",
        'hello(); face(vector=vector(float("nan")))',
        'hello(); face(order="another")',
        "hello(); face(track=0)",
        "hello()\nfor _ in range(2000): beat()",
    ],
)
def test_a_child_that_breaks_the_protocol_is_killed_and_reported_once(
    program: str, fake: FakeChild, posted: Posted
) -> None:
    vision = fake(program + "\ntime.sleep(60)")
    vision.start()
    assert eventually(lambda: bool(posted.reasons))
    assert "does not keep to the protocol" in posted.reasons[0]
    assert len(posted.events) < 400  # a flood does not push out what the door says
    vision.close()
    assert len(posted.reasons) == 1
    assert isinstance(posted.events[-1], VisionStopped)
    assert children() == set()


def test_facts_become_events_in_their_order(fake: FakeChild, posted: Posted) -> None:
    vision = fake(
        """
        hello()
        beat()
        face()
        say(type="face_unusable", at=time.monotonic(), order="door", track=1, reason="too_far")
        say(type="track_ended", at=time.monotonic(), order="door", track=1)
        say(type="camera_failed", at=time.monotonic(), reason="unplugged")
        say(type="camera_recovered", at=time.monotonic())
        say(type="photo_encoded", at=time.monotonic(), order="r:1", vector=vector())
        say(type="photo_refused", at=time.monotonic(), order="r:2", reason="no_face")
        """
    )
    vision.start()
    assert eventually(lambda: bool(posted.reasons))
    assert [type(event) for event in posted.events] == [
        events.VisionStarted,
        events.VisionBeat,
        events.FaceSeen,
        events.FaceUnusable,
        events.TrackEnded,
        events.CameraFailed,
        events.CameraRecovered,
        events.PhotoEncoded,
        events.PhotoRefused,
        VisionStopped,
    ]


def test_a_face_that_comes_late_is_not_passed_on(fake: FakeChild, posted: Posted) -> None:
    vision = fake("hello(); face(at=time.monotonic() - 5); face(track=2); time.sleep(60)")
    vision.start()
    assert eventually(lambda: bool(posted.of(events.FaceSeen)))
    assert [event.track for event in posted.of(events.FaceSeen) if isinstance(event, events.FaceSeen)] == [2]


def test_no_fact_comes_from_the_future(fake: FakeChild, posted: Posted) -> None:
    vision = fake("hello(); face(at=time.monotonic() + 1e6, first_at=time.monotonic() + 2e6); time.sleep(60)")
    vision.start()
    assert eventually(lambda: bool(posted.of(events.FaceSeen)))
    (seen,) = posted.of(events.FaceSeen)
    assert isinstance(seen, events.FaceSeen)
    assert seen.first_at <= seen.at <= time.monotonic()


def test_a_child_that_dies_is_reported_once_with_its_last_words(fake: FakeChild, posted: Posted) -> None:
    vision = fake('print("the model is missing", file=sys.stderr); sys.exit(3)')
    vision.start()
    assert eventually(lambda: bool(posted.reasons))
    vision.kill("too late")
    vision.close()
    assert posted.reasons == ["the model is missing"]


def test_a_silent_death_is_reported_with_its_code(fake: FakeChild, posted: Posted) -> None:
    vision = fake("os._exit(7)")
    vision.start()
    assert eventually(lambda: bool(posted.reasons))
    assert posted.reasons == ["it ended with code 7"]


def test_a_killed_child_is_reported_with_the_reason(fake: FakeChild, posted: Posted) -> None:
    vision = fake("signal.signal(signal.SIGTERM, signal.SIG_IGN); hello(); time.sleep(60)")
    vision.start()
    assert eventually(lambda: bool(posted.of(events.VisionStarted)))
    vision.kill("it sends nothing any more")
    vision.kill("another reason")
    assert eventually(lambda: bool(posted.reasons))
    assert posted.reasons == ["it sends nothing any more"]


def test_a_stopped_child_can_be_killed(fake: FakeChild, posted: Posted) -> None:
    vision = fake("hello(); os.kill(os.getpid(), signal.SIGSTOP)")
    vision.start()
    assert eventually(lambda: bool(posted.of(events.VisionStarted)))
    vision.kill("hangs")
    assert eventually(lambda: posted.reasons == ["hangs"])


def test_a_child_that_lets_go_of_the_socket_but_lives_on_is_killed(fake: FakeChild, posted: Posted) -> None:
    vision = fake("signal.signal(signal.SIGTERM, signal.SIG_IGN); hello(); connection.close(); time.sleep(60)")
    vision.start()
    assert eventually(lambda: bool(posted.reasons))
    assert posted.reasons == ["it stopped serving and was killed"]
    assert children() == set()


def test_a_program_that_is_not_there_is_a_stop(posted: Posted, tmp_path: Path) -> None:
    config = VisionConfig(camera=CameraConfig(source="none"), cache=str(tmp_path))
    vision = VisionProcess(config, SystemClock(), posted, (str(tmp_path / "nothing"),))
    vision.start()
    assert eventually(lambda: bool(posted.reasons))
    assert "could not be started" in posted.reasons[0]
    vision.close()
    assert len(posted.events) == 1


def test_the_deciding_thread_never_waits_for_a_child_that_reads_nothing(fake: FakeChild, posted: Posted) -> None:
    vision = fake("hello(); time.sleep(60)")
    vision.start()
    assert eventually(lambda: bool(posted.of(events.VisionStarted)))
    photo = bytes(MAX_PHOTO_BYTES)
    began_at = time.monotonic()
    for number in range(2 * WAITING_ORDERS):
        vision.encode_photo(f"r:{number}", photo)  # the socket is full after a part of the first
    vision.start()
    vision.kill("it reads nothing")
    assert time.monotonic() - began_at < 1.0
    assert eventually(lambda: posted.reasons == ["it reads nothing"])


def test_both_directions_full_do_not_lock_up(fake: FakeChild, posted: Posted) -> None:
    vision = fake(
        """
        hello()
        for _ in range(100): beat()
        time.sleep(1.2)
        while True: beat(); time.sleep(0.01)
        """
    )
    vision.start()
    assert eventually(lambda: bool(posted.of(events.VisionStarted)))
    for number in range(5):
        vision.encode_photo(f"r:{number}", bytes(MAX_PHOTO_BYTES))
    assert eventually(lambda: len(posted.of(events.VisionBeat)) > 120)
    began_at = time.monotonic()
    vision.close()
    assert time.monotonic() - began_at < 1.0
    assert posted.reasons == ["the agent ends"]


def test_the_first_orders_are_the_configuration_and_the_watch(fake: FakeChild, posted: Posted) -> None:
    vision = fake(
        """
        names = []
        while len(names) < 4:
            body, photo = struct.unpack("!II", connection.recv(8, socket.MSG_WAITALL))
            names.append(json.loads(connection.recv(body, socket.MSG_WAITALL))["type"])
            connection.recv(photo, socket.MSG_WAITALL)
        print(*names, flush=True)
        """
    )
    vision.start()
    vision.encode_photo("r:1", b"one")  # before the child can be there
    vision.encode_photo("r:2", b"two")
    assert eventually(lambda: bool(posted.reasons))
    assert posted.reasons == ["configure watch encode_photo encode_photo"]


def test_a_photo_that_is_too_large_is_refused_at_once(fake: FakeChild, posted: Posted) -> None:
    fake("").encode_photo("r:1", bytes(MAX_PHOTO_BYTES + 1))
    (refused,) = posted.events
    assert isinstance(refused, events.PhotoRefused)
    assert (refused.order, refused.reason) == ("r:1", "too_large")


def test_a_second_start_while_a_child_lives_does_nothing(fake: FakeChild, posted: Posted) -> None:
    vision = fake("hello(); time.sleep(60)")
    vision.start()
    vision.start()
    assert eventually(lambda: bool(posted.of(events.VisionStarted)))
    vision.start()
    assert len(children()) == 1
    vision.close()
    vision.start()  # nor after the end
    assert len(posted.of(events.VisionStarted)) == len(posted.reasons) == 1


def test_a_child_that_is_started_as_the_last_one_stops_comes_up(tmp_path: Path) -> None:
    stopped: list[Event] = []
    script = tmp_path / "child.py"
    script.write_text("import os; os._exit(0)")
    config = VisionConfig(camera=CameraConfig(source="none"), cache=str(tmp_path))

    def post(event: Event) -> None:  # on the dying life's own thread: the earliest moment there is
        stopped.append(event)
        if len(stopped) < 20:
            vision.start()

    vision = VisionProcess(config, SystemClock(), post, (sys.executable, "-I", "-S", str(script)))
    vision.start()
    assert eventually(lambda: len(stopped) == 20)
    vision.close()
    assert len(stopped) == 20


def test_a_hundred_starts_and_kills_leave_nothing_behind(fake: FakeChild, posted: Posted) -> None:
    vision = fake("hello(); time.sleep(60)")
    open_before, threads_before = descriptors(), threading.active_count()
    for number in range(100):
        vision.start()
        if number % 3 == 0:
            assert eventually(lambda: len(posted.of(events.VisionStarted)) > 0)
        elif number % 3 == 1:
            time.sleep(0.003)  # somewhere within the spawn
        vision.kill(str(number))
        assert eventually(partial(has_stopped, posted, number + 1))
    assert posted.reasons == [str(number) for number in range(100)]
    assert eventually(lambda: threading.active_count() == threads_before)
    assert descriptors() == open_before
    assert children() == set()


def test_what_a_child_prints_is_bounded_and_harmless(
    fake: FakeChild, posted: Posted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    vision = fake(
        r"""
        for _ in range(20_000): print("no frame", file=sys.stderr)
        print("\x1b[2J\x07 " + "x" * 100_000)
        os.write(2, b"\xff\xfe\n" + b"y" * 300_000)
        """
    )
    vision.start()
    assert eventually(lambda: bool(posted.reasons))
    lines = [record.getMessage() for record in caplog.records]
    assert 1 <= len(lines) <= 4 * STDERR_LINES_PER_S  # it runs within two or three seconds
    assert all(len(line) <= LINE_CHARACTERS + 20 for line in lines)
    assert all(line.isprintable() for line in lines)
    assert len(posted.reasons[0]) <= LINE_CHARACTERS


def test_a_stop_signal_to_the_child_alone_is_not_the_agents_end(fake: FakeChild, posted: Posted) -> None:
    vision = fake("hello(); time.sleep(60)")
    vision.start()
    assert eventually(lambda: bool(posted.of(events.VisionStarted)))
    (child,) = children()
    os.kill(int(child), signal.SIGKILL)
    assert eventually(lambda: bool(posted.reasons))
    assert posted.reasons == ["it ended with code -9"]
