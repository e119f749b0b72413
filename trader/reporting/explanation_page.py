"""Explanations of a model as one HTML file that needs nothing else, or as one picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from trader.explain.overview import Overview
from trader.explain.results import Attribution
from trader.reporting import formats as fmt
from trader.reporting.explanation_panels import effect_panel, share_panel
from trader.reporting.html import template
from trader.reporting.panels import notice
from trader.reporting.plots import Plot, make_plot
from trader.reporting.sections import Grid
from trader.reporting.theme import Draw, render_png
from trader.reporting.verdict import Finding

__all__ = ["ExplanationPage", "local_page", "overview_page"]

_BAR_HEIGHT = 0.24
_EDGES = 0.9
_PNG_SIZE = (8.0, 4.8)
_MOST_LISTED = 20


@dataclasses.dataclass(frozen=True, slots=True)
class ExplanationPage:
    """What is shown of an explanation.

    Parameters
    ----------
    title, subtitle : str
    findings : tuple of Finding
    plots : tuple of Plot
    grids : tuple of Grid
    main : callable
        Draws the picture that stands for the page.
    tree : str
        A surrogate tree in text; empty without one.
    """

    title: str
    subtitle: str
    findings: tuple[Finding, ...]
    plots: tuple[Plot, ...]
    grids: tuple[Grid, ...]
    main: Draw
    tree: str = ""

    def tables(self, top: int) -> list[Grid]:
        """Return the tables for a terminal, at most `top` features in each."""
        return [dataclasses.replace(grid, rows=grid.rows[:top]) for grid in self.grids if grid.header]

    def html(self) -> str:
        """Return the page."""
        return template("explanation.html.j2").render(
            ref=self.title,
            suspect=False,
            subtitle=self.subtitle,
            verdict=self.findings,
            tiles=[],
            plots=self.plots,
            grids=self.grids,
            tree=self.tree,
        )

    def png(self) -> bytes:
        """Return the picture."""
        return render_png(self.main, _PNG_SIZE)


def local_page(
    ref: str, found: Attribution, symbols: Sequence[str], ts_ns: int, extra: Sequence[Plot] = ()
) -> ExplanationPage:
    """Return the page of an explanation of one instant.

    Parameters
    ----------
    ref : str
        What was explained, as it was named.
    found : Attribution
    symbols : sequence of str
        One a row.
    ts_ns : int
        Stamp of the instant.
    extra : sequence of Plot
        Further pictures.
    """
    errors = [None] * len(symbols) if found.standard_error is None else list(found.standard_error)
    draws = [
        share_panel(found.feature_names, values, error, "part of the score")
        for values, error in zip(found.values, errors, strict=True)
    ]
    plots = [
        make_plot(f"symbol-{at}", symbol, _sum_text(found, at), draw, height=_height(len(found.feature_names)))
        for at, (symbol, draw) in enumerate(zip(symbols, draws, strict=True))
    ]
    drawn = [draw for draw in draws if draw is not None]
    return ExplanationPage(
        title=_title(ref, found.subject),
        subtitle=f"{found.method.upper()} at {fmt.instant(ts_ns)}",
        findings=_findings(found),
        plots=(*plots, *extra),
        grids=(*(_shares(found, at, symbol) for at, symbol in enumerate(symbols)), _facts(found)),
        main=drawn[0] if drawn else notice("no symbol is scored"),
    )


def overview_page(ref: str, found: Overview) -> ExplanationPage:
    """Return the page of a model as a whole."""
    names = found.attribution.feature_names
    importance = share_panel(names, found.attribution.values, found.attribution.standard_error, "mean absolute value")
    falls = share_panel(names, found.ic.values, found.ic.standard_error, "fall of the mean rank IC")
    height = _height(len(names))
    effects = [
        make_plot(
            f"effect-{at}",
            effect.feature,
            "Accumulated local effects.",
            effect_panel(effect.grid, effect.values, effect.feature),
        )
        for at, effect in enumerate(found.effects)
    ]
    tree = found.surrogate
    first, last = (fmt.day(ts_ns) for ts_ns in found.span_ns)
    how = f"Mean absolute {found.sample.method.upper()} value of {found.attribution.n} rows, two standard errors."
    fidelity = Finding(
        "note" if tree.r2 >= 0.5 else "bad",
        f"A tree of depth {tree.depth} imitates the scores of {tree.n_test} rows that it was not "
        f"fitted to with R² {fmt.number(tree.r2)} and rank correlation {fmt.number(tree.rank_agreement)}.",
    )
    return ExplanationPage(
        title=_title(ref, found.subject),
        subtitle=f"{first} to {last}, {fmt.plural(found.n_instants, 'instant')}",
        findings=(*_findings(found.sample), fidelity),
        plots=(
            make_plot(
                "attribution",
                "What the scores are made of",
                how,
                importance,
                height=height,
            ),
            make_plot(
                "ic",
                "What their quality rests on",
                "Fall of the mean rank IC when symbols swap the feature, two standard errors. In the data explained: "
                "if the model was trained on them, what it learnt and not what helps.",
                falls,
                height=height,
            ),
            *effects,
        ),
        grids=(_ranking(found), _facts(found.sample)),
        main=importance or notice("nothing is scored"),
        tree=tree.text(),
    )


def _title(ref: str, subject: str) -> str:
    return ref if ref == subject else f"{ref} · {subject}"


def _findings(found: Attribution) -> tuple[Finding, ...]:
    error = float(np.nanmax(found.additivity_error)) if np.isfinite(found.score).any() else float("nan")
    promise = (
        "no additivity is promised"
        if found.tolerance is None
        else f"{found.tolerance:g} of the largest number is allowed"
    )
    notes = [f"Base and values miss the score by at most {error:.2g}; {promise}.", f"Background: {found.background}."]
    if found.fidelity is not None and np.isfinite(found.fidelity).any():
        notes.append(f"The local linear model explains {np.nanmin(found.fidelity):.0%} of the variance or more.")
    return (*(Finding("note", note) for note in notes), *(Finding("bad", f"{text}.") for text in found.warnings))


def _sum_text(found: Attribution, at: int) -> str:
    if not np.isfinite(found.score[at]):
        return "The model abstains."
    return f"Score {found.score[at]:+.4g} = base {found.base[at]:+.4g} and the bars."


def _shares(found: Attribution, at: int, symbol: str) -> Grid:
    values = found.values[at]
    order = np.argsort(-np.abs(values), kind="stable") if np.isfinite(found.score[at]) else np.empty(0, np.int64)
    errors = found.standard_error
    rows = tuple(
        (
            found.feature_names[column],
            fmt.number(float(values[column]), 4, signed=True),
            fmt.DASH if errors is None else fmt.number(float(errors[at, column]), 4),
        )
        for column in order
    )
    return Grid(f"{symbol}: {_sum_text(found, at)}", rows, ("feature", "value", "its error"))


def _ranking(found: Overview) -> Grid:
    order = np.argsort(-found.attribution.values)[:_MOST_LISTED]
    rows = tuple(
        (
            found.attribution.feature_names[at],
            fmt.number(float(found.attribution.values[at]), 4),
            fmt.number(float(found.ic.values[at]), 4),
            fmt.number(float(found.ic.standard_error[at]), 4),
        )
        for at in order
    )
    return Grid("Features", rows, ("feature", "mean absolute value", "fall of the IC", "its error"))


def _facts(found: Attribution) -> Grid:
    return Grid(
        "How",
        (
            ("algorithm", found.algorithm),
            ("background", found.background),
            ("background SHA-256", found.background_sha256[:16]),
            ("seconds", fmt.number(found.seconds)),
        ),
    )


def _height(n_bars: int) -> float:
    return _EDGES + _BAR_HEIGHT * min(n_bars, 13)
