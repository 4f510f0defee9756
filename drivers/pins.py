"""Which pins are used: a gpiozero pin factory on the kernel's GPIO character device, for every board.

gpiozero's own backends start an output low and then write its first value, which blips a relay that is active low: a
locked door clicks open at boot. `gpiod` 2.x (libgpiod's own wheels) claims an output together with its first value.
Lines are the chip's offsets; on a Raspberry Pi's header chip they are the BCM numbers.

Untested on hardware: tested against a fake of the `gpiod` module.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from gpiozero import BoardInfo, Factory, GPIOZeroError, HeaderInfo, PinInfo
from gpiozero.exc import PinFixedPull, PinInvalidFunction, PinInvalidPin, PinInvalidPull, PinSetInput
from gpiozero.pins.pi import PiPin

from drivers.errors import DeviceError, PinError

DEFAULT_CHIP = "/dev/gpiochip0"
CONSUMER = "station-agent"  # what `gpioinfo` shows beside a line that is held

# The kernel keeps 16 edges a line by default and drops the oldest beyond that; a bouncing contact makes dozens.
_EDGE_BUFFER = 64
# The watching thread only hands edges over, which takes microseconds; longer means that a receiver hangs.
_JOIN_S = 2.0

_logger = logging.getLogger(__name__)


def open_pins(chip: str = DEFAULT_CHIP) -> GpiodFactory:
    """Open the chip that the station's wires are on. Raises `PinError`. Close it after the devices on it."""
    return GpiodFactory(chip)


@contextmanager
def claiming(what: str) -> Iterator[None]:
    """Turn what gpiozero and the kernel raise while a device is set up into a `PinError` about `what`."""
    try:
        yield
    except PinError as error:
        raise PinError(f"{what}: {error}") from error
    except (GPIOZeroError, OSError) as error:
        raise PinError(f"{what}: {error}; check the pin's number in the settings") from error


@contextmanager
def using(what: str) -> Iterator[None]:
    """Turn what gpiozero and the kernel raise while a device is used into a `DeviceError` about `what`."""
    try:
        yield
    except (GPIOZeroError, OSError) as error:
        raise DeviceError(f"{what}: {error}; check the wiring and the GPIO chip, then restart") from error


class GpiodFactory(Factory):  # type: ignore[misc]  # gpiozero has no types
    """Pins on one GPIO chip.

    `chip`: path of the character device. `gpiod`: the module to use, given by tests. Raises `PinError` when the chip
    cannot be opened. Making a pin claims nothing: the line is claimed with its first use, in the state that use asks.
    """

    def __init__(self, chip: str = DEFAULT_CHIP, *, gpiod: Any = None) -> None:
        super().__init__()
        self.path = chip
        self.gpiod = gpiod if gpiod is not None else _import_gpiod()
        self.chip = _open_chip(self.gpiod, chip)
        info = self.chip.get_info()
        self._board = _describe_board(info.label, info.num_lines)
        self._pins: dict[PinInfo, GpiodPin] = {}

    def pin(self, name: int | str) -> GpiodPin:
        """Return the pin of this name: a line's offset, or `GPIO17`."""
        for _header, info in self._board.find_pin(name):
            return self._pins.setdefault(info, GpiodPin(self, info))
        last = len(self._board.headers["LINES"].pins) - 1
        raise PinInvalidPin(f"{self.path} has no line {name}, only 0 to {last}")

    def close(self) -> None:
        """Release every line and the chip. Closing twice does nothing."""
        for pin in self._pins.values():
            pin.close()
        self._pins.clear()
        self.chip.close()

    @staticmethod
    def ticks() -> float:
        """CLOCK_MONOTONIC in seconds, the clock that stamps the edges."""
        return time.monotonic()

    @staticmethod
    def ticks_diff(later: float, earlier: float) -> float:
        """Seconds between two ticks."""
        return later - earlier

    def _get_board_info(self) -> BoardInfo:
        return self._board


