"""The part of a run's report that tells of its experiment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from trader.experiments.assess import Assessment, assess
from trader.experiments.assignment import Variant, assign
from trader.experiments.book import ExperimentBook
from trader.experiments.spec import ExperimentSpec
from trader.reporting import formats as fmt
from trader.reporting.panels import variants_panel
from trader.reporting.plots import Plot, make_plot
from trader.reporting.sections import Grid
from trader.storage import DecisionTable, Store

__all__ = ["ExperimentPart", "experiment_part"]


@dataclasses.dataclass(frozen=True, slots=True)
class ExperimentPart:
    """What the report shows of an experiment.

    Parameters
    ----------
    grids : tuple of Grid
    plot : Plot
        Of the virtual portfolios.
    variants : ndarray of shape (n_symbols,)
        Who scored each symbol, by name.
    """

    grids: tuple[Grid, ...]
    plot: Plot
    variants: tuple[str, ...]

    def label(self, signals: pa.Table) -> pa.Table:
        """Return signals, which name every symbol at each instant in turn, with the variant that scored them."""
        names = pa.array(self.variants, pa.string())
        rows = np.tile(np.arange(len(self.variants)), signals.num_rows // max(len(self.variants), 1))
        return signals.append_column("variant", names.take(pa.array(rows)))


def experiment_part(
    store: Store, run_id: str, name: str, decisions: DecisionTable, pnl_by_symbol: Mapping[str, float]
) -> ExperimentPart:
    """Return what the report of a run shows of its experiment.

    Parameters
    ----------
    store : Store
    run_id, name : str
        Of the run and the experiment.
    decisions : DecisionTable
    pnl_by_symbol : mapping of str to float
        Of the portfolio that was traded, after costs, every symbol of the run.
    """
    spec = ExperimentBook(store).get(name).spec
    marks = store.variant_marks(run_id)
    found = assess(spec, marks)
    symbols = store.run(run_id).symbols
    variants = tuple(Variant(number).name.lower() for number in assign(symbols, spec.split).tolist())
    seqs = np.searchsorted(decisions.seq, [mark.seq for mark in marks])
    curves = np.array([(mark.champion, mark.challenger) for mark in marks], np.float64).reshape(-1, 2)
    plot = make_plot(
        "variants",
        "Champion and challenger",
        "Virtual portfolios that trade each variant's scores for all symbols, after costs.",
        variants_panel(decisions.ts_ns[seqs], curves[:, 0], curves[:, 1]),
    )
    earned = {
        variant: sum(
            pnl_by_symbol.get(symbol, 0.0) for symbol, own in zip(symbols, variants, strict=True) if own == variant
        )
        for variant in dict.fromkeys(variants)
    }
    return ExperimentPart(
        (_verdict_grid(spec, found), _figures_grid(found), _traded_grid(variants, earned)), plot, variants
    )


def _verdict_grid(spec: ExperimentSpec, found: Assessment) -> Grid:
    bounds = fmt.interval((1e4 * found.low, 1e4 * found.high))
    limits = (
        (each.name.capitalize(), f"{fmt.percent(each.value, 2)} of {fmt.percent(each.limit, 2)} allowed")
        for each in found.guardrails
    )
    return Grid(
        f"{spec.name}: {spec.champion} against {spec.challenger}",
        (
            ("Verdict", f"{found.verdict}: {found.reason}"),
            ("Difference per decision, bp", f"{fmt.number(1e4 * found.estimate)}  {bounds}"),
            ("P-value", fmt.number(found.p_value, 3)),
            ("Judged", f"{spec.stop}, at a level of {spec.alpha:g}, within {fmt.plural(spec.horizon, 'decision')}"),
            *limits,
            ("Same sign of scores", fmt.percent(found.sign_agreement)),
            ("Rank correlation of scores", fmt.number(found.rank_correlation)),
        ),
    )


def _figures_grid(found: Assessment) -> Grid:
    champion, challenger = found.champion, found.challenger
    return Grid(
        "Virtual portfolios",
        (
            ("Return", fmt.percent(champion.total_return), fmt.percent(challenger.total_return)),
            ("Deepest drawdown", fmt.percent(champion.drawdown), fmt.percent(challenger.drawdown)),
        ),
        ("", "champion", "challenger"),
    )


def _traded_grid(variants: tuple[str, ...], earned: Mapping[str, float]) -> Grid:
    rows = ((name, fmt.count(variants.count(name)), fmt.money(pnl, signed=True)) for name, pnl in earned.items())
    return Grid("The traded portfolio by variant", tuple(rows), ("scored by", "symbols", "P&L after costs"))
