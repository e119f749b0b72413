"""The sections of the settings. Each is frozen and refuses unknown keys; every field says its unit.

They live below the code that reads them, because a layer may not import the ones above it (ADR 0001).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from trader.settings.live import LIVE_KINDS, LiveSettings
from trader.settings.section import Fraction, NonNegative, Positive, Section

__all__ = [
    "BarSettings",
    "ExecutionSettings",
    "ExperimentSettings",
    "FeatureSettings",
    "FeedSettings",
    "GateSettings",
    "LiveSettings",
    "ModelSettings",
    "PlantedSettings",
    "REPLAY_KINDS",
    "RaySettings",
    "RegistrySettings",
    "RunSettings",
    "ServeSettings",
    "SimulationSettings",
    "SizingSettings",
    "SpanTarget",
    "StoreSettings",
    "TelemetrySettings",
]

REPLAY_KINDS = ("sp500", "file", "simulated", "planted")
"""Kinds of `feed.kind` that give the same data again."""
SpanTarget = Annotated[str, Field(pattern=r"^(off|console|file:.+|otlp:https?://.+)$")]


class SimulationSettings(Section):
    """The simulated market (`feed.kind = simulated`)."""

    n_symbols: int = Field(20, ge=1, le=5000)
    n_days: int = Field(2000, ge=2)
    bar_minutes: int = Field(390, ge=1, le=390)
    """Length of a bar in minutes; 390 gives one bar a day, of a session of 6.5 hours."""
    planted_ic: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Correlation of the planted signal with the next return; 0 plants none."""


class PlantedSettings(Section):
    """A simulated market whose expected returns are known (`feed.kind = planted`); one bar a weekday."""

    signal: Literal["momentum", "lead_lag", "volume", "regime"] = "lead_lag"
    """What the next return follows: the symbol's own return, another symbol's, its own times the sign of unusual
    volume, or its own with a sign that depends on a hidden volatility regime."""
    strength: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Information coefficient over symbols of the best possible forecast of the return that follows."""
    n_symbols: int = Field(10, ge=4, le=5000)
    n_days: int = Field(4000, ge=2)
    lag: int = Field(2, ge=1, le=250)
    """Bars from a return to the one that follows it; 2 is the first that a decision on its close can earn."""


class FeedSettings(Section):
    """Where market data come from."""

    kind: str = "sp500"
    """`sp500`: 20 US stocks 1990-2022 of skfolio (closes); `file`: `path`; `simulated`: a seeded market; `planted`:
    a market with a signal to be found; `binance`, `alpaca`, `massive`: live, as `live` says, or several of these with
    commas between them, the one to be preferred first."""
    path: Path | None = None
    """A CSV or Parquet file (gz allowed), long format, or wide closes with one column a symbol; or a folder of
    recorded ticks."""
    data_kind: Literal["auto", "trades", "quotes", "bars", "book"] = "auto"
    """What it delivers; `book` is for live feeds: quotes that are the best levels of the order book."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our column name to the file's, e.g. `{"price": "last"}`."""
    timezone: str = "UTC"
    """Zone of time stamps that carry none."""
    sale_rule: Literal["all", "consolidated", "ordinary"] = "all"
    """Which trades, of a file, Alpaca or Massive, may set a price by their sale conditions; the others are left out,
    and counted. Other live feeds have no conditions, and refuse it."""
    sale_codes: Literal["flags", "cta", "utp", "massive"] = "flags"
    """How the file writes sale conditions; of live feeds it is known."""
    symbols: tuple[str, ...] = ()
    """Restrict to these; empty takes all."""
    start: str | None = None
    """First day of trading, ISO; earlier data only warm up features and train models. Null: after training."""
    end: str | None = None
    """Last day, ISO, inclusive."""
    batch_rows: int = Field(10_000, ge=1)
    """Rows of a batch of ticks."""
    batch_slices: int = Field(1, ge=1)
    """Instants of a batch of bars; 1 is what a live feed would send."""
    max_late_ms: NonNegative = 0.0
    """How long a bar waits for late ticks; later ones are counted and left out."""
    buffer_batches: int = Field(64, ge=1)
    """Capacity of the buffer between a live source and its consumer."""
    overflow: Literal["block", "drop_oldest"] = "block"
    """What a full buffer does; drops are counted. A live feed always drops the oldest."""
    live: LiveSettings = LiveSettings()
    simulation: SimulationSettings = SimulationSettings()
    planted: PlantedSettings = PlantedSettings()

    @property
    def is_live(self) -> bool:
        """Whether ticks come from vendors, as they happen."""
        return self.kind.partition(",")[0] in LIVE_KINDS

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        names = kind.split(",")
        if kind not in REPLAY_KINDS and (not set(names) <= set(LIVE_KINDS) or len(set(names)) < len(names)):
            allowed = f"{', '.join(REPLAY_KINDS)}, or live ones with commas between them: {', '.join(LIVE_KINDS)}"
            raise ValueError(f"{kind!r}; {allowed} are allowed")
        return kind


