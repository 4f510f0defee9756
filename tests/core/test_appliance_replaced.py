"""Another appliance stands in the place of one whose usual power is known."""

from __future__ import annotations

from dataclasses import replace

from agent.core.appliance_cycles import Cycles
from agent.core.power_levels import Levels
from agent.effects import AppendEntry
from agent.events import Restored
from tests.core.station_play import RULES, VIEWER, Play, begin, ready


def with_a_weak_oven() -> Play:
    play = ready(rules=RULES)
    known = play.state.appliances["microwave"]
    weak = replace(known, levels=LEVELS, cycles=Cycles(peaks=(1200.0, 1190.0), weak_in_a_row=2), read_at=0.0)
    play.state = replace(play.state, appliances={"microwave": weak})
    return play


LEVELS = Levels(standby_w=2.0, running_w=1200.0, split_w=50.0, floor_w=1.5)


def test_what_was_learned_is_forgotten_at_once_and_for_good() -> None:
    play = with_a_weak_oven()
    play.ask("appliances.replaced", appliance="microwave")
    play.write_log()
    assert play.replies()[-1].ok
    assert play.logged("appliance.replaced") == [{"appliance": "microwave", "by": "master"}]
    oven = play.state.appliances["microwave"]
    assert (oven.levels, oven.cycles.peaks, oven.cycles.weak_in_a_row) == (None, (), 0)
    (note,) = [each for order in play.found(AppendEntry) for each in order.notes if each.kind == "appliance"]
    again = begin(rules=play.rules, restored=Restored(notes={"appliance": {note.name: note.body or {}}}))
    assert again.state.appliances["microwave"].levels is None


def test_nobody_replaces_what_the_settings_do_not_have_and_no_viewer_anything() -> None:
    play = with_a_weak_oven()
    play.ask("appliances.replaced", appliance="spaceship")
    assert play.problem_codes() == ["appliance.unknown"]
    play.ask("appliances.replaced", actor=VIEWER, appliance="microwave")
    assert play.problem_codes() == ["request.forbidden"]
    assert play.state.appliances["microwave"].levels is LEVELS
