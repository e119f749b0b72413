"""Plain sentences that follow from the numbers; a strategy that does not beat buy-and-hold is told so."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from trader.portfolio.comparison import Comparison
from trader.portfolio.performance import Performance
from trader.reporting import formats as fmt
from trader.reporting.facts import AccountingCheck
from trader.reporting.run_data import EQUAL_WEIGHT, setting
from trader.storage import RunRecord
from trader.validation.ic import ICSummary
from trader.validation.suspicion import HIT_LIMIT, IC_LIMIT

__all__ = ["DSR_FLOOR", "Finding", "Tone", "verdict"]

Tone = Literal["good", "bad", "note", "suspect"]

DSR_FLOOR = 0.95
"""Deflated Sharpe ratio from which skill is called likely."""

_MAX_BELIEVABLE_SHARPE = 3.0
_WEEKS = 52
"""Returns over less than a week are not scaled up to a year."""
_MIN_PERIODS = 60
"""Below that, chance alone gives absurd ratios and nothing can be concluded."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One sentence and whether it speaks for the strategy, against it, neither, or against the figures."""

    tone: Tone
    text: str

    def __str__(self) -> str:
        return self.text


def verdict(
    record: RunRecord,
    result: Performance | None,
    ic: ICSummary | None,
    books: AccountingCheck,
    *,
    status: str,
) -> tuple[Finding, ...]:
    """Return what the figures of a run say, most important first.

    Parameters
    ----------
    result : Performance or None
        None when the run made no decision.
    ic : ICSummary or None
        None when no score could be judged.
    status : {"complete", "incomplete", "failed"}
    """
    if result is None:
        why = {"failed": "it failed first", "incomplete": "it was stopped first"}.get(status, "there were no data")
        return (Finding("bad", f"No decision was made: {why}. There is nothing to judge."),)
    judged = result.n_periods >= _MIN_PERIODS
    return (
        *_unreliable(result, ic, books),
        *_ending(result, status),
        *((_against if judged else _beside)(result, benchmark) for benchmark in result.benchmarks),
        *(_skill(result) if judged else ()),
        _signal(ic),
        _costs(record, result),
        *_caveats(record, result),
    )


def _unreliable(result: Performance, ic: ICSummary | None, books: AccountingCheck) -> list[Finding]:
    found = []
    beyond = []
    if result.n_periods >= _MIN_PERIODS:
        if result.sharpe > _MAX_BELIEVABLE_SHARPE:
            beyond.append(f"a Sharpe ratio of {fmt.number(result.sharpe)}")
        for name, rate in (("days", result.hit_rate_days), ("signals", result.hit_rate_signals)):
            if rate > HIT_LIMIT:
                beyond.append(f"a hit rate of {fmt.percent(rate)} of {name}")
        if ic is not None and ic.n_instants >= _MIN_PERIODS and ic.mean > IC_LIMIT:
            beyond.append(f"a rank IC of {fmt.number(ic.mean, 3)}")
    if beyond:
        text = f"SUSPECT: {' and '.join(beyond)} is beyond belief. Look for a leak of the future before anything else."
        found.append(Finding("suspect", text))
    if not books.holds:
        worst = max(books.equity_error, books.replay_error)
        text = f"SUSPECT: the books do not balance; the largest relative error is {worst:.1e}."
        found.append(Finding("suspect", text))
    return found


def _ending(result: Performance, status: str) -> list[Finding]:
    found = []
    if status != "complete":
        verb = "failed" if status == "failed" else "was stopped"
        found.append(
            Finding("note", f"The run {verb} after {fmt.day(result.end_ns)}; the figures cover it up to there.")
        )
    if result.ruined_ns is not None:
        found.append(Finding("bad", f"The capital was lost on {fmt.day(result.ruined_ns)}."))
    if not result.n_fills:
        found.append(Finding("note", "No order was filled: the equity is the initial cash."))
    if result.n_periods < _MIN_PERIODS:
        few = fmt.plural(result.n_periods, "return")
        found.append(Finding("note", f"Too short to judge: {few}; conclusions need {_MIN_PERIODS}."))
    return found


def _beside(result: Performance, benchmark: Comparison) -> Finding:
    earned = f"{fmt.percent(result.total_return)} against {fmt.percent(benchmark.total_return)}"
    return Finding("note", f"In this time it earned {earned} of {_called(benchmark)}.")


