from __future__ import annotations

import stat
from pathlib import Path
from types import MappingProxyType

import pytest

from agent.vision.models import (
    PUBLISHED,
    Model,
    ModelError,
    install_model,
    packaged_file,
    read_bounded,
    read_model,
    sha256_of,
    state_of,
)

CONTENT = b"a small network"
TABLE = MappingProxyType({"tiny": Model("tiny", "tiny.onnx", sha256_of(CONTENT), 64, "CC0", "https://example.org")})


def test_the_published_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(CONTENT)
    assert read_model("tiny", tmp_path, TABLE) == CONTENT


def test_another_file_of_that_name_is_refused_with_both_sums(tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError, match=f"{sha256_of(b'something else')}, not {sha256_of(CONTENT)}"):
        read_model("tiny", tmp_path, TABLE)


def test_a_missing_file_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"station models install tiny --file F.*https://example.org"):
        read_model("tiny", tmp_path, TABLE)


def test_no_folder_for_models_is_a_fault_of_its_own() -> None:
    with pytest.raises(ModelError, match="no folder for models is set"):
        read_model("tiny", None, TABLE)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it whole would exhaust the memory
    with pytest.raises(ModelError, match="more than 64 bytes"):
        read_bounded(path, 64, remedy="replace it")


def test_a_packaged_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match=r"absent\.dat is missing: install"):
        packaged_file("absent.dat")


def test_yunet_as_published_is_recognised(yunet_models: Path) -> None:
    assert len(read_model("yunet", yunet_models)) == 232_589
    assert PUBLISHED["sface"].sha256.startswith("0ba9fbfa")


# --- installing ------------------------------------------------------------------------------------------------------


def test_the_published_file_is_installed_for_every_account_to_read(tmp_path: Path) -> None:
    source, folder = tmp_path / "download.bin", tmp_path / "state" / "models"
    source.write_bytes(CONTENT)
    source.chmod(0o600)
    assert state_of("tiny", folder, TABLE) == "missing"
    path = install_model("tiny", source, folder, TABLE)
    assert path == folder / "tiny.onnx"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert read_model("tiny", folder, TABLE) == CONTENT
    assert state_of("tiny", folder, TABLE) == "installed"
    assert [each.name for each in folder.iterdir()] == ["tiny.onnx"]


def test_another_file_is_not_installed_and_what_was_there_stays(tmp_path: Path) -> None:
    good, wrong, folder = tmp_path / "good", tmp_path / "wrong", tmp_path / "models"
    good.write_bytes(CONTENT)
    wrong.write_bytes(CONTENT + b"!")
    install_model("tiny", good, folder, TABLE)
    sums = f"was not copied: its sha256 is {sha256_of(CONTENT + b'!')}, not {sha256_of(CONTENT)}"
    with pytest.raises(ModelError, match=sums):
        install_model("tiny", wrong, folder, TABLE)
    assert read_model("tiny", folder, TABLE) == CONTENT
    assert [each.name for each in folder.iterdir()] == ["tiny.onnx"]


def test_a_file_far_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="more than 64 bytes"):
        install_model("tiny", tmp_path / "large", tmp_path / "models", TABLE)
    assert not (tmp_path / "models").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(CONTENT)
    (tmp_path / "models").write_text("a file, not a folder")
    with pytest.raises(ModelError, match=r"models.* cannot be written"):
        install_model("tiny", tmp_path / "good", tmp_path / "models", TABLE)


def test_a_damaged_file_is_seen_as_wrong(tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(CONTENT[:-1])
    assert state_of("tiny", tmp_path, TABLE) == "wrong"
