"""What a candidate is worth, judged on data that its folds had not seen, and after costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from trader.engine.training_set import Past
from trader.engine.trial import trade_scores
from trader.models.candidate import Candidate, Step
from trader.models.report import ScoreReport, plain, score_report
from trader.portfolio.performance import Performance
from trader.validation.panel import Estimate, auc_estimate, hit_estimate, ic_estimate
from trader.validation.quantiles import QuantileReport, judge_quantiles
from trader.validation.reliability import ProbabilityReport, judge_probabilities
from trader.validation.suspicion import Suspicion, judge, leaking_features

__all__ = ["Evaluation", "evaluate"]

_RESAMPLES = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """A candidate's out-of-sample result.

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
    traded : Performance
        The out-of-sample scores traded by the decision loop, after costs; its deflated Sharpe ratio counts
        `traded.n_trials` trials.
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
    traded: Performance
    suspicion: Suspicion
    leaks: Mapping[str, float]
    curve: tuple[Step, ...]
    seconds: float

    def metrics(self) -> dict[str, float]:
        """Return the headline figures, by name; `_low` and `_high` are the ends of an interval."""
        ic, traded = self.score.ic, self.traded
        low, high = traded.sharpe_interval
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
            "sharpe": traded.sharpe,
            "sharpe_low": low,
            "sharpe_high": high,
            "deflated_sharpe": traded.deflated_sharpe,
            "turnover": traded.turnover,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; an undefined number is None."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields |= {name: fields[name].to_dict() for name in ("auc", "hits", "probabilities", "quantiles", "suspicion")}
        fields |= {name: dataclasses.asdict(fields[name]) for name in ("score", "traded")}
        fields |= {"suspect": list(self.suspicion.reasons) if self.suspicion.open else [], "leaks": dict(self.leaks)}
        fields |= {"params": dict(self.params), "curve": [dict(step) for step in self.curve]}
        whole: dict[str, Any] = plain(fields)
        return whole


def evaluate(candidate: Candidate, past: Past, *, n_trials: int = 1) -> Evaluation:
    """Judge a candidate by its out-of-sample forecasts.

    Parameters
    ----------
    candidate : Candidate
    past : Past
        What it was trained on.
    n_trials : int, default=1
        Candidates tried before this one was kept, itself included.
    """
    data, settings = past.data, past.settings
    forecast = candidate.forecast
    up = np.where(np.isfinite(data.target), (data.target > 0).astype(np.float64), np.nan)
    resampling: dict[str, Any] = {"n_resamples": _RESAMPLES, "seed": settings.run.seed}
    tests = [fold.test for fold in candidate.folds]
    hits = hit_estimate(forecast.score, data.target, **resampling)
    suspicion = judge(hit_rate=hits, ic=ic_estimate(forecast.score, data.target, **resampling))
    leaks = leaking_features(data.features, data.target, data.feature_names) if suspicion.open else {}
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
        score=score_report(forecast.score, data.target, tests, data.ts_ns, data.horizon),
        auc=auc_estimate(forecast.score, up, **resampling),
        hits=hits,
        probabilities=judge_probabilities(forecast.probability_up, up, bins="count", **resampling),
        quantiles=judge_quantiles(forecast.quantiles, forecast.levels, data.target, **resampling),
        traded=trade_scores(past.panel, forecast.score, settings, n_trials=n_trials),
        suspicion=suspicion,
        leaks=leaks,
        curve=candidate.curve,
        seconds=candidate.seconds,
    )
