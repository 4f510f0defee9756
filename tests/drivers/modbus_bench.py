"""Power meters at the far end of a serial wire: pymodbus's server, two pseudo-terminals, a thread that joins them."""

from __future__ import annotations

import asyncio
import os
import queue
import select
import struct
import threading
import tty
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerRTU
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.drivers.waiting import LIMIT_S

# The server writes an answer at once; the pump hands it on when nothing more came for this long.
_WHOLE_S = 0.003


def frame(*data: int) -> bytes:
    """These bytes with their CRC."""
    return bytes(data) + FramerRTU.compute_CRC(bytes(data)).to_bytes(2, "big")


def unchanged(answer: bytes) -> bytes:
    return answer


class BenchMeter:
    """The registers of one meter, as its maker's manual lays them out; everything beyond them is refused."""

    def __init__(self, registers: Sequence[int]) -> None:
        self.registers = list(registers)

    def device(self, address: int) -> SimDevice:
        async def show(
            _function: int, _start: int, _address: int, _count: int, current: list[int], _values: Any
        ) -> ExcCodes | None:
            current[:] = self.registers
            return None

        data = [SimData(0, values=list(self.registers), datatype=DataType.REGISTERS)]
        return SimDevice(address, simdata=data, action=show)

    def show(self, power_w: float, *, voltage_v: float, power_factor: float, energy_kwh: float) -> None:
        raise NotImplementedError


class BenchPzem(BenchMeter):
    def __init__(self) -> None:
        super().__init__([0] * 10)

    def show(self, power_w: float, *, voltage_v: float, power_factor: float, energy_kwh: float) -> None:
        amperes = power_w / voltage_v / power_factor
        parts = [round(voltage_v * 10)]
        for whole in (round(amperes * 1000), round(power_w * 10), round(energy_kwh * 1000)):
            parts += [whole & 0xFFFF, whole >> 16]
        self.registers = [*parts, 500, round(power_factor * 100), 0]


class BenchSdm(BenchMeter):
    """An SDM120 or SDM230: floats at these places, noughts between them."""

    def __init__(self) -> None:
        super().__init__([0] * 0x60)

    def put(self, places: Mapping[int, float]) -> None:
        registers = list(self.registers)
        for place, value in places.items():
            registers[place : place + 2] = struct.unpack(">HH", struct.pack(">f", value))
        self.registers = registers

    def show(self, power_w: float, *, voltage_v: float, power_factor: float, energy_kwh: float) -> None:
        amperes = power_w / voltage_v / power_factor
        self.put({0x00: voltage_v, 0x06: amperes, 0x0C: power_w, 0x1E: power_factor, 0x46: 50.0, 0x48: energy_kwh})


class BenchSdm630(BenchSdm):
    """All of the load is on the first phase."""

    def show(self, power_w: float, *, voltage_v: float, power_factor: float, energy_kwh: float) -> None:
        amperes = power_w / voltage_v / power_factor
        self.put({0x00: voltage_v, 0x02: voltage_v, 0x04: voltage_v, 0x06: amperes, 0x0C: power_w})
        self.put({0x1E: power_factor, 0x20: 1.0, 0x22: 1.0, 0x2A: voltage_v, 0x30: amperes, 0x34: power_w})
        self.put({0x3E: power_factor, 0x46: 50.0, 0x48: energy_kwh})


BENCH_METERS: Mapping[str, Callable[[], BenchMeter]] = {
    "pzem004t": BenchPzem,
    "sdm120": BenchSdm,
    "sdm230": BenchSdm,
    "sdm630": BenchSdm630,
}


class Terminal:
    """A raw pseudo-terminal; its own end of it stays open, so that nothing hangs up while nobody uses it."""

    def __init__(self) -> None:
        self.hand, self._device = os.openpty()
        tty.setraw(self._device)
        os.set_blocking(self.hand, False)
        self.path = os.ttyname(self._device)

    def close(self) -> None:
        os.close(self.hand)
        os.close(self._device)


class Wire:
    """The line between the station's `port` and the meters.

    Only meters at `addresses` are on it. `disturb` makes of an answer what the station receives; `questions` is what
    the station sent. While it `babbles` there is noise without end.
    """

    def __init__(self, port: Path, addresses: Collection[int]) -> None:
        self.port = port
        self._addresses = addresses
        self.disturb: Callable[[bytes], bytes] = unchanged
        self.questions: list[bytes] = []
        self.babbles = False
        self.far = Terminal()
        self._near: Terminal | None = None
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], threading.Event]] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)
        self._thread.start()
        self.plug_in()

    def plug_in(self) -> None:
        self._order(self._plug_in)

    def unplug(self) -> None:
        self._order(self._unplug)

    def put(self, data: bytes) -> None:
        """Bytes that nobody asked for."""
        self._order(lambda: self._send(data))

    def close(self) -> None:
        self.unplug()
        self._is_closing = True
        os.eventfd_write(self._wake, 1)
        self._thread.join(LIMIT_S)
        self.far.close()
        os.close(self._wake)

    def _order(self, order: Callable[[], None]) -> None:
        done = threading.Event()
        self._orders.put((order, done))
        os.eventfd_write(self._wake, 1)
        assert done.wait(LIMIT_S)

    def _plug_in(self) -> None:
        assert self._near is None
        self._near = Terminal()
        self.port.symlink_to(self._near.path)

    def _unplug(self) -> None:
        if self._near is not None:
            self.port.unlink()
            self._near.close()
            self._near = None

    def _run(self) -> None:
        while not self._is_closing:
            watched = [self._wake, self.far.hand] + ([self._near.hand] if self._near else [])
            ready, _, _ = select.select(watched, [], [], 0.001 if self.babbles else 1.0)
            if self._wake in ready:
                os.eventfd_read(self._wake)
                while not self._orders.empty():
                    order, done = self._orders.get()
                    order()
                    done.set()
                continue
            if self._near is not None and self._near.hand in ready:
                question = os.read(self._near.hand, 256)
                self.questions.append(question)
                if question[0] in self._addresses:
                    os.write(self.far.hand, question)
            if self.far.hand in ready:
                self._send(self.disturb(self._answer()))
            if self.babbles:
                self._send(bytes([0x55, 0xAA, 0x01, 0x04, 0x14]))

    def _answer(self) -> bytes:
        answer = b""
        while select.select([self.far.hand], [], [], _WHOLE_S)[0]:
            answer += os.read(self.far.hand, 256)
        return answer

    def _send(self, data: bytes) -> None:
        if self._near is not None:
            with suppress(BlockingIOError):  # nobody listens, and the buffer is full
                os.write(self._near.hand, data)


class MeterServer:
    """pymodbus's own server at a port, with a loop and a thread of its own."""

    def __init__(self, port: str, meters: Mapping[int, BenchMeter]) -> None:
        self._port = port
        self._devices = [meter.device(address) for address, meter in meters.items()]
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="meters", daemon=True)
        self._thread.start()
        assert self._is_up.wait(LIMIT_S)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(LIMIT_S)
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = ModbusSerialServer(self._devices, port=self._port, baudrate=115_200)
        await server.serve_forever(background=True)
        self._is_up.set()
        await self._ending.wait()
        await server.shutdown()  # type: ignore[no-untyped-call]
        await asyncio.sleep(0)
