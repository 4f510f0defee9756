"""One serial line with Modbus RTU devices on it: an RS-485 or TTL adapter, opened when it is first used.

pymodbus builds the requests, finds the end of an answer, checks its CRC and takes it apart. Its own synchronous client
is left out (as of 3.16): it measures time-outs by the wall clock, which a time server may set back, can wait twice as
long as it was told, and reports a wrong CRC, half a frame and silence all as the same error.

Frames, CRC, silences and exception codes: "MODBUS over Serial Line" V1.02 and "MODBUS Application Protocol" V1.1b3,
both modbus.org.

Untested on hardware: tested against pymodbus's server behind pseudo-terminals.
"""

from __future__ import annotations

import errno
import select
import termios
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from drivers.errors import DeviceError

if TYPE_CHECKING:
    from pymodbus.framer import FramerRTU

_READ_INPUT_REGISTERS = 4
_EXCEPTION = 0x80  # set in the function code of an answer that refuses
_REQUEST_BYTES = 8  # address, function, first register, count, CRC
_ANSWER_BYTES = 5  # address, function, length, CRC; the registers come on top
_LONGEST_FRAME = 256  # by the specification
_BITS = 11  # of one character at most: start, eight data, parity, stop
# Frames are 3.5 characters apart. USB adapters hand over what they received every 16 ms (FTDI's latency timer), so a
# shorter silence may be none.
_GAP_CHARACTERS = 3.5
_SHORTEST_GAP_S = 0.02
# A line that goes on talking this long between two requests is no answer that came late: nobody else may speak.
_HUSH_S = 0.2

_REFUSALS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "the device failed",
    6: "the device is busy",
}
_OF_ANOTHER_TYPE = (1, 2, 3)


class LineError(DeviceError):
    """No device of the line can be asked: the port is not there, is not ours, or the line never falls silent."""


class NoAnswerError(DeviceError):
    """Nothing came back: such as a meter without power, or another address."""


class DisturbedAnswerError(DeviceError):
    """Something came back that is no whole answer: such as half a frame, or a wrong CRC."""


class RefusedError(DeviceError):
    """The device said that it does not do this: such as a meter of another type, which lacks the register."""


@dataclass(frozen=True, slots=True)
class _Question:
    address: int
    first: int
    count: int
    until: float
    answer_s: float


