"""What a gallery means for the door, in plain words, for the station master and the installer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.core.gallery import Gallery
from agent.core.likeness import closest_pairs
from agent.core.problems import Words

STRANGERS_A_DAY = 20.0  # who look at the camera of a station with some dozen visits a day
FEW = 8  # fewer say too little about how alike the people here look
_DAYS = 365


@dataclass(frozen=True, slots=True)
class Audit:
    """A gallery judged. `closest`: pairs of member ids with their distance, nearest first.

    `expected_fpir`: the share of strangers that the estimate expects to be let in. It adds up the chances per member
    and leaves out the margin to the second best, so it is an upper estimate.
    """

    engine: str
    members: int
    threshold: float
    target_fpir: float
    expected_fpir: float
    strangers_a_day: float
    wrong_openings_a_year: float
    capacity: int
    is_too_large: bool
    refused: tuple[str, ...]
    closest: tuple[tuple[str, str, float], ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON values: every field, and `words` in both languages."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        values["refused"] = list(self.refused)
        values["closest"] = [list(pair) for pair in self.closest]
        return {**values, "words": [{"zh": each.zh, "en": each.en} for each in self.in_words()]}

    def in_words(self) -> tuple[Words, ...]:
        """Sentences to read out."""
        if not self.members:
            return (
                Words("还没有人登记,人脸不能开门。", "Nobody is enrolled, so no face opens the door."),
                *self._unusable(),
            )
        return (self._rule(), self._expectation(), *self._size(), *self._look_alikes(), *self._unusable())

    def _rule(self) -> Words:
        return Words(
            f"已登记 {self.members} 人。与其中一人的距离不超过 {self.threshold:.3f},并且明显比其他人更近,门才会打开。",
            f"Members enrolled: {self.members}. A face opens the door when it is at most {self.threshold:.3f} from"
            " one of them, and clearly nearer to that one than to anybody else.",
        )

    def _expectation(self) -> Words:
        if self.members < FEW:
            most = max(1, round(_DAYS * self.strangers_a_day * self.target_fpir))
            return Words(
                f"按每天 {self.strangers_a_day:g} 个陌生人看摄像头计,"
                f"认错人开门一年不会超过约 {most} 次:这是目标 [recognition] target_fpir = {self.target_fpir:g} "
                "允许的上限,不是测量结果。调低目标,上限随之降低,但门也会更常认不出成员。",
                f"With {self.strangers_a_day:g} strangers a day before the camera, there are at most about {most} wrong"
                f" openings a year: that is the bound which the target [recognition] target_fpir = {self.target_fpir:g}"
                " allows, and not a measurement. A lower target lowers it; the door then fails to know members"
                " more often.",
            )
        zh, en = _per_year(self.wrong_openings_a_year)
        return Words(
            f"按每天 {self.strangers_a_day:g} 个陌生人看摄像头估计,认错人开门{zh}"
            f"(占陌生人的 {self.expected_fpir:.2%},目标是 {self.target_fpir:.2%})。",
            f"With {self.strangers_a_day:g} strangers a day before the camera, expect a wrong opening {en}"
            f" ({self.expected_fpir:.2%} of strangers; the target is {self.target_fpir:.2%}).",
        )

    def _size(self) -> tuple[Words, ...]:
        if not self.is_too_large:
            return () if self.members < FEW else (self._room(),)
        return (
            Words(
                f"登记人数对这个目标来说太多:按这些人的相像程度,大约 {self.capacity} 人以内才合适,"
                "现在十个成员中会有一个以上被拒绝。请让成员先出示号码、卡或通行码,人脸只用来核对。",
                f"The gallery is too large for this target, which suits about {self.capacity} members who look as"
                " alike as these; more than one member in ten would now be refused. Let members give a number, a card"
                " or a pass first, so that the face only confirms it.",
            ),
        )

    def _room(self) -> Words:
        return Words(
            f"以这些人的相像程度,适合的人数上限约为 {self.capacity}。",
            f"The target suits up to about {self.capacity} members who look as alike as these.",
        )

    def _look_alikes(self) -> tuple[Words, ...]:
        if not self.closest:
            return ()
        first, second, distance = self.closest[0]
        zh, en = ("门可能会认错", "the door may take one for the other")
        if distance > self.threshold:
            zh, en = ("门能分清", "the door tells them apart")
        return (
            Words(
                f"最相像的两人是 {first} 和 {second}(距离 {distance:.3f}):{zh}。",
                f"The two who look most alike are {first} and {second} ({distance:.3f} apart): {en}.",
            ),
        )

    def _unusable(self) -> tuple[Words, ...]:
        if not self.refused:
            return ()
        names = ", ".join(self.refused)
        return (
            Words(
                f"这些成员的人脸数据不能使用,需要重新登记:{names}。",
                f"The stored faces of these members cannot be used; they must enrol again: {names}.",
            ),
        )


def audit(gallery: Gallery, strangers_a_day: float, *, pairs: int = 10) -> Audit:
    """Judge a gallery; compares everybody with everybody, about a second at 10,000, so off the deciding thread."""
    count = len(gallery.members)
    expected = min(1.0, count * gallery.model.share(gallery.threshold))
    return Audit(
        engine=gallery.engine,
        members=count,
        threshold=gallery.threshold,
        target_fpir=gallery.target_fpir,
        expected_fpir=expected,
        strangers_a_day=strangers_a_day,
        wrong_openings_a_year=_DAYS * strangers_a_day * expected,
        capacity=gallery.capacity,
        is_too_large=gallery.is_too_large,
        refused=gallery.refused,
        closest=tuple(
            (gallery.members[first], gallery.members[second], distance)
            for distance, first, second in closest_pairs(gallery.vectors, pairs)
        ),
    )


def _per_year(number: float) -> tuple[str, str]:
    if number < 0.1:
        return "十年不到一次", "less than once in ten years"
    if number < 1.5:
        return "一年大约一次或更少", "about once a year or less"
    return f"一年大约 {number:.0f} 次", f"about {number:.0f} times a year"
