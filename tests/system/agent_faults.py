"""What can happen to the station itself, one fault a function: they end with the station at work again.

Each takes a `Mortal` that has visitors meanwhile, and a source of chance for its moments; `Mortal.run` calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from agent import command_keys
from tests.flood import Flood
from tests.system.hostile import COMMANDS, Hostile
from tests.system.mortal import Mortal, moment
from tests.system.rig import Rig

_DAY_S = 86_400.0
_FLOOD = 2_000
_START_S = 1.0


def kill_agent(rig: Rig, random: Random) -> None:
    """SIGKILL while visits are made and published."""
    station = _mortal(rig)
    moment(random)
    station.kill()
    _begin(station)


def kill_agent_in_its_start(rig: Rig, random: Random) -> None:
    """And again while it opens its files, or connects."""
    station = _mortal(rig)
    moment(random)
    station.kill()
    station.begin()
    moment(random, _START_S)
    station.kill()
    _begin(station)


def end_agent(rig: Rig, random: Random) -> None:
    """SIGTERM, as when it is updated."""
    station = _mortal(rig)
    moment(random)
    station.end()
    _begin(station)


def kill_agent_and_broker(rig: Rig, random: Random) -> None:
    """Both, one soon after the other, and both come back in any order."""
    station = _mortal(rig)
    rig.way.delay_s = random.uniform(0, 0.2)
    deaths: list[Callable[[], None]] = [station.kill, rig.broker.kill]
    births: list[Callable[[], None]] = [station.begin, rig.broker.start]
    random.shuffle(deaths)
    random.shuffle(births)
    for each in (*deaths, *births):
        moment(random, 0.3)
        each()
    station.await_ready()


def move_clock(rig: Rig, random: Random) -> None:
    """A day forth or back, and later to where it was."""
    by = random.choice((-_DAY_S, _DAY_S))
    for seconds in (by, -by):
        moment(random)
        rig.station.move_clock(seconds)
    moment(random)


def send_rubbish(rig: Rig, random: Random) -> None:
    """A burst of hostile messages to its commands."""
    stranger = command_keys.generate("central-1")
    hostile = Hostile(stranger, [b"e30.e30.e30"], random)
    with Flood(rig.broker.port) as sender:
        for number in range(_FLOOD):
            sender.send(COMMANDS, hostile.next(), is_retained=number % 50 == 0)
        sender.settle()


def _begin(station: Mortal) -> None:
    station.begin()
    station.await_ready()


def _mortal(rig: Rig) -> Mortal:
    assert isinstance(rig, Mortal)
    return rig


FAULTS = (kill_agent, kill_agent_in_its_start, end_agent, kill_agent_and_broker, move_clock, send_rubbish)
"""For runs that choose by chance."""
