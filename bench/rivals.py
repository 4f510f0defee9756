"""What the drain of a backlog is measured against: the same messages by simpler means, to the same broker.

`python -m bench.rivals memory|commits PORT COUNT` publishes COUNT messages of the size of a log entry with QoS 1 and
prints how many a second were acknowledged. `memory`: paho alone, from a list; nothing survives its process. `commits`:
from a table of SQLite (set as the agent's is), from which each message is deleted by a commit of its own once it is
acknowledged.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from agent.events import LoggedEntry
from agent.mqtt.flow import MAX_IN_FLIGHT
from agent.mqtt.payloads import encode, log_event
from agent.storage.chain import GENESIS, body_digest, canonical, entry_hash

PATIENCE_S = 60.0
TOPIC = "bench/rival"


def messages(count: int) -> list[bytes]:
    """As the agent writes its log, made beforehand."""
    return [_message(number) for number in range(1, count + 1)]


def _message(number: int) -> bytes:
    body = canonical({"way": "face", "member": f"m-{number}", "visit": f"bench-{number}", "ended": [], "inside": 3})
    salt, boot, type_ = secrets.token_hex(16), "00000000-0000-4000-8000-000000000000", "station.visit.entered"
    at, digest = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), body_digest(salt, body)
    hash_ = entry_hash(GENESIS, boot, "synchronised", 1, number, number, at, type_, digest)
    entry = LoggedEntry(1, number, type_, at, boot, number, "synchronised", body, salt, digest, hash_)
    return encode(log_event("bench-0001", entry, datetime.now(UTC)))


class _Publisher:
    """paho, as a program that uses it plainly does: a thread of its own, and its own queue."""

    def __init__(self, port: int) -> None:
        self.acknowledged: SimpleQueue[int] = SimpleQueue()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.client.max_inflight_messages_set(MAX_IN_FLIGHT)
        self.client.on_publish = lambda _client, _data, mid, *_: self.acknowledged.put(mid)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def from_memory(port: int, count: int) -> float:
    """Messages a second."""
    waiting, publisher = messages(count), _Publisher(port)
    began = time.monotonic()
    for each in waiting:
        publisher.client.publish(TOPIC, each, qos=1)
    for _ in waiting:
        publisher.acknowledged.get(timeout=PATIENCE_S)
    took_s = time.monotonic() - began
    publisher.close()
    return count / took_s


def with_commits(port: int, count: int, folder: Path) -> float:
    """Messages a second."""
    with closing(sqlite3.connect(folder / "outbox.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE outbox (number INTEGER PRIMARY KEY, message BLOB) STRICT")
        database.execute("BEGIN")
        database.executemany("INSERT INTO outbox (message) VALUES (?)", ((each,) for each in messages(count)))
        database.execute("COMMIT")
        publisher = _Publisher(port)
        began, numbers = time.monotonic(), dict[int, int]()
        for number, message in database.execute("SELECT number, message FROM outbox ORDER BY number").fetchall():
            numbers[publisher.client.publish(TOPIC, message, qos=1).mid] = number
        for _ in range(count):
            mid = publisher.acknowledged.get(timeout=PATIENCE_S)
            database.execute("DELETE FROM outbox WHERE number = ?", (numbers[mid],))
        took_s = time.monotonic() - began
        publisher.close()
    return count / took_s


def measure(kind: str, port: int, count: int) -> float:
    """In a process of its own: messages a second."""
    command = [sys.executable, "-m", "bench.rivals", kind, str(port), str(count)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=2 * PATIENCE_S)
    return float(json.loads(found.stdout))


def main(kind: str, port: str, count: str) -> None:
    """The command."""
    if kind == "memory":
        print(json.dumps(from_memory(int(port), int(count))))
        return
    with tempfile.TemporaryDirectory(prefix="station-bench-") as folder:
        print(json.dumps(with_commits(int(port), int(count), Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
