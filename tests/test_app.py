"""What the process of the agent is made ready by."""

from __future__ import annotations

import gc
import sys

import pytest

from agent.app import SWITCH_S, settle_interpreter


def test_what_stays_after_the_start_is_left_out_of_later_collections() -> None:
    before = sys.getswitchinterval()
    try:
        settle_interpreter()
        assert gc.get_freeze_count() > 0
        assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
