"""Training data larger than memory: a panel as Parquet files, each of which makes its windows alone.

A folder of panel files holds `panel.json`, the manifest, and files of consecutive instants. A file begins with the
last `overlap` instants of the one before it, marked as context: windows of up to ``overlap + 1`` instants that end in
a file need no other. One row is one instant:

========== ================================== ==================================================
column     type                               meaning
========== ================================== ==================================================
ts_ns      int64                              close stamp
is_context bool                               repeated from the file before
features   list of n_symbols · n_features f4  symbol by symbol; NaN is missing
target     list of n_symbols f4               NaN is unknown
weight     list of n_symbols f4               how much the label counts; see below
========== ================================== ==================================================

A label counts 0 where it is unknown, or where fewer than half of the features are known. The manifest lists size,
SHA-256 and figures (`PanelStats`) of every file. A file is checked against it whenever it is read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, NotFoundError
from trader.models.checksums import content_hash
from trader.models.panel_stats import PanelStats

__all__ = ["MANIFEST_FILE", "PanelBlock", "PanelFile", "PanelFiles", "PanelHeader", "Span", "open_panel"]

IntArray = NDArray[np.int64]
Float32Array = NDArray[np.float32]

MANIFEST_FILE = "panel.json"
_FORMAT = 1


@dataclasses.dataclass(frozen=True, slots=True)
class PanelHeader:
    """What all files of a panel share.

    Parameters
    ----------
    feature_names, symbols : tuple of str
    horizon : int
        Bars that the target looks ahead of its entry.
    overlap : int
        Instants of the past that a file begins with, as far as there are any.
    fingerprint : str
        Of the data that the panel was made of.
    settings : mapping
        What it was made with, ready for JSON; the manifest alone keeps them.
    """

    feature_names: tuple[str, ...]
    symbols: tuple[str, ...]
    horizon: int
    overlap: int
    fingerprint: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class PanelFile:
    """One file, as the manifest knows it.

    Parameters
    ----------
    name : str
    sha256 : str
    first : int
        Position in the panel of the first instant after the context.
    n_context, n_slices : int
        Instants of context, and instants of its own.
    span_ns : tuple of int
        First and last stamp of its own instants.
    stats : PanelStats
    """

    name: str
    sha256: str
    first: int
    n_context: int
    n_slices: int
    span_ns: tuple[int, int]
    stats: PanelStats

    @property
    def end(self) -> int:
        """Position in the panel after its last instant."""
        return self.first + self.n_slices

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return plain | {"span_ns": list(self.span_ns), "stats": self.stats.to_dict()}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PanelBlock:
    """The instants of a file, in order; n_rows = n_context + its own.

    Parameters
    ----------
    first : int
        Position in the panel of the first instant after the context.
    n_context : int
    ts_ns : ndarray of shape (n_rows,)
    features : ndarray of shape (n_rows, n_symbols, n_features)
    target, weight : ndarray of shape (n_rows, n_symbols)
    """

    first: int
    n_context: int
    ts_ns: IntArray
    features: Float32Array
    target: Float32Array
    weight: Float32Array

    def cut(self, start: int, stop: int, n_context: int) -> PanelBlock:
        """Return its instants at positions `start` to `stop` (exclusive) of the panel, with the past before them.

        The past is of `n_context` instants, or of as many as there are; only at the beginning of the panel are there
        fewer than the overlap of the files.
        """
        begin = start - self.first + self.n_context
        past = min(begin, n_context)
        rows = slice(begin - past, begin + stop - start)
        return PanelBlock(
            start, past, *(getattr(self, name)[rows] for name in ("ts_ns", "features", "target", "weight"))
        )

    def stats(self) -> PanelStats:
        """Return the figures of its own instants."""
        own = slice(self.n_context, None)
        return PanelStats.of(self.first, self.features[own], self.target[own], self.weight[own])


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """A file, and which of its instants are meant: positions `start` to `stop` (exclusive) of the panel."""

    file: PanelFile
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclasses.dataclass(frozen=True, slots=True)
class PanelFiles:
    """A folder of panel files; `open_panel` opens one.

    Parameters
    ----------
    folder : Path
    header : PanelHeader
    files : tuple of PanelFile
        In order of time.
    """

    folder: Path
    header: PanelHeader
    files: tuple[PanelFile, ...]

    def __len__(self) -> int:
        return self.files[-1].end

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all files: equal for equal content."""
        return content_hash({file.name: file.sha256 for file in self.files})

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last stamp."""
        return self.files[0].span_ns[0], self.files[-1].span_ns[1]

    def spans(self, start: int, stop: int) -> tuple[Span, ...]:
        """Return the parts of the files that hold positions `start` to `stop` (exclusive)."""
        cut = (Span(file, max(start, file.first), min(stop, file.end)) for file in self.files)
        return tuple(span for span in cut if span.start < span.stop)

    def read(self, file: PanelFile) -> PanelBlock:
        """Return what a file holds.

        Raises
        ------
        DataError
            If it is missing, or not the file that the manifest lists.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / file.name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise DataError(f"{path} was changed: its SHA-256 is not the one in {MANIFEST_FILE}")
        table = pq.read_table(pa.BufferReader(content), use_threads=False)
        n_symbols, n_features = len(self.header.symbols), len(self.header.feature_names)

        def panel(name: str, *shape: int) -> Float32Array:
            values: Float32Array = table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            return values.reshape(-1, *shape)

        return PanelBlock(
            first=file.first,
            n_context=file.n_context,
            ts_ns=table.column("ts_ns").to_numpy(),
            features=panel("features", n_symbols, n_features),
            target=panel("target", n_symbols),
            weight=panel("weight", n_symbols),
        )

    def read_span(self, span: Span, n_context: int) -> PanelBlock:
        """Return the instants of a span with the past before them; see `PanelBlock.cut`."""
        return self.read(span.file).cut(span.start, span.stop, n_context)

    def blocks(self) -> Iterator[PanelBlock]:
        """Yield what the files hold, one at a time."""
        return map(self.read, self.files)

    def stats(self, start: int, stop: int) -> PanelStats:
        """Return the figures of positions `start` to `stop` (exclusive); files that lie across an end are read."""
        parts = (
            span.file.stats if len(span) == span.file.n_slices else self.read_span(span, 0).stats()
            for span in self.spans(start, stop)
        )
        return PanelStats.merged(parts, len(self.header.feature_names))

    def save_manifest(self) -> None:
        """Write the manifest into the folder."""
        content = {
            "format": _FORMAT,
            **dataclasses.asdict(self.header),
            "fingerprint_of_files": self.fingerprint,
            "files": [file.to_dict() for file in self.files],
        }
        (self.folder / MANIFEST_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def open_panel(folder: Path) -> PanelFiles:
    """Read the manifest of a folder of panel files.

    Raises
    ------
    NotFoundError
        If there is none.
    DataError
        If it cannot be read or does not hold together.
    """
    path = folder / MANIFEST_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise DataError(f"{path} has format {content['format']}; {_FORMAT} is allowed")
        panel = PanelFiles(folder, _header(content), tuple(_file(entry) for entry in content["files"]))
        fingerprint = content["fingerprint_of_files"]
    except FileNotFoundError:
        raise NotFoundError(
            f"{folder} holds no panel: {MANIFEST_FILE} is missing; `trader data panel` writes one"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a manifest of panel files: {error!r}") from error
    firsts = [0, *(file.end for file in panel.files)]
    if not panel.files or [file.first for file in panel.files] != firsts[:-1] or panel.fingerprint != fingerprint:
        raise DataError(f"{path} does not hold together: it was changed, or cut short")
    return panel


def _header(content: Mapping[str, Any]) -> PanelHeader:
    return PanelHeader(
        feature_names=tuple(map(str, content["feature_names"])),
        symbols=tuple(map(str, content["symbols"])),
        horizon=int(content["horizon"]),
        overlap=int(content["overlap"]),
        fingerprint=str(content["fingerprint"]),
        settings=dict(content["settings"]),
    )


def _file(entry: Mapping[str, Any]) -> PanelFile:
    name = str(entry["name"])
    if Path(name).name != name:
        raise ValueError(f"{name!r} is not a plain file name")
    first_ns, last_ns = entry["span_ns"]
    return PanelFile(
        name=name,
        sha256=str(entry["sha256"]),
        first=int(entry["first"]),
        n_context=int(entry["n_context"]),
        n_slices=int(entry["n_slices"]),
        span_ns=(int(first_ns), int(last_ns)),
        stats=PanelStats.from_dict(entry["stats"]),
    )
