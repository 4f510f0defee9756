"""Reads `dlib_face_recognition_resnet_model_v1.dat` without dlib.

The file is what dlib's `serialize` wrote for one fixed network. This reads that network and no other: every version,
count and size is compared with what this network must have *before* anything is allocated, so that a truncated, foreign
or hostile file is refused at the first field that is wrong, with the offset.

The format (dlib `serialize.h`, `dnn/core.h`, `dnn/layers.h`, `dnn/tensor_tools.h`):

    integer   control byte (low 4 bits: how many bytes follow; 0x80: negative), then the bytes, little-endian
    float     integer mantissa, integer exponent of two
    string    integer length, bytes
    bool      b"1" or b"0"
    tensor    integer 2, four integer dimensions, float32 little-endian values

    file      integer 1, loss, nesting, input, layers, nothing after
    nesting   one version per layer from the output inwards: 2 a layer, 1 a tag or a skip, 3 the one on the input
    layers    from the input outwards: name, parameters, then the tail that dlib writes for each: three bools and three
              empty tensors (the innermost has one integer more)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.vision.models import ModelError, packaged_file, read_bounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHIP_PX = 150
VECTOR_LENGTH = 128
FILE_NAME = "dlib_face_recognition_resnet_model_v1.dat"
MEAN_RGB = (122.782, 117.001, 104.298)  # dlib `input_rgb_image_sized`: subtracted, then the rest is divided by 256
MAX_FILE_BYTES = 32 * 1024 * 1024  # the file has 22,466,066; more cannot be this network

_STEM_CHANNELS = 32
# Output channels of the 14 residual blocks from the input on; True: the block halves rows and columns.
_BLOCKS = (
    *((32, False),) * 3,
    *((64, True), *((64, False),) * 3),
    *((128, True), *((128, False),) * 2),
    *((256, True), *((256, False),) * 2),
    (256, True),
)
_LAYER_VERSION, _TAG_VERSION, _INPUT_LAYER_VERSION = 2, 1, 3
_FC_NO_BIAS = 1
_CONVOLUTION_MODE = 0
_EMPTY = (0, 0, 0, 0)


class WeightsError(ModelError):
    """The bytes are not the network that they should be; the message says what is wrong and where."""


@dataclass(frozen=True)
class Convolution:
    """A convolution with its affine layer folded in. `weights`: (out, in, rows, columns) float32; `bias`: (out,)."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int
    padding: int


@dataclass(frozen=True)
class ResidualBlock:
    """relu(second(relu(first(x))) + x); where `halves`, x is 2 × 2 averaged and the smaller term is zero-padded."""

    first: Convolution
    second: Convolution
    halves: bool


@dataclass(frozen=True)
class ResNet:
    """The network: stem, 3 × 3 max pool with stride 2, blocks, global average, product with `projection` (256, 128)."""

    stem: Convolution
    blocks: tuple[ResidualBlock, ...]
    projection: NDArray[np.float32]


def read_weights() -> bytes:
    """The bytes of the file inside the package `face_recognition_models`; raises `ModelError`, any thread."""
    return read_bounded(packaged_file(FILE_NAME), MAX_FILE_BYTES, remedy="install face_recognition_models again")


def parse_weights(data: bytes) -> ResNet:
    """The network in `data`, any thread. Raises `WeightsError` naming the first field that is wrong and its offset."""
    reader = _Reader(data)
    _read_head(reader)
    stem = _read_folded(reader, channels=3, filters=_STEM_CHANNELS, size=7, stride=2, padding=0, innermost=True)
    _read_relu(reader)
    _read_pool(reader, "max_pool_2", size=3, stride=2)
    blocks = []
    channels = _STEM_CHANNELS
    for filters, halves in _BLOCKS:
        blocks.append(_read_block(reader, channels, filters, halves))
        channels = filters
    _read_pool(reader, "avg_pool_2", size=0, stride=1)
    projection = _read_projection(reader, channels)
    reader.expect_end()
    return ResNet(stem, tuple(blocks), projection)


