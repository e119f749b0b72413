"""Two versions side by side: how they did, and what was different when they were made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trader.registry.lineage import Lineage
from trader.registry.records import ModelVersion

__all__ = ["Comparison", "Metric", "compare"]

_LOW, _HIGH = "_low", "_high"


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """One metric of two versions.

    Parameters
    ----------
    name : str
    a, b : float or None
        None where a version does not have it.
    a_interval, b_interval : tuple of float or None
        From the metrics `name_low` and `name_high`.
    """

    name: str
    a: float | None
    b: float | None
    a_interval: tuple[float, float] | None
    b_interval: tuple[float, float] | None

    @property
    def apart(self) -> bool | None:
        """Whether the intervals do not touch; None without both. It is cautious: two that touch may still differ."""
        if self.a_interval is None or self.b_interval is None:
            return None
        return self.a_interval[1] < self.b_interval[0] or self.b_interval[1] < self.a_interval[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two versions.

    Parameters
    ----------
    a, b : ModelVersion
    metrics : tuple of Metric
        All of both.
    lineage, settings, environment : mapping of str to (value of a, value of b)
        What differs; settings by dotted path, None for what one does not have.
    """

    a: ModelVersion
    b: ModelVersion
    metrics: tuple[Metric, ...]
    lineage: Mapping[str, tuple[Any, Any]]
    settings: Mapping[str, tuple[Any, Any]]
    environment: Mapping[str, tuple[str | None, str | None]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "a": self.a.to_dict(),
            "b": self.b.to_dict(),
            "metrics": [dataclasses.asdict(metric) | {"apart": metric.apart} for metric in self.metrics],
            "lineage": dict(self.lineage),
            "settings": dict(self.settings),
            "environment": dict(self.environment),
        }


def compare(a: ModelVersion, of_a: Lineage, b: ModelVersion, of_b: Lineage) -> Comparison:
    """Compare two versions, of one model or of two."""
    names = [name for name in {**a.metrics, **b.metrics} if not name.endswith((_LOW, _HIGH))]
    fields_a, fields_b = of_a.to_dict(), of_b.to_dict()
    settings = _differences(_flat(fields_a.pop("settings")), _flat(fields_b.pop("settings")))
    return Comparison(
        a=a,
        b=b,
        metrics=tuple(
            Metric(name, a.metrics.get(name), b.metrics.get(name), _interval(a, name), _interval(b, name))
            for name in names
        ),
        lineage=_differences(fields_a, fields_b),
        settings=settings,
        environment=_differences(of_a.environment.distributions, of_b.environment.distributions),
    )


def _interval(version: ModelVersion, name: str) -> tuple[float, float] | None:
    low, high = version.metrics.get(name + _LOW), version.metrics.get(name + _HIGH)
    return None if low is None or high is None else (low, high)


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {key: (a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys())}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return nested mappings as one, by dotted path.

    >>> _flat({"models": {"horizon": 5, "params": {}}})
    {'models.horizon': 5, 'models.params': {}}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
