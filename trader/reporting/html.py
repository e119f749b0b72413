"""The report as one HTML file that needs nothing else: no script, no font, no address outside itself."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trader.reporting import formats as fmt
from trader.reporting.plots import Plot
from trader.reporting.sections import Grid, benchmark_grid, fact_grids, quality_grids, tiles, training_grids
from trader.reporting.summary import Summary
from trader.storage import RunRecord

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["render_html", "template"]


def render_html(summary: Summary, record: RunRecord, plots: Sequence[Plot], extras: Mapping[str, Any]) -> str:
    """Return the report of a run.

    Parameters
    ----------
    extras : mapping
        What is known beside the store: `training` and `quality` (what `to_dict` of a `TrainingReport` and of a
        `QualityReport` gives, or None) and `features_left_out` (reason by feature). All may be missing.
    """
    result = summary.performance
    return template("report.html.j2").render(
        summary=summary,
        period="no decision" if result is None else f"{fmt.day(result.start_ns)} to {fmt.day(result.end_ns)}",
        symbols=", ".join(summary.symbols),
        written=fmt.instant(summary.ended_ns),
        tiles=tiles(summary),
        comparison=benchmark_grid(result) if result is not None and result.benchmarks else None,
        plots=plots,
        facts=fact_grids(summary),
        experiment=extras.get("experiment") or [],
        risk=extras.get("risk") or [],
        training=training_grids(extras["training"]) if extras.get("training") else [],
        features=record.feature_names,
        left_out=_left_out(extras.get("features_left_out") or {}),
        quality=quality_grids(extras["quality"]) if extras.get("quality") else [],
        events=[(fmt.instant(event["ts_ns"]), fmt.title(event["kind"]), event["text"]) for event in summary.events],
        settings=_settings(summary.settings),
    )


def _left_out(reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the features of each reason, so that a reason is read once."""
    by_reason = sorted(reasons.items(), key=lambda item: (str(item[1]), item[0]))
    groups = itertools.groupby(by_reason, key=lambda item: str(item[1]))
    return [(reason, ", ".join(name for name, _ in group)) for reason, group in groups]


def _settings(settings: Mapping[str, Any]) -> list[Grid]:
    grids = []
    for section, values in settings.items():
        fields = values if isinstance(values, Mapping) else {section: values}
        grids.append(Grid(section, tuple((name, _setting_text(value)) for name, value in fields.items())))
    return grids


def _setting_text(value: Any) -> str:
    if value is None or value == "":
        return fmt.DASH
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_setting_text(item)}" for key, item in value.items()) or fmt.DASH
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_setting_text(item) for item in value) or fmt.DASH
    return str(value)


@functools.cache
def template(name: str, package: str = "trader.reporting") -> Template:
    """Return a template of a package; the shared parts of this package's pages are at hand to all."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("trader.reporting")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
