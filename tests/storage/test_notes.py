from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.effects import AppendEntry, KeepNotes, Note
from agent.storage import notes
from agent.storage.late import read_restored
from tests.storage.conftest import Opener
from tests.storage.inbox import Inbox

CLOCK = SystemClock()


def test_notes_are_found_again_after_a_start_as_they_were_last_written(open_writer: Opener) -> None:
    writer, restored = open_writer()
    assert restored.notes == {}
    writer.submit(AppendEntry(1.0, "station.test", {}, notes=(Note("fault", "a", {"stage": "raised"}),)))
    writer.submit(KeepNotes((Note("fault", "a", {"stage": "seen"}), Note("supply", "b", {"quantity": 3}))))
    assert writer.close(5.0)
    _, restored = open_writer()
    assert restored.notes == {"fault": {"a": {"stage": "seen"}}, "supply": {"b": {"quantity": 3}}}


def test_a_note_without_a_body_is_thrown_away(open_writer: Opener) -> None:
    writer, _ = open_writer()
    writer.submit(KeepNotes((Note("fault", "a", {"stage": "seen"}), Note("fault", "b", {}))))
    writer.submit(AppendEntry(1.0, "station.test", {}, notes=(Note("fault", "a", None), Note("fault", "never", None))))
    assert writer.close(5.0)
    _, restored = open_writer()
    assert restored.notes == {"fault": {"b": {}}}


def test_a_note_and_an_entry_are_kept_in_the_order_they_came_in(open_writer: Opener) -> None:
    writer, _ = open_writer()
    for number in range(200):
        entry = AppendEntry(1.0, "station.test", {}, notes=(Note("count", "one", {"number": 2 * number}),))
        writer.submit(entry)
        writer.submit(KeepNotes((Note("count", "one", {"number": 2 * number + 1}),)))
    assert writer.close(5.0)
    _, restored = open_writer()
    assert restored.notes["count"]["one"] == {"number": 399}


def test_a_note_too_long_or_not_json_is_refused_at_once(open_writer: Opener, inbox: Inbox) -> None:
    writer, _ = open_writer()
    with pytest.raises(ValueError, match="longer than"):
        writer.submit(KeepNotes((Note("fault", "a", {"text": "x" * notes.NOTE_BYTES}),)))
    with pytest.raises((TypeError, ValueError)):
        writer.submit(KeepNotes((Note("fault", "a", {"text": object()}),)))


def test_no_kind_has_more_notes_than_its_bound_and_those_there_are_can_still_change(
    open_writer: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "NOTES_OF_A_KIND", 3)
    writer, _ = open_writer()
    writer.submit(KeepNotes(tuple(Note("fault", str(number), {"number": number}) for number in range(5))))
    writer.submit(KeepNotes((Note("fault", "1", {"number": 10}),)))
    assert writer.close(5.0)
    _, restored = open_writer()
    assert restored.notes["fault"] == {"0": {"number": 0}, "1": {"number": 10}, "2": {"number": 2}}


def test_a_restored_backup_brings_no_older_revision_back(open_writer: Opener, tmp_path: Path) -> None:
    state = tmp_path / "state"

    def revised(number: int) -> AppendEntry:
        return AppendEntry(1.0, "station.test", {}, notes=(Note("revision", "k", {"r": number}, outlives_backup=True),))

    writer, _ = open_writer()
    writer.submit(revised(1))
    writer.submit(KeepNotes((Note("supply", "tea", {"quantity": 1}),)))
    assert writer.close(5.0)
    shutil.copy(state / "station.db", tmp_path / "backup")
    writer, _ = open_writer()
    writer.submit(revised(7))
    writer.submit(revised(7))
    writer.submit(KeepNotes((Note("supply", "tea", {"quantity": 9}),)))
    assert writer.close(5.0)
    assert (state / "ledger").read_bytes().count(b'"noted"') == 2
    shutil.copy(tmp_path / "backup", state / "station.db")
    found = read_restored(state)
    assert found is not None
    expected = {"revision": {"k": {"r": 7}}, "supply": {"tea": {"quantity": 1}}}
    assert found.notes == expected
    _, restored = open_writer()
    assert restored.notes == expected
    assert "notes_kept_again" in {code for code, _ in restored.problems}
