"""The decision loop: slices of the market in, decisions out. Pure: no I/O, no wall clock.

The life of an order, told by `DecisionLoop.step`:

1. The broker lets the orders of earlier decisions meet the slice; the ledger books their fills.
2. Last prices and the estimates of risk take the closes; positions are marked; the gate notes the equity.
3. If a rebalance is due, the sizer turns scores into target weights.
4. The broker withdraws what was still open: every rebalance replaces the orders of the one before.
5. The planner turns the difference to the target into orders, sells first, with ids made of `seq` and place.
6. The gate lets each through, or denies it with a reason.
7. The broker accepts those, or rejects them; they may fill from the next slice on, after latency.
8. The decision records it all; a backtest, a replay and a live run differ only in who calls.

`DecisionLoop.steps` decides on many slices, the same to the bit: the ordinary ones in compiled code
(`trader.pipeline.kernels`), the others as told.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.gate import RiskGate
from risk.watch import Holdings, RiskWatch
from trader.core.decision import Decision, DecisionBlock
from trader.core.errors import DataError
from trader.core.market import BarPanel, MarketSlice
from trader.core.orders import ORDERS_PER_DECISION, Denial, OrderBatch, TradingState, first_order_id
from trader.core.protocols import Broker, BrokerUpdate, Withdrawal
from trader.core.snapshot import pack, restore_into
from trader.execution.broker import PaperBroker
from trader.execution.planner import OrderPlanner
from trader.pipeline.buffer import DecisionBuffer
from trader.pipeline.kernels import Desk, forward
from trader.portfolio.kernels import write_weights
from trader.portfolio.ledger import Ledger
from trader.portfolio.prices import LastPrices
from trader.portfolio.sizing import Sizer
from trader.portfolio.volatility import EwmaRisk
from trader.settings.sections import ExecutionSettings, GateSettings, SizingSettings

__all__ = ["DecisionLoop"]

FloatArray = NDArray[np.float64]

_NO_ORDERS = OrderBatch.empty()
_WORTHWHILE = 8
"""Slices that must be ahead for entering compiled code to pay."""
_LOOSE_FIRST = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)


class DecisionLoop:
    """Trades a portfolio on the scores it is given.

    A rebalance is due on every `rebalance_every`-th decision (by `seq`), unless orders of the one before have
    not reached the market yet: with a latency longer than a bar they would be replaced before they could trade.
    Between rebalances open orders work on. Whenever the trading state tightens, open orders are withdrawn.

    Parameters
    ----------
    n_symbols : int
    sizing : SizingSettings
    execution : ExecutionSettings
    gate : GateSettings
    broker : Broker, optional
        A `PaperBroker` by default.
    watch : bool, default=False
        Keep the returns that `holdings` shows; a gate that limits risk has it kept anyway.
    """

    def __init__(
        self,
        n_symbols: int,
        *,
        sizing: SizingSettings,
        execution: ExecutionSettings,
        gate: GateSettings,
        broker: Broker | None = None,
        watch: bool = False,
    ) -> None:
        self._n_symbols = n_symbols
        self._rebalance_every = sizing.rebalance_every
        self._latency_ns = round(execution.latency_ms * 1e6)
        self.ledger = Ledger(n_symbols, execution.initial_cash)
        self._last = LastPrices(n_symbols)
        self._risk = EwmaRisk(n_symbols, sizing.volatility_halflife)
        self._sizer = Sizer(sizing)
        self._planner = OrderPlanner(execution)
        self._gate = RiskGate(n_symbols, gate)
        watched = watch or self._gate.limits_risk
        self._watch = RiskWatch(n_symbols, gate.var_window if watched else 0, gate.var_every)
        self._broker: Broker = PaperBroker(n_symbols, execution) if broker is None else broker
        # The one kind of broker that compiled code knows, in universes that its order ids suffice for.
        known = type(self._broker) is PaperBroker and n_symbols <= ORDERS_PER_DECISION
        self._paper = self._broker if known and isinstance(self._broker, PaperBroker) else None
        self._target: FloatArray = np.zeros(n_symbols)
        self._weights: FloatArray = np.zeros(n_symbols)
        self._in_flight_until_ns = 0
        self._ts_ns = -1
        self._seq = -1
        self._withdrawals: list[Withdrawal] = []

    @property
    def trading_state(self) -> TradingState:
        """What the gate lets through now."""
        return self._gate.trading_state

    def warm_up(self, panel: BarPanel) -> None:
        """Let estimates and last prices see the past; nothing is decided."""
        for row in range(len(panel)):
            market = panel.slice_at(row)
            self._advance(market.ts_ns)
            self._broker.on_slice(market)
            self._risk.update(self._last.update(market.ts_ns, market.close))
            self._watch.warm_up(market.ts_ns, self._last.prices)

    def holdings(self) -> Holdings:
        """Return what is held now, and the past that its risk is measured on."""
        return Holdings(
            ts_ns=self._ts_ns,
            equity=self.ledger.equity,
            drawdown=self._gate.drawdown,
            positions=self.ledger.positions.copy(),
            prices=self._last.prices.copy(),
            returns=self._watch.latest().returns,
        )

    @property
    def n_prices(self) -> int:
        """Prices of its past decisions that `restore` needs."""
        return self._watch.n_kept

    def step(self, seq: int, market: MarketSlice, score: FloatArray, members: Mapping[str, FloatArray]) -> Decision:
        """Decide on one slice.

        Parameters
        ----------
        seq : int
            Number of the decision; rises from call to call.
        market : MarketSlice
            The bars that have just closed.
        score : ndarray of shape (n_symbols,)
            The ensemble's score; NaN abstains.
        members : mapping of str to ndarray of shape (n_symbols,)
            Only recorded.

        Raises
        ------
        DataError
            If the number or the time does not rise, or the scores have another shape.
        """
        self._check(seq, score, (self._n_symbols,))
        self._advance(market.ts_ns)
        self._seq = seq
        update = self._broker.on_slice(market)
        self.ledger.apply(update.fills)
        self._risk.update(self._last.update(market.ts_ns, market.close))
        self.ledger.mark(self._last.prices)
        self._watch.add(market.ts_ns, self._last.prices[None])
        return self._decide(seq, market.ts_ns, score, members, update)

    def steps(
        self, seq: int, panel: BarPanel, score: FloatArray, members: Mapping[str, FloatArray]
    ) -> Iterator[DecisionBlock]:
        """Decide on every slice of a panel, as `step` does; yield the decisions in order, in blocks.

        Parameters
        ----------
        seq : int
            Number of the first decision.
        panel : BarPanel
        score : ndarray of shape (n_slices, n_symbols)
        members : mapping of str to ndarray of shape (n_slices, n_symbols)

        Raises
        ------
        DataError
            As `step` does; nothing has been decided on then.
        """
        self._check(seq, score, (len(panel), self._n_symbols))
        for before, ts_ns in itertools.pairwise([self._ts_ns, *panel.ts_ns.tolist()]):
            _check_time(before, ts_ns)
        buffer: DecisionBuffer | None = None
        row = by_step_until = 0
        while row < len(panel):
            broker = self._paper if self._gate.at_ease and not self._withdrawals else None
            if broker is not None and by_step_until <= row <= len(panel) - _WORTHWHILE:
                if buffer is None:
                    buffer = DecisionBuffer(seq, panel, score, members, broker.n_open)
                blocks = self._forward(buffer, row, broker)
                row += sum(len(block) for block in blocks)
                # What is out of the ordinary seldom comes alone.
                by_step_until = row + _WORTHWHILE
                yield from blocks
            else:
                row_members = {name: scores[row] for name, scores in members.items()}
                yield DecisionBlock.of(self.step(seq + row, panel.slice_at(row), score[row], row_members))
                row += 1

    def _forward(self, buffer: DecisionBuffer, start: int, broker: PaperBroker) -> list[DecisionBlock]:
        """Decide on slices from `start` to the first that is not ordinary, and on that one."""
        buffer.row = start
        desk = Desk(
            book=broker.book,
            liquidity=broker.liquidity,
            ledger=self.ledger.arrays,
            last=self._last.arrays,
            moments=self._risk.arrays,
            sizing=self._sizer.limits,
            plan=self._planner.terms,
            gate=self._gate.arrays(len(buffer) - start),
            rebalance_every=self._rebalance_every,
        )
        reached = forward(
            buffer.first_seq,
            start,
            buffer.instants,
            desk,
            self._in_flight_until_ns,
            self._target,
            buffer.n_orders,
            buffer.n_fills,
            buffer.n_withdrawn,
            buffer.decided,
        )
        self._in_flight_until_ns = reached.in_flight_until_ns
        blocks = []
        if reached.row > start:
            block = buffer.take(reached.row)
            self._catch_up(block, reached.rebalanced - start)
            blocks.append(block)
        if reached.row < len(buffer):
            update = buffer.update()
            self._seq, self._ts_ns = buffer.seq, int(buffer.instants.ts_ns[buffer.row])
            self._watch.add(self._ts_ns, self._last.prices[None])
            self.ledger.booked(update.fills.fill_id)
            blocks.append(DecisionBlock.of(self._decide(self._seq, self._ts_ns, *buffer.scores(), update)))
            buffer.skip()
        return blocks

    def _catch_up(self, block: DecisionBlock, rebalanced: int) -> None:
        """Take note of decisions that compiled code made, of which row `rebalanced` was the last to settle orders."""
        self._seq, self._ts_ns = int(block.seq[-1]), int(block.ts_ns[-1])
        self._watch.add(self._ts_ns, block.prices)
        self._target = block.target[-1]
        if rebalanced >= 0:
            self.ledger.settle_before(first_order_id(int(block.seq[rebalanced])))
        # Only orders made since then can fill again: ids of earlier fills need not be remembered.
        ends = [0, *np.cumsum(block.n_fills).tolist()][max(rebalanced + 1, 0) :]
        for first, end in itertools.pairwise(ends):
            self.ledger.booked(block.fills.fill_id[first:end])

    def _decide(
        self,
        seq: int,
        ts_ns: int,
        score: FloatArray,
        members: Mapping[str, FloatArray],
        update: BrokerUpdate,
    ) -> Decision:
        """Decide on a slice that has been taken in."""
        self._withdrawals.extend(update.withdrawals)
        equity = self.ledger.equity
        before = self._gate.trading_state
        self._gate.observe(ts_ns, equity)
        self._withdraw_if_tighter(before)
        if self._is_due(seq, ts_ns):
            orders, denials = self._rebalance(seq, ts_ns, score, equity)
        else:
            orders, denials = _NO_ORDERS, ()
        withdrawals = tuple(self._withdrawals)
        self._withdrawals.clear()
        return Decision(
            seq=seq,
            ts_ns=ts_ns,
            equity=equity,
            cash=self.ledger.cash,
            positions=self.ledger.positions.copy(),
            prices=self._last.prices.copy(),
            score=score,
            members=members,
            target=self._target,
            orders=orders,
            denials=denials,
            fills=update.fills,
            withdrawals=withdrawals,
            state_changes=self._gate.take_changes(),
        )

    def set_trading_state(self, state: TradingState, who: str, why: str) -> None:
        """Change what the gate lets through, at once; a stricter state withdraws all open orders.

        The next decision records the change and the withdrawals.
        """
        before = self._gate.trading_state
        self._gate.set_state(state, who, why)
        self._withdraw_if_tighter(before)

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on after the last decision, ready for JSON."""
        return {
            "seq": self._seq,
            "ts_ns": self._ts_ns,
            "in_flight_until_ns": self._in_flight_until_ns,
            "withdrawals": [[w.order_id, w.symbol_id, w.remaining, w.reason, w.rejected] for w in self._withdrawals],
            "target": pack(self._target),
            "ledger": self.ledger.state(),
            "prices": self._last.state(),
            "risk": self._risk.state(),
            "gate": self._gate.state(),
            "broker": dict(self._broker.state()),
            "watch": self._watch.state(),
        }

    def restore(self, state: Mapping[str, Any], prices: FloatArray) -> None:
        """Go on from what `state` returned, with the same settings.

        Parameters
        ----------
        state : mapping
        prices : ndarray of shape (n_decisions, n_symbols)
            Those of the last decisions, as recorded: as many as `n_prices`, or all if there are fewer.

        Raises
        ------
        DataError
            If the state is that of another number of symbols.
        """
        target = np.zeros(self._n_symbols)
        restore_into(target, state["target"], "target")
        self._target = target
        self._seq = int(state["seq"])
        self._ts_ns = int(state["ts_ns"])
        self._in_flight_until_ns = int(state["in_flight_until_ns"])
        self._withdrawals = [Withdrawal(*fields) for fields in state["withdrawals"]]
        self.ledger.restore(state["ledger"])
        self._last.restore(state["prices"])
        self._risk.restore(state["risk"])
        self._gate.restore(state["gate"])
        self._broker.restore(state["broker"])
        self._watch.restore(state["watch"], prices)

    def _check(self, seq: int, score: FloatArray, shape: tuple[int, ...]) -> None:
        if seq <= self._seq:
            raise DataError(f"seq={seq}; decision {self._seq} was made already, a later number is needed")
        if score.shape != shape:
            raise DataError(f"score has shape {score.shape}; {shape} is needed")

    def _advance(self, ts_ns: int) -> None:
        _check_time(self._ts_ns, ts_ns)
        self._ts_ns = ts_ns

    def _withdraw_if_tighter(self, before: TradingState) -> None:
        after = self._gate.trading_state
        if _LOOSE_FIRST.index(after) > _LOOSE_FIRST.index(before):
            self._withdrawals.extend(self._broker.cancel_all(after.value))

    def _is_due(self, seq: int, ts_ns: int) -> bool:
        return seq % self._rebalance_every == 0 and ts_ns >= self._in_flight_until_ns

    def _rebalance(
        self, seq: int, ts_ns: int, score: FloatArray, equity: float
    ) -> tuple[OrderBatch, tuple[Denial, ...]]:
        """Replace open orders by those that lead to the target; return what passed the gate and what did not."""
        self._withdrawals.extend(self._broker.cancel_all("replaced"))
        self.ledger.settle_before(first_order_id(seq))
        prices, positions = self._last.prices, self.ledger.positions
        if equity > 0.0:
            current = self._weights
            write_weights(positions, prices, equity, current)
            self._target = self._sizer.target(score, prices, current, self._risk)
        else:
            current = self._target = np.zeros(self._n_symbols)
        planned = self._planner.plan(
            seq, ts_ns, target=self._target, current=current, positions=positions, prices=prices, equity=equity
        )
        passed, denials = self._gate.check(
            planned,
            ts_ns=ts_ns,
            positions=positions,
            prices=prices,
            price_ts_ns=self._last.ts_ns,
            equity=equity,
            open_quantity=self._broker.open_quantity(),
            view=self._watch.view(),
        )
        if len(passed):
            self._withdrawals.extend(self._broker.submit(passed))
            self._in_flight_until_ns = ts_ns + self._latency_ns
        return passed, denials


def _check_time(before_ns: int, ts_ns: int) -> None:
    if ts_ns <= before_ns:
        raise DataError(f"market.ts_ns={ts_ns}; a time after {before_ns}, that of the slice before, is needed")
