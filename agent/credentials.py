"""Cards and PINs on a thread of their own: what is slow on purpose never delays a decision.

A card is found by HMAC-SHA-256 of its number under a key of the station; a PIN is checked by Argon2id with a random
salt and a pepper from the same key, bound to its member. So a copy of the database without the key tells nothing, and
with it each try of a PIN still costs some 50 ms and 19 MiB (OWASP's minimum: 19 MiB, two passes, one lane).

A wrong number takes as long as a wrong PIN: either is one hash and two comparisons, for a number that nobody has with a
record that nothing matches.
"""

from __future__ import annotations

import contextlib
import hmac
import itertools
import logging
import queue
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from agent.clock import Clock
from agent.effects import CheckPin, FindCard, FindNumber, LoadCredentials, SealCard, SealMember, SealPin
from agent.events import (
    CardFound,
    CardSealed,
    CodePresented,
    CodeUnchecked,
    CredentialsLoaded,
    CredentialsRefused,
    Event,
    MemberSealed,
    PinChecked,
    PinSealed,
    SealedCard,
    SealedPin,
    WorkerFailed,
)
from agent.storage.credentials import Stored, StoredPin, load
from agent.storage.database import DatabaseError, explain, open_readonly
from agent.storage.keys import Key, KeyFaultError, KeyFile, Ring, make_key, ring_of

log = logging.getLogger(__name__)

CREDENTIAL = "credential.keys"
"""The name of the systemd credential, and of the file beside the database where the settings name none."""

HEADER = """\
# The key of this station's cards and PINs: keep this file secret, and keep a copy of it apart from the backups of the
# database. Without it no card and no PIN opens any more; they have to be given out anew.
"""
KEY_LOST = "credentials.key_lost"
KEY_REFUSED = "credentials.key_refused"
UNREADABLE = "credentials.unreadable"

_SALT_BYTES = 16
_HASH_BYTES = 32
_PASSES, _LANES, _MEMORY_KIB = 2, 1, 19 * 1024
# Readers ask one question at a time each, and people on the control socket are few: more is a fault.
_WAITING = 64
_RETRY_S = 5.0  # after what could not be read
_JOIN_S = 0.3  # a hash under way is given up with the process

Order = FindCard | CheckPin | FindNumber | SealCard | SealPin | SealMember | LoadCredentials

_Place = tuple[bool, int, Order | None]
"""Whether it may wait for the others, its number, the order."""


def card_text(number: str) -> str:
    """The same for every way in which readers write one number: small letters, no zeros in front."""
    return number.lower().lstrip("0") or "0"


class Keys:
    """What is derived from the keys: for each, oldest first, one for cards and the pepper of PINs."""

    def __init__(self, ring: Ring) -> None:
        self.newest = ring.newest.id
        self._cards = {each.id: each.derive(b"card 1") for each in ring.keys.values()}
        self._peppers = {each.id: each.derive(b"pin 1") for each in ring.keys.values()}

    def seal_card(self, number: str) -> SealedCard:
        """With the newest key."""
        return SealedCard(self.newest, self._card_hash(self.newest, number))

    def seal_card_by_all(self, number: str) -> tuple[SealedCard, ...]:
        """With every key there is, the newest last: somebody may have this card under an older one."""
        ids = [*(each for each in self._cards if each != self.newest), self.newest]
        return tuple(SealedCard(key_id, self._card_hash(key_id, number)) for key_id in ids)

    def card_hashes(self, number: str) -> tuple[str, ...]:
        """With every key there is."""
        return tuple(self._card_hash(key_id, number) for key_id in self._cards)

    def seal_pin(self, member_id: str, pin: str, duress: str) -> SealedPin:
        """With the newest key and a fresh salt."""
        salt = secrets.token_bytes(_SALT_BYTES)
        seal = SealedPin(self.newest, salt, b"", secrets.token_bytes(_HASH_BYTES))
        sealed = SealedPin(seal.key_id, salt, self.pin_hash(seal, member_id, pin), seal.duress_hash)
        if not duress:
            return sealed
        return SealedPin(seal.key_id, salt, sealed.hash, self.pin_hash(seal, member_id, duress))

    def nobody(self) -> StoredPin:
        """A record that nothing matches, for numbers that nobody has."""
        salt, one, other = (secrets.token_bytes(size) for size in (_SALT_BYTES, _HASH_BYTES, _HASH_BYTES))
        return StoredPin("", SealedPin(self.newest, salt, one, other))

    def pin_hash(self, sealed: SealedPin, member_id: str, pin: str) -> bytes:
        """Slow. Raises KeyError when its key is not here."""
        slow = Argon2id(
            salt=sealed.salt,
            length=_HASH_BYTES,
            iterations=_PASSES,
            lanes=_LANES,
            memory_cost=_MEMORY_KIB,
            ad=b"pin of " + member_id.encode(),
            secret=self._peppers[sealed.key_id],
        )
        return slow.derive(pin.encode())

    def _card_hash(self, key_id: str, number: str) -> str:
        return hmac.digest(self._cards[key_id], card_text(number).encode(), "sha256").hex()

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._cards

    def __repr__(self) -> str:
        return f"Keys({', '.join(self._cards)})"


