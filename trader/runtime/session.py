"""A session: creates the actors of a run, watches them, and takes them back to the last commit when one dies.

Recovery is one mechanism for every cause, a resumed run included: the decision actor goes back to its last
commit, every shard to a checkpoint not after it, and the feed sends again from there. Batches are numbered and
order and fill ids are functions of the decision, so what is done again comes out the same and is stored once.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError

from trader.core.errors import OperationError, TraderError
from trader.core.events import BufferOverflowed, DataRejected, Event, FeedTrouble, PartRestarted
from trader.core.orders import TradingState
from trader.core.protocols import Predictor
from trader.engine.join import split_symbols
from trader.engine.writer import patiently
from trader.reporting.status import RunStatus
from trader.runtime.actors import CONCURRENCY, CONTROL, FeedPump, RunContext, SymbolShard
from trader.runtime.channel import ChannelError
from trader.runtime.cluster import NAMESPACE
from trader.runtime.decision import DecisionActor
from trader.runtime.feed_shard import FeedShard
from trader.storage import Store

__all__ = ["Session", "actor_name", "set_trading_state"]

_POLL_S = 0.25
_COUNTERS_EVERY_S = 1.0
_HEAL_TIMEOUT_S = 60.0


def actor_name(run_id: str, part: str) -> str:
    """Return the name under which an actor of a run is found in namespace `gpt-trader`."""
    return f"{run_id}/{part}"


class Session:
    """The actors of one run, which are starting when it is made.

    Parameters
    ----------
    context : RunContext
    predictor : Predictor
        Travels to the decision actor, so it must be serialisable.
    store : Store
        For the events of recoveries.
    challenger : Predictor, optional
        That of the run's experiment.
    """

    def __init__(
        self, context: RunContext, predictor: Predictor, store: Store, challenger: Predictor | None = None
    ) -> None:
        self._context = context
        self._store = store
        self._epoch = int(time.time())
        self._feed_life = 0 if context.info.span_ns is not None else self._epoch
        self._restarts = 0
        self._counters_shown = 0.0
        shards = split_symbols(len(context.info.universe), context.settings.ray.shards)

        def create(kind: type, part: str, *args: Any) -> Any:
            actor = ray.remote(num_cpus=0.1, max_restarts=-1, max_task_retries=0, concurrency_groups=CONCURRENCY)(kind)
            named = actor.options(name=actor_name(context.run_id, part), namespace=NAMESPACE)
            return named.remote(context, *args)

        self._decision = create(DecisionActor, "decision", shards, predictor, challenger)
        if context.info.span_ns is None and len(shards) == 1:
            self._feed = create(FeedShard, "feed", shards[0])
            self._shards = [self._feed]
            self._parts = {"decision": self._decision, "feed": self._feed}
        else:
            self._shards = [create(SymbolShard, f"shard-{n}", n, ids) for n, ids in enumerate(shards)]
            self._feed = create(FeedPump, "feed")
            self._parts = {"decision": self._decision, "feed": self._feed} | {
                f"shard-{n}": shard for n, shard in enumerate(self._shards)
            }
        self._pids: dict[str, int] = {}

    def wait_ready(self) -> None:
        """Wait until every actor answers.

        Raises
        ------
        TraderError
            What an actor raised on purpose when it was made.
        OperationError
            If one cannot start.
        """
        self._pids = self._wait_alive()

    @property
    def restarts(self) -> int:
        """How often the run was taken back to its last commit."""
        return self._restarts

    def run(
        self, on_status: Callable[[RunStatus], None] | None = None, should_stop: Callable[[], bool] = lambda: False
    ) -> bool:
        """Trade until the feed ends or `should_stop`; return whether the feed was used up.

        Raises
        ------
        TraderError
            What a part raised on purpose.
        OperationError
            If parts died more often than `ray.max_restarts`.
        """
        while True:
            try:
                finished = self._pass(on_status, should_stop)
            except RayError as error:
                self._heal(error)
            else:
                return finished

    def _pass(self, on_status: Callable[[RunStatus], None] | None, should_stop: Callable[[], bool]) -> bool:
        self._epoch += 1
        durable: int = ray.get(self._decision.reset.remote(self._epoch))
        needed: list[int] = ray.get(
            [shard.reset.remote(self._epoch, durable, self._decision, self._feed_life) for shard in self._shards]
        )
        pumping = self._feed.pump.remote(self._epoch, min(needed), durable, self._shards)
        stopping = False
        while not ray.wait([pumping], timeout=_POLL_S)[0]:
            if should_stop() and not stopping:
                self._feed.stop.options(concurrency_group=CONTROL).remote()
                self._decision.stop.options(concurrency_group=CONTROL).remote()
                stopping = True
            if on_status is not None:
                self._show(on_status, "stopping" if stopping else "")
            self._record_troubles()
            self._record_sinks()
            self._show_counters()
        finished: bool = ray.get(pumping)
        ray.get(self._decision.finish.remote(self._epoch))
        self._record_drops()
        self._record_troubles()
        self._record_sinks(at_end=True)
        self._show_counters()
        if on_status is not None:
            self._show(on_status, "")
        return finished

    def _show(self, on_status: Callable[[RunStatus], None], message: str) -> None:
        # A status that does not come is not worth a recovery: if the actor died, the pump will say so.
        with contextlib.suppress(RayActorError, GetTimeoutError):
            call = self._decision.status.options(concurrency_group=CONTROL)
            on_status(ray.get(call.remote(self._restarts, message), timeout=5.0))

    def _show_counters(self) -> None:
        """Pass on to the metrics what a live feed has brought, and how the sinks fare."""
        context, now = self._context, time.monotonic()
        is_asked = context.info.span_ns is None or context.settings.sinks.are_on
        if not is_asked or context.settings.telemetry.metrics_port is None:
            return
        if now - self._counters_shown < _COUNTERS_EVERY_S:
            return
        self._counters_shown = now
        with contextlib.suppress(RayActorError, GetTimeoutError):
            actors = list(dict.fromkeys([self._feed, *self._shards]))
            calls = [actor.counters.options(concurrency_group=CONTROL).remote() for actor in actors]
            for counters in itertools.chain.from_iterable(ray.get(calls, timeout=5.0)):
                self._decision.on_counters.options(concurrency_group=CONTROL).remote(counters)

    def _record_drops(self) -> None:
        rejected: dict[str, int] = ray.get(self._feed.rejected.remote())
        for reason, count in rejected.items():
            self._record(
                DataRejected(
                    run_id=self._context.run_id,
                    trace_id="",
                    ts_ns=time.time_ns(),
                    source=self._context.info.name,
                    reason=reason,
                    count=count,
                )
            )
        dropped: int = ray.get(self._feed.dropped_rows.remote())
        if dropped:
            self._record(
                BufferOverflowed(
                    run_id=self._context.run_id, trace_id="", ts_ns=time.time_ns(), buffer="feed", dropped=dropped
                )
            )

    def _record_troubles(self) -> None:
        """Store what went wrong with a live feed; one that does not answer is asked again."""
        if self._context.info.span_ns is not None:
            return
        with contextlib.suppress(RayActorError, GetTimeoutError):
            call = self._feed.troubles.options(concurrency_group=CONTROL)
            for trouble in ray.get(call.remote(), timeout=5.0):
                self._record(
                    FeedTrouble(
                        run_id=self._context.run_id,
                        trace_id="",
                        ts_ns=trouble.ts_ns,
                        source=trouble.source or self._context.info.name,
                        trouble=trouble.kind,
                        detail=trouble.detail,
                        symbol=trouble.symbol,
                        count=trouble.count,
                    )
                )

    def _record_sinks(self, at_end: bool = False) -> None:
        """Store what is new of the sinks; at the end they are given time to write what waits."""
        sinks = self._context.settings.sinks
        if not sinks.are_on:
            return
        timeout_s = 5.0 + (2 * sinks.close_s if at_end else 0.0)
        with contextlib.suppress(RayActorError, GetTimeoutError):
            calls = [shard.sink_events.options(concurrency_group=CONTROL).remote(at_end) for shard in self._shards]
            for events in ray.get(calls, timeout=timeout_s):
                for event in events:
                    self._record(event)

    def _record(self, event: Event) -> None:
        """Store an event; where the store is away, when it is back."""
        patiently(lambda: self._store.record_event(event), self._context.settings.store.give_up_s)

    def _heal(self, error: RayError) -> None:
        """Wait until every part is back; give up where none had died."""
        pids = self._wait_alive()
        died = sorted(part for part, pid in pids.items() if pid != self._pids[part])
        self._pids = pids
        cause = root_cause(error)
        if not died and not isinstance(cause, (RayActorError, ChannelError)):
            if isinstance(cause, TraderError):
                raise cause from None
            raise OperationError(f"a part failed: {type(cause).__name__}: {cause}") from error
        if "feed" in died and self._feed_life:
            self._feed_life = self._epoch + 1
        self._restarts += 1
        if self._restarts > self._context.settings.ray.max_restarts:
            raise OperationError(
                f"parts died {self._restarts} times; ray.max_restarts={self._context.settings.ray.max_restarts}"
            ) from error
        run_id = self._context.run_id
        last_seq = patiently(lambda: self._store.last_seq(run_id), self._context.settings.store.give_up_s)
        for part in died or ["unknown"]:
            self._record(
                PartRestarted(
                    run_id=run_id,
                    trace_id="",
                    ts_ns=time.time_ns(),
                    part=part,
                    reason=f"{type(cause).__name__}",
                    from_seq=last_seq + 1,
                )
            )

    def _wait_alive(self) -> dict[str, int]:
        deadline = time.monotonic() + _HEAL_TIMEOUT_S
        pids: dict[str, int] = {}
        while len(pids) < len(self._parts):
            for part, actor in self._parts.items():
                if part in pids:
                    continue
                try:
                    pids[part] = ray.get(actor.pid.options(concurrency_group=CONTROL).remote(), timeout=_HEAL_TIMEOUT_S)
                except RayTaskError as error:
                    raise OperationError(f"actor {part} cannot start: {root_cause(error)}") from error
                except (RayActorError, GetTimeoutError) as error:
                    cause = root_cause(error)
                    if isinstance(cause, TraderError):
                        raise cause from None
                    if time.monotonic() > deadline:
                        raise OperationError(f"actor {part} did not come back: {cause}") from error
                    time.sleep(0.1)
        return pids

    def close(self) -> None:
        """End the actors; twice does nothing."""
        for actor in self._parts.values():
            ray.kill(actor, no_restart=True)
        self._parts = {}


def root_cause(error: BaseException) -> BaseException:
    """Return what a chain of Ray errors was first raised for."""
    while isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    return error


def set_trading_state(run_id: str, state: TradingState, who: str, why: str) -> TradingState:
    """Change the trading state of a run on the connected cluster; return the previous one.

    Raises
    ------
    OperationError
        If the cluster has no such run, or it does not answer.
    """
    try:
        decision = ray.get_actor(actor_name(run_id, "decision"), namespace=NAMESPACE)
    except ValueError:
        raise OperationError(f"run {run_id} is not running on this cluster") from None
    try:
        call = decision.set_trading_state.options(concurrency_group=CONTROL)
        previous: TradingState = ray.get(call.remote(state, who, why), timeout=10.0)
    except (RayActorError, GetTimeoutError) as error:
        raise OperationError(f"run {run_id} does not answer: {error}") from error
    return previous
