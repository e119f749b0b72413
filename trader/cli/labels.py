"""`trader data labels`: what became of a bet at every bar, and how much its label should count."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trader.cli.common import ConfigOption, SetOption, err
from trader.cli.data import FileArgument, KindOption, MapOption, OutOption, ZoneOption, open_data, write_columns

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("labels", help=labels.__doc__)(labels)


def labels(
    target: OutOption,
    file: FileArgument = None,
    horizon: Annotated[int, typer.Option("--horizon", min=1, help="Bars from entry to the last barrier.")] = 10,
    profit: Annotated[float, typer.Option("--profit", help="Barrier above, in volatilities over the horizon.")] = 2.0,
    stop: Annotated[float, typer.Option("--stop", help="Barrier below.")] = 2.0,
    side_of: Annotated[
        str | None,
        typer.Option("--side", metavar="FEATURE", help="Bet with the sign of a feature, and add meta-labels."),
    ] = None,
    cost_bps: Annotated[float, typer.Option("--cost-bps", min=0.0, help="Of a bet, for meta-labels.")] = 5.0,
    kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Label bars by the first of three barriers, weigh labels that share returns, and say which bets paid.

    Example: trader data labels --horizon 10 --profit 2 --stop 1 --side momentum_252_21 --out labels.parquet
    """
    import numpy as np

    from trader.core.errors import UserError
    from trader.engine.history import read_history
    from trader.models.labels import meta_labels, sample_weights, triple_barrier
    from trader.models.targets import trailing_volatility

    settings, feed = open_data(file, kind, mapping, zone, None, config, assignments)
    history = read_history(feed, settings, np.iinfo(np.int64).max)
    panel, names = history.panel, history.schema.names
    if side_of is not None and side_of not in names:
        raise UserError(f"--side {side_of!r} is no feature of this data; there are {', '.join(names)}")
    bets: dict[str, Any] = {"profit": profit, "stop": stop, "horizon": horizon, "highs": panel.high, "lows": panel.low}
    volatility = trailing_volatility(panel.close)
    found = triple_barrier(panel.close, volatility, **bets)
    columns: dict[str, Any] = {
        "label": found.label,
        "return": found.ret,
        "ends_ns": np.where(found.touch >= 0, panel.ts_ns[found.touch], -1),
        "uniqueness_weight": sample_weights(found.touch),
        "return_weight": sample_weights(found.touch, closes=panel.close),
    }
    if side_of is not None:
        feature = history.features[:, :, names.index(side_of)]
        meta = meta_labels(feature, panel.close, volatility, cost=cost_bps * 1e-4, **bets)
        columns |= {"side": meta.side, "meta_label": meta.label, "bet_return": meta.ret}
    n_slices, n_symbols = panel.close.shape
    table = {"ts_ns": np.repeat(panel.ts_ns, n_symbols), "symbol": list(feed.info.universe.symbols) * n_slices}
    write_columns(table | {name: values.reshape(-1) for name, values in columns.items()}, Path(target))
    known = np.isfinite(found.label)
    shares = ", ".join(f"{name} {np.mean(found.label[known] == v):.1%}" for v, name in _OUTCOMES.items())
    err.print(f"{int(known.sum())} labels in {target}: {shares}", highlight=False, markup=False)


_OUTCOMES = {1.0: "profit first", -1.0: "stop first", 0.0: "neither"}
