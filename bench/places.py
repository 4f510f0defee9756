"""Where the data lies that is not part of the project."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parents[2] / "shared/data"
LFW, LONDON, MODELS = DATA / "lfw-dev", DATA / "london", DATA / "models"
