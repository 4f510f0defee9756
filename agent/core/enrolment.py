"""Enrolment by photos or from the camera: after the consent, vectors of good frames become one fused template.

Frames count when they differ, so that the template knows the face from more than one side. From the camera they differ
by the pose that vision measured; of photos only the vectors are known, and these must not be the same picture twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.core.gallery import Gallery, GalleryError, enrolment_check, fuse
from agent.core.likeness import LIKENESS
from agent.core.problems import Problem, Words, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.events import EnrolmentFrameTaken, Member, Template

MAX_PHOTOS = 6  # more does not make a better template, and bounds what one request holds in memory
PATIENCE_S = 30.0  # a photo takes well under a second; a restart of vision in between some seconds more

CAMERA_S = 60.0  # somebody who cannot be enrolled in a minute needs help, and faces open no door meanwhile
ADVICE_S = 2.0  # people need this long to follow a word

# A face that turns by some five degrees, or steps nearer by an arm's length, is another view of it.
_TURN_STEP = 0.06  # distances between the eyes that the nose moves
_SCALE_STEP = 1.15
_SAME_PICTURE = 0.1  # of the distance between two people: a picture saved twice is nearer than this to itself

_PHOTO_PROBLEMS = {"no_face": "photo.no_face", "two_faces": "photo.two_faces"}
PHOTO_WORDS: Mapping[str, Words] = {
    "face_too_small": Words("脸太小", "the face is too small"),
    "too_far": Words("脸太小", "the face is too small"),
    "too_close": Words("脸太大,或超出画面", "the face is too large, or cut off by the edge"),
    "too_dark": Words("脸部太暗", "the face is too dark"),
    "too_bright": Words("脸部太亮", "the face is too bright"),
    "turned_away": Words("没有正对镜头", "the face is turned away"),
    "blurred": Words("脸部不清晰", "the face is blurred"),
    "too_large": Words("图片太大", "the picture is too large"),
    "too_small": Words("图片太小", "the picture is too small"),
    "not_a_picture": Words("不是 JPEG 或 PNG 图片,或已损坏", "it is no JPEG or PNG, or is damaged"),
    "not_readable": Words("识别程序无法读取", "face recognition could not read it"),
}
"""Why a photo is refused, by the reason in `PhotoRefused`; those of `_PHOTO_PROBLEMS` have a problem of their own."""


@dataclass(frozen=True, slots=True)
class EnrolmentRules:
    """How many good frames that differ a template needs."""

    min_frames: int = 3


@dataclass(frozen=True, slots=True)
class Pose:
    """How a face stands in a frame; see `EnrolmentFrameTaken`."""

    turn: float
    nod: float
    width_px: int


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One request under way. `waiting` names the orders that are not answered yet; orders are `REQUEST:NUMBER`.

    `consent_id` is empty until the consent is durable, and until then nothing looks at the `photos`. `poses`: of the
    camera's frames, one for each vector. `told_at`: when the person was last told what to do. `is_again`: a member who
    exists enrols once more.
    """

    request: str
    member_id: str
    name: str = field(repr=False)
    until: float
    waiting: frozenset[str] = frozenset()
    photos: tuple[bytes, ...] = field(default=(), compare=False, repr=False)
    is_camera: bool = False
    is_again: bool = False
    consent_id: str = ""
    poses: tuple[Pose, ...] = ()
    told_at: float = float("-inf")
    vectors: tuple[NDArray[np.float32], ...] = field(default=(), compare=False)
    problems: tuple[Problem, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Every photo was answered."""
        return not self.waiting

    @property
    def is_looking(self) -> bool:
        """Whether the camera looks for this person's face."""
        return self.is_camera and bool(self.consent_id)


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
    """Take the refusal of one photo: the enrolment as a whole will be refused with every reason.

    Each names its photo by the place in the request, counted from 1: `photos[2]`.
    """
    if order not in enrolment.waiting:
        return enrolment
    number = order.rpartition(":")[2]
    code = _PHOTO_PROBLEMS.get(reason, "photo.unusable")
    found = problem(code, f"photos[{number}]", PHOTO_WORDS.get(reason, Words(reason, reason)))
    return replace(enrolment, waiting=enrolment.waiting - {order}, problems=(*enrolment.problems, found))


def framed(enrolment: Enrolment, taken: EnrolmentFrameTaken) -> Enrolment:
    """Take a frame of the camera when the face stands in it as in no other so far."""
    pose = Pose(taken.turn, taken.nod, taken.width_px)
    if any(_is_alike(pose, other) for other in enrolment.poses):
        return enrolment
    return replace(enrolment, poses=(*enrolment.poses, pose), vectors=(*enrolment.vectors, taken.vector))


def fault_in(enrolment: Enrolment, engine: str, rules: EnrolmentRules) -> Problem | None:
    """What is wrong with the vectors together, or None: two people, or too few that differ."""
    if is_of_two(enrolment.vectors, engine):
        return problem("enrolment.two_people", "members.enrol")
    count = len(enrolment.vectors) if enrolment.is_camera else _different(enrolment.vectors, engine)
    if count < rules.min_frames:
        return problem("enrolment.too_few", "members.enrol", f"{count} / {rules.min_frames}")
    return None


def is_of_two(vectors: tuple[NDArray[np.float32], ...], engine: str) -> bool:
    """Whether two of them are farther apart than different people are on average."""
    far = LIKENESS[engine].centre
    return any(
        float(np.linalg.norm(one - other)) > far for number, one in enumerate(vectors) for other in vectors[:number]
    )


def is_of_another(known: Member, template: Template) -> bool:
    """Whether the door would not take this face for the member's: farther from the stored one than any threshold.

    False where there is nothing to compare with: the face was withdrawn, or is of another engine or unusable.
    """
    made_by = (template.engine, template.weights)
    stored = next((each for each in known.templates if (each.engine, each.weights) == made_by), None)
    if stored is None:
        return False
    try:
        vector = fuse(stored.vector)
    except GalleryError:
        return False  # the gallery refuses it too, and asks for this very enrolment
    return not float(np.linalg.norm(vector - template.vector)) <= LIKENESS[template.engine].ceiling


def _different(vectors: tuple[NDArray[np.float32], ...], engine: str) -> int:
    near = _SAME_PICTURE * LIKENESS[engine].centre
    kept: list[NDArray[np.float32]] = []
    for vector in vectors:
        if all(float(np.linalg.norm(vector - other)) > near for other in kept):
            kept.append(vector)
    return len(kept)


def _is_alike(one: Pose, other: Pose) -> bool:
    scale = max(one.width_px, other.width_px) / max(1, min(one.width_px, other.width_px))
    return abs(one.turn - other.turn) < _TURN_STEP and abs(one.nod - other.nod) < _TURN_STEP and scale < _SCALE_STEP


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
