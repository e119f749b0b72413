"""The look of the plots: colours, axes, and SVG that follows the page's light or dark scheme."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PAGE", "PAPER", "Theme", "dates", "new_figure", "render_png", "render_svg", "thin"]

IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Theme:
    """Colours by role, after Okabe and Ito (2008): distinct for colour-blind eyes, and in grey by lightness."""

    ink: str = "#1b1f24"
    muted: str = "#667080"
    grid: str = "#e3e6ea"
    face: str = "#ffffff"
    strategy: str = "#0072b2"
    hold: str = "#d55e00"
    index: str = "#8a919c"
    gain: str = "#0072b2"
    loss: str = "#d55e00"
    accent: str = "#cc79a7"

    def of_benchmark(self, place: int) -> str:
        """Return the colour of the benchmark in this place."""
        return self.hold if place == 0 else self.index


PAPER = Theme()
"""For PNG files."""

# Each role has a colour that nothing else uses, so that the SVG's colours can be told apart and made variables.
PAGE = Theme(**{field.name: f"#0000{place + 1:02x}" for place, field in enumerate(dataclasses.fields(Theme))})
"""For SVG inside a page: every colour becomes the CSS variable `--plot-<role>`."""

_STYLE: dict[str, Any] = {
    "font.size": 9.0,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlesize": 9.0,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.3,
    "lines.solid_capstyle": "round",
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.4,
    "svg.fonttype": "none",
    "path.simplify_threshold": 0.3,
}

Draw = Callable[["Axes", Theme], None]


def new_figure(draw: Draw, theme: Theme, size: tuple[float, float]) -> Figure:
    """Return a figure of `size` inches with one axes that `draw` has drawn on; pyplot is not involved."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # matplotlib's stubs type every key as a literal; Any keeps the call readable.
    style: Any = _STYLE | {
        "text.color": theme.ink,
        "axes.labelcolor": theme.muted,
        "axes.edgecolor": theme.grid,
        "xtick.color": theme.grid,
        "ytick.color": theme.grid,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted,
        "grid.color": theme.grid,
        "figure.facecolor": theme.face,
        "axes.facecolor": theme.face,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot(), theme)
        return figure


def render_png(draw: Draw, size: tuple[float, float], dpi: int = 150) -> bytes:
    """Return a PNG on white."""
    buffer = io.BytesIO()
    new_figure(draw, PAPER, size).savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def render_svg(name: str, label: str, draw: Draw, size: tuple[float, float]) -> str:
    """Return an `<svg>` element to put into HTML: no outside reference, ids that start with `name`.

    Colours are CSS variables, text is text, and `label` is read to those who cannot see it.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        new_figure(draw, PAGE, size).savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", text)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{label}">', text)
    for field in dataclasses.fields(Theme):
        text = text.replace(getattr(PAGE, field.name), f"var(--plot-{field.name})")
    return text.strip()


def dates(ts_ns: IntArray) -> NDArray[np.datetime64]:
    """Return stamps as matplotlib's date axis takes them."""
    return ts_ns.astype("datetime64[ns]")


def thin(n: int, at_most: int = 2500) -> IntArray:
    """Return rows to draw of `n`: all, or `at_most` evenly spaced ones with the first and the last."""
    if n <= at_most:
        return np.arange(n, dtype=np.int64)
    return np.unique(np.linspace(0, n - 1, at_most).round().astype(np.int64))
