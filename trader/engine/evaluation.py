"""What a candidate is worth, judged on data that its folds had not seen, and after costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trader.engine.training_set import Past
from trader.engine.trial import trade_scores
from trader.models.candidate import Candidate, Step
from trader.models.report import ScoreReport, plain, score_report
from trader.portfolio.performance import Performance

__all__ = ["Evaluation", "evaluate"]


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
    traded : Performance
        The out-of-sample scores traded by the decision loop, after costs; its deflated Sharpe ratio counts
        `traded.n_trials` trials.
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
    traded: Performance
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
            "hit_rate": self.score.hit_rate,
            "sharpe": traded.sharpe,
            "sharpe_low": low,
            "sharpe_high": high,
            "deflated_sharpe": traded.deflated_sharpe,
            "turnover": traded.turnover,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; an undefined number is None."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields |= {"params": dict(self.params), "curve": [dict(step) for step in self.curve]}
        fields |= {"score": dataclasses.asdict(self.score), "traded": dataclasses.asdict(self.traded)}
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
    tests = [fold.test for fold in candidate.folds]
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
        score=score_report(candidate.forecast.score, data.target, tests, data.ts_ns, data.horizon),
        traded=trade_scores(past.panel, candidate.forecast.score, settings, n_trials=n_trials),
        curve=candidate.curve,
        seconds=candidate.seconds,
    )
