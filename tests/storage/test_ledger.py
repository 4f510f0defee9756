from __future__ import annotations

from pathlib import Path

import pytest

from agent.storage.ledger import Ledger


def test_what_was_appended_holds_after_opening_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.append("erased", member="m1", at_utc="2026-11-22T03:04:05.000Z")
    ledger.append("epoch", epoch=4)
    ledger.append("erased", member="m2", at_utc="2026-11-22T03:04:05.000Z")
    ledger.append("enrolled", member="m2", enrolment="fresh")
    for _ in range(2):
        assert ledger.was_erased("m1")
        assert not ledger.was_erased("m3")
        assert ledger.must_erase("m1", "any")
        assert ledger.must_erase("m2", "from a backup")
        assert not ledger.must_erase("m2", "fresh")
        assert not ledger.must_erase("m3", "any")
        assert ledger.highest_epoch == 4
        ledger.close()
        ledger = Ledger(tmp_path / "ledger")
    ledger.close()


def test_a_second_erasure_counts_for_the_fresh_enrolment_too(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.append("erased", member="m1")
    ledger.append("enrolled", member="m1", enrolment="fresh")
    ledger.append("erased", member="m1")
    assert ledger.must_erase("m1", "fresh")
    ledger.close()


def test_a_line_torn_at_any_byte_is_removed_and_the_rest_stands(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path)
    ledger.append("erased", member="m1")
    whole = path.read_bytes()
    ledger.append("erased", member="m2")
    ledger.close()
    longer = path.read_bytes()
    for cut in range(len(whole), len(longer)):
        path.write_bytes(longer[:cut])
        ledger = Ledger(path)
        assert ledger.was_erased("m1")
        assert not ledger.was_erased("m2")
        assert ledger.unreadable == 0
        ledger.append("erased", member="m3")
        ledger.close()
        ledger = Ledger(path)
        assert ledger.was_erased("m3")
        ledger.close()


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_an_altered_line_is_counted_and_the_others_stand(tmp_path: Path, at: int) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path)
    ledger.append("erased", member="member-with-a-long-id-number-one")
    ledger.append("erased", member="m2")
    ledger.close()
    content = bytearray(path.read_bytes())
    content[at] ^= 0x04
    path.write_bytes(content)
    ledger = Ledger(path)
    ledger.close()
    assert ledger.unreadable == 1
    assert not ledger.was_erased("member-with-a-long-id-number-one")
    assert ledger.was_erased("m2")


def test_a_kind_of_a_later_version_is_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.append("pass_spent", token="t1")
    ledger.append("erased", member="m1")
    ledger.close()
    ledger = Ledger(tmp_path / "ledger")
    ledger.close()
    assert ledger.unreadable == 0
    assert ledger.was_erased("m1")
