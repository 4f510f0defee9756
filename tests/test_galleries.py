"""The gallery's worker: what it builds, how, and when."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import numpy as np
import pytest

from agent import galleries
from agent.clock import SystemClock
from agent.core.gallery import Gallery, build_gallery
from agent.core.state import GallerySettings
from agent.effects import AuditGallery, BuildGallery
from agent.events import Event, GalleryAudited, GalleryBuilt, Member, Template, WorkerFailed
from agent.galleries import GalleryBuilder
from tests.crowd import Crowd

ENGINE = ("dlib", "0" * 64)
PEOPLE = Crowd(0.45).people(120)[:, 0]


def members(*numbers: int) -> tuple[Member, ...]:
    return tuple(Member(f"m-{n}", (Template(*ENGINE, PEOPLE[n]),)) for n in numbers)


class Worker:
    """The builder, and what it said."""

    def __init__(self) -> None:
        self.said: queue.Queue[Event] = queue.Queue()
        self.builder = GalleryBuilder(GallerySettings(), SystemClock(), self.said.put)
        self.request = 0

    def build(self, people: tuple[Member, ...], engine: tuple[str, str] = ENGINE) -> Gallery:
        self.request += 1
        self.builder.build(BuildGallery(self.request, *engine, people))
        built = self.said.get(timeout=10)
        assert isinstance(built, GalleryBuilt)
        assert built.request == self.request
        return built.gallery


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.builder.close()


@pytest.fixture
def whole_builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One item for every gallery that was built by comparing everybody."""
    counted: list[int] = []

    def build(*arguments: object, **named: object) -> Gallery:
        counted.append(1)
        return build_gallery(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(galleries, "build_gallery", build)
    return counted


def same(one: Gallery, other: Gallery) -> None:
    """The same members with the same vectors, and the same threshold but for rounding in the histogram."""
    assert sorted(one.members) == sorted(other.members)
    for member in one.members:
        mine, theirs = (each.vectors[each.members.index(member)] for each in (one, other))
        assert np.array_equal(mine, theirs)
    assert int(one.pairs.sum()) == int(other.pairs.sum())
    assert one.threshold == pytest.approx(other.threshold, abs=1e-4)


def test_a_few_changes_give_the_gallery_that_building_it_would(worker: Worker, whole_builds: list[int]) -> None:
    worker.build(members(*range(100)))
    changed = [*members(*range(3, 100)), *members(110, 111)]
    changed[0] = Member("m-3", (Template(*ENGINE, PEOPLE[112]),))  # enrolled again, with another picture
    gallery = worker.build(tuple(changed))
    assert len(whole_builds) == 1
    same(gallery, build_gallery([(m.id, m.templates[0].vector) for m in changed], engine="dlib", weights="0" * 64))


def test_the_same_members_cost_nothing(worker: Worker, whole_builds: list[int]) -> None:
    first = worker.build(members(1, 2, 3))
    assert worker.build(members(1, 2, 3)) is first
    assert len(whole_builds) == 1


def test_many_changes_and_another_engine_are_built_whole(
    worker: Worker, whole_builds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(galleries, "_FEW_CHANGES", 5)
    worker.build(members(*range(20)))
    gallery = worker.build(members(*range(10, 30)))
    assert len(whole_builds) == 2
    assert len(gallery.members) == 20
    other = worker.build(members(*range(10, 30)), engine=("dlib", "1" * 64))
    assert len(whole_builds) == 3
    assert other.members == ()


def test_only_templates_of_the_engine_ordered_count(worker: Worker) -> None:
    both = Member("m-1", (Template("sface", "1" * 64, PEOPLE[2]), Template(*ENGINE, PEOPLE[1])))
    waits = Member("m-2", (Template("sface", "1" * 64, PEOPLE[2]),))
    gallery = worker.build((both, waits))
    assert gallery.members == ("m-1",)
    assert np.array_equal(gallery.vectors[0], PEOPLE[1])


def test_a_face_that_cannot_be_used_is_named_whoever_comes_and_goes(worker: Worker) -> None:
    broken = Member("m-9", (Template(*ENGINE, np.full(128, np.nan, np.float32)),))
    worker.build(members(1, 2))
    assert worker.build((*members(1, 2), broken)).refused == ("m-9",)
    assert worker.build((*members(1, 2, 3), broken)).refused == ("m-9",)
    assert worker.build(members(1, 2, 3)).refused == ()


def test_the_last_member_can_go_and_come_back(worker: Worker) -> None:
    worker.build(members(1))
    assert worker.build(()).members == ()
    assert worker.build(members(1)).members == ("m-1",)


def test_an_audit_is_answered_in_plain_words(worker: Worker) -> None:
    gallery = worker.build(members(*range(30)))
    worker.builder.audit(AuditGallery("r-1", gallery, 20.0))
    audited = worker.said.get(timeout=10)
    assert isinstance(audited, GalleryAudited)
    assert audited.request == "r-1"
    assert audited.report["members"] == 30
    assert audited.report["threshold"] == gallery.threshold
    assert "Members enrolled: 30." in audited.report["words"][0]["en"]


def test_of_builds_that_wait_only_the_newest_is_done() -> None:
    said: queue.Queue[Event] = queue.Queue()
    builder = GalleryBuilder(GallerySettings(), SystemClock(), said.put)
    for request in range(1, 200):
        builder.build(BuildGallery(request, *ENGINE, members(*range(request % 100))))
    while True:
        built = said.get(timeout=10)
        assert isinstance(built, GalleryBuilt)
        if built.request == 199:
            break
    builder.close()
    assert said.empty()


def test_a_worker_that_dies_says_so() -> None:
    said: queue.Queue[Event] = queue.Queue()
    builder = GalleryBuilder(GallerySettings(target_fpir=2.0), SystemClock(), said.put)
    builder.build(BuildGallery(1, *ENGINE, members(1)))
    failed = said.get(timeout=10)
    builder.close()
    assert isinstance(failed, WorkerFailed)
    assert failed.worker == "galleries"
