"""Faults of the encrypted link to the broker: its certificates, their files, and that there is none.

The end of a certificate is judged only by a clock that a time source has set: without one nobody knows what is left.
"""

from __future__ import annotations

from datetime import timedelta

from agent.core.certificates import EXPIRED, EXPIRING, OFF, UNREADABLE, wrong
from agent.core.turn import Turn
from agent.events import CertificateRead


def begin(turn: Turn) -> None:
    """Say that the link is not encrypted; forget what was wrong with files that the settings no longer name."""
    if turn.rules.link.is_in_the_clear:
        turn.raise_fault(OFF, "mqtt.tls.enabled")
    else:
        turn.clear_fault(OFF, "mqtt.tls.enabled")
    for code, where in tuple(turn.state.repairs):
        if code in (UNREADABLE, EXPIRING, EXPIRED) and where not in turn.rules.link.files:
            turn.clear_fault(code, where)


def take(turn: Turn, event: CertificateRead) -> None:
    """A file was read, or could not be."""
    if event.where not in turn.rules.link.files:
        return
    if event.ends_at_utc is None:
        turn.word_fault(UNREADABLE, event.where, event.detail)
        return
    turn.clear_fault(UNREADABLE, event.where)
    turn.set(certificates={**turn.state.certificates, event.where: event.ends_at_utc})
    review(turn)


def review(turn: Turn) -> None:
    """Raise and clear what the time of day says: after a file or the clock was read."""
    clock = turn.state.clock
    if clock is None or not clock.is_trusted:
        return
    now = clock.utc + timedelta(seconds=turn.now - clock.at)
    for where, code in wrong(turn.state.certificates, now).items():
        for other in (EXPIRING, EXPIRED):
            if other != code:
                turn.clear_fault(other, where)
        if code is not None:
            turn.word_fault(code, where, f"{turn.state.certificates[where]:%Y-%m-%d}")
