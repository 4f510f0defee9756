"""Messages by the real apprise to a real web server; what fails, hangs and refuses is told, and no URL leaks."""

from __future__ import annotations

import logging
import os
import queue
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest

from agent import notifier, notify_child
from agent.clock import SystemClock
from agent.core.notice_words import REASONS
from agent.effects import Notify
from agent.events import Event, NotifyDone, NotifyExamined
from agent.notice_urls import Url, UrlsError, faults_of, find_urls, read_urls
from agent.notifier import Notifier, check, deliver
from agent.private_file import PrivateFile
from tests.broker import free_port
from tests.web import web_server

SECRET = "t0ps3cret"
PATIENCE_S = 60.0
ORDER = Notify("n-1", "master", "驿站:标题", "第一行\n第二行", is_urgent=True)

Kind = TypeVar("Kind", bound=Event)


class Posts:
    """What the worker posts."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Event] = queue.Queue()
        self.seen: list[Event] = []

    def __call__(self, event: Event) -> None:
        self._queue.put(event)

    def wait(self, kind: type[Kind]) -> Kind:
        while True:
            event = self._queue.get(timeout=PATIENCE_S)
            self.seen.append(event)
            if isinstance(event, kind):
                return event


def url_file(folder: Path, mode: int = 0o600, /, **urls: str) -> PrivateFile:
    path = folder / "notify.urls"
    path.write_text("".join(f'{name} = "{url}"\n' for name, url in urls.items()), encoding="utf-8")
    path.chmod(mode)
    return PrivateFile(path)


@contextmanager
def running(file: PrivateFile, *ways: str, delivery_s: float = 40.0) -> Iterator[tuple[Notifier, Posts]]:
    posts = Posts()
    worker = Notifier({"master": ways}, file, SystemClock(), posts, delivery_s=delivery_s, examine_s=0.05)
    try:
        yield worker, posts
    finally:
        worker.close()


# --- deliveries ------------------------------------------------------------------------------------------------------


def test_each_way_is_told_once_and_says_how_it_fared() -> None:
    with web_server() as web:
        ways = {
            web.url(f"ok/{SECRET}"): "",
            web.url("form", "form"): "",
            web.url("topic", "ntfy"): "",
            web.url("500"): "server_error",
            web.url("403"): "refused",
            web.url("errcode"): "refused",
            web.url("302"): "redirected",
            web.url("hang") + "?rto=1": "timed_out",
            f"json://127.0.0.1:{free_port()}/x": "unreachable",
            "nonsense://x": "bad_url",
            "not a url": "bad_url",
        }
        reasons = deliver(ORDER, [Url(each) for each in ways], 40.0)
        assert dict(zip(ways, reasons, strict=True)) == ways
        assert sorted(web.paths()) == sorted(
            [f"/ok/{SECRET}", "/form", "/", "/500", "/403", "/errcode", "/302", "/hang"]
        )
        for message in web.messages():
            assert message["title"] == ORDER.title
            assert message["message"] == ORDER.body


def test_a_service_that_never_ends_its_answer_is_ended_and_the_others_are_told() -> None:
    with web_server() as web:
        began = time.monotonic()
        reasons = deliver(ORDER, [Url(web.url("drip")), Url(web.url("ok"))], 12.0)
        assert reasons == ["timed_out", ""]
        assert time.monotonic() - began < PATIENCE_S


def test_no_urls_take_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    assert deliver(ORDER, [], 1.0) == []


def test_what_a_child_says_is_not_believed_beyond_what_it_may_say(monkeypatch: pytest.MonkeyPatch) -> None:
    said = f"0 {SECRET}\\n7 \\nx y\\n1 \\n"
    monkeypatch.setattr(notifier, "_CHILD", (sys.executable, "-c", f"print('{said}')"))
    assert deliver(ORDER, [Url("json://a"), Url("json://b"), Url("json://c")], 40.0) == ["failed", "", "failed"]


def test_urls_of_the_services_that_the_documentation_names_are_known_to_apprise() -> None:
    text = (Path(__file__).parents[1] / "docs" / "notifications.md").read_text(encoding="utf-8")
    shown = re.findall(r'(?m)^[a-z-]+ = "([a-z]+://[^"]+)"$', text)
    assert len(shown) >= 6
    assert dict(zip(shown, check([Url(each) for each in shown], 60.0), strict=True)) == dict.fromkeys(shown, "")


@pytest.mark.parametrize(
    ("url", "status", "answer", "reason"),
    [
        ("https://qyapi.weixin.qq.com/x", 200, b'{"errcode": 0, "errmsg": "ok"}', ""),
        ("https://qyapi.weixin.qq.com/x", 200, b'{"errcode": 93000}', "refused"),
        ("https://oapi.dingtalk.com/x", 200, b'{"errcode": 310000, "errmsg": "keywords not in content"}', "refused"),
        ("https://open.feishu.cn/x", 200, b'{"code": 19024, "msg": "Key Words Not Found"}', "refused"),
        ("https://open.feishu.cn/x", 200, b'{"code": 0, "StatusCode": 0}', ""),
        ("https://example.org/x", 200, b'{"code": 200}', ""),
        ("https://example.org/x", 200, b"\xff", ""),
        ("https://example.org/x", 200, b"[1]", ""),
        ("https://example.org/x", 204, b"", ""),
        ("https://example.org/x", 404, b"", "refused"),
        ("https://example.org/x", 503, b"", "server_error"),
        ("https://example.org/x", 301, b"", "redirected"),
    ],
)
def test_an_answer_is_judged_by_what_it_says_and_not_by_its_status_alone(
    url: str, status: int, answer: bytes, reason: str
) -> None:
    response = SimpleNamespace(url=url, status_code=status, content=answer)
    assert notify_child._judged(response) == reason


# --- the worker ------------------------------------------------------------------------------------------------------


def test_a_server_that_is_down_and_back_gets_the_message_at_the_next_try(tmp_path: Path) -> None:
    port = free_port()
    file = url_file(tmp_path, wecom=f"json://127.0.0.1:{port}/{SECRET}")
    with running(file, "wecom") as (worker, posts):
        worker.submit(ORDER)
        done = posts.wait(NotifyDone)
        assert (done.ok, done.reason, done.ways) == (False, "unreachable", {"wecom": "unreachable"})
        with web_server(port) as web:
            worker.submit(ORDER)
            assert posts.wait(NotifyDone).ok
            assert web.paths() == [f"/{SECRET}"]


def test_one_way_that_works_is_enough_and_the_other_is_named(tmp_path: Path) -> None:
    with (
        web_server() as web,
        running(url_file(tmp_path, a=web.url("ok"), b=web.url("500")), "a", "b", "c") as (
            worker,
            posts,
        ),
    ):
        worker.submit(ORDER)
        done = posts.wait(NotifyDone)
        assert (done.ok, done.reason) == (True, "")
        assert done.ways == {"a": "", "b": "server_error", "c": "no_url"}


def test_a_file_that_others_can_read_is_refused_until_it_is_put_right(tmp_path: Path) -> None:
    with web_server() as web:
        file = url_file(tmp_path, 0o644, wecom=web.url(SECRET))
        with running(file, "wecom") as (worker, posts):
            ((code, where, detail),) = posts.wait(NotifyExamined).faults
            assert (code, where) == ("notify.urls_refused", "notify.urls_file")
            assert "0644" in detail
            worker.submit(ORDER)
            assert posts.wait(NotifyDone).reason == "urls_refused"
            assert web.paths() == []
            file.path.chmod(0o600)
            assert posts.wait(NotifyExamined).faults == ()


def test_names_that_the_file_lacks_are_told_at_the_start(tmp_path: Path) -> None:
    with running(url_file(tmp_path, wecom="json://127.0.0.1"), "wecom", "mail") as (_, posts):
        assert posts.wait(NotifyExamined).faults == (("notify.url_missing", "master", "mail"),)


def test_no_url_and_no_token_is_in_an_event_a_log_or_the_output(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with web_server() as web:
        urls = {
            "a": web.url(f"403/{SECRET}"),
            "b": f"json://user:{SECRET}@127.0.0.1:{free_port()}/{SECRET}",
            "c": f"nonsense://{SECRET}",
            "d": f"mailto://user:{SECRET}@127.0.0.1:{free_port()}?from=a@example.org&to=b@example.org",
        }
        file = url_file(tmp_path, **urls)
        with running(file, *urls) as (worker, posts):
            worker.submit(ORDER)
            done = posts.wait(NotifyDone)
            assert set(done.ways.values()) <= set(REASONS)
            for text in (f"x = json://{SECRET}", f"[{SECRET}]"):
                file.path.write_text(text, encoding="utf-8")
                posts.wait(NotifyExamined)
    output = capfd.readouterr()
    everything = f"{posts.seen!r}{caplog.text}{output.out}{output.err}{Url(SECRET)!r}{Url(SECRET)!s}"
    assert "a message to master" in everything
    assert SECRET not in everything


def test_arguments_and_environment_of_the_process_that_sends_hold_no_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_server() as web:
        seen: list[bytes] = []

        def look(child: subprocess.Popen[str] | None) -> None:
            if child is not None:
                folder = Path("/proc") / str(child.pid)
                seen.append((folder / "cmdline").read_bytes() + (folder / "environ").read_bytes())

        assert deliver(ORDER, [Url(web.url(SECRET))], 40.0, look) == [""]
        assert seen
        assert SECRET.encode() not in seen[0]


def test_closing_ends_a_delivery_that_hangs(tmp_path: Path) -> None:
    with web_server() as web:
        with running(url_file(tmp_path, wecom=web.url("drip")), "wecom", delivery_s=PATIENCE_S) as (worker, posts):
            worker.submit(ORDER)
            with web.changed:
                assert web.changed.wait_for(lambda: web.taken, PATIENCE_S)
        assert not worker._thread.is_alive()
        assert not any(isinstance(each, NotifyDone) for each in posts.seen)


def test_with_too_many_waiting_the_next_is_answered_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "_WAITING_MAX", 1)
    with ExitStack() as stack:
        web = stack.enter_context(web_server())
        file = url_file(tmp_path, wecom=web.url("drip"))
        worker, posts = stack.enter_context(running(file, "wecom", delivery_s=PATIENCE_S))
        worker.submit(ORDER)
        with web.changed:
            assert web.changed.wait_for(lambda: web.taken, PATIENCE_S)
        worker.submit(ORDER)
        worker.submit(Notify("n-3", "master", "t", "b"))
        done = posts.wait(NotifyDone)
        assert (done.request, done.ok, done.reason) == ("n-3", False, "busy")


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_a_file_of_urls_that_others_can_reach_is_not_read(tmp_path: Path, mode: int) -> None:
    with pytest.raises(UrlsError, match=f"{mode:04o}.*chmod 600"):
        read_urls(url_file(tmp_path, mode, a="json://x"))


@pytest.mark.parametrize(
    "text",
    [
        f"a = json://{SECRET}",
        f'a = "{SECRET}"',
        f'a = ["json://{SECRET}"]',
        f'[a]\nb = "json://{SECRET}"',
        f'"{SECRET} a" = "json://x"',
        f'a = "json://{SECRET}\\u0000"',
        f'a = "json://{SECRET * 300}"',
        f'a = "json://{SECRET}',
        f'a = "json://x"\na = "{SECRET}://x"',
        "[" * 3000 + SECRET,
        f"# {SECRET}\n" * 9000,
    ],
)
def test_what_is_no_file_of_urls_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    file = url_file(tmp_path)
    file.path.write_text(text, encoding="utf-8")
    with pytest.raises(UrlsError) as caught:
        read_urls(file)
    assert SECRET not in f"{caught.value!s}{caught.value!r}{caught.value.__cause__!r}"


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    file = url_file(tmp_path)
    file.path.write_bytes(b'a = "json://\xff"')
    with pytest.raises(UrlsError, match="UTF-8"):
        read_urls(file)


def test_a_credential_of_systemd_takes_the_files_place(tmp_path: Path) -> None:
    file = url_file(tmp_path, 0o440, a="json://x")
    assert find_urls(Path("nowhere"), {"CREDENTIALS_DIRECTORY": str(tmp_path)}).is_credential
    assert list(read_urls(find_urls(Path("nowhere"), {"CREDENTIALS_DIRECTORY": str(tmp_path)}))) == ["a"]
    assert find_urls(file.path, {}).path == file.path


def test_without_recipients_no_file_is_needed() -> None:
    assert faults_of({}, PrivateFile(Path("nowhere"))) == ()
    assert os.fspath(Path("nowhere")) in faults_of({"a": ("b",)}, PrivateFile(Path("nowhere")))[0][2]
