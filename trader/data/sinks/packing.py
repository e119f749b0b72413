"""Batches as bytes: Arrow's IPC stream format, which any of its libraries reads without us."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from trader.core.errors import DataError
from trader.core.market import BarBatch, QuoteBatch, TradeBatch, Universe
from trader.core.protocols import MarketBatch

__all__ = ["KINDS", "Packed", "pack", "unpack"]

KINDS: dict[str, type[TradeBatch | QuoteBatch | BarBatch]] = {
    "trades": TradeBatch,
    "quotes": QuoteBatch,
    "bars": BarBatch,
}
"""Batches by the name of their kind."""


@dataclasses.dataclass(frozen=True, slots=True)
class Packed:
    """A batch read from a stream; `symbol_id` refers to `universe`, which holds only the symbols of the batch.

    Parameters
    ----------
    id : str
        The stream's own name of the entry.
    source : str
        Who wrote it.
    number : int
        Its number among those of the source, ascending.
    """

    id: str
    source: str
    number: int
    universe: Universe
    batch: MarketBatch


def pack(batch: MarketBatch, universe: Universe) -> bytes:
    """Return a batch as an Arrow IPC stream of one record batch: `symbol` as a dictionary, then the other columns.

    Examples
    --------
    >>> import pyarrow as pa
    >>> trades = TradeBatch([1], [2], [0], [9.5], [1.0], [1])
    >>> pa.ipc.open_stream(pack(trades, Universe(("IBM",)))).read_all().column_names
    ['symbol', 'ts_event_ns', 'ts_recv_ns', 'price', 'size', 'side']
    """
    import pyarrow as pa

    ids = batch.symbol_id
    present = np.flatnonzero(np.bincount(ids, minlength=len(universe)))
    place = np.zeros(len(universe), np.int32)
    place[present] = np.arange(present.size)
    names = pa.array([universe.symbols[n] for n in present], pa.string())
    columns = {"symbol": pa.DictionaryArray.from_arrays(pa.array(place[ids]), names)}
    columns |= {name: pa.array(column) for name, column in batch.columns().items() if name != "symbol_id"}
    table = pa.record_batch(list(columns.values()), list(columns))
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_batch(table)
    content: bytes = out.getvalue().to_pybytes()
    return content


def unpack(kind: str, content: bytes) -> tuple[MarketBatch, Universe]:
    """Return what `pack` was given; the universe holds the symbols that occur.

    Raises
    ------
    DataError
        If `kind` is none of `KINDS`, or `content` is not of that kind.
    """
    import pyarrow as pa

    if kind not in KINDS:
        raise DataError(f"kind={kind!r}; {', '.join(KINDS)} are allowed")
    try:
        table = pa.ipc.open_stream(content).read_all().combine_chunks()
        symbols = table.column("symbol").combine_chunks()
        columns: dict[str, Any] = {
            name: table.column(name).to_numpy() for name in KINDS[kind].DTYPES if name != "symbol_id"
        }
    except (pa.ArrowInvalid, KeyError) as error:
        raise DataError(f"an entry of {len(content)} bytes holds no {kind}: {error}") from None
    if not len(table):
        return KINDS[kind].empty(), Universe(())
    # A table of one record batch has its dictionary as it was written.
    chunk = symbols.chunk(0) if isinstance(symbols, pa.ChunkedArray) else symbols
    columns["symbol_id"] = chunk.indices.to_numpy()
    return KINDS[kind](**columns), Universe(tuple(chunk.dictionary.to_pylist()))
