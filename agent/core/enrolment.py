"""Enrolment by photos: every photo is encoded by vision, then the member is saved with one fused template."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from agent.core.gallery import fuse
from agent.core.problems import Problem, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PHOTOS = 6  # more does not make a better template, and bounds what one request holds in memory
PATIENCE_S = 30.0  # a photo takes well under a second; a restart of vision in between some seconds more

_PHOTO_PROBLEMS = {"no_face": "photo.no_face", "two_faces": "photo.two_faces"}


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One request under way. `waiting` names the orders that are not answered yet; orders are `REQUEST:NUMBER`."""

    request: str
    member_id: str
    name: str = field(repr=False)
    until: float
    waiting: frozenset[str]
    vectors: tuple[NDArray[np.float32], ...] = field(default=(), compare=False)
    problems: tuple[Problem, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Every photo was answered."""
        return not self.waiting


def order_of(request: str, number: int) -> str:
    """Name one photo's order, numbered from 1."""
    return f"{request}:{number}"


def request_of(order: str) -> str:
    """The request that an order belongs to."""
    return order.rpartition(":")[0]


def encoded(enrolment: Enrolment, order: str, vector: NDArray[np.float32]) -> Enrolment:
    """Take the vector of one photo; an order that is not awaited changes nothing."""
    if order not in enrolment.waiting:
        return enrolment
    return replace(enrolment, waiting=enrolment.waiting - {order}, vectors=(*enrolment.vectors, vector))


def refused(enrolment: Enrolment, order: str, reason: str) -> Enrolment:
    """Take the refusal of one photo: the enrolment as a whole will be refused with every reason."""
    if order not in enrolment.waiting:
        return enrolment
    number = order.rpartition(":")[2]
    code = _PHOTO_PROBLEMS.get(reason, "photo.unusable")
    detail = f"photo {number}" if reason in _PHOTO_PROBLEMS else f"photo {number}, {reason}"
    found = problem(code, "photos", detail)
    return replace(enrolment, waiting=enrolment.waiting - {order}, problems=(*enrolment.problems, found))


def template_vector(enrolment: Enrolment) -> NDArray[np.float32]:
    """The one vector to keep, (D,) float32, length 1."""
    return fuse(np.stack(enrolment.vectors))
