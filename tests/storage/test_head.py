from __future__ import annotations

import shutil
import time
from hashlib import sha256
from pathlib import Path

import pytest

from agent.storage import head as head_module
from agent.storage.chain import Position
from agent.storage.database import StorageError
from agent.storage.head import Head, HeadState, read_head

OLD = Position(1, 999_999, "a" * 64)
NEW = Position(1, 1_000_000, "b" * 64)


def write(path: Path, *positions: Position) -> None:
    head = Head(path)
    for position in positions:
        head.write(position)
    head.close()


def read(path: Path) -> tuple[HeadState, Position]:
    head = Head(path)
    head.close()
    return head.state, head.position


@pytest.mark.parametrize("writes", range(1, 6))
def test_the_last_write_is_read_back(tmp_path: Path, writes: int) -> None:
    positions = [Position(2, n, f"{n:064x}") for n in range(1, writes + 1)]
    write(tmp_path / "head", *positions)
    assert read(tmp_path / "head") == (HeadState.READ, positions[-1])
    assert read_head(tmp_path / "head") == positions[-1]


@pytest.mark.parametrize("earlier", [(OLD,), (OLD, OLD)])
@pytest.mark.parametrize("filler", [None, b"\0", b"\xff"])
def test_a_write_torn_at_any_byte_leaves_the_place_before(
    tmp_path: Path, earlier: tuple[Position, ...], filler: bytes | None
) -> None:
    """The torn rest of the slot is what stood there before, zeros, or what an erased block of flash reads as."""
    path = tmp_path / "head"
    write(path, *earlier)
    before = path.read_bytes()
    write(path, NEW)
    after = path.read_bytes()
    before = before.ljust(len(after), b"\0")
    changed = [n for n in range(len(after)) if before[n] != after[n]]
    for cut in range(changed[0], changed[-1] + 1):
        rest = before[cut:] if filler is None else filler * (changed[-1] + 1 - cut) + before[changed[-1] + 1 :]
        path.write_bytes(after[:cut] + rest)
        assert read(path) == (HeadState.READ, OLD), cut
        # ... and the next write makes it whole again
        write(path, NEW)
        assert read(path) == (HeadState.READ, NEW), cut


def test_a_missing_and_an_unreadable_file_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "head"
    assert read_head(path) is None
    assert read(path) == (HeadState.MISSING, Position())
    path.write_bytes(b"\0" * 5000)
    assert read(path) == (HeadState.DAMAGED, Position())
    assert read_head(path) is None
    write(path, OLD)
    assert read(path) == (HeadState.READ, OLD)


def test_a_copy_is_told_from_the_file_that_was_written(tmp_path: Path) -> None:
    path, copy = tmp_path / "head", tmp_path / "copy"
    write(path, OLD, NEW)
    shutil.copy2(path, copy)
    assert read(copy) == (HeadState.COPIED, NEW)
    assert read_head(copy) == NEW
    write(copy, NEW)
    assert read(copy) == (HeadState.READ, NEW)
    path.rename(tmp_path / "moved")
    assert read(tmp_path / "moved") == (HeadState.READ, NEW)


def test_a_copy_that_got_the_same_inode_is_told_by_its_birth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "head"
    write(path, NEW)
    born_ns = head_module._born_ns
    monkeypatch.setattr(head_module, "_born_ns", lambda descriptor: 1)
    write(path, NEW)
    assert read(path)[0] is HeadState.READ
    monkeypatch.setattr(head_module, "_born_ns", lambda descriptor: 2)
    assert read(path)[0] is HeadState.COPIED
    monkeypatch.setattr(head_module, "_born_ns", lambda descriptor: 0)
    assert read(path)[0] is HeadState.READ, "a file system that does not say is no evidence"
    with path.open("rb") as file:
        assert abs(born_ns(file.fileno()) / 1e9 - time.time()) < 60 or born_ns(file.fileno()) == 0


def test_a_file_of_an_older_agent_is_read(tmp_path: Path) -> None:
    path = tmp_path / "head"
    text = f"{7:020} {NEW.epoch:020} {NEW.sequence:020} {NEW.hash}"
    path.write_text(f"{text} {sha256(text.encode()).hexdigest()[:16]}\n")
    assert read(path) == (HeadState.READ, NEW)


def test_a_second_agent_is_kept_out(tmp_path: Path) -> None:
    head = Head(tmp_path / "head")
    try:
        with pytest.raises(StorageError, match="another agent"):
            Head(tmp_path / "head")
    finally:
        head.close()
    Head(tmp_path / "head").close()


def test_a_second_agent_is_kept_out_though_somebody_deletes_the_file(tmp_path: Path) -> None:
    head = Head(tmp_path / "head")
    try:
        (tmp_path / "head").unlink()
        with pytest.raises(StorageError, match="another agent"):
            Head(tmp_path / "head")
    finally:
        head.close()
