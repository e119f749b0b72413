"""Opening a CSV or Parquet file as an Arrow table, with one-line errors."""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path
from typing import Any

from trader.core.errors import DataError, NotFoundError

__all__ = ["open_table"]

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_HEADER_BYTES = 1 << 16


def open_table(path: Path, text_columns: frozenset[str]) -> Any:
    """Return the file as a `pyarrow.Table`.

    The content decides how it is read, not the name: Parquet and gzip are known by their first bytes, anything else
    is CSV with a header, delimited by comma, semicolon, tab or bar.

    Parameters
    ----------
    path : Path
        The file; or a folder, whose Parquet files, at any depth and in order of their names, are one table.
    text_columns : frozenset of str
        Lower-case names of columns kept as text in a CSV (tickers such as `000001` or `NA`).

    Raises
    ------
    NotFoundError
        If it does not exist.
    DataError
        If it may not be read, is empty, damaged or not in one of the formats, or a folder holds no Parquet file or
        ones of different columns.
    """
    import pyarrow as pa  # imported where used: a quarter of a second

    if path.is_dir():
        return _open_folder(path)
    head = _first_bytes(path)
    try:
        table = _open_parquet(path) if head.startswith(_PARQUET) else _open_csv(path, head, text_columns)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"file {path} is not readable CSV or Parquet: {_one_line(error)}") from None
    if table.num_rows == 0:
        raise DataError(f"file {path} has a header but no rows")
    names = table.column_names
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"file {path} has columns {twice} more than once")
    return table


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEADER_BYTES)
    except FileNotFoundError:
        raise NotFoundError(f"file {path} does not exist") from None
    except PermissionError:
        raise DataError(f"file {path} may not be read: permission denied") from None
    except OSError as error:
        raise DataError(f"file {path} cannot be read: {error.strerror or error}") from None
    if not head:
        raise DataError(f"file {path} is empty")
    return head


def _open_folder(path: Path) -> Any:
    import pyarrow as pa

    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise DataError(f"folder {path} holds no Parquet file")
    try:
        parts = [_open_parquet(file) for file in files]
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"folder {path} holds an unreadable Parquet file: {_one_line(error)}") from None
    names = parts[0].column_names
    for file, part in zip(files, parts, strict=True):
        if part.column_names != names:
            raise DataError(f"files {files[0]} and {file} have different columns; name a folder of one kind")
    return pa.concat_tables(parts)


def _open_parquet(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(path, partitioning=None)


def _open_csv(path: Path, head: bytes, text_columns: frozenset[str]) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    compressed = head.startswith(_GZIP)
    with gzip.open(path, "rb") if compressed else path.open("rb") as stream:
        header = stream.readline(_HEADER_BYTES).decode("utf-8-sig").rstrip("\r\n")
    delimiter = max(",;\t|", key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    as_text = {name: pa.string() for name in names if name.strip().lower() in text_columns}
    with pa.input_stream(str(path), compression="gzip" if compressed else None) as stream:
        return arrow_csv.read_csv(
            stream,
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
            convert_options=arrow_csv.ConvertOptions(column_types=as_text),
        )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
