"""Sends messages by apprise, on a thread of its own and each in a process of its own; see `agent.notify_child`."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from agent.clock import Clock
from agent.core.notice_words import REASONS
from agent.effects import Notify
from agent.events import Event, NotifyDone, NotifyExamined, WorkerFailed
from agent.notice_urls import Faults, Url, UrlsError, faults_of, read_urls
from agent.private_file import PrivateFile

log = logging.getLogger(__name__)

DELIVERY_S = 25.0
"""For one message by all ways of a recipient: a Raspberry Pi takes some seconds to load apprise, a service has 4 s to
take the connection and 4 s to answer."""

EXAMINE_S = 60.0  # a file that was put right counts within a minute
_WAITING_MAX = 40  # each recipient has one message under way, of 16 recipients; the rest are tests
_JOIN_S = 0.5
_CHILD = (sys.executable, "-P", "-m", "agent.notify_child")  # -P: nothing is loaded from the folder it happens to be in

Ways = Mapping[str, tuple[str, ...]]


class Notifier:
    """Carries out `Notify` in order; `NotifyDone` answers each. `ways`: the names of a recipient's URLs.

    The file is read anew for every message, so a token that was changed counts at once; what is wrong with it is told
    by `NotifyExamined` when that changes. No URL is logged, and none is in an event.
    """

    def __init__(
        self,
        ways: Ways,
        file: PrivateFile,
        clock: Clock,
        post: Callable[[Event], None],
        *,
        delivery_s: float = DELIVERY_S,
        examine_s: float = EXAMINE_S,
    ) -> None:
        self._ways = dict(ways)
        self._file = file
        self._clock = clock
        self._post = post
        self._delivery_s = delivery_s
        self._examine_s = examine_s
        self._faults: Faults | None = None  # nothing was said yet
        self._orders: queue.Queue[Notify | None] = queue.Queue(_WAITING_MAX)
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
        self._thread.start()

    def submit(self, order: Notify) -> None:
        """Put an order in line; never blocks. With too many waiting it is answered at once."""
        try:
            self._orders.put_nowait(order)
        except queue.Full:
            self._post(NotifyDone(self._clock.now(), order.request, order.recipient, ok=False, reason="busy"))

    def close(self) -> None:
        """End the thread and what it is sending: it is sent again after the next start."""
        with self._lock:
            self._is_closing = True
            if self._child is not None:
                self._child.kill()
        with contextlib.suppress(queue.Full):  # then it finds `_is_closing` after the order that it carries out
            self._orders.put_nowait(None)
        self._thread.join(_JOIN_S)

    def _work(self) -> None:
        try:
            self._examine()
            while not self._is_closing:
                try:
                    order = self._orders.get(timeout=self._examine_s)
                except queue.Empty:
                    self._examine()
                    continue
                if order is not None and not self._is_closing:
                    self._carry_out(order)
        except Exception as error:  # the top of this worker
            log.exception("the notifier died")
            self._post(WorkerFailed(self._clock.now(), "notifier", type(error).__name__))

    def _examine(self) -> None:
        """Say what is wrong with the file, when that is not what was wrong before."""
        faults = faults_of(self._ways, self._file)
        if faults != self._faults:
            self._post(NotifyExamined(self._clock.now(), faults))
        self._faults = faults

    def _carry_out(self, order: Notify) -> None:
        self._examine()
        names = self._ways.get(order.recipient, ())
        reasons = dict.fromkeys(names, "urls_refused")
        try:
            urls = read_urls(self._file)
        except UrlsError:
            pass  # told by the fault
        else:
            there = [name for name in names if name in urls]
            said = deliver(order, [urls[name] for name in there], self._delivery_s, self._watch)
            reasons = dict.fromkeys(names, "no_url") | dict(zip(there, said, strict=True))
        if self._is_closing:
            return
        reason = next((each for each in reasons.values() if each), "") if reasons else "no_url"
        ok = any(not each for each in reasons.values())
        log.info("a message to %s: %s", order.recipient, "sent" if ok else REASONS[reason].en)
        done = NotifyDone(self._clock.now(), order.request, order.recipient, ok, "" if ok else reason, reasons)
        self._post(done)

    def _watch(self, child: subprocess.Popen[str] | None) -> None:
        """The child that `close` has to end, or that there is none any more."""
        with self._lock:
            self._child = child
            if child is not None and self._is_closing:
                child.kill()


def deliver(
    order: Notify,
    urls: Sequence[Url],
    timeout_s: float,
    watch: Callable[[subprocess.Popen[str] | None], None] = lambda _child: None,
) -> list[str]:
    """Send one message by every URL; for each the reason why it did not arrive, empty where it did.

    Takes at most `timeout_s` and a moment; what has not ended by then counts as timed out.
    """
    message = {"title": order.title, "body": order.body, "is_urgent": order.is_urgent}
    return _run({**message, "urls": [each.secret for each in urls]}, len(urls), timeout_s, "timed_out", watch)


def check(urls: Sequence[Url], timeout_s: float = DELIVERY_S) -> list[str]:
    """Ask apprise whether these are URLs that it knows; sends nothing. `bad_url` or empty for each."""
    return _run({"is_check": True, "urls": [each.secret for each in urls]}, len(urls), timeout_s, "", None)


def _run(
    order: Mapping[str, object],
    count: int,
    timeout_s: float,
    otherwise: str,
    watch: Callable[[subprocess.Popen[str] | None], None] | None,
) -> list[str]:
    if not count:
        return []
    # The URLs go by a pipe: arguments and environments can be read by others.
    child = subprocess.Popen(  # noqa: S603 - a fixed command
        _CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    )
    if watch is not None:
        watch(child)
    has_ended = True
    try:
        output, _ = child.communicate(json.dumps(order), timeout=timeout_s)
    except subprocess.TimeoutExpired:
        has_ended = False
        child.kill()
        output, _ = child.communicate()
    finally:
        if watch is not None:
            watch(None)
    reasons = [otherwise if not has_ended else "failed"] * count
    for line in output.splitlines():
        index, _, reason = line.partition(" ")
        if index.isdigit() and int(index) < count and (not reason or reason in REASONS):
            reasons[int(index)] = reason
    return reasons