class BarSettings(Section):
    """How ticks become bars."""

    kind: Literal["time", "tick", "volume", "dollar"] = "time"
    size: Positive = 60.0
    """Seconds, ticks, units or currency, by `kind`."""


class FeatureSettings(Section):
    """Which features are computed."""

    families: tuple[str, ...] = ()
    """Names of feature families; empty takes all that the feed's fields allow."""
    bars_per_day: Positive = 1.0
    """Scales windows: a feature of 20 days looks back `20 * bars_per_day` bars."""


class LabelSettings(Section):
    """What models learn to predict, and how much each label counts."""

    kind: Literal["forward", "barriers"] = "forward"
    """The return over the horizon, or to the first of three barriers."""
    profit: Positive | None = 2.0
    """Barrier above, in volatilities of the return over the horizon; null for none."""
    stop: Positive | None = 2.0
    """Barrier below."""
    weights: Literal["equal", "uniqueness", "return"] = "equal"
    """Labels that share returns count less, or labels that earned more count more."""
    oldest: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Weight of the oldest label relative to the newest, where weights are not equal."""


class ModelSettings(Section):
    """Training of the served ensemble."""

    members: tuple[str, ...] = ("momentum", "linear", "boosting")
    """Kinds to train for the run, or registered versions (`boosting@1.2.0`, `transformer@champion`)."""
    preset: Literal["ci", "demo", "full"] = "demo"
    """Size of the members that are trained."""
    params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Hyperparameters by kind, in place of the preset's."""
    weights: tuple[NonNegative, ...] = ()
    """One a member; empty weighs equally."""
    ensemble: str = "default"
    """Name under which `trader models weights` keeps weights that take the place of these from some instant on."""
    train_end: str | None = None
    """Nothing after this day (ISO, inclusive) is seen in training; null takes `train_fraction` of the span."""
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the data's span used for training where `train_end` is null."""
    labels: LabelSettings = LabelSettings()
    horizon: int = Field(5, ge=1)
    """Bars ahead that the target looks."""
    n_splits: int = Field(5, ge=2)
    """Walk-forward folds of the validation."""
    validate_from: str | None = None
    """First day (ISO) that the folds test; null tests all but the first of `n_splits` + 1 equal parts."""
    embargo: int = Field(10, ge=0)
    """Bars left out after each test fold, beside the purge of `horizon` bars."""
    min_train_rows: int = Field(200, ge=10)
    load_from: Path | None = None
    """A folder of trained models (of an earlier run) to serve instead of training."""