class ModbusLine:
    """The one master of a serial line, such as `/dev/serial/by-id/usb-FTDI_…`.

    `baud`, `parity` and `stop_bits` hold for all devices of the line. `answer_s`: how long a device may think. The port
    is opened by the first question, for this program alone, and anew after it was unplugged. Every thread may ask; they
    take turns. Adapters that echo what they send are understood.
    """

    def __init__(
        self,
        port: str,
        *,
        baud: int = 9600,
        parity: Literal["N", "E", "O"] = "N",
        stop_bits: Literal[1, 2] = 1,
        answer_s: float = 0.4,
        hush_s: float = _HUSH_S,
    ) -> None:
        self.port = port
        self._settings = {"baudrate": baud, "parity": parity, "stopbits": stop_bits}
        self._character_s = _BITS / baud
        self._answer_s = answer_s
        self._hush_s = hush_s
        self._gap_s = max(_SHORTEST_GAP_S, _GAP_CHARACTERS * self._character_s)
        self._lock = threading.Lock()
        self._serial: Any = None  # pyserial has no types
        self._framer = _framer()

    def ask(
        self, address: int, first: int, count: int, *, until: float, answer_s: float | None = None
    ) -> Sequence[int]:
        """Read `count` input registers from `first` on, each 0 to 65535.

        Ends by `until` (`time.monotonic`); `answer_s` as for the line, for a device that thinks longer or shorter.
        Raises `LineError`, `NoAnswerError`, `DisturbedAnswerError`, `RefusedError`, or a plain `DeviceError` when
        another address answered.
        """
        if not self._lock.acquire(timeout=max(0.0, until - time.monotonic())):
            raise LineError(f"{self.port} is busy with another question: try again")
        try:
            port = self._open()
            try:
                self._await_silence(port, until)
                return self._exchange(port, _Question(address, first, count, until, answer_s or self._answer_s))
            except (OSError, termios.error) as error:
                self._drop()
                raise LineError(f"{self.port} is gone ({_reason(error)}): plug the adapter in again") from error
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of the port; a later question opens it again."""
        with self._lock:
            self._drop()

    def _open(self) -> Any:
        if self._serial is None:
            import serial

            try:
                self._serial = serial.Serial(
                    self.port, timeout=0, write_timeout=self._answer_s, exclusive=True, **self._settings
                )
            except (OSError, termios.error, ValueError) as error:
                raise LineError(f"{self.port} cannot be opened ({_reason(error)}): {_remedy(error)}") from error
        return self._serial

    def _drop(self) -> None:
        if self._serial is not None:
            with suppress(OSError, termios.error):
                self._serial.reset_output_buffer()  # else closing may wait until it is sent
            with suppress(OSError):
                self._serial.close()
            self._serial = None

    def _await_silence(self, port: Any, until: float) -> None:
        """Throw away what nobody asked for, such as an answer that came too late."""
        limit = min(until, time.monotonic() + self._hush_s)
        while True:
            port.reset_input_buffer()
            if not _has_bytes(port, self._gap_s):
                return
            if time.monotonic() >= limit:
                raise LineError(
                    f"the line at {self.port} never falls silent: take off the devices one by one to find the one that "
                    "babbles, and check the speed, the termination and for a second master"
                )

    def _exchange(self, port: Any, asked: _Question) -> Sequence[int]:
        from pymodbus.pdu.register_message import ReadInputRegistersRequest

        address = asked.address
        request = self._framer.buildFrame(
            ReadInputRegistersRequest(address=asked.first, count=asked.count, dev_id=address)
        )
        port.write(request)
        on_the_wire_s = (_REQUEST_BYTES + _ANSWER_BYTES + 2 * asked.count) * self._character_s
        limit = min(asked.until, time.monotonic() + on_the_wire_s + asked.answer_s)
        message = self._receive(port, address, request, limit)
        if message[0] & _EXCEPTION:
            raise RefusedError(self._refusal(address, message[1]))
        response = self._framer.decoder.decode(message)
        if response is None or len(response.registers) != asked.count:
            raise DisturbedAnswerError(
                f"{self._name(address)} answered another question than the last: look for a second master on the "
                "line, and for another meter with this address"
            )
        return response.registers

    def _receive(self, port: Any, address: int, request: bytes, limit: float) -> bytes:
        """The function code and what follows it, without the CRC."""
        data = b""
        stranger: int | None = None
        while _has_bytes(port, limit - time.monotonic()):
            data += port.read(_LONGEST_FRAME)
            if data.startswith(request):
                data = data[len(request) :]  # the adapter's echo; an answer has a length where this has the register
            if request.startswith(data):
                continue
            used, sender, _, message = self._framer.decode(data)
            if (used and not message) or len(data) > _LONGEST_FRAME:
                raise DisturbedAnswerError(
                    f"the answer of {self._name(address)} was disturbed (wrong CRC): twist and terminate the wires, "
                    "keep them from mains cables, check the speed, and that no other meter has this address"
                )
            if not used:
                continue
            if sender == address:
                return message
            stranger, data = sender, b""  # perhaps the late answer of another: ours may still come
        raise self._failure(address, stranger, len(data))

    def _failure(self, address: int, stranger: int | None, count: int) -> DeviceError:
        name = self._name(address)
        if stranger is not None:
            return DeviceError(
                f"address {stranger} answered instead of {name}: check the addresses of both, and that no second "
                "master is on the line"
            )
        if count:
            return DisturbedAnswerError(
                f"{name} broke off after {count} bytes: check its wires, the termination and the speed"
            )
        return NoAnswerError(
            f"no answer from {name}: check its power, its address, the speed, and whether A and B (or TX and RX) are "
            "swapped"
        )

    def _refusal(self, address: int, code: int) -> str:
        reason = _REFUSALS.get(code, f"code {code}")
        remedy = "check its type in the settings" if code in _OF_ANOTHER_TYPE else "take its power off and on again"
        return f"{self._name(address)} refuses these registers ({reason}): {remedy}"

    def _name(self, address: int) -> str:
        return f"address {address} on {self.port}"


def _framer() -> FramerRTU:
    """pymodbus's frames, for the one function that is used: by any other code, noise might look like a frame."""
    from pymodbus.framer import FramerRTU
    from pymodbus.pdu import DecodePDU
    from pymodbus.pdu.register_message import ReadInputRegistersRequest, ReadInputRegistersResponse

    decoder = DecodePDU(False)
    decoder.pdu_table = {_READ_INPUT_REGISTERS: (ReadInputRegistersRequest, ReadInputRegistersResponse)}
    return FramerRTU(decoder)


def _has_bytes(port: Any, seconds: float) -> bool:
    """Whether there is something to read within this time. A port that is gone has: its reading fails."""
    return seconds > 0 and bool(select.select([port.fileno()], [], [], seconds)[0])


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None) or (error.args[0] if error.args else None)
    if isinstance(number, int):
        return errno.errorcode.get(number, str(number))
    return type(error).__name__


def _remedy(error: Exception) -> str:
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENODEV | errno.ENXIO | errno.EIO:
            return "plug the adapter in, and name it as in /dev/serial/by-id"
        case errno.EACCES | errno.EPERM:
            return "let the agent's account into the group dialout"
        case errno.EAGAIN | errno.EBUSY:
            return "end the program that uses it"
        case _:
            return "name a serial port, as in /dev/serial/by-id, and a speed that it has"
