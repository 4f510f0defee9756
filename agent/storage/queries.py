"""The questions that may be asked of the database, by name. They only read, and every answer is bounded.

A query takes a read-only connection (readings attached as `readings`) and its arguments, and returns rows; it runs on
the reader's thread. A long export asks for page after page, each with the last row of the one before, until one is
empty: a page of great rows is shorter than its limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.storage.database import Connection
from agent.storage.log import NAMES_MEMBER
from agent.storage.roster_digest import RosterDigest
from agent.storage.stamps import parse_rfc3339, rfc3339

# 500 visits are about 150 KB of JSON. Bodies of log entries can be far longer, so the text is bounded too.
PAGE_ROWS = 500
_PAGE_CHARACTERS = 512 * 1024
_FEW_ROWS = 100
# Before and after every time that can be stored.
_FIRST, _LAST = "0000", "9999"

Row = dict[str, Any]
_Values = Mapping[str, Any]

_VISIT = "id, member_id, entered_at_utc, left_at_utc, how, entered_epoch, entered_sequence, left_epoch, left_sequence"


class QueryRefusedError(ValueError):
    """An argument is unknown, missing or out of its range; the message says which and what it should be."""


@dataclass(frozen=True, slots=True)
class Query:
    """SQL with named parameters and the defaults of its arguments; `...` marks one that must be given.

    The type of an argument goes by its name: see `_CHECKS`.
    """

    sql: str
    defaults: Mapping[str, Any]

    def run(self, connection: Connection, arguments: _Values) -> tuple[Row, ...]:
        """Check the arguments and read the rows. Raises `QueryRefusedError`, `DatabaseError`."""
        cursor = connection.execute(self.sql, self._values(arguments))
        names = [column[0] for column in cursor.description]
        rows: list[Row] = []
        characters = 0
        for values in cursor:
            rows.append(dict(zip(names, values, strict=True)))
            characters += sum(len(value) for value in values if isinstance(value, str))
            if characters >= _PAGE_CHARACTERS:
                break
        cursor.close()
        return tuple(rows)

    def _values(self, arguments: _Values) -> dict[str, Any]:
        unknown = sorted(set(arguments) - set(self.defaults))
        if unknown:
            known = ", ".join(self.defaults) or "none"
            raise QueryRefusedError(f"unknown argument {unknown[0]!r}: this query knows {known}")
        values: dict[str, Any] = {}
        for name, default in self.defaults.items():
            given = arguments.get(name)
            if given is None and default is ...:
                raise QueryRefusedError(f"the argument {name!r} is missing")
            values[name] = default if given is None else _CHECKS[name](name, given)
        return values


def _rows(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= PAGE_ROWS:
        raise QueryRefusedError(f"{name!r} is a whole number from 1 to {PAGE_ROWS}")
    return value


def _place(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise QueryRefusedError(f"{name!r} is a whole number, 0 or more")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise QueryRefusedError(f"{name!r} is a text of at most 200 characters")
    return value


def _time(name: str, value: object) -> str:
    try:
        return rfc3339(parse_rfc3339(_text(name, value)))
    except (ValueError, OverflowError) as error:
        raise QueryRefusedError(f"{name!r}: {error}") from None


_CHECKS: Mapping[str, Callable[[str, object], Any]] = {
    "limit": _rows,
    "since": _time,
    "until": _time,
    "after_entered_at": _text,
    "after_id": _text,
    "id": _text,
    "epoch": _place,
    "after": _place,
}

# Where the minutes of a period begin and end (`schema.r002_minutes_by_number`).
_ID_SINCE = "unixepoch(:since) / 60 * 4096"
_ID_UNTIL = "unixepoch(:until) / 60 * 4096"
_ALWAYS = {"since": "1970-01-01T00:00:00Z", "until": "9999-12-31T00:00:00Z"}

_PERIOD = {"since": _FIRST, "until": _LAST}

# What the report of a month is made of (`agent.core.report`); of all other entries not even the body leaves the file.
_REPORTED = """(type IN ('station.started', 'station.stopping', 'station.appliance.changed', 'station.visit.entered',
    'station.access.refused', 'station.access.duress', 'station.access.way_blocked', 'station.alarm.acknowledged',
    'station.welfare.raised', 'station.call.made', 'station.log.epoch_began',
    'station.fault.raised', 'station.fault.updated', 'station.fault.cleared',
    'station.supply.checked', 'station.supply.taken', 'station.supply.returned') OR type LIKE '%.alarm_raised')"""
# Entries that one page looks through: some milliseconds of a small machine, so that a year's log is some hundred pages.
_SCANNED = 2_000

_KEPT = "is_suspended, suspended_until_utc, needs_longer, valid_from_utc, valid_until_utc, categories"

QUERIES: Mapping[str, Query | RosterDigest] = {
    # Newest first: what happened lately. `since` is included, `until` is not.
    "visits_list": Query(
        f"SELECT {_VISIT} FROM visits WHERE entered_at_utc >= :since AND entered_at_utc < :until "  # noqa: S608
        "ORDER BY entered_at_utc DESC, id DESC LIMIT :limit",
        {**_PERIOD, "limit": _FEW_ROWS},
    ),
    # Oldest first, page by page: `after_entered_at` and `after_id` are those of the last row seen.
    "visits_page": Query(
        f"SELECT {_VISIT} FROM visits WHERE entered_at_utc >= :since AND entered_at_utc < :until "  # noqa: S608
        "AND (entered_at_utc, id) > (:after_entered_at, :after_id) ORDER BY entered_at_utc, id LIMIT :limit",
        {**_PERIOD, "after_entered_at": "", "after_id": "", "limit": PAGE_ROWS},
    ),
    # For the station master: the only query that gives names.
    "members_list": Query(
        f"SELECT members.id, name, created_at_utc, {_KEPT}, last_seen_on, "  # noqa: S608 - constants
        "(SELECT count(*) FROM templates WHERE member_id = members.id) AS templates, "
        "version AS consent_version, until_utc AS consent_until_utc, ended_why AS consent_ended "
        "FROM members LEFT JOIN consents ON consents.id = members.consent_id "
        "WHERE members.id > :after_id ORDER BY members.id LIMIT :limit",
        {"after_id": "", "limit": PAGE_ROWS},
    ),
    # One row: a page of digests for the central server, and one of the whole roster.
    "roster_digest": RosterDigest(),
    # One person's own data, part by part. Of a template everything but the numbers, which nobody can read.
    "member_row": Query(
        f"SELECT id, name, created_at_utc, {_KEPT}, last_seen_on "  # noqa: S608 - constants
        "FROM members WHERE id = :id",
        {"id": ...},
    ),
    "member_consents": Query(
        "SELECT version, language, text_sha256, purpose, how, recorded_by, is_under_age, guardian, given_at_utc, "
        "until_utc, ended_at_utc, ended_why FROM consents WHERE member_id = :id ORDER BY given_at_utc, id "
        "LIMIT :limit",
        {"id": ..., "limit": PAGE_ROWS},
    ),
    "member_templates": Query(
        "SELECT engine, weights, key_id IS NOT NULL AS is_encrypted, length(vector) AS bytes FROM templates "
        "WHERE member_id = :id ORDER BY engine, weights",
        {"id": ...},
    ),
    # That there are cards and a PIN, and the number; the hashes say nothing to anybody.
    "member_credentials": Query(
        "SELECT 'card' AS kind, NULL AS number, added_at_utc AS given_at_utc FROM cards WHERE member_id = :id "
        "UNION ALL SELECT 'pin', number, set_at_utc FROM pins WHERE member_id = :id ORDER BY kind, given_at_utc",
        {"id": ...},
    ),
    "member_visits": Query(
        f"SELECT {_VISIT} FROM visits WHERE member_id = :id "  # noqa: S608
        "AND (entered_at_utc, id) > (:after_entered_at, :after_id) ORDER BY entered_at_utc, id LIMIT :limit",
        {"id": ..., "after_entered_at": "", "after_id": "", "limit": PAGE_ROWS},
    ),
    "member_log": Query(
        "SELECT epoch, sequence, type, time, body FROM log "  # noqa: S608
        f"WHERE (epoch, sequence) > (:epoch, :after) AND {NAMES_MEMBER} "
        "ORDER BY epoch, sequence LIMIT :limit",
        {"id": ..., "epoch": 0, "after": 0, "limit": PAGE_ROWS},
    ),
    "log_tail": Query(
        "SELECT epoch, sequence, type, time, clock, body, hash FROM log "
        "ORDER BY epoch DESC, sequence DESC LIMIT :limit",
        {"limit": _FEW_ROWS},
    ),
    "log_page": Query(
        "SELECT * FROM log WHERE (epoch, sequence) > (:epoch, :after) ORDER BY epoch, sequence LIMIT :limit",
        {"epoch": ..., "after": ..., "limit": _FEW_ROWS},
    ),
    # One row. `visits` are those that began in the period; the rest is as of now.
    "counts": Query(
        "SELECT (SELECT count(*) FROM visits WHERE entered_at_utc >= :since AND entered_at_utc < :until) AS visits, "
        "(SELECT count(*) FROM visits WHERE left_at_utc IS NULL) AS open_visits, "
        "(SELECT count(*) FROM members) AS members, "
        "(SELECT count(*) FROM log) AS log_entries, "
        "(SELECT count(*) FROM log WHERE (epoch, sequence) > (SELECT epoch, sequence FROM cursor)) AS unacknowledged",
        _PERIOD,
    ),
    # One row: from where on the log and the readings are kept. `is_pruned`: there were entries before.
    "report_span": Query(
        "SELECT (SELECT time FROM log ORDER BY epoch, sequence LIMIT 1) AS log_begins, "
        "EXISTS (SELECT 1 FROM anchor) AS is_pruned, "
        "(SELECT strftime('%Y-%m-%dT%H:%MZ', min(id) / 4096 * 60, 'unixepoch') FROM readings.minutes) "
        "AS readings_begin",
        {},
    ),
    # The log in its order. The last row of a page may be of no interest: it says how far was looked. A start brings
    # with it when the entry before it was written, and the last minute that was measured before.
    "report_log": Query(
        "WITH scanned AS MATERIALIZED (SELECT epoch, sequence, type, time, boot, monotonic_ms, clock, body FROM log "  # noqa: S608
        f"WHERE (epoch, sequence) > (:epoch, :after) ORDER BY epoch, sequence LIMIT {_SCANNED}) "
        "SELECT epoch, sequence, type, time, boot, monotonic_ms, clock, "
        f"CASE WHEN {_REPORTED} THEN body END AS body, "
        "CASE WHEN type = 'station.started' THEN (SELECT time FROM log AS before WHERE (before.epoch, before.sequence) "
        "< (scanned.epoch, scanned.sequence) ORDER BY before.epoch DESC, before.sequence DESC LIMIT 1) "
        "END AS previous_time, "
        "CASE WHEN type = 'station.started' THEN (SELECT strftime('%Y-%m-%dT%H:%M:00Z', max(id) / 4096 * 60 + 60, "
        "'unixepoch') FROM readings.minutes WHERE id < unixepoch(time) / 60 * 4096) END AS measured_until "
        f"FROM scanned WHERE {_REPORTED} OR (epoch, sequence) = "
        "(SELECT epoch, sequence FROM scanned ORDER BY epoch DESC, sequence DESC LIMIT 1) "
        "ORDER BY epoch, sequence LIMIT :limit",
        {"epoch": 0, "after": 0, "limit": PAGE_ROWS},
    ),
    # Counters and powers by the hour (since 1970 UTC). `after` is the `id` of the last row seen; a page looks through
    # `until` less `since`, which whoever asks keeps to a day.
    "report_energy": Query(
        "SELECT minutes.id / 245760 AS hour, sensor, quantity, count(*) AS minutes, min(minimum) / 1000 AS minimum, "  # noqa: S608
        "max(maximum) / 1000 AS maximum, sum(mean) / 1000 AS total, "
        "minutes.id / 245760 * 4096 + minutes.id % 4096 AS id "
        "FROM readings.minutes JOIN readings.series ON series.id = minutes.id % 4096 "
        f"WHERE minutes.id >= {_ID_SINCE} AND minutes.id < {_ID_UNTIL} AND quantity IN ('energy_kwh', 'power_w') "
        "AND minutes.id / 245760 * 4096 + minutes.id % 4096 > :after "
        "GROUP BY minutes.id / 245760, minutes.id % 4096 ORDER BY hour, minutes.id % 4096 LIMIT :limit",
        {"since": ..., "until": ..., "after": 0, "limit": PAGE_ROWS},
    ),
    # `after` is the `id` of the last row seen.
    "readings_page": Query(
        "SELECT minutes.id AS id, strftime('%Y-%m-%dT%H:%MZ', minutes.id / 4096 * 60, 'unixepoch') AS minute, sensor, "  # noqa: S608 - constants
        "quantity, minimum / 1000 AS minimum, mean / 1000 AS mean, maximum / 1000 AS maximum, count "
        "FROM readings.minutes JOIN readings.series ON series.id = minutes.id % 4096 "
        f"WHERE minutes.id >= {_ID_SINCE} AND minutes.id < {_ID_UNTIL} AND minutes.id > :after "
        "ORDER BY minutes.id LIMIT :limit",
        {**_ALWAYS, "after": 0, "limit": PAGE_ROWS},
    ),
}
