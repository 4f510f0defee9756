"""Builds galleries on a thread of its own, so that a large one never delays a decision."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from agent.clock import Clock
from agent.core.gallery import Gallery, build_gallery
from agent.core.state import GallerySettings
from agent.effects import BuildGallery
from agent.events import Event, GalleryBuilt, WorkerFailed

log = logging.getLogger(__name__)

_JOIN_S = 0.2  # a build under way is given up with the process


class GalleryBuilder:
    """Carries out `BuildGallery`; only the newest order that waits is built."""

    def __init__(self, settings: GallerySettings, clock: Clock, post: Callable[[Event], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._post = post
        self._orders: queue.SimpleQueue[BuildGallery | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="galleries", daemon=True)
        self._thread.start()

    def build(self, order: BuildGallery) -> None:
        """Put an order in line; never blocks."""
        self._orders.put(order)

    def close(self) -> None:
        """End the thread."""
        self._orders.put(None)
        self._thread.join(_JOIN_S)

    def _work(self) -> None:
        try:
            while (order := self._newest()) is not None:
                self._post(GalleryBuilt(self._clock.now(), order.request, self._build(order)))
        except Exception as error:  # the top of this worker
            log.exception("the gallery's builder died")
            self._post(WorkerFailed(self._clock.now(), "galleries", type(error).__name__))

    def _build(self, order: BuildGallery) -> Gallery:
        return build_gallery(
            (
                (member.id, template.vector)
                for member in order.members
                for template in member.templates
                if (template.engine, template.weights) == (order.engine, order.weights)
            ),
            engine=order.engine,
            weights=order.weights,
            target_fpir=self._settings.target_fpir,
            ceiling=self._settings.ceiling,
        )

    def _newest(self) -> BuildGallery | None:
        order = self._orders.get()
        while order is not None and not self._orders.empty():
            order = self._orders.get()
        return order
