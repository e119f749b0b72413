"""Framing: what is encoded comes back, bit for bit, and what is no frame is refused."""

from __future__ import annotations

import struct

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.core.market import BarBatch, QuoteBatch, TradeBatch
from trader.core.protocols import FeedBatch, MarketBatch
from trader.runtime.frames import END, HEADER_BYTES, FrameError, decode_header, decode_payload, encode

INT64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def _tables(draw: st.DrawFn) -> MarketBatch:
    """Any bits in any column: NaN payloads, infinities and negative zeros included; strided or not."""
    kind = draw(st.sampled_from([TradeBatch, QuoteBatch, BarBatch]))
    n_rows, step = draw(st.integers(0, 40)), draw(st.sampled_from([1, 2]))

    def column(dtype: type[np.generic]) -> np.ndarray:
        size = n_rows * step * np.dtype(dtype).itemsize
        return draw(npst.arrays(np.uint8, size)).view(dtype)[::step]

    return kind(**{name: column(dtype) for name, dtype in kind.DTYPES.items()})


@given(data=_tables(), seq=INT64, watermark_ns=INT64)
def test_a_batch_comes_back_bit_for_bit(data: MarketBatch, seq: int, watermark_ns: int) -> None:
    """Number, watermark, kind and every bit of every column; the columns are aligned, contiguous and read-only."""
    frame = encode(FeedBatch(seq, watermark_ns, data))
    header = decode_header(frame)
    assert len(frame) == HEADER_BYTES + header.payload_bytes
    batch = decode_payload(header, bytearray(frame[HEADER_BYTES:]))
    assert (batch.seq, batch.watermark_ns, type(batch.data)) == (seq, watermark_ns, type(data))
    for name, column in batch.data.columns().items():
        assert column.tobytes() == getattr(data, name).tobytes()
        assert column.dtype == data.DTYPES[name]
        assert column.flags.aligned
        assert column.flags.c_contiguous
        assert not column.flags.writeable


def test_the_end_is_a_frame_of_its_own() -> None:
    """It has no table and no payload."""
    header = decode_header(END)
    assert len(END) == HEADER_BYTES
    assert header.table is None
    assert header.payload_bytes == 0
    with pytest.raises(FrameError, match="has no batch"):
        decode_payload(header, bytearray())


@pytest.mark.parametrize(("kind", "n_rows", "match"), [(9, 1, "kind 9"), (1, -1, "-1 rows"), (2, 1 << 60, "rows")])
def test_what_is_no_header_is_refused(kind: int, n_rows: int, match: str) -> None:
    """An unknown kind, a negative number of rows, and one that no memory holds."""
    with pytest.raises(FrameError, match=match):
        decode_header(struct.pack("<qqqB7x", 0, 0, n_rows, kind))
