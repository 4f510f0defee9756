"""The air in the room, by the sensors that the settings name for it.

A value that is too old, that cannot be, or whose sensor fails is None: nothing is known of it. No deadline brings that
about: it is looked at whenever the live state is, which is told again every half a minute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from agent.core.sensors import Told

QUANTITIES: Mapping[str, tuple[float, float]] = {
    "temperature_c": (-40.0, 60.0),  # a DS18B20 that has just lost its power says 85
    "humidity_percent": (0.0, 105.0),  # sensors in damp air say a little more than there can be
    "co2_ppm": (100.0, 40_000.0),  # air out of doors has 400; the range of the SCD4x ends here
}
"""What is shown, in this order, each with the least and the most that is believed."""

MOST_HUMID = 100.0


@dataclass(frozen=True, slots=True)
class Source:
    """The sensor (as in the settings) that tells one quantity, and after how many seconds its word is too old."""

    sensor: str
    stale_after_s: float


def environment(told: Mapping[str, Told], sources: Mapping[str, Source], now: float) -> dict[str, float | None]:
    """What is known of each quantity at `now` (station time)."""
    return {name: _value(told, sources.get(name), name, now) for name in QUANTITIES}


def _value(told: Mapping[str, Told], source: Source | None, name: str, now: float) -> float | None:
    said = None if source is None else told.get(f"sensors.{source.sensor}")
    if source is None or said is None or said.error:
        return None
    value, at = said.values.get(name, (None, now))
    least, most = QUANTITIES[name]
    if value is None or isinstance(value, bool) or not math.isfinite(value) or not least <= value <= most:
        return None
    if now - at >= source.stale_after_s:
        return None
    return round(min(value, MOST_HUMID) if name == "humidity_percent" else value, 2)
