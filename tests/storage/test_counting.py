"""How much is stored, in numbers alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.effects import AppendEntry
from agent.storage import counting
from agent.storage.database import DatabaseError
from tests.storage.conftest import Opener

pytestmark = pytest.mark.makes_entries_itself


@pytest.fixture
def state(tmp_path: Path, open_writer: Opener) -> Path:
    writer, _ = open_writer()
    for kind, count in (("visit.left", 3), ("access.exit_requested", 5)):
        for _ in range(count):
            writer.submit(AppendEntry(0.0, f"station.{kind}", {"who": "m-1"}))
    writer.close(5.0)
    return tmp_path / "state"


def test_rows_of_every_table_are_counted(state: Path) -> None:
    found = counting.tables(state / "station.db", state / "readings.db", 10.0)
    rows = {each["table"]: each["rows"] for each in found}
    assert set(rows) == set(counting.TABLES)
    assert rows["log"] == 9  # and the beginning of the epoch
    assert rows["members"] == rows["readings.minutes"] == 0
    assert None not in rows.values()


def test_entries_of_a_time_are_counted_by_type_the_most_frequent_first(state: Path) -> None:
    now = datetime.now(UTC)
    found = counting.entries(state / "station.db", now - timedelta(days=1), 10.0)
    assert [(each["type"], each["entries"]) for each in found] == [
        ("station.access.exit_requested", 5),
        ("station.visit.left", 3),
        ("station.log.epoch_began", 1),
    ]
    assert counting.entries(state / "station.db", now + timedelta(days=1), 10.0) == []


def test_without_readings_their_tables_are_not_counted_and_the_others_are(state: Path) -> None:
    (state / "readings.db").unlink()
    rows = {each["table"]: each["rows"] for each in counting.tables(state / "station.db", state / "readings.db", 10.0)}
    assert rows["log"] == 9
    assert rows["readings.minutes"] is None


def test_a_file_that_is_no_database_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    (tmp_path / "station.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(DatabaseError):
        counting.about(tmp_path / "station.db")
    with pytest.raises(DatabaseError):
        counting.entries(tmp_path / "station.db", datetime.now(UTC), 1.0)


def test_the_file_tells_of_itself(state: Path) -> None:
    told = counting.about(state / "station.db")
    assert told["pages"] * told["page_bytes"] > 0
    assert told["sqlite"].startswith("3.")
