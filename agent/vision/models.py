"""Model files: which ones there are, where each comes from, and whether a file is the published one.

Nothing is ever downloaded here. The two dlib files come with the package `face_recognition_models`; the others are
put into the models' folder by the operator, and are used only when their sha256 is the published one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType


class EngineError(Exception):
    """The face engine cannot be built or cannot answer; the message names the fault and the remedy."""


class ModelError(EngineError):
    """A model file is missing, unreadable or not the published one. A retry helps only after it was replaced."""


@dataclass(frozen=True, slots=True)
class Model:
    """A file that an operator may install. `max_bytes` bounds what is read before the hash is known."""

    name: str
    file: str
    sha256: str
    max_bytes: int
    licence: str
    source: str


# The sums and sizes that OpenCV Zoo publishes for these files (Git LFS pointers).
PUBLISHED: Mapping[str, Model] = MappingProxyType(
    {
        "yunet": Model(
            name="yunet",
            file="face_detection_yunet_2023mar.onnx",
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            max_bytes=1024 * 1024,
            licence="MIT",
            source="https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet",
        ),
        "sface": Model(
            name="sface",
            file="face_recognition_sface_2021dec.onnx",
            sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
            max_bytes=64 * 1024 * 1024,
            licence="Apache-2.0",
            source="https://github.com/opencv/opencv_zoo/tree/main/models/face_recognition_sface",
        ),
    }
)


def read_model(name: str, models: Path | None, published: Mapping[str, Model] = PUBLISHED) -> bytes:
    """The bytes of an installed model, proved to be the published file; any thread.

    What was hashed is what is returned, so the file cannot change in between. Raises `ModelError`.
    """
    model = published[name]
    how = f"`station models install {name} --file F` with the file from {model.source}"
    if models is None:
        raise ModelError(f"{name} needs its file {model.file}, and no folder for models is set: set one, then {how}")
    path = models / model.file
    data = read_bounded(path, model.max_bytes, remedy=how)
    found = sha256_of(data)
    if found != model.sha256:
        raise ModelError(f"{path} is not the published file: its sha256 is {found}, not {model.sha256}; {how}")
    return data


def install_model(name: str, file: Path, models: Path, published: Mapping[str, Model] = PUBLISHED) -> Path:
    """Copy the published file into the folder, at once or not at all, readable for every account; returns where.

    Raises `ModelError` when the file is another one, or when it cannot be read or written; then nothing was copied.
    """
    model = published[name]
    data = read_bounded(file, model.max_bytes, remedy=f"take it from {model.source}")
    found = sha256_of(data)
    if found != model.sha256:
        raise ModelError(
            f"{file} is not the published file and was not copied: its sha256 is {found}, not {model.sha256};"
            f" take it from {model.source}"
        )
    path = models / model.file
    try:
        models.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=models, prefix=f".{model.file}-")
        try:
            with os.fdopen(handle, "wb") as target:
                target.write(data)
                target.flush()
                os.fchmod(handle, 0o644)  # whoever installs it, the agent's own account reads it
                os.fsync(handle)
            Path(unfinished).replace(path)
        finally:
            Path(unfinished).unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(
            f"{path} cannot be written ({error.strerror}): use an account that may write there, such as with sudo"
        ) from error
    return path


def state_of(name: str, models: Path, published: Mapping[str, Model] = PUBLISHED) -> str:
    """`installed`, `missing`, or `wrong` for a file of that name that is not the published one or cannot be read."""
    if not is_installed(name, models, published):
        return "missing"
    try:
        read_model(name, models, published)
    except ModelError:
        return "wrong"
    return "installed"


def is_installed(name: str, models: Path | None, published: Mapping[str, Model] = PUBLISHED) -> bool:
    """Whether the model's file lies in the folder, whatever it contains."""
    return models is not None and (models / published[name].file).is_file()


def packaged_file(name: str) -> Path:
    """A file of the installed package `face_recognition_models`, found without importing that package.

    Importing it would import the deprecated pkg_resources. Raises `ModelError` when it is missing.
    """
    spec = find_spec("face_recognition_models")
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise ModelError(f"{name} is missing: install the package face_recognition_models (`make setup` does)")


def read_bounded(path: Path, max_bytes: int, *, remedy: str) -> bytes:
    """The whole file, when it has at most `max_bytes`; raises `ModelError` ending in `remedy`."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
    if len(data) > max_bytes:
        raise ModelError(f"{path} has more than {max_bytes} bytes, so it is not the file it should be: {remedy}")
    return data


def sha256_of(data: bytes) -> str:
    """Lower-case hex."""
    return hashlib.sha256(data).hexdigest()
