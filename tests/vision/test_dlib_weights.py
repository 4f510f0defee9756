from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.vision.dlib_weights import WeightsError, parse_weights, read_weights

WEIGHTS = read_weights()
STEM_TENSOR = WEIGHTS.index(b"\x01\x05con_4") + 7


def test_every_layer_of_the_network_is_read() -> None:
    network = parse_weights(WEIGHTS)
    assert network.stem.weights.shape == (32, 3, 7, 7)
    assert [block.first.weights.shape[0] for block in network.blocks] == [32] * 3 + [64] * 4 + [128] * 3 + [256] * 4
    assert [index for index, block in enumerate(network.blocks) if block.halves] == [3, 7, 10, 13]
    assert network.projection.shape == (256, 128)


def test_the_affine_layer_is_folded_into_its_convolution() -> None:
    convolution, affine = STEM_TENSOR, WEIGHTS.index(b"affine_") + 7
    raw = np.frombuffer(WEIGHTS, "<f4", 32 * 147 + 32, convolution + 11)
    gamma, beta = np.frombuffer(WEIGHTS, "<f4", 64, affine + 10).reshape(2, 32)
    stem = parse_weights(WEIGHTS).stem
    weights = raw[: 32 * 147].reshape(32, 3, 7, 7)
    np.testing.assert_allclose(stem.weights, weights * gamma[:, None, None, None], rtol=1e-6)
    np.testing.assert_allclose(stem.bias, raw[32 * 147 :] * gamma + beta, rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.integers(0, 400), st.integers(0, len(WEIGHTS) - 1)))
def test_a_file_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(WeightsError, match="the file ends inside"):
        parse_weights(WEIGHTS[:length])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000))
def test_a_foreign_file_is_refused(data: bytes) -> None:
    with pytest.raises(WeightsError, match="install face_recognition_models again"):
        parse_weights(data)


@pytest.mark.parametrize("at", [1, 5, 17, 40, 300, 325, 345])
def test_a_changed_field_is_refused_with_its_place(at: int) -> None:
    """None of these is a weight: version, name, margin's length, nesting, input, mean and sizes."""
    damaged = bytearray(WEIGHTS)
    damaged[at] ^= 0x41
    with pytest.raises(WeightsError, match=r"at byte \d+"):
        parse_weights(bytes(damaged))


def test_a_size_beyond_the_network_is_refused_before_it_is_allocated() -> None:
    huge = b"\x08" + (2**62).to_bytes(8, "little")
    damaged = WEIGHTS[: STEM_TENSOR + 2] + huge + WEIGHTS[STEM_TENSOR + 5 :]
    with pytest.raises(WeightsError, match=f"a dimension of a convolution is {2**62}, not 4736"):
        parse_weights(damaged)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(value: float) -> None:
    damaged = bytearray(WEIGHTS)
    damaged[STEM_TENSOR + 11 : STEM_TENSOR + 15] = np.float32(value).tobytes()
    with pytest.raises(WeightsError, match="not a finite number"):
        parse_weights(bytes(damaged))


def test_bytes_after_the_network_are_refused() -> None:
    with pytest.raises(WeightsError, match="3 bytes follow the network"):
        parse_weights(WEIGHTS + b"abc")
