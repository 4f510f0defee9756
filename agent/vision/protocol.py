"""What the agent and the vision child say to each other: typed, versioned, bounded, and never pickled.

The child decodes pictures that anybody may have made, so the agent trusts nothing it sends: a message is two lengths,
then that many bytes of JSON and that many bytes of photo (orders only: as text it would keep the interpreter busy for
45 ms), and every field has a bound that is checked here before anything acts on it. Orders go to the child, facts come
back.

The agent speaks first (`Configure`), the child answers `Hello` once its networks are loaded, and from then on either
side speaks when it likes. A new kind of message, or a new field without a default, is a new `PROTOCOL_VERSION`: both
ends come from one installation, so a difference means a half-finished update, and is refused rather than bridged.
Times are seconds of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agent.events import Movement, MovementAnswer

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROTOCOL_VERSION = 5
VECTOR_LENGTH = 128
MAX_PHOTO_BYTES = 6 * 1024 * 1024  # what the control socket lets in; a 12-megapixel JPEG has about 4 MiB
MAX_ORDER_BYTES = 256 * 1024  # the largest is a configuration with hundreds of portraits
MAX_FACT_BYTES = 4 * 1024  # the largest fact is one vector: 684 characters of base64 and its fields
_VECTOR_TEXT_LENGTH = -(-VECTOR_LENGTH * 4 // 3) * 4  # base64 of 512 bytes
_NORM_TOLERANCE = 1e-3  # float32 rounding is 1e-6; anything further off was not normalised
_LENGTHS = struct.Struct("!II")  # of the JSON and of the photo


class ProtocolError(Exception):
    """The other side said something that this protocol does not allow; the connection is of no more use."""


# --- fields ----------------------------------------------------------------------------------------------------------

OrderId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
Code = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(max_length=300)]
Moment = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
CodeText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[ -~]+$")]  # vision.codes.TEXT_MAX
Verdict = Literal["live", "undecided", "attack"]
Vector = Annotated[str, Field(min_length=_VECTOR_TEXT_LENGTH, max_length=_VECTOR_TEXT_LENGTH)]


def encode_vector(vector: NDArray[np.float32]) -> str:
    """(128,) float32, length 1, as base64 of its little-endian bytes. Raises `ValueError` for any other vector."""
    _check_vector(vector)
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")


def decode_vector(text: str) -> NDArray[np.float32]:
    """The (128,) float32 vector in `text`, its length made exactly 1. Raises `ProtocolError` unless it is one."""
    try:
        vector = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float32)
        _check_vector(vector)
    except ValueError as error:  # binascii.Error is one
        raise ProtocolError(f"a vector is not usable: {error}") from error
    unit: NDArray[np.float32] = vector / np.float32(np.linalg.norm(vector))
    return unit


def _check_vector(vector: NDArray[np.float32]) -> None:
    if vector.shape != (VECTOR_LENGTH,):
        raise ValueError(f"its shape is {vector.shape}, not ({VECTOR_LENGTH},)")
    if not np.isfinite(vector).all():
        raise ValueError("it has a value that is not finite")
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if not math.isclose(norm, 1.0, abs_tol=_NORM_TOLERANCE):
        raise ValueError(f"its length is {norm:.4f}, not 1")


class Message(BaseModel):
    """A message. Strict, unknown fields refused, and no value ever quoted in an error (it may be a face)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


# --- what the child is told about its work ---------------------------------------------------------------------------


class SimulatedPortrait(Message):
    """A picture of one person. `face`: x, y, width, height in its pixels; None: somewhere in the upper middle."""

    path: str
    face: tuple[int, int, int, int] | None = None


class CameraConfig(Message):
    """A camera that `drivers.camera.open_camera` can open: device, video file or folder of pictures."""

    kind: Literal["camera"] = "camera"
    source: str
    is_looping: bool = False
    shown_s: float = Field(1.0, gt=0, le=3600, description="how long each picture of a folder is shown")


class SimulatedCameraConfig(Message):
    """The camera without hardware: who stands before it is written in the file `stage`."""

    kind: Literal["simulated"] = "simulated"
    stage: str
    portraits: dict[str, SimulatedPortrait] = Field(default_factory=dict)


