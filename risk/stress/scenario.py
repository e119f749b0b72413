"""A scenario: what moves, by how much, and where the figures come from."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Self

from trader.core.errors import DataError

__all__ = ["KINDS", "Scenario"]

KINDS = ("historical", "hypothetical", "correlation", "liquidity")


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario; a YAML file holds a list of them, with these fields.

    Parameters
    ----------
    name : str
        Short, unique in a library.
    title : str
    kind : {"historical", "hypothetical", "correlation", "liquidity"}
    shocks : mapping of str to float
        By factor, or by asset: returns as fractions; changes of yields, spreads and the VIX as fractions too, .01 being
        one point. Of the first two kinds.
    first, last : date, optional
        Closes from which and up to which a historical scenario ran; it is replayed where the history covers them.
    source : tuple of str
        Where the figures come from; at least one.
    note : str, default=""
    correlation : float, default=0.0
        Share of the way to one that all correlations are pushed, 0 to 1. Kind `correlation`, as the next two.
    volatility : float, default=1.0
        Factor of all volatilities, positive.
    level : float, default=.99
        Confidence of the one-period VaR that is the loss.
    spread : float, default=0.0
        Bid-ask spread, a fraction of the price, half of which selling costs. Kind `liquidity`, as the next.
    participation : float, default=.1
        Share of the traded volume that can be sold, above 0 up to 1.
    """

    name: str
    title: str
    kind: str
    shocks: Mapping[str, float] = dataclasses.field(default_factory=dict)
    first: dt.date | None = None
    last: dt.date | None = None
    source: tuple[str, ...] = ()
    note: str = ""
    correlation: float = 0.0
    volatility: float = 1.0
    level: float = 0.99
    spread: float = 0.0
    participation: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"kind={self.kind!r} of scenario {self.name} is not allowed; {', '.join(KINDS)} are")
        if not self.name or not self.source:
            raise DataError(f"scenario {self.name!r} needs a name and a source")
        if (self.first is None) != (self.last is None) or (self.first and self.last and self.first >= self.last):
            raise DataError(f"scenario {self.name} has first={self.first}, last={self.last}; both, rising, are needed")
        for factor, shock in self.shocks.items():
            if not math.isfinite(shock):
                raise DataError(f"scenario {self.name} moves {factor} by {shock}; a finite number is needed")
        moves = bool(self.shocks) or self.first is not None
        if moves != (self.kind in ("historical", "hypothetical")):
            raise DataError(f"scenario {self.name} of kind {self.kind} has {'' if moves else 'no '}shocks")
        for field, value, good, allowed in (
            ("correlation", self.correlation, 0.0 <= self.correlation <= 1.0, "0 to 1"),
            ("volatility", self.volatility, 0.0 < self.volatility < math.inf, "above 0"),
            ("level", self.level, 0.5 < self.level < 1.0, "above .5 and below 1"),
            ("spread", self.spread, 0.0 <= self.spread < 2.0, "0 up to 2"),
            ("participation", self.participation, 0.0 < self.participation <= 1.0, "above 0 up to 1"),
        ):
            if not good:
                raise DataError(f"{field}={value} of scenario {self.name} is not allowed; {allowed} is")

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Make a scenario of what a YAML file holds.

        Raises
        ------
        DataError
            If a field is unknown, missing or of the wrong type.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        name = fields.get("name", "without a name")
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise DataError(f"scenario {name} has {', '.join(map(str, unknown))}; allowed are {', '.join(known)}")
        missing = sorted({"name", "title", "kind", "source"} - set(fields))
        if missing:
            raise DataError(f"scenario {name} lacks {', '.join(missing)}")
        content = dict(fields)
        for key in ("name", "title", "kind", "note"):
            if not isinstance(content.get(key, ""), str):
                raise DataError(f"{key}={content[key]!r} of scenario {name} is no text")
        for key in ("first", "last"):
            if not isinstance(content.get(key), dt.date | None) or isinstance(content.get(key), dt.datetime):
                raise DataError(f"{key}={content[key]!r} of scenario {name} is no day; YYYY-MM-DD is allowed")
        source = content["source"]
        content["source"] = (source,) if isinstance(source, str) else tuple(map(str, source or ()))
        shocks = content.get("shocks", {})
        if not isinstance(shocks, Mapping):
            raise DataError(f"shocks={shocks!r} of scenario {name} is not allowed; factor: size is")
        content["shocks"] = {str(factor): _number(size, name, str(factor)) for factor, size in shocks.items()}
        for key in ("correlation", "volatility", "level", "spread", "participation"):
            if key in content:
                content[key] = _number(content[key], name, key)
        return cls(**content)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that its kind uses, ready for JSON."""
        found: dict[str, Any] = {"name": self.name, "title": self.title, "kind": self.kind}
        if self.kind == "correlation":
            found |= {"correlation": self.correlation, "volatility": self.volatility, "level": self.level}
        elif self.kind == "liquidity":
            found |= {"spread": self.spread, "participation": self.participation}
        else:
            days = {"first": self.first, "last": self.last}
            found |= {"shocks": dict(self.shocks)} | {key: str(day) for key, day in days.items() if day is not None}
        return found | {"source": list(self.source), "note": self.note}


def _number(value: Any, name: Any, key: str) -> float:
    """Return a float; YAML 1.1 takes `-.5` and `1e-2` for text."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"{key}={value!r} of scenario {name} is no number") from None
