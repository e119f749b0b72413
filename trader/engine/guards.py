"""Trading with deliberate cheats: the platform must notice the future, and noise, when it is handed them.

Tomorrow's return, leaked into the scores, must make an absurd Sharpe ratio: if it does not, orders do not reach the
market as they should. Models trained on shuffled labels must make none: if they do, something looks ahead. The
honest figure means something only between the two.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BarPanel
from trader.core.protocols import Prediction, Predictor
from trader.engine.backtest import run_backtest
from trader.engine.history import read_bars
from trader.engine.prepare import Prepared, Progress, prepare_run, record_run
from trader.settings import Settings
from trader.storage import Store
from trader.validation.bootstrap import bootstrap_interval
from trader.validation.guards import shuffle_labels
from trader.validation.sharpe import sharpe_ratio

__all__ = ["ABSURD_SHARPE", "GuardReport", "GuardResult", "run_guards"]

ABSURD_SHARPE = 5.0
"""Annual Sharpe ratio after costs that only knowledge of the future gives to daily or slower trading."""

_LEVEL = 0.95
_RESAMPLES = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class GuardResult:
    """Annual Sharpe ratio after costs of one variant, with its bootstrap interval."""

    variant: str
    sharpe: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, slots=True)
class GuardReport:
    """The three variants, and whether each cheat showed what it must."""

    honest: GuardResult
    leaked: GuardResult
    shuffled: GuardResult

    @property
    def passed(self) -> bool:
        """Leaked is absurd, shuffled is not above zero, and honest is not absurd."""
        return self.leaked.sharpe > ABSURD_SHARPE > self.honest.sharpe and self.shuffled.low <= 0.0


class _Tomorrow:
    """A predictor that knows the return the next decision's fills will earn.

    It is asked once for every traded instant, in order, so it only has to count.
    """

    def __init__(self, closes: NDArray[np.float64]) -> None:
        # Orders decided at t fill at the close of t + 1 and earn what comes until t + 2.
        known = np.full_like(closes, np.nan)
        known[:-2] = closes[2:] / closes[1:-1] - 1.0
        self._known = known
        self._next = 0

    @property
    def context(self) -> int:
        """It needs no past."""
        return 1

    def __call__(self, features: NDArray[np.float64], n_context: int = 0) -> Prediction:
        rows = slice(self._next, self._next + features.shape[0] - n_context)
        self._next = rows.stop
        score = self._known[rows]
        return Prediction(score, {"tomorrow@0.0.0": score})


def run_guards(settings: Settings, on_progress: Progress | None = None) -> GuardReport:
    """Backtest honestly, with tomorrow's return leaked, and with shuffled labels, in a temporary store."""
    with tempfile.TemporaryDirectory() as folder:
        kept = settings.model_copy(
            update={
                "run": settings.run.model_copy(update={"runs_dir": Path(folder)}),
                "store": settings.store.model_copy(update={"url": None}),
            }
        )
        with Store.open(kept.store_url, synchronous="normal") as store:
            honest = prepare_run(kept, store, mode="backtest", on_progress=on_progress)
            results = {"honest": _trade(honest, store, None)}
            results["leaked"] = _trade(_cheating(honest, store, "leaked"), store, _tomorrow(honest))
            shuffled = prepare_run(
                kept,
                store,
                mode="backtest",
                on_progress=on_progress,
                transform_target=_shuffler(settings.run.seed),
            )
            results["shuffled"] = _trade(shuffled, store, None)
    return GuardReport(**{name: GuardResult(name, *values) for name, values in results.items()})


def _shuffler(seed: int) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda target: shuffle_labels(target, seed)


def _tomorrow(prepared: Prepared) -> Predictor:
    plan = prepared.plan
    panel = BarPanel.from_bars(read_bars(prepared.feed, plan.settings), len(plan.info.universe))
    return _Tomorrow(panel.close[np.searchsorted(panel.ts_ns, plan.start_ns) :])


def _cheating(prepared: Prepared, store: Store, suffix: str) -> Prepared:
    settings = prepared.plan.settings
    # What is known of tomorrow is worth nothing the day after: the cheat renews every bar, and wholly.
    free = {"rebalance_every": 1, "max_turnover": 2.0 * settings.sizing.max_gross}
    settings = settings.model_copy(update={"sizing": settings.sizing.model_copy(update=free)})
    plan = dataclasses.replace(prepared.plan, run_id=f"{prepared.plan.run_id}-{suffix}", settings=settings)
    other = dataclasses.replace(prepared, plan=plan)
    record_run(other, store)
    return other


def _trade(prepared: Prepared, store: Store, predictor: Predictor | None) -> tuple[float, float, float]:
    run_backtest(prepared, store, predictor=predictor)
    settings = prepared.plan.settings
    equity = store.decisions(prepared.plan.run_id).equity
    returns = np.diff(equity) / equity[:-1]
    periods = settings.sizing.bars_per_year

    def annual_sharpe(sample: NDArray[np.float64]) -> float:
        return sharpe_ratio(sample, periods)

    low, high = bootstrap_interval(annual_sharpe, returns, _LEVEL, _RESAMPLES, settings.run.seed)
    return annual_sharpe(returns), low, high
