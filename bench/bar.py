"""One bar: what was asked for, what was measured, and whether that is enough."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """`is_met`: None where it could not be measured; `measured` then says why. `bar`: empty where none is set."""

    what: str
    bar: str
    measured: str
    is_met: bool | None

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.bar:
            return ""
        return {True: "met", False: "NOT MET", None: "not measured"}[self.is_met]


def not_measured(what: str, bar: str, why: str) -> Bar:
    """A bar that this machine cannot be held to."""
    return Bar(what, bar, why, None)
