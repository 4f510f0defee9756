"""Appliances that are switched: by an order, and because nobody is inside."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core import saving, switch_orders
from agent.core.appliance import Profile
from agent.core.appliance_kinds import KINDS
from agent.core.presence import Inside
from agent.core.switching import FAULT, NOT_OFF
from agent.effects import AppendEntry, KeepNotes, SwitchAppliance
from agent.events import (
    ApplianceSwitched,
    ExitButtonPressed,
    MotionChanged,
    PauseSkipped,
    Restored,
    SensorRead,
    SensorStateTold,
    VisionBeat,
)
from agent.sensor_contradictions import NEVER_SWITCHED
from tests.core.station_play import RULES, Play, begin, member, ready

AFTER_S = 1200.0
HOUSE = replace(
    RULES,
    sensors={"sensors.plug": "tasmota"},
    appliances={
        "lamp": Profile(
            5.0, 0.5, 900.0, "light", KINDS["light"], meter="plug", saving_after_s=AFTER_S, can_switch=True
        ),
        "fridge": Profile(5.0, 0.5, 1e6, "refrigerator", KINDS["refrigerator"], saving_after_s=AFTER_S),
        "television": Profile(5.0, 0.5, 1e6, "television", KINDS["television"]),
    },
)
OFF = SwitchAppliance("lamp", is_on=False)


def live(play: Play, seconds: float, lamp_w: float) -> None:
    """Time passes; the others run."""
    end = play.now + seconds
    for name in ("fridge", "television"):
        play.put(SensorRead(play.now, name, {"power_w": 80.0}))
    while play.now < end:
        play.put(VisionBeat(min(end, play.now + 5.0), 1, 0.1))
        play.put(SensorRead(play.now, "plug", {"power_w": lamp_w}))


def claimed(play: Play) -> Inside:
    return play.state.presence.claim


def emptied(play: Play | None = None) -> Play:
    """A station that somebody has just left, with its lamp on."""
    play = play or ready(member("m-1", 1), rules=HOUSE)
    play.put(MotionChanged(play.now, False))
    play.see_face(1)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    live(play, 30, 40.0)
    assert claimed(play) is Inside.OCCUPIED
    play.put(ExitButtonPressed(play.now))
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    live(play, 10, 40.0)
    assert claimed(play) is Inside.EMPTY
    return play


def ordered_off() -> Play:
    play = emptied()
    live(play, AFTER_S, 40.0)
    assert play.found(SwitchAppliance) == [OFF]
    return play


def confirm(play: Play) -> None:
    play.put(ApplianceSwitched(play.now, "lamp", False))


def test_an_order_that_was_carried_out_is_logged() -> None:
    play = begin()
    play.put(ApplianceSwitched(1.0, "microwave", False))

    assert play.logged("appliance.switched") == [{"appliance": "microwave", "is_on": False, "is_done": True}]
    assert play.state.faults == {}


def test_an_order_that_failed_is_a_fault_until_one_is_carried_out() -> None:
    play = begin()
    play.put(ApplianceSwitched(1.0, "microwave", False, "the MQTT broker is away"))
    play.put(ApplianceSwitched(2.0, "microwave", False, "it did not confirm"))
    fault = play.state.faults[FAULT, "microwave"]
    assert "it did not confirm" in fault.text.en
    assert [each["is_done"] for each in play.logged("appliance.switched")] == [False, False]
    assert len(play.logged("fault.raised")) == 1

    play.put(ApplianceSwitched(3.0, "microwave", True))
    assert (FAULT, "microwave") not in play.state.faults


def test_what_only_serves_people_goes_off_once_nobody_was_inside_for_so_long() -> None:
    play = emptied()
    live(play, AFTER_S - 30.0, 40.0)
    assert play.found(SwitchAppliance) == []
    live(play, 30.0, 40.0)
    assert play.found(SwitchAppliance) == [OFF]  # neither the fridge nor what no setting names
    (told,) = play.logged("appliance.unneeded")
    assert told["appliance"] == "lamp"
    assert AFTER_S <= told["empty_s"] <= AFTER_S + 10.0

    confirm(play)
    live(play, 4 * AFTER_S, 0.0)
    assert play.found(SwitchAppliance) == [OFF]
    assert play.state.faults == {}


def test_it_goes_off_at_its_time_though_nothing_is_read() -> None:
    play = emptied()
    since = play.state.presence.since
    play.wait_until(since + 890.0)  # its last reading holds for 900 s: one more carries it to its time
    live(play, 5.0, 40.0)
    play.take()
    play.wait_until(since + AFTER_S + 1.0)
    assert [at for at, order in zip(play.ordered_at, play.orders, strict=True) if order == OFF] == [since + AFTER_S]


def test_what_is_off_is_not_ordered_off() -> None:
    play = emptied()
    live(play, 2 * AFTER_S, 0.0)
    assert play.found(SwitchAppliance) == []


def test_who_switches_it_back_on_is_not_fought_until_somebody_was_inside() -> None:
    play = ordered_off()
    confirm(play)
    live(play, 60, 0.0)
    live(play, 3 * AFTER_S, 40.0)  # a hand at the plug
    assert play.found(SwitchAppliance) == [OFF]
    assert play.state.faults == {}

    play.take()
    emptied(play)
    live(play, AFTER_S, 40.0)
    assert play.found(SwitchAppliance) == [OFF]


def test_a_hand_at_the_plug_right_after_the_order_is_not_fought_either() -> None:
    play = ordered_off()
    confirm(play)
    live(play, 5.0, 40.0)
    play.put(SensorStateTold(play.now, "plug", "on", True))
    live(play, AFTER_S, 40.0)
    assert play.found(SwitchAppliance) == [OFF]
    assert play.state.faults == {}


def test_who_orders_it_on_from_afar_is_not_fought() -> None:
    play = ordered_off()
    confirm(play)
    play.put(ApplianceSwitched(play.now, "lamp", True))
    live(play, AFTER_S, 40.0)
    assert play.found(SwitchAppliance) == [OFF]
    assert play.state.faults == {}


def test_a_plug_that_does_not_obey_is_asked_three_times_and_is_a_fault() -> None:
    play = ordered_off()
    for tries in (1, 2, 3):
        assert play.found(SwitchAppliance) == [OFF] * tries
        play.put(ApplianceSwitched(play.now, "lamp", False, "out of reach"))
        assert (FAULT, "lamp") in play.state.faults
        live(play, saving.RETRY_S * tries + 10.0, 40.0)
    live(play, 4 * AFTER_S, 40.0)
    assert play.found(SwitchAppliance) == [OFF] * 3


def test_a_plug_that_never_answers_is_asked_three_times_and_is_a_fault() -> None:
    play = ordered_off()
    live(play, 2 * AFTER_S, 40.0)
    assert play.found(SwitchAppliance) == [OFF] * saving.TRIES_MAX
    assert "did not answer" in play.state.faults[FAULT, "lamp"].text.en
    confirm(play)
    assert play.state.faults == {}


def test_what_draws_power_though_its_plug_is_off_is_a_fault_until_it_draws_nothing() -> None:
    play = ordered_off()
    for tries in (1, 2, 3):
        assert play.found(SwitchAppliance) == [OFF] * tries
        confirm(play)
        live(play, saving.SETTLE_S + 10.0 + saving.RETRY_S * tries, 40.0)
    assert "40 W" in play.state.faults[NOT_OFF, "lamp"].text.en
    live(play, 2 * AFTER_S, 40.0)
    assert play.found(SwitchAppliance) == [OFF] * 3
    live(play, 30.0, 0.0)
    assert play.state.faults == {}


def test_who_comes_in_while_it_is_asked_again_keeps_it_on() -> None:
    play = ordered_off()
    play.put(ApplianceSwitched(play.now, "lamp", False, "out of reach"))
    play.see_face(1)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    live(play, 300, 40.0)
    assert play.state.presence.claim is Inside.OCCUPIED
    assert play.state.savings == {}
    assert play.found(SwitchAppliance) == [OFF]


def test_a_plug_is_not_to_blame_for_a_pause_that_it_did_not_live_through() -> None:
    play = ordered_off()
    asked_at = play.state.savings["lamp"].asked_at
    play.put_late(play.now + 3600.0, PauseSkipped(play.now, 3600.0))
    assert play.state.savings["lamp"].asked_at == asked_at + 3600.0
    assert play.found(SwitchAppliance) == [OFF]


def test_what_is_switched_off_at_its_plug_lacks_no_power() -> None:
    cooler = Profile(
        20.0, 0.5, 900.0, "air_conditioner", KINDS["air_conditioner"], True, meter="plug", saving_after_s=AFTER_S
    )
    play = begin(rules=replace(HOUSE, appliances={"cooler": cooler}))
    day_s = 86_400

    def draw(seconds: int, *watts: float) -> None:
        for n in range(0, seconds, 60):
            play.now += 60.0
            play.put_late(play.now, SensorRead(play.now, "plug", {"power_w": watts[n // 1200 % len(watts)]}))

    draw(3 * day_s, 900.0, 3.0, 3.0)
    levels = play.state.appliances["cooler"].levels
    assert levels is not None
    assert levels.floor_w > 1.0, "it is known to draw something always"
    play.put(SensorStateTold(play.now, "plug", "on", False))
    draw(1800, 0.0)
    assert ("appliance.no_power", "cooler") not in play.state.faults
    play.put(SensorStateTold(play.now, "plug", "on", True))
    draw(540, 0.0)
    assert ("appliance.no_power", "cooler") not in play.state.faults
    draw(240, 0.0)
    assert ("appliance.no_power", "cooler") in play.state.faults, "the plug gives power, and it takes none"


# --- somebody's orders -----------------------------------------------------------------------------------------------

ON = SwitchAppliance("lamp", is_on=True)


def switch(play: Play, *, on: bool, request: str = "r-1", appliance: str = "lamp") -> None:
    play.ask("appliances.switch", request=request, appliance=appliance, on=on)


def answer(play: Play, *, on: bool, reason: str = "") -> None:
    """The plug says what became of an order."""
    play.put(ApplianceSwitched(play.now, "lamp", on, reason))


def switched(play: Play, *, on: bool) -> None:
    """Somebody's order that the plug takes."""
    switch(play, on=on)
    answer(play, on=on)
    play.write_log()
    assert play.replies()[-1].ok


