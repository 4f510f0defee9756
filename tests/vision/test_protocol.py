from __future__ import annotations

import base64
import contextlib
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.control.wire import PHOTO_BYTES_MAX
from agent.vision import protocol
from agent.vision.protocol import (
    MAX_FACT_BYTES,
    MAX_PHOTO_BYTES,
    Beat,
    CameraConfig,
    Configure,
    EncodePhoto,
    FaceSeen,
    Fact,
    Hello,
    Message,
    ProtocolError,
    SimulatedCameraConfig,
    Stop,
    VisionConfig,
    Watch,
    decode_vector,
    encode_vector,
    pack,
    read_fact,
    read_order,
)

UNIT = np.full(128, 1 / np.sqrt(128), np.float32)
FACTS: list[Fact] = [
    Hello(at=1.0, protocol=2, engine="dlib", weights="a" * 64, detector="hog"),
    Beat(at=1.0, frames=3, frame_at=None),
    protocol.CameraFailed(at=1.0, reason="unplugged"),
    protocol.CameraRecovered(at=1.0),
    FaceSeen(
        at=2.0,
        order="door",
        track=1,
        first_at=1.0,
        vector=encode_vector(UNIT),
        score=1.5,
        width_px=120,
        liveness="live",
        turn=-0.1,
    ),
    protocol.ChallengeAnswered(at=1.0, order="door", challenge="c-1", track=1, answer="turned"),
    protocol.FaceUnusable(at=1.0, order="door", track=1, reason="too_far"),
    protocol.TrackEnded(at=1.0, order="door", track=1),
    protocol.CodeSeen(at=1.0, order="door", text="A1 $%*+-./:"),
    protocol.PhotoEncoded(at=1.0, order="r:1", vector=encode_vector(UNIT)),
    protocol.PhotoRefused(at=1.0, order="r:1", reason="no_face"),
    protocol.EnrolmentFrame(at=1.0, order="r", vector=encode_vector(UNIT), turn=-0.1, nod=0.5, width_px=120),
    protocol.EnrolmentUnusable(at=1.0, order="r", reason="too_far"),
]
ORDERS: list[Message] = [
    Configure(config=VisionConfig(camera=CameraConfig(source="/dev/video0"), cache="c")),
    Configure(config=VisionConfig(camera=SimulatedCameraConfig(stage="s"), cache="c")),
    Watch(id="door"),
    EncodePhoto(id="r:1", photo=bytes(range(256))),
    protocol.Enrol(id="r", seconds=60.0),
    protocol.Challenge(id="c-1", track=1, movement="left", seconds=4.0),
    Stop(),
]


def receiver(data: bytes, step: int = 1 << 20) -> Callable[[int], bytes]:
    """A socket that gives at most `step` bytes at once."""
    at = 0

    def receive(count: int) -> bytes:
        nonlocal at
        chunk = data[at : at + min(count, step)]
        at += len(chunk)
        return chunk

    return receive


def framed(body: bytes, photo: bytes = b"") -> bytes:
    return struct.pack("!II", len(body), len(photo)) + body + photo


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_every_fact_arrives_as_it_was_sent_however_the_stream_is_cut(step: int) -> None:
    receive = receiver(b"".join(map(pack, FACTS)), step)
    assert [read_fact(receive) for _ in FACTS] == FACTS
    assert read_fact(receive) is None


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_every_order_arrives_as_it_was_sent(order: Message) -> None:
    receive = receiver(pack(order))
    assert read_order(receive) == order
    assert read_order(receive) is None


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!II", MAX_FACT_BYTES + 1, 0),
        struct.pack("!II", 2**32 - 1, 2**32 - 1),
        struct.pack("!II", 0, 0),
        struct.pack("!II", 2, 1),
        framed(b"{}"),
        framed(b"[]"),
        framed(b"\xff\xfe"),
        framed(b'{"type":"stop"}'),
        framed(b'{"type":"beat","at":1.0,"frames":-1,"frame_at":null}'),
        framed(b'{"type":"beat","at":NaN,"frames":1,"frame_at":null}'),
        framed(b'{"type":"beat","at":1e999,"frames":1,"frame_at":null}'),
        framed(b'{"type":"beat","at":1.0,"frames":true,"frame_at":null}'),
        framed(b'{"type":"beat","at":1.0,"frames":1,"frame_at":null,"more":1}'),
        framed(b'{"type":"track_ended","at":1.0,"order":"a b","track":1}'),
        framed(b'{"type":"face_unusable","at":1.0,"order":"a","track":1,"reason":"Too Far"}'),
        framed(b"[" * 4000),
        b"\0\0",
        struct.pack("!II", 30, 0) + b"{",
    ],
)
def test_a_fact_outside_the_protocol_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_fact(receiver(data))


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!II", 2, MAX_PHOTO_BYTES + 1),
        framed(b'{"type":"stop"}', b"photo"),
        struct.pack("!II", 32, 10) + b'{"type":"encode_photo","id":"a"}' + b"short",
    ],
)
def test_an_order_outside_the_protocol_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_order(receiver(data))


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_or_end_the_stream(data: bytes) -> None:
    receive = receiver(data)
    with contextlib.suppress(ProtocolError):
        assert read_fact(receive) is None
        assert not data


def test_a_refusal_quotes_no_value() -> None:
    with pytest.raises(ProtocolError) as caught:
        read_fact(receiver(framed(b'{"type":"photo_refused","at":1.0,"order":"SECRET NAME","reason":"no_face"}')))
    assert "SECRET" not in str(caught.value)
    assert "order" in str(caught.value)


def test_no_message_shows_a_photo_or_a_vector_in_its_text() -> None:
    assert "photo=" not in repr(EncodePhoto(id="a", photo=b"face"))
    assert encode_vector(UNIT) not in repr(FACTS[4])


@given(st.lists(st.floats(-1, 1, width=32), min_size=128, max_size=128).filter(lambda each: np.linalg.norm(each) > 0.1))
def test_a_vector_arrives_with_length_one(values: list[float]) -> None:
    vector = np.array(values, np.float64)
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    received = decode_vector(encode_vector(unit))
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, unit, atol=1e-6)
    assert abs(float(np.linalg.norm(received)) - 1) < 1e-6


@pytest.mark.parametrize(
    "vector", [UNIT * 2, UNIT * 0, UNIT[:127], np.full(128, np.nan, np.float32), np.full(128, np.inf, np.float32)]
)
def test_a_vector_that_is_no_direction_is_neither_sent_nor_taken(vector: np.ndarray) -> None:
    with pytest.raises(ValueError):
        encode_vector(vector)
    with pytest.raises(ProtocolError):
        decode_vector(base64.b64encode(vector.tobytes()).decode())


@pytest.mark.parametrize("text", ["", "=" * 684, "é" * 684, "A" * 683])
def test_text_that_is_no_vector_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_vector(text)


def test_a_photo_that_the_control_socket_lets_in_fits() -> None:
    assert MAX_PHOTO_BYTES == PHOTO_BYTES_MAX
    order = EncodePhoto(id="a", photo=bytes(MAX_PHOTO_BYTES))
    assert read_order(receiver(pack(order))) == order
