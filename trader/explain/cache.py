"""Explanations remembered by the content they depend on: the models, the rows, the background and the method."""

from __future__ import annotations

import dataclasses
import json
import secrets
import threading
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from trader.explain.results import Attribution

__all__ = ["CacheCounts", "ExplanationCache"]

_FORMAT = 1
_ARRAYS = ("score", "base", "values", "standard_error", "fidelity")


@dataclasses.dataclass(frozen=True, slots=True)
class CacheCounts:
    """How often an explanation was remembered, computed anew, and found unreadable on disk."""

    hits: int
    misses: int
    unreadable: int


class ExplanationCache:
    """The most recently used explanations, in memory and, if a folder is given, on disk.

    Several threads may use it. On disk an explanation is one `.npz` file of plain arrays, written beside its place and
    renamed; one that cannot be read is a miss.

    Parameters
    ----------
    capacity : int, default=256
        Explanations kept in memory.
    folder : Path, optional
        Created with its parents. Nothing in it is ever deleted: a key is a digest of all that its explanation
        depends on, so that none goes stale.
    """

    def __init__(self, capacity: int = 256, folder: Path | None = None) -> None:
        self._capacity = capacity
        self._folder = folder
        self._kept: OrderedDict[str, Attribution] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = self._misses = self._unreadable = 0

    @property
    def counts(self) -> CacheCounts:
        """What it did so far."""
        with self._lock:
            return CacheCounts(self._hits, self._misses, self._unreadable)

    def get(self, key: str) -> Attribution | None:
        """Return the explanation of a key, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                self._hits += 1
                return found
        found, unreadable = self._read(key)
        with self._lock:
            self._unreadable += unreadable
            if found is None:
                self._misses += 1
                return None
            self._hits += 1
            self._keep(key, found)
        return found

    def put(self, key: str, attribution: Attribution) -> None:
        """Remember an explanation; a disk that cannot be written is an OSError."""
        with self._lock:
            self._keep(key, attribution)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(self._folder / f"{key}.npz", attribution)

    def _keep(self, key: str, attribution: Attribution) -> None:
        self._kept[key] = attribution
        self._kept.move_to_end(key)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def _read(self, key: str) -> tuple[Attribution | None, bool]:
        if self._folder is None:
            return None, False
        try:
            with np.load(self._folder / f"{key}.npz", allow_pickle=False) as file:
                facts = json.loads(str(file["facts"]))
                if facts.pop("format") != _FORMAT:
                    return None, True
                arrays = {name: file[name] for name in _ARRAYS if name in file.files}
            facts |= {name: tuple(facts[name]) for name in ("feature_names", "warnings")}
            return Attribution(**facts, **arrays), False
        except FileNotFoundError:
            return None, False
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None, True


def _write(path: Path, attribution: Attribution) -> None:
    facts: dict[str, Any] = {"format": _FORMAT}
    arrays = {}
    for field in dataclasses.fields(attribution):
        value = getattr(attribution, field.name)
        if field.name not in _ARRAYS:
            facts[field.name] = value
        elif value is not None:
            arrays[field.name] = value
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