def test_an_order_is_done_only_once_the_plug_says_so_and_the_log_says_who_gave_it() -> None:
    play = ready(rules=HOUSE)
    switch(play, on=False)
    assert play.found(SwitchAppliance) == [OFF]
    play.wait(3.0)
    assert play.replies() == []
    answer(play, on=False)
    assert play.replies() == []
    play.write_log()
    (reply,) = play.replies()
    assert (reply.ok, reply.result["appliance"], reply.result["on"]) == (True, "lamp", False)
    assert play.logged("appliance.switched") == [{"appliance": "lamp", "is_on": False, "is_done": True, "by": "master"}]
    play.wait(120.0)
    assert len(play.replies()) == 1


def test_an_order_that_the_plug_does_not_take_has_failed_and_says_why() -> None:
    play = ready(rules=HOUSE)
    switch(play, on=True)
    answer(play, on=True, reason="the MQTT broker is away")
    assert play.problem_codes() == [FAULT]
    assert "the MQTT broker is away" in play.replies()[-1].problems[0]["text"]["en"]
    assert (FAULT, "lamp") in play.state.faults


def test_an_order_that_nobody_answers_has_failed_in_time() -> None:
    play = ready(rules=HOUSE)
    switch(play, on=False)
    play.wait(switch_orders.ANSWER_S - 1.0)
    assert play.replies() == []
    play.wait(1.0)
    assert play.problem_codes() == [FAULT]
    assert "did not answer" in play.state.faults[FAULT, "lamp"].text.en
    answer(play, on=False)  # so late that nobody waits
    assert (FAULT, "lamp") not in play.state.faults
    assert len(play.replies()) == 1


