"""How far the switching off of one appliance is, in a room where nobody is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

TRIES_MAX = 3
RETRY_S = 60.0  # and longer each time: a plug that lost its network is back by then
ANSWER_S = 60.0  # a plug answers within some seconds, or its driver says that it did not
SETTLE_S = 15.0  # what is read sooner after a plug's word may be of before it


@dataclass(frozen=True, slots=True)
class Saving:
    """An appliance that was ordered off since the room is empty. Times are station time.

    `asked_at`: the last order; `confirmed_at`: its plug obeyed; `again_at`: it did not, and is asked again then.
    `is_over`: nothing more is done about it until somebody has been inside.
    """

    asked_at: float
    tries: int = 1
    confirmed_at: float | None = None
    again_at: float | None = None
    is_over: bool = False

    @property
    def is_asked(self) -> bool:
        """Whether an order waits for its answer."""
        return not self.is_over and self.confirmed_at is None and self.again_at is None

    def deadline(self) -> float | None:
        """When something is to be done though nothing happens."""
        if self.is_asked:
            return self.asked_at + ANSWER_S
        return None if self.is_over else self.again_at


Savings = Mapping[str, Saving]


def asked(before: Saving | None, now: float) -> Saving:
    """The order is given, for the first time or again."""
    return Saving(now, 1 if before is None else before.tries + 1)


def failed(state: Saving, now: float) -> Saving:
    """It is not off: again after a pause, or given up."""
    if state.tries >= TRIES_MAX:
        return over(state)
    return replace(state, confirmed_at=None, again_at=now + RETRY_S * state.tries)


def over(state: Saving) -> Saving:
    """It is off, somebody wants it on, or it does not obey."""
    return replace(state, again_at=None, is_over=True)


def put_off(state: Savings, seconds: float) -> Savings:
    """Station time jumped ahead, plugs did not."""
    return {
        name: replace(
            each,
            asked_at=each.asked_at + seconds,
            confirmed_at=None if each.confirmed_at is None else each.confirmed_at + seconds,
        )
        for name, each in state.items()
    }
