"""SHA-256 of the files of a folder, and how they are compared with what they should be."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from trader.core.errors import ModelError

__all__ = ["check_hashes", "content_hash", "files_of", "hash_file", "hash_folder"]


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file of any size, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_of(folder: Path, without: Collection[str] = ()) -> dict[str, Path]:
    """Return every file below a folder by its relative path, sorted.

    Raises
    ------
    ModelError
        If there is a link: what it leads to is not part of the folder.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise ModelError(f"{path} is a link; an artefact holds plain files only")
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in without:
            found[name] = path
    return found


def hash_folder(folder: Path, without: Collection[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder by relative path, sorted."""
    return {name: hash_file(path) for name, path in files_of(folder, without).items()}


def check_hashes(where: str, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Compare what a folder holds with its manifest.

    Raises
    ------
    ModelError
        If a file is missing, unlisted or changed; the message names it.
    """
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise ModelError(f"{where}/{name} is missing; the manifest lists it")
        if name not in expected:
            raise ModelError(f"{where}/{name} is not listed in the manifest")
        if found[name] != expected[name]:
            raise ModelError(f"{where}/{name} was changed: its SHA-256 is not the one in the manifest")


def content_hash(hashes: Mapping[str, str]) -> str:
    """Return one SHA-256 for many files: that of their names and hashes.

    >>> content_hash({"b": "02", "a": "01"}) == content_hash({"a": "01", "b": "02"})
    True
    """
    return hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in sorted(hashes.items())).encode()).hexdigest()
