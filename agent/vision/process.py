"""The vision child: `python -m agent.vision FD`. Owns the camera, speaks `protocol` over the socket FD.

Everything native that may hang or crash runs here, so that it can be killed without taking the door with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import cv2

from agent.vision.capture import Capture, Source
from agent.vision.engine import FaceEngine, load_engine
from agent.vision.enrolment import EnrolmentPipeline
from agent.vision.models import EngineError
from agent.vision.photos import PhotoRefusedError, encode_photo
from agent.vision.pipeline import Pipeline
from agent.vision.protocol import (
    PROTOCOL_VERSION,
    Beat,
    CameraFailed,
    CameraRecovered,
    Challenge,
    Configure,
    EncodePhoto,
    Enrol,
    Fact,
    Hello,
    Order,
    PhotoEncoded,
    PhotoRefused,
    ProtocolError,
    SimulatedCameraConfig,
    Stop,
    VisionConfig,
    Watch,
    encode_vector,
    pack,
    read_order,
)
from agent.vision.quality import Floors, eyes_and_nose
from drivers.camera import load_picture, open_camera
from drivers.errors import DriverError
from drivers.simulated.camera import Portrait, SimulatedCamera
from drivers.simulated.rider import FaceOutline

log = logging.getLogger(__name__)

BEAT_S = 1.0
HANG_S = 12.0
"""A camera's driver that does not return for so long: only a new process helps. OpenCV gives up on V4L2 after 10 s."""

ORDERS_MAX = 2  # photos that wait here; more wait in the socket and with the agent
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


