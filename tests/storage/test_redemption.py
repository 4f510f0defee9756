"""Spending and revoking passes: in the ledger before anybody is told, and for good."""

from __future__ import annotations

import json
import queue
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.effects import Effect, RedeemPass, RevokePass
from agent.events import Event, PassRedeemed, PassRevoked, StorageFailed
from agent.storage.late import read_restored
from agent.storage.ledger import Ledger
from agent.storage.opening import LEDGER_FILE
from agent.storage.orders import Orders, PendingEntry, PendingRedemption
from agent.storage.writer import StorageWriter
from tests.storage.conftest import Opener
from tests.storage.inbox import WAIT_S, Inbox, submit

LATER = float("inf")
PASS, OTHER = "0123456789abcdef", "fedcba9876543210"


def redeem(pass_id: str = PASS, until: float = LATER) -> Effect:
    return RedeemPass(pass_id, SystemClock().now(), until)


def outcomes(inbox: Inbox, count: int) -> list[str]:
    inbox.wait(PassRedeemed, lambda _: len(inbox.all(PassRedeemed)) >= count)
    return [event.outcome for event in inbox.all(PassRedeemed)]


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / LEDGER_FILE).read_text().splitlines()]


def test_a_pass_is_spent_by_the_first_order_and_by_no_other(open_writer: Opener, inbox: Inbox, tmp_path: Path) -> None:
    writer, restored = open_writer()
    assert restored.revoked_passes == frozenset()
    submit(writer, redeem(), redeem(), redeem(OTHER))
    assert sorted(outcomes(inbox, 3)) == ["redeemed", "redeemed", "spent"]
    assert [each["pass"] for each in lines(tmp_path / "state") if each["kind"] == "spent"].count(PASS) == 1


def test_it_is_in_the_ledger_when_it_is_told(tmp_path: Path) -> None:
    """Looked at by the very call that tells it."""
    told: queue.Queue[bool] = queue.Queue()

    def hear(event: Event) -> None:
        if isinstance(event, PassRedeemed):
            ledger = Ledger(tmp_path / LEDGER_FILE, is_readonly=True)
            told.put(ledger.was_spent(PASS))
            ledger.close()

    writer = StorageWriter(tmp_path, "test-1", SystemClock(), hear)
    writer.open()
    submit(writer, redeem())
    assert told.get(timeout=WAIT_S)
    writer.close(5.0)


def test_a_pass_stays_spent_and_revoked_in_the_next_run(open_writer: Opener, inbox: Inbox, tmp_path: Path) -> None:
    writer, _ = open_writer()
    submit(writer, redeem(), RevokePass("r-1", OTHER, 1.0), RevokePass("r-2", OTHER, 1.0))
    inbox.wait(PassRedeemed)
    inbox.wait(PassRevoked, lambda event: event == PassRevoked(event.at, "r-2", OTHER))
    writer.close(5.0)
    unwritable = read_restored(tmp_path / "state")
    assert unwritable is not None
    assert unwritable.revoked_passes == frozenset({OTHER}), "also on a disk that can only be read"
    writer, restored = open_writer()
    assert restored.revoked_passes == frozenset({OTHER})
    submit(writer, redeem())
    assert outcomes(inbox, 2) == ["redeemed", "spent"]


def test_an_order_that_nobody_waits_for_any_more_spends_nothing(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    submit(writer, redeem(until=SystemClock().now()))
    assert outcomes(inbox, 1) == ["late"]
    submit(writer, redeem())
    assert outcomes(inbox, 2) == ["late", "redeemed"]


def test_a_ledger_that_cannot_be_written_redeems_nothing(
    open_writer: Opener, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    writer, _ = open_writer()
    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "_write", fail)
        submit(writer, redeem(until=SystemClock().now() + 1.0))
        inbox.wait(StorageFailed)
        assert outcomes(inbox, 1) == ["late"]
    submit(writer, redeem())
    assert outcomes(inbox, 2) == ["late", "redeemed"]


def test_a_redemption_goes_before_what_waits() -> None:
    orders = Orders()
    orders.put(PendingEntry(1.0, "station.test", "{}"))
    orders.put(PendingRedemption(PASS, 1.0, LATER))
    assert orders.take(10) == [PendingRedemption(PASS, 1.0, LATER)]
    assert len(orders.take(10)) == 1
