"""What an evaluation measures with: the settings of a station, or what a new station has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.settings import Settings
    from agent.vision.quality import Floors


@dataclass(frozen=True, slots=True)
class Choice:
    """See the settings of the same names; `ceiling`: `recognition.max_distance`, None where the engine's own holds."""

    engine: str
    detector: str
    models: Path | None
    ceiling: float | None
    target_fpir: float
    floors: Floors = field(repr=False)

    def with_options(
        self, *, engine: str | None, detector: str | None, models: Path | None, target_fpir: float | None
    ) -> Choice:
        """What was asked for on the command line wins; another engine has another ceiling."""
        is_other = engine is not None and engine != self.engine
        return replace(
            self,
            engine=engine or self.engine,
            detector=detector or self.detector,
            models=models or self.models,
            ceiling=None if is_other else self.ceiling,
            target_fpir=self.target_fpir if target_fpir is None else target_fpir,
        )


def choice_of(path: Path) -> Choice:
    """As the settings in this file say. Raises `SettingsError`."""
    from agent.settings import load_settings

    settings = load_settings(path)
    return _choice(settings, settings.models_folder)


def default_choice() -> Choice:
    """As a station without settings of its own, and without installed models."""
    from agent.door_settings import HardwareSettings
    from agent.settings import Settings, StationSettings

    return _choice(Settings(station=StationSettings(id="none"), hardware=HardwareSettings(simulated=True)), None)


def _choice(settings: Settings, models: Path | None) -> Choice:
    from agent.vision.quality import Floors

    return Choice(
        engine=settings.vision.engine,
        detector=settings.vision.detector,
        models=models,
        ceiling=settings.distance_ceiling,
        target_fpir=settings.recognition.target_fpir,
        floors=Floors(settings.vision.face_min_width_px, settings.vision.min_score),
    )
