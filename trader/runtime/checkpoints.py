"""Checkpoints of a shard's state: plain arrays in `.npz` files, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CheckpointFolder", "CheckpointWriter"]

_KEEP = 3


class CheckpointFolder:
    """The newest checkpoints of one shard.

    A checkpoint numbered `seq` holds the state after batch `seq`. Three are kept: a shard runs ahead of the
    decisions by no more than the windows between the actors, so one of them lies at or before the last
    durable batch; where none does, the caller replays from the beginning.
    """

    def __init__(self, folder: Path, shard: int) -> None:
        self._folder = folder
        self._prefix = f"shard-{shard}-"

    def save(self, seq: int, state: Mapping[str, NDArray[Any]]) -> None:
        """Write the state after batch `seq` and forget all but the newest."""
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._path(seq)
        partial = target.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, **state)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        for old in self._numbers()[:-_KEEP]:
            self._path(old).unlink(missing_ok=True)

    def newest(self, at_most: int) -> tuple[int, dict[str, NDArray[Any]]] | None:
        """Return the newest checkpoint not after batch `at_most`, with its number."""
        usable = [seq for seq in self._numbers() if seq <= at_most]
        if not usable:
            return None
        with np.load(self._path(usable[-1]), allow_pickle=False) as arrays:
            return usable[-1], {name: arrays[name] for name in arrays.files}

    def _path(self, seq: int) -> Path:
        return self._folder / f"{self._prefix}{seq:012d}.npz"

    def _numbers(self) -> list[int]:
        found = self._folder.glob(f"{self._prefix}*.npz")
        return sorted(int(path.stem.removeprefix(self._prefix)) for path in found)


class CheckpointWriter:
    """Writes checkpoints in a thread of its own: a disk that takes milliseconds holds up no tick.

    One is written at a time. Where the disk is slower than that, the shard waits for it, and so do those who feed it.
    """

    def __init__(self, folder: CheckpointFolder) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._writing: Future[None] | None = None

    def save(self, seq: int, state: Mapping[str, NDArray[Any]]) -> None:
        """Begin to write the state after batch `seq`, which nobody may change any more.

        Raises
        ------
        OSError
            If the one before could not be written.
        """
        self.wait()
        self._writing = self._thread.submit(self._folder.save, seq, state)

    def wait(self) -> None:
        """Return when everything is on disk.

        Raises
        ------
        OSError
            If it could not be written; it is raised once.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()