def _against(result: Performance, benchmark: Comparison) -> Finding:
    name = _called(benchmark)
    is_long = result.n_periods >= result.periods_per_year / _WEEKS
    own, other = (
        (result.annual_return, benchmark.annual_return)
        if is_long
        else (
            result.total_return,
            benchmark.total_return,
        )
    )
    figures = (
        f"{fmt.percent(own)}{' a year' if is_long else ''} against {fmt.percent(other)}, "
        f"Sharpe ratio {fmt.number(result.sharpe)} against {fmt.number(benchmark.sharpe)}"
    )
    low, high = benchmark.sharpe_difference_interval
    level = f"{100 * result.interval_level:.0f} % interval"
    if math.isfinite(low):
        spread = f"{fmt.number(low, signed=True)} to {fmt.number(high, signed=True)}"
        figures += f" (difference {fmt.number(benchmark.sharpe_difference, signed=True)}, {level} {spread})"
    more_return = own > other
    better_ratio = result.sharpe > benchmark.sharpe
    if more_return and better_ratio and low > 0.0:
        return Finding("good", f"It beat {name}: {figures}.")
    if more_return and better_ratio:
        return Finding("note", f"It was ahead of {name}, by no more than chance may explain: {figures}.")
    if better_ratio:
        return Finding("bad", f"It did not beat {name} in return, only in Sharpe ratio: {figures}.")
    if more_return:
        return Finding("bad", f"It did not beat {name} in Sharpe ratio, only in return: {figures}.")
    return Finding("bad", f"It did not beat {name}: {figures}.")


def _called(benchmark: Comparison) -> str:
    return benchmark.name if benchmark.name == EQUAL_WEIGHT else f"the {benchmark.name}"


def _skill(result: Performance) -> list[Finding]:
    if not math.isfinite(result.deflated_sharpe):
        return []
    trials = fmt.plural(result.n_trials, "trial")
    head = f"The deflated Sharpe ratio is {fmt.number(result.deflated_sharpe)} ({trials})"
    if result.deflated_sharpe >= DSR_FLOOR:
        return [Finding("good", f"{head}, at or above {DSR_FLOOR}: a true Sharpe ratio above chance is likely.")]
    return [Finding("bad", f"{head}, below {DSR_FLOOR}: luck is not excluded.")]


def _signal(ic: ICSummary | None) -> Finding:
    if ic is None or ic.n_instants < _MIN_PERIODS:
        return Finding("note", "The signals could not be judged: too few scores were followed by returns.")
    level = f"{100 * ic.level:.0f} % interval"
    figures = f"mean rank IC {fmt.number(ic.mean, 3)}, {level} {fmt.interval((ic.low, ic.high), 3)}"
    if ic.low > 0.0:
        return Finding("good", f"The signals ranked the names better than chance: {figures}, which excludes zero.")
    if ic.high < 0.0:
        return Finding("bad", f"The signals ranked the names the wrong way round: {figures}, which excludes zero.")
    return Finding("bad", f"The signals cannot be told from chance: {figures}, which includes zero.")


def _costs(record: RunRecord, result: Performance) -> Finding:
    half_spread = setting(record, "execution", "half_spread_bps", None)
    commission = setting(record, "execution", "commission_bps", None)
    impact = setting(record, "execution", "impact_coefficient", None)
    assumed = (
        f"Assumed are a half-spread of {fmt.number(half_spread, 1)} bps, "
        f"a commission of {fmt.number(commission, 1)} bps and square-root impact with coefficient {fmt.number(impact)}."
    )
    costs = result.costs
    if not result.n_fills:
        return Finding("note", f"Nothing was traded, so nothing was paid. {assumed}")
    share = ""
    if math.isfinite(costs.share_of_gross):
        share = f", {fmt.percent(costs.share_of_gross, 0)} of the P&L before costs"
    paid = f"Costs were {fmt.money(costs.total)}: {fmt.number(costs.bps_of_traded, 1)} bps of what was traded{share}."
    tone: Tone = "bad" if costs.share_of_gross > 0.5 or result.pnl < 0.0 < result.pnl + costs.total else "note"
    return Finding(tone, f"{paid} {assumed}")


def _caveats(record: RunRecord, result: Performance) -> list[Finding]:
    found = []
    if setting(record, "feed", "kind", "") == "sp500":
        text = (
            f"The {len(record.symbols)} names are survivors: the data hold only companies that were still listed at "
            "their end. That flatters whoever is long of them, buy-and-hold included."
        )
        found.append(Finding("note", text))
        if len(result.benchmarks) > 1:
            found.append(Finding("note", "The index is without dividends; the prices of the names include them."))
    found.append(Finding("note", "Fills are simulated. This is not investment advice."))
    return found
