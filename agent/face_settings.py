"""The tables of the settings that are about faces: consent, the camera, recognition, what is kept and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from agent.settings_fields import FilePath, Table, in_base


def _source(value: str, info: ValidationInfo) -> str:
    return value if value == "simulated" else str(in_base(Path(value), info))


class ConsentSettings(Table):
    """What people consent to. The texts are `VERSION.zh.md` and `VERSION.en.md` in `folder`."""

    version: str = Field(default="2026-11", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    folder: FilePath | None = None
    valid_days: int = Field(default=365, ge=1, le=1095)
    under_age: int = Field(default=14, ge=14, le=18)


class EnrolmentSettings(Table):
    """How many good frames that differ a template needs."""

    min_frames: int = Field(default=3, ge=1, le=6)


class RetentionSettings(Table):
    """How long people stay who no longer come, and how early the end of a consent is told."""

    unseen_days: int = Field(default=365, ge=1, le=1095)
    consent_warning_days: int = Field(default=30, ge=1, le=365)


class VaultSettings(Table):
    """The keys that templates are encrypted with. Not set: `template.keys` in `state.directory`."""

    key_file: FilePath | None = None


class CameraSettings(Table):
    """Where pictures come from."""

    source: Annotated[str, Field(min_length=1), AfterValidator(_source)] = "/dev/video0"
    width: int = Field(default=640, ge=160, le=3840)
    height: int = Field(default=480, ge=120, le=2160)
    fps: int = Field(default=10, ge=1, le=60)
    mirrored: bool = False


class VisionSettings(Table):
    """Finding faces."""

    enabled: bool = True
    detector: Literal["auto", "hog", "yunet"] = "auto"
    engine: Literal["dlib", "sface"] = "dlib"
    models: FilePath | None = None
    min_score: float | None = Field(default=None, ge=0, le=5)
    face_min_width_px: int = Field(default=80, ge=40, le=1000)


class RecognitionSettings(Table):
    """Telling who it is; distances are Euclidean between vectors of length 1."""

    max_distance: float = Field(default=0.30, gt=0, le=1)
    target_fpir: float = Field(default=0.01, gt=0, le=0.5)
    frames_needed: int = Field(default=2, ge=1, le=20)
    refuse_after_frames: int = Field(default=5, ge=1, le=100)
    again_after_s: float = Field(default=10.0, ge=1, le=600)
    code_window_s: float = Field(default=15.0, ge=2, le=120)


class LivenessSettings(Table):
    """Whether a face must prove to be no picture before it opens the door."""

    mode: Literal["off", "photo", "challenge"] = "photo"
