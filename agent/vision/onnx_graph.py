"""Writes a small ONNX model: the few protobuf messages that `cv2.dnn` reads, and nothing else.

Field numbers are those of onnx.proto (IR version 8, operator set 13). Protobuf: a key is (field << 3 | wire type) as a
varint; wire type 0 is a varint, 2 is a length and bytes, 5 is four bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IR_VERSION = 8
_OPERATOR_SET = 13
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_INTS = 1, 2, 7  # AttributeProto.AttributeType

Attribute = float | int | tuple[int, ...]


class OnnxGraph:
    """Collects nodes and weights; `serialize` gives the file's bytes. One thread."""

    def __init__(self, name: str, *, input_name: str, input_shape: tuple[int, ...]) -> None:
        self._name = name
        self._input = _value(input_name, input_shape)
        self._nodes: list[bytes] = []
        self._weights: list[bytes] = []
        self._count = 0

    def add_weights(self, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        """Store an array, float32 or int64; returns its name."""
        self._count += 1
        name = f"w{self._count}"
        kind = _INT64 if values.dtype == np.int64 else _FLOAT
        raw = np.ascontiguousarray(values, "<i8" if kind == _INT64 else "<f4").tobytes()
        dims = b"".join(_integer(1, size) for size in values.shape)
        self._weights.append(dims + _integer(2, kind) + _text(8, name) + _bytes(9, raw))
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Attribute) -> str:
        """Append a node; returns the name of its one output (`output`, or one that is made up)."""
        self._count += 1
        name = output or f"x{self._count}"
        node = b"".join(_text(1, text) for text in inputs) + _text(2, name)
        node += _text(3, f"{operator}_{self._count}") + _text(4, operator)
        node += b"".join(_bytes(5, _attribute(key, value)) for key, value in attributes.items())
        self._nodes.append(node)
        return name

    def serialize(self, *, output_name: str, output_shape: tuple[int, ...]) -> bytes:
        """The model as the bytes of an .onnx file."""
        graph = b"".join(_bytes(1, node) for node in self._nodes) + _text(2, self._name)
        graph += b"".join(_bytes(5, weights) for weights in self._weights)
        graph += _bytes(11, self._input) + _bytes(12, _value(output_name, output_shape))
        operator_set = _text(1, "") + _integer(2, _OPERATOR_SET)
        return _integer(1, _IR_VERSION) + _text(2, "station-agent") + _bytes(7, graph) + _bytes(8, operator_set)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # protobuf writes a negative int64 as its two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    """ValueInfoProto of a float32 tensor."""
    dims = b"".join(_bytes(1, _integer(1, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _integer(1, _FLOAT) + _bytes(2, dims)))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, tuple):
        return _text(1, name) + b"".join(_integer(8, item) for item in value) + _integer(20, _ATTRIBUTE_INTS)
    if isinstance(value, float):
        number = _varint(2 << 3 | 5) + struct.pack("<f", value)
        return _text(1, name) + number + _integer(20, _ATTRIBUTE_FLOAT)
    return _text(1, name) + _integer(3, value) + _integer(20, _ATTRIBUTE_INT)
