"""Watches the files of the link's TLS: when the certificates end, and whether somebody renewed them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography import x509

from agent.clock import Clock
from agent.events import CertificateRead, Event, WorkerFailed
from agent.mqtt.client import Tls, tls_context

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 20.0  # a renewed certificate counts within a minute
READ_EVERY_S = 86_400.0
_MAX_BYTES = 4 * 1024 * 1024  # a bundle of all public authorities has a quarter of a megabyte
CA_FILE, CERT_FILE, KEY_FILE = "mqtt.tls.ca_file", "mqtt.tls.cert_file", "mqtt.tls.key_file"

Stamp = tuple[tuple[int, int, int] | None, ...]


class CertificateWatch:
    """Posts `CertificateRead` at the start, daily, and when a file has changed; then `renewed` is called too.

    Files that change are taken only once they fit together: a certificate and its key are copied one after the other.
    Both functions are called on the watch's own thread.
    """

    def __init__(self, tls: Tls, clock: Clock, post: Callable[[Event], None], renewed: Callable[[], None]) -> None:
        self._tls = tls
        self._clock = clock
        self._post = post
        self._renewed = renewed
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._main, name="certificates", daemon=True)
        self._taken: Stamp | None = None
        self._refused: Stamp | None = None
        self._due_at = 0.0

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def close(self, timeout_s: float = 0.5) -> None:
        """End the thread; a file system that hangs is not waited for longer than this."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _main(self) -> None:
        try:
            while True:
                self._look()
                if self._closing.wait(LOOK_EVERY_S):
                    return
        except Exception as error:  # noqa: BLE001 - a worker's top: nothing may end it unseen
            _log.exception("the watch of the certificates died")
            self._post(WorkerFailed(self._clock.now(), "certificates", type(error).__name__))

    def _look(self) -> None:
        stamp, now = self._stamp(), self._clock.monotonic()
        if stamp == self._refused and now < self._due_at:
            return
        is_new = stamp != self._taken
        if not is_new and now < self._due_at:
            return
        self._due_at = now + READ_EVERY_S
        read = self._read()
        for each in read:
            self._post(each)
        if any(each.ends_at_utc is None for each in read):
            self._refused = stamp
            return
        was, self._taken, self._refused = self._taken, stamp, None
        if was is not None and is_new:
            _log.info("the certificates of the link to the broker were renewed")
            self._renewed()

    def _stamp(self) -> Stamp:
        return tuple(_stamp_of(path) for path in (self._tls.ca, self._tls.certificate, self._tls.key))

    def _read(self) -> list[CertificateRead]:
        """When each file ends, or alone why the first one cannot be used; what a file holds is never said."""
        now, read = self._clock.now(), []
        for where, path, choose in ((CERT_FILE, self._tls.certificate, min), (CA_FILE, self._tls.ca, max)):
            if path is not None:
                try:
                    read.append(CertificateRead(now, where, choose(ends_of(path))))
                except (OSError, ValueError) as error:
                    reason = getattr(error, "strerror", None) or "it holds no certificate in PEM"
                    return [CertificateRead(now, where, None, f"{path}: {reason}")]
        try:
            tls_context(self._tls)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "it cannot be used"
            where = CERT_FILE if self._tls.certificate is not None else CA_FILE
            return [CertificateRead(now, where, None, reason)]
        return read


def ends_of(path: Path) -> list[datetime]:
    """When each certificate of a file ends, UTC. Raises OSError, ValueError."""
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES)
    return [each.not_valid_after_utc for each in x509.load_pem_x509_certificates(content)]


def _stamp_of(path: Path | None) -> tuple[int, int, int] | None:
    """What changes with a file: it is copied over, or another one takes its name."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
