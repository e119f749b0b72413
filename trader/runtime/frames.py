"""Feed batches as bytes: a fixed header, then the raw columns.

::

    offset  bytes  field
    0       8      seq, int64
    8       8      watermark_ns, int64
    16      8      n_rows, int64
    24      1      kind: 0 end of the feed, 1 trades, 2 quotes, 3 bars
    25      7      zero
    32             the columns in the order of `DTYPES`, each filled up with zeros to a multiple of 8 bytes

All numbers are little-endian. Columns start at multiples of 8, so the arrays that a receiver lays over them are
aligned, and compiled code takes them as it takes any other.
"""

from __future__ import annotations

import dataclasses
import struct
import sys
from collections.abc import Iterator

import numpy as np

from trader.core.errors import OperationError
from trader.core.market import BarBatch, QuoteBatch, TradeBatch
from trader.core.protocols import FeedBatch, MarketBatch

__all__ = ["END", "HEADER_BYTES", "FrameError", "FrameHeader", "decode_header", "decode_payload", "encode"]

_HEADER = struct.Struct("<qqqB7x")
_KINDS: dict[int, type[MarketBatch]] = {1: TradeBatch, 2: QuoteBatch, 3: BarBatch}
_CODES = {table: code for code, table in _KINDS.items()}
_END_CODE = 0
_ALIGNMENT = 8
_MAX_PAYLOAD = 1 << 34
"""More than any feed sends at once; a header that asks for more is not one."""

HEADER_BYTES = _HEADER.size
END = _HEADER.pack(-1, 0, 0, _END_CODE)
"""The frame that says that the feed has ended."""


class FrameError(OperationError):
    """Bytes that are not a frame."""


@dataclasses.dataclass(frozen=True, slots=True)
class FrameHeader:
    """What comes before the columns; `table` is None at the end of the feed."""

    seq: int
    watermark_ns: int
    n_rows: int
    table: type[MarketBatch] | None

    @property
    def payload_bytes(self) -> int:
        """How many bytes of columns follow."""
        return 0 if self.table is None else sum(size for _, _, size in _layout(self.table, self.n_rows))


def encode(batch: FeedBatch) -> bytes:
    """Return a batch as one frame.

    Examples
    --------
    >>> frame = encode(FeedBatch(7, 1_000, TradeBatch.empty()))
    >>> decode_header(frame).seq, len(frame) == HEADER_BYTES
    (7, True)
    """
    if sys.byteorder != "little":
        raise FrameError(f"this machine is {sys.byteorder}-endian; frames are little-endian")
    n_rows = len(batch.data)
    parts: list[bytes | memoryview] = [_HEADER.pack(batch.seq, batch.watermark_ns, n_rows, _CODES[type(batch.data)])]
    if n_rows:
        columns = batch.data.columns()
        for name, dtype, size in _layout(type(batch.data), n_rows):
            parts.append(np.ascontiguousarray(columns[name]).data.cast("B"))
            parts.append(bytes(size - n_rows * dtype.itemsize))
    return b"".join(parts)


def decode_header(frame: bytes | bytearray | memoryview) -> FrameHeader:
    """Read the header at the beginning of `frame`.

    Raises
    ------
    FrameError
        If its kind is unknown, or it has a number of rows that no feed sends.
    """
    seq, watermark_ns, n_rows, code = _HEADER.unpack_from(frame)
    if code == _END_CODE:
        return FrameHeader(seq, watermark_ns, n_rows, None)
    if code not in _KINDS:
        raise FrameError(f"frame of kind {code}; {_END_CODE} and {sorted(_KINDS)} are allowed")
    header = FrameHeader(seq, watermark_ns, n_rows, _KINDS[code])
    if n_rows < 0 or header.payload_bytes > _MAX_PAYLOAD:
        raise FrameError(f"frame of {n_rows} rows; 0 or more that fit into {_MAX_PAYLOAD} bytes are allowed")
    return header


def decode_payload(header: FrameHeader, payload: bytearray) -> FeedBatch:
    """Return the batch of a frame; its columns are views of `payload`, which the caller gives away."""
    if header.table is None:
        raise FrameError("the end of a feed has no batch")
    columns, offset = {}, 0
    for name, dtype, size in _layout(header.table, header.n_rows):
        columns[name] = np.frombuffer(payload, dtype, header.n_rows, offset)
        offset += size
    return FeedBatch(header.seq, header.watermark_ns, header.table(**columns))


def _layout(table: type[MarketBatch], n_rows: int) -> Iterator[tuple[str, np.dtype[np.generic], int]]:
    """Yield name, dtype and padded size in bytes of each column."""
    for name, kind in table.DTYPES.items():
        dtype = np.dtype(kind)
        yield name, dtype, -(-n_rows * dtype.itemsize // _ALIGNMENT) * _ALIGNMENT
