"""What the writer's thread does for the vault while the agent runs: tell of it, and turn its keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.clock import Clock
from agent.events import Event, VaultDescribed, VaultExamined, VaultRefused, VaultRotated
from agent.storage import sealing, templates
from agent.storage.keys import KEY_LOST, KeyFaultError
from agent.storage.opening import OpenFiles
from agent.storage.orders import PendingSave, PendingVault


class VaultKeeper:
    """Used on the writer's thread only."""

    def __init__(self, files: OpenFiles, directory: Path, clock: Clock, post: Callable[[Event], None]) -> None:
        self._files = files
        self._directory = directory
        self._clock = clock
        self._post = post
        self._unswept: list[PendingVault] = []  # sealed anew, and the former still in the write-ahead file
        self._told = files.restored.faults
        self._is_due = False
        self._needs_restart = False

    def tend(self, pending: PendingVault) -> None:
        """Carry out an order, from where the attempt before came to. Raises `DatabaseError`, OSError."""
        database, vault = self._files.database, self._files.vault
        if not pending.must_rotate:
            self._post(VaultDescribed(self._clock.now(), pending.request, sealing.report(database, vault)))
            return
        before = sum(templates.load(database, vault).locked.values())
        try:
            used = frozenset(key_id for key_id in templates.key_counts(database) if key_id is not None)
            pending.key_id = pending.key_id or vault.take_fresh_key(used)
        except KeyFaultError as fault:
            self._post(VaultRefused(self._clock.now(), pending.request, fault.code, str(fault)))
            return
        (self._directory / sealing.SWEPT_MARK).unlink(missing_ok=True)
        with database.atomic():
            count = templates.seal_again(database, vault)
        pending.templates += count
        if sum(templates.load(database, vault).locked.values()) < before:
            # The rules still go without them, and would take up again what was withdrawn meanwhile.
            self._needs_restart = True
        sealing.rewrite(self._directory, database)
        self._unswept.append(pending)

    def finish(self) -> None:
        """Empty the write-ahead file and tell; while a reader holds it, with the next try."""
        if not self._unswept or not sealing.is_emptied(self._directory, self._files.database):
            return
        database, vault = self._files.database, self._files.vault
        for each in self._unswept:
            dropped = sealing.finish_rotation(database, vault)
            self._post(VaultRotated(self._clock.now(), each.request, each.key_id, dropped, each.templates))
        self._unswept.clear()
        self._examine()

    def refusal(self, pending: PendingSave) -> Event | None:
        """Why a member cannot be saved: without a key nothing is stored in the clear."""
        fault = self._files.vault.fault
        if fault is None or not pending.member.templates:
            return None
        return VaultRefused(self._clock.now(), pending.request, fault.code, str(fault))

    def note_change(self) -> None:
        """Rows were replaced or deleted: what was wrong with them may be over."""
        self._is_due = True

    def look_again(self) -> None:
        """Tell what is wrong, if it is something else than was told; nothing is read when nothing has changed."""
        if not self._is_due:
            return
        if self._told:
            self._examine()
        self._is_due = False

    def _examine(self) -> None:
        rows = templates.load(self._files.database, self._files.vault)
        faults = sealing.faults_of(rows, self._files.vault)
        if self._needs_restart and not any(code == KEY_LOST for code, _, _ in faults):
            faults = (*faults, (KEY_LOST, "vault", "it is back: templates that it opens count after a restart"))
        if faults != self._told:
            self._told = faults
            self._post(VaultExamined(self._clock.now(), faults))
