"""What can happen to the broker and to the network, one fault a function: they end with everything mended again.

Each takes a `Rig` whose station has visitors meanwhile, and a source of chance for its moments; `Rig.run` calls it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from random import Random

from agent.fleet.commander import CommandError
from tests.network import Way
from tests.system.rig import IN_FLIGHT, KEEPALIVE_S, Fault, Rig
from tests.system.stations import STATION, eventually

# A ping goes after one keepalive of silence, its answer is missed after another; then paho looks once a second. The
# rest is for a busy machine.
NOTICE_S = 2 * KEEPALIVE_S + 5.0
_REPLAYED = 3 * IN_FLIGHT  # so many that a replay takes several pages
_ANSWER_S = 3.0  # many times what it takes, where it comes
_MOMENT_S = 0.3
_LINE_S = 0.2  # so long a line that entries are always under way when it is cut


def kill_broker(rig: Rig, random: Random) -> None:
    """SIGKILL while entries are under way, and a new start after a moment."""
    rig.way.delay_s = random.uniform(0, _LINE_S)
    _wait(random)
    rig.broker.kill()
    _wait(random)
    rig.broker.start()
    rig.await_link()


def stop_broker(rig: Rig, random: Random) -> None:
    """SIGTERM, as when it is updated."""
    _wait(random)
    rig.broker.stop()
    _wait(random)
    rig.broker.start()
    rig.await_link()


def freeze_broker(rig: Rig, random: Random) -> None:
    """It hangs for some seconds, and goes on."""
    _wait(random)
    rig.broker.freeze()
    time.sleep(random.uniform(0, 3.0))
    rig.broker.thaw()
    rig.await_link()


def hang_broker(rig: Rig, random: Random) -> None:
    """It hangs until the station has given it up, and then goes on with what it had not read yet."""
    _wait(random)
    rig.broker.freeze()
    rig.await_outage(NOTICE_S)
    time.sleep(random.uniform(0, 3.0))
    rig.broker.thaw()
    rig.await_link()


def cut(rig: Rig, random: Random) -> None:
    """The network is gone for a moment, with or without a word."""
    rig.way.delay_s = random.uniform(0, _LINE_S)
    _wait(random)
    rig.way.cut(resets=random.random() < 0.5)
    rig.await_outage()
    _wait(random)
    rig.way.mend()
    rig.await_link()


def blink(rig: Rig, random: Random) -> None:
    """Connections end, again and again; the network itself stays."""
    rig.way.delay_s = random.uniform(0, _LINE_S)
    for _ in range(random.randint(1, 5)):
        _wait(random)
        rig.way.blink(resets=random.random() < 0.5)
    rig.await_link()


def slow_down(rig: Rig, random: Random) -> None:
    """A long and thin line, as of a mobile network at its worst."""
    rig.way.delay_s = random.uniform(0, 0.5)
    rig.way.bytes_per_s = random.uniform(2_000, 50_000)
    time.sleep(random.uniform(1.0, 3.0))


def half_open_both_ways(rig: Rig, random: Random) -> None:
    """Nothing arrives anywhere while the connection stands; the station must notice by itself."""
    _swallow(rig, random, "up", "down")


def half_open_to_the_broker(rig: Rig, random: Random) -> None:
    """The station hears the broker, and is not heard."""
    _swallow(rig, random, "up")


def half_open_to_the_station(rig: Rig, random: Random) -> None:
    """The broker takes entries, and the station does not hear that it does."""
    _swallow(rig, random, "down")


def _swallow(rig: Rig, random: Random, *ways: Way) -> None:
    _wait(random)
    rig.way.swallow(*ways)
    rig.await_outage(NOTICE_S)
    _wait(random)
    rig.way.mend()
    rig.await_link()


def half_open_to_the_subscriber(rig: Rig, random: Random) -> None:
    """The subscriber must notice by itself, and gets from the broker what it missed."""
    _wait(random)
    rig.far_way.swallow("up", "down")
    eventually(lambda: not rig.watcher.is_subscribed, "the subscriber notices", NOTICE_S)
    _wait(random)
    rig.far_way.mend()
    rig.await_link()


def lose_the_subscriber(rig: Rig, random: Random) -> None:
    """The subscriber's own connection ends; the broker keeps what comes for it."""
    _wait(random)
    rig.far_way.cut(resets=random.random() < 0.5)
    _wait(random)
    rig.far_way.mend()
    rig.await_link()


def forget_what_waits(rig: Rig, random: Random) -> None:
    """The broker dies with what it acknowledged and had nobody to give to."""
    rig.far_way.cut()
    _wait(random)
    before = rig.acknowledged()
    eventually(lambda: rig.acknowledged() > before, "the broker acknowledges")
    rig.broker.kill()
    rig.broker.start()
    eventually(rig.has_link, "the station is at the broker again")
    rig.far_way.mend()
    rig.await_link()


def forget_at_once(rig: Rig, random: Random) -> None:
    """The broker acknowledges and forgets, and lives on."""
    _forget(rig, random.randint(1, 10))


def cut_a_replay(rig: Rig, random: Random) -> None:
    """The broker forgets, and the connection ends while the station sends that again; the server asks once more."""
    _forget(rig, _REPLAYED)
    eventually(lambda: bool(rig.watcher.gaps(STATION)), "the server sees the gap")
    rig.way.delay_s = _LINE_S
    with rig.command() as commander:
        answers = commander.send("log.replay", next(rig.watcher.gaps(STATION)[0].requests()), timeout_s=_ANSWER_S)
        assert next(answers).status == "accepted"
        time.sleep(random.uniform(0, 4 * _LINE_S))
        rig.way.blink(resets=random.random() < 0.5)
        with suppress(CommandError):  # an answer that finds no link is not sent
            list(answers)
    rig.await_link()


def _forget(rig: Rig, entries: int) -> None:
    before = rig.way.forgotten
    rig.way.forgets = True
    eventually(lambda: rig.way.forgotten >= before + entries, "entries are forgotten")
    rig.way.forgets = False


def _wait(random: Random) -> None:
    time.sleep(random.uniform(0, _MOMENT_S))


NETWORK = (
    freeze_broker,
    hang_broker,
    cut,
    blink,
    slow_down,
    half_open_both_ways,
    half_open_to_the_broker,
    half_open_to_the_station,
    half_open_to_the_subscriber,
    lose_the_subscriber,
)
"""The broker lives and keeps what it acknowledged: nothing may be missing that a server has to ask for."""

FORGETTING = (kill_broker, stop_broker, forget_what_waits, forget_at_once, cut_a_replay)
"""The broker may forget what it acknowledged."""


def happen(rig: Rig, fault: Fault, random: Random) -> None:
    """One of these, with visitors and all that is asked afterwards. For tests, and for runs that choose by chance."""
    before = rig.replayed
    rig.run(fault, random)
    if fault in NETWORK:
        assert rig.replayed == before, "the station counted as delivered what no broker had"
