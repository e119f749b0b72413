"""The summary of a run: what the terminal prints, `summary.json` holds and `--json` gives to machines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trader.portfolio.performance import Performance, performance
from trader.portfolio.trading import pnl_by_symbol
from trader.reporting.facts import (
    AccountingCheck,
    LatencyFacts,
    OrderFacts,
    accounting_check,
    count_unpredicted,
    event_lines,
    latency_facts,
    order_facts,
)
from trader.reporting.formats import instant
from trader.reporting.run_data import Curves, RunData, setting
from trader.reporting.signals import SignalQuality
from trader.reporting.verdict import Finding, verdict
from trader.validation.ic import ICSummary

__all__ = ["Summary", "plain", "summarise"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run came to.

    Parameters
    ----------
    run_id, mode : str
    run_dir : Path
        Where its files are.
    status : {"complete", "incomplete", "failed"}
    begun_ns, ended_ns : int
        Wall clock.
    seed : int
    symbols : tuple of str
    data_fingerprint, code_version : str
    n_decisions : int
    n_unpredicted : int
        Those made without a prediction, as no model answered.
    performance : Performance or None
        None when no decision was made.
    ic : ICSummary or None
        Rank IC of the ensemble's scores with the models' target; None where nothing could be judged.
    ic_horizon : int
        Bars over which scores are judged.
    members : mapping of str to float
        Mean rank IC of each member, by `name@version`.
    orders : OrderFacts
    latency : LatencyFacts
    accounting : AccountingCheck
    pnl_by_symbol : mapping of str to float
        After costs, in currency.
    events : tuple of mapping
        Restarts, changes of the trading state, refused data: `ts_ns`, `kind`, `text`.
    settings : mapping
        As the run was made with.
    verdict : tuple of Finding
        Sentences; `str(finding)` is the text.
    """

    run_id: str
    run_dir: Path
    status: str
    mode: str
    begun_ns: int
    ended_ns: int
    seed: int
    symbols: tuple[str, ...]
    data_fingerprint: str
    code_version: str
    n_decisions: int
    n_unpredicted: int
    performance: Performance | None
    ic: ICSummary | None
    ic_horizon: int
    members: Mapping[str, float]
    orders: OrderFacts
    latency: LatencyFacts
    accounting: AccountingCheck
    pnl_by_symbol: Mapping[str, float]
    events: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Any]
    verdict: tuple[Finding, ...]

    @property
    def elapsed_s(self) -> float:
        """Seconds of wall time from the run's creation to its end."""
        return (self.ended_ns - self.begun_ns) / 1e9

    @property
    def suspect(self) -> bool:
        """Whether a figure is beyond belief or the books do not balance."""
        return any(finding.tone == "suspect" for finding in self.verdict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, headline parts first; what is not defined (NaN) is None."""
        result = None if self.performance is None else self.performance.to_dict()
        content: dict[str, Any] = plain(
            {
                "run_id": self.run_id,
                "run_dir": str(self.run_dir),
                "status": self.status,
                "mode": self.mode,
                "suspect": self.suspect,
                "verdict": [str(finding) for finding in self.verdict],
                "period": None
                if result is None
                else {"start": instant(result["start_ns"]), "end": instant(result["end_ns"])},
                "decisions": self.n_decisions,
                "unpredicted": self.n_unpredicted,
                "performance": None if result is None else _without(result, "benchmarks", "costs"),
                "benchmarks": [] if result is None else result["benchmarks"],
                "costs": None if result is None else result["costs"],
                "ic": None if self.ic is None else {"horizon": self.ic_horizon, **dataclasses.asdict(self.ic)},
                "member_ic": self.members,
                "orders": dataclasses.asdict(self.orders),
                "latency": dataclasses.asdict(self.latency),
                "accounting": dataclasses.asdict(self.accounting),
                "pnl_by_symbol": self.pnl_by_symbol,
                "events": self.events,
                "begun": instant(self.begun_ns),
                "ended": instant(self.ended_ns),
                "elapsed_s": self.elapsed_s,
                "seed": self.seed,
                "symbols": self.symbols,
                "data_fingerprint": self.data_fingerprint,
                "code_version": self.code_version,
                "settings": self.settings,
            }
        )
        return content


def summarise(
    data: RunData, curves: Curves | None, signals: SignalQuality, run_dir: Path, *, status: str, ended_ns: int
) -> Summary:
    """Compute the summary of a run; `curves` is None when it made no decision."""
    record, table = data.record, data.decisions
    result = None
    contributions: dict[str, float] = {}
    if curves is not None:
        result = performance(
            table.ts_ns,
            table.equity,
            positions=table.positions,
            prices=table.prices,
            fills=data.fills,
            score=table.score,
            outcome=signals.outcome,
            periods_per_year=float(setting(record, "sizing", "bars_per_year", 252.0)),
            n_trials=int(setting(record, "run", "trials", 1)),
            seed=record.seed,
            benchmarks=curves.benchmarks,
        )
        earned = pnl_by_symbol(data.fills, table.positions[-1], table.prices[-1])
        contributions = dict(zip(record.symbols, earned.tolist(), strict=True))
    books = accounting_check(data)
    return Summary(
        run_id=record.run_id,
        run_dir=run_dir,
        status=status,
        mode=record.mode,
        begun_ns=record.created_ns,
        ended_ns=ended_ns,
        seed=record.seed,
        symbols=record.symbols,
        data_fingerprint=record.data_fingerprint,
        code_version=record.code_version,
        n_decisions=len(table),
        n_unpredicted=count_unpredicted(data),
        performance=result,
        ic=signals.summary,
        ic_horizon=signals.horizon,
        members=signals.members,
        orders=order_facts(data),
        latency=latency_facts(table.latency_ns),
        accounting=books,
        pnl_by_symbol=contributions,
        events=tuple(event_lines(data)),
        settings=record.settings,
        verdict=verdict(record, result, signals.summary, books, status=status),
    )


def plain(value: Any) -> Any:
    """Return `value` with mappings as dicts, sequences as lists, and None for numbers that JSON lacks."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _without(content: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in names}