class SizingSettings(Section):
    """From scores to target weights."""

    target_volatility: Positive = 0.15
    """Annual volatility that the portfolio aims at."""
    volatility_halflife: Positive = 60.0
    """Half-life, in bars, of the volatility and correlation estimates."""
    bars_per_year: Positive = 252.0
    max_weight: Fraction = 0.10
    """Largest absolute weight of one name."""
    max_gross: NonNegative = 1.0
    max_net: NonNegative = 1.0
    long_only: bool = False
    max_turnover: NonNegative = 0.25
    """Largest sum of absolute weight changes in one decision."""
    rebalance_band: Fraction = 0.01
    """A name whose weight is off target by less is left alone."""
    rebalance_every: int = Field(1, ge=1)
    """Decisions between rebalances."""
    tilt: Fraction = 0.0
    """Share of gross held in equal weights before scores tilt it; 0 trades on scores alone."""
    correlation_scaling: Fraction = 0.0
    """How far target volatility follows the diversification that is lost when correlations rise; 0 leaves it alone."""
    usual_correlation: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Mean correlation between names up to which nothing is lost."""


class ExecutionSettings(Section):
    """The paper broker and its costs."""

    initial_cash: Positive = 1_000_000.0
    order_kind: Literal["market", "limit"] = "market"
    limit_offset_bps: float = 0.0
    """Limit price relative to the reference, in basis points; positive is more aggressive."""
    latency_ms: NonNegative = 50.0
    """From decision to the first moment an order can trade."""
    half_spread_bps: NonNegative = 2.0
    """Used when the data carry no quoted spread."""
    impact_coefficient: NonNegative = 0.1
    """Square-root law: impact = coefficient * daily volatility * sqrt(quantity / daily volume)."""
    assumed_daily_dollar_volume: Positive = 200_000_000.0
    """Used when the data carry no volume."""
    max_participation: Annotated[float, Field(gt=0, le=1)] = 0.10
    """Largest share of a bar's volume a symbol's orders may take; the rest waits (only where volume is known)."""
    commission_bps: NonNegative = 0.5
    commission_minimum: NonNegative = 0.0
    lot_size: NonNegative = 0.0
    """Quantities are rounded down to multiples of it; 0 allows fractions."""
    min_order_value: NonNegative = 100.0


class GateSettings(Section):
    """Limits of the risk gate; weights are fractions of equity. A limit of 0 forbids; null switches off."""

    trading_state: Literal["active", "reducing", "halted"] = "active"
    max_position_weight: NonNegative | None = 0.15
    max_gross: NonNegative | None = 1.5
    max_net: NonNegative | None = 1.2
    max_herfindahl: Annotated[float, Field(gt=0, le=1)] | None = 0.25
    """Concentration: the sum of squared shares of gross exposure (1 is a single name)."""
    concentration_floor: Fraction = 0.3
    """Concentration is not judged below this gross exposure."""
    max_daily_loss: NonNegative | None = 0.05
    """Loss since the previous day's last equity beyond which only reducing orders pass until the next day."""
    max_drawdown: NonNegative | None = 0.35
    """Loss from the highest equity beyond which trading halts."""
    max_orders_per_minute: int | None = Field(600, ge=0)
    price_collar: NonNegative | None = 0.20
    """Largest relative distance of a limit price from the last price."""
    max_data_age_s: NonNegative | None = 432_000.0
    """Age of a symbol's last price beyond which its orders are refused (five days suits daily bars)."""
    max_var: Annotated[float, Field(gt=0, le=1)] | None = None
    """Largest value at risk of the next bar that an order may lead to, as a fraction of equity."""
    max_es: Annotated[float, Field(gt=0, le=1)] | None = None
    """Largest expected shortfall, likewise."""
    var_method: Literal["historical", "age_weighted", "normal", "ewma", "cornish_fisher", "evt"] = "historical"
    """How both are measured for these limits."""
    var_level: Annotated[float, Field(gt=0.5, lt=1)] = 0.99
    var_window: int = Field(500, ge=20)
    """Bars that the measures of risk look back."""
    min_var_bars: int = Field(100, ge=20)
    """Bars without which risk counts as not known."""
    var_every: int = Field(1, ge=1)
    """Decisions from one view of risk to the next."""
    max_risk_age_s: NonNegative | None = 432_000.0
    """With a limit on VaR or ES: age of the last view of risk beyond which only reducing orders pass."""
    option_positions: Path | None = None
    """A book of options held beside the portfolio, as `trader risk greeks` reads it; its Greeks follow the prices."""


class StoreSettings(Section):
    """Where runs, orders and fills are kept."""

    url: str | None = None
    """SQLAlchemy URL; default is SQLite in the runs folder. PostgreSQL: postgresql+psycopg://…"""
    synchronous: Literal["full", "normal"] = "full"
    """SQLite only: `full` survives a power cut, `normal` a killed process."""
    commit_every: int = Field(1, ge=1)
    """Decisions per commit."""
    buffer_s: NonNegative = 300.0
    """How long decisions go on while the store takes none, in seconds; they are kept and written when it is back.
    After that no more are made until then."""
    buffer_mb: Positive = 256.0
    """Memory that decisions which the store has not taken may fill."""
    give_up_s: NonNegative = 3600.0
    """How long a run waits for a store that is away before it ends; `--resume` makes the same decisions again."""


