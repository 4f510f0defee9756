"""A face vector by `cv2.dnn` from dlib's own weights: many times faster, and without the interpreter's lock.

The network of `dlib_weights` is written once as ONNX and kept beside the state. The file in the cache carries the
sha256 of the weights it was made from and of its own content; when either differs it is made again.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
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
_CONVERTER = 1  # raised when `convert` writes another graph from the same weights
_MAX_CACHE_BYTES = 32 * 1024 * 1024  # as large as the weights may be; the network has 22.5 MB

_log = logging.getLogger(__name__)


class ResNetEmbedder:
    """dlib's face ResNet on `cv2.dnn`. `weights`: sha256 of the source file. One thread at a time."""

    def __init__(self, network: bytes, weights: str) -> None:
        self.weights = weights
        try:
            self._net = cv2.dnn.readNetFromONNX(np.frombuffer(network, np.uint8))
        except cv2.error as error:
            raise EngineError(f"OpenCV {cv2.__version__} cannot read the converted network: {error.err}") from error

    def embed(self, chip_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """dlib's 128 numbers, (128,) float32, not normalised. `chip_rgb`: (150, 150, 3) uint8 RGB.

        Raises `EngineError` when the network gives anything but finite numbers.
        """
        if chip_rgb.shape != (CHIP_PX, CHIP_PX, 3) or chip_rgb.dtype != np.uint8:
            raise ValueError(f"a chip is (150, 150, 3) uint8, not {chip_rgb.shape} {chip_rgb.dtype}")
        self._net.setInput(cv2.dnn.blobFromImage(chip_rgb, 1 / 256, mean=MEAN_RGB))
        vector = np.array(self._net.forward(), np.float32).ravel()
        if vector.shape != (VECTOR_LENGTH,) or not np.isfinite(vector).all():
            raise EngineError("the network gave no finite vector: remove its cached file and start again")
        return vector


def load_embedder(cache: Path) -> ResNetEmbedder:
    """Build the embedder, with the converted network from `cache` where that is whole and of the same weights.

    A cache that cannot be written is logged and done without. Raises `ModelError` when the weights are unusable.
    """
    source = read_weights()
    weights = sha256_of(source)
    path = cache / CACHE_FILE
    network = read_cached(path, weights)
    if network is None:
        network = convert(parse_weights(source))
        try:
            write_cached(path, weights, network)
        except OSError as error:
            _log.warning("the converted network is not kept: %s cannot be written (%s)", path, error.strerror)
    return ResNetEmbedder(network, weights)


def read_cached(path: Path, weights: str) -> bytes | None:
    """The network in the cache, or None when there is none, it is damaged, or it was made from other weights."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_CACHE_BYTES + 1)
    except OSError:
        return None
    head, _, network = data.partition(b"\n")
    if len(data) > _MAX_CACHE_BYTES or head != _head(weights, network):
        _log.info("%s is damaged or of other weights: it is made again", path)
        return None
    return network


def write_cached(path: Path, weights: str, network: bytes) -> None:
    """Put the network into the cache at once or not at all; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_head(weights, network) + b"\n" + network)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _head(weights: str, network: bytes) -> bytes:
    return f"station-agent network {_CONVERTER} weights {weights} content {sha256_of(network)}".encode()


def convert(network: ResNet) -> bytes:
    """The network as the bytes of an .onnx file: input `chip` (1, 3, 150, 150), output `vector` (1, 128)."""
    graph = OnnxGraph("dlib_face_recognition_resnet", input_name="chip", input_shape=(1, 3, CHIP_PX, CHIP_PX))
    x = graph.add("Relu", _convolve(graph, "chip", network.stem))
    x = graph.add("MaxPool", x, kernel_shape=(3, 3), strides=(2, 2))
    size = _valid(_valid(CHIP_PX, 7), 3)
    for block in network.blocks:
        x, size = _add_block(graph, x, block, size)
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x), axis=1)
    graph.add("MatMul", x, graph.add_weights(network.projection), output="vector")
    return graph.serialize(output_name="vector", output_shape=(1, VECTOR_LENGTH))


def _valid(size: int, kernel: int) -> int:
    """Rows or columns after a window of `kernel` with stride 2 and no padding."""
    return (size - kernel) // 2 + 1


def _add_block(graph: OnnxGraph, x: str, block: ResidualBlock, size: int) -> tuple[str, int]:
    main = _convolve(graph, graph.add("Relu", _convolve(graph, x, block.first)), block.second)
    if block.halves:
        filters, channels = block.first.weights.shape[:2]
        main_size, size = _valid(size, 3), _valid(size, 2)
        x = graph.add("AveragePool", x, kernel_shape=(2, 2), strides=(2, 2))
        x = _pad(graph, x, channels=filters - channels, pixels=0)
        main = _pad(graph, main, channels=0, pixels=size - main_size)
    return graph.add("Relu", graph.add("Add", main, x)), size


def _pad(graph: OnnxGraph, x: str, *, channels: int, pixels: int) -> str:
    """Zeros at the end, as dlib's `add_prev` adds them to the smaller term."""
    if not channels and not pixels:
        return x
    return graph.add("Pad", x, graph.add_weights(np.array((0, 0, 0, 0, 0, channels, pixels, pixels), np.int64)))


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
