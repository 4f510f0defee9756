"""1:1 and 1:k: a code names one member or a few, and for a short while only their faces open the door.

A code that nobody has opens the same window with nobody in it, so that trying numbers tells nothing. The window ends
with the admission, or with its time; a refused face may be tried again within it, at the pace of `core.recognition`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was presented. `until`: station time; faces captured later are not judged by it."""

    way: str
    member_ids: tuple[str, ...]
    until: float

    @property
    def way_in(self) -> str:
        """How an entry by this code and a face is named in the log."""
        return f"{self.way}+face"


def present(way: str, member_ids: tuple[str, ...], at: float, window_s: float) -> Code:
    """Open the window. `at`: when the code was presented; a later code takes the place of an earlier one."""
    return Code(way, tuple(dict.fromkeys(member_ids)), at + window_s)


def in_force(code: Code | None, at: float) -> Code | None:
    """The code that a face captured `at` is judged by, if there is one."""
    return code if code is not None and at < code.until else None
