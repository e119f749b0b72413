"""Answers about risk."""

from __future__ import annotations

from serve.schema import Message

__all__ = ["RiskResponse"]


class RiskEstimateMessage(Message):
    """Value at risk and expected shortfall by one method."""

    method: str
    level: float
    """Confidence."""
    horizon: int
    """Bars."""
    scaling: str
    n_observations: int
    var: float
    """Loss as a fraction of equity; positive is lost."""
    es: float
    """Mean loss beyond it, likewise."""
    warnings: list[str]
    """Why the figures may not be believed."""


class ExposureMessage(Message):
    """Sums of weights, which are fractions of equity."""

    gross: float
    net: float
    long: float
    short: float
    n_assets: int


class ConcentrationMessage(Message):
    """How diversified the portfolio is."""

    herfindahl: float | None
    effective_names: float | None
    diversification_ratio: float | None
    effective_bets: float | None


class ContributionMessage(Message):
    """What one name adds to the portfolio's risk; components add to the whole."""

    asset: str
    weight: float
    component_var: float | None
    component_es: float | None
    marginal_var: float | None
    marginal_es: float | None
    standalone_var: float | None
    standalone_es: float | None


class ContributionsMessage(Message):
    """Where the risk comes from, by the first method."""

    estimate: RiskEstimateMessage
    allocation: str
    assets: list[ContributionMessage]


class LimitsMessage(Message):
    """Limits of the gate; null where there is none."""

    max_var: float | None
    max_es: float | None
    level: float


class GreeksMessage(Message):
    """Sensitivities of the options held beside the run, in currency."""

    value: float
    delta: float
    """Times spot."""
    gamma: float
    """Change of it when spot rises 1 %."""
    vega: float
    """A volatility point."""
    theta: float
    """A calendar day."""
    rho: float
    """A basis point."""
    vanna: float
    volga: float


class RiskResponse(Message):
    """The risk of a run as of its last decision."""

    request_id: str
    run_id: str
    status: str
    ts_ns: int
    """Time of the decision: nanoseconds since 1970, UTC; -1 if there is none yet."""
    equity: float
    drawdown: float
    """Loss from the highest equity, as a fraction."""
    weights: dict[str, float]
    """Of the names held, fractions of equity."""
    exposure: ExposureMessage
    concentration: ConcentrationMessage | None
    market_beta: float | None
    """To the equally weighted universe."""
    estimates: list[RiskEstimateMessage]
    """Empty where nothing can be estimated; `warnings` say why."""
    contributions: ContributionsMessage | None
    n_bars: int
    """Bars behind all names held."""
    limits: LimitsMessage
    greeks: GreeksMessage | None
    warnings: list[str]
