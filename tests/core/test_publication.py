"""What the station shows of itself, and when."""

from __future__ import annotations

import json
from itertools import pairwise

from agent.core.problems import Words
from agent.core.publication import REFRESH_S, parts
from agent.effects import PublishState
from agent.events import (
    BrokerConnected,
    BrokerDisconnected,
    CameraFailed,
    ExitButtonPressed,
    SensorRead,
    VisionBeat,
)
from agent.mqtt.payloads import encode, state_of
from tests.core.station_play import Play, ready


def live(play: Play, seconds: float) -> None:
    """Let time pass with a vision child that beats, so that nothing else happens."""
    end = play.now + seconds
    while play.now < end:
        play.put(VisionBeat(min(end, play.now + 1.0), 1, 0.1))


def connected() -> Play:
    play = ready()
    play.connect()
    play.take()
    return play


def test_after_a_connect_every_part_is_told_and_before_the_backlog() -> None:
    play = ready()
    play.write_log()
    play.take()
    play.put(BrokerConnected(play.now, "s-1"))
    told = [each.part for each in play.found(PublishState)]
    assert set(told) == {"door", "occupancy", "appliances/microwave", "notice", "health"}


def test_without_a_link_nothing_is_published() -> None:
    play = ready()
    play.put(ExitButtonPressed(play.now))
    live(play, 2 * REFRESH_S)
    assert play.found(PublishState) == []


def test_a_change_is_told_at_once_and_only_what_changed() -> None:
    play = connected()
    play.put(ExitButtonPressed(play.now))
    assert [each.part for each in play.found(PublishState)] == ["door"]
    assert play.published("door")[-1]["lock"] == "released"


def test_everything_is_told_again_every_thirty_seconds() -> None:
    play = connected()
    live(play, 10 * REFRESH_S + 1)
    beats = [each.at for each in play.found(PublishState) if each.part == "health"]
    assert len(beats) == 10
    assert max(later - earlier for earlier, later in pairwise(beats)) <= REFRESH_S + 1
    assert len(play.published("door")) == 10


def test_a_power_that_wavers_is_not_worth_a_message() -> None:
    play = connected()
    for n in range(20):
        play.put(SensorRead(play.now, "microwave", {"power_w": 500.0 + n}))
    assert len(play.published("appliances/microwave")) == 1
    live(play, REFRESH_S - 0.2)  # before the reading is too old
    told = play.published("appliances/microwave")[-1]
    assert (told["state"], told["usable"], told["power_w"], told["cycles"]) == ("running", "yes", 519.0, 1)
    assert told["in_use_s"] > 0
    assert told["energy_kwh"] == 0.0  # 29 s of 519 W are 4 Wh, and no time passed between the readings


def test_a_fault_is_told_at_once_and_again_when_it_is_over() -> None:
    play = connected()
    play.put(CameraFailed(play.now, "unplugged"))
    (health,) = play.published("health")
    assert [each["code"] for each in health["faults"]] == ["camera.failed"]


def test_a_link_that_was_lost_is_a_fault_for_those_who_are_here() -> None:
    play = connected()
    play.put(BrokerDisconnected(play.now, Words("timeout", "timeout")))
    play.ask("status")
    faults = play.replies()[-1].result["parts"]["health"]["faults"]
    assert [each["code"] for each in faults] == ["broker.disconnected"]
    play.connect("s-2")
    assert play.published("health")[-1]["faults"] == []


def test_the_backlog_counts_what_was_not_acknowledged() -> None:
    play = ready()
    play.ask("door.unlock")
    play.write_log()
    logged = play.state.outbox.newest[1]
    assert logged > 0
    assert parts(play.state, play.rules, play.now)["health"]["backlog"] == logged


def test_every_part_fits_the_contract() -> None:
    play = connected()
    play.put(CameraFailed(play.now, "x" * 5000))
    for part, body in parts(play.state, play.rules, play.now).items():
        message = state_of(part, body, play.now, lambda at: "2026-11-22T03:04:05Z")
        assert json.loads(encode(message))
