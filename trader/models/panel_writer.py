"""Writing panel files as the instants come: what is kept in memory is one file, and the overlap to the next."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, OperationError
from trader.models.checksums import hash_file
from trader.models.dataset import TrainingSet
from trader.models.panel_files import PanelBlock, PanelFile, PanelFiles, PanelHeader
from trader.models.schema import min_known

__all__ = ["FILE_BYTES", "PanelWriter", "slices_of", "write_training_set"]

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]

FILE_BYTES = 16 * 2**20
"""Features in a file, unless asked otherwise: a few files fit into the object store of a small cluster."""

_METADATA = b"gpt-trader panel"


class PanelWriter:
    """Writes a folder of panel files; the folder is there when all is written, or not at all.

    Use it in a `with` block: its end writes the last file and the manifest. If the block is left by an error, nothing
    is left behind.

    Parameters
    ----------
    folder : Path
        Must not exist; its parents are made.
    header : PanelHeader
    file_slices : int
        Instants of a file's own.
    n_context : int, default=0
        Instants that only serve as the past of those after them; they come first, and have no position.

    Raises
    ------
    DataError
        If the folder is there already, or a size is not allowed.
    """

    def __init__(self, folder: Path, header: PanelHeader, file_slices: int, n_context: int = 0) -> None:
        if file_slices < 1 or header.overlap < 0:
            raise DataError(f"file_slices={file_slices}, overlap={header.overlap}; at least 1 and 0 are allowed")
        if folder.exists():
            raise DataError(f"{folder} is there already; give a folder that is not")
        self._folder = folder
        self._header = header
        self._file_slices = file_slices
        self._files: list[PanelFile] = []
        self._n_context = n_context
        self._kept = _empty(header)
        self._pending: list[PanelBlock] = []

    def __enter__(self) -> Self:
        with _one_error(self._folder):
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._staging = Path(tempfile.mkdtemp(prefix=f".{self._folder.name}.partial-", dir=self._folder.parent))
        return self

    def append(
        self,
        ts_ns: IntArray,
        features: NDArray[np.floating],
        target: NDArray[np.floating],
        weight: NDArray[np.floating] | None = None,
    ) -> None:
        """Add instants that follow those before.

        Parameters
        ----------
        ts_ns : ndarray of shape (n_slices,)
            Rising.
        features : ndarray of shape (n_slices, n_symbols, n_features)
        target : ndarray of shape (n_slices, n_symbols)
            NaN is unknown.
        weight : ndarray of shape (n_slices, n_symbols), optional
            Not negative; None is 1. A label that is unknown, or has fewer than half of its features, gets 0.

        Raises
        ------
        DataError
            If shapes disagree, or stamps do not rise.
        OperationError
            If a file cannot be written.
        """
        new = self._block(ts_ns, features, target, weight)
        self._pending.append(new)
        n_own = sum(block.ts_ns.size for block in (self._kept, *self._pending)) - self._n_context
        if n_own < self._file_slices:
            return
        self._gather()
        while self._kept.ts_ns.size - self._n_context >= self._file_slices:
            self._write(self._n_context + self._file_slices)

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def _finish(self) -> None:
        self._gather()
        if self._kept.ts_ns.size > self._n_context:
            self._write(self._kept.ts_ns.size)
        if not self._files:
            raise DataError("a panel without instants cannot be written")
        with _one_error(self._folder):
            PanelFiles(self._staging, self._header, tuple(self._files)).save_manifest()
            self._staging.chmod(0o755)
            self._staging.rename(self._folder)

    def _block(self, ts_ns: IntArray, features: Any, target: Any, weight: Any) -> PanelBlock:
        header = self._header
        shape = (ts_ns.size, len(header.symbols), len(header.feature_names))
        if features.shape != shape or target.shape != shape[:2] or (weight is not None and weight.shape != shape[:2]):
            raise DataError(
                f"features {features.shape}, target {target.shape} and weight "
                f"{None if weight is None else weight.shape} do not fit: {shape} and {shape[:2]} are needed"
            )
        before = self._pending[-1].ts_ns if self._pending else self._kept.ts_ns
        if (np.diff(np.concatenate((before[-1:], ts_ns))) <= 0).any():
            raise DataError("ts_ns must increase strictly")
        known = np.isfinite(target) & (np.isfinite(features).sum(axis=2) >= min_known(shape[2]))
        counts = np.where(known, 1.0 if weight is None else weight, 0.0).astype(np.float32)
        return PanelBlock(0, 0, ts_ns, features.astype(np.float32), target.astype(np.float32), counts)

    def _gather(self) -> None:
        """Join what came to what is kept."""
        blocks = (self._kept, *self._pending)
        self._kept = PanelBlock(0, 0, *(np.concatenate([getattr(b, name) for b in blocks]) for name in _ARRAYS))
        self._pending = []

    def _write(self, n_rows: int) -> None:
        """Write the first rows that are kept, and keep the overlap and what follows."""
        import pyarrow.parquet as pq

        first = self._files[-1].end if self._files else 0
        rows = _rows(self._kept, slice(0, n_rows))
        block = dataclasses.replace(rows, first=first, n_context=self._n_context)
        path = self._staging / f"panel-{len(self._files):05d}.parquet"
        with _one_error(self._folder), path.open("wb") as stream:
            pq.write_table(_table(block, self._header), stream, use_dictionary=False, write_statistics=False)
            stream.flush()
            os.fsync(stream.fileno())
        own = block.ts_ns[self._n_context :]
        self._files.append(
            PanelFile(
                name=path.name,
                sha256=hash_file(path),
                first=first,
                n_context=self._n_context,
                n_slices=own.size,
                span_ns=(int(own[0]), int(own[-1])),
                stats=block.stats(),
            )
        )
        start = max(0, n_rows - self._header.overlap)
        self._n_context = n_rows - start
        self._kept = _rows(self._kept, slice(start, None))


def write_training_set(
    folder: Path,
    data: TrainingSet,
    *,
    overlap: int,
    instants: IntArray | None = None,
    file_slices: int | None = None,
) -> None:
    """Write a training set that is in memory, or the part of it that a fit to some instants reads.

    Parameters
    ----------
    folder : Path
        Must not exist.
    data : TrainingSet
    overlap : int
        Instants of the past that a file begins with.
    instants : ndarray of int, optional
        Rising; None is all. Positions of the panel count from the first of them; labels of others count 0, and of
        what comes after the last nothing is written.
    file_slices : int, optional
        Instants of a file; None: as many as `slices_of` says.
    """
    header = PanelHeader(data.feature_names, data.symbols, data.horizon, overlap, data.fingerprint)
    chosen = np.arange(len(data)) if instants is None else instants
    weight = np.zeros(data.target.shape)
    weight[chosen] = 1.0 if data.weight is None else data.weight[chosen]
    first, end = int(chosen[0]), int(chosen[-1]) + 1
    past = min(first, overlap)
    size = file_slices or slices_of(header)
    with PanelWriter(folder, header, size, past) as writer:
        for start in range(first - past, end, size):
            rows = slice(start, min(start + size, end))
            writer.append(data.ts_ns[rows], data.features[rows], data.target[rows], weight[rows])


def slices_of(header: PanelHeader, file_bytes: int = FILE_BYTES) -> int:
    """Return how many instants a file of that size holds: several times the overlap, which is read for nothing."""
    width = 4 * len(header.symbols) * max(1, len(header.feature_names))
    return max(file_bytes // width, 4 * header.overlap, 1)


_ARRAYS = ("ts_ns", "features", "target", "weight")


def _rows(block: PanelBlock, rows: slice) -> PanelBlock:
    return PanelBlock(0, 0, *(np.ascontiguousarray(getattr(block, name)[rows]) for name in _ARRAYS))


def _empty(header: PanelHeader) -> PanelBlock:
    shape = (0, len(header.symbols))
    nothing = np.empty(shape, np.float32)
    return PanelBlock(
        0, 0, np.empty(0, np.int64), np.empty((*shape, len(header.feature_names)), np.float32), nothing, nothing
    )


def _table(block: PanelBlock, header: PanelHeader) -> Any:
    import pyarrow as pa

    def lists(panel: Float32Array) -> Any:
        flat = panel.reshape(panel.shape[0], -1)
        return pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), flat.shape[1])

    columns = {
        "ts_ns": block.ts_ns,
        "is_context": np.arange(block.ts_ns.size) < block.n_context,
        "features": lists(block.features),
        "target": lists(block.target),
        "weight": lists(block.weight),
    }
    shared = dataclasses.asdict(dataclasses.replace(header, settings={}))
    return pa.table(columns).replace_schema_metadata({_METADATA: json.dumps(shared)})


@contextlib.contextmanager
def _one_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise OperationError(f"{folder} cannot be written: {why}; nothing of it was kept") from error