class VisionConfig(Message):
    """Everything that the child needs to know. Widths in pixels of the frame, levels 0 to 255, times in seconds."""

    camera: Annotated[CameraConfig | SimulatedCameraConfig, Field(discriminator="kind")]
    width_px: int = Field(640, ge=160, le=4096)
    height_px: int = Field(480, ge=120, le=4096)
    fps: float = Field(10.0, ge=1, le=60)
    engine: str = "dlib"
    detector: str = "auto"
    models: str | None = None
    cache: str
    face_width_floor_px: int = Field(80, ge=20, le=2000)
    score_floor: float | None = Field(None, description="None: the floor measured for the detector in use")
    is_mirrored: bool = Field(False, description="the right of the frame is the right of who stands before the camera")
    liveness: Literal["off", "photo", "challenge"] = "photo"
    fresh_within_s: float = Field(2.0, gt=0, le=60, description="a fault of the camera is told within 3 s")
    niceness: int = Field(5, ge=0, le=19, description="behind the deciding thread when the machine is busy")

    @property
    def models_path(self) -> Path | None:
        """The folder of networks that an operator installed."""
        return Path(self.models) if self.models else None


# --- orders: agent to child ------------------------------------------------------------------------------------------


class Configure(Message):
    """The first message, and only the first."""

    type: Literal["configure"] = "configure"
    protocol: int = PROTOCOL_VERSION
    config: VisionConfig


class Watch(Message):
    """Open the camera and report faces; every fact about them carries this `id`. A later one replaces it."""

    type: Literal["watch"] = "watch"
    id: OrderId


class Challenge(Message):
    """Judge whether the face of `track` turns to this side within `seconds`; `ChallengeAnswered` says so, once.

    `id`: of the challenge. A later one replaces it, and the former then has no answer.
    """

    type: Literal["challenge"] = "challenge"
    id: OrderId
    track: int = Field(ge=1)
    movement: Movement
    seconds: float = Field(gt=0, le=60)


class Enrol(Message):
    """Report the good frames of one person with their pose, in place of `Watch`, for at most `seconds`.

    A later `Watch` ends it sooner; at its own end the last `Watch` goes on.
    """

    type: Literal["enrol"] = "enrol"
    id: OrderId
    seconds: float = Field(gt=0, le=120)


class EncodePhoto(Message):
    """Answer with `PhotoEncoded` or `PhotoRefused` for one photo (the bytes of a JPEG or PNG file, behind the JSON)."""

    type: Literal["encode_photo"] = "encode_photo"
    id: OrderId
    photo: bytes = Field(b"", max_length=MAX_PHOTO_BYTES, repr=False, exclude=True)


class Stop(Message):
    """Let go of the camera and end."""

    type: Literal["stop"] = "stop"


Order = Annotated[Configure | Watch | Challenge | Enrol | EncodePhoto | Stop, Field(discriminator="type")]


# --- facts: child to agent -------------------------------------------------------------------------------------------


class Fact(Message):
    """`at`: when it arose; for what was seen, when its frame was captured."""

    at: Moment


class Hello(Fact):
    """The networks are loaded; the first fact, and only the first."""

    type: Literal["hello"] = "hello"
    protocol: int
    engine: Annotated[str, Field(min_length=1, max_length=80)]
    weights: Sha256
    detector: Annotated[str, Field(min_length=1, max_length=80)]


class Beat(Fact):
    """The main loop runs. `frames`: how many counted as evidence since the start; `frame_at`: the last of them."""

    type: Literal["beat"] = "beat"
    frames: int = Field(ge=0)
    frame_at: Moment | None


class CameraFailed(Fact):
    """No fresh frames."""

    type: Literal["camera_failed"] = "camera_failed"
    reason: Text


class CameraRecovered(Fact):
    """Fresh frames again."""

    type: Literal["camera_recovered"] = "camera_recovered"


class FaceSeen(Fact):
    """A face good enough to compare, in the track `track`, which began with the frame captured at `first_at`."""

    type: Literal["face_seen"] = "face_seen"
    order: OrderId
    track: int = Field(ge=1)
    first_at: Moment
    vector: Vector = Field(repr=False)
    score: float = Field(allow_inf_nan=False)
    width_px: int = Field(ge=1, le=10_000)
    liveness: Verdict = Field(description="of the track; `live` where no proof is asked for")
    turn: float = Field(ge=-10, le=10, allow_inf_nan=False, description="to the person's own left; see `challenge`")


class ChallengeAnswered(Fact):
    """What came of the challenge `challenge`; `turned` alone is good. The faces of its frames were told before."""

    type: Literal["challenge_answered"] = "challenge_answered"
    order: OrderId
    challenge: OrderId
    track: int = Field(ge=1)
    answer: MovementAnswer


class FaceUnusable(Fact):
    """A face is there but does not count."""

    type: Literal["face_unusable"] = "face_unusable"
    order: OrderId
    track: int = Field(ge=1)
    reason: Code


class TrackEnded(Fact):
    """The face left, or another one took its place."""

    type: Literal["track_ended"] = "track_ended"
    order: OrderId
    track: int = Field(ge=1)


