"""The way from a station to its broker, which fails in every way that a mobile network does. It corrupts nothing."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

Way = Literal["up", "down"]
"""`up` is from the station to the broker."""

_CHUNK_BYTES = 4096
# On the station's side: what it writes beyond this waits in its own socket, as on a line that takes no more.
_KERNEL_BYTES = 8192
_WAITING_CHUNKS = 256  # in each direction, 1 MiB: what is on a slow or long line
_PIECE_BYTES = 256  # of a slow line: a packet comes bit by bit, not all at its end
_CLOSE_S = 5.0
_PUBLISH, _PUBACK = 0x30, 0x40


class Publications:
    """Takes the PUBLISHes with QoS 1 to topics that end with `topic` out of a stream of MQTT, and acknowledges them."""

    def __init__(self, topic: str) -> None:
        self._topic = topic.encode()
        self._rest = b""

    def take(self, data: bytes, *, forgets: bool) -> tuple[bytes, bytes, int]:
        """What goes on to the broker, what goes back to the station, and how many were taken out.

        An unfinished packet waits for its end, so that one is either forwarded whole or not at all.
        """
        self._rest += data
        onwards, back, taken = b"", b"", 0
        while (size := _packet_size(self._rest)) is not None and len(self._rest) >= size:
            packet, self._rest = self._rest[:size], self._rest[size:]
            message = _message_id(packet, self._topic) if forgets else None
            if message is None:
                onwards += packet
            else:
                back += struct.pack(">BBH", _PUBACK, 2, message)
                taken += 1
        return onwards, back, taken


def _packet_size(data: bytes) -> int | None:
    """Of the packet that `data` begins with (MQTT 5, 2.1.4), or None while its length is not there yet."""
    length = 0
    for place, byte in enumerate(data[1:5]):
        length += (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return 2 + place + length
    return None


def _message_id(packet: bytes, topic: bytes) -> int | None:
    """Of a PUBLISH with QoS 1 to such a topic."""
    if packet[0] & 0xF6 != _PUBLISH | 0x02:
        return None
    start = 2
    while packet[start - 1] & 0x80:
        start += 1
    (length,) = struct.unpack_from(">H", packet, start)
    end = start + 2 + length
    if not packet[start + 2 : end].endswith(topic):
        return None
    return int(struct.unpack_from(">H", packet, end)[0])


@dataclass(eq=False)
class _Passage:
    """One connection through the network."""

    station: asyncio.StreamWriter
    broker: asyncio.StreamWriter | None = None
    ways: set[asyncio.Task[None]] = field(default_factory=set)
    lost: set[Way] = field(default_factory=set)
    publications: Publications = field(default_factory=lambda: Publications("/log"))

    def abort(self) -> None:
        """End both sides; what is on the line is lost."""
        for way in self.ways:
            way.cancel()
        for writer in (self.station, self.broker):
            if writer is not None:
                writer.transport.abort()

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # a close with it sends RST (socket(7))
        for writer in (self.station, self.broker):
            if writer is not None:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()


class Network:
    """Forwards TCP from a port of its own (`port`) to the broker's, and fails as it is told. A context manager.

    `delay_s` (each way), `bytes_per_s` (each way; None: no limit) and `forgets` (a broker's promise without the broker:
    entries of the log are acknowledged and go nowhere) hold from the next bytes on. `connections` that reached the
    broker and `forgotten` entries are counted. Safe from every thread.
    """

    def __init__(self, to_port: int, *, is_mqtt: bool = True) -> None:
        """`is_mqtt`: not encrypted, so that `forgets` can be used."""
        self.delay_s = 0.0
        self.bytes_per_s: float | None = None
        self.forgets = False
        self.connections = 0
        self.forgotten = 0
        self.port = 0
        self._to_port = to_port
        self._is_mqtt = is_mqtt
        self._is_cut = False
        self._swallowed: frozenset[Way] = frozenset()
        self._passages: set[_Passage] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")

    def __enter__(self) -> Network:
        self._thread.start()
        self._wait_for(self._listen())
        return self

    def __exit__(self, *_error: object) -> None:
        self._wait_for(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_S)
        self._loop.close()

    def cut(self, *, resets: bool = False) -> None:
        """End what is connected and refuse what comes, until `mend`. `resets`: with RST instead of FIN."""
        self._wait_for(self._cut(resets=resets, stays=True))

    def blink(self, *, resets: bool = False) -> None:
        """End what is connected; the next connection goes through."""
        self._wait_for(self._cut(resets=resets, stays=False))

    def swallow(self, *ways: Way) -> None:
        """Let bytes these ways vanish while connections stand, also new ones: half-open, until `mend`.

        That an end closes vanishes like everything else that it sends.
        """
        self._wait_for(self._swallow(frozenset(ways)))

    def mend(self) -> None:
        """Let everything through again, without delay. A connection that lost bytes is reset, as TCP does."""
        self._wait_for(self._mend())

    # --- on the thread of the loop ------------------------------------------------------------------------------------

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_CLOSE_S)

    async def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BYTES)
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._carry, sock=listener)

    async def _end(self) -> None:
        self._server.close()
        await self._cut(resets=False, stays=True)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    async def _cut(self, *, resets: bool, stays: bool) -> None:
        self._is_cut = stays
        for passage in list(self._passages):
            passage.reset() if resets else passage.abort()

    async def _swallow(self, ways: frozenset[Way]) -> None:
        self._swallowed = ways

    async def _mend(self) -> None:
        self._is_cut, self._swallowed, self.delay_s, self.bytes_per_s = False, frozenset(), 0.0, None
        for passage in list(self._passages):
            if passage.lost:
                passage.reset()

    async def _carry(self, from_station: asyncio.StreamReader, to_station: asyncio.StreamWriter) -> None:
        passage = _Passage(to_station)
        if self._is_cut:
            passage.reset()
            return
        self._passages.add(passage)
        try:
            from_broker, passage.broker = await asyncio.open_connection("127.0.0.1", self._to_port)
            self.connections += 1
            passage.ways = {
                asyncio.create_task(self._pump("up", passage, from_station, passage.broker)),
                asyncio.create_task(self._pump("down", passage, from_broker, to_station)),
            }
            await asyncio.wait(passage.ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:  # no broker there
            pass
        finally:
            self._passages.discard(passage)
            passage.abort()
            await asyncio.gather(*passage.ways, return_exceptions=True)

    async def _pump(
        self, way: Way, passage: _Passage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry bytes one way until their sender closes and the last of them has arrived."""
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WAITING_CHUNKS)
        delivering = asyncio.create_task(self._deliver(way, passage, line, writer))
        try:
            while True:
                try:
                    data = await reader.read(_CHUNK_BYTES)
                except OSError:
                    data = b""
                await line.put((self._loop.time() + self.delay_s, data))
                if not data:
                    await delivering
                    return
        finally:
            delivering.cancel()

    async def _deliver(
        self, way: Way, passage: _Passage, line: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due, data = await line.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if way in self._swallowed or way in passage.lost:
                passage.lost.add(way)  # what comes after lost bytes would be garbage
                continue
            if not data:
                return
            if way == "up" and self._is_mqtt:
                data, back, taken = passage.publications.take(data, forgets=self.forgets)
                passage.station.write(back)
                self.forgotten += taken
            try:
                await self._write(writer, data)
            except OSError:
                return

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        while data:
            rate = self.bytes_per_s
            piece, data = (data, b"") if rate is None else (data[:_PIECE_BYTES], data[_PIECE_BYTES:])
            if rate is not None:
                await asyncio.sleep(len(piece) / rate)
            writer.write(piece)
            await writer.drain()
