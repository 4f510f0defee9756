"""Energy over a month, from readings by the hour: by the meter's own counter, else by its power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

COUNTER, POWER = "energy_kwh", "power_w"
_MOST_KW = 25.0  # more than a station's mains gives: such a step is another meter, or a counter set anew
_STEP_KWH = 1e-6  # what a rounding may take back


@dataclass(slots=True)
class _Meter:
    counted_kwh: float = 0.0
    has_counter: bool = False
    last_kwh: float | None = None
    last_hour: int = 0
    resets: int = 0
    drawn_kwh: float = 0.0
    minutes: dict[str, int] = field(default_factory=lambda: {COUNTER: 0, POWER: 0})


class EnergyMeters:
    """Takes rows `{sensor, quantity, hour, minutes, minimum, maximum, total}`, each sensor's in order of time.

    `hour`: hours since 1970 UTC; `total`: the sum of the means of its minutes.
    """

    def __init__(self) -> None:
        self._meters: dict[str, _Meter] = {}

    def take(self, row: Mapping[str, Any]) -> None:
        """One hour of one quantity."""
        meter = self._meters.setdefault(str(row["sensor"]), _Meter())
        if row["quantity"] == POWER:
            meter.drawn_kwh += float(row["total"]) / 60_000
        elif row["quantity"] == COUNTER:
            _count(meter, int(row["hour"]), float(row["minimum"]), float(row["maximum"]))
        else:
            return
        meter.minutes[row["quantity"]] += int(row["minutes"])

    def rows(self) -> list[dict[str, Any]]:
        """A row for each sensor. `by`: what it was told by; `minutes`: of the month that were measured."""
        return [
            {
                "sensor": name,
                "energy_kwh": round(each.counted_kwh if each.has_counter else each.drawn_kwh, 3),
                "by": "counter" if each.has_counter else "power",
                "minutes": each.minutes[COUNTER if each.has_counter else POWER],
                "resets": each.resets,
            }
            for name, each in sorted(self._meters.items())
        ]


def _count(meter: _Meter, hour: int, lowest: float, highest: float) -> None:
    """Add what the counter rose; one that falls began anew, and what it rose since then counts."""
    last, hours = meter.last_kwh, max(1, hour - meter.last_hour + 1)
    if last is None:
        rose, after = highest - lowest, highest
    elif lowest >= last - _STEP_KWH:
        rose, after = highest - last, highest
    else:
        meter.resets += 1
        # It fell within this hour: its greatest value is from before, and the lowest is where it began anew. Or before
        # this hour: then all of it is anew.
        rose, after = (highest - last, lowest) if highest >= last else (highest - lowest, highest)
    if rose > _MOST_KW * hours:
        meter.resets += 1
        rose, after = (highest - lowest if highest - lowest <= _MOST_KW else 0.0), highest
    meter.counted_kwh += max(0.0, rose)
    meter.has_counter, meter.last_kwh, meter.last_hour = True, after, hour
