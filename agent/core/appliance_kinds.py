"""What is usual for each kind of appliance: the limits that its faults are judged by.

The figures are defaults for what stands in a station; an installer may set others. Where they come from:

- Compressors start two to four times an hour and run a third to a half of the time; their makers ask for a pause of
  three to five minutes, because they cannot start against pressure. A start-to-start time under six minutes, four times
  in a row, is the overload protector cutting in and out.
- Food: above 8 °C for at most four hours, the rule of the English temperature control regulations (2006, schedule 4).
- A microwave oven's programme seldom passes 10 minutes; fan, lamp and turntable draw 30 to 80 W while the magnetron
  pauses or is dead, against 1,000 to 1,500 W with it, and a slow thaw may run at a third of the power.
- 1.8 kW boil 1.7 l from 10 °C in 6 minutes (4.19 kJ/(kg K)); a dispenser's 5 l at 550 W take 50. A heating element's
  power goes with the square of the voltage, so that ±10 % of it are ±20 %, and one of two elements that is burnt
  leaves a half: seven tenths lie between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds; None: this kind has no such fault.

    `hold_s`: a level counts when two readings so far apart agree. `pause_min_s`: a shorter stop is none, the same cycle
    goes on. `bridge_s`: so long a silence of the meter is bridged when it ran before and runs after it.
    `idle_max_s`: it starts by itself, and not for so long is a fault; a usual pause that was learned brings it nearer.
    `dead_max_s`: one that was learned to draw something always draws nothing for so long. `run_max_s`: it runs without
    a pause. `short_s`, `short_starts`: so many starts in a row, each within so short a time of the one before.
    `runs_from`: of the learned running power, below which it is only lit or ventilated. `weak_below`: of the same, for
    `weak_cycles` cycles in a row.
    `warm_above_c` for `warm_after_s`. `is_used_by_hand`: a start shows that somebody is there. `is_needed_when_empty`:
    never switched off because nobody is inside. `is_never_switched`: nor by anybody's order.
    """

    hold_s: float = 0.0
    pause_min_s: float = 0.0
    bridge_s: float = 10.0
    idle_max_s: float | None = None
    dead_max_s: float | None = None
    run_max_s: float | None = None
    short_s: float | None = None
    short_starts: int = 4
    runs_from: float = 0.0
    weak_below: float | None = None
    weak_cycles: int = 2
    warm_above_c: float | None = None
    warm_after_s: float = 4 * HOUR_S
    is_used_by_hand: bool = False
    is_needed_when_empty: bool = False
    is_never_switched: bool = False


_PLAIN = Limits(hold_s=1.5, pause_min_s=8.0, bridge_s=20.0)

KINDS: Mapping[str, Limits] = {
    "microwave": Limits(
        hold_s=1.5,
        pause_min_s=8.0,  # shorter than anybody changes one meal for the next
        bridge_s=20.0,
        dead_max_s=600.0,
        run_max_s=0.5 * HOUR_S,
        weak_below=0.25,
        is_used_by_hand=True,
    ),
    "kettle": Limits(
        hold_s=1.5,
        pause_min_s=8.0,
        bridge_s=30.0,
        dead_max_s=600.0,
        run_max_s=0.25 * HOUR_S,
        weak_below=0.7,
        is_used_by_hand=True,
    ),
    "water_dispenser": Limits(
        hold_s=1.5,
        pause_min_s=15.0,
        bridge_s=60.0,
        idle_max_s=6 * HOUR_S,
        dead_max_s=600.0,
        run_max_s=1.5 * HOUR_S,
        runs_from=0.2,
        weak_below=0.7,
        is_needed_when_empty=True,
    ),
    "refrigerator": Limits(
        hold_s=1.5,
        pause_min_s=8.0,  # an overload protector pauses longer, and its starts are to be counted
        bridge_s=180.0,
        idle_max_s=4 * HOUR_S,
        dead_max_s=600.0,
        run_max_s=8 * HOUR_S,  # a hot day after it was filled takes half of this
        short_s=360.0,
        runs_from=0.35,  # its lamp draws a tenth
        warm_above_c=8.0,
        is_needed_when_empty=True,
        is_never_switched=True,  # food spoils unseen, and who ate it pays
    ),
    "air_conditioner": Limits(
        hold_s=1.5, pause_min_s=8.0, bridge_s=180.0, dead_max_s=600.0, short_s=240.0, short_starts=5
    ),
    "heater": Limits(hold_s=1.5, pause_min_s=8.0, bridge_s=60.0, weak_below=0.4),
    "tyre_inflator": Limits(
        hold_s=1.5, pause_min_s=8.0, bridge_s=20.0, run_max_s=0.5 * HOUR_S, weak_below=0.4, is_used_by_hand=True
    ),
    "television": _PLAIN,
    "charger": _PLAIN,
    "light": _PLAIN,
    # An AED's cabinet warms it and charges it; without the router nobody could switch it on again.
    "aed": Limits(hold_s=1.5, dead_max_s=600.0, is_needed_when_empty=True, is_never_switched=True),
    "router": Limits(hold_s=1.5, dead_max_s=600.0, is_needed_when_empty=True, is_never_switched=True),
    "other": _PLAIN,
}
"""Every kind that the settings know, and three that they may."""
