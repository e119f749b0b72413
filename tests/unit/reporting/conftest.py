"""A small run whose numbers follow from a simulation, written through the real store."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from trader.core.decision import Decision, StateChange
from trader.core.events import PartRestarted, trace_id_of
from trader.core.orders import Denial, DenialReason, FillBatch, OrderBatch, TradingState, fill_ids, order_ids
from trader.core.protocols import Withdrawal
from trader.settings import Settings
from trader.storage import RunRecord, Store

CAPITAL = 1_000_000.0
HALF_SPREAD, IMPACT, COMMISSION = 2e-4, 0.5e-4, 0.5e-4


@dataclasses.dataclass
class Simulated:
    """What went into the store."""

    run_id: str
    decisions: list[Decision]
    fills: FillBatch
    ts_ns: np.ndarray
    prices: np.ndarray

    @property
    def equity(self) -> np.ndarray:
        return np.array([d.equity for d in self.decisions])


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("sqlite://") as opened:
        yield opened


@pytest.fixture(scope="session")
def simulate_into() -> Callable[..., Simulated]:
    """`simulate` for any store: the store and the run's id come first."""
    return _simulate


@pytest.fixture
def simulate(store: Store) -> Callable[..., Simulated]:
    """Trade random prices in a store; keywords change the size and what happens."""

    def run(run_id: str = "sim", **options: Any) -> Simulated:
        return _simulate(store, run_id, **options)

    return run


def business_days(n: int) -> np.ndarray:
    """Close stamps, 21:00 UTC, of the first `n` business days of 2016 on."""
    days = np.busday_offset("2016-01-04", np.arange(n))
    return days.astype("datetime64[ns]").astype(np.int64) + 21 * 3600 * 10**9


def _simulate(
    store: Store,
    run_id: str,
    *,
    n_days: int = 120,
    n_symbols: int = 6,
    skill: float = 0.0,
    trade: bool = True,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    symbols: tuple[str, ...] | None = None,
) -> Simulated:
    rng = np.random.default_rng(seed)
    ts_ns = business_days(n_days)
    noise = rng.normal(0.0003, 0.015, (n_days, n_symbols))
    prices = 50.0 * np.exp(np.cumsum(noise, axis=0))
    future = np.vstack([noise[2:], rng.normal(0, 0.015, (2, n_symbols))])[:n_days]
    score = rng.normal(size=(n_days, n_symbols)) + skill * future / 0.015
    names = symbols or tuple(f"S{i}" for i in range(n_symbols))
    store.create_run(
        RunRecord(
            run_id=run_id,
            mode="backtest",
            created_ns=1_700_000_000_000_000_000,
            seed=7,
            symbols=names,
            settings=Settings(**(settings or {"models": {"horizon": 1}})).model_dump(mode="json"),
            data_fingerprint="ab" * 32,
            code_version="0.1.0",
            feature_names=("return_1", "volatility_20"),
            member_names=("momentum@1.0.0", "linear@1.0.0"),
        )
    )
    cash, held = CAPITAL, np.zeros(n_symbols)
    working = OrderBatch.empty()
    decisions: list[Decision] = []
    for t in range(n_days):
        fills = _fill(working, prices[t], int(ts_ns[t]))
        cash -= float((fills.side * fills.quantity * fills.price + fills.commission).sum())
        np.add.at(held, fills.symbol_id, fills.side * fills.quantity)
        equity = cash + float(held @ prices[t])
        target = 0.9 * score[t] / np.abs(score[t]).sum()
        wanted = target * equity / prices[t] - held if trade else np.zeros(n_symbols)
        working = _orders(t, int(ts_ns[t]), wanted, prices[t])
        last = order_ids(t, n_symbols + 2)[-2:]
        denied = (Denial(int(last[0]), 0, DenialReason.POSITION_LIMIT, 0.2, 0.15),) if trade and t % 10 == 3 else ()
        gone = (Withdrawal(int(last[1]), 1, 5.0, "session end", rejected=False),) if trade and t % 50 == 7 else ()
        changed = (StateChange(TradingState.ACTIVE, TradingState.REDUCING, "drawdown", "limit"),) if t == 40 else ()
        decisions.append(
            Decision(
                seq=t,
                ts_ns=int(ts_ns[t]),
                equity=equity,
                cash=cash,
                positions=held.copy(),
                prices=prices[t],
                score=score[t],
                members={"momentum@1.0.0": score[t], "linear@1.0.0": -score[t]},
                target=target,
                orders=working,
                denials=denied,
                fills=fills,
                withdrawals=gone,
                state_changes=changed,
            )
        )
    if decisions:
        traces = [trace_id_of(run_id, d.seq) for d in decisions]
        store.append(run_id, decisions, traces=traces, latency_ns=(rng.lognormal(15, 0.4, n_days)).astype(int).tolist())
        store.record_event(
            PartRestarted(
                run_id=run_id, trace_id="", ts_ns=int(ts_ns[n_days // 2]), part="shard-0", reason="SIGKILL", from_seq=3
            )
        )
    return Simulated(run_id, decisions, FillBatch.concat([d.fills for d in decisions]), ts_ns, prices)


def _orders(seq: int, ts_ns: int, wanted: np.ndarray, price: np.ndarray) -> OrderBatch:
    names = np.flatnonzero(np.abs(wanted * price) > 100.0)
    n = names.size
    return OrderBatch(
        order_id=order_ids(seq, n),
        symbol_id=names,
        side=np.sign(wanted[names]),
        quantity=np.abs(wanted[names]),
        kind=np.zeros(n),
        limit_price=np.full(n, np.nan),
        time_in_force=np.zeros(n),
        ts_ns=np.full(n, ts_ns),
        reference_price=price[names],
    )


def _fill(orders: OrderBatch, price: np.ndarray, ts_ns: int) -> FillBatch:
    mid = price[orders.symbol_id]
    return FillBatch(
        fill_id=fill_ids(orders.order_id, np.zeros(len(orders), np.int64)),
        order_id=orders.order_id,
        symbol_id=orders.symbol_id,
        side=orders.side,
        quantity=orders.quantity,
        price=mid * (1.0 + orders.side * (HALF_SPREAD + IMPACT)),
        commission=orders.quantity * mid * COMMISSION,
        spread_cost=orders.quantity * mid * HALF_SPREAD,
        impact_cost=orders.quantity * mid * IMPACT,
        ts_ns=np.full(len(orders), ts_ns),
    )
