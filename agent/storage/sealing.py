"""Turning templates in the clear, or under an old key, into sealed ones, so that nothing of the former is left.

Rewriting rows is not enough: the former bytes stand in the write-ahead file, in free pages, and in databases that were
set aside. So everything is *swept* after it: `secure_delete` blanks free pages, VACUUM writes the whole database anew,
the write-ahead file is emptied, what was set aside is deleted. The file `swept` says that this was done since templates
were last in the clear; without it a start does it again. What the card itself keeps in its spare blocks nobody reaches.

A rotation in order: the new key is durable in the key file; all rows change in one transaction; the sweep; the old keys
leave the key file. Whatever ends it midway, the key file has the keys of all rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.storage import templates
from agent.storage.database import Database, DatabaseError, OperationalError, checkpoint, explain, is_damage, vacuum
from agent.storage.head import sync_directory
from agent.storage.keys import KeyFaultError
from agent.storage.set_aside import remove_set_aside
from agent.storage.vault import Vault

_logger = logging.getLogger(__name__)

SWEPT_MARK = "swept"
FORGED = "vault.template_refused"
REMAINS = "vault.remains"
# A fault for each member whose template was refused, up to so many; beyond them something greater is wrong.
_NAMED_MAX = 10
_NAMED_KEYS_MAX = 3

Fault = tuple[str, str, str]
"""(code of `core.problems`, where, detail)."""


def settle(
    directory: Path, database: Database, vault: Vault, log_sealed: Callable[[dict[str, Any]], None]
) -> tuple[Fault, ...]:
    """Load the keys, make the first one, seal what is in the clear, and sweep; returns what remains in the clear.

    `log_sealed` appends an entry with this body to the log, inside the transaction. Raises `DatabaseError`, OSError.
    """
    vault.load(may_make=not templates.is_any_sealed(database))
    if vault.fault is not None:
        return ()
    mark = directory / SWEPT_MARK
    if templates.key_counts(database).get(None) and not vault.refuses_plain:
        mark.unlink(missing_ok=True)
        sync_directory(directory)
        with database.atomic():
            if count := templates.seal_again(database, vault):
                log_sealed({"templates": count, "key": vault.key_ids[-1]})
    try:
        if not mark.exists():
            sweep(directory, database)
        _note_sealed(database, vault)
    except (DatabaseError, KeyFaultError, OSError) as error:
        if is_damage(error):
            raise
        reason = str(error) if isinstance(error, KeyFaultError) else explain(error)
        _logger.warning("templates in the clear may be left in free space: %s", reason)
        return ((REMAINS, "vault", reason),)
    return ()


def sweep(directory: Path, database: Database) -> None:
    """Have nothing left but what the rows hold now. Seconds for 100 MB on a card; the same again in memory.

    Raises `DatabaseError` (a full disk; another process reads) and OSError.
    """
    rewrite(directory, database)
    if not is_emptied(directory, database):
        raise OperationalError("another process reads the database: end it, and restart")


def rewrite(directory: Path, database: Database) -> None:
    """The first half of a sweep; what was is then in the write-ahead file at most."""
    remove_set_aside(directory)
    vacuum(database)


def is_emptied(directory: Path, database: Database) -> bool:
    """The second half, which a reader holds up: whether it is done. Raises `DatabaseError`, OSError."""
    if not checkpoint(database):
        return False
    (directory / SWEPT_MARK).touch(mode=0o600)
    sync_directory(directory)
    return True


def finish_rotation(database: Database, vault: Vault) -> tuple[str, ...]:
    """Take the keys that no row needs out of the key file, after the sweep; returns their ids."""
    counts = templates.key_counts(database)
    wanted = frozenset(key_id for key_id in counts if key_id is not None)
    try:
        return vault.keep(wanted, is_sealed=vault.refuses_plain or None not in counts)
    except KeyFaultError as fault:  # they are in the way of nobody, and the next rotation tries again
        _logger.warning("the old keys stay in the key file: %s", fault)
        return ()


def faults_of(found: templates.Found, vault: Vault) -> tuple[Fault, ...]:
    """What is wrong with the keys and the rows, in the terms of `core.problems`. Ids of keys and members only."""
    faults: list[Fault] = []
    locked = sum(found.locked.values())
    if vault.fault is not None:
        rest = f"; {locked} templates cannot be read" if locked else ""
        faults.append((vault.fault.code, "vault", f"{vault.fault}{rest}"))
    elif locked:
        names = sorted(found.locked)
        some = ", ".join(name[:16] for name in names[:_NAMED_KEYS_MAX]) + (" …" if names[_NAMED_KEYS_MAX:] else "")
        detail = f"{locked} templates need the keys {some}, which {vault.file.path} does not have"
        faults.append(("vault.key_lost", "vault", detail))
    forged = sorted(set(found.forged))
    faults += [(FORGED, member_id, member_id) for member_id in forged[:_NAMED_MAX]]
    if len(forged) > _NAMED_MAX:
        faults.append((FORGED, "vault", f"+{len(forged) - _NAMED_MAX}"))
    return tuple(faults)


def report(database: Database, vault: Vault) -> dict[str, Any]:
    """For `station vault status`: ids and counts, as JSON values."""
    counts = templates.key_counts(database)
    ids = vault.key_ids
    return {
        "source": "credential" if vault.file.is_credential else "file",
        "path": str(vault.file.path),
        "keys": [{"id": each, "templates": counts.get(each, 0), "seals": each == ids[-1]} for each in ids],
        "locked": sum(count for key_id, count in counts.items() if key_id is not None and key_id not in ids),
        "in_the_clear": counts.get(None, 0),
        "fault": None if vault.fault is None else {"code": vault.fault.code, "detail": str(vault.fault)},
    }


def _note_sealed(database: Database, vault: Vault) -> None:
    """From now on a template in the clear is a forgery; a credential has to say so itself."""
    if not vault.refuses_plain and None not in templates.key_counts(database):
        vault.keep(frozenset(vault.key_ids), is_sealed=True)