class _Reader:
    """A cursor over the bytes; each read checks what it reads against what this network must have."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def refuse(self, what: str, at: int | None = None) -> WeightsError:
        where = self._at if at is None else at
        return WeightsError(f"not a usable {FILE_NAME}: {what} at byte {where}; install face_recognition_models again")

    def take(self, count: int, what: str) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise self.refuse(f"the file ends inside {what}")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def integer(self, what: str) -> int:
        start = self._at
        control = self.take(1, what)[0]
        count = control & 0x0F
        if control & 0x70 or not 1 <= count <= 8:
            raise self.refuse(f"{what} is not an integer", start)
        value = int.from_bytes(self.take(count, what), "little")
        return -value if control & 0x80 else value

    def expect(self, expected: int, what: str) -> None:
        start = self._at
        value = self.integer(what)
        if value != expected:
            raise self.refuse(f"{what} is {value}, not {expected}", start)

    def real(self, what: str) -> float:
        start = self._at
        mantissa, exponent = self.integer(what), self.integer(what)
        if abs(exponent) > 1100:  # a double has exponents down to -1074; dlib marks inf and nan with 32000 and up
            raise self.refuse(f"{what} is not a finite number", start)
        return float(np.ldexp(float(mantissa), exponent))

    def name(self, expected: str) -> None:
        start = self._at
        length = self.integer("a layer's name")
        if length != len(expected) or self.take(length, "a layer's name") != expected.encode():
            raise self.refuse(f"the layer {expected} is not where it must be", start)

    def flag(self, what: str) -> None:
        start = self._at
        if self.take(1, what) not in (b"0", b"1"):
            raise self.refuse(f"{what} is neither 0 nor 1", start)

    def shape(self, expected: tuple[int, int, int, int], version: int, what: str) -> None:
        self.expect(version, f"the version of {what}")
        for size in expected:
            self.expect(size, f"a dimension of {what}")

    def tensor(self, expected: tuple[int, int, int, int], what: str) -> NDArray[np.float32]:
        self.shape(expected, 2, what)
        start = self._at
        values = np.frombuffer(self.take(4 * int(np.prod(expected)), what), "<f4")
        if not np.isfinite(values).all():
            raise self.refuse(f"{what} has a value that is not a finite number", start)
        return values.reshape(expected).astype(np.float32)

    def expect_end(self) -> None:
        if self._at != len(self._data):
            raise self.refuse(f"{len(self._data) - self._at} bytes follow the network")


def _read_head(reader: _Reader) -> None:
    reader.expect(1, "the version of the loss")
    reader.name("loss_metric_2")
    for what in ("the loss's margin", "the loss's distance"):
        reader.real(what)
    for version in _nesting():
        reader.expect(version, "the nesting of the layers")
    reader.name("input_rgb_image_sized")
    for expected in MEAN_RGB:
        mean = reader.real("the mean colour")
        if np.float32(mean) != np.float32(expected):
            raise reader.refuse(f"the mean colour is {mean}, not {expected}")
    for what in ("the input's rows", "the input's columns"):
        reader.expect(CHIP_PX, what)


def _nesting() -> Iterator[int]:
    yield from (_LAYER_VERSION,) * 2  # product, global average
    for _, halves in reversed(_BLOCKS):
        yield from (_LAYER_VERSION,) * 2  # ReLU, sum
        if halves:
            yield from (_LAYER_VERSION, _TAG_VERSION, _TAG_VERSION)  # average pool on a skip, tag of the main path
        yield from (_LAYER_VERSION,) * 5  # affine, convolution, ReLU, affine, convolution
        yield _TAG_VERSION
    yield from (_LAYER_VERSION,) * 3  # max pool, ReLU, affine
    yield _INPUT_LAYER_VERSION


def _read_block(reader: _Reader, channels: int, filters: int, halves: bool) -> ResidualBlock:
    stride, padding = (2, 0) if halves else (1, 1)
    first = _read_folded(reader, channels=channels, filters=filters, size=3, stride=stride, padding=padding)
    _read_relu(reader)
    second = _read_folded(reader, channels=filters, filters=filters, size=3, stride=1, padding=1)
    if halves:
        _read_pool(reader, "avg_pool_2", size=2, stride=2)
    reader.name("add_prev_")
    _read_tail(reader)
    _read_relu(reader)
    return ResidualBlock(first, second, halves)


def _read_folded(
    reader: _Reader, *, channels: int, filters: int, size: int, stride: int, padding: int, innermost: bool = False
) -> Convolution:
    """A convolution y = Wx + b and the affine layer γy + β after it, as one: (γW)x + (γb + β)."""
    reader.name("con_4")
    count = filters * channels * size * size
    values = reader.tensor((count + filters, 1, 1, 1), "a convolution").ravel()
    for what, expected in (
        ("filters", filters),
        ("rows", size),
        ("columns", size),
        ("stride y", stride),
        ("stride x", stride),
        ("padding y", padding),
        ("padding x", padding),
    ):
        reader.expect(expected, f"a convolution's {what}")
    reader.shape((filters, channels, size, size), 1, "a convolution's filters")
    reader.shape((1, filters, 1, 1), 1, "a convolution's biases")
    _read_rates(reader)
    _read_tail(reader)
    if innermost:
        reader.expect(1, "the sample expansion factor")

    reader.name("affine_")
    gamma, beta = reader.tensor((2 * filters, 1, 1, 1), "an affine layer").astype(np.float64).reshape(2, filters)
    for what in ("gammas", "betas"):
        reader.shape((1, filters, 1, 1), 1, f"an affine layer's {what}")
    reader.expect(_CONVOLUTION_MODE, "an affine layer's mode")
    _read_tail(reader)

    weights = values[:count].astype(np.float64).reshape(filters, channels, size, size)
    return Convolution(
        (weights * gamma[:, None, None, None]).astype(np.float32),
        (values[count:] * gamma + beta).astype(np.float32),
        stride,
        padding,
    )


def _read_relu(reader: _Reader) -> None:
    reader.name("relu_")
    _read_tail(reader)


def _read_pool(reader: _Reader, name: str, *, size: int, stride: int) -> None:
    """A pooling layer; size 0 means the whole picture."""
    reader.name(name)
    for what, expected in (("size", size), ("stride", stride), ("padding", 0)):
        for axis in ("y", "x"):
            reader.expect(expected, f"the {what} {axis} of {name}")
    _read_tail(reader)


def _read_projection(reader: _Reader, channels: int) -> NDArray[np.float32]:
    reader.name("fc_2")
    reader.expect(VECTOR_LENGTH, "the length of a vector")
    reader.expect(channels, "the inputs of the last layer")
    shape = (channels, VECTOR_LENGTH, 1, 1)
    projection = reader.tensor(shape, "the last layer")
    reader.shape(shape, 1, "the last layer's weights")
    reader.shape(_EMPTY, 1, "the last layer's biases")
    reader.expect(_FC_NO_BIAS, "the last layer's bias mode")
    _read_rates(reader)
    _read_tail(reader)
    return projection.reshape(channels, VECTOR_LENGTH)


def _read_rates(reader: _Reader) -> None:
    """Four learning rates and decays, which only training used."""
    for _ in range(4):
        reader.real("a learning rate")


def _read_tail(reader: _Reader) -> None:
    for _ in range(3):
        reader.flag("a layer's flag")
    for _ in range(3):
        reader.shape(_EMPTY, 2, "a layer's gradient")
