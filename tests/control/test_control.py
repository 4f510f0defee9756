"""The control socket as a client meets it: a real socket, and the real kernel's word about who asks."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.control import protocol, server, wire
from agent.control.client import ControlClient, ControlError
from agent.control.server import ControlServer, SocketInUseError
from agent.core import enrolment, requests
from agent.core.problems import problem
from agent.effects import Reply
from agent.events import ControlRequested, Event, SubscriberLeft

_SOON_S = 10.0  # a generous bound for what takes milliseconds


class _Agent:
    """Takes what the server posts, and answers as the test says."""

    def __init__(self, path: Path, roles: dict[str, str] | None = None) -> None:
        self.posted: queue.Queue[Event] = queue.Queue()
        self.server = ControlServer(path, roles or {}, self.posted.put, SystemClock())
        self.client = ControlClient(path, timeout_s=_SOON_S)

    def asked(self) -> ControlRequested:
        event = self.posted.get(timeout=_SOON_S)
        assert isinstance(event, ControlRequested)
        return event

    def left(self) -> SubscriberLeft:
        event = self.posted.get(timeout=_SOON_S)
        assert isinstance(event, SubscriberLeft)
        return event

    def answering(self, *replies: dict[str, Any]) -> contextlib.AbstractContextManager[list[ControlRequested]]:
        return _answering(self, replies)


@contextlib.contextmanager
def _answering(agent: _Agent, replies: tuple[dict[str, Any], ...]) -> Iterator[list[ControlRequested]]:
    seen: list[ControlRequested] = []

    def answer() -> None:
        seen.append(agent.asked())
        for number, reply in enumerate(replies, 1):
            agent.server.reply(Reply(seen[0].request, is_last=number == len(replies), **reply))

    thread = threading.Thread(target=answer)
    thread.start()
    yield seen
    thread.join(_SOON_S)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[_Agent]:
    station = _Agent(tmp_path / "control.sock")
    station.server.start()
    yield station
    station.server.close()


def _raw(agent: _Agent) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_SOON_S)
    connection.connect(str(agent.server.path))
    return connection


def _line(connection: socket.socket) -> dict[str, Any]:
    with connection.makefile("rb") as lines:
        answer: dict[str, Any] = json.loads(lines.readline())
    return answer


def _until(condition: Any) -> None:
    deadline = time.monotonic() + _SOON_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


# --- asking ----------------------------------------------------------------------------------------------------------


def test_a_request_reaches_the_rules_with_its_actor_and_the_answer_comes_back(agent: _Agent) -> None:
    with agent.answering({"ok": True, "result": {"mode": "normal"}}) as seen:
        result = agent.client.request("door.resume")

    assert result == {"mode": "normal"}
    assert seen[0].action == "door.resume"
    assert seen[0].actor.kind == "local"
    assert seen[0].actor.role == "administrator"


def test_a_refusal_raises_with_its_problems(agent: _Agent) -> None:
    refusal = problem("door.locked_down", "door")
    with (
        agent.answering({"ok": False, "problems": (refusal.as_dict(),)}),
        pytest.raises(ControlError) as caught,
    ):
        agent.client.request("door.unlock")

    assert caught.value.problems == (refusal,)


def test_photos_arrive_as_the_bytes_that_were_sent(agent: _Agent) -> None:
    photos = [bytes(range(256)) * 4000, b"\xff\xd8"]
    with agent.answering({"ok": True, "result": {}}) as seen:
        agent.client.request("members.enrol", id="m-1", name=" 张三 ", photos=photos)

    assert seen[0].arguments == {"id": "m-1", "name": "张三", "photos": tuple(photos), "camera": False, "again": False}


def test_a_consent_and_the_camera_arrive_as_plain_values(agent: _Agent) -> None:
    consent = {"version": "2026-11", "language": "zh", "how": "screen", "guardian": "mother"}
    with agent.answering({"ok": True, "result": {}}) as seen:
        agent.client.request("members.enrol", id="m-1", name="x", camera=True, consent=consent)

    assert seen[0].arguments["camera"] is True
    assert seen[0].arguments["photos"] == ()
    assert seen[0].arguments["consent"] == {**consent, "is_under_age": False}


@pytest.mark.parametrize("wrong", [{"guardian": "Wang Fang"}, {"how": "told"}, {"language": "fr"}, {"name": "x"}])
def test_a_consent_holds_no_name_and_nothing_unknown(agent: _Agent, wrong: dict[str, str]) -> None:
    consent = {"version": "2026-11", "language": "zh", "how": "screen", **wrong}
    with pytest.raises(ControlError) as caught:
        agent.client.request("members.enrol", id="m-1", name="x", camera=True, consent=consent)

    assert caught.value.problems[0].code == "request.invalid"
    assert "Wang" not in str(caught.value)


def test_arguments_that_are_left_out_are_not_passed_on(agent: _Agent) -> None:
    with agent.answering({"ok": True, "result": {"rows": []}}) as seen:
        agent.client.request("visits.list", since="2026-11-01T00:00:00Z", until=None)

    assert seen[0].arguments == {"since": "2026-11-01T00:00:00Z", "limit": 100}


def test_a_subscription_gives_answers_until_the_client_leaves(agent: _Agent) -> None:
    stream = agent.client.stream("subscribe")
    with agent.answering({"ok": True, "result": {"n": 1}}, {"ok": True, "result": {"n": 2}}, {"ok": True}) as seen:
        assert next(stream) == {"n": 1}
        assert next(stream) == {"n": 2}
        assert next(stream) == {}
        assert list(stream) == []

    second = agent.client.stream("subscribe")
    waiting = threading.Thread(target=lambda: next(second))
    waiting.start()
    request = agent.asked().request
    agent.server.reply(Reply(request, ok=True, is_last=False))
    waiting.join(_SOON_S)
    second.close()

    assert agent.left().request == request
    assert request != seen[0].request


def test_two_clients_get_their_own_answers(agent: _Agent) -> None:
    results: dict[str, Any] = {}

    def ask(action: str) -> None:
        results[action] = agent.client.request(action)

    threads = [threading.Thread(target=ask, args=(action,)) for action in ("status", "members.list")]
    for thread in threads:
        thread.start()
    for asked in (agent.asked(), agent.asked()):
        agent.server.reply(Reply(asked.request, ok=True, result={"to": asked.action}))
    for thread in threads:
        thread.join(_SOON_S)

    assert results == {"status": {"to": "status"}, "members.list": {"to": "members.list"}}


def test_one_connection_may_ask_again_and_stop_sending(agent: _Agent) -> None:
    with _raw(agent) as connection:
        lines = connection.makefile("rb")
        for number in ("a", "b"):
            connection.sendall(json.dumps({"id": number, "action": "status"}).encode() + b"\n")
            if number == "b":
                connection.shutdown(socket.SHUT_WR)
            agent.server.reply(Reply(agent.asked().request, ok=True, result={"n": number}))
            answer = json.loads(lines.readline())
            assert (answer["version"], answer["id"], answer["result"]) == (1, number, {"n": number})
        assert lines.readline() == b""
        lines.close()


# --- who may ---------------------------------------------------------------------------------------------------------


def _as_account(uid: int, code: str) -> str:
    """Run `code` in a child with this uid; give back what it writes."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            os.setresuid(uid, uid, uid)
            scope: dict[str, Any] = {}
            exec(code, scope)  # the child has no way back into the test
            os.write(writable, scope["said"].encode())
        finally:
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


