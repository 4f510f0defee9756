from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.vision.engine import DlibEngine, Face, load_engine
from agent.vision.models import PUBLISHED, EngineError, Model, ModelError, sha256_of
from agent.vision.onnx_graph import OnnxGraph
from tests.vision.conftest import read_rgb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# In a process of its own: face_recognition calls quit() when an import fails, and its models' package warns.
REFERENCE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import cv2, face_recognition
for line in sys.stdin:
    path, (x, y, width, height) = json.loads(line)
    picture = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    place = [(y, x + width - 1, y + height - 1, x)]
    print(json.dumps(face_recognition.face_encodings(picture, place)[0].tolist()))
"""


def _reference_vectors(faces: list[tuple[Path, Face]]) -> list[NDArray[np.float64]]:
    asked = "".join(json.dumps((str(path), face.box)) + "\n" for path, face in faces)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", REFERENCE],
        input=asked,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    vectors = [np.array(json.loads(line)) for line in done.stdout.splitlines()]
    return [vector / np.linalg.norm(vector) for vector in vectors]


def _agreement(engine: DlibEngine, paths: list[Path]) -> float:
    """The largest difference between the engine's numbers and face_recognition's for the same boxes."""
    pictures = [read_rgb(path) for path in paths]
    faces = [engine.detect(picture)[0] for picture in pictures]
    ours = [engine.vector(picture, face) for picture, face in zip(pictures, faces, strict=True)]
    theirs = _reference_vectors(list(zip(paths, faces, strict=True)))
    assert len(theirs) == len(paths)
    return max(float(np.abs(one - other).max()) for one, other in zip(ours, theirs, strict=True))


def test_the_portraits_vectors_are_face_recognitions(
    hog_engine: DlibEngine, collins_path: Path, hopper_path: Path
) -> None:
    assert _agreement(hog_engine, [collins_path, hopper_path]) <= 1e-5


def test_fifty_vectors_are_face_recognitions(hog_engine: DlibEngine, london: list[Path]) -> None:
    assert _agreement(hog_engine, london[::4][:50]) <= 1e-5


def test_two_people_are_far_apart(
    hog_engine: DlibEngine, collins: NDArray[np.uint8], hopper: NDArray[np.uint8]
) -> None:
    vectors = [hog_engine.vector(picture, hog_engine.detect(picture)[0]) for picture in (collins, hopper)]
    for vector in vectors:
        assert vector.shape == (128,)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)
    assert np.linalg.norm(vectors[0] - vectors[1]) > 0.4


def test_a_smaller_picture_of_a_person_is_near(hog_engine: DlibEngine, hopper: NDArray[np.uint8]) -> None:
    small = np.ascontiguousarray(hopper[::2, ::2])
    vectors = [hog_engine.vector(picture, hog_engine.detect(picture)[0]) for picture in (hopper, small)]
    assert np.linalg.norm(vectors[0] - vectors[1]) < 0.2


def test_a_picture_that_is_a_view_of_another_is_read(hog_engine: DlibEngine, hopper: NDArray[np.uint8]) -> None:
    view = hopper[50:550, 50:450]
    (face,) = hog_engine.detect(view)
    copy = np.ascontiguousarray(view)
    np.testing.assert_array_equal(hog_engine.vector(view, face), hog_engine.vector(copy, face))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((100, 100), np.uint8), ((100, 100, 4), np.uint8), ((100, 100, 3), np.float32), ((0, 10, 3), np.uint8)],
)
def test_what_is_not_a_frame_is_refused(shape: tuple[int, ...], dtype: type, hog_engine: DlibEngine) -> None:
    with pytest.raises(ValueError, match="a frame is"):
        hog_engine.detect(np.zeros(shape, dtype))


def test_the_engine_names_what_made_its_vectors(hog_engine: DlibEngine) -> None:
    assert (hog_engine.name, hog_engine.detector_name) == ("dlib", "hog")
    assert hog_engine.weights == "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"


def test_an_installed_yunet_is_the_default(yunet_engine: DlibEngine, hog_engine: DlibEngine) -> None:
    assert yunet_engine.detector_name == "yunet"
    assert yunet_engine.weights == hog_engine.weights


def test_a_damaged_yunet_is_a_fault_and_not_silently_hog(tmp_path: Path, network_cache: Path) -> None:
    (tmp_path / PUBLISHED["yunet"].file).write_bytes(b"damaged")
    with pytest.raises(ModelError, match="not the published file"):
        load_engine(models=tmp_path, cache=network_cache)


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="engine is one of"):
        load_engine(engine="arc", models=None, cache=tmp_path)


def test_sface_needs_its_file(yunet_models: Path, network_cache: Path) -> None:
    with pytest.raises(ModelError, match=r"face_recognition_sface.*cannot be read.*station models install sface"):
        load_engine(engine="sface", models=yunet_models, cache=network_cache)


def test_sface_refuses_hog(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="YuNet's landmarks"):
        load_engine(engine="sface", detector="hog", models=tmp_path, cache=tmp_path)


def _small_network(numbers: int, scale: float = 1.0) -> bytes:
    """A network in SFace's shape: a face of 112 × 112 to `numbers` numbers, by one convolution and an average."""
    weights = np.random.default_rng(5).normal(size=(numbers, 3, 7, 7)).astype(np.float32) * np.float32(scale)
    graph = OnnxGraph("small", input_name="data", input_shape=(1, 3, 112, 112))
    x = graph.add("Conv", "data", graph.add_weights(weights), kernel_shape=(7, 7), strides=(7, 7))
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x), output="fc1", axis=1)
    return graph.serialize(output_name=x, output_shape=(1, numbers))


