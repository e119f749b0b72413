"""From a set of instants to what is explained: the model's columns, one day, some symbols."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, NotFoundError
from trader.explain.instant import Instant
from trader.models.background import Background, draw_background
from trader.models.dataset import TrainingSet

__all__ = ["as_model_sees", "background_of", "instant_at", "positions_of"]

IntArray = NDArray[np.int64]


def as_model_sees(data: TrainingSet, feature_names: tuple[str, ...]) -> TrainingSet:
    """Return the set with the columns of a model, in its order.

    Raises
    ------
    DataError
        If a column that the model was fitted on is not there.
    """
    if data.feature_names == feature_names:
        return data
    if missing := [name for name in feature_names if name not in data.feature_names]:
        raise DataError(
            f"the data lack {len(missing)} of the model's {len(feature_names)} features, e.g. {', '.join(missing[:5])}"
        )
    order = [data.feature_names.index(name) for name in feature_names]
    return dataclasses.replace(data, features=data.features[..., order], feature_names=feature_names)


def positions_of(data: TrainingSet, symbols: Sequence[str]) -> IntArray:
    """Return the positions of symbols; none named is all of them.

    Raises
    ------
    NotFoundError
        If one is not in the data.
    """
    for symbol in symbols:
        if symbol not in data.symbols:
            near = difflib.get_close_matches(symbol, data.symbols, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise NotFoundError(f"symbol {symbol!r} is not in the data; they hold {', '.join(data.symbols)}{hint}")
    return np.array([data.symbols.index(symbol) for symbol in symbols or data.symbols], dtype=np.int64)


def instant_at(
    data: TrainingSet, context: int, chosen: IntArray, *, until_ns: int | None = None
) -> tuple[Instant, int]:
    """Return the last instant up to `until_ns` (None: of all), with the past a model of that context reads.

    Returns
    -------
    Instant, int
        And its stamp.

    Raises
    ------
    DataError
        If there is no instant by then.
    """
    at = len(data) if until_ns is None else int(np.searchsorted(data.ts_ns, until_ns, side="right"))
    if at == 0:
        first = np.datetime64(int(data.ts_ns[0]), "ns").astype("datetime64[D]")
        raise DataError(f"the data begin on {first}; there is no instant before it to explain")
    past = data.features[max(0, at - context) : at - 1]
    return Instant.of(data.features[at - 1], past=past, chosen=chosen), int(data.ts_ns[at - 1])


def background_of(data: TrainingSet, seed: int) -> Background:
    """Return a background drawn from the data themselves, for a model that was saved without one."""
    rows = data.features[data.usable]
    if not len(rows):
        raise DataError("no row of the data has half of its features and a label; no background can be drawn from them")
    return draw_background(rows, seed, source=f"drawn by seed {seed} from {len(rows)} of the data explained")