_ASK_AS_STRANGER = """
import socket
said = ""
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(10)
peer.connect({path!r})
try:
    peer.sendall(b'{{"id": "1", "action": "status"}}' + bytes({padding}) + b'\\n')
except OSError:
    pass
while b := peer.recv(65536):
    said += b.decode()
    if said.endswith("\\n"):
        break
"""

_needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another account")


@_needs_root
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking while the server's thread waits is safe here
@pytest.mark.parametrize("padding", [0, 1_000_000])
def test_an_account_without_a_role_is_told_so_and_heard_no_further(
    tmp_path: Path, padding: int, caplog: pytest.LogCaptureFixture
) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody").pw_uid
    folder = Path(f"/tmp/station-control-{os.getpid()}-{padding}")  # tmp_path is closed to other accounts
    agent = _Agent(folder / "control.sock", {"root": "viewer"})
    agent.server.start()
    try:
        agent.server.path.chmod(0o666)
        said = _as_account(nobody, _ASK_AS_STRANGER.format(path=str(agent.server.path), padding=padding))
    finally:
        agent.server.close()
        folder.rmdir()

    answer = json.loads(said)
    assert answer["ok"] is False
    assert answer["problems"][0]["code"] == "request.forbidden"
    assert "the account nobody has no role" in answer["problems"][0]["text"]["en"]
    assert f"uid {nobody}" in caplog.text
    assert "account nobody" not in caplog.text  # a name may be a person's, and what is logged goes into diagnostics
    assert agent.posted.empty()


