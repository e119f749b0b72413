"""Results are written whole, without NaN, and say of every target whether it was met."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.results import Result, Target, ratio, to_dict, write_json
from benchmarks.sampling import Outcome, Sample, absent
from benchmarks.tables import show

OURS = Outcome("ours", "ours", 100, Sample(9.0, 9.0), (Sample(1.0, 2.0), Sample(2.0, 2.0), Sample(4.0, 4.0)))
PEER = Outcome("peer", "peer", 10, Sample(9.0, 9.0), (Sample(1.0, 1.0),))


def _content(*outcomes: Outcome, target: Target | None = None) -> dict[str, object]:
    result = Result("demo", "A demo", "ticks", {"n": 1}, outcomes, [target] if target else [])
    return to_dict(result, {"cpu": "x"}, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6], quick=False)


def test_ratio_is_that_of_rates_not_of_times() -> None:
    """Contenders may do different amounts of work: 50 ticks/s against 10 is 5 times."""
    assert ratio(OURS, PEER) == 5.0


@pytest.mark.parametrize(
    ("value", "op", "met"), [(5.0, ">=", True), (4.9, ">=", False), (5.0, "<=", True), (5.1, "<=", False)]
)
def test_target_is_met_on_its_side(value: float, op: str, met: bool) -> None:
    """The bound itself meets the target."""
    assert Target("t", "x", value, op, 5.0).met is met  # type: ignore[arg-type]


def test_target_against_an_absent_peer_is_not_met() -> None:
    """What was not measured is null in the file and never a success."""
    gone = absent("peer", "peer", "pip failed")
    content = _content(OURS, gone, target=Target("times", "x", ratio(OURS, gone), ">=", 5.0))
    assert content["targets"] == [
        {"name": "times", "unit": "x", "value": None, "op": ">=", "target": 5.0, "met": False}
    ]
    assert content["contenders"][1]["error"] == "pip failed"  # type: ignore[index]


def test_file_holds_the_samples_behind_the_medians(tmp_path: Path) -> None:
    """A reader can check the median, the CPU time and the ratio; no partial file stays behind."""
    file = write_json(_content(OURS, PEER), tmp_path / "new")
    ours, peer = json.loads(file.read_text())["contenders"]
    assert file.name == "demo.json"
    assert ours["wall_s"] == {"median": 2.0, "samples": [1.0, 2.0, 4.0]}
    assert ours["cpu_s"]["median"] == 2.0
    assert ours["rate_per_s"] == 50.0
    assert ours["ours_is_times_faster"] is None
    assert peer["ours_is_times_faster"] == 5.0
    assert [path.name for path in file.parent.iterdir()] == ["demo.json"]


def test_table_shows_rates_reasons_and_verdicts() -> None:
    """A row that failed says why instead of figures."""
    shown = io.StringIO()
    content = _content(OURS, absent("gone", "peer", "pip failed"), target=Target("t", "x", 1.0, ">=", 5.0))
    show(content, Console(file=shown, width=120))
    text = shown.getvalue()
    assert "50" in text
    assert "pip failed" in text
    assert "missed" in text


def test_a_figure_of_rows_is_a_table() -> None:
    """Rows and columns by name, a dash where a row lacks one."""
    shown = io.StringIO()
    figures = {"share": {"linear": {"momentum": 0.93, "volume": 0.01}, "boosting": {"momentum": 0.95}}}
    result = Result("demo", "A demo", "ticks", {}, (), [], figures)
    show(to_dict(result, {}, [0.0], [0.0], quick=False), Console(file=shown, width=80))
    rows = [line.split() for line in shown.getvalue().splitlines() if "0.9" in line]
    assert rows == [["│", "linear", "│", "0.93", "│", "0.01", "│"], ["│", "boosting", "│", "0.95", "│", "-", "│"]]
