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
# # A transformer that reads other assets
#
# **Question.** Does market attention find that one symbol follows another, where trees on the symbol's own features
# cannot?
#
# **Running time.** Under a minute. **Expected result.** On a market in which leaders move followers two days later,
# the transformer reaches more than nine tenths of the best possible forecast, boosting about none of it, and the
# attention maps show who leads.

# %%
import matplotlib.pyplot as plt
import numpy as np

from trader.data.planted import plant
from trader.explain.instant import Instant
from trader.explain.sequence import window_gradients
from trader.explain.subject import subject_of
from trader.models.base import create
from trader.models.proof import learning_proof, proof_data
from trader.models.walk_forward import past_of
from trader.settings import PlantedSettings
from trader.validation.ic import information_coefficient
from trader.validation.quantiles import judge_quantiles
from trader.validation.reliability import judge_probabilities

# %% [markdown]
# ## A market with a planted lead-lag
# Ten symbols, two of which lead the others, half of these with the sign reversed. Every feature is of the symbol
# itself or of its rank. The best possible forecast, the oracle, is known.

# %%
SEED = 1
settings = PlantedSettings(signal="lead_lag", n_days=3000, strength=0.4)
data = proof_data(settings, seed=SEED, families=("returns",))
law = plant(settings, seed=SEED).law
split, n_symbols = 2400, settings.n_symbols
followers = np.flatnonzero(law.sign)
print(f"{data.features.shape[2]} features, {n_symbols} symbols; leaders {sorted(set(law.leader[followers].tolist()))}")

# %% [markdown]
# ## Learning curves
# The last 15 % of the training span are held out; they choose the epoch and calibrate what is said.

# %%
model = create("transformer", context=4, d_model=32, n_layers=1, learning_rate=0.005, epochs=8)
model.fit_panel(
    data.features[:split],
    data.target[:split],
    feature_names=data.feature_names,
    seed=SEED,
    instants=np.arange(100, split - 2),
)
epochs = range(1, len(model.history.epochs) + 1)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
for name in ("train_loss", "validation_loss"):
    left.plot(epochs, [epoch[name] for epoch in model.history.epochs], label=name.replace("_", " "))
left.axvline(model.history.best_epoch, color="grey", linestyle=":", label="kept")
left.set(xlabel="epoch", title=model.history.stopped_because)
left.legend()
right.plot(epochs, [epoch["validation_ic"] for epoch in model.history.epochs])
right.set(xlabel="epoch", title="validation rank IC")

# %% [markdown]
# ## Beside boosting and the oracle
# Rank information coefficients of 600 days that no model has seen.

# %%
target = data.target[split:]
forecast = model.forecast(*past_of(data.features, np.arange(split, len(data.target)), model.context))
scores = {"transformer": forecast.score, "oracle": data.oracle[split:]}
ic = {name: float(np.nanmean(information_coefficient(score, target))) for name, score in scores.items()}
ic["boosting"] = learning_proof(data, "boosting", train_share=split / len(data.target), seed=SEED).ic
for name, value in ic.items():
    print(f"{name:12} IC {value:6.3f}   {value / ic['oracle']:4.0%} of the oracle")
assert ic["transformer"] > 0.8 * ic["oracle"]
assert ic["boosting"] < 0.2 * ic["oracle"]

# %% [markdown]
# ## Calibration
# A quantile should cover what it says, and of days with a 60 % chance of a rise 60 % should rise.

# %%
covered = judge_quantiles(forecast.quantiles, forecast.levels, target)
chances = judge_probabilities(
    forecast.probability_up, np.where(np.isnan(target), np.nan, target > 0), bins="count"
).curve
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5))
left.errorbar(
    covered.levels,
    covered.coverage,
    yerr=[covered.coverage - covered.low, covered.high - covered.coverage],
    fmt="o-",
)
left.set(xlabel="quantile", ylabel="share of returns below", title="Quantiles")
right.errorbar(
    chances.probability,
    chances.frequency,
    yerr=[chances.frequency - chances.low, chances.high - chances.frequency],
    fmt="o-",
)
right.set(xlabel="predicted chance of a rise", ylabel="share that rose", title="Direction")
for axes in (left, right):
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
print(f"largest error of a quantile's coverage: {np.abs(covered.coverage - covered.levels).max():.3f}")

# %% [markdown]
# ## Where it looks
# The mean attention across assets in the last patch; a circle marks the planted leader. Attention says where the
# network looked, not what it made of it.

# %%
maps = model.attention(data.features[-200:], n_context=model.context - 1)
across = maps.assets.mean(axis=(0, 1))
figure, panels = plt.subplots(1, across.shape[0], figsize=(9, 4))
for number, (axes, weights) in enumerate(zip(panels, across, strict=True)):
    axes.imshow(weights, vmin=0, cmap="Blues")
    axes.plot(law.leader[followers], followers, "o", mfc="none", color="C1")
    axes.set(xlabel="looked at", ylabel="looks", title=f"head {number + 1}")
most = across.max(axis=0).argmax(axis=1)[followers]
print(f"{np.mean(most == law.leader[followers]):.0%} of the followers look most at their leader")

# %%
along = maps.time.mean(axis=(0, 1, 2))
figure, axes = plt.subplots(figsize=(5, 2.5))
for number, weights in enumerate(along):
    axes.plot(range(1 - along.shape[1], 1), weights, "o-", label=f"head {number + 1}")
axes.set(xlabel="patches before the last", ylabel="weight", title="Along time, mean over symbols")
axes.legend()

# %% [markdown]
# ## What a score is made of
# Integrated gradients share out one score among all numbers of the window; they add up to it. The leader's window
# holds most of a follower's.

# %%
follower = int(followers[0])
subject = subject_of(model, name="transformer")
instant = Instant.of(data.features[-1], past=data.features[-model.context : -1])
found = window_gradients(subject, model, instant, follower)
parts = found.values.sum(axis=(0, 2))
figure, axes = plt.subplots(figsize=(6, 3))
axes.bar(range(n_symbols), parts, color=["C1" if k == law.leader[follower] else "C0" for k in range(n_symbols)])
axes.set(xlabel="symbol", title=f"Score of symbol {follower}; its leader in orange")
print(f"parts add up to {parts.sum():.4f}, the score less the base is {found.score - found.base:.4f}")
assert np.isclose(parts.sum(), found.score - found.base, atol=1e-3)