@_needs_root
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_account_in_the_settings_gets_its_role_and_no_more() -> None:
    import pwd

    nobody = pwd.getpwnam("nobody").pw_uid
    folder = Path(f"/tmp/station-control-{os.getpid()}-role")
    agent = _Agent(folder / "control.sock", {"nobody": "viewer"})
    agent.server.start()
    try:
        agent.server.path.chmod(0o666)
        with agent.answering({"ok": True, "result": {"fine": True}}) as seen:
            said = _as_account(nobody, _ASK_AS_STRANGER.format(path=str(agent.server.path), padding=0))
    finally:
        agent.server.close()
        folder.rmdir()

    assert json.loads(said)["result"] == {"fine": True}
    assert (seen[0].actor.name, seen[0].actor.role) == ("nobody", "viewer")


def test_the_socket_is_closed_to_everybody_else(agent: _Agent) -> None:
    assert stat.S_IMODE(agent.server.path.stat().st_mode) == 0o660


def test_every_action_of_the_rules_has_its_arguments_and_back() -> None:
    assert protocol.ARGUMENTS.keys() >= requests.ACTIONS.keys()
    assert wire.PHOTOS_MAX == enrolment.MAX_PHOTOS


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"hello", "JSON"),
        (b"[" * 60_000, "JSON"),
        (b"\xff\xfe", "JSON"),
        (b'{"id": "1"}', "action is missing"),
        (b'{"id": "1", "action": "status", "version": 2}', "version can only be 1"),
        (b'{"id": "1", "action": "status", "sudo": true}', "there is no argument sudo"),
        (b'{"id": "1", "action": "format.disk"}', "Unknown request"),
        (b'{"id": "1", "action": "status", "arguments": {"x": 1}}', "there is no argument x"),
        (
            b'{"id": "1", "action": "members.erase", "arguments": {"id": "../x"}}',
            "id must begin with a letter",
        ),
        (b'{"id": "1", "action": "visits.list", "arguments": {"limit": 0}}', "limit must be between 1 and 500"),
        (b'{"id": "1", "action": "visits.list", "arguments": {"since": "yesterday"}}', "since needs its zone"),
        (
            b'{"id": "1", "action": "members.suspend", "arguments": {"id": "a", "until": "0001-01-01T00:00+14:00"}}',
            "until needs its zone",
        ),
        (
            b'{"id": "1", "action": "members.enrol", "arguments": {"id": "a", "name": "Ann Secret", "photos": ["%%"]}}',
            "photos[1] a photo is not valid base64",
        ),
        (
            b'{"id": "1", "action": "members.enrol", "arguments": {"id": "a", "name": "Ann Secret", "photos": []}}',
            "photos must not be empty",
        ),
        (
            b'{"id": "1", "action": "members.enrol", "arguments": {"id": "a", "name": "Ann\\u0007Secret"}}',
            "name must not be blank or hold characters",
        ),
    ],
)
def test_a_bad_request_is_answered_with_what_is_wrong(agent: _Agent, line: bytes, words: str) -> None:
    with _raw(agent) as connection:
        connection.sendall(line + b"\n")
        answer = _line(connection)
        said = " ".join(each["text"]["en"] for each in answer["problems"])
        assert words in said
        assert "Secret" not in json.dumps(answer)

        with agent.answering({"ok": True, "result": {}}):  # and the connection goes on
            connection.sendall(b'{"id": "2", "action": "status"}\n')
            assert _line(connection)["ok"]
    assert agent.posted.empty()


