"""Appliances that were switched, or were not."""

from __future__ import annotations

from agent.core.switching import FAULT
from agent.events import ApplianceSwitched
from tests.core.station_play import begin


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
