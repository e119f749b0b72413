"""`trader risk anomalies`: what does not belong, in quotes or in returns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trader.cli.common import JsonOption, err, out, print_json
from trader.cli.data import KindOption, MapOption, ZoneOption
from trader.cli.risk.common import PricesOption, ReturnsOption, open_portfolio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from risk.anomaly.base import ScaledDetector

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("anomalies", help=anomalies.__doc__)(anomalies)


def anomalies(
    returns: ReturnsOption = None,
    prices: PricesOption = None,
    ticks: Annotated[
        Path | None, typer.Option("--ticks", help="Quotes instead: CSV or Parquet of bids and asks.")
    ] = None,
    kind: KindOption = "quotes",
    mapping: MapOption = None,
    zone: ZoneOption = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Of the quotes; default: the first.")] = None,
    interval: Annotated[float, typer.Option("--interval", help="Seconds that quotes are summed up over.")] = 1.0,
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector", help="shewhart, ewma, cusum, quotes, forest or autoencoder; default: quotes or ewma."
        ),
    ] = None,
    train: Annotated[float, typer.Option("--train", help="Share of the rows to learn from, the first.")] = 0.5,
    false_alarms: Annotated[float, typer.Option("--false-alarms", help="Wanted per 10,000 rows.")] = 10.0,
    halflife: Annotated[float, typer.Option("--halflife", help="Rows after which the usual is half forgotten.")] = 60.0,
    top: Annotated[int, typer.Option("--top", min=1, help="Alarms to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Learn what is usual from the first rows and list what is not in the others, with the reason.

    Example: trader risk anomalies --ticks quotes.csv --kind quotes --detector quotes
    """
    from risk.anomaly.detectors import open_detector
    from trader.core.errors import UserError

    if not 0.0 < train < 1.0:
        raise UserError(f"--train {train} is not allowed; above 0 and below 1 is")
    if ticks is not None and (returns is not None or prices is not None):
        raise UserError("--ticks and --returns or --prices are both given; one is allowed")
    if ticks is not None:
        names, features, stamps = _quotes(ticks, kind, mapping, zone, symbol, interval)
    else:
        names, features, stamps = _returns(returns, prices)
    chosen = open_detector(
        detector or ("quotes" if ticks is not None else "ewma"), names, halflife=halflife, false_alarms=false_alarms
    )
    content = _watch(chosen, features, stamps, int(train * len(features)))
    content["false_alarms_wanted"] = false_alarms
    if as_json:
        print_json(content)
        return
    table = Table("time", "rows", "score", "reason", title=f"{content['n_alarms']} alarms of {chosen.name}")
    for alarm in sorted(content["alarms"], key=lambda found: -found["score"])[:top]:
        table.add_row(alarm["time"], str(alarm["rows"]), f"{alarm['score']:.1f}", alarm["reason"])
    out.print(table)
    out.print(
        f"{content['rows_learnt']:,} rows learnt from, {content['rows_judged']:,} judged; {false_alarms:g} rows in "
        "10,000 would be in alarm by chance. A score is in units of the alarm limit.",
        highlight=False,
    )


def _quotes(
    ticks: Path,
    kind: str | None,
    mapping: list[str] | None,
    zone: str | None,
    symbol: str | None,
    interval: float,
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.datetime64]]:
    from risk.anomaly.features import QUOTE_FEATURES, quote_features
    from trader.cli.data import open_data
    from trader.core.errors import UserError
    from trader.core.market import QuoteBatch

    _, feed = open_data(ticks, kind, mapping, zone, None, None, None)
    if feed.info.kind != "quotes":
        raise UserError(f"--ticks {ticks} holds {feed.info.kind}; quotes are needed")
    symbols = feed.info.universe.symbols
    if symbol is not None and symbol not in symbols:
        raise UserError(f"--symbol {symbol!r} is not in {ticks}; there are {', '.join(symbols)}")
    with err.status("reading quotes"):
        parts = [batch.data for batch in feed.batches() if isinstance(batch.data, QuoteBatch)]
        place = 0 if symbol is None else symbols.index(symbol)
        features, ends_ns = quote_features(QuoteBatch.concat(parts), place, interval)
    for reason, count in feed.rejected().items():
        err.print(f"{count} rows refused: {reason}", highlight=False)
    return QUOTE_FEATURES, features, ends_ns.astype("datetime64[ns]")


def _returns(
    returns: Path | None, prices: Path | None
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.datetime64]]:
    from risk.anomaly.features import RETURN_FEATURES, return_features

    panel, _ = open_portfolio(returns, prices, None)
    if panel.dropped:
        err.print(f"{panel.dropped} incomplete periods were left out", highlight=False)
    return RETURN_FEATURES, return_features(panel.returns), panel.stamps


def _watch(
    detector: ScaledDetector, features: NDArray[np.float64], stamps: NDArray[np.datetime64], n_learnt: int
) -> dict[str, Any]:
    """Return what a detector fitted on the first rows says of the others; rows in alarm in a row are one alarm."""
    from rich.progress import Progress

    with Progress(console=err, transient=True) as progress:
        task = progress.add_task(f"fitting {detector.name}", total=None)
        detector.fit(features[:n_learnt])
        progress.update(task, description="judging", total=len(features) - n_learnt)
        alarms: list[dict[str, Any]] = []
        before = -2
        for row in range(n_learnt, len(features)):
            verdict = detector.update(features[row])
            if verdict.alarm:
                found = {"score": verdict.score, "reason": verdict.reason}
                if row == before + 1:
                    alarms[-1]["rows"] += 1
                    alarms[-1].update(found if verdict.score > alarms[-1]["score"] else {})
                else:
                    alarms.append({"time": str(stamps[row].astype("datetime64[s]")), "rows": 1, **found})
                before = row
            progress.advance(task)
    return {
        "detector": detector.name,
        "features": list(detector.names),
        "rows_learnt": n_learnt,
        "rows_judged": len(features) - n_learnt,
        "n_alarms": len(alarms),
        "alarms": alarms,
    }