def test_the_last_order_wins_and_each_is_told_its_own_end() -> None:
    play = ready(rules=HOUSE)
    switch(play, on=True, request="r-1")
    switch(play, on=False, request="r-2")
    switch(play, on=True, request="r-3")
    assert play.found(SwitchAppliance) == [ON, OFF, ON]
    answer(play, on=True, reason="a newer order came")
    answer(play, on=False, reason="a newer order came")
    answer(play, on=True)
    play.write_log()
    assert [play.replies(each)[-1].ok for each in ("r-1", "r-2", "r-3")] == [False, False, True]
    assert play.log_types().count("fault.raised") == 0, "what was overtaken is not broken"


def test_who_presses_again_and_again_is_told_to_wait() -> None:
    play = ready(rules=HOUSE)
    for number in range(switch_orders.MAX_WAITING + 1):
        switch(play, on=number % 2 == 0, request=f"r-{number}")
    assert play.problem_codes(f"r-{switch_orders.MAX_WAITING}") == ["request.busy"]
    assert len(play.found(SwitchAppliance)) == switch_orders.MAX_WAITING


@pytest.mark.parametrize(
    ("appliance", "code"),
    [("sauna", "appliance.unknown"), ("television", "appliance.no_switch"), ("fridge", "appliance.never_switched")],
)
def test_what_cannot_or_must_not_be_switched_is_refused_and_no_plug_hears_of_it(appliance: str, code: str) -> None:
    play = ready(rules=HOUSE)
    switch(play, on=False, appliance=appliance)
    assert play.problem_codes() == [code]
    assert play.found(SwitchAppliance) == []


