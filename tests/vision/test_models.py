from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from agent.vision.models import PUBLISHED, Model, ModelError, packaged_file, read_bounded, read_model, sha256_of

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
