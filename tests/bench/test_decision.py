"""How the time from a fact to its effect is taken and judged."""

from __future__ import annotations

import time

import pytest

from agent.events import TimePassed
from bench.decision import Measured, judge
from bench.visitor import Sample, Stopwatch


@pytest.mark.parametrize(("took_ms", "bare_ms", "is_met"), [(1.9, 9.0, True), (2.1, 0.1, False), (2.1, 2.1, None)])
def test_a_machine_on_which_a_bare_thread_is_late_is_not_held_to_the_bar(
    took_ms: float, bare_ms: float, is_met: bool | None
) -> None:
    found = Measured([Sample("exit", took_ms, 0.1, True)] * 100, [bare_ms] * 100)
    bar = judge("fact to lock", found, 1.0, has_bar=True)
    assert bar.is_met is is_met
    assert f"p99 {took_ms:.2f}" in bar.measured


def test_the_time_runs_from_the_post_and_the_wait_ends_when_the_fact_is_taken() -> None:
    inbox = Stopwatch()
    before = time.monotonic()
    inbox.post(first := TimePassed(0.0))
    posted = time.monotonic()
    inbox.post(TimePassed(0.0))
    assert inbox.take(0.0) is first
    assert inbox.posted_at is not None
    assert before <= inbox.posted_at <= posted <= inbox.taken_at
    earlier = inbox.posted_at
    assert inbox.take(0.0) is not None
    assert inbox.posted_at is not None
    assert inbox.posted_at >= max(earlier, posted)
    assert inbox.take(0.0) is None
    assert inbox.posted_at is None
