"""What a search may vary: named dimensions with bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from trader.core.errors import SettingsError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Choice", "Dimension", "Float", "Int", "Space", "Subset"]

Params = dict[str, Any]

_STEP = 0.2
"""Standard deviation of a mutation, as a share of the dimension's width (of its logarithm where that is the scale)."""


class Dimension(Protocol):
    """One thing that may vary."""

    def sample(self, rng: np.random.Generator) -> Any:
        """Draw a value from the whole dimension."""
        ...

    def mutate(self, value: Any, rng: np.random.Generator) -> Any:
        """Draw a value near `value`."""
        ...

    def to_optuna(self) -> BaseDistribution:
        """Return the same dimension as Optuna has it."""
        ...

    def __str__(self) -> str: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Float:
    """A number from `low` to `high`, both included; `log` searches its order of magnitude."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, log=self.log)

    def sample(self, rng: np.random.Generator) -> float:
        """Draw a value."""
        return self._from_place(float(rng.random()))

    def mutate(self, value: float, rng: np.random.Generator) -> float:
        """Take a normal step; what would leave the bounds is reflected back."""
        return self._from_place(
            _reflect(_place(value, self.low, self.high, log=self.log) + _STEP * float(rng.standard_normal()))
        )

    def to_optuna(self) -> BaseDistribution:
        """Return an Optuna FloatDistribution."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{' (log)' if self.log else ''}"

    def _from_place(self, place: float) -> float:
        return min(max(_value(place, self.low, self.high, log=self.log), self.low), self.high)


@dataclasses.dataclass(frozen=True, slots=True)
class Int:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, log=self.log)

    def sample(self, rng: np.random.Generator) -> int:
        """Draw a value; without `log` all are equally likely."""
        return self._from_place(float(rng.random()))

    def mutate(self, value: int, rng: np.random.Generator) -> int:
        """Take a normal step, of at least one."""
        place = _place(value, self.low - 0.5, self.high + 0.5, log=self.log)
        moved = self._from_place(_reflect(place + _STEP * float(rng.standard_normal())))
        if moved != value or self.low == self.high:
            return moved
        steps = [near for near in (value - 1, value + 1) if self.low <= near <= self.high]
        return int(rng.choice(steps))

    def to_optuna(self) -> BaseDistribution:
        """Return an Optuna IntDistribution."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log)

    def __str__(self) -> str:
        return f"{self.low} to {self.high}{' (log)' if self.log else ''}"

    def _from_place(self, place: float) -> int:
        value = round(_value(place, self.low - 0.5, self.high + 0.5, log=self.log))
        return min(max(value, self.low), self.high)


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """One of several values; where they have an order, neighbours are one step apart."""

    values: tuple[Any, ...]
    ordered: bool = False

    def __post_init__(self) -> None:
        if not self.values:
            raise SettingsError("values is empty; a choice needs at least one")

    def sample(self, rng: np.random.Generator) -> Any:
        """Draw one of the values."""
        return self.values[int(rng.integers(len(self.values)))]

    def mutate(self, value: Any, rng: np.random.Generator) -> Any:
        """Draw another value: a neighbour where they are ordered, any other where not."""
        at = self.values.index(value)
        reach = (at - 1, at + 1) if self.ordered else range(len(self.values))
        others = [place for place in reach if place != at and 0 <= place < len(self.values)]
        return self.values[others[int(rng.integers(len(others)))]] if others else value

    def to_optuna(self) -> BaseDistribution:
        """Return an Optuna CategoricalDistribution."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def __str__(self) -> str:
        return ", ".join(str(value) for value in self.values)


@dataclasses.dataclass(frozen=True, slots=True)
class Subset:
    """Some of several names, at least `least`, in the order given."""

    names: tuple[str, ...]
    least: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.least <= len(self.names):
            raise SettingsError(f"least={self.least} is not allowed; it must be from 1 to {len(self.names)}")

    def sample(self, rng: np.random.Generator) -> tuple[str, ...]:
        """Draw a subset: each name with a chance that is itself drawn, so that all sizes occur."""
        return self._kept(rng.random(len(self.names)) < rng.random(), rng)

    def mutate(self, value: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
        """Take one name in or out, and each other one with a chance of one in as many."""
        flips = rng.random(len(self.names)) < 1.0 / len(self.names)
        flips[rng.integers(len(self.names))] = True
        return self._kept(np.array([name in value for name in self.names]) ^ flips, rng)

    def to_optuna(self) -> BaseDistribution:
        """Refuse: Optuna has no subsets."""
        raise SettingsError("a subset of names cannot be searched by Optuna; use evolve")

    def __str__(self) -> str:
        return f"at least {self.least} of {', '.join(self.names)}"

    def _kept(self, mask: np.ndarray[Any, Any], rng: np.random.Generator) -> tuple[str, ...]:
        missing = self.least - int(mask.sum())
        if missing > 0:
            mask[rng.choice(np.flatnonzero(~mask), missing, replace=False)] = True
        return tuple(name for name, kept in zip(self.names, mask, strict=True) if kept)


@dataclasses.dataclass(frozen=True, slots=True)
class Space:
    """Dimensions to vary, and values that stay as they are.

    Parameters
    ----------
    dimensions : mapping of str to Dimension
    fixed : mapping of str to value, optional
        Handed on with every sample.

    Examples
    --------
    >>> Space({"depth": Int(2, 6), "kind": Choice(("a", "b"))}, {"l2": 1.0}).sample(np.random.default_rng(0))
    {'l2': 1.0, 'depth': 5, 'kind': 'b'}
    """

    dimensions: Mapping[str, Dimension]
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def sample(self, rng: np.random.Generator) -> Params:
        """Draw every dimension."""
        return dict(self.fixed) | {name: dimension.sample(rng) for name, dimension in self.dimensions.items()}

    def mutate(self, params: Mapping[str, Any], rng: np.random.Generator, rate: float = 0.3) -> Params:
        """Move each dimension with chance `rate`, and one of them for certain."""
        moved = dict(params)
        names = list(self.dimensions)
        if names:
            chosen = rng.random(len(names)) < rate
            chosen[rng.integers(len(names))] = True
            for name in (name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen):
                moved[name] = self.dimensions[name].mutate(params[name], rng)
        return moved

    def to_optuna(self) -> dict[str, BaseDistribution]:
        """Return the dimensions as Optuna has them."""
        return {name: dimension.to_optuna() for name, dimension in self.dimensions.items()}


def _check_bounds(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise SettingsError(f"low={low}, high={high} are not allowed; low must not be above high")
    if log and low <= 0:
        raise SettingsError(f"low={low} is not allowed on a log scale; it must be positive")


def _place(value: float, low: float, high: float, *, log: bool) -> float:
    if low == high:
        return 0.5
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _value(place: float, low: float, high: float, *, log: bool) -> float:
    return low * (high / low) ** place if log else low + place * (high - low)


def _reflect(place: float) -> float:
    """Fold a number back into 0 to 1."""
    place = abs(place) % 2.0
    return 2.0 - place if place > 1.0 else place
