"""What a benchmark found: targets, figures, and the JSON that is kept of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from benchmarks.sampling import Outcome, Sample

__all__ = ["Result", "Target", "ratio", "to_dict", "write_json"]


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A promise and what was measured; NaN (nothing was measured) never meets it.

    >>> Target("rate", "ticks/s", 3e6, ">=", 2e6).met
    True
    >>> Target("rate", "ticks/s", float("nan"), ">=", 2e6).met
    False
    """

    name: str
    unit: str
    value: float
    op: Literal[">=", "<="]
    target: float

    @property
    def met(self) -> bool:
        """Whether the value is on the right side of the target."""
        return self.value >= self.target if self.op == ">=" else self.value <= self.target


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one benchmark.

    Parameters
    ----------
    name, title : str
    unit : str
        Of the work; rates are in `unit` per second.
    workload : mapping
        What was done: sizes, settings, seeds.
    outcomes : sequence of Outcome
        In order of display. Empty where no rates are compared.
    targets : sequence of Target
    figures : mapping
        Everything else that was measured.
    """

    name: str
    title: str
    unit: str
    workload: Mapping[str, Any]
    outcomes: Sequence[Outcome]
    targets: Sequence[Target]
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def ratio(ours: Outcome, peer: Outcome) -> float:
    """Return how many times faster ours is, by the medians of elapsed time; NaN where either was not measured."""
    return ours.rate / peer.rate


def to_dict(
    result: Result,
    machine: Mapping[str, Any],
    load_before: Sequence[float],
    load_after: Sequence[float],
    *,
    quick: bool,
) -> dict[str, Any]:
    """Return the result ready for JSON: NaN becomes null."""
    ours = next((outcome for outcome in result.outcomes if outcome.role == "ours"), None)
    content = {
        "name": result.name,
        "title": result.title,
        "measured_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "targets": [_target(target) for target in result.targets],
        "figures": dict(result.figures),
        "contenders": [_contender(outcome, result.unit, ours) for outcome in result.outcomes],
        "workload": dict(result.workload),
        "machine": dict(machine),
        "load_average_before": list(load_before),
        "load_average_after": list(load_after),
    }
    return {key: _plain(value) for key, value in content.items()}


def write_json(content: Mapping[str, Any], folder: Path) -> Path:
    """Write a result to `<folder>/<name>.json`, whole or not at all, and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{content['name']}.json"
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return partial.replace(target)


def _target(target: Target) -> dict[str, Any]:
    return {**dataclasses.asdict(target), "met": bool(target.met)}


def _contender(outcome: Outcome, unit: str, ours: Outcome | None) -> dict[str, Any]:
    compared = ours is not None and outcome is not ours and outcome.role == "peer"
    return {
        "name": outcome.name,
        "role": outcome.role,
        "error": outcome.error,
        "unit": unit,
        "work": outcome.work,
        "rate_per_s": outcome.rate,
        "rate_per_cpu_s": outcome.cpu_rate,
        "ours_is_times_faster": ratio(ours, outcome) if compared and ours is not None else None,
        "wall_s": _times([sample.wall_s for sample in outcome.samples], outcome.wall_s),
        "cpu_s": _times([sample.cpu_s for sample in outcome.samples], outcome.cpu_s),
        "warmup": None if outcome.warmup is None else _sample(outcome.warmup),
        "details": [dict(sample.details) for sample in outcome.samples if sample.details],
        "versions": dict(outcome.versions),
        "note": outcome.note,
    }


def _times(values: Sequence[float], median: float) -> dict[str, Any]:
    return {"median": median, "samples": list(values)}


def _sample(sample: Sample) -> dict[str, Any]:
    return {"wall_s": sample.wall_s, "cpu_s": sample.cpu_s}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