class GpiodPin(PiPin):  # type: ignore[misc]  # gpiozero has no types
    """One line. Calls may come from every thread; edges are handed over on a thread of this line's own."""

    def __init__(self, factory: GpiodFactory, info: PinInfo) -> None:
        super().__init__(factory, info)
        self._line = factory.gpiod.line
        self._offset: int = self._number
        # gpiod wants its objects locked by whoever shares them between threads.
        self._request_lock = threading.RLock()
        self._request: Any = None
        self._pull = "floating"
        self._edges = "both"
        self._is_output = False
        self._watch: _EdgeWatch | None = None

    def output_with_state(self, state: bool) -> None:
        """Claim the line as an output that has this level from its first moment."""
        value = self._line.Value.ACTIVE if state else self._line.Value.INACTIVE
        self._claim(direction=self._line.Direction.OUTPUT, output_value=value)
        self._is_output = True

    def input_with_pull(self, pull: str) -> None:
        """Claim the line as an input with this resistor from its first moment."""
        self._claim_input(pull)

    def close(self) -> None:
        """Release the line at the level it has. What holds it from here on is the kernel, or a resistor."""
        self.when_changed = None
        with self._request_lock:
            if self._request is not None:
                self._request.release()
            self._request = None
            self._is_output = False
            self._pull = "floating"

    def _get_function(self) -> Literal["input", "output"]:
        return "output" if self._is_output else "input"

    def _set_function(self, value: str) -> None:
        if value == "input":
            self._claim_input("floating")
        elif value == "output":
            raise PinInvalidFunction(f"{self!r} becomes an output only with its first value: use output_with_state")
        else:
            raise PinInvalidFunction(f"{self!r} cannot be {value!r}: use input or output")

    def _get_state(self) -> bool:
        with self._request_lock:
            return bool(self._claimed().get_value(self._offset))

    def _set_state(self, value: float) -> None:
        with self._request_lock:
            if not self._is_output:
                raise PinSetInput(f"cannot set the state of {self!r}: it is an input")
            wanted = self._line.Value.ACTIVE if value else self._line.Value.INACTIVE
            self._claimed().set_value(self._offset, wanted)

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        if self._is_output:
            raise PinFixedPull(f"cannot set a pull on {self!r}: it is an output")
        self._claim_input(value)

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        self._edges = value
        if self._watch is not None:
            self._claim_input(self._pull, is_watched=True)

    def _enable_event_detect(self) -> None:
        with self._request_lock:
            fd = self._claimed().fd
            self._claim_input(self._pull, is_watched=True)
        self._watch = _EdgeWatch(repr(self), fd, self._read_edges, self._report_failure)

    def _disable_event_detect(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()
            with suppress(OSError):  # a chip that is gone makes no more edges
                self._claim_input(self._pull)

    def _claim_input(self, pull: str, *, is_watched: bool = False) -> None:
        bias = self._line.Bias
        biases = {"up": bias.PULL_UP, "down": bias.PULL_DOWN, "floating": bias.DISABLED}
        if pull not in biases:
            raise PinInvalidPull(f"{self!r} cannot be pulled {pull!r}: use up, down or floating")
        edge = self._line.Edge[self._edges.upper() if is_watched else "NONE"]
        self._claim(
            direction=self._line.Direction.INPUT,
            bias=biases[pull],
            edge_detection=edge,
            event_clock=self._line.Clock.MONOTONIC,
        )
        self._is_output = False
        self._pull = pull

    def _claim(self, **settings: Any) -> None:
        config = {self._offset: self._factory.gpiod.LineSettings(**settings)}
        with self._request_lock:
            if self._request is not None:
                self._request.reconfigure_lines(config)
                return
            try:
                self._request = self._factory.chip.request_lines(
                    config, consumer=CONSUMER, event_buffer_size=_EDGE_BUFFER
                )
            except OSError as error:
                raise PinError(self._explain_claim(error)) from error

    def _explain_claim(self, error: OSError) -> str:
        where = f"line {self._offset} of {self._factory.path}"
        try:
            info = self._factory.chip.get_line_info(self._offset)
        except OSError:
            return f"{where} cannot be claimed: {error}; check the chip's path in the settings"
        if info.used:
            return f"{where} is in use by {info.consumer!r}: stop that program or choose another line"
        return f"{where} cannot be claimed: {error}; choose another line"

    def _claimed(self) -> Any:
        if self._request is None:
            raise OSError(f"line {self._offset} of {self._factory.path} is not claimed")
        return self._request

    def _read_edges(self) -> None:
        with self._request_lock:
            events = self._request.read_edge_events() if self._request is not None else []
        for event in events:
            is_high = event.event_type is self._factory.gpiod.EdgeEvent.Type.RISING_EDGE
            self._call_when_changed(event.timestamp_ns / 1e9, is_high)

    def _report_failure(self) -> None:
        self._call_when_changed(self._factory.ticks(), None)

    def _call_when_changed(self, ticks: float, state: bool | None) -> None:
        """Hand one edge over. `state` is None once the line cannot be read; gpiozero's own backends never say so."""
        handler = self._get_when_changed()
        if handler is not None:
            handler(ticks, state)


class _EdgeWatch:
    """The thread that waits for one line's edges. It ends when it is stopped, or when the line cannot be read."""

    def __init__(self, name: str, fd: int, read: Callable[[], None], on_failed: Callable[[], None]) -> None:
        self._fd = fd
        self._read = read
        self._on_failed = on_failed
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"edges-{name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; afterwards no edge is handed over, except the one whose receiver is calling this."""
        self._wake.close()
        if threading.current_thread() is self._thread:
            return
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            _logger.error("%s did not end in %s s: a receiver of its edges hangs", self._thread.name, _JOIN_S)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        with self._woken:
            while self._woken.fileno() not in (ready := dict(poll.poll())):
                try:
                    if not self._hand_over(ready[self._fd]):
                        return
                except Exception:  # the border of this thread: a receiver's mistake must not end the edges
                    _logger.exception("%s: a receiver failed; this edge is lost", self._thread.name)

    def _hand_over(self, state: int) -> bool:
        """Return whether there is more to come. Without data (POLLERR, POLLHUP) the chip is gone."""
        try:
            is_readable = bool(state & select.POLLIN)
            if is_readable:
                self._read()
        except OSError as error:
            _logger.debug("%s: %s", self._thread.name, error)
            is_readable = False
        if not is_readable:
            _logger.warning("%s ends: the line cannot be read, is the GPIO chip gone?", self._thread.name)
            self._on_failed()
        return is_readable


def _import_gpiod() -> Any:
    try:
        import gpiod
        import gpiod.line
    except ImportError as error:
        raise PinError(
            f"no GPIO here ({error}): it needs Linux and the gpiod package; or use simulated hardware"
        ) from error
    return gpiod


def _open_chip(gpiod: Any, path: str) -> Any:
    try:
        return gpiod.Chip(path)
    except PermissionError as error:
        raise PinError(f"no permission for {path}: add this user to the group gpio and log in again") from error
    except OSError as error:
        present = ", ".join(sorted(str(chip) for chip in Path("/dev").glob("gpiochip*"))) or "no GPIO chip at all"
        raise PinError(
            f"{path} cannot be opened ({error.strerror}), this machine has {present}: "
            "set the chip's path or use simulated hardware"
        ) from error


def _describe_board(label: str, lines: int) -> BoardInfo:
    """Describe a chip as gpiozero wants a board: one header with a pin for each line."""
    pins = {
        offset + 1: PinInfo(
            number=offset + 1,
            name=f"GPIO{offset}",
            names=frozenset({offset, str(offset), f"GPIO{offset}", f"BCM{offset}"}),
            pull="",
            row=offset + 1,
            col=1,
            interfaces=frozenset({"gpio"}),
        )
        for offset in range(lines)
    }
    unknown = dict.fromkeys(BoardInfo._fields, "")
    headers = {"LINES": HeaderInfo(name="LINES", rows=lines, columns=1, pins=pins)}
    return BoardInfo(**{**unknown, "model": label, "headers": headers})
