"""Ten thousand passes that must not open: the real signatures, the real rules and the real ledger."""

from __future__ import annotations

import queue
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.core import base45
from agent.core.pass_book import PassRules
from agent.core.passes import NO_END, SIGNED_PREFIX, Pass, in_order, pack, station_digest
from agent.effects import CheckPass, RedeemPass
from agent.events import CodeSeen, Event, PassChecked, PassRedeemed, Restored
from agent.pass_checker import PassChecker
from agent.signatures import SigningKey, generate, public_key, sign
from agent.storage.writer import StorageWriter
from tests.core.station_play import RULES, Play, member, ready

PASSES = 10_000
SEED = 20261122
WAIT_S = 20.0
NOW = 29_700_000  # minutes since 1970
HERE = station_digest("station-0001")
KEY, OTHER = generate(7), generate(9)
REVOKED = tuple(f"{n:016x}" for n in range(100))
SPENT = Pass(7, "5" * 16, "m-1", False, (HERE,), NOW - 100, NOW + 100, is_once=True)


class Door:
    """A station that looks at codes: `present` gives the reason of the refusal, or "opened"."""

    def __init__(self, directory: Path) -> None:
        self._redeemed: queue.Queue[PassRedeemed] = queue.Queue()
        self._writer = StorageWriter(directory, "station-0001", SystemClock(), self._hear)
        self._writer.open()
        restored = Restored(revoked_passes=frozenset(REVOKED))
        self.play: Play = ready(member("m-1", 1), rules=replace(RULES, passes=PassRules(HERE)), restored=restored)
        # Used on this thread, without its own: only what it answers is wanted here.
        self._checker = PassChecker({7: public_key(KEY.public_text)}, SystemClock(), lambda _: None)
        self._checker.close()

    def _hear(self, event: Event) -> None:
        if isinstance(event, PassRedeemed):
            self._redeemed.put(event)

    def close(self) -> None:
        self._writer.close(5.0)

    def present(self, text: str) -> str:
        play = self.play
        play.take()
        play.put(CodeSeen(play.now, text))
        (order,) = play.found(CheckPass)
        found = self._checker._checked(order)
        play.put(PassChecked(found.at, found.token, found.fault, NOW, is_clock_trusted=True))
        for asked in play.found(RedeemPass):
            self._writer.submit(replace(asked, until=float("inf")))  # its clock is the machine's, not the play's
            play.put(replace(self._redeemed.get(timeout=WAIT_S), at=play.now, until=asked.until))
        refusals = play.logged("access.refused")
        if play.lock_orders() or play.logged("access.granted"):
            return "opened"
        return str(refusals[-1]["reason"]) if refusals else "no pass"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(tmp_path / "state")
    yield door
    door.close()


def good(dice: random.Random) -> Pass:
    """One that would open."""
    return Pass(
        key_id=7,
        pass_id=f"{dice.getrandbits(64) | 1 << 63:016x}",
        holder=dice.choice(["m-1", "g-17"]),
        stations=(HERE,) if dice.random() < 0.5 else (),
        valid_from=dice.choice([0, NOW, NOW - dice.randrange(1, 10_000)]),
        valid_until=dice.choice([NO_END, NOW + 1, NOW + dice.randrange(1, 10_000)]),
        categories=tuple(sorted(dice.sample(range(1, 9), dice.randrange(4)))),
    )


def guest_or_member(token: Pass) -> Pass:
    return replace(token, is_guest=token.holder.startswith("g"))


def once(token: Pass, dice: random.Random) -> Pass:
    return replace(token, stations=(HERE,), is_once=True) if dice.random() < 0.5 else token


def forged(token: Pass, dice: random.Random) -> str:
    body = pack(token)
    kind = dice.randrange(4)
    if kind == 0:
        return sign(SigningKey(7, OTHER.private), token)
    if kind == 1:
        return sign(OTHER, replace(token, key_id=9))
    if kind == 2:
        return base45.encode(body + dice.randbytes(64))
    return base45.encode(body + KEY.private.sign(dice.choice([b"", SIGNED_PREFIX[:-1]]) + body))


def altered(token: Pass, dice: random.Random) -> str:
    """One to four bits of a good token, or one part of it, are others."""
    data = bytearray(base45.decode(sign(KEY, token)))
    for bit in dice.sample(range(len(data) * 8), dice.randrange(1, 5)):
        data[bit // 8] ^= 1 << bit % 8
    return base45.encode(bytes(data))


def garbage(_: Pass, dice: random.Random) -> str:
    kind = dice.randrange(4)
    if kind == 0:
        return base45.encode(dice.randbytes(dice.randrange(1, 120)))
    if kind == 1:
        return "".join(chr(dice.randrange(32, 127)) for _ in range(dice.randrange(1, 200)))
    if kind == 2:
        text = sign(KEY, good(dice))
        return text[: dice.randrange(1, len(text))]
    text = sign(KEY, good(dice))
    return dice.choice([text + "00", "0" + text, text.lower(), " " + text, text + text, text[1:]])


KINDS: dict[str, tuple[Callable[[Pass, random.Random], str], set[str]]] = {
    "forged": (forged, {"pass_forged"}),
    "altered": (altered, {"pass_forged", "no pass"}),
    "expired": (
        lambda token, dice: sign(
            KEY, replace(token, valid_from=0, valid_until=NOW - dice.choice([0, 1, dice.randrange(NOW)]))
        ),
        {"pass_expired"},
    ),
    "early": (
        lambda token, dice: sign(
            KEY, replace(token, valid_from=NOW + dice.choice([1, dice.randrange(1, 10**6)]), valid_until=NO_END)
        ),
        {"pass_early"},
    ),
    "wrong station": (
        lambda token, dice: sign(
            KEY, replace(token, stations=in_order([f"station-{n:04}" for n in dice.sample(range(2, 9999), 1)]))
        ),
        {"pass_other_station"},
    ),
    "replayed": (lambda _token, _dice: sign(KEY, SPENT), {"pass_spent", "no pass"}),
    "revoked": (
        lambda token, dice: sign(KEY, replace(token, pass_id=dice.choice(REVOKED))),
        {"pass_revoked"},
    ),
    "garbage": (garbage, {"pass_forged", "no pass"}),
}


@pytest.mark.timeout(120)
def test_none_of_ten_thousand_bad_passes_opens(door: Door) -> None:
    dice = random.Random(SEED)
    for token in (SPENT, replace(SPENT, pass_id="6" * 16, is_once=False), Pass(7, "7" * 16, "g-1", is_guest=True)):
        assert door.present(sign(KEY, token)) == "opened", "the good ones do, or the others would mean nothing"
        door.play.wait(60.0)
    seen: Counter[str] = Counter()
    for n in range(PASSES):
        kind = list(KINDS)[n % len(KINDS)]
        make, reasons = KINDS[kind]
        text = make(once(guest_or_member(good(dice)), dice) if kind != "wrong station" else good(dice), dice)
        said = door.present(text)
        assert said in reasons, (kind, n)
        seen[f"{kind}: {said}"] += 1
    assert sum(seen.values()) == PASSES
    assert seen["altered: pass_forged"] > PASSES / 20
    assert seen["replayed: pass_spent"] == PASSES // len(KINDS)
