"""The report of a model version as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trader.reporting import formats as fmt
from trader.reporting.html import template
from trader.reporting.model_panels import coverage_panel, curve_panel, monthly_ic_panel, reliability_panel
from trader.reporting.plots import Plot, make_plot
from trader.reporting.sections import Grid
from trader.reporting.verdict import DSR_FLOOR, Finding

__all__ = ["model_findings", "render_model_page"]

Report = Mapping[str, Any]

_MOST_LEAKS = 5


def render_model_page(ref: str, report: Report, lineage: Report) -> str:
    """Return the page of a version.

    Parameters
    ----------
    ref : str
        `name@version`.
    report : mapping
        What `to_dict` of a `trader.engine.evaluation.Evaluation` gives; without `traded`, of a `SignalEvaluation`.
    lineage : mapping
        What `to_dict` of a `trader.registry.Lineage` gives.
    """
    period = f"{fmt.day(report['folds'][0][0])} to {fmt.day(report['folds'][-1][1])}"
    return template("model.html.j2").render(
        ref=ref,
        suspect=bool(report["suspect"]),
        subtitle=f"{report['kind']} · out of sample {period}, {fmt.plural(len(report['folds']), 'fold')}",
        verdict=model_findings(report),
        tiles=_tiles(report),
        plots=_plots(report),
        grids=[_training(report, lineage), _signals(report), *_traded(report), _folds(report)],
    )


def model_findings(report: Report) -> tuple[Finding, ...]:
    """Return what the figures say, most important first."""
    ic, chance = report["score"]["ic"], report["probabilities"]
    found = [Finding("suspect", f"SUSPECT: {reason}.") for reason in report["suspect"]]
    found += [
        Finding("suspect", f"Look at the feature {name}: alone it has a mean rank IC of {ic:.3f}.")
        for name, ic in list(report["leaks"].items())[:_MOST_LEAKS]
    ]
    if ic["low"] is None:
        found.append(Finding("note", "The signal cannot be judged: too few instants have enough symbols."))
    elif ic["low"] > 0:
        found.append(Finding("good", f"The signal is better than chance: mean rank IC {_ic(ic)}."))
    else:
        found.append(Finding("bad", f"The signal cannot be told from chance: mean rank IC {_ic(ic)}."))
    found += _trading_findings(report.get("traded"))
    if chance["brier_skill"] is not None:
        better = chance["brier_skill"] > 0
        found.append(
            Finding(
                "good" if better else "bad",
                f"Its chances are {'better' if better else 'no better'} than always saying the base rate of "
                f"{fmt.percent(chance['base_rate'])}: Brier skill {fmt.number(chance['brier_skill'], 4)}.",
            )
        )
    return tuple(found)


def _trading_findings(traded: Report | None) -> list[Finding]:
    if traded is None:
        return [Finding("note", "Nothing was traded: the model was judged on data without prices.")]
    sharpe = f"{fmt.number(traded['sharpe'])} ({fmt.interval(_pair(traded['sharpe_interval']))})"
    held = traded["benchmarks"][0]
    beats = (traded["sharpe"] or 0.0) > (held["sharpe"] or 0.0)
    skilled = (traded["deflated_sharpe"] or 0.0) >= DSR_FLOOR
    return [
        Finding(
            "good" if beats else "bad",
            f"Traded after costs its Sharpe ratio is {sharpe}; {held['name']} had {fmt.number(held['sharpe'])}.",
        ),
        Finding(
            "good" if skilled else "bad",
            f"The deflated Sharpe ratio is {fmt.number(traded['deflated_sharpe'])} after "
            f"{fmt.plural(traded['n_trials'], 'trial')}: luck is {'unlikely' if skilled else 'not excluded'}.",
        ),
    ]


def _tiles(report: Report) -> list[tuple[str, str, str]]:
    ic, traded, auc, hits = report["score"]["ic"], report.get("traded"), report["auc"], report["hits"]
    tiles = [
        ("Rank IC", fmt.number(ic["mean"], 4), f"95 %: {fmt.interval((ic['low'], ic['high']), 4)}"),
        ("AUC", fmt.number(auc["value"], 4), f"95 %: {fmt.interval((auc['low'], auc['high']), 4)}"),
        ("Signs right", fmt.percent(hits["value"]), f"base rate {fmt.percent(hits['base'])}"),
    ]
    if traded is None:
        return tiles
    return [
        *tiles,
        ("Sharpe ratio", fmt.number(traded["sharpe"]), f"95 %: {fmt.interval(_pair(traded['sharpe_interval']))}"),
        ("Deflated Sharpe", fmt.number(traded["deflated_sharpe"]), fmt.plural(traded["n_trials"], "trial")),
        ("Costs", fmt.number(traded["costs"]["bps_of_traded"], 1, " bps"), "of what was traded"),
    ]


def _plots(report: Report) -> list[Plot]:
    return [
        make_plot("curve", "Learning curve", "Of the last fit, on all training data.", curve_panel(report["curve"])),
        make_plot(
            "ic",
            "Signal quality",
            "Mean rank IC of each month, out of sample.",
            monthly_ic_panel(report["score"]["ic_by_month"]),
        ),
        make_plot(
            "reliability",
            "Reliability",
            "How often the target rose, by the chance that was given; bars are 95 % intervals.",
            reliability_panel(report["probabilities"]["curve"]),
        ),
        make_plot(
            "coverage",
            "Quantiles",
            "Share of targets below each forecast quantile, less its level; bars are 95 % intervals.",
            coverage_panel(report["quantiles"]),
        ),
    ]


def _training(report: Report, lineage: Report) -> Grid:
    params = ", ".join(f"{key}={value}" for key, value in report["params"].items()) or "defaults"
    return Grid(
        "Training",
        (
            ("Data from", fmt.day(report["train_start_ns"])),
            ("Data to", fmt.day(report["train_end_ns"])),
            ("Horizon", fmt.plural(report["horizon"], "bar")),
            ("Rows", f"{report['n_rows']:,}"),
            ("Features", str(report["n_features"])),
            ("Symbols", str(report["n_symbols"])),
            ("Hyperparameters", params),
            ("Seed", str(report["seed"])),
            ("Fitted in", fmt.duration(report["seconds"])),
            ("Search", lineage["search"] or fmt.DASH),
            ("Parent", lineage["parent"] or fmt.DASH),
            ("Data fingerprint", lineage["data_fingerprint"][:16] or fmt.DASH),
            ("Code", f"{lineage['code_version']} {lineage['code_revision'][:12]}".strip()),
            ("Environment", lineage["environment"][:16]),
        ),
    )


def _signals(report: Report) -> Grid:
    chance, spread, auc, hits = report["probabilities"], report["quantiles"], report["auc"], report["hits"]
    return Grid(
        "Signal, out of sample",
        (
            ("Rank IC", _ic(report["score"]["ic"])),
            ("· t statistic", fmt.number(report["score"]["ic"]["t_stat"], 1)),
            ("AUC", fmt.number(auc["value"], 4)),
            ("· interval", fmt.interval((auc["low"], auc["high"]), 4)),
            ("Signs right", fmt.percent(hits["value"], 2)),
            ("· interval", fmt.interval((hits["low"], hits["high"]), 2, as_percent=True)),
            ("· always the same sign", fmt.percent(hits["base"], 2)),
            ("Share of rises", fmt.percent(chance["base_rate"], 2)),
            ("Brier score", fmt.number(chance["brier"]["score"], 4)),
            ("· skill against the base rate", fmt.number(chance["brier_skill"], 4, signed=True)),
            ("Log loss", fmt.number(chance["log_loss"], 4)),
            ("· of the base rate", fmt.number(chance["base_log_loss"], 4)),
            ("Calibration error", fmt.number(chance["calibration_error"], 4)),
            *(
                (f"Below the {fmt.percent(want, 0)} quantile", fmt.percent(got))
                for want, got in zip(spread["levels"], spread["coverage"], strict=True)
            ),
        ),
    )


def _traded(report: Report) -> list[Grid]:
    traded = report.get("traded")
    if traded is None:
        return []
    held = traded["benchmarks"][0]
    grid = Grid(
        "Traded by the decision loop, after costs",
        (
            ("Annual return", fmt.percent(traded["annual_return"], 2)),
            ("Annual volatility", fmt.percent(traded["annual_volatility"], 2)),
            ("Sharpe ratio", fmt.number(traded["sharpe"])),
            ("· interval", fmt.interval(_pair(traded["sharpe_interval"]))),
            (f"· of {held['name']}", fmt.number(held["sharpe"])),
            ("· difference, interval", fmt.interval(_pair(held["sharpe_difference_interval"]))),
            ("Probabilistic Sharpe", fmt.number(traded["probabilistic_sharpe"], 3)),
            ("Deflated Sharpe", fmt.number(traded["deflated_sharpe"], 3)),
            ("Deepest drawdown", fmt.percent(traded["drawdown"]["depth"])),
            ("Turnover a year", fmt.number(traded["turnover"], 1, " × equity")),
            ("Costs in P&L before costs", fmt.percent(traded["costs"]["share_of_gross"])),
        ),
    )
    return [grid]


def _folds(report: Report) -> Grid:
    rows = tuple(
        (f"{fmt.day(first)} to {fmt.day(last)}", fmt.number(ic, 4))
        for (first, last), ic in zip(report["folds"], report["score"]["fold_ic"], strict=True)
    )
    return Grid("Walk-forward folds", rows, ("Tested on", "Rank IC"))


def _ic(ic: Report) -> str:
    return f"{fmt.number(ic['mean'], 4)} ({fmt.interval((ic['low'], ic['high']), 4)})"


def _pair(ends: Any) -> tuple[float | None, float | None]:
    return (ends[0], ends[1]) if ends else (None, None)
