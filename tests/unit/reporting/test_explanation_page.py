"""Pages and pictures of explanations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trader.explain.results import Attribution
from trader.reporting.explanation_page import local_page
from trader.reporting.explanation_panels import effect_panel, heat_panel, share_panel
from trader.reporting.theme import PAPER, Draw, new_figure, render_png


@pytest.fixture
def found() -> Attribution:
    """Two symbols, the second of which is not scored."""
    return Attribution(
        method="shap",
        algorithm="interventional TreeSHAP, exact",
        subject="boosting@1",
        feature_names=("alpha", "beta", "<gamma>"),
        score=np.array([1.0, np.nan]),
        base=np.array([0.25, np.nan]),
        values=np.array([[0.5, -0.25, 0.5], [np.nan] * 3]),
        background="100 rows of a test",
        background_sha256="ab" * 32,
        tolerance=1e-9,
        warnings=("boosting@1 abstains on 1 of 2 rows",),
    )


def bars(draw: Draw | None) -> tuple[list[str], list[float]]:
    """Return the labels and lengths of horizontal bars, from top to bottom."""
    assert draw is not None
    (axes,) = new_figure(draw, PAPER, (6.0, 4.0)).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    return names, [patch.get_width() for patch in axes.patches]  # type: ignore[attr-defined]


def test_bars_are_the_largest_and_the_others_in_one() -> None:
    """By size, sign kept, and no part of the sum is lost."""
    values = np.array([0.1, -3.0, 2.0, 0.2])
    names, lengths = bars(share_panel("abcd", values, None, "unit", at_most=2))
    assert names == ["b", "c", "2 others"]
    assert lengths == pytest.approx([-3.0, 2.0, 0.3])
    assert sum(lengths) == pytest.approx(values.sum())


def test_errors_are_whiskers_of_two() -> None:
    """A line reaches two standard errors to both sides."""
    draw = share_panel("ab", np.array([1.0, 0.5]), np.array([0.1, np.nan]), "unit")
    assert draw is not None
    (axes,) = new_figure(draw, PAPER, (6.0, 4.0)).axes
    (lines,) = axes.collections
    ends = [segment[:, 0].tolist() for segment in lines.get_segments()]  # type: ignore[attr-defined]
    assert ends == [pytest.approx([0.8, 1.2]), pytest.approx([0.5, 0.5])]


def test_what_cannot_be_drawn_is_none() -> None:
    """Abstentions, single points and empty tables have no picture."""
    assert share_panel("ab", np.array([np.nan, 1.0]), None, "unit") is None
    assert effect_panel(np.array([1.0]), np.array([0.0]), "a") is None
    assert heat_panel(np.zeros((2, 2)), "ab", "cd", "unit") is None


def test_heat_is_one_colour_a_sign() -> None:
    """Cells of both signs and of none are drawn without a warning, as a picture."""
    draw = heat_panel(np.array([[1.0, 0.0], [-0.5, 0.25]]), "ab", "cd", "unit")
    assert draw is not None
    (axes,) = new_figure(draw, PAPER, (4.0, 3.0)).axes
    assert len(axes.patches) == 3
    assert render_png(draw, (4.0, 3.0)).startswith(b"\x89PNG")


def test_page_says_score_base_and_background(found: Attribution) -> None:
    """Each symbol has its picture or the reason why not; names are escaped; warnings are findings."""
    page = local_page("boosting@1", found, ("AAPL", "MSFT"), 1_435_694_400_000_000_000)
    html = page.html()
    assert "Score +1 = base +0.25" in html
    assert "There is nothing to show" in html or "The model abstains" in html
    assert "<gamma>" not in html
    assert "abstains on 1 of 2 rows" in html
    assert "100 rows of a test" in html
    assert "2015-06-30" in html
    assert html.count("<svg") == 1
    assert page.title == "boosting@1"
    assert page.png().startswith(b"\x89PNG")


def test_tables_are_cut_to_the_top(found: Attribution) -> None:
    """A terminal gets the largest values of each symbol, and none where the model abstains."""
    first, second = local_page("x", found, ("AAPL", "MSFT"), 0).tables(2)
    assert [row[:2] for row in first.rows] == [("alpha", "+0.5000"), ("<gamma>", "+0.5000")]
    assert second.rows == ()


def test_nothing_scored_still_makes_a_picture(found: Attribution) -> None:
    """When no symbol is scored the picture says so."""
    nothing = dataclasses.replace(found, score=np.full(2, np.nan))
    assert local_page("x", nothing, ("A", "B"), 0).png().startswith(b"\x89PNG")
