"""Delivers one message in a process of its own: `python -m agent.notify_child`, a JSON object on standard input.

A process, because it can be ended whatever it hangs in, because apprise and what it logs (URLs) then never meet the
agent's log, and because its 60 MB are there only while something is sent. Input: `title`, `body`, `is_urgent`, `urls`.
Output: a line for each URL as it is done, `INDEX REASON`, the reason a key of `core.notice_words.REASONS` or empty.
With `is_check` nothing is sent: each URL is only looked at.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO
from urllib.parse import urlsplit

# Webhooks of WeCom and DingTalk (errcode), Feishu and Lark (code, StatusCode) answer 200 also when they refuse, for a
# wrong token or a missing keyword; apprise 2.2 takes their 200 for success.
_CODES = ("errcode",)
_CODES_OF_FEISHU = ("code", "StatusCode")
_FEISHU = ("feishu.cn", "larksuite.com")
_ANSWER_BYTES = 64 * 1024
_LIFE_S = 60  # should the agent be gone, which ends it much sooner


class Outcome:
    """What the web said to the requests of one thread."""

    def __init__(self) -> None:
        self.reason = ""


_heard: dict[int, Outcome] = {}


def main() -> int:
    """Read one order and carry it out."""
    signal.alarm(_LIFE_S)
    order = json.load(sys.stdin)
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1)
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    services = [_service(url) for url in order["urls"]]
    threads = []
    for index, service in enumerate(services):
        if service is None or order.get("is_check"):
            answers.write(f"{index} {'bad_url' if service is None else ''}\n")
        else:
            threads.append(threading.Thread(target=_deliver, args=(index, service, order, answers), daemon=True))
    _listen()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


def _deliver(index: int, service: Any, order: dict[str, Any], answers: TextIO) -> None:
    reason = "failed"
    try:
        reason = _sent(service, order)
    finally:
        answers.write(f"{index} {reason}\n")  # in one piece, beside other threads


def _sent(service: Any, order: dict[str, Any]) -> str:
    import apprise

    outcome = _heard[threading.get_ident()] = Outcome()
    kind = apprise.NotifyType.FAILURE if order["is_urgent"] else apprise.NotifyType.WARNING
    sender = apprise.Apprise(asset=service.asset)
    sender.add(service)
    result = sender.notify(
        title=order["title"], body=order["body"], notify_type=kind, body_format=apprise.NotifyFormat.TEXT
    )
    if result and outcome.reason != "refused":
        return ""
    return outcome.reason or "failed"


def _service(url: str) -> Any:
    import apprise

    asset = apprise.AppriseAsset(
        app_id="station-agent",
        app_desc="station-agent",
        async_mode=False,
        http_redirects=False,  # a token is for the one it was made for
        service_timeout=0,  # in this thread: the whole process has its time
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    with contextlib.suppress(Exception):  # a border: whatever a service's own parser makes of a wrong line
        return apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    return None


def _listen() -> None:
    """Hear what every request of this process was answered, for apprise only says whether it was pleased."""
    import requests

    send: Callable[..., requests.Response] = requests.Session.send

    def heard(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        outcome = _heard.get(threading.get_ident(), Outcome())
        with _failing(outcome):
            response = send(self, request, **options)
        outcome.reason = _judged(response)
        return response

    requests.Session.send = heard  # type: ignore[method-assign]


@contextlib.contextmanager
def _failing(outcome: Outcome) -> Iterator[None]:
    import requests

    try:
        yield
    except requests.Timeout:
        outcome.reason = "timed_out"
        raise
    except requests.RequestException:
        outcome.reason = "unreachable"
        raise


def _judged(response: Any) -> str:
    status = response.status_code
    if 300 <= status < 400:
        return "redirected"
    if status >= 500:
        return "server_error"
    if status >= 400:
        return "refused"
    host = urlsplit(response.url or "").hostname or ""
    codes = _CODES + (_CODES_OF_FEISHU if host.endswith(_FEISHU) else ())
    return "refused" if _has_refused(response.content[:_ANSWER_BYTES], codes) else ""


def _has_refused(answer: bytes, codes: tuple[str, ...]) -> bool:
    try:
        said = json.loads(answer)
    except ValueError:
        return False
    return isinstance(said, dict) and any(said.get(code) not in (None, 0, "0") for code in codes)


if __name__ == "__main__":
    sys.exit(main())