def _sealed(keys: Keys, order: SealMember, now: Callable[[], float]) -> MemberSealed:
    """A number that is given twice is one card."""
    cards = {hashes[-1].hash: hashes for hashes in map(keys.seal_card_by_all, order.cards)}
    pin = keys.seal_pin(order.member_id, order.pin, "") if order.pin else None
    return MemberSealed(now(), order.request, order.member_id, tuple(cards.values()), pin)


class CredentialChecker:
    """Finds cards and checks PINs in order, and seals new ones behind them. `submit` never blocks; answers are posted.

    What is stored is read with the first order that needs it, and with every `LoadCredentials`; it stays in memory, so
    that a disk which fails later keeps nobody out.
    """

    def __init__(self, database: Path, key_file: KeyFile, clock: Clock, post: Callable[[Event], None]) -> None:
        self._database = database
        self._key_file = key_file
        self._clock = clock
        self._post = post
        self._stored = Stored()
        self._keys: Keys | None = None
        self._nobody: StoredPin | None = None
        self._is_loaded = False
        self._is_retrying = False
        self._is_ending = False
        self._told: tuple[str, str] | None = None
        self._orders: queue.PriorityQueue[_Place] = queue.PriorityQueue(_WAITING)
        self._places = itertools.count()
        self._thread = threading.Thread(target=self._work, name="credentials", daemon=True)
        self._thread.start()

    def submit(self, order: Order) -> None:
        """Put an order in line, or answer at once that nothing can be said."""
        try:
            self._orders.put_nowait(self._place_of(order))
        except queue.Full:
            log.warning("too many cards and PINs wait to be checked: one is refused")
            self._refuse(order, "request.busy", "cards and PINs")

    def close(self) -> None:
        """End the thread; what waits is not begun."""
        self._is_ending = True
        with contextlib.suppress(queue.Full):  # then there is an order, and the thread looks at the flag after it
            self._orders.put_nowait(self._place_of(None))
        self._thread.join(_JOIN_S)

    def _place_of(self, order: Order | None) -> _Place:
        """In line: who stands at the door does not wait for a roster that is sent from afar, a PIN after the other."""
        return isinstance(order, SealCard | SealPin | SealMember), next(self._places), order

    # --- on the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while True:
                try:
                    _, _, order = self._orders.get(timeout=_RETRY_S if self._is_retrying else None)
                except queue.Empty:
                    self._load()
                    continue
                if order is None or self._is_ending:
                    return
                self._carry_out(order)
        except Exception as error:  # the top of this worker
            log.exception("the checker of cards and PINs died")
            self._post(WorkerFailed(self._clock.now(), "credentials", type(error).__name__))

    def _carry_out(self, order: Order) -> None:
        if isinstance(order, LoadCredentials):
            self._load()
            return
        if not self._is_loaded:
            self._load()
        if (
            isinstance(order, SealMember) and not order.cards and not order.pin
        ):  # it only keeps its place among the others
            self._post(MemberSealed(self._clock.now(), order.request, order.member_id))
            return
        if self._keys is None or not self._is_loaded:
            code, detail = self._told or (UNREADABLE, "")
            self._refuse(order, code, detail)
            return
        now = self._clock.now
        match order:
            case FindCard():
                self._post(self._find(self._keys, order))
            case CheckPin():
                self._post(self._check(self._keys, order))
            case FindNumber():
                found = self._stored.pins.get(order.number)
                self._post(CodePresented(order.presented_at, "number", (found.member_id,) if found else ()))
            case SealCard():
                self._post(CardSealed(now(), order.request, order.member_id, self._keys.seal_card(order.card)))
            case SealPin():
                sealed = self._keys.seal_pin(order.member_id, order.pin, order.duress)
                self._post(PinSealed(now(), order.request, order.member_id, order.number, sealed))
            case SealMember():
                self._post(_sealed(self._keys, order, now))

    def _find(self, keys: Keys, order: FindCard) -> Event:
        owners = [self._stored.cards[each] for each in keys.card_hashes(order.card) if each in self._stored.cards]
        if not owners and self._missing(keys):
            return CodeUnchecked(self._clock.now(), order.request)  # it may be one of those
        return CardFound(self._clock.now(), order.request, owners[0] if owners else None)

    def _missing(self, keys: Keys) -> list[str]:
        """Keys that rows need and that are not here."""
        return sorted(each for each in self._stored.key_ids if each not in keys)

    def _check(self, keys: Keys, order: CheckPin) -> Event:
        nobody = self._nobody or keys.nobody()
        found = self._stored.pins.get(order.number, nobody)
        if found.pin.key_id not in keys:
            return CodeUnchecked(self._clock.now(), order.request)
        given = keys.pin_hash(found.pin, found.member_id, order.pin)
        is_right = hmac.compare_digest(given, found.pin.hash)
        is_duress = hmac.compare_digest(given, found.pin.duress_hash)
        member_id = found.member_id if (is_right or is_duress) and found is not nobody else None
        return PinChecked(self._clock.now(), order.request, member_id, is_duress and member_id is not None)

    def _refuse(self, order: Order, code: str, detail: str) -> None:
        now = self._clock.now()
        match order:
            case FindCard() | CheckPin():
                self._post(CodeUnchecked(now, order.request))
            case SealCard() | SealPin() | SealMember():
                self._post(CredentialsRefused(now, order.request, code, detail))
            case FindNumber():
                self._post(CodePresented(order.presented_at, "number", ()))
            case LoadCredentials():
                self._is_loaded = False  # with the next order

    # --- reading -----------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Read keys and rows; what was read before stays when the disk does not read now."""
        fault, detail = "", ""
        try:
            database = open_readonly(self._database)
            try:
                self._stored = load(database.conn)
            finally:
                database.close()
            self._is_loaded = True
        except (DatabaseError, OSError) as error:
            fault, detail = UNREADABLE, explain(error)
        self._is_retrying = bool(fault)
        if not fault:
            fault, detail = self._load_keys()
        if not fault and self._keys is not None and (missing := self._missing(self._keys)):
            fault, detail = KEY_LOST, ", ".join(missing)
        if (fault, detail) != self._told:
            self._told = (fault, detail)
            self._post(CredentialsLoaded(self._clock.now(), fault, detail))

    def _load_keys(self) -> tuple[str, str]:
        """The keys are made when there are none and nothing needs them; returns what is wrong."""
        if self._keys is not None:
            return "", ""
        try:
            if not self._stored.key_ids and not self._key_file.exists():
                key: Key = make_key()
                self._key_file.write(ring_of(key))
                log.info("made the key %s of cards and PINs in %s", key.id, self._key_file.path)
            ring = self._key_file.read()
        except KeyFaultError as error:
            return error.code.replace("vault.", "credentials."), str(error)
        self._keys = Keys(ring)
        self._nobody = self._keys.nobody()
        return "", ""
