"""The tables. A change is a new migration at the end; one that has been released is never edited.

sqlite-utils puts each migration and its record into one transaction.
"""

from __future__ import annotations

from agent.storage.database import Database, Migrations

STATION = Migrations("station")
READINGS = Migrations("readings")

# Fails when a table is missing although the migrations are recorded; reads nothing.
PROBE = "SELECT 1 FROM log, anchor, cursor, members, templates, visits, consents, cards, pins, notes LIMIT 0"


@STATION()
def m001_log(db: Database) -> None:
    """The log, where its chain begins after pruning, and how far the broker has it. Columns: see `chain` and `log`."""
    db.execute("""
        CREATE TABLE log (
            epoch INTEGER NOT NULL CHECK (epoch > 0),
            sequence INTEGER NOT NULL CHECK (sequence > 0),
            type TEXT NOT NULL,
            time TEXT NOT NULL,
            boot TEXT NOT NULL,
            monotonic_ms INTEGER NOT NULL,
            clock TEXT NOT NULL CHECK (clock IN ('synchronised', 'unsynchronised')),
            body TEXT,
            salt TEXT,
            digest TEXT NOT NULL,
            hash TEXT NOT NULL,
            PRIMARY KEY (epoch, sequence),
            CHECK ((body IS NULL) = (salt IS NULL))
        ) STRICT
    """)
    # The last entry that was pruned: the chain of what is left hangs on its hash. At most one row.
    db.execute("""
        CREATE TABLE anchor (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            epoch INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            hash TEXT NOT NULL
        ) STRICT
    """)
    db.execute("""
        CREATE TABLE cursor (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            epoch INTEGER NOT NULL,
            sequence INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("INSERT INTO cursor (id, epoch, sequence) VALUES (1, 0, 0)")


@STATION()
def m002_members(db: Database) -> None:
    """People, and the vectors that know them.

    `enrolment` is random and new each time an id is enrolled afresh: with it the ledger tells a member who came back
    after an erasure from the one that an old backup brings back. A template's `vector` is 128 float32, little-endian,
    unless `key_id` names the key that it is encrypted with.
    """
    db.execute("""
        CREATE TABLE members (
            id TEXT PRIMARY KEY NOT NULL,
            name TEXT NOT NULL,
            created_at_utc TEXT NOT NULL,
            is_suspended INTEGER NOT NULL DEFAULT 0 CHECK (is_suspended IN (0, 1)),
            enrolment TEXT NOT NULL
        ) STRICT
    """)
    db.execute("""
        CREATE TABLE templates (
            member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
            engine TEXT NOT NULL,
            weights TEXT NOT NULL,
            key_id TEXT,
            vector BLOB NOT NULL,
            PRIMARY KEY (member_id, engine, weights)
        ) STRICT
    """)


@STATION()
def m003_visits(db: Database) -> None:
    """From an entry to an exit, with the log entries that report them. `member_id` is NULL for an anonymous visit."""
    db.execute("""
        CREATE TABLE visits (
            id TEXT PRIMARY KEY NOT NULL,
            member_id TEXT REFERENCES members (id) ON DELETE SET NULL,
            entered_at_utc TEXT NOT NULL,
            entered_epoch INTEGER NOT NULL,
            entered_sequence INTEGER NOT NULL,
            left_at_utc TEXT,
            left_epoch INTEGER,
            left_sequence INTEGER,
            how TEXT
        ) STRICT
    """)
    db.execute("CREATE INDEX visits_by_entry ON visits (entered_at_utc, id)")
    db.execute("CREATE INDEX visits_by_member ON visits (member_id)")
    db.execute("CREATE INDEX visits_open ON visits (entered_at_utc) WHERE left_at_utc IS NULL")


@STATION()
def m004_consents(db: Database) -> None:
    """What people consented to, before any face of theirs is worked on.

    `member_id` has no foreign key: the consent comes first, and a member only when the enrolment succeeds. A member's
    `consent_id` names the consent that their templates rest on; `last_seen_on` is a UTC date. Both are NULL for members
    of before this migration.
    """
    db.execute("ALTER TABLE members ADD COLUMN last_seen_on TEXT")
    db.execute("ALTER TABLE members ADD COLUMN consent_id TEXT")
    db.execute("""
        CREATE TABLE consents (
            id TEXT PRIMARY KEY NOT NULL,
            member_id TEXT NOT NULL,
            version TEXT NOT NULL,
            language TEXT NOT NULL CHECK (language IN ('zh', 'en')),
            text_sha256 TEXT NOT NULL,
            purpose TEXT NOT NULL,
            how TEXT NOT NULL CHECK (how IN ('paper', 'screen')),
            recorded_by TEXT NOT NULL,
            is_under_age INTEGER NOT NULL CHECK (is_under_age IN (0, 1)),
            guardian TEXT,
            given_at_utc TEXT NOT NULL,
            until_utc TEXT NOT NULL,
            ended_at_utc TEXT,
            ended_why TEXT CHECK (ended_why IN ('withdrawn', 'expired', 'renewed')),
            CHECK ((ended_at_utc IS NULL) = (ended_why IS NULL)),
            CHECK (is_under_age = 0 OR guardian IS NOT NULL)
        ) STRICT
    """)
    db.execute("CREATE INDEX consents_by_member ON consents (member_id, given_at_utc)")


@STATION()
def m005_cards_and_pins(db: Database) -> None:
    """Cards as keyed hashes, PINs as slow peppered ones (`agent.credentials` makes both).

    `key_id` names the key; `token` is random and new with each row: with it the ledger tells what was taken away from
    what an old backup brings back. A member without a duress PIN has a random `duress_hash`, so that nobody who reads
    the table learns who has one.
    """
    db.execute("""
        CREATE TABLE cards (
            hash TEXT PRIMARY KEY NOT NULL,
            member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
            key_id TEXT NOT NULL,
            token TEXT NOT NULL,
            added_at_utc TEXT NOT NULL
        ) STRICT
    """)
    db.execute("CREATE INDEX cards_by_member ON cards (member_id)")
    db.execute("""
        CREATE TABLE pins (
            member_id TEXT PRIMARY KEY NOT NULL REFERENCES members (id) ON DELETE CASCADE,
            number TEXT NOT NULL UNIQUE,
            key_id TEXT NOT NULL,
            salt BLOB NOT NULL,
            hash BLOB NOT NULL,
            duress_hash BLOB NOT NULL,
            token TEXT NOT NULL,
            set_at_utc TEXT NOT NULL
        ) STRICT
    """)


@STATION()
def m006_notes(db: Database) -> None:
    """What the rules want to find again after a start (`agent.effects.Note`). `body` is a JSON object."""
    db.execute("""
        CREATE TABLE notes (
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (kind, name)
        ) STRICT, WITHOUT ROWID
    """)


@STATION()
def m007_needs_longer_and_suspensions(db: Database) -> None:
    """Who has the door's extended times, and until when (UTC) somebody is suspended: NULL until they are resumed."""
    db.execute("ALTER TABLE members ADD COLUMN needs_longer INTEGER NOT NULL DEFAULT 0 CHECK (needs_longer IN (0, 1))")
    db.execute("ALTER TABLE members ADD COLUMN suspended_until_utc TEXT")


@STATION()
def m008_log_in_one_tree(db: Database) -> None:
    """The log without a tree of row ids beside the one of its key: an entry then costs one page less on a card."""
    db.execute("ALTER TABLE log RENAME TO log_before")
    db.execute("""
        CREATE TABLE log (
            epoch INTEGER NOT NULL CHECK (epoch > 0),
            sequence INTEGER NOT NULL CHECK (sequence > 0),
            type TEXT NOT NULL,
            time TEXT NOT NULL,
            boot TEXT NOT NULL,
            monotonic_ms INTEGER NOT NULL,
            clock TEXT NOT NULL CHECK (clock IN ('synchronised', 'unsynchronised')),
            body TEXT,
            salt TEXT,
            digest TEXT NOT NULL,
            hash TEXT NOT NULL,
            PRIMARY KEY (epoch, sequence),
            CHECK ((body IS NULL) = (salt IS NULL))
        ) STRICT, WITHOUT ROWID
    """)
    db.execute("INSERT INTO log SELECT * FROM log_before ORDER BY epoch, sequence")
    db.execute("DROP TABLE log_before")


@STATION()
def m009_validity_and_categories(db: Database) -> None:
    """From when and until when (UTC) somebody is a member, NULL for no limit, and their categories: `1,3`, or empty."""
    db.execute("ALTER TABLE members ADD COLUMN valid_from_utc TEXT")
    db.execute("ALTER TABLE members ADD COLUMN valid_until_utc TEXT")
    db.execute("ALTER TABLE members ADD COLUMN categories TEXT NOT NULL DEFAULT ''")


@READINGS()
def r001_readings(db: Database) -> None:
    """One row for a minute (UTC, `2026-11-22T03:04Z`), a sensor and a quantity."""
    db.execute("""
        CREATE TABLE readings (
            minute TEXT NOT NULL,
            sensor TEXT NOT NULL,
            quantity TEXT NOT NULL,
            minimum REAL NOT NULL,
            mean REAL NOT NULL,
            maximum REAL NOT NULL,
            count INTEGER NOT NULL,
            PRIMARY KEY (minute, sensor, quantity)
        ) STRICT, WITHOUT ROWID
    """)


@READINGS()
def r002_minutes_by_number(db: Database) -> None:
    """The same in a third of the bytes: rows are appended at the end of one tree, and name their series by a number.

    `minutes.id` is the minute since 1970 UTC times `readings.SERIES_MAX`, and the number of the series. Values are
    whole numbers of thousandths, which SQLite keeps in two or three bytes instead of eight; no sensor resolves more.
    """
    db.execute("""
        CREATE TABLE series (
            id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4095),
            sensor TEXT NOT NULL,
            quantity TEXT NOT NULL,
            UNIQUE (sensor, quantity)
        ) STRICT
    """)
    db.execute("""
        CREATE TABLE minutes (
            id INTEGER PRIMARY KEY,
            minimum REAL NOT NULL,
            mean REAL NOT NULL,
            maximum REAL NOT NULL,
            count INTEGER NOT NULL
        ) STRICT
    """)
    db.execute("""
        INSERT INTO series (id, sensor, quantity)
        SELECT row_number() OVER (ORDER BY sensor, quantity) - 1, sensor, quantity
        FROM (SELECT DISTINCT sensor, quantity FROM readings LIMIT 4096)
    """)
    db.execute("""
        INSERT INTO minutes SELECT unixepoch(minute) / 60 * 4096 + series.id,
            round(minimum * 1000), round(mean * 1000), round(maximum * 1000), count
        FROM readings JOIN series USING (sensor, quantity) ORDER BY 1
    """)
    db.execute("DROP TABLE readings")
    # For people who look into the file; the agent goes by `minutes.id`, which is what it is sorted by.
    db.execute("""
        CREATE VIEW readings AS
        SELECT strftime('%Y-%m-%dT%H:%MZ', minutes.id / 4096 * 60, 'unixepoch') AS minute, sensor, quantity,
            minimum / 1000 AS minimum, mean / 1000 AS mean, maximum / 1000 AS maximum, count
        FROM minutes JOIN series ON series.id = minutes.id % 4096
    """)
