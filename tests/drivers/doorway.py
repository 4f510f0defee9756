"""What people do to the two beams of a doorway: which one changes, and how."""

from __future__ import annotations

from drivers.beam import INNER, OUTER

Step = tuple[int, bool]

ENTER: tuple[Step, ...] = ((OUTER, True), (INNER, True), (OUTER, False), (INNER, False))
LEAVE: tuple[Step, ...] = ((INNER, True), (OUTER, True), (INNER, False), (OUTER, False))
TURN_BACK_EARLY: tuple[Step, ...] = ((OUTER, True), (OUTER, False))
TURN_BACK_LATE: tuple[Step, ...] = (
    *((OUTER, True), (INNER, True), (OUTER, False)),  # nearly in
    *((OUTER, True), (INNER, False), (OUTER, False)),
)
HESITATE: tuple[Step, ...] = (
    *((OUTER, True), (INNER, True), (OUTER, False), (OUTER, True), (OUTER, False), (OUTER, True)),  # a swinging bag
    *((INNER, False), (INNER, True), (OUTER, False), (INNER, False)),
)
