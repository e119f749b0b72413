# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Searching without fooling oneself
#
# **Question.** How good must the best of many trials look before it is more than luck?
#
# **Running time.** Under a minute. **Expected result.** On a market with a planted signal the best of a search is told
# from luck. On the same market with shuffled labels it looks good too, and the deflated Sharpe ratio and the
# probability of overfitting say that it is not.

# %%
import dataclasses
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from trader.engine.training_set import load_past
from trader.models.walk_forward import walk_forward_folds
from trader.runtime.cluster import leave_cluster, start_cluster
from trader.settings import load_settings
from trader.validation.guards import shuffle_labels
from tune.evolution import evolve
from tune.journal import Journal
from tune.objective import middle_first
from tune.results import summarise
from tune.search import run_search
from tune.space import Choice, Float, Space
from tune.spec import SearchSpec

# %% [markdown]
# ## A market that can be learnt
# Ten symbols whose next return follows their own last one; the best possible forecast has a rank IC of about 0.1.

# %%
settings = load_settings(
    overrides={
        "feed": {"kind": "planted", "planted": {"signal": "momentum", "strength": 0.1, "n_days": 700}},
        "features": {"families": ["returns", "momentum"]},
        "models": {"horizon": 1, "n_splits": 3},
        "ray": {"num_cpus": 2, "dashboard": False},
    }
)
data = load_past(settings).data
folds = middle_first(walk_forward_folds(data, settings.models))
f"{len(data)} days, {len(data.symbols)} symbols, {len(data.feature_names)} features, {len(folds)} folds"

# %% [markdown]
# ## Ten trials on a cluster
# Optuna suggests, ASHA gives up what is not among the best third. The same search is run on shuffled labels.

# %%
start_cluster(settings.ray)
spec = SearchSpec(name="demo", model="linear", trials=10, scheduler="asha", searcher="optuna", concurrent=2)
folder = Path(tempfile.mkdtemp())
results = {}
for name, target in {"signal": data.target, "shuffled": shuffle_labels(data.target, seed=1)}.items():
    Journal(folder / name).create(spec.to_dict())
    searched = dataclasses.replace(data, target=target)
    results[name] = summarise(run_search(spec, searched, folds, folder / name, concurrent=2))
leave_cluster()

for name, result in results.items():
    print(f"{name}: best score {result.best.score:.3f}, deflated Sharpe {result.deflated_sharpe:.2f}, {result.counts}")
assert results["signal"].best.score > results["shuffled"].best.score

# %% [markdown]
# ## Where the budget went
# A trial that is given up costs a fraction of a completed one.

# %%
result = results["signal"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
for trial in result.trials:
    left.plot(range(1, len(trial.scores) + 1), trial.scores, marker="o", alpha=0.5)
left.set(xlabel="folds", ylabel="mean rank IC so far", title="Trials")
right.bar([t.number for t in result.trials], [t.seconds for t in result.trials])
right.set(xlabel="trial", ylabel="seconds", title=f"{result.seconds / result.full_seconds:.0%} of the full budget")

# %% [markdown]
# ## Luck grows with the number of trials
# The best Sharpe ratio of strategies that are worth nothing, by how many were tried: a year of days each.

# %%
from trader.validation.sharpe import expected_maximum_sharpe

counts = np.array([1, 3, 10, 30, 100, 300, 1000])
luck = [expected_maximum_sharpe(n, 1 / 252) * np.sqrt(252) for n in counts]
rng = np.random.default_rng(0)
drawn = [np.mean([rng.normal(0, 1, n).max() for _ in range(200)]) for n in counts]
figure, axes = plt.subplots(figsize=(6, 3))
axes.semilogx(counts, luck, label="expected")
axes.semilogx(counts, drawn, "o", label="simulated")
axes.set(xlabel="worthless trials", ylabel="best annual Sharpe ratio")
axes.legend()

# %% [markdown]
# ## Strategies evolve by the same rules
# `trader tune evolve` breeds whole strategies by backtests. The algorithm itself is pure; here it finds a planted
# optimum, and random search with the same budget does not come as near.

# %%
space = Space({f"x{i}": Float(0.0, 1.0) for i in range(6)} | {"kind": Choice(tuple("abcdef"))})


def fitness(genomes):
    return [-sum((g[f"x{i}"] - 0.1 * i) ** 2 for i in range(6)) - 0.3 * (g["kind"] != "d") for g in genomes]


everyone = evolve(space, fitness, population=20, generations=10, seed=3)
at_random = max(fitness([space.sample(rng) for _ in everyone]))
evolved = max(individual.fitness for individual in everyone)
print(f"{len(everyone)} strategies: evolved {evolved:.3f}, at random {at_random:.3f}")
assert evolved > at_random