def main(descriptor: int) -> int:
    """Serve one agent over the socket `descriptor` until it says stop or is gone. Returns the exit code."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_DUMPABLE, 0)  # a core file would hold faces
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the agent says when to stop
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    cv2.setNumThreads(1)  # the other cores belong to the door
    with socket.socket(fileno=descriptor) as connection:
        try:
            return _serve(connection)
        except (EngineError, ProtocolError, OSError) as error:
            print(error, file=sys.stderr)
            return 1


def _serve(connection: socket.socket) -> int:
    first = read_order(connection.recv)
    if not isinstance(first, Configure) or first.protocol != PROTOCOL_VERSION:
        raise ProtocolError(f"the agent must begin with Configure of version {PROTOCOL_VERSION}")
    config = first.config
    os.nice(config.niceness)
    engine = load_engine(
        engine=config.engine, detector=config.detector, models=config.models_path, cache=Path(config.cache)
    )
    child = _Child(connection, engine, config)
    child.send(
        Hello(
            at=time.monotonic(),
            protocol=PROTOCOL_VERSION,
            engine=engine.name,
            weights=engine.weights,
            detector=engine.detector_name,
        )
    )
    return child.run()


class _Child:
    """The main loop: orders first, then the newest frame, then the beat."""

    def __init__(self, connection: socket.socket, engine: FaceEngine, config: VisionConfig) -> None:
        self._connection = connection
        self._engine = engine
        self._config = config
        self._orders: queue.Queue[Order | None] = queue.Queue(ORDERS_MAX)
        self._capture: Capture | None = None
        self._pipeline: Pipeline | EnrolmentPipeline | None = None
        self._watch_order: Watch | None = None
        self._frames = 0
        self._frame_at: float | None = None
        self._has_failed = False
        self._beat_at = 0.0
        self._portraits: dict[str, Portrait] = {}
        threading.Thread(target=self._read_orders, name="orders", daemon=True).start()

    def run(self) -> int:
        try:
            while self._obey():
                self._watch()
                self._beat()
            return 0
        finally:
            if self._capture is not None:
                self._capture.close()

    def send(self, *facts: Fact) -> None:
        for fact in facts:
            self._connection.sendall(pack(fact))

    def _obey(self) -> bool:
        """Carry out the orders that wait, but one photo at a time: between them frames and beats go on.

        False when it is time to end.
        """
        while True:
            try:
                # Without a camera to look through there is nothing else to wait for.
                order = self._orders.get(timeout=BEAT_S / 2) if self._capture is None else self._orders.get_nowait()
            except queue.Empty:
                return True
            match order:
                case None | Stop():
                    return False
                case Watch():
                    self._begin_to_watch(order)
                case Enrol():
                    self._begin_to_enrol(order)
                case Challenge():
                    self.send(*self._challenge(order))
                case EncodePhoto():
                    self.send(self._encode(order))
                    return True
                case Configure():
                    raise ProtocolError("Configure came twice")

    def _begin_to_watch(self, order: Watch) -> None:
        self._watch_order = order
        pipeline = Pipeline(
            self._engine,
            self._floors(),
            order.id,
            is_proof_needed=self._config.liveness != "off",
            is_mirrored=self._config.is_mirrored,
        )
        self._look_with(pipeline)

    def _challenge(self, order: Challenge) -> list[Fact]:
        now = time.monotonic()
        if isinstance(self._pipeline, Pipeline):
            return self._pipeline.challenge(order, now)
        return []  # somebody is enrolled meanwhile, and with the track its challenge ended

    def _begin_to_enrol(self, order: Enrol) -> None:
        until = time.monotonic() + order.seconds
        self._look_with(EnrolmentPipeline(self._engine, self._floors(), order.id, until))

    def _floors(self) -> Floors:
        return Floors(self._config.face_width_floor_px, self._config.score_floor)

    def _look_with(self, pipeline: Pipeline | EnrolmentPipeline) -> None:
        if self._pipeline is not None:
            self.send(*self._pipeline.drop_track(time.monotonic()))
        self._pipeline = pipeline
        if self._capture is None:
            self._find_portraits()
            errors = (DriverError, cv2.error, OSError)
            self._capture = Capture(self._open_camera, errors, self._config.fresh_within_s)

    def _find_portraits(self) -> None:
        """Where the faces are in the portraits of a simulated camera; here, for the engine is for this thread only."""
        camera = self._config.camera
        if isinstance(camera, SimulatedCameraConfig):
            for name, each in camera.portraits.items():
                face = FaceOutline(each.face) if each.face else self._outline(Path(each.path))
                self._portraits[name] = Portrait(Path(each.path), face)

    def _outline(self, path: Path) -> FaceOutline | None:
        try:
            faces = self._engine.detect(load_picture(path))
        except DriverError:
            return None  # the camera says so when it is shown
        return FaceOutline(faces[0].box, *eyes_and_nose(faces[0].landmarks, self._engine.name)) if faces else None

    def _open_camera(self) -> Source:
        size = (self._config.width_px, self._config.height_px)
        camera = self._config.camera
        if isinstance(camera, SimulatedCameraConfig):
            return SimulatedCamera(Path(camera.stage), self._portraits, size=size, fps=self._config.fps)
        return open_camera(
            camera.source, size=size, fps=self._config.fps, is_looping=camera.is_looping, shown_s=camera.shown_s
        )

    def _watch(self) -> None:
        if self._capture is None or self._pipeline is None:
            return
        if isinstance(self._pipeline, EnrolmentPipeline) and time.monotonic() >= self._pipeline.until:
            self._begin_to_watch(self._watch_order or Watch(id="door"))  # an agent that forgot must not blind the door
        frame = self._capture.next(self._frames, BEAT_S / 5)
        if frame is not None:
            self._frames, self._frame_at = frame.number, frame.at
            if self._has_failed:
                self._has_failed = False
                self.send(CameraRecovered(at=time.monotonic()))
            self.send(*self._pipeline.take(frame))
            return
        reason = self._capture.failure()
        if reason and not self._has_failed:
            self._has_failed = True
            now = time.monotonic()
            self.send(*self._pipeline.drop_track(now), CameraFailed(at=now, reason=reason[:300]))
        if self._capture.is_stuck(HANG_S):
            raise OSError("the camera's driver hangs; a new process is needed")

    def _encode(self, order: EncodePhoto) -> Fact:
        try:
            vector = encode_photo(order.photo, self._engine)
        except PhotoRefusedError as error:
            return PhotoRefused(at=time.monotonic(), order=order.id, reason=error.reason)
        except Exception:  # the border of this order: whatever a decoder makes of hostile bytes, the camera goes on
            log.exception("a photo could not be worked on")
            return PhotoRefused(at=time.monotonic(), order=order.id, reason="not_readable")
        return PhotoEncoded(at=time.monotonic(), order=order.id, vector=encode_vector(vector))

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beat_at >= BEAT_S:
            self._beat_at = now
            self.send(Beat(at=now, frames=self._frames, frame_at=self._frame_at))

    def _read_orders(self) -> None:
        """A thread of its own: an order must be seen while a frame is worked on, and so must the agent's end."""
        order: Order | None = None
        with contextlib.suppress(OSError, ProtocolError):
            while (order := read_order(self._connection.recv)) is not None:
                self._orders.put(order)
        self._orders.put(None)
