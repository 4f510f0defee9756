"""The ledger: what a restored backup must not bring back. An append-only file outside the database and its backups.

One JSON object a line, canonical, with `kind` and `sum` (CRC-32 of the line's canonical JSON without it, eight
hexadecimal digits). Kinds today: `erased` (member), `enrolled` (member, enrolment: this id came back after an erasure),
`withdrawn` (member, consent: no template that rests on this consent may be there; empty: on none), `spent` and
`revoked` (pass), `credential_removed` (token: of a card or a PIN that must not be there), `suspended` (member,
enrolment, until: UTC or null) and `resumed` (member, enrolment: the last of the two holds), `validity` (member,
enrolment, from, until: UTC or null; the last one holds), `noted` (of, name, body: a note as it was last, null for
none), `epoch`. A reader passes over kinds that it does not know, so later ones need no new format.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from agent.storage.chain import canonical
from agent.storage.head import sync_directory


class Ledger:
    """The open ledger. Used by one thread at a time.

    `unreadable` counts whole lines whose check sum is wrong; a line cut off at the end was never acknowledged and is
    removed.
    """

    def __init__(self, path: Path, *, is_readonly: bool = False) -> None:
        """Open or create it and read every line; `is_readonly` neither creates nor mends it. Raises OSError."""
        self.unreadable = 0
        self.highest_epoch = 0
        self._enrolled_since_erasure: dict[str, set[str]] = {}
        self._withdrawn: set[tuple[str, str]] = set()
        # For ever: a clock that is set back would bring back a pass that was forgotten once it had expired.
        self._spent: set[str] = set()
        self._revoked: set[str] = set()
        self._removed: set[str] = set()
        self._suspensions: dict[tuple[str, str], tuple[bool, str | None]] = {}
        self._validities: dict[tuple[str, str], tuple[str | None, str | None]] = {}
        self._notes: dict[tuple[str, str], str | None] = {}
        is_new = not path.exists()
        flags = os.O_RDONLY if is_readonly else os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        try:
            if is_new:
                sync_directory(path.parent)
            self._read(path, may_mend=not is_readonly)
        except BaseException:
            os.close(self._descriptor)
            raise

    def append(self, kind: str, **fields: object) -> None:
        """Add a line and wait for the disk. Raises OSError, and then the line is not there."""
        line = {"kind": kind, **fields}
        raw = canonical({**line, "sum": _check_sum(line)}).encode() + b"\n"
        try:
            self._write(raw)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(raw)
        self._take(line)

    def knows(self, member_id: str) -> bool:
        """Whether any line is about this id: then it was enrolled here once, and a backup may hold it."""
        named = {id_ for about in (self._withdrawn, self._suspensions, self._validities) for id_, _ in about}
        return member_id in self._enrolled_since_erasure or member_id in named

    def was_erased(self, member_id: str) -> bool:
        """Whether this id was ever erased here."""
        return member_id in self._enrolled_since_erasure

    def must_erase(self, member_id: str, enrolment: str) -> bool:
        """Whether this row of members is one that was erased, and not the same id enrolled afresh since."""
        return enrolment not in self._enrolled_since_erasure.get(member_id, {enrolment})

    def must_withdraw(self, member_id: str, consent_id: str) -> bool:
        """Whether templates that rest on this consent were withdrawn; empty: on no recorded one."""
        return (member_id, consent_id) in self._withdrawn

    def was_spent(self, pass_id: str) -> bool:
        """Whether this pass was redeemed."""
        return pass_id in self._spent

    @property
    def revoked_passes(self) -> frozenset[str]:
        """The ids of passes that open nothing any more."""
        return frozenset(self._revoked)

    def must_remove(self, token: str) -> bool:
        """Whether this card or PIN was taken away."""
        return token in self._removed

    def suspension_of(self, member_id: str, enrolment: str) -> tuple[bool, str | None] | None:
        """Whether this member is suspended and until when; None when nobody ever said."""
        return self._suspensions.get((member_id, enrolment))

    def validity_of(self, member_id: str, enrolment: str) -> tuple[str | None, str | None] | None:
        """From when and until when they are a member; None when nobody ever said."""
        return self._validities.get((member_id, enrolment))

    @property
    def notes(self) -> Mapping[tuple[str, str], str | None]:
        """Notes that a backup does not take back, by kind and name: the body as JSON, None for one thrown away."""
        return self._notes

    def note(self, kind: str, name: str, body: str | None) -> None:
        """Keep a note here too; nothing for one that is so already. Raises OSError."""
        if (kind, name) not in self._notes or self._notes[kind, name] != body:
            self.append("noted", of=kind, name=name, body=body)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self, raw: bytes) -> None:
        if os.write(self._descriptor, raw) != len(raw):
            raise OSError("the ledger took only a part of a line: free some space")
        os.fsync(self._descriptor)

    def _read(self, path: Path, *, may_mend: bool) -> None:
        content = path.read_bytes()
        self._size = content.rfind(b"\n") + 1
        if may_mend and self._size < len(content):
            os.ftruncate(self._descriptor, self._size)
        for raw in content[: self._size].split(b"\n")[:-1]:
            line = _parse(raw)
            if line is None:
                self.unreadable += 1
            else:
                self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        match line:
            case {"kind": "erased", "member": str(member_id)}:
                self._enrolled_since_erasure[member_id] = set()
            case {"kind": "enrolled", "member": str(member_id), "enrolment": str(enrolment)}:
                self._enrolled_since_erasure.setdefault(member_id, set()).add(enrolment)
            case {"kind": "withdrawn", "member": str(member_id), "consent": str(consent_id)}:
                self._withdrawn.add((member_id, consent_id))
            case {"kind": "spent", "pass": str(pass_id)}:
                self._spent.add(pass_id)
            case {"kind": "revoked", "pass": str(pass_id)}:
                self._revoked.add(pass_id)
            case {"kind": "credential_removed", "token": str(token)}:
                self._removed.add(token)
            case {"kind": "suspended", "member": str(member_id), "enrolment": str(enrolment), "until": until}:
                self._suspensions[member_id, enrolment] = (True, until if isinstance(until, str) else None)
            case {"kind": "resumed", "member": str(member_id), "enrolment": str(enrolment)}:
                self._suspensions[member_id, enrolment] = (False, None)
            case {
                "kind": "validity",
                "member": str(member_id),
                "enrolment": str(enrolment),
                "from": since,
                "until": until,
            }:
                limits = (since if isinstance(since, str) else None, until if isinstance(until, str) else None)
                self._validities[member_id, enrolment] = limits
            case {"kind": "noted", "of": str(kind), "name": str(name), "body": body}:
                self._notes[kind, name] = body if isinstance(body, str) else None
            case {"kind": "epoch", "epoch": int(epoch)}:
                self.highest_epoch = max(self.highest_epoch, epoch)


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(raw)
        if isinstance(line, dict) and line.pop("sum", None) == _check_sum(line):
            return line
    except (ValueError, TypeError):  # not JSON, not UTF-8, or a number that canonical JSON refuses
        return None
    return None


def _check_sum(line: dict[str, Any]) -> str:
    return f"{crc32(canonical(line).encode()):08x}"
