from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from agent.mqtt.backoff import Backoff


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_every_wait_is_within_its_bounds(failures: int, draw: float) -> None:
    backoff = Backoff()
    wait_s = backoff.wait_s(failures, lambda: draw)
    assert backoff.least_s <= wait_s <= min(backoff.longest_s, backoff.first_s * 2.0 ** min(failures - 1, 32))


def test_fifteen_thousand_stations_do_not_come_in_one_second() -> None:
    draw = random.Random(1).random
    backoff = Backoff()
    for failures, most in ((1, 4200), (5, 320)):
        seconds = [int(backoff.wait_s(failures, draw)) for _ in range(15_000)]
        assert max(seconds.count(second) for second in set(seconds)) < most