class CodeSeen(Fact):
    """A QR code came into view. `text`: whatever it says, in printable ASCII."""

    type: Literal["code_seen"] = "code_seen"
    order: OrderId
    text: CodeText = Field(repr=False)


class PhotoEncoded(Fact):
    """The vector of the one face in the photo."""

    type: Literal["photo_encoded"] = "photo_encoded"
    order: OrderId
    vector: Vector = Field(repr=False)


class PhotoRefused(Fact):
    """The photo cannot be used."""

    type: Literal["photo_refused"] = "photo_refused"
    order: OrderId
    reason: Code


class EnrolmentFrame(Fact):
    """A good frame of the person who is enrolled. `turn`, `nod`: see `quality`."""

    type: Literal["enrolment_frame"] = "enrolment_frame"
    order: OrderId
    vector: Vector = Field(repr=False)
    turn: float = Field(ge=-10, le=10, allow_inf_nan=False)
    nod: float = Field(ge=0, le=10, allow_inf_nan=False)
    width_px: int = Field(ge=1, le=10_000)


class EnrolmentUnusable(Fact):
    """A face is there but cannot be enrolled from."""

    type: Literal["enrolment_unusable"] = "enrolment_unusable"
    order: OrderId
    reason: Code


AnyFact = Annotated[
    Hello
    | Beat
    | CameraFailed
    | CameraRecovered
    | FaceSeen
    | FaceUnusable
    | TrackEnded
    | ChallengeAnswered
    | CodeSeen
    | PhotoEncoded
    | PhotoRefused
    | EnrolmentFrame
    | EnrolmentUnusable,
    Field(discriminator="type"),
]

_ORDERS: TypeAdapter[Order] = TypeAdapter(Order)
_FACTS: TypeAdapter[AnyFact] = TypeAdapter(AnyFact)


# --- bytes -----------------------------------------------------------------------------------------------------------


def pack(message: Message) -> bytes:
    """The message as it goes onto the wire."""
    body = message.model_dump_json().encode()
    photo = message.photo if isinstance(message, EncodePhoto) else b""
    return _LENGTHS.pack(len(body), len(photo)) + body + photo


def read_order(receive: Callable[[int], bytes]) -> Order | None:
    """The next order, or None at a clean end between two. `receive` is `socket.recv` or the like.

    Raises `ProtocolError`, and whatever `receive` raises.
    """
    parts = _read(receive, MAX_ORDER_BYTES, MAX_PHOTO_BYTES)
    if parts is None:
        return None
    body, photo = parts
    try:
        order = _ORDERS.validate_json(body)
    except ValidationError as error:
        raise ProtocolError(_summary(error)) from None
    if not isinstance(order, EncodePhoto):
        if photo:
            raise ProtocolError("a photo came with an order that takes none")
        return order
    return order.model_copy(update={"photo": photo})


def read_fact(receive: Callable[[int], bytes]) -> AnyFact | None:
    """The next fact, or None at a clean end between two. See `read_order`."""
    parts = _read(receive, MAX_FACT_BYTES, 0)
    if parts is None:
        return None
    try:
        return _FACTS.validate_json(parts[0])
    except ValidationError as error:
        raise ProtocolError(_summary(error)) from None


def _summary(error: ValidationError) -> str:
    """The first mistake, without the value: the text is shown and logged, and the value may be anything."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(part for part in map(str, first["loc"]) if part.isidentifier())[:100]
    return f"a message is malformed at {where or 'its top'}: {first['type']} ({error.error_count()} mistakes)"


def _read(receive: Callable[[int], bytes], body_max: int, photo_max: int) -> tuple[bytes, bytes] | None:
    """The next message's JSON and photo; lengths past the bounds are refused before anything is read or set aside."""
    head = _read_exactly(receive, _LENGTHS.size)
    if not head:
        return None
    if len(head) < _LENGTHS.size:
        raise ProtocolError("the stream ended inside a message's length")
    body_length, photo_length = _LENGTHS.unpack(head)
    if not 2 <= body_length <= body_max or photo_length > photo_max:
        raise ProtocolError(f"a message of {body_length} and {photo_length} bytes is past {body_max} and {photo_max}")
    body = _read_exactly(receive, body_length)
    photo = _read_exactly(receive, photo_length)
    if len(body) < body_length or len(photo) < photo_length:
        raise ProtocolError("the stream ended inside a message")
    return body, photo


def _read_exactly(receive: Callable[[int], bytes], count: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < count:
        chunk = receive(min(count - len(chunks), 65536))
        if not chunk:
            break
        chunks += chunk
    return bytes(chunks)
