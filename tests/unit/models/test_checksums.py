"""Hashes of files against hashlib over their bytes, and what is said of those that differ."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from trader.core.errors import ModelError
from trader.models.checksums import check_hashes, content_hash, hash_file, hash_folder


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 1_000_003])
def test_files_of_any_size(tmp_path: Path, size: int) -> None:
    """Below, at and above the size of a chunk."""
    content = bytes(number % 251 for number in range(size))
    (tmp_path / "file").write_bytes(content)
    assert hash_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_folders_by_relative_path(tmp_path: Path) -> None:
    """Every file below, hidden ones too, but for those left out."""
    (tmp_path / "inner").mkdir()
    for name in ("b", ".hidden", "inner/a", "manifest.json"):
        (tmp_path / name).write_text(name)
    expected = {name: hashlib.sha256(name.encode()).hexdigest() for name in (".hidden", "b", "inner/a")}
    assert hash_folder(tmp_path, without={"manifest.json"}) == expected


def test_links_are_refused(tmp_path: Path) -> None:
    """To a file, to a folder, to nothing."""
    for target in ("file", "folder", "nothing"):
        (tmp_path / target).mkdir(exist_ok=True)
        link = tmp_path / target / "link"
        link.symlink_to("/nowhere" if target == "nothing" else tmp_path)
        with pytest.raises(ModelError, match="link is a link; an artefact holds plain files only"):
            hash_folder(tmp_path / target)


def test_differences_name_the_file() -> None:
    """Missing, unlisted and changed."""
    check_hashes("m", {"a": "1"}, {"a": "1"})
    for found, expected, message in (
        ({}, {"a": "1"}, "m/a is missing"),
        ({"a": "1"}, {}, "m/a is not listed"),
        ({"a": "2"}, {"a": "1"}, "m/a was changed"),
    ):
        with pytest.raises(ModelError, match=message):
            check_hashes("m", found, expected)


def test_the_content_hash_depends_on_names_and_hashes_alone() -> None:
    """Another name or another hash gives another one; the order does not."""
    first = content_hash({"a": "1", "b": "2"})
    assert first == content_hash({"b": "2", "a": "1"})
    assert len({first, content_hash({"a": "2", "b": "1"}), content_hash({"a": "1"}), content_hash({})}) == 4
