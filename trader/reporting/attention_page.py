"""Pictures of what only a transformer has: gradients over its window, and attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trader.explain.attention import CAUTION, AttentionSummary
from trader.explain.sequence import WindowGradients
from trader.reporting import formats as fmt
from trader.reporting.explanation_page import ExplanationPage
from trader.reporting.explanation_panels import MOST_SHARES, heat_panel, share_panel
from trader.reporting.panels import notice
from trader.reporting.plots import Plot, make_plot
from trader.reporting.sections import Grid
from trader.reporting.verdict import Finding

__all__ = ["attention_page", "gradient_plots"]

_ROW_HEIGHT = 0.24
_EDGES = 0.9


def gradient_plots(
    found: WindowGradients, symbol: str, symbols: Sequence[str], names: Sequence[str]
) -> tuple[Plot, ...]:
    """Return where in its window, and in whose, the score of a symbol comes from.

    Parameters
    ----------
    found : WindowGradients
        Of the symbol.
    symbol : str
    symbols, names : sequence of str
        Of the axes of `found.values`.
    """
    own = found.values[:, list(symbols).index(symbol)].T  # (n_features, context)
    largest = np.argsort(-np.abs(own).sum(axis=1), kind="stable")[:MOST_SHARES]
    context = found.values.shape[0]
    instants = [str(at) for at in range(1 - context, 1)]
    heat = heat_panel(own[largest], [names[at] for at in largest], instants, "instants before; part of the score")
    by_symbol = share_panel(symbols, found.values.sum(axis=(0, 2)), None, "part of the score")
    return (
        make_plot(
            f"window-{symbol}",
            f"{symbol}: its own window",
            "Integrated gradients by instant; blue adds.",
            heat,
            height=_EDGES + _ROW_HEIGHT * len(largest),
        ),
        make_plot(
            f"symbols-{symbol}",
            f"{symbol}: by symbol",
            "Integrated gradients of each symbol's window, summed.",
            by_symbol,
            height=_EDGES + _ROW_HEIGHT * min(len(symbols), MOST_SHARES + 1),
        ),
    )


def attention_page(ref: str, found: AttentionSummary, symbols: Sequence[str], ts_ns: int) -> ExplanationPage:
    """Return the page of where a transformer looks at one instant."""
    in_time, of_assets = found.time.mean(axis=0), found.assets.mean(axis=0)
    n_patches = in_time.shape[1]
    patches = [str((at + 1 - n_patches) * found.patch) for at in range(n_patches)]
    across = heat_panel(of_assets, symbols, symbols, "looked at; weight")
    along = heat_panel(in_time, symbols, patches, "end of the patch, instants before; weight")
    height = _EDGES + _ROW_HEIGHT * len(symbols)
    layers = fmt.plural(found.time.shape[0], "block")
    return ExplanationPage(
        title=ref if ref == found.subject else f"{ref} · {found.subject}",
        subtitle=f"Attention at {fmt.instant(ts_ns)}, mean over heads and {layers}",
        findings=(Finding("note", CAUTION),),
        plots=(
            make_plot(
                "assets", "Across assets", "Each row is a symbol that looks; it sums to 1.", across, height=height
            ),
            make_plot("time", "Along time", "Each row is a symbol that looks at its own past.", along, height=height),
        ),
        grids=(_most_looked_at(of_assets, symbols),),
        main=across or notice("there is no attention to show"),
    )


def _most_looked_at(weights: np.ndarray, symbols: Sequence[str]) -> Grid:
    mean = weights.mean(axis=0)
    rows = tuple((symbols[at], fmt.percent(float(mean[at]))) for at in np.argsort(-mean, kind="stable"))
    return Grid("Looked at, mean over symbols", rows, ("symbol", "weight"))
