"""Enrolment by photos: every photo is encoded by vision, then the member is saved with one fused template."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.core.gallery import Gallery, enrolment_check, fuse
from agent.core.problems import Problem, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.events import Template

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


@dataclass(frozen=True, slots=True)
class Likenesses:
    """Whom a person about to be enrolled looks like, by id. `enrolled_as`: so much that they count as one person."""

    enrolled_as: str | None
    look_alikes: tuple[str, ...]

    def warnings(self) -> list[dict[str, Any]]:
        """What the station master should know, as the reply carries it."""
        if not self.look_alikes:
            return []
        return [problem("member.looks_alike", "members.enrol", ", ".join(self.look_alikes)).as_dict()]


def compare(gallery: Gallery, template: Template, member_id: str) -> Likenesses:
    """Compare with everybody else in the gallery. Raises `GalleryError` for a template that cannot be used."""
    check = enrolment_check(gallery, template.vector, member=member_id)
    return Likenesses(
        None if check.same is None else check.same.member, tuple(match.member for match in check.look_alikes)
    )
