from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import dlib
import numpy as np
import pytest

from agent.vision.dlib_weights import FILE_NAME, Convolution, ResNet, parse_weights, read_weights
from agent.vision.embedder import CACHE_FILE, Graphs, ResNetEmbedder, convert, load_embedder, read_cached
from agent.vision.engine import DlibEngine
from agent.vision.models import EngineError, packaged_file, sha256_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def reference() -> dlib.face_recognition_model_v1:
    return dlib.face_recognition_model_v1(str(packaged_file(FILE_NAME)))


@pytest.fixture(scope="module")
def embedder(network_cache: Path) -> ResNetEmbedder:
    return load_embedder(network_cache)


@pytest.mark.parametrize("picture", ["noise", "black", "white", "edge"])
def test_the_vector_is_dlibs_for_any_chip(
    picture: str, embedder: ResNetEmbedder, reference: dlib.face_recognition_model_v1
) -> None:
    chip = np.zeros((150, 150, 3), np.uint8)
    if picture == "noise":
        chip[:] = np.random.default_rng(7).integers(0, 256, chip.shape)
    elif picture == "white":
        chip[:] = 255
    elif picture == "edge":  # only what the last row and column of the stem's windows see
        chip[147:, 147:] = (255, 0, 128)
    expected = np.array(reference.compute_face_descriptor(chip))
    assert np.abs(embedder.embed(chip) - expected).max() <= 1e-5


def test_the_vector_is_dlibs_for_a_face(
    hog_engine: DlibEngine,
    hopper: NDArray[np.uint8],
    embedder: ResNetEmbedder,
    reference: dlib.face_recognition_model_v1,
) -> None:
    (face,) = hog_engine.detect(hopper)
    points = [dlib.point(int(x), int(y)) for x, y in face.landmarks]
    chip = dlib.get_face_chip(hopper, dlib.full_object_detection(dlib.rectangle(0, 0, 9, 9), points), 150, 0.25)
    expected = np.array(reference.compute_face_descriptor(chip))
    assert np.abs(embedder.embed(chip) - expected).max() <= 1e-5


@pytest.mark.parametrize(
    ("shape", "dtype"), [((149, 150, 3), np.uint8), ((150, 150), np.uint8), ((150, 150, 3), float)]
)
def test_what_is_not_a_chip_is_refused(shape: tuple[int, ...], dtype: type, embedder: ResNetEmbedder) -> None:
    with pytest.raises(ValueError, match="a chip is"):
        embedder.embed(np.zeros(shape, dtype))


def test_a_vector_that_is_not_finite_is_refused() -> None:
    network = parse_weights(read_weights())
    stem = Convolution(network.stem.weights * np.float32(1e37), network.stem.bias, 2, 0)
    embedder = ResNetEmbedder(convert(ResNet(stem, network.blocks, network.projection)), "overflowing")
    chip = np.random.default_rng(7).integers(0, 256, (150, 150, 3)).astype(np.uint8)
    with pytest.raises(EngineError, match="no finite vector"):
        embedder.embed(chip)


def test_a_graph_that_opencv_cannot_read_is_refused() -> None:
    with pytest.raises(EngineError, match="cannot read the converted network"):
        ResNetEmbedder(Graphs(b"not a graph", b""), "none")


def test_the_converted_network_is_kept_and_used_again(tmp_path: Path) -> None:
    weights = load_embedder(tmp_path).weights
    written = (tmp_path / CACHE_FILE).stat().st_mtime_ns
    assert weights == sha256_of(read_weights())
    assert load_embedder(tmp_path).weights == weights
    assert (tmp_path / CACHE_FILE).stat().st_mtime_ns == written
    assert [path.name for path in tmp_path.iterdir()] == [CACHE_FILE]


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied", "of other weights", "oversized"])
def test_a_damaged_cache_is_made_again(damage: str, tmp_path: Path, network_cache: Path) -> None:
    weights = load_embedder(network_cache).weights
    whole = (network_cache / CACHE_FILE).read_bytes()
    path = tmp_path / CACHE_FILE
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:middle],
            "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "emptied": b"",
            "of other weights": whole.replace(weights.encode(), b"0" * 64, 1),
            "oversized": whole + bytes(32 * 1024 * 1024),
        }[damage]
    )
    assert read_cached(path, weights) is None
    load_embedder(tmp_path)
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    with caplog.at_level(logging.WARNING):
        embedder = load_embedder(tmp_path / "file")
    assert embedder.embed(np.zeros((150, 150, 3), np.uint8)).shape == (128,)
    assert "cannot be written" in caplog.text
