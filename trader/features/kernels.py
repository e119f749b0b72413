"""The compiled loop that runs the steps of all families over a block of bars."""

from __future__ import annotations

import functools
import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.features.amihud import amihud_step
from trader.features.atr import atr_step
from trader.features.autocorrelation import autocorrelation_step
from trader.features.bollinger import bollinger_step
from trader.features.dates import calendar_step
from trader.features.drawdown import drawdown_step
from trader.features.ewma import ewma_step
from trader.features.extremes import extremes_step
from trader.features.family import (
    CLOSE,
    COLUMNS,
    DAY,
    DAY_FRACTION,
    HIGH,
    LOG_BODY,
    LOG_CLOSE,
    LOG_DOWN,
    LOG_RETURN,
    LOG_UP,
    LOW,
    OPEN,
    PREVIOUS_CLOSE,
)
from trader.features.flow import flow_step
from trader.features.garman_klass import garman_klass_step
from trader.features.jit import compiled
from trader.features.macd import macd_step
from trader.features.momentum import momentum_step
from trader.features.parkinson import parkinson_step
from trader.features.returns import returns_step
from trader.features.rsi import rsi_step
from trader.features.skewness import skewness_step
from trader.features.spread import spread_step
from trader.features.volatility import volatility_step
from trader.features.volume import volume_step
from trader.features.vwap import vwap_step
from trader.features.yang_zhang import yang_zhang_step

