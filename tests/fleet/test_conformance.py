"""The conformance kit: a whole agent keeps everything, and each promise that an agent breaks is named."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import pytest

from agent.fleet.conformance.kit import PROMISES, Report
from agent.fleet.conformance.promises import Verdict
from tests.broker import Mosquitto
from tests.fleet.broken_agents import BREAKS, LISTEN_S, WHOLE, examine_agent

# The kit mostly waits, so more of them run at once than there are processors.
_AT_ONCE = 6
_PATIENCE_S = 200.0  # all of them take less than a minute where nothing else runs

pytestmark = pytest.mark.timeout(240)

Examined = dict[str, Future[Report]]


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path_factory.mktemp("broker"))
    server.start()
    yield server
    server.stop()


def _examine(name: str, folder: Path, port: int) -> Report:
    """In a process of its own, from which not every error would come back."""
    try:
        return examine_agent(name, folder, port)
    except Exception:  # noqa: BLE001 - the border between two processes: pickle loses some errors
        raise RuntimeError(traceback.format_exc()) from None


@pytest.fixture(scope="module")
def examined(
    request: pytest.FixtureRequest, mosquitto: Mosquitto, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Examined]:
    """Each selected agent is examined in a process of its own, several at once; the longest begin first."""
    ours = [item for item in request.session.items if item.path == request.path]
    chosen = {item.callspec.params["name"] for item in ours if hasattr(item, "callspec")}
    if any(item.name == "test_a_whole_agent_keeps_every_promise" for item in ours):
        chosen.add(WHOLE)
    ordered = sorted(chosen, key=lambda name: -LISTEN_S if name == WHOLE else -BREAKS[name].listen_s)
    folder = tmp_path_factory.mktemp("agents")
    with ProcessPoolExecutor(_AT_ONCE, multiprocessing.get_context("spawn")) as pool:
        yield {name: pool.submit(_examine, name, folder / name, mosquitto.port) for name in ordered}
        pool.shutdown(cancel_futures=True)


def test_every_promise_has_an_agent_that_breaks_it() -> None:
    assert [each.name for each in PROMISES] == list(dict.fromkeys(each.name for each in PROMISES))
    assert set(BREAKS) == {each.name for each in PROMISES}


def test_a_whole_agent_keeps_every_promise(examined: Examined) -> None:
    report = examined[WHOLE].result(_PATIENCE_S)
    assert {p.name: f.seen.en for p, f in report.findings if f.verdict is not Verdict.HOLDS} == {}


@pytest.mark.parametrize("name", BREAKS)
def test_the_kit_names_the_promise_that_an_agent_breaks(examined: Examined, name: str) -> None:
    report = examined[name].result(_PATIENCE_S)
    seen = {promise.name: finding.seen.en for promise, finding in report.findings if promise.name in report.broken()}
    assert name in seen
    assert seen.keys() - {name} <= BREAKS[name].follows, seen
