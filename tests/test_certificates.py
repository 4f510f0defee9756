"""The watch of the link's certificates, over files that change."""

from __future__ import annotations

import queue
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent import certificates
from agent.certificates import CA_FILE, CERT_FILE, CertificateWatch
from agent.clock import SystemClock
from agent.events import CertificateRead, Event
from agent.mqtt.client import Tls
from tests.mosquitto_configuration import Certificates

WAIT_S = 20.0


class Watched:
    """A watch over the certificates of one station, with what it said and how often it found them renewed."""

    def __init__(self, folder: Path) -> None:
        self.files = Certificates(folder)
        self.files.make("ca")
        self.files.make("station", "one", DAYS="40")
        self.said: queue.Queue[Event] = queue.Queue()
        self.renewals: queue.Queue[None] = queue.Queue()
        self.watch = CertificateWatch(
            self.files.tls("one"), SystemClock(), self.said.put, lambda: self.renewals.put(None)
        )

    def next(self) -> CertificateRead:
        read = self.said.get(timeout=WAIT_S)
        assert isinstance(read, CertificateRead)
        return read

    def days_left(self) -> int:
        """Of the station's own certificate, as the next two readings say."""
        read = {each.where: each for each in (self.next(), self.next())}
        assert set(read) == {CERT_FILE, CA_FILE}
        ends = read[CERT_FILE].ends_at_utc
        assert ends is not None
        return round((ends - datetime.now(UTC)) / timedelta(days=1))


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(certificates, "LOOK_EVERY_S", 0.02)
    made = Watched(tmp_path / "tls")
    yield made
    made.watch.close(WAIT_S)


def test_the_start_says_when_each_certificate_ends(watched: Watched) -> None:
    watched.watch.start()
    assert watched.days_left() == 40
    assert watched.renewals.empty()
    assert watched.said.empty()


def test_a_renewed_certificate_is_told_once(watched: Watched) -> None:
    watched.watch.start()
    watched.days_left()
    watched.files.make("station", "one", RENEW="1", DAYS="200")
    assert watched.days_left() == 200
    watched.renewals.get(timeout=WAIT_S)
    watched.watch.close(WAIT_S)
    assert watched.said.empty()
    assert watched.renewals.empty()


def test_a_certificate_without_its_key_is_not_taken_until_both_are_there(watched: Watched, tmp_path: Path) -> None:
    other = Certificates(tmp_path / "other")
    other.folder.mkdir()
    for name in ("ca.pem", "ca.key"):
        (other.folder / name).write_bytes((watched.files.folder / name).read_bytes())
    other.make("station", "one", DAYS="300")
    watched.watch.start()
    watched.days_left()

    (other.folder / "one.pem").replace(watched.files.folder / "one.pem")
    wrong = watched.next()
    assert (wrong.where, wrong.ends_at_utc) == (CERT_FILE, None)
    assert wrong.detail
    assert watched.renewals.empty()
    (other.folder / "one.key").replace(watched.files.folder / "one.key")
    assert watched.days_left() == 300
    watched.renewals.get(timeout=WAIT_S)


@pytest.mark.parametrize(("name", "where"), [("one.pem", CERT_FILE), ("ca.pem", CA_FILE)])
@pytest.mark.parametrize("content", [None, b"", b"\xff" * 100])
def test_a_file_that_is_gone_or_holds_something_else_is_told_and_not_what_is_in_it(
    watched: Watched, name: str, where: str, content: bytes | None
) -> None:
    path = watched.files.folder / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    watched.watch.start()
    read = watched.next()
    assert (read.where, read.ends_at_utc) == (where, None)
    assert str(path) in read.detail


def test_a_key_with_a_pass_phrase_is_a_fault_and_asks_nobody(watched: Watched) -> None:
    key = watched.files.folder / "one.key"
    locked = key.with_suffix(".new")
    command = ["openssl", "ec", "-in", str(key), "-aes256", "-passout", "pass:secret-phrase", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    locked.replace(key)
    watched.watch.start()
    read = watched.next()
    assert (read.where, read.ends_at_utc) == (CERT_FILE, None)
    assert "secret" not in read.detail


def test_of_several_authorities_the_last_end_counts_and_of_the_stations_own_the_first(watched: Watched) -> None:
    folder = watched.files.folder
    second = Certificates(folder.parent / "second")
    second.make("ca", CA_DAYS="20")
    second.make("station", "one", DAYS="7")
    with (folder / "ca.pem").open("ab") as file:
        file.write((second.folder / "ca.pem").read_bytes())
    with (folder / "one.pem").open("ab") as file:
        file.write((second.folder / "one.pem").read_bytes())
    watched.watch.start()
    read = {each.where: each.ends_at_utc for each in (watched.next(), watched.next())}
    now = datetime.now(UTC)
    assert round(((read[CA_FILE] or now) - now) / timedelta(days=1)) == 3650
    assert round(((read[CERT_FILE] or now) - now) / timedelta(days=1)) == 7


def test_what_does_not_change_is_read_again_every_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(certificates, "READ_EVERY_S", 0.1)
    watched = Watched(tmp_path / "tls")
    watched.watch.start()
    try:
        assert [watched.days_left() for _ in range(3)] == [40, 40, 40]
        assert watched.renewals.empty()
    finally:
        watched.watch.close(WAIT_S)


def test_without_files_of_its_own_there_is_nothing_to_tell(watched: Watched) -> None:
    watch = CertificateWatch(Tls(), SystemClock(), watched.said.put, lambda: None)
    watch.start()
    watch.close(WAIT_S)
    assert watched.said.empty()
