"""The part of a run's report that tells of its risk, and a page of its own."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from risk.history import RiskHistory, risk_history
from risk.options.held import greeks_of_file
from risk.snapshot import RiskSnapshot, take_snapshot
from risk.validation.coverage import independence, kupiec
from risk.validation.traffic_light import traffic_light
from risk.watch import Holdings
from trader.core.errors import UserError
from trader.portfolio.drawdown import drawdown_series
from trader.reporting import formats as fmt
from trader.reporting.panels_risk import contributions_panel, var_panel
from trader.reporting.plots import Plot, make_plot
from trader.reporting.run_data import RunData
from trader.reporting.sections import Grid
from trader.settings.sections import GateSettings

__all__ = ["RiskPart", "last_holdings", "risk_part"]

FloatArray = NDArray[np.float64]
_MOST_NAMES = 12
_LIGHT_BARS = 250


@dataclasses.dataclass(frozen=True, slots=True)
class RiskPart:
    """What the report shows of risk.

    Parameters
    ----------
    snapshot : RiskSnapshot
        After the last decision.
    history : RiskHistory
    grids : tuple of Grid
    plots : tuple of Plot
    """

    snapshot: RiskSnapshot
    history: RiskHistory
    grids: tuple[Grid, ...]
    plots: tuple[Plot, ...]


def risk_part(data: RunData) -> RiskPart:
    """Return what the report of a run with at least one decision shows of its risk.

    Only bars that were decided on count as its past: the days that warmed it up are not in the store.
    """
    gate = GateSettings(**data.record.settings.get("risk", {}))
    table, symbols = data.decisions, data.record.symbols
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.nan_to_num(table.positions * table.prices / table.equity[:, None], posinf=0.0, neginf=0.0)
    history = risk_history(
        table.prices, weights, window=gate.var_window, min_bars=gate.min_var_bars, level=gate.var_level
    )
    holdings = last_holdings(data, gate.var_window)
    snapshot = take_snapshot(symbols, holdings, level=gate.var_level, min_bars=gate.min_var_bars)
    plots = (
        make_plot(
            "var",
            "Value at risk and what came",
            f"Return of the holdings over the next bar beside the {fmt.percent(gate.var_level, 0)} value at risk said "
            "before; dots are losses beyond it.",
            var_panel(table.ts_ns[history.bar], history),
        ),
        make_plot(
            "risk-contributions",
            "Where the risk comes from",
            "Share of the expected shortfall after the last decision.",
            contributions_panel(snapshot, _MOST_NAMES),
        ),
    )
    grids = (_estimates(snapshot), _exposures(snapshot), _coverage(history), *_options(symbols, holdings, gate))
    return RiskPart(snapshot, history, grids, plots)


def last_holdings(data: RunData, window: int) -> Holdings:
    """Return what a run held after its last decision, and the returns of the bars it decided on."""
    table = data.decisions
    prices = table.prices[-window - 1 :]
    return Holdings(
        ts_ns=int(table.ts_ns[-1]),
        equity=float(table.equity[-1]),
        drawdown=float(drawdown_series(table.equity)[-1]),
        positions=table.positions[-1],
        prices=table.prices[-1],
        returns=prices[1:] / prices[:-1] - 1.0,
    )


def _estimates(snapshot: RiskSnapshot) -> Grid:
    rows = tuple(
        (e.method, fmt.percent(e.var, 2), fmt.percent(e.es, 2), "; ".join(e.warnings)) for e in snapshot.estimates
    )
    level = "" if not snapshot.estimates else f" at {fmt.percent(snapshot.estimates[0].level, 1)}"
    header = ("Method", "Value at risk", "Expected shortfall", "Doubts")
    notes = tuple((warning, "", "", "") for warning in snapshot.warnings)
    return Grid(f"Risk of the next bar after the last decision{level}, over equity", rows + notes, header)


def _exposures(snapshot: RiskSnapshot) -> Grid:
    held, spread = snapshot.exposure, snapshot.concentration
    rows = [
        ("Gross exposure", fmt.percent(held.gross)),
        ("Net exposure", fmt.percent(held.net, signed=True)),
        ("Names held", str(held.n_assets)),
        ("Beta to the equally weighted universe", fmt.number(snapshot.market_beta)),
        ("Drawdown", fmt.percent(snapshot.drawdown)),
    ]
    if spread is not None:
        rows += [
            ("Herfindahl index", fmt.number(spread.herfindahl, 3)),
            ("Effective names", fmt.number(spread.effective_names, 1)),
            ("Effective bets", fmt.number(spread.effective_bets, 1)),
            ("Diversification ratio", fmt.number(spread.diversification_ratio)),
        ]
    return Grid("Exposure after the last decision", tuple(rows))


def _options(symbols: tuple[str, ...], holdings: Holdings, gate: GateSettings) -> tuple[Grid, ...]:
    title = "Options held beside it, in currency"
    try:
        greeks = greeks_of_file(symbols, holdings, gate.option_positions)
    except UserError as error:  # the file is not the run's: it may be gone, or another by now
        return (Grid(title, (("not known", str(error)),)),)
    return () if greeks is None else (Grid(title, tuple((fmt.title(k), fmt.money(v)) for k, v in greeks.items())),)


def _coverage(history: RiskHistory) -> Grid:
    n = len(history.bar)
    title = "Was the value at risk right? Historical, bar by bar"
    if not n:
        return Grid(title, (("Bars forecast", "0: too few bars, or nothing held"),))
    exceeded = history.exceeded
    count = int(exceeded.sum())
    coverage, apart = kupiec(count, n, history.level), independence(exceeded)
    rows = [
        ("Bars forecast", f"{n:,}"),
        ("Losses beyond it", f"{count} ({fmt.number(n * (1.0 - history.level), 1)} expected)"),
        ("Kupiec test of their number", f"p = {coverage.p_value:.3g}"),
        ("Christoffersen test of their independence", f"p = {apart.p_value:.3g}"),
    ]
    if n >= _LIGHT_BARS:
        light = traffic_light(int(exceeded[-_LIGHT_BARS:].sum()), _LIGHT_BARS, history.level)
        rows.append((f"Basel traffic light, last {_LIGHT_BARS} bars", light.zone))
    return Grid(title, tuple(rows))
