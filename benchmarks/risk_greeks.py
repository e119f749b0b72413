"""Greeks and implied volatilities of many options beside vollib."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target, ratio
from benchmarks.sampling import Contender, alternate, in_process
from risk.options.black_scholes import Greeks, greeks
from risk.options.implied import implied_volatility

__all__ = ["run"]

_CONTRACTS = 100_000
_PEER = 1_000


def run(options: Options) -> Result:
    """Measure price and seven sensitivities of 100,000 options, and of fewer by vollib, which takes one at a time."""
    from vollib.black_scholes_merton import black_scholes_merton
    from vollib.black_scholes_merton.greeks import analytical
    from vollib.black_scholes_merton.implied_volatility import implied_volatility as by_vollib

    n, n_peer = options.scaled(_CONTRACTS), options.scaled(_PEER)
    book = _options(n)
    scalars = [{name: values[i].item() for name, values in book.items()} for i in range(n_peer)]
    prices = greeks(**book).price
    peer_prices = prices[:n_peer].tolist()

    def one(o: dict[str, Any]) -> list[float]:
        flag, rest = "c" if o["is_call"] else "p", (o["spot"], o["strike"], o["years"], o["rate"])
        last = (o["volatility"], o["dividend"])
        functions = (analytical.delta, analytical.gamma, analytical.vega, analytical.theta, analytical.rho)
        return [black_scholes_merton(flag, *rest, *last), *(each(flag, *rest, *last) for each in functions)]

    def implied_one(price: float, o: dict[str, Any]) -> float:
        flag = "c" if o["is_call"] else "p"
        return float(by_vollib(price, o["spot"], o["strike"], o["years"], o["rate"], o["dividend"], flag))

    known = {name: values for name, values in book.items() if name != "volatility"}
    outcomes = alternate(
        [
            Contender("ours", "ours", n, in_process(lambda: greeks(**book)), versions_of(["numpy", "scipy"]),
                      "price and seven sensitivities"),
            Contender("vollib", "peer", n_peer, in_process(lambda: [one(o) for o in scalars]),
                      versions_of(["vollib"]), "price and five of them"),
            Contender("ours, implied volatility", "variant", n,
                      in_process(lambda: implied_volatility(prices, **known))),
            Contender("vollib, implied volatility", "variant", n_peer,
                      in_process(lambda: [implied_one(p, o) for p, o in zip(peer_prices, scalars, strict=True)])),
        ],
        on_round=lambda number: options.say(f"round {number}"),
    )  # fmt: skip
    by_name = {outcome.name: outcome for outcome in outcomes}
    wall = n / by_name["ours"].rate
    return Result(
        "risk_greeks",
        "Greeks of 100,000 European options, one thread",
        "options",
        {"options": n, "by vollib": n_peer, "fields": len(dataclasses.fields(Greeks))},
        outcomes,
        [
            Target("against vollib", "×", ratio(by_name["ours"], by_name["vollib"]), ">=", 50.0),
            Target("100,000 options", "ms", 1e3 * wall * _CONTRACTS / n, "<=", 20.0),
        ],
    )


def _options(n: int) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(11)
    return {
        "spot": rng.uniform(80, 120, n),
        "strike": rng.uniform(80, 120, n),
        "years": rng.uniform(0.1, 3, n),
        "volatility": rng.uniform(0.1, 0.8, n),
        "rate": rng.uniform(0.0, 0.06, n),
        "dividend": rng.uniform(0.0, 0.04, n),
        "is_call": rng.random(n) < 0.5,
    }