@pytest.mark.parametrize("kind", NEVER_SWITCHED)
@pytest.mark.parametrize("on", [True, False])
def test_what_food_or_a_life_hangs_on_is_not_switched_even_where_the_settings_would_let_it(kind: str, on: bool) -> None:
    vital = Profile(5.0, 0.5, 900.0, kind, KINDS[kind], meter="plug", can_switch=True)
    play = ready(rules=replace(HOUSE, appliances={"vital": vital}))
    switch(play, on=on, appliance="vital")
    assert play.problem_codes() == ["appliance.never_switched"]
    assert play.found(SwitchAppliance) == []


def test_the_rules_and_the_settings_agree_on_what_is_never_switched() -> None:
    assert {kind for kind, limits in KINDS.items() if limits.is_never_switched} == set(NEVER_SWITCHED)


def test_what_somebody_ordered_off_stays_off_whoever_comes_in_and_is_shown_as_that() -> None:
    play = ready(member("m-1", 1), rules=HOUSE)
    live(play, 10, 40.0)
    switched(play, on=False)
    live(play, 30, 0.0)
    play.see_face(1)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    live(play, 60, 0.0)
    assert claimed(play) is Inside.OCCUPIED
    assert play.found(SwitchAppliance) == [OFF]
    play.connect()
    shown = play.published("appliances/lamp")[-1]
    assert (shown["switched_off"], shown["usable"], shown["faults"]) == (True, "no", [])


def test_what_somebody_orders_on_in_an_empty_room_stays_on_until_somebody_has_been_inside() -> None:
    play = emptied()
    switched(play, on=False)
    live(play, 2 * AFTER_S, 0.0)
    play.take()
    switched(play, on=True)  # to warm the room for the morning
    live(play, 3 * AFTER_S, 40.0)
    assert play.found(SwitchAppliance) == [ON]

    play.take()
    emptied(play)
    live(play, AFTER_S, 40.0)
    assert play.found(SwitchAppliance) == [OFF]