def _install_small_sface(network: bytes, yunet_models: Path, models: Path) -> Mapping[str, Model]:
    (models / PUBLISHED["sface"].file).write_bytes(network)
    (models / PUBLISHED["yunet"].file).write_bytes((yunet_models / PUBLISHED["yunet"].file).read_bytes())
    return {**PUBLISHED, "sface": replace(PUBLISHED["sface"], sha256=sha256_of(network))}


def test_sface_gives_vectors_of_its_own(
    tmp_path: Path, yunet_models: Path, collins: NDArray[np.uint8], hopper: NDArray[np.uint8]
) -> None:
    network = _small_network(128)
    published = _install_small_sface(network, yunet_models, tmp_path)
    engine = load_engine(engine="sface", models=tmp_path, cache=tmp_path, published=published)
    assert (engine.name, engine.detector_name, engine.weights) == ("sface", "yunet", sha256_of(network))
    vectors = [engine.vector(picture, engine.detect(picture)[0]) for picture in (collins, hopper)]
    for vector in vectors:
        assert vector.shape == (128,)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)
    assert np.linalg.norm(vectors[0] - vectors[1]) > 1e-3


def test_an_sface_that_is_not_the_published_one_is_refused(tmp_path: Path, yunet_models: Path) -> None:
    _install_small_sface(_small_network(128), yunet_models, tmp_path)
    with pytest.raises(ModelError, match="not the published file"):
        load_engine(engine="sface", models=tmp_path, cache=tmp_path)


@pytest.mark.parametrize(
    ("numbers", "scale", "fault"), [(64, 1.0, "gives 64 numbers"), (128, 0.0, "without a direction")]
)
def test_an_sface_without_a_usable_vector_is_refused(
    numbers: int, scale: float, fault: str, tmp_path: Path, yunet_models: Path, hopper: NDArray[np.uint8]
) -> None:
    published = _install_small_sface(_small_network(numbers, scale), yunet_models, tmp_path)
    engine = load_engine(engine="sface", models=tmp_path, cache=tmp_path, published=published)
    (face,) = engine.detect(hopper)
    with pytest.raises(EngineError, match=fault):
        engine.vector(hopper, face)
