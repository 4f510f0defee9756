"""Builds galleries on a thread of its own, so that a large one never delays a decision."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.clock import Clock
from agent.core.audit import audit
from agent.core.gallery import Gallery, GalleryError, build_gallery
from agent.core.state import GallerySettings
from agent.effects import AuditGallery, BuildGallery
from agent.events import Event, GalleryAudited, GalleryBuilt, WorkerFailed

log = logging.getLogger(__name__)

_JOIN_S = 0.2  # a build under way is given up with the process
# Taking one member in or out copies the gallery (a few milliseconds at 10,000); building it compares everybody with
# everybody (about a second), and costs nothing worth saving while there are few.
_FEW_CHANGES = 50

Faces = dict[str, tuple[NDArray[np.float32], ...]]


class GalleryBuilder:
    """Carries out `BuildGallery` and `AuditGallery`, in order; of the builds that wait only the newest is done.

    What is built is kept, and where few members changed since, the next one is made from it.
    """

    def __init__(self, settings: GallerySettings, clock: Clock, post: Callable[[Event], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._post = post
        self._newest = 0
        self._last: tuple[Gallery, Faces] | None = None
        # Audits are bounded by the connections of the control socket, and each build that waits is as good as none.
        self._orders: queue.SimpleQueue[BuildGallery | AuditGallery | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="galleries", daemon=True)
        self._thread.start()

    def build(self, order: BuildGallery) -> None:
        """Put an order in line; never blocks. Those asked for before it need not be built any more."""
        self._newest = order.request
        self._orders.put(order)

    def audit(self, order: AuditGallery) -> None:
        """Put an order in line; never blocks."""
        self._orders.put(order)

    def close(self) -> None:
        """End the thread."""
        self._orders.put(None)
        self._thread.join(_JOIN_S)

    def _work(self) -> None:
        try:
            while (order := self._orders.get()) is not None:
                match order:
                    case AuditGallery():
                        report = audit(order.gallery, order.strangers_a_day).as_dict()
                        self._post(GalleryAudited(self._clock.now(), order.request, report))
                    case BuildGallery() if order.request == self._newest:
                        self._post(GalleryBuilt(self._clock.now(), order.request, self._build(order)))
        except Exception as error:  # the top of this worker
            log.exception("the gallery's builder died")
            self._post(WorkerFailed(self._clock.now(), "galleries", type(error).__name__))

    def _build(self, order: BuildGallery) -> Gallery:
        faces = _faces_of(order)
        gallery = self._changed(order, faces)
        if gallery is None:
            gallery = build_gallery(
                ((member_id, vector) for member_id, vectors in faces.items() for vector in vectors),
                engine=order.engine,
                weights=order.weights,
                target_fpir=self._settings.target_fpir,
                ceiling=self._settings.ceiling,
            )
        self._last = (gallery, faces)
        return gallery

    def _changed(self, order: BuildGallery, faces: Faces) -> Gallery | None:
        """The gallery made from the last one; None when that is no shorter way, or not possible."""
        if self._last is None:
            return None
        gallery, before = self._last
        if (gallery.engine, gallery.weights) != (order.engine, order.weights):
            return None
        gone = [member_id for member_id in before if member_id not in faces]
        come = [member_id for member_id, vectors in faces.items() if not _are_same(before.get(member_id), vectors)]
        if len(gone) + len(come) > _FEW_CHANGES:
            return None
        try:
            for member_id in gone:
                gallery = gallery.without_member(member_id)
            for member_id in come:
                gallery = gallery.with_member(member_id, np.stack(faces[member_id]))
        except (GalleryError, ValueError):
            return None  # a face that cannot be used: building names its member
        return gallery


def _faces_of(order: BuildGallery) -> Faces:
    """The vectors of the engine and weights ordered, by member; others wait."""
    found: Faces = {}
    for member in order.members:
        vectors = tuple(
            each.vector for each in member.templates if (each.engine, each.weights) == (order.engine, order.weights)
        )
        if vectors:
            found[member.id] = vectors
    return found


def _are_same(one: tuple[NDArray[np.float32], ...] | None, other: tuple[NDArray[np.float32], ...]) -> bool:
    """Whether these are the same faces; mostly the very same arrays, which are never changed in place."""
    if one is None or len(one) != len(other):
        return False
    return all(a is b or np.array_equal(a, b) for a, b in zip(one, other, strict=True))