def test_a_request_without_an_end_is_cut_off(agent: _Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "REQUEST_BYTES_MAX", 1_000_000)
    with _raw(agent) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(b"x" * 3_000_000)
        assert _line(connection)["problems"][0]["code"] == "request.too_large"


def test_a_photo_that_is_too_large_is_refused_by_its_size(agent: _Agent) -> None:
    with pytest.raises(ControlError, match="more than 6 MiB"):
        agent.client.request("members.enrol", id="a", name="b", photos=[bytes(wire.PHOTO_BYTES_MAX + 3)])


def test_six_photos_of_the_largest_size_fit(agent: _Agent) -> None:
    photos = [bytes(wire.PHOTO_BYTES_MAX)] * wire.PHOTOS_MAX
    with agent.answering({"ok": True, "result": {}}) as seen:
        agent.client.request("members.enrol", id="a", name="b", photos=photos)

    assert [len(photo) for photo in seen[0].arguments["photos"]] == [wire.PHOTO_BYTES_MAX] * 6


def test_an_answer_that_is_too_large_becomes_a_problem(agent: _Agent) -> None:
    with (
        agent.answering({"ok": True, "result": {"rows": "x" * wire.RESPONSE_BYTES_MAX}}),
        pytest.raises(ControlError) as caught,
    ):
        agent.client.request("visits.list")

    assert caught.value.problems[0].code == "reply.too_large"


# --- slow, many, gone ------------------------------------------------------------------------------------------------


