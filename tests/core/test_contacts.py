"""Contacts with a meaning, and the faults that they are."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from agent.core.contacts import CODES
from agent.core.floats import HOLD_S
from agent.core.problems import CATALOGUE
from agent.core.station import next_deadline
from agent.events import SignalChanged
from agent.sensor_settings import ContactKind
from tests.core.station_play import RULES, Play, begin


def station(**contacts: str) -> Play:
    return begin(rules=replace(RULES, contacts=contacts))


def say(play: Play, name: str, is_active: bool | None) -> None:
    play.put(SignalChanged(play.now, name, is_active))


@pytest.mark.parametrize(("kind", "code"), CODES.items())
def test_what_a_contact_says_is_a_fault_once_it_has_held_and_until_it_is_over(kind: str, code: str) -> None:
    play = station(here=kind)
    say(play, "here", True)
    play.wait(HOLD_S - 0.1)
    assert (code, "contacts.here") not in play.state.faults
    play.wait(0.2)
    assert (code, "contacts.here") in play.state.faults
    assert len(play.logged("fault.raised")) == 1
    say(play, "here", None)  # its wire or its radio is gone: neither so nor over
    play.wait(60.0)
    assert (code, "contacts.here") in play.state.faults
    say(play, "here", False)
    play.wait(HOLD_S + 0.1)
    assert (code, "contacts.here") not in play.state.faults


def test_a_contact_that_bounces_says_nothing() -> None:
    play = station(floor="leak")
    for _ in range(20):
        say(play, "floor", True)
        play.wait(1.0)
        say(play, "floor", False)
        play.wait(1.0)
    assert play.logged("fault.raised") == []


def test_water_that_an_appliance_names_is_told_of_the_appliance_alone() -> None:
    profile = replace(RULES.appliances["microwave"], water_signal="tank")
    play = begin(rules=replace(RULES, contacts={"tank": "water"}, appliances={"dispenser": profile}))
    say(play, "tank", True)
    play.wait(HOLD_S + 0.1)

    assert {key for key in play.state.faults if key[0] == "water.empty"} == {("water.empty", "dispenser")}


def test_the_mains_and_what_has_no_meaning_here_are_left_to_others() -> None:
    play = station(grid="mains", bell="other")
    for name in ("grid", "bell"):
        say(play, name, True)
    play.wait(HOLD_S + 0.1)

    assert not any(where.startswith("contacts.") for _, where in play.state.faults)
    assert next_deadline(play.state, play.rules) is not None


def test_every_kind_of_the_settings_is_a_fault_or_meant_not_to_be() -> None:
    assert set(get_args(ContactKind)) == {*CODES, "mains", "other"}
    assert set(CODES.values()) <= CATALOGUE.keys()
