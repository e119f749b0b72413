"""What a candidate is worth, judged on data that its folds had not seen, and after costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.protocols import Forecast
from trader.engine.training_set import Past
from trader.engine.trial import trade_scores
from trader.models.candidate import Step, Validated
from trader.models.report import ScoreReport, plain, score_report
from trader.portfolio.performance import Performance
from trader.validation.panel import Estimate, auc_estimate, hit_estimate, ic_estimate
from trader.validation.quantiles import QuantileReport, judge_quantiles
from trader.validation.reliability import ProbabilityReport, judge_probabilities
from trader.validation.suspicion import Suspicion, judge, leaking_features

__all__ = ["Evaluation", "SignalEvaluation", "evaluate", "signal_figures"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_RESAMPLES = 500


@dataclasses.dataclass(frozen=True, slots=True)
class SignalEvaluation:
    """What a model's forecasts are worth out of sample, before anything is traded.

    Parameters
    ----------
    kind : str
    params : mapping
    seed : int
    train_start_ns, train_end_ns : int
        First instant with a usable row, and last that was seen.
    horizon, n_rows, n_features, n_symbols : int
    folds : tuple of (int, int)
        First and last stamp of each test fold.
    score : ScoreReport
        Rank IC against the target.
    auc, hits : Estimate
        How well scores tell rises from falls, and the share of right signs, with bootstrap intervals.
    probabilities : ProbabilityReport
        The forecast chances of a rise, beside the base rate.
    quantiles : QuantileReport
    suspicion : Suspicion
        Whether the figures are too good to be true.
    leaks : mapping of str to float
        Where they are: mean rank IC of each feature that alone is beyond belief.
    curve : tuple of Step
        Learning curve of the last fit.
    seconds : float
        Wall time of all fits.
    """

    kind: str
    params: Mapping[str, Any]
    seed: int
    train_start_ns: int
    train_end_ns: int
    horizon: int
    n_rows: int
    n_features: int
    n_symbols: int
    folds: tuple[tuple[int, int], ...]
    score: ScoreReport
    auc: Estimate
    hits: Estimate
    probabilities: ProbabilityReport
    quantiles: QuantileReport
    suspicion: Suspicion
    leaks: Mapping[str, float]
    curve: tuple[Step, ...]
    seconds: float

    def metrics(self) -> dict[str, float]:
        """Return the headline figures, by name; `_low` and `_high` are the ends of an interval."""
        ic = self.score.ic
        return {
            "ic": ic.mean,
            "ic_low": ic.low,
            "ic_high": ic.high,
            "auc": self.auc.value,
            "auc_low": self.auc.low,
            "auc_high": self.auc.high,
            "hit_rate": self.hits.value,
            "hit_rate_low": self.hits.low,
            "hit_rate_high": self.hits.high,
            "brier_skill": self.probabilities.brier_skill,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; an undefined number is None."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields |= {name: fields[name].to_dict() for name in ("auc", "hits", "probabilities", "quantiles", "suspicion")}
        fields |= {name: dataclasses.asdict(fields[name]) for name in ("score", "traded") if name in fields}
        fields |= {"suspect": list(self.suspicion.reasons) if self.suspicion.open else [], "leaks": dict(self.leaks)}
        fields |= {"params": dict(self.params), "curve": [dict(step) for step in self.curve]}
        whole: dict[str, Any] = plain(fields)
        return whole


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation(SignalEvaluation):
    """A candidate's out-of-sample result.

    Parameters
    ----------
    traded : Performance
        The out-of-sample scores traded by the decision loop, after costs; its deflated Sharpe ratio counts
        `traded.n_trials` trials.
    """

    traded: Performance

    def metrics(self) -> dict[str, float]:
        """Return the headline figures, by name; `_low` and `_high` are the ends of an interval."""
        low, high = self.traded.sharpe_interval
        return SignalEvaluation.metrics(self) | {
            "sharpe": self.traded.sharpe,
            "sharpe_low": low,
            "sharpe_high": high,
            "deflated_sharpe": self.traded.deflated_sharpe,
            "turnover": self.traded.turnover,
        }


def evaluate(candidate: Validated, past: Past, *, n_trials: int = 1) -> Evaluation:
    """Judge a candidate by its out-of-sample forecasts.

    Parameters
    ----------
    candidate : Validated
    past : Past
        What it was validated on.
    n_trials : int, default=1
        Candidates tried before this one was kept, itself included.
    """
    data, settings = past.data, past.settings
    tests = [fold.test for fold in candidate.folds]
    figures = signal_figures(candidate.forecast, data.target, tests, data.ts_ns, data.horizon, settings.run.seed)
    suspect = figures["suspicion"].open
    return Evaluation(
        kind=candidate.kind,
        params=candidate.params,
        seed=settings.run.seed,
        train_start_ns=int(data.ts_ns[data.first]),
        train_end_ns=int(data.ts_ns[-1]),
        horizon=data.horizon,
        n_rows=int(data.usable.sum()),
        n_features=len(data.feature_names),
        n_symbols=len(data.symbols),
        folds=tuple((int(data.ts_ns[test[0]]), int(data.ts_ns[test[-1]])) for test in tests),
        traded=trade_scores(past.panel, candidate.forecast.score, settings, n_trials=n_trials),
        leaks=leaking_features(data.features, data.target, data.feature_names) if suspect else {},
        curve=candidate.curve,
        seconds=candidate.seconds,
        **figures,
    )


def signal_figures(
    forecast: Forecast, target: FloatArray, tests: Sequence[IntArray], ts_ns: IntArray, horizon: int, seed: int
) -> dict[str, Any]:
    """Return the figures of a `SignalEvaluation` that follow from forecasts and what became of them, by field.

    Parameters
    ----------
    forecast : Forecast
        Of n_slices instants.
    target : ndarray of shape (n_slices, n_symbols)
    tests : sequence of ndarray
        Positions of the instants of each test fold.
    ts_ns : ndarray of shape (n_slices,)
    horizon : int
        Bars that a label looks ahead.
    seed : int
        Of the bootstrap.
    """
    up = np.where(np.isfinite(target), (target > 0).astype(np.float64), np.nan)
    resampling: dict[str, Any] = {"n_resamples": _RESAMPLES, "seed": seed}
    hits = hit_estimate(forecast.score, target, **resampling)
    return {
        "score": score_report(forecast.score, target, tests, ts_ns, horizon),
        "auc": auc_estimate(forecast.score, up, **resampling),
        "hits": hits,
        "probabilities": judge_probabilities(forecast.probability_up, up, bins="count", **resampling),
        "quantiles": judge_quantiles(forecast.quantiles, forecast.levels, target, **resampling),
        "suspicion": judge(hit_rate=hits, ic=ic_estimate(forecast.score, target, **resampling)),
    }