class RegistrySettings(Section):
    """The registry of models; its records are in the store."""

    artifacts: str = "models"
    """Where artefacts lie: a folder, or a URL (`s3://bucket/models`, `gs://`, `file://`)."""
    cache: Path = Path("~/.cache/gpt-trader/models")
    """Local copies of artefacts that lie elsewhere."""
    keep_versions: int = Field(10, ge=0)
    """Newest artefacts of a model that clean-up keeps, beside those in use."""
    rollback_window: int = Field(3, ge=1)
    """Former champions that stay in production for a rollback."""


class RaySettings(Section):
    """The cluster a run uses."""

    address: str = "local"
    """`local` starts one; `auto` or host:port joins a running one."""
    num_cpus: int | None = Field(None, ge=1)
    object_store_mb: int = Field(256, ge=80)
    dashboard: bool = True
    dashboard_port: int = Field(8265, ge=0, le=65535)
    shards: int = Field(2, ge=1)
    """Actors that build bars and features, each for a share of the symbols. With 1, those of a live feed are in the
    process that reads the sockets, and ticks are in the features sooner."""
    checkpoint_every: int = Field(200, ge=1)
    """Batches between checkpoints of a shard's state."""
    max_restarts: int = Field(10, ge=0)
    """Recoveries before a run gives up."""


class ServeSettings(Section):
    """The HTTP and Serve side."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    """0 takes a free one."""
    replicas: int = Field(1, ge=1)
    """Of each ensemble, at least; all members are in each."""
    max_replicas: int = Field(0, ge=0)
    """Up to as many are started while requests wait; 0 starts no more than `replicas`."""
    target_ongoing_requests: Positive = 4.0
    """Requests a replica that Ray Serve aims at when it starts more and ends some."""
    request_timeout_s: Positive = 10.0
    member_timeout_s: NonNegative = 0.0
    """How long one model may take for a prediction before the others answer without it; 0 waits for all."""
    max_rows: int = Field(4096, ge=1)
    """Largest number of feature rows in one request."""
    rate_limit: NonNegative = 0.0
    """Requests a second that each client address may send over HTTP on and on; 0 lets all pass."""
    challenger_memory_mb: int = Field(1024, ge=0)
    """Memory that a replica of a challenger may take beyond its models; 0 sets no limit."""
    max_error_rate: Fraction = 0.02
    """Share of the requests that a challenger, or a champion that is new, may fail before it is taken off."""
    max_p99_s: Positive = 1.0
    """Seconds within which it gives 99 of 100 answers."""
    rollback_window_s: NonNegative = 600.0
    """How long a standing application keeps the champion before the present one loaded, to go back to."""
    max_ongoing_requests: int = Field(16, ge=1)
    """Requests that a replica of an ensemble works on at a time; the HTTP ingress works on four times as many."""
    max_queued_requests: int = Field(1024, ge=1)
    """Requests that may wait for the ingress, and for an ensemble; more are answered 503 at once."""
    tracing: SpanTarget = "off"
    """Where spans of HTTP requests go: `off`, `console`, `file:PATH` or `otlp:URL` of an OpenTelemetry collector."""
    users: dict[str, str] = Field(default_factory=dict)
    """Role (viewer, trader, admin) of each user whose token is in `TRADER_API_TOKEN_NAME`; `TRADER_API_TOKEN` is that
    of admin."""
    keep_up: bool = False
    """Leave the cluster and its HTTP up after the run, until Ctrl-C."""


class ExperimentSettings(Section):
    """The experiment that a run is part of."""

    name: str = ""
    """As registered by `trader experiments start` or `shadow`; empty for none."""
    timeout_s: Positive = 2.0
    """How long the challenger may take for one answer; it counts as failed after that."""


class TelemetrySettings(Section):
    """Logs and live publication."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    redis_url: str | None = None
    """Publishes decisions and events to a Redis stream, `trader watch` follows it."""
    stream_maxlen: int = Field(10_000, ge=1)
    metrics_port: int | None = Field(None, ge=1, le=65535)
    """Serves the run's Prometheus metrics at 127.0.0.1:port/metrics, on the node of the decision actor."""


class RunSettings(Section):
    """The run as a whole."""

    runs_dir: Path = Path("runs")
    seed: int = Field(7, ge=0)
    trials: int = Field(1, ge=1)
    """Strategies tried before this one was kept; deflates the Sharpe ratio."""
    speed: NonNegative = 0.0
    """Slices a second of a replay; 0 is as fast as it can."""
    predict_timeout_s: Positive = 60.0
    """How long a decision waits for the served models; positions are held without them."""
