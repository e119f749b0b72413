"""Joining the outputs of the shards into one panel of all symbols."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BAR_FIELDS, BarPanel
from trader.engine.shard import ShardOutput

__all__ = ["Joined", "join_shards", "split_symbols"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Joined:
    """All symbols of one feed batch: bars, and features of shape (n_slices, n_symbols, n_features)."""

    panel: BarPanel
    features: FloatArray


def split_symbols(n_symbols: int, n_shards: int) -> list[NDArray[np.int32]]:
    """Return the ascending symbol ids of each shard; there are never more shards than symbols.

    >>> [part.tolist() for part in split_symbols(5, 2)]
    [[0, 2, 4], [1, 3]]
    """
    n_shards = min(n_shards, n_symbols)
    return [np.arange(shard, n_symbols, n_shards, dtype=np.int32) for shard in range(n_shards)]


def join_shards(outputs: Sequence[ShardOutput], symbol_ids: Sequence[NDArray[np.int32]]) -> Joined:
    """Merge the outputs of all shards for one batch.

    Instants are the union over the shards. A symbol without a bar at an instant keeps the features of its last
    bar, so the result does not depend on how symbols are spread over shards.

    Parameters
    ----------
    outputs : sequence of ShardOutput
        One a shard, in the order of `symbol_ids`.
    symbol_ids : sequence of ndarray of int32
        The symbols of each shard.
    """
    if len(outputs) == 1:
        return _only(outputs[0])
    n_symbols = sum(ids.size for ids in symbol_ids)
    n_features = outputs[0].features.shape[2]
    ts_ns = np.unique(np.concatenate([output.panel.ts_ns for output in outputs]))
    fields = {name: np.full((ts_ns.size, n_symbols), np.nan) for name in BAR_FIELDS}
    ts_open = np.repeat(ts_ns[:, None], n_symbols, axis=1)
    features = np.full((ts_ns.size, n_symbols, n_features), np.nan)
    carry = np.empty((n_symbols, n_features))
    for output, ids in zip(outputs, symbol_ids, strict=True):
        cells = np.ix_(np.searchsorted(ts_ns, output.panel.ts_ns), ids)
        for name, dense in fields.items():
            dense[cells] = getattr(output.panel, name)
        ts_open[cells] = output.panel.ts_open_ns
        features[cells] = output.features
        carry[ids] = output.carry
    panel = BarPanel(ts_ns=ts_ns, ts_open_ns=ts_open, **fields)
    has_bar = np.isfinite(panel.close)
    if not has_bar.all():
        _carry_forward(features, has_bar, carry)
    return Joined(panel, features)


def _only(output: ShardOutput) -> Joined:
    """Return what a single shard made of all symbols, uncopied unless a bar is missing."""
    features, has_bar = output.features, np.isfinite(output.panel.close)
    if not has_bar.all():
        features = features.copy()
        _carry_forward(features, has_bar, output.carry)
    return Joined(output.panel, features)


def _carry_forward(features: FloatArray, has_bar: NDArray[np.bool_], carry: FloatArray) -> None:
    """Give symbols without a bar the features of their last one, in place."""
    for row in range(features.shape[0]):
        before = carry if row == 0 else features[row - 1]
        missing = ~has_bar[row]
        features[row, missing] = before[missing]
