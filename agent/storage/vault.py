"""Templates at rest: each is sealed with AES-256-GCM and bound to its place, so it opens nowhere else.

What is sealed is 128 float32, little-endian. Bound to it (associated data) is the canonical JSON of [`template 1`,
member id, the member's enrolment token, engine, weights]: a row that was moved to another member, to the same id
enrolled afresh, or to another engine does not open. `keys` says what a key is and how often it may seal.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from agent.storage.chain import canonical
from agent.storage.keys import KEY_LOST, KEY_REFUSED, Key, KeyFaultError, KeyFile, Ring, make_key, ring_of

_logger = logging.getLogger(__name__)

_FORMAT = "template 1"


class LockedError(Exception):
    """Sealed with a key that is not here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a template belongs. `enrolment`: the random token of the member's row."""

    member_id: str
    enrolment: str
    engine: str
    weights: str

    def bound(self) -> bytes:
        """The associated data. Raises ValueError for text that has no UTF-8."""
        return canonical([_FORMAT, self.member_id, self.enrolment, self.engine, self.weights]).encode()


class Vault:
    """The keys in use. One thread at a time. Without a key `fault` says why, and nothing is sealed or opened."""

    def __init__(self, file: KeyFile) -> None:
        self.file = file
        self.fault: KeyFaultError | None = KeyFaultError(KEY_LOST, f"{file.path}: not read yet")
        self._ring: Ring | None = None

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Oldest first; none without a key."""
        return tuple(self._ring.keys) if self._ring else ()

    @property
    def refuses_plain(self) -> bool:
        """Whether every template was sealed with these keys once, so that one in the clear is a forgery."""
        return self._ring is not None and self._ring.is_sealed

    def load(self, *, may_make: bool) -> None:
        """Read the keys; make the first one when there is no file and `may_make`. A fault is kept in `fault`."""
        self._ring = None
        try:
            self.fault = None
            if may_make and not self.file.exists():
                key = make_key()
                self.file.write(ring_of(key))
                _logger.info("made the key %s of the face templates in %s", key.id, self.file.path)
            self._ring = self.file.read()
        except KeyFaultError as fault:
            self.fault = fault

    def seal(self, place: Place, plain: bytes) -> tuple[str, bytes]:
        """The key's id and what is to be stored. Raises `KeyFaultError` without a key."""
        key = self._newest()
        return key.id, key.seal(plain, place.bound())

    def unseal(self, place: Place, key_id: str, sealed: bytes) -> bytes:
        """Raises `LockedError` when the key is not here, `ForgedError` when it was altered or is of another place."""
        key = self._ring.keys.get(key_id) if self._ring else None
        if key is None:
            raise LockedError(key_id)
        return key.unseal(sealed, place.bound())

    def take_fresh_key(self, used: frozenset[str]) -> str:
        """Seal with a key that no row has yet, and return its id: the file's newest, else a new one, durable already.

        `used`: the ids that rows have. The file is read anew: what an operator put into it counts and is kept, and what
        is only in memory (the file was deleted) is written again. A key that an operator added, or that a rotation made
        which was broken off, is taken if the rows have others. Raises `KeyFaultError`; nothing has changed then.
        """
        known = dict(self._ring.keys) if self._ring else {}
        ring = self.file.read() if self.file.exists() else Ring({}, is_sealed=self.refuses_plain)
        keys = {key_id: key for key_id, key in known.items() if key_id not in ring.keys} | dict(ring.keys)
        is_fresh = bool(used) and bool(ring.keys) and ring.newest.id not in used
        if not is_fresh:
            if self.file.is_credential:
                detail = f"{self.file.path}: add a newer key to this credential, restart the agent, and ask again"
                raise KeyFaultError(KEY_REFUSED, detail)
            key = make_key()
            keys[key.id] = key
        if len(keys) > len(ring.keys):
            ring = Ring(keys, ring.is_sealed)
            self.file.write(ring)
        self._ring, self.fault = ring, None
        return ring.newest.id

    def keep(self, wanted: frozenset[str], *, is_sealed: bool) -> tuple[str, ...]:
        """Take the keys out of the file that no row needs; the newest stays. Returns their ids; none of a credential.

        `is_sealed`: no template is in the clear any more. Raises `KeyFaultError`; the file is as before then.
        """
        if self._ring is None or self.file.is_credential:
            return ()
        ring = self._ring
        kept = {key_id: key for key_id, key in ring.keys.items() if key_id in wanted or key is ring.newest}
        dropped = tuple(key_id for key_id in ring.keys if key_id not in kept)
        if dropped or is_sealed != ring.is_sealed:
            ring = Ring(kept, is_sealed)
            self.file.write(ring)
            self._ring = ring
        return dropped

    def _newest(self) -> Key:
        if self._ring is None:
            raise self.fault or KeyFaultError(KEY_LOST, str(self.file.path))
        return self._ring.newest
