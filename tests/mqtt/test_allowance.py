"""So many in a second, and so many at once."""

from __future__ import annotations

from agent.mqtt.allowance import Allowance


def taken(allowance: Allowance, now: float) -> int:
    count = 0
    while allowance.take(now):
        count += 1
    return count


def test_at_once_as_many_as_it_holds_and_then_by_the_second() -> None:
    allowance = Allowance(per_s=10.0, at_once=30)
    assert taken(allowance, 100.0) == 30
    assert taken(allowance, 100.0) == 0
    assert taken(allowance, 101.0) == 10
    assert taken(allowance, 101.25) == 2


def test_it_holds_no_more_after_a_long_silence() -> None:
    allowance = Allowance(per_s=10.0, at_once=30)
    allowance.take(100.0)
    assert taken(allowance, 9_000.0) == 30
