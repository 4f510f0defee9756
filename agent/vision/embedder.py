"""A face vector by `cv2.dnn` from dlib's own weights: many times faster, and without the interpreter's lock.

The network of `dlib_weights` is rewritten once as two ONNX graphs and kept beside the state. The file in the cache
carries the sha256 of the weights it was made from and of its own content; when either differs it is made again.

What was measured with OpenCV 5.0.0, one thread, and shaped the graphs (as one graph read plainly: 9.4 ms):

- Only the classic engine has Winograd's convolution, and only from 12 × 12 up: 0.15 ms in place of 0.36 ms a layer at
  32 channels. Below that the new engine's plain one is the faster: 0.21 ms against 0.38 ms at 128 channels. So the
  classic engine runs the stem and the blocks of 32 and 64 channels, the new one the rest.
- The stem (7 × 7, stride 2) took 1.3 ms. As a 3 × 3 convolution of the picture's four phases it takes 0.5 ms.
- The new engine is slow at strides: 0.25 and 0.35 ms for the first layers of 128 and 256 channels. With the windows
  laid out beforehand they are products with a 1 × 1 kernel: 0.16 and 0.13 ms, and the same numbers to the last bit.
- What is left are 2.4 ms in front and 2.4 ms behind where each layer's weights are in the processor's cache; one after
  the other they are not, for a vector reads 26 MB of them, and it is 2.9 and 2.6 ms. That is 270 million products at
  some 45 thousand million a second, less what Winograd's trick saves in front. The layers of 128 and 256 channels are
  at the speed of a plain matrix product: at 8 × 8 and 4 × 4 pixels the trick's weights would be two to four times as
  many, and cost more to read than it saves. onnxruntime 1.31 takes 6.5 ms for the whole in one graph: no gain.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.vision.dlib_weights import (
    CHIP_PX,
    MEAN_RGB,
    VECTOR_LENGTH,
    Convolution,
    ResidualBlock,
    ResNet,
    parse_weights,
    read_weights,
)
from agent.vision.models import EngineError, sha256_of
from agent.vision.onnx_graph import OnnxGraph

if TYPE_CHECKING:
    from numpy.typing import NDArray

CACHE_FILE = "dlib_resnet.net"
_CONVERTER = 3  # raised when `convert` writes other graphs from the same weights
_MAX_CACHE_BYTES = 32 * 1024 * 1024  # as large as the weights may be; the graphs have 22.5 MB

_FRONT_BLOCKS = 7  # the blocks of 32 and 64 channels, down to 17 × 17
_PHASES_PX = 74  # 72 + 3 - 1: what a 3 × 3 window needs for the stem's 72 rows and columns
# The stem's planes, as (row, column) where each begins in the chip; every second pixel from there. The first four are
# the phases, and hold the taps 0 to 2 of the 4 × 4 that a phase sees of an 8 × 8 kernel. Tap 3 is in the same phase
# moved by one, so by two pixels of the chip: in its last column, its last row, and both.
_PLANES = ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (1, 2), (2, 0), (2, 1), (2, 2))

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Graphs:
    """The network as two .onnx files: `front` from the planes to 64 × 17 × 17, `back` from there to the vector."""

    front: bytes
    back: bytes


class ResNetEmbedder:
    """dlib's face ResNet on `cv2.dnn`. `weights`: sha256 of the source file. One thread at a time."""

    def __init__(self, graphs: Graphs, weights: str) -> None:
        self.weights = weights
        # A later OpenCV without the classic engine still computes the same, only slower.
        classic = getattr(cv2.dnn, "ENGINE_CLASSIC", cv2.dnn.ENGINE_AUTO)
        try:
            self._front = _read_net(graphs.front, classic)
            self._back = _read_net(graphs.back, cv2.dnn.ENGINE_AUTO)
        except cv2.error as error:
            raise EngineError(f"OpenCV {cv2.__version__} cannot read the converted network: {error.err}") from error

    def embed(self, chip_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """dlib's 128 numbers, (128,) float32, not normalised. `chip_rgb`: (150, 150, 3) uint8 RGB.

        Raises `EngineError` when the network gives anything but finite numbers.
        """
        if chip_rgb.shape != (CHIP_PX, CHIP_PX, 3) or chip_rgb.dtype != np.uint8:
            raise ValueError(f"a chip is (150, 150, 3) uint8, not {chip_rgb.shape} {chip_rgb.dtype}")
        self._front.setInput(split_phases(chip_rgb))
        self._back.setInput(self._front.forward())
        vector = np.array(self._back.forward(), np.float32).ravel()
        if vector.shape != (VECTOR_LENGTH,) or not np.isfinite(vector).all():
            raise EngineError("the network gave no finite vector: remove its cached file and start again")
        return vector


def _read_net(graph: bytes, engine: int) -> cv2.dnn.Net:
    """OpenCV 5.0 heeds the choice of engine only for a named file, so the bytes go through one in memory."""
    handle = os.memfd_create("network")
    with os.fdopen(handle, "wb") as file:
        file.write(graph)
        file.flush()
        return cv2.dnn.readNetFromONNX(f"/proc/self/fd/{handle}", engine=engine)


def split_phases(chip_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The chip as the front graph takes it: (1, 27, 74, 74) float32, the mean colour subtracted, divided by 256."""
    planar = cv2.dnn.blobFromImage(chip_rgb, 1 / 256, mean=MEAN_RGB)[0]
    span = 2 * _PHASES_PX
    planes = np.empty((len(_PLANES), 3, _PHASES_PX, _PHASES_PX), np.float32)
    for plane, (row, column) in zip(planes, _PLANES, strict=True):
        plane[:] = planar[:, row : row + span : 2, column : column + span : 2]
    return planes.reshape(1, -1, _PHASES_PX, _PHASES_PX)


def load_embedder(cache: Path) -> ResNetEmbedder:
    """Build the embedder, with the converted network from `cache` where that is whole and of the same weights.

    A cache that cannot be written is logged and done without. Raises `ModelError` when the weights are unusable.
    """
    source = read_weights()
    weights = sha256_of(source)
    path = cache / CACHE_FILE
    graphs = read_cached(path, weights)
    if graphs is None:
        graphs = convert(parse_weights(source))
        try:
            write_cached(path, weights, graphs)
        except OSError as error:
            _log.warning("the converted network is not kept: %s cannot be written (%s)", path, error.strerror)
    return ResNetEmbedder(graphs, weights)


def read_cached(path: Path, weights: str) -> Graphs | None:
    """The network in the cache, or None when there is none, it is damaged, or it was made from other weights."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_CACHE_BYTES + 1)
    except OSError:
        return None
    head, _, content = data.partition(b"\n")
    if len(data) > _MAX_CACHE_BYTES or head != _head(weights, content):
        _log.info("%s is damaged or of other weights: it is made again", path)
        return None
    middle = 8 + int.from_bytes(content[:8], "little")
    return Graphs(content[8:middle], content[middle:])


def write_cached(path: Path, weights: str, graphs: Graphs) -> None:
    """Put the network into the cache at once or not at all; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = len(graphs.front).to_bytes(8, "little") + graphs.front + graphs.back
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_head(weights, content) + b"\n" + content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _head(weights: str, content: bytes) -> bytes:
    return f"station-agent network {_CONVERTER} weights {weights} content {sha256_of(content)}".encode()


def convert(network: ResNet) -> Graphs:
    """The network as two graphs that compute the same vector."""
    front = OnnxGraph("front", input_name="planes", input_shape=(1, 3 * len(_PLANES), _PHASES_PX, _PHASES_PX))
    x = front.add("Relu", _convolve(front, "planes", _split_stem(network.stem)))
    x = front.add("MaxPool", x, kernel_shape=(3, 3), strides=(2, 2))
    size = _halved(_PHASES_PX - 2, 3)
    for block in network.blocks[:_FRONT_BLOCKS]:
        x, size = _add_block(front, x, block, size)
    channels = network.blocks[_FRONT_BLOCKS - 1].second.weights.shape[0]
    shape = (1, channels, size, size)

    back = OnnxGraph("back", input_name="features", input_shape=shape)
    y = "features"
    for block in network.blocks[_FRONT_BLOCKS:]:
        y, size = _add_block(back, y, block, size, is_unfolded=block.halves)
    y = back.add("Flatten", back.add("GlobalAveragePool", y), axis=1)
    y = back.add("MatMul", y, back.add_weights(network.projection))
    return Graphs(
        front.serialize(output_name=x, output_shape=shape),
        back.serialize(output_name=y, output_shape=(1, VECTOR_LENGTH)),
    )


def _split_stem(stem: Convolution) -> Convolution:
    """The 7 × 7 convolution with stride 2 as a 3 × 3 one over `_PLANES`: each tap stands in exactly one plane."""
    filters, channels = stem.weights.shape[:2]
    kernel = np.zeros((filters, channels, 8, 8), np.float32)
    kernel[:, :, :7, :7] = stem.weights
    weights = np.zeros((filters, len(_PLANES), channels, 3, 3), np.float32)
    for index, (row, column) in enumerate(_PLANES):
        first_row, first_column = 2 * (row // 2), 2 * (column // 2)  # a moved plane holds only its last row or column
        for y in range(first_row, 3):
            for x in range(first_column, 3):
                weights[:, index, :, y, x] = kernel[:, :, row + 2 * y, column + 2 * x]
    return Convolution(weights.reshape(filters, -1, 3, 3), stem.bias, stride=1, padding=0)


def _halved(size: int, kernel: int) -> int:
    """Rows or columns after a window of `kernel` with stride 2 and no padding."""
    return (size - kernel) // 2 + 1


def _add_block(
    graph: OnnxGraph, x: str, block: ResidualBlock, size: int, *, is_unfolded: bool = False
) -> tuple[str, int]:
    first = _unfold(graph, x, block.first, size) if is_unfolded else _convolve(graph, x, block.first)
    main = _convolve(graph, graph.add("Relu", first), block.second)
    if block.halves:
        filters, channels = block.first.weights.shape[:2]
        main_size, size = _halved(size, 3), _halved(size, 2)
        x = graph.add("AveragePool", x, kernel_shape=(2, 2), strides=(2, 2))
        x = _pad(graph, x, channels=filters - channels, pixels=0)
        main = _pad(graph, main, channels=0, pixels=size - main_size)
    return graph.add("Relu", graph.add("Add", main, x)), size


def _pad(graph: OnnxGraph, x: str, *, channels: int, pixels: int) -> str:
    """Zeros at the end, as dlib's `add_prev` adds them to the smaller term."""
    if not channels and not pixels:
        return x
    return graph.add("Pad", x, graph.add_weights(np.array((0, 0, 0, 0, 0, channels, pixels, pixels), np.int64)))


def _unfold(graph: OnnxGraph, x: str, convolution: Convolution, size: int) -> str:
    """A convolution with stride 2 and no padding as one with a 1 × 1 kernel over its taps, each a slice of `x`."""
    kernel = convolution.weights.shape[2]
    span = 2 * _halved(size, kernel) - 1
    axes, steps = (graph.add_weights(np.array(each, np.int64)) for each in ((2, 3), (2, 2)))
    taps = []
    for row in range(kernel):
        for column in range(kernel):
            begin = graph.add_weights(np.array((row, column), np.int64))
            end = graph.add_weights(np.array((row + span, column + span), np.int64))
            taps.append(graph.add("Slice", x, begin, end, axes, steps))
    flat = convolution.weights.transpose(0, 2, 3, 1).reshape(len(convolution.weights), -1, 1, 1)
    product = Convolution(np.ascontiguousarray(flat), convolution.bias, stride=1, padding=0)
    return _convolve(graph, graph.add("Concat", *taps, axis=1), product)


def _convolve(graph: OnnxGraph, x: str, convolution: Convolution) -> str:
    rows, columns = convolution.weights.shape[2:]
    return graph.add(
        "Conv",
        x,
        graph.add_weights(convolution.weights),
        graph.add_weights(convolution.bias),
        kernel_shape=(rows, columns),
        strides=(convolution.stride,) * 2,
        pads=(convolution.padding,) * 4,
    )
