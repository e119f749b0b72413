"""The risk of a run as one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

from risk.stress.result import StressResult
from risk.validation.coverage import kupiec
from trader.core.errors import UserError
from trader.reporting import formats as fmt
from trader.reporting.html import template
from trader.reporting.panels_risk import stress_panel
from trader.reporting.panels_trading import bars_height
from trader.reporting.plots import make_plot
from trader.reporting.risk import RiskPart, risk_part
from trader.reporting.run_data import RunData
from trader.reporting.sections import Grid
from trader.reporting.verdict import Finding

__all__ = ["risk_page"]

_MOST_DRAWN, _MOST_LISTED = 20, 60
_SIGNIFICANCE = 0.05


def risk_page(data: RunData, results: Sequence[StressResult]) -> tuple[str, RiskPart]:
    """Return the page of a run's risk, and what it was made of.

    Parameters
    ----------
    data : RunData
    results : sequence of StressResult
        Of what it held after its last decision, worst first; may be empty.

    Raises
    ------
    UserError
        If the run has made no decision.
    """
    if not len(data.decisions):
        raise UserError(f"run {data.record.run_id} has made no decision; there is no risk to report")
    part = risk_part(data)
    there = [result for result in results if result.applies]
    drawn = there[:_MOST_DRAWN]
    plot = make_plot(
        "stress",
        "Worst scenarios",
        "What the portfolio would gain or lose in them.",
        stress_panel([(result.scenario.name, result.pnl) for result in drawn]),
        height=bars_height(len(drawn)),
    )
    snapshot = part.snapshot
    page = template("risk.html.j2").render(
        ref=f"Risk of run {data.record.run_id}",
        suspect=False,
        subtitle=f"After the decision of {fmt.instant(snapshot.ts_ns)}, equity {fmt.money(snapshot.equity)}",
        verdict=_findings(part, there, len(results) - len(there)),
        tiles=_tiles(part, there),
        plots=(*part.plots, plot),
        grids=(*part.grids, *_contributions(part), *_stress(there)),
    )
    return page, part


def _findings(part: RiskPart, there: Sequence[StressResult], n_idle: int) -> list[Finding]:
    history, findings = part.history, []
    n, count = len(history.bar), int(history.exceeded.sum())
    if n:
        p = kupiec(count, n, history.level).p_value
        expected = n * (1.0 - history.level)
        text = f"{count} losses of {n:,} were beyond the historical value at risk, {expected:.1f} were to be expected"
        if p > _SIGNIFICANCE:
            findings.append(Finding("good", f"{text}: the figure is not refuted (Kupiec p = {p:.2g})."))
        else:
            side = "too small" if count > expected else "too large"
            findings.append(Finding("bad", f"{text}: it was {side} (Kupiec p = {p:.2g})."))
    if there:
        worst = there[0]
        text = f"The worst scenario, {worst.scenario.title}, makes {fmt.percent(worst.pnl, signed=True)} of equity."
        findings.append(Finding("note", text))
    if n_idle:
        findings.append(
            Finding("note", f"{n_idle} scenarios move only factors that have no data here, and are not counted.")
        )
    findings += [Finding("note", f"{warning}.") for warning in part.snapshot.warnings]
    return findings


def _tiles(part: RiskPart, there: Sequence[StressResult]) -> list[tuple[str, str, str]]:
    snapshot = part.snapshot
    found = []
    if snapshot.estimates:
        first = snapshot.estimates[0]
        found.append(("Value at risk", fmt.percent(first.var, 2), f"{fmt.percent(first.level, 1)}, {first.method}"))
        found.append(("Expected shortfall", fmt.percent(first.es, 2), "mean of what is beyond it"))
    gross = snapshot.exposure
    found.append(("Gross exposure", fmt.percent(gross.gross), f"net {fmt.percent(gross.net, signed=True)}"))
    if snapshot.concentration is not None:
        bets = snapshot.concentration.effective_bets
        found.append(("Effective bets", fmt.number(bets, 1), f"of {fmt.plural(gross.n_assets, 'name')}"))
    if there:
        found.append(("Worst scenario", fmt.percent(there[0].pnl, signed=True), there[0].scenario.name))
    return found


def _contributions(part: RiskPart) -> list[Grid]:
    parts = part.snapshot.contributions
    if parts is None:
        return []
    order = sorted(range(len(parts.names)), key=lambda i: -float(parts.component_es[i]))
    rows = tuple(
        (
            parts.names[i],
            fmt.percent(float(parts.weights[i]), signed=True),
            fmt.percent(float(parts.component_var[i]), 3),
            fmt.percent(float(parts.component_es[i]), 3),
            fmt.percent(float(parts.standalone_es[i]), 3),
        )
        for i in order
    )
    header = ("Name", "Weight", "Part of VaR", "Part of ES", "ES alone")
    return [Grid(f"Where the risk comes from: {parts.allocation}", rows, header)]


def _stress(there: Sequence[StressResult]) -> list[Grid]:
    if not there:
        return []
    rows = tuple(
        (
            result.scenario.title,
            fmt.percent(result.pnl, 2, signed=True),
            fmt.DASH if math.isnan(result.drawdown) else fmt.percent(result.drawdown, 2),
            ", ".join(f"{i.asset} {fmt.percent(i.contribution, signed=True)}" for i in result.impacts[:3]),
            ", ".join(sorted({impact.how for impact in result.impacts})),
        )
        for result in there[:_MOST_LISTED]
    )
    header = ("Scenario", "P&L", "Drawdown", "Worst names", "By")
    return [Grid(f"The {len(rows)} worst of {len(there)} scenarios", rows, header)]
