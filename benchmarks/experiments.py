"""Bookkeeping of experiments: who answers for a million keys, and a verdict over a million observations."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, alternate, in_process
from trader.experiments.assignment import Split, assign
from trader.validation.experiments import ExperimentPlan, SequentialComparison, hac_test, judge

__all__ = ["run"]

_REPEATS = 5
_SPLIT = Split("benchmark", 0.1, 0.05)


def run(options: Options) -> Result:
    """Measure both, one thread."""
    n_keys = options.scaled(1_000_000)
    keys = [f"account-{number}" for number in range(n_keys)]
    outcomes = alternate(
        [
            Contender(
                "assign",
                "ours",
                n_keys,
                in_process(lambda: assign(keys, _SPLIT)),
                versions_of(["numba", "numpy", "pyarrow"]),
                "SipHash-2-4 of a list of str, compiled; champion, challenger and holdout",
            ),
            Contender(
                "hashlib.blake2b, a key at a time",
                "peer",
                n_keys,
                in_process(lambda: _by_blake2b(keys)),
                note="keyed, 8 bytes, as the field's tutorials split traffic",
            ),
        ],
        on_round=lambda number: options.say(f"round {number}"),
    )
    options.say("verdicts")
    differences = np.random.default_rng(5).standard_t(4, options.scaled(1_000_000)) * 0.01
    verdict_s = _median(lambda: _verdict(differences))
    one = np.array([0.001])
    comparison = SequentialComparison(ExperimentPlan("pnl", planned=10**6))
    comparison.add(differences)
    return Result(
        "experiments",
        "Bookkeeping of experiments, one thread",
        "keys",
        {"keys": n_keys, "observations": int(differences.size)},
        outcomes,
        [
            Target("keys assigned", "keys/s", outcomes[0].rate, ">=", 1e6),
            Target("verdict over a million observations", "ms", 1e3 * verdict_s, "<", 200.0),
        ],
        {
            "one more observation, after a million, µs": 1e6 * _median(lambda: comparison.add(one)),
            "the same million judged once by hac_test, ms": 1e3 * _median(lambda: hac_test(differences)),
        },
    )


def _by_blake2b(keys: list[str]) -> list[int]:
    """Return the variant of each key, as `assign` numbers them."""
    low, high = int(0.1 * 2**64), int(0.95 * 2**64)
    variants = []
    for key in keys:
        place = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8, key=b"benchmark").digest(), "little")
        variants.append(1 if place < low else 2 if place >= high else 0)
    return variants


def _verdict(differences: np.ndarray) -> None:
    plan = ExperimentPlan("pnl", planned=differences.size)
    comparison = SequentialComparison(plan)
    comparison.add(differences)
    judge(plan, comparison.result())


def _median(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
