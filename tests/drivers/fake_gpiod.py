"""The part of the `gpiod` module that `drivers.pins` uses, with a kernel made of dictionaries behind it.

Settings, enums and edge events are gpiod's own. It does not check permissions, knows no line names, and a level changes
at once.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace

import gpiod
import gpiod.line
from gpiod import EdgeEvent, LineSettings
from gpiod.line import Bias, Clock, Direction, Edge, Value


@dataclass
class Line:
    """`driven`: every level that the chip itself ever put on the wire, in order. `wired`: what the wire brings."""

    consumer: str = ""
    settings: LineSettings = field(default_factory=LineSettings)
    wired: bool | None = None
    driven: list[bool] = field(default_factory=list)
    request: LineRequest | None = None

    @property
    def level(self) -> bool:
        if self.settings.direction is Direction.OUTPUT:
            return self.driven[-1]
        if self.wired is not None:
            return self.wired
        return self.settings.bias is Bias.PULL_UP


class LineRequest:
    """One claimed line, as `gpiod.LineRequest`."""

    def __init__(self, fake: FakeGpiod, offset: int, event_buffer_size: int) -> None:
        self._fake = fake
        self._offset = offset
        self._events: deque[EdgeEvent] = deque(maxlen=event_buffer_size)  # the kernel drops the oldest too
        self._readable, self._writable = os.pipe()
        self._is_released = False

    @property
    def fd(self) -> int:
        self._check()
        return self._readable

    def get_value(self, line: int | str) -> Value:
        self._check()
        return Value.ACTIVE if self._fake.lines[self._own(line)].level else Value.INACTIVE

    def set_value(self, line: int | str, value: Value) -> None:
        self._check()
        wire = self._fake.lines[self._own(line)]
        if wire.settings.direction is not Direction.OUTPUT:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        wire.driven.append(value is Value.ACTIVE)

    def reconfigure_lines(self, config: dict[Iterable[int | str] | int | str, LineSettings | None]) -> None:
        self._check()
        ((line, settings),) = config.items()
        assert isinstance(line, int)
        self._fake.configure(self._own(line), settings or LineSettings())

    def read_edge_events(self, max_events: int | None = None) -> list[EdgeEvent]:
        self._check()
        with self._fake.guard:
            assert self._events, "the real one would block here"
            events = list(self._events)
            self._events.clear()
            os.read(self._readable, 1)
            return events

    def release(self) -> None:
        if self._is_released:
            return
        self._is_released = True
        self._fake.lines[self._offset].request = None
        self._fake.lines[self._offset].consumer = ""
        os.close(self._readable)
        os.close(self._writable)

    def queue(self, event: EdgeEvent) -> None:
        """Let an edge arrive."""
        if not self._events:
            os.write(self._writable, b"!")
        self._events.append(event)

    def lose_chip(self) -> None:
        """Make the file readable without an event, as it is once the chip is unplugged."""
        os.write(self._writable, b"!")

    def _own(self, line: int | str) -> int:
        assert line == self._offset, "not a line of this request"
        return self._offset

    def _check(self) -> None:
        if self._is_released:
            raise gpiod.RequestReleasedError
        if self._fake.is_gone:
            raise OSError(errno.ENODEV, "No such device")


class Chip:
    """An open chip, as `gpiod.Chip`."""

    def __init__(self, fake: FakeGpiod) -> None:
        self._fake = fake
        self.is_open = True

    def get_info(self) -> SimpleNamespace:
        return SimpleNamespace(name="gpiochip0", label="pinctrl-fake", num_lines=len(self._fake.lines))

    def get_line_info(self, line: int | str) -> SimpleNamespace:
        assert isinstance(line, int)
        wire = self._fake.lines[line]
        return SimpleNamespace(used=bool(wire.consumer), consumer=wire.consumer)

    def request_lines(
        self,
        config: dict[Iterable[int | str] | int | str, LineSettings | None],
        consumer: str | None = None,
        event_buffer_size: int | None = None,
        output_values: dict[int | str, Value] | None = None,
    ) -> LineRequest:
        assert self.is_open
        assert output_values is None
        ((offset, settings),) = config.items()
        assert isinstance(offset, int)
        wire = self._fake.lines[offset]
        if wire.consumer:
            raise OSError(errno.EBUSY, "Device or resource busy")
        request = LineRequest(self._fake, offset, event_buffer_size or 16)
        wire.consumer, wire.request = consumer or "?", request
        self._fake.configure(offset, settings or LineSettings())
        return request

    def close(self) -> None:
        self.is_open = False


class FakeGpiod:
    """Stands where the module stands: `GpiodFactory(gpiod=FakeGpiod())`."""

    line = gpiod.line
    LineSettings = gpiod.LineSettings
    EdgeEvent = gpiod.EdgeEvent

    def __init__(self, lines: int = 54) -> None:
        self.lines = [Line() for _ in range(lines)]
        self.chips: list[Chip] = []
        self.guard = threading.RLock()
        self.is_gone = False
        self.refusal: OSError | None = None

    def Chip(self, path: str) -> Chip:  # noqa: N802
        if self.refusal is not None:
            raise self.refusal
        self.chips.append(Chip(self))
        return self.chips[-1]

    def configure(self, offset: int, settings: gpiod.LineSettings) -> None:
        wire = self.lines[offset]
        wire.settings = settings
        if settings.direction is Direction.OUTPUT:
            wire.driven.append(settings.output_value is Value.ACTIVE)

    def wire(self, offset: int, level: bool | None, *, at: float | None = None) -> None:
        """Put a level on an input from outside (None: let go). `at`: when, by CLOCK_MONOTONIC; default now."""
        with self.guard:
            line = self.lines[offset]
            before = line.level
            line.wired = level
            if line.level is before or line.request is None:
                return
            edge = Edge.RISING if line.level else Edge.FALLING
            if line.settings.edge_detection in (Edge.BOTH, edge):
                assert line.settings.event_clock is Clock.MONOTONIC
                kind = EdgeEvent.Type.RISING_EDGE if line.level else EdgeEvent.Type.FALLING_EDGE
                moment = time.monotonic() if at is None else at
                line.request.queue(EdgeEvent(kind.value, int(moment * 1e9), offset, 0, 0))

    def unplug(self) -> None:
        """The chip goes away, as a USB one does."""
        with self.guard:
            self.is_gone = True
            for line in self.lines:
                if line.request is not None:
                    line.request.lose_chip()
