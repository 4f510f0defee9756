"""What the agent and the vision child say to each other: typed, versioned, bounded, and never pickled.

The child decodes pictures that anybody may have made, so the agent trusts nothing it sends: a message is a length, then
that many bytes of JSON, and every field has a bound that is checked here before anything acts on it. Orders go to the
child, facts come back.

The agent speaks first (`Configure`), the child answers `Hello` once its networks are loaded, and from then on either
side speaks when it likes. A new kind of message, or a new field without a default, is a new `PROTOCOL_VERSION`: both
ends come from one installation, so a difference means a half-finished update, and is refused rather than bridged.
Times are seconds of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROTOCOL_VERSION = 1
VECTOR_LENGTH = 128
MAX_PHOTO_BYTES = 16 * 1024 * 1024  # a 50-megapixel phone's JPEG has 10 to 15 MB
MAX_ORDER_BYTES = MAX_PHOTO_BYTES * 4 // 3 + 4096  # a photo as base64, and room for the envelope
MAX_FACT_BYTES = 16 * 1024  # the largest fact is one vector: 684 characters of base64 and its fields
_VECTOR_TEXT_LENGTH = -(-VECTOR_LENGTH * 4 // 3) * 4  # base64 of 512 bytes
_NORM_TOLERANCE = 1e-3  # float32 rounding is 1e-6; anything further off was not normalised
_LENGTH = struct.Struct("!I")


class ProtocolError(Exception):
    """The other side said something that this protocol does not allow; the connection is of no more use."""


# --- fields ----------------------------------------------------------------------------------------------------------

OrderId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
Code = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(max_length=300)]
Moment = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Vector = Annotated[str, Field(min_length=_VECTOR_TEXT_LENGTH, max_length=_VECTOR_TEXT_LENGTH)]
Photo = Annotated[
    bytes,
    Field(max_length=MAX_PHOTO_BYTES),
    BeforeValidator(lambda value: _decode_base64(value) if isinstance(value, str) else value),
    PlainSerializer(lambda value: base64.b64encode(value).decode("ascii"), return_type=str),
]


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def encode_vector(vector: NDArray[np.float32]) -> str:
    """(128,) float32, length 1, as base64 of its little-endian bytes. Raises `ValueError` for any other vector."""
    _check_vector(vector)
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")


def decode_vector(text: str) -> NDArray[np.float32]:
    """The (128,) float32 vector in `text`, its length made exactly 1. Raises `ProtocolError` unless it is one."""
    try:
        vector = np.frombuffer(_decode_base64(text), dtype="<f4").astype(np.float32)
        _check_vector(vector)
    except ValueError as error:
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
    brightness_floor: float = Field(35.0, ge=0, le=255)
    brightness_ceiling: float = Field(225.0, ge=0, le=255)
    sharpness_floor: float = Field(8.0, ge=0)
    fresh_within_s: float = Field(3.0, gt=0, le=60)
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


class EncodePhoto(Message):
    """Answer with `PhotoEncoded` or `PhotoRefused` for one photo (the bytes of a JPEG or PNG file)."""

    type: Literal["encode_photo"] = "encode_photo"
    id: OrderId
    photo: Photo = Field(repr=False)


class Stop(Message):
    """Let go of the camera and end."""

    type: Literal["stop"] = "stop"


Order = Annotated[Configure | Watch | EncodePhoto | Stop, Field(discriminator="type")]


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


AnyFact = Annotated[
    Hello | Beat | CameraFailed | CameraRecovered | FaceSeen | FaceUnusable | TrackEnded | PhotoEncoded | PhotoRefused,
    Field(discriminator="type"),
]

_ORDERS: TypeAdapter[Order] = TypeAdapter(Order)
_FACTS: TypeAdapter[AnyFact] = TypeAdapter(AnyFact)


# --- bytes -----------------------------------------------------------------------------------------------------------


def pack(message: Message) -> bytes:
    """The message as it goes onto the wire."""
    body = message.model_dump_json().encode()
    return _LENGTH.pack(len(body)) + body


def parse_order(body: bytes) -> Order:
    """The order in `body`. Raises `ProtocolError`."""
    try:
        return _ORDERS.validate_json(body)
    except ValidationError as error:
        raise ProtocolError(_summary(error)) from None


def parse_fact(body: bytes) -> AnyFact:
    """The fact in `body`. Raises `ProtocolError`."""
    try:
        return _FACTS.validate_json(body)
    except ValidationError as error:
        raise ProtocolError(_summary(error)) from None


def _summary(error: ValidationError) -> str:
    """The first mistake, without the value: the text is shown and logged, and the value may be anything."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(part for part in map(str, first["loc"]) if part.isidentifier())[:100]
    return f"a message is malformed at {where or 'its top'}: {first['type']} ({error.error_count()} mistakes)"


def read_body(receive: Callable[[int], bytes], limit: int) -> bytes | None:
    """The next message's bytes, or None at a clean end between two messages.

    `receive` is `socket.recv` or the like. A length above `limit` is refused before anything is read or set aside.
    Raises `ProtocolError`, and whatever `receive` raises.
    """
    head = _read_exactly(receive, _LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise ProtocolError("the stream ended inside a message's length")
    (length,) = _LENGTH.unpack(head)
    if not 2 <= length <= limit:
        raise ProtocolError(f"a message of {length} bytes is outside 2 to {limit}")
    body = _read_exactly(receive, length)
    if len(body) < length:
        raise ProtocolError("the stream ended inside a message")
    return body


def _read_exactly(receive: Callable[[int], bytes], count: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < count:
        chunk = receive(min(count - len(chunks), 65536))
        if not chunk:
            break
        chunks += chunk
    return bytes(chunks)