__all__ = ["AT", "COLUMN", "HEAD", "WANTED", "block_kernel"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HEAD = 2
"""Floats before the first block of a symbol's memory: its last close and the log of it."""

AT, COLUMN, WANTED = 0, 1, 2
"""Rows of a plan: where each family's block and its features begin, and the bits of its inputs (-1: not run)."""

_N_FIELDS = 8
_N_COLUMNS = len(COLUMNS)
_DAY_NS = 86_400_000_000_000


@compiled
def _read_bar(ts_ns: int, fields: FloatArray, first: int, mem: FloatArray, at: int, bar: FloatArray) -> int:
    """Fill a bar's `COLUMNS`, remember its close, and return the bits of the columns that are not NaN."""
    for i in range(_N_FIELDS):
        bar[i] = fields[first + i]
    log_close = math.log(bar[CLOSE])
    bar[LOG_CLOSE] = log_close
    bar[LOG_RETURN] = log_close - mem[at + 1]
    bar[PREVIOUS_CLOSE] = mem[at]
    mem[at] = bar[CLOSE]
    mem[at + 1] = log_close
    day = (ts_ns - 1) // _DAY_NS
    bar[DAY] = day
    bar[DAY_FRACTION] = (ts_ns - day * _DAY_NS) / _DAY_NS
    bar[LOG_BODY] = bar[LOG_UP] = bar[LOG_DOWN] = np.nan
    if not math.isnan(bar[OPEN]):
        scale = 1.0 / bar[OPEN]
        bar[LOG_BODY] = math.log(scale * bar[CLOSE])
        bar[LOG_UP] = math.log(scale * bar[HIGH])
        bar[LOG_DOWN] = math.log(scale * bar[LOW])
    present = 0
    for i in range(_N_COLUMNS):
        present |= (0 if math.isnan(bar[i]) else 1) << i
    return present


@compiled
def _run_steps(
    bar: FloatArray, present: int, plan: IntArray, mem: FloatArray, first: int, row: FloatArray, start: int
) -> None:
    if present & plan[WANTED, 0] == plan[WANTED, 0]:
        returns_step(bar, mem, first + plan[AT, 0], row, start + plan[COLUMN, 0])
    if present & plan[WANTED, 1] == plan[WANTED, 1]:
        momentum_step(bar, mem, first + plan[AT, 1], row, start + plan[COLUMN, 1])
    if present & plan[WANTED, 2] == plan[WANTED, 2]:
        volatility_step(bar, mem, first + plan[AT, 2], row, start + plan[COLUMN, 2])
    if present & plan[WANTED, 3] == plan[WANTED, 3]:
        ewma_step(bar, mem, first + plan[AT, 3], row, start + plan[COLUMN, 3])
    if present & plan[WANTED, 4] == plan[WANTED, 4]:
        rsi_step(bar, mem, first + plan[AT, 4], row, start + plan[COLUMN, 4])
    if present & plan[WANTED, 5] == plan[WANTED, 5]:
        macd_step(bar, mem, first + plan[AT, 5], row, start + plan[COLUMN, 5])
    if present & plan[WANTED, 6] == plan[WANTED, 6]:
        bollinger_step(bar, mem, first + plan[AT, 6], row, start + plan[COLUMN, 6])
    if present & plan[WANTED, 7] == plan[WANTED, 7]:
        extremes_step(bar, mem, first + plan[AT, 7], row, start + plan[COLUMN, 7])
    if present & plan[WANTED, 8] == plan[WANTED, 8]:
        drawdown_step(bar, mem, first + plan[AT, 8], row, start + plan[COLUMN, 8])
    if present & plan[WANTED, 9] == plan[WANTED, 9]:
        skewness_step(bar, mem, first + plan[AT, 9], row, start + plan[COLUMN, 9])
    if present & plan[WANTED, 10] == plan[WANTED, 10]:
        autocorrelation_step(bar, mem, first + plan[AT, 10], row, start + plan[COLUMN, 10])
    if present & plan[WANTED, 11] == plan[WANTED, 11]:
        calendar_step(bar, mem, first + plan[AT, 11], row, start + plan[COLUMN, 11])
    if present & plan[WANTED, 12] == plan[WANTED, 12]:
        parkinson_step(bar, mem, first + plan[AT, 12], row, start + plan[COLUMN, 12])
    if present & plan[WANTED, 13] == plan[WANTED, 13]:
        garman_klass_step(bar, mem, first + plan[AT, 13], row, start + plan[COLUMN, 13])
    if present & plan[WANTED, 14] == plan[WANTED, 14]:
        yang_zhang_step(bar, mem, first + plan[AT, 14], row, start + plan[COLUMN, 14])
    if present & plan[WANTED, 15] == plan[WANTED, 15]:
        atr_step(bar, mem, first + plan[AT, 15], row, start + plan[COLUMN, 15])
    if present & plan[WANTED, 16] == plan[WANTED, 16]:
        volume_step(bar, mem, first + plan[AT, 16], row, start + plan[COLUMN, 16])
    if present & plan[WANTED, 17] == plan[WANTED, 17]:
        amihud_step(bar, mem, first + plan[AT, 17], row, start + plan[COLUMN, 17])
    if present & plan[WANTED, 18] == plan[WANTED, 18]:
        flow_step(bar, mem, first + plan[AT, 18], row, start + plan[COLUMN, 18])
    if present & plan[WANTED, 19] == plan[WANTED, 19]:
        vwap_step(bar, mem, first + plan[AT, 19], row, start + plan[COLUMN, 19])
    if present & plan[WANTED, 20] == plan[WANTED, 20]:
        spread_step(bar, mem, first + plan[AT, 20], row, start + plan[COLUMN, 20])


@functools.cache
def block_kernel() -> Any:
    """Return the compiled loop `run_block(ts_ns, fields, memory, last, plan, out)`.

    Shapes: `fields` (n_slices, n_symbols, 8), `memory` (n_symbols, n_floats), `last` (n_symbols, n_features) the
    newest row of each symbol, `plan` (3, n_families), `out` (n_slices, n_symbols, n_features). A symbol
    without a close at an instant repeats its row before. There is at least one slice.
    """
    # numba's cache knows the file of a loop, but not the files of the functions compiled into it. A digest of
    # them in the closure makes the cached loop as new as the newest of them.
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return _compile(int.from_bytes(hashlib.sha256(sources).digest()[:7], "big"))


def _compile(sources: int) -> Any:
    @njit(cache=True)
    def run_block(
        ts_ns: IntArray, fields: FloatArray, memory: FloatArray, last: FloatArray, plan: IntArray, out: FloatArray
    ) -> int:
        # Flat arrays and offsets: a view for each bar would cost more than most features.
        bar = np.empty(_N_COLUMNS)
        n_slices, n_symbols, n_features = out.shape
        n_floats = memory.shape[1]
        source, mem, rows = fields.reshape(-1), memory.reshape(-1), out.reshape(-1)
        for s in range(n_symbols):
            for t in range(n_slices):
                place = t * n_symbols + s
                row = place * n_features
                if math.isnan(source[place * _N_FIELDS + CLOSE]):
                    for i in range(n_features):
                        rows[row + i] = last[s, i] if t == 0 else rows[row - n_symbols * n_features + i]
                    continue
                for i in range(n_features):
                    rows[row + i] = np.nan
                present = _read_bar(ts_ns[t], source, place * _N_FIELDS, mem, s * n_floats, bar)
                _run_steps(bar, present, plan, mem, s * n_floats, rows, row)
            for i in range(n_features):
                last[s, i] = out[n_slices - 1, s, i]
        return sources

    return run_block
