"""The templates' keys as the rules see them: who may turn them, what is shown, what is answered."""

from __future__ import annotations

import pytest

from agent.core.vault import ROTATION_PATIENCE_S
from agent.effects import DescribeVault, RotateVault
from agent.events import (
    Actor,
    MemberSaved,
    Restored,
    StorageOpened,
    VaultDescribed,
    VaultExamined,
    VaultRefused,
    VaultRotated,
)
from tests.core.station_play import MASTER, Play, begin, member

ADMINISTRATOR = Actor("local", "root", "administrator")
LOST = ("vault.key_lost", "vault", "k-1")
FORGED = ("vault.template_refused", "m-1", "m-1")


def faults(play: Play) -> set[tuple[str, str]]:
    return {key for key in play.state.faults if key[0].startswith("vault.")}


@pytest.mark.parametrize("action", ["vault.rotate", "vault.status"])
def test_only_an_administrator_may_ask_for_the_keys(action: str) -> None:
    play = begin()
    play.ask(action, actor=MASTER)
    assert play.problem_codes() == ["request.forbidden"]
    assert not play.found(RotateVault)
    assert not play.found(DescribeVault)


def test_a_rotation_is_answered_once_it_is_logged_with_ids_alone() -> None:
    play = begin()
    play.ask("vault.rotate", actor=ADMINISTRATOR)
    assert play.found(RotateVault) == [RotateVault("r-1")]
    assert play.logged("vault.rotation_began") == [{"actor": "root", "kind": "local"}]
    play.put(VaultRotated(play.now, "r-1", "k-2", ("k-1",), 7))
    assert play.logged("vault.rotated") == [{"key": "k-2", "dropped": ["k-1"], "templates": 7}]
    assert play.replies() == []
    play.write_log()
    reply = play.replies()[-1]
    assert reply.ok
    assert (reply.result["key"], reply.result["templates"]) == ("k-2", 7)


def test_a_rotation_that_takes_too_long_is_said_and_logged_when_it_is_done() -> None:
    play = begin()
    play.ask("vault.rotate", actor=ADMINISTRATOR)
    play.wait_until(play.now + ROTATION_PATIENCE_S + 1)
    assert not play.replies()[-1].ok
    play.take()
    play.put(VaultRotated(play.now, "r-1", "k-2", (), 7))
    assert len(play.logged("vault.rotated")) == 1
    play.write_log()
    assert play.replies() == []


def test_a_refusal_names_the_fault_and_nothing_is_logged_as_done() -> None:
    play = begin()
    play.ask("vault.rotate", actor=ADMINISTRATOR)
    play.put(VaultRefused(play.now, "r-1", "vault.key_refused", "mode 0644"))
    reply = play.replies()[-1]
    assert not reply.ok
    assert reply.problems[0]["code"] == "vault.key_refused"
    assert play.logged("vault.rotated") == []


def test_the_report_is_passed_on() -> None:
    play = begin()
    play.ask("vault.status", actor=ADMINISTRATOR)
    play.put(VaultDescribed(play.now, "r-1", {"locked": 0}))
    assert play.replies()[-1].result == {"locked": 0}


def test_what_is_wrong_stands_from_the_start_until_it_is_over() -> None:
    play = begin(restored=Restored(faults=(LOST, FORGED)))
    assert faults(play) == {LOST[:2], FORGED[:2]}
    play.put(VaultExamined(play.now, (LOST,)))
    assert faults(play) == {LOST[:2]}
    play.put(StorageOpened(play.now, Restored()))
    assert faults(play) == set()


def test_a_member_who_is_saved_later_is_no_answer_to_a_refusal() -> None:
    play = begin()
    play.put(VaultRefused(play.now, "gone", "vault.key_lost", ""))
    play.put(MemberSaved(play.now, member("m-1", 1), "gone"))
    assert play.replies("gone") == []
