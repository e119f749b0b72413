"""Compiled steps of paths: what a pass per operation over the values of all assets would cost too much for."""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

__all__ = ["grow_assets", "grow_portfolio"]


@njit(cache=True)
def grow_assets(
    values: NDArray[Any],
    shocks: NDArray[Any],
    growth: NDArray[Any],
    cash: NDArray[Any],
    peak: NDArray[Any],
    drawdown: NDArray[Any],
    equity: NDArray[Any],
) -> None:
    """Let positions grow by `growth + shocks`, never below nothing, and note the portfolio's value and drawdown.

    `values` and `shocks` have shape (n_assets, n_paths), `growth` is one plus the mean return, shape (n_assets,);
    `cash` has one element, so that its type is that of the rest.
    """
    for path in range(equity.size):
        equity[path] = cash[0]
    zero = cash[0] - cash[0]
    for asset in range(values.shape[0]):
        middle = growth[asset]
        for path in range(equity.size):
            factor = middle + shocks[asset, path]
            value = values[asset, path] * (factor if factor > zero else zero)
            values[asset, path] = value
            equity[path] += value
    _note(equity, peak, drawdown)


@njit(cache=True)
def grow_portfolio(returns: NDArray[Any], peak: NDArray[Any], drawdown: NDArray[Any], equity: NDArray[Any]) -> None:
    """Let portfolios grow by their returns; one that has lost all stays at nothing."""
    zero = equity[0] - equity[0]
    for path in range(equity.size):
        value = equity[path] + equity[path] * returns[path]
        equity[path] = value if value > zero else zero
    _note(equity, peak, drawdown)


@njit(cache=True)
def _note(equity: NDArray[Any], peak: NDArray[Any], drawdown: NDArray[Any]) -> None:
    """Raise the peaks, and the greatest fall from one."""
    for path in range(equity.size):
        value = equity[path]
        top = peak[path] if peak[path] > value else value
        fall = (top - value) / top
        peak[path] = top
        drawdown[path] = drawdown[path] if drawdown[path] > fall else fall
