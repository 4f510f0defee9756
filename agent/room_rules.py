"""The settings of what is in the room, as the rules need them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.core.appliance_kinds import HOUR_S, KINDS, Limits
from agent.core.room import Source
from agent.core.welfare import WelfareRules
from agent.sensor_settings import ApplianceSettings
from agent.settings import Settings, WelfareSettings

MINUTE_S = 60.0


def limits_of(appliance: ApplianceSettings) -> Limits:
    """What is usual for its kind, and what the installer set in its place."""
    chosen: dict[str, Any] = {
        "run_max_s": _times(appliance.run_max_min, MINUTE_S),
        "idle_max_s": _times(appliance.idle_max_h, HOUR_S),
        "dead_max_s": _times(appliance.dead_max_min, MINUTE_S),
        "short_s": _times(appliance.short_min, MINUTE_S),
        "weak_below": appliance.weak_below,
        "warm_above_c": appliance.warm_above_c,
        "warm_after_s": _times(appliance.warm_after_h, HOUR_S),
    }
    return replace(KINDS[appliance.kind], **{name: value for name, value in chosen.items() if value is not None})


def is_learning(appliance: ApplianceSettings) -> bool:
    """Whether its levels are learned: as the installer says, else where no level was set."""
    if appliance.learn is not None:
        return appliance.learn
    return not appliance.model_fields_set & {"running_above_w", "standby_above_w"}


def saving_after_s(appliance: ApplianceSettings) -> float | None:
    """Seconds without anybody after which it is switched off; None: never."""
    return _times(appliance.switch_off_when_empty_min, MINUTE_S)


def welfare_rules(settings: WelfareSettings) -> WelfareRules:
    """Minutes and hours of people as seconds."""
    return WelfareRules(
        still_s=settings.still_min * MINUTE_S,
        stay_s=settings.stay_h * HOUR_S,
        stay_times=settings.stay_times,
        quiet_s=settings.quiet_min * MINUTE_S,
    )


def room_sources(settings: Settings) -> dict[str, Source]:
    """What tells of the air in the room, by quantity."""
    chosen = {"temperature_c": settings.room.temperature, "humidity_percent": settings.room.humidity}
    chosen["co2_ppm"] = settings.room.co2
    return {
        quantity: Source(name, settings.sensors[name].silence_s)
        for quantity, name in chosen.items()
        if name is not None
    }


def _times(value: float | None, unit_s: float) -> float | None:
    return None if value is None else value * unit_s
