"""VPIN: the volume-synchronised probability of informed trading.

Source: D. Easley, M. López de Prado and M. O'Hara, *Flow toxicity and liquidity in a high-frequency world*, Review of
Financial Studies 25, 2012; bulk classification by Student's t: the same, *Bulk classification of trading activity*,
2012.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trader.core.columns import Columns
from trader.core.errors import DataError, SettingsError
from trader.core.market import BarBatch
from trader.data.toxicity.kernels import BUCKET_DTYPE, PRICE_DTYPE, fill_buckets, scaled_moves

__all__ = ["CLASSIFIERS", "Classifier", "Vpin", "VpinBatch"]

FloatArray = NDArray[np.float64]
Classifier = Literal["normal", "t", "side"]
"""How much of a bar was bought: by its move through the normal or Student's distribution, or as the bar says."""
CLASSIFIERS: tuple[Classifier, ...] = get_args(Classifier)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class VpinBatch(Columns):
    """Full buckets of volume, in the order in which they filled.

    `ts_ns` is the close of the bar that filled the bucket; `imbalance` is bought less sold over its size, from -1 to 1;
    `vpin` the mean of |imbalance| over the last `window` buckets, from 0 to 1, NaN until there are as many.
    """

    ts_ns: NDArray[np.int64]
    symbol_id: NDArray[np.int32]
    imbalance: FloatArray
    vpin: FloatArray

    DTYPES: ClassVar[Mapping[str, type[np.generic]]] = {
        "ts_ns": np.int64,
        "symbol_id": np.int32,
        "imbalance": np.float64,
        "vpin": np.float64,
    }


class Vpin:
    """Fills buckets of equal volume from bars, and says how one-sided the last of them were.

    Any split of the same bars into batches gives the same buckets. Bars without volume, or with a NaN among what is
    needed, are counted in `skipped` and change nothing. The bought share of a bar is F(move / s), where s² is the mean
    of squared moves from close to close up to this bar, exponentially weighted: the papers' s is that of the whole
    sample, which would look ahead.

    Parameters
    ----------
    n_symbols : int
    bucket : float or array-like of shape (n_symbols,)
        Volume of a bucket, in units; the paper takes a fiftieth of an average day's.
    window : int, default=50
        Buckets of a VPIN.
    classifier : {"normal", "t", "side"}, default="normal"
        `side` takes `buy_volume` of the bars.
    degrees : float, default=0.25
        Degrees of freedom of Student's t.
    half_life : float, default=390
        Bars after which a move weighs half in s.

    Examples
    --------
    >>> one = np.ones(3)
    >>> bars = BarBatch([0, 1, 2], [1, 2, 3], [0, 0, 0], one, one, one, one, volume=[10, 5, 10], vwap=one,
    ...                 buy_volume=[10, 5, 0], spread=one, n_trades=[1, 1, 1])
    >>> found = Vpin(1, bucket=10.0, window=2, classifier="side").update(bars)
    >>> found.imbalance.tolist(), found.vpin.tolist()
    ([1.0, 0.0], [nan, 0.5])
    """

    def __init__(
        self,
        n_symbols: int,
        bucket: ArrayLike,
        window: int = 50,
        classifier: Classifier = "normal",
        *,
        degrees: float = 0.25,
        half_life: float = 390.0,
    ) -> None:
        for name, value in (("n_symbols", n_symbols), ("window", window)):
            if value < 1:
                raise SettingsError(f"{name}={value}; at least 1 is needed")
        for name, number in (("degrees", degrees), ("half_life", half_life)):
            if not (np.isfinite(number) and number > 0):
                raise SettingsError(f"{name}={number}; a finite number above 0 is needed")
        if classifier not in CLASSIFIERS:
            raise SettingsError(f"classifier={classifier!r}; allowed are {', '.join(CLASSIFIERS)}")
        self._sizes = np.array(np.broadcast_to(np.asarray(bucket, np.float64), (n_symbols,)))
        if not (np.isfinite(self._sizes) & (self._sizes > 0)).all():
            raise SettingsError(f"bucket={self._sizes.tolist()}; finite volumes above 0 are needed")
        self._classifier = classifier
        self._degrees = degrees
        self._decay = 0.5 ** (1.0 / half_life)
        self._prices = np.zeros(n_symbols, PRICE_DTYPE)
        self._prices["close"] = np.nan
        self._buckets = np.zeros(n_symbols, BUCKET_DTYPE)
        self._ring = np.zeros((n_symbols, window))
        self.skipped = 0
        """Bars that were left out."""

    def update(self, bars: BarBatch) -> VpinBatch:
        """Take in bars and return the buckets that they fill; an unknown symbol raises DataError."""
        unknown = (bars.symbol_id < 0) | (bars.symbol_id >= self._sizes.size)
        if unknown.any():
            raise DataError(f"symbol_id={bars.symbol_id[unknown][0]} in a bar; allowed are 0 to {self._sizes.size - 1}")
        needed = bars.buy_volume if self._classifier == "side" else bars.close
        usable = (bars.volume > 0) & np.isfinite(bars.volume) & np.isfinite(needed)
        self.skipped += int(usable.size - np.count_nonzero(usable))
        used = bars.take(usable)
        ids, volume = np.ascontiguousarray(used.symbol_id), np.ascontiguousarray(used.volume)
        capacity = int(np.sum(np.floor(volume / self._sizes[ids]))) + len(used)
        rows = np.empty(capacity, np.int64)
        imbalance, vpin = np.empty(capacity), np.empty(capacity)
        share = np.ascontiguousarray(self._share(used))
        n = fill_buckets(ids, volume, share, self._sizes, self._buckets, self._ring, rows, imbalance, vpin)
        at = rows[:n]
        return VpinBatch(used.ts_ns[at], used.symbol_id[at], imbalance[:n], vpin[:n])

    def _share(self, bars: BarBatch) -> FloatArray:
        from scipy import special  # imported where used: the command line does without it

        if self._classifier == "side":
            return np.asarray(np.clip(bars.buy_volume / bars.volume, 0.0, 1.0))
        moves = np.empty(len(bars))
        ids, close = np.ascontiguousarray(bars.symbol_id), np.ascontiguousarray(bars.close)
        scaled_moves(ids, close, self._decay, self._prices, moves)
        below = special.ndtr(moves) if self._classifier == "normal" else special.stdtr(self._degrees, moves)
        return np.asarray(below, np.float64)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of everything needed to go on, as arrays by name."""
        return {
            "sizes": self._sizes.copy(),
            "prices": self._prices.copy(),
            "buckets": self._buckets.copy(),
            "ring": self._ring.copy(),
            "skipped": np.array([self.skipped]),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned; one of other buckets or another window raises DataError."""
        if not np.array_equal(state["sizes"], self._sizes) or state["ring"].shape != self._ring.shape:
            raise DataError(
                f"state of buckets {state['sizes'].tolist()} and a window of {state['ring'].shape[1]}; "
                f"these are {self._sizes.tolist()} and {self._ring.shape[1]}"
            )
        self._prices[:], self._buckets[:], self._ring[:] = state["prices"], state["buckets"], state["ring"]
        self.skipped = int(state["skipped"][0])
