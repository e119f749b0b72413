"""How the challenger's share of the symbols moves inside a run: a function of the marks, the plan and its seed.

- `fixed`: the share stays; a canary is a small one.
- `ramp`: from step to step of `spec.ramp`, at gates `gate_every` decisions apart. A gate passes where guardrails hold
  and the always-valid interval of the metric says enough: without `gate_margin` that the challenger is not shown to be
  worse (its upper end is not below 0, after at least ten blocks), with it that it is not inferior by the margin [1]_
  (the lower end is above ``-gate_margin``). A gate that does not pass holds the step.
- `thompson`: at each gate every symbol draws from the posterior of the mean difference; the share of draws above 0 is
  the challenger's [2]_, between floors for both.

Whatever the schedule, a challenger that breaks a guardrail loses its share at the next decision and for good; on a
ramp so does one that is shown to be worse. Both variants' virtual portfolios trade all symbols at any share, so the
comparison goes on, and the share decides what is at stake, not what is learnt.

Measured on a ramp 10, 50, 100 % with a gate every 100 of 1,000 decisions, judged at every gate under the policy `auto`,
differences AR(.6) with t3 innovations: of 2,000 runs of equal arms .006 are promoted and .010 rolled back as worse; of
300 whose challenger loses about half a standard deviation of a decision, all are rolled back, .44 after they had
reached the whole, and none is promoted.

References
----------
.. [1] ICH E9 (1998), "Statistical principles for clinical trials", section 3.3.2.
.. [2] Chapelle and Li (2011), "An empirical evaluation of Thompson sampling", NeurIPS, section 4 (batches).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from trader.experiments.assess import plan_of
from trader.experiments.guardrails import GuardrailWatch, broken_text
from trader.experiments.spec import ExperimentSpec
from trader.storage import ShareChange, VariantMark
from trader.validation.experiments import SequentialComparison, StreamingMoments, StudentPosterior

__all__ = ["Traffic", "posterior_from"]


class Traffic:
    """The challenger's share from decision to decision. Takes marks one by one, so that batches change nothing.

    Parameters
    ----------
    spec : ExperimentSpec
    n_symbols : int
        Of the run; as many draws a gate has.

    >>> traffic = Traffic(ExperimentSpec("e", "a@1", "b@1", challenger_share=0.2), 10)
    >>> [traffic.take(VariantMark(seq, 100.0, equity, answered=True)) for seq, equity in enumerate((100.0, 101.0))]
    [None, None]
    >>> traffic.take(VariantMark(2, 100.0, 90.0, answered=True)).reason
    "rolled back: drawdown beyond the champion's is 10.89%, above 5.00%"
    >>> traffic.share
    0.0
    """

    def __init__(self, spec: ExperimentSpec, n_symbols: int) -> None:
        self._spec = spec
        self._n_symbols = n_symbols
        self._watch = GuardrailWatch(at_least=spec.gate_every)
        self._comparison = SequentialComparison(plan_of(spec))
        self._moments = StreamingMoments()
        self._n = 0
        self._fresh: list[float] = []
        self._last: tuple[float, float] | None = None
        self.share = spec.split.challenger
        """Of the next decision."""

    def take(self, mark: VariantMark) -> ShareChange | None:
        """Take what became of the decision before the next, and return how the share changes, if it does."""
        self._watch.add(mark)
        self._learn(mark)
        spec = self._spec
        if spec.kind == "shadow" or self.share == 0.0:
            return None
        if broken := broken_text(self._watch.guardrails()):
            return self._change(mark.seq, 0.0, f"rolled back: {broken}", {})
        if spec.schedule == "fixed" or self._n > spec.horizon or not self._is_look:
            return None
        return self._ramp(mark.seq) if spec.schedule == "ramp" else self._thompson(mark.seq)

    def _learn(self, mark: VariantMark) -> None:
        """Add the difference of the returns of this decision to what the schedule looks at."""
        if self._last is not None:
            champion, challenger = (now / last for now, last in zip(mark[1:3], self._last, strict=True))
            self._n += 1
            if self._n <= self._spec.horizon:
                self._fresh.append(challenger - champion)
            if self._is_look:
                (self._moments if self._spec.schedule == "thompson" else self._comparison).add(self._fresh)
                self._fresh = []
        self._last = (mark.champion, mark.challenger)

    @property
    def _is_look(self) -> bool:
        """Whether a block of the comparison is complete or a gate is due: in between nothing new is known."""
        return self._n % self._comparison.plan.block_length == 0 or self._gate > 0

    @property
    def _gate(self) -> int:
        """Number of the gate that is due, 0 if none is."""
        gate, rest = divmod(self._n, self._spec.gate_every)
        return 0 if rest else gate

    def _ramp(self, seq: int) -> ShareChange | None:
        found = self._comparison.result()
        evidence = {"estimate": found.estimate, "low": found.low, "high": found.high, "p_value": found.p_value}
        if found.direction == "below":
            return self._change(
                seq, 0.0, f"rolled back: shown to be worse after {found.decided_at} decisions", evidence
            )
        higher = [step for step in self._spec.ramp if step > self.share]
        if not higher or not self._gate or math.isnan(found.low):
            return None
        margin = self._spec.gate_margin
        if margin is None:
            passes, said = found.high >= 0.0, "not shown to be worse"
        else:
            passes, said = found.low > -margin, f"not inferior by {margin:g}"
        return self._change(seq, higher[0], f"gate {self._gate} passed: {said}", evidence) if passes else None

    def _thompson(self, seq: int) -> ShareChange | None:
        posterior = posterior_from(self._moments) if self._gate else None
        if posterior is None:
            return None
        spec = self._spec
        # By gate, so that a run that is gone on with draws what it would have drawn.
        draws = np.random.default_rng([spec.seed, self._gate]).standard_t(posterior.degrees, self._n_symbols)
        won = int((posterior.location + posterior.scale * draws > 0.0).sum())
        share = spec.floor + (1.0 - spec.holdout - 2.0 * spec.floor) * won / self._n_symbols
        if share == self.share:
            return None
        evidence = {"probability": posterior.probability_above(), "won": won, "draws": self._n_symbols}
        return self._change(seq, share, f"gate {self._gate}: {won} of {self._n_symbols} draws won", evidence)

    def _change(self, seq: int, share: float, reason: str, evidence: Mapping[str, Any]) -> ShareChange:
        known = {each.name: each.value for each in self._watch.guardrails()}
        content = {"before": self.share, "decisions": self._n, **evidence, "guardrails": known}
        self.share = share
        return ShareChange(self._spec.name, seq + 1, share, reason, content)

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {
            "share": self.share,
            "n": self._n,
            "last": self._last,
            "fresh": list(self._fresh),
            "watch": self._watch.state(),
            "comparison": self._comparison.state(),
            "moments": self._moments.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.share, self._n = float(state["share"]), int(state["n"])
        self._last = None if state["last"] is None else (float(state["last"][0]), float(state["last"][1]))
        self._fresh = [float(difference) for difference in state["fresh"]]
        self._watch.restore(state["watch"])
        self._comparison = SequentialComparison.restore(state["comparison"])
        self._moments = StreamingMoments.restore(state["moments"])


def posterior_from(moments: StreamingMoments) -> StudentPosterior | None:
    """Return the posterior of a mean under a flat prior, for as many observations as dependence leaves.

    That of `posterior_of_mean` with an inflation of the long-run variance over the variance, at least 1; None while
    either is unknown (fewer than 64 observations) or nothing varies.
    """
    long_run, variance = moments.long_run_variance, moments.variance
    if math.isnan(long_run) or not variance > 0.0:
        return None
    count = moments.n / max(1.0, long_run / variance)
    spread = variance * (moments.n - 1) / moments.n
    return StudentPosterior(moments.mean, math.sqrt(spread / count), count)