def test_what_is_ordered_on_while_somebody_is_inside_is_saved_again_once_they_have_left() -> None:
    play = ready(member("m-1", 1), rules=HOUSE)
    play.see_face(1)
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    live(play, 30, 40.0)
    switched(play, on=True)
    play.put(ExitButtonPressed(play.now))
    play.move_leaf(is_open=True)
    play.move_leaf(is_open=False)
    play.take()
    live(play, AFTER_S + 20.0, 40.0)
    assert play.found(SwitchAppliance) == [OFF]


def test_somebodys_order_off_ends_the_asking_of_a_plug_that_had_not_obeyed_the_rules() -> None:
    play = ordered_off()
    answer(play, on=False, reason="out of reach")
    switched(play, on=False)
    live(play, 4 * AFTER_S, 0.0)
    assert play.found(SwitchAppliance) == [OFF, OFF]
    assert play.state.faults == {}


def test_an_order_off_outlives_a_restart_until_a_hand_switches_it_on() -> None:
    play = ready(rules=HOUSE)
    live(play, 10, 40.0)
    switched(play, on=False)
    notes = {note.kind: {note.name: note.body} for entry in play.found(AppendEntry) for note in entry.notes}
    assert notes == {switch_orders.KIND: {"lamp": {}}}

    again = ready(rules=HOUSE, restored=Restored(notes={switch_orders.KIND: {"lamp": {}, "gone": {}}}))
    assert set(again.state.switches.ordered_off) == {"lamp"}
    again.put(SensorStateTold(again.now + 1.0, "plug", "on", False))
    assert set(again.state.switches.ordered_off) == {"lamp"}
    again.put(SensorStateTold(again.now + 1.0, "plug", "on", True))
    assert again.state.switches.ordered_off == {}
    assert [note.body for order in again.found(KeepNotes) for note in order.notes] == [None]


def test_what_draws_power_though_somebody_ordered_it_off_is_a_fault_until_it_draws_nothing() -> None:
    play = ready(rules=HOUSE)
    live(play, 10, 40.0)
    switched(play, on=False)
    live(play, saving.SETTLE_S + 20.0, 40.0)
    assert "40 W" in play.state.faults[NOT_OFF, "lamp"].text.en
    live(play, 30.0, 0.0)
    assert play.state.faults == {}


def test_what_starts_because_it_was_switched_on_from_afar_shows_nobody_inside() -> None:
    kettle = Profile(100.0, 0.5, 900.0, "kettle", KINDS["kettle"], meter="plug", can_switch=True)
    play = ready(rules=replace(HOUSE, appliances={"kettle": kettle}))
    for seconds in range(0, 60, 2):
        play.put(SensorRead(play.now + seconds % 2 + 2.0, "plug", {"power_w": 0.0}))
    play.ask("appliances.switch", appliance="kettle", on=True)
    play.put(ApplianceSwitched(play.now, "kettle", True))
    for _ in range(5):
        play.put(SensorRead(play.now + 2.0, "plug", {"power_w": 1500.0}))
    assert play.state.appliances["kettle"].cycles.count == 1
    assert claimed(play) is not Inside.OCCUPIED

    for watts in [0.0] * 60 + [1500.0] * 5:
        play.put(SensorRead(play.now + 2.0, "plug", {"power_w": watts}))
    assert play.state.appliances["kettle"].cycles.count == 2
    assert claimed(play) is Inside.OCCUPIED, "a hand was there"


def test_a_pause_that_nobody_lived_through_is_not_held_against_a_plug() -> None:
    play = ready(rules=HOUSE)
    switch(play, on=False)
    play.put_late(play.now + 3600.0, PauseSkipped(play.now, 3600.0))
    assert play.replies() == []
    answer(play, on=False)
    play.write_log()
    assert play.replies()[-1].ok
