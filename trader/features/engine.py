"""The feature engine: bars in, one row of features a symbol and instant out, state carried over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, SettingsError
from trader.core.market import BAR_FIELDS, BarPanel
from trader.features.families import FAMILIES, choose
from trader.features.family import COLUMNS, Family
from trader.features.kernels import AT, COLUMN, HEAD, WANTED, block_kernel
from trader.settings import FeatureSettings

__all__ = ["FeatureEngine"]

FloatArray = NDArray[np.float64]

_MAX_STATE_BYTES = 4 << 30


class FeatureEngine:
    """Computes per-symbol features bar by bar.

    Symbols do not meet, so an engine over some of the symbols gives the same values for them as one over all;
    and any split of a panel into blocks gives the same values, bit for bit.

    Parameters
    ----------
    n_symbols : int
        Columns of the panels to come.
    fields : frozenset of str
        The `BAR_FIELDS` that the panels carry; families that need others are left out.
    settings : FeatureSettings
        Families to compute (empty: all), and bars a day, which scales their windows.

    Raises
    ------
    SettingsError
        If a family or a field does not exist, or the windows would not fit into memory.

    Notes
    -----
    *Rows.* At an instant where a symbol has no bar (NaN close), its row of features is that of its last bar; NaN
    before its first. Features see the bars that exist: a window of 21 counts 21 bars of the symbol.

    *Missing fields.* A family skips a bar in which one of its fields is NaN, and its features are NaN at that bar.

    *Undefined.* A feature that is not warm yet, or a ratio of zeros, is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from trader.core.market import BarBatch, BarPanel
    >>> from trader.settings import FeatureSettings
    >>> engine = FeatureEngine(1, frozenset({"close"}), FeatureSettings(families=("returns",)))
    >>> engine.names[:2], engine.warmup
    (('return_1d', 'return_2d'), 253)
    >>> nothing, ts = np.full(2, np.nan), np.array([1, 2])
    >>> close = np.array([1.0, np.e])
    >>> bars = BarBatch(ts, ts, 0 * ts, nothing, nothing, nothing, close, nothing, nothing, nothing, nothing, 0 * ts)
    >>> engine.update(BarPanel.from_bars(bars, 1))[:, 0, 0]
    array([nan,  1.])
    """

    def __init__(self, n_symbols: int, fields: frozenset[str], settings: FeatureSettings) -> None:
        self._families, self.left_out = choose(fields, settings)
        self._fields = tuple((place, name) for place, name in enumerate(BAR_FIELDS) if name in fields)
        self._plan = np.full((3, len(FAMILIES)), -1, np.int64)
        names: list[str] = []
        at = HEAD
        for place, family in self._families.items():
            self._plan[AT, place] = at
            self._plan[COLUMN, place] = len(names)
            self._plan[WANTED, place] = sum(1 << COLUMNS.index(name) for name in {"close", *family.inputs})
            names += family.names
            at += family.block.size
        self.names: tuple[str, ...] = tuple(names)
        self._block = np.concatenate([np.full(HEAD, np.nan), *(family.block for family in self._families.values())])
        needed = n_symbols * self._block.nbytes
        if needed > _MAX_STATE_BYTES:
            raise SettingsError(
                f"features.bars_per_day={settings.bars_per_day:g} makes the windows of {n_symbols} symbols take "
                f"{needed / 2**30:.1f} GiB; {_MAX_STATE_BYTES / 2**30:g} are allowed: lower it, or name fewer "
                "features.families"
            )
        self._memory = np.tile(self._block, (n_symbols, 1))
        self._last = np.full((n_symbols, len(names)), np.nan)
        self._bars = np.full((1, n_symbols, len(BAR_FIELDS)), np.nan)
        self._ts_ns = np.empty(1, np.int64)
        self._run = block_kernel()

    @property
    def n_symbols(self) -> int:
        """Columns of the panels it takes."""
        return self._last.shape[0]

    @property
    def families(self) -> tuple[Family, ...]:
        """The families that are computed, in order of their features."""
        return tuple(self._families.values())

    @property
    def warmup(self) -> int:
        """Bars of a symbol after which all its features are finite on ordinary data."""
        return max((family.warmup for family in self._families.values()), default=0)

    def update(self, panel: BarPanel) -> FloatArray:
        """Return the features at every instant of the panel, shape (n_slices, n_symbols, n_features).

        Raises
        ------
        DataError
            If the panel has another number of symbols.
        """
        n_slices = panel.ts_ns.size
        if panel.close.shape[1] != self.n_symbols:
            raise DataError(f"the panel has {panel.close.shape[1]} symbols; the engine has {self.n_symbols}")
        out = np.empty((n_slices, *self._last.shape))
        if n_slices == 0:
            return out
        if self._bars.shape[0] != n_slices:
            self._bars = np.full((n_slices, self.n_symbols, len(BAR_FIELDS)), np.nan)
            self._ts_ns = np.empty(n_slices, np.int64)
        # Copies, so that the loop is compiled for one memory layout whatever the panel has.
        self._ts_ns[:] = panel.ts_ns
        for place, name in self._fields:
            self._bars[:, :, place] = getattr(panel, name)
        self._run(self._ts_ns, self._bars, self._memory, self._last, self._plan, out)
        return out

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of everything needed to go on, as arrays by name."""
        return {"memory": self._memory.copy(), "last": self._last.copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned.

        Raises
        ------
        DataError
            If it belongs to an engine of other symbols or features.
        """
        for name, mine in (("memory", self._memory), ("last", self._last)):
            if state[name].shape != mine.shape:
                raise DataError(f"state[{name!r}] has shape {state[name].shape}; this engine needs {mine.shape}")
        self._memory[:] = state["memory"]
        self._last[:] = state["last"]