def test_a_client_that_says_nothing_is_hung_up_on(agent: _Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_S", 0.05)
    with _raw(agent) as connection:
        assert connection.recv(1) == b""


def test_half_a_request_does_not_hold_a_connection(agent: _Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ARRIVAL_S", 0.05)
    with _raw(agent) as connection:
        connection.sendall(b'{"id": ')
        assert connection.recv(1) == b""


def test_rules_that_do_not_answer_are_a_time_out(agent: _Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ANSWER_S", 0.05)
    with pytest.raises(ControlError) as caught:
        agent.client.request("status")

    assert caught.value.problems[0].code == "request.timed_out"
    request = agent.asked().request
    assert agent.left().request == request
    agent.server.reply(Reply(request, ok=True))  # too late: dropped, harms nobody


def test_one_connection_too_many_of_an_account_is_told_that_it_is_busy(agent: _Agent) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(server.ACCOUNT_CONNECTIONS_MAX):
            stack.enter_context(_raw(agent))
        _until(lambda: len(agent.server._connections) == server.ACCOUNT_CONNECTIONS_MAX)
        with pytest.raises(ControlError) as caught:
            agent.client.request("status")
    assert caught.value.problems[0].code == "request.busy"

    _until(lambda: not agent.server._connections)
    with agent.answering({"ok": True, "result": {}}):
        agent.client.request("status")


@_needs_root
@pytest.mark.parametrize("accounts", [1, 3])
def test_accounts_that_only_look_leave_places_for_the_station_master(accounts: int) -> None:
    uids = range(60_001, 60_001 + accounts)
    folder = Path(f"/tmp/station-control-{os.getpid()}-{accounts}")  # tmp_path is closed to other accounts
    agent = _Agent(folder / "control.sock", {f"uid {uid}": "viewer" for uid in uids} | {"uid 60000": "master"})
    agent.server.start()
    agent.server.path.chmod(0o666)
    room = min(accounts * server.ACCOUNT_CONNECTIONS_MAX, server.CONNECTIONS_MAX - server.RESERVED_CONNECTIONS)
    try:
        with contextlib.ExitStack() as stack:
            for uid in uids:
                with _becoming(uid):
                    held = [stack.enter_context(_raw(agent)) for _ in range(server.CONNECTIONS_MAX)]
                assert _line(held[-1])["problems"][0]["code"] == "request.busy"
            assert len(agent.server._connections) == room
            for uid in (60_000, 0):
                with _becoming(uid), agent.answering({"ok": True, "result": {}}) as seen:
                    agent.client.request("door.unlock")
                assert seen[0].actor.role in {"master", "administrator"}
    finally:
        agent.server.close()
        folder.rmdir()


@contextlib.contextmanager
def _becoming(uid: int) -> Iterator[None]:
    """Be another account to the kernel at the other end of a socket."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_subscriber_that_does_not_read_never_blocks_the_rules(agent: _Agent) -> None:
    with _raw(agent) as connection:
        connection.sendall(b'{"id": "1", "action": "subscribe"}\n')
        request = agent.asked().request
        began = time.monotonic()
        for _ in range(server.REPLIES_WAITING_MAX * 4):
            agent.server.reply(Reply(request, ok=True, result={"x": "y" * 10_000}, is_last=False))
        assert time.monotonic() - began < _SOON_S
        # It loses its connection once it is seen to be too slow; until then it may read what fits into the buffers.
        while connection.recv(1_000_000):
            pass
        assert agent.left().request == request


# --- the path --------------------------------------------------------------------------------------------------------


def test_the_socket_of_a_dead_agent_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    agent = _Agent(path)
    agent.server.start()
    with agent.answering({"ok": True, "result": {}}):
        agent.client.request("status")
    agent.server.close()

    assert not path.exists()


def test_a_second_agent_is_refused_and_the_first_goes_on(agent: _Agent) -> None:
    second = _Agent(agent.server.path)
    with pytest.raises(SocketInUseError, match="another agent already serves"):
        second.server.start()
    second.server.close()

    with agent.answering({"ok": True, "result": {}}):
        agent.client.request("status")


def test_a_file_at_the_sockets_place_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(SocketInUseError, match="is not a socket"):
        _Agent(path).server.start()

    assert path.read_text() == "precious"


def test_closing_tells_whoever_waits_and_ends_in_time(tmp_path: Path) -> None:
    agent = _Agent(tmp_path / "control.sock")
    agent.server.start()
    with _raw(agent) as idle, _raw(agent) as waiting, _raw(agent) as half:
        waiting.sendall(b'{"id": "1", "action": "subscribe"}\n')
        half.sendall(b'{"id": ')
        agent.asked()
        began = time.monotonic()
        agent.server.close()
        assert time.monotonic() - began < server.CLOSE_S
        assert _line(waiting)["problems"][0]["code"] == "agent.stopping"
        assert idle.recv(1) == b""
    agent.server.close()


def test_no_agent_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ControlError) as caught:
        ControlClient(tmp_path / "none.sock").request("status")

    assert caught.value.problems[0].code == "agent.not_running"


def test_an_agent_that_does_not_read_what_is_sent_is_a_time_out(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "control.sock"))
        hung.listen()
        client = ControlClient(tmp_path / "control.sock", timeout_s=0.2)
        with pytest.raises(ControlError) as caught:
            client.request("members.enrol", id="m-1", name="x", photos=[bytes(3_000_000)])

    assert [each.code for each in caught.value.problems] == ["request.timed_out"]


def test_an_agent_that_dies_before_it_answers_is_said_so(agent: _Agent) -> None:
    path = agent.server.path.with_name("other.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def hang_up() -> None:
            peer, _ = listener.accept()
            peer.recv(100_000)
            peer.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ControlError) as caught:
            ControlClient(path, timeout_s=_SOON_S).request("status")
        thread.join(_SOON_S)

    assert caught.value.problems[0].code == "agent.not_running"


@pytest.mark.parametrize(
    "answer",
    [b"no\n", b'{"version": 9, "id": "1", "ok": true}\n', b'{"version":1,"id":"1","ok":false}\n', b"[" * 9999 + b"\n"],
)
def test_an_answer_that_makes_no_sense_is_said_so(agent: _Agent, answer: bytes) -> None:
    path = agent.server.path.with_name("other.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def mumble() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(100_000)
                peer.sendall(answer)

        thread = threading.Thread(target=mumble)
        thread.start()
        with pytest.raises(ControlError) as caught:
            ControlClient(path, timeout_s=_SOON_S).request("status")
        thread.join(_SOON_S)

    assert caught.value.problems[0].code == "agent.bad_answer"
