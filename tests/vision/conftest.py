"""Two real faces that anybody can install, and the engine under test, built once."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.vision.engine import DlibEngine, load_engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARED_DATA = Path(__file__).parents[2].parent / "shared/data"


def portrait_path(package: str, file: str) -> Path:
    """A picture inside an installed wheel, without importing the package."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / file


def read_rgb(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


@pytest.fixture(scope="session")
def collins_path() -> Path:
    return portrait_path("skimage", "data/astronaut.png")


@pytest.fixture(scope="session")
def hopper_path() -> Path:
    return portrait_path("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")


@pytest.fixture(scope="session")
def collins(collins_path: Path) -> NDArray[np.uint8]:
    return read_rgb(collins_path)


@pytest.fixture(scope="session")
def hopper(hopper_path: Path) -> NDArray[np.uint8]:
    return read_rgb(hopper_path)


@pytest.fixture(scope="session")
def network_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="session")
def hog_engine(network_cache: Path) -> DlibEngine:
    engine = load_engine(detector="hog", models=None, cache=network_cache)
    assert isinstance(engine, DlibEngine)
    return engine


@pytest.fixture(scope="session")
def yunet_models() -> Path:
    """The folder with YuNet's file, where the machine has it."""
    models = SHARED_DATA / "models"
    if not (models / "face_detection_yunet_2023mar.onnx").is_file():
        pytest.skip("needs YuNet's file in ../shared/data/models")
    return models


@pytest.fixture(scope="session")
def yunet_engine(network_cache: Path, yunet_models: Path) -> DlibEngine:
    engine = load_engine(models=yunet_models, cache=network_cache)
    assert isinstance(engine, DlibEngine)
    return engine


@pytest.fixture(scope="session")
def london() -> list[Path]:
    """Studio portraits, two a person, in order."""
    portraits = sorted((SHARED_DATA / "london").glob("*/*.jpg"))
    if not portraits:
        pytest.skip("needs the portraits in ../shared/data/london")
    return portraits
