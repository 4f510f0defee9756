"""Finds the two public-domain portraits that come inside PyPI packages, without importing those packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_PLACES = {
    "collins": ("skimage", "data/astronaut.png"),
    "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}


class MissingPortraitError(FileNotFoundError):
    """The package that carries a portrait is not installed."""


def find_portraits() -> dict[str, Path]:
    """The portraits by name: `collins` (NASA) and `hopper` (US Navy). Raises `MissingPortraitError`."""
    return {name: _find(name, package, place) for name, (package, place) in _PLACES.items()}


def _find(name: str, package: str, place: str) -> Path:
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / place
        if path.is_file():
            return path
    raise MissingPortraitError(
        f"the portrait of {name} is not installed: install station-agent[demo], which brings {package}"
    )
