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
# # Champion against challenger
#
# **Question.** When may one say that a new model earns more, if its P&L is watched all day?
#
# **Running time.** Under half a minute. **Expected result.** A plain t-test that is looked at after every day finds a
# winner among two equal models in most experiments; the sequential comparison in less than one of twenty. On a market
# with a known signal a challenger that sees more of it passes, and one that sees as much does not.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from trader.core.protocols import Prediction
from trader.data.planted import plant
from trader.engine.variants import Variants
from trader.experiments.assess import assess
from trader.experiments.assignment import Split, Variant, assign
from trader.experiments.spec import ExperimentSpec
from trader.pipeline import DecisionLoop
from trader.settings import ExecutionSettings, GateSettings, PlantedSettings, SizingSettings
from trader.validation.experiments import ExperimentPlan, SequentialComparison, sequential_sample_size

# %% [markdown]
# ## Two equal models, watched
# Differences of daily P&L that depend on the day before (0.6) and have heavy tails; their mean is zero.

# %%
RUNS, DAYS = 200, 1000
rng = np.random.default_rng(5)
shocks = rng.standard_t(3, size=(RUNS, DAYS))
differences = np.empty((RUNS, DAYS))
differences[:, 0] = shocks[:, 0]
for day in range(1, DAYS):
    differences[:, day] = 0.6 * differences[:, day - 1] + shocks[:, day]

n = np.arange(1, DAYS + 1)
mean = np.cumsum(differences, axis=1) / n
spread = np.sqrt(np.maximum(np.cumsum(differences**2, axis=1) / n - mean**2, 1e-12))
watched = (np.abs(mean) / spread * np.sqrt(n) > stats.norm.ppf(0.975))[:, 30:].any(axis=1).mean()

plan = ExperimentPlan("pnl", planned=DAYS)
found = 0
for run in differences:
    comparison = SequentialComparison(plan)
    comparison.add(run)
    found += comparison.result().direction is not None
print(f"winners among equals: plain t watched daily {watched:.0%}, sequential comparison {found / RUNS:.1%}")
assert watched > 0.5
assert found / RUNS <= 0.05

# %% [markdown]
# ## How long will it take?
# Days until an edge is found with a chance of 80 %, in standard deviations of the daily difference.

# %%
edges = np.array([0.05, 0.1, 0.2, 0.4])
needed = [sequential_sample_size(edge, block_length=20, inflation=4.0) for edge in edges]
figure, axes = plt.subplots(figsize=(6, 3))
axes.loglog(edges, needed, marker="o")
axes.set(xlabel="edge, standard deviations a day", ylabel="days", title="AR(.6): four days are worth one")

# %% [markdown]
# ## Who is scored by whom
# A ramp keeps every key that the challenger had; another experiment splits the same keys independently.

# %%
accounts = [f"account-{number}" for number in range(20_000)]
ramp = [assign(accounts, Split("retrained", share)) == Variant.CHALLENGER for share in (0.1, 0.5, 1.0)]
other = assign(accounts, Split("another", 0.5)) == Variant.CHALLENGER
print("shares:", [f"{arm.mean():.3f}" for arm in ramp], f"overlap with another 50/50: {(ramp[1] & other).mean():.3f}")
assert (ramp[1] | ~ramp[0]).all()

# %% [markdown]
# ## A market whose signal is known
# The oracle is the best possible forecast. The champion sees it through noise; one challenger through less, another
# through as much. Each is traded by a virtual portfolio with the sizing, risk gate, broker and costs of a run.

# %%
settings = PlantedSettings(signal="momentum", strength=0.3, n_symbols=10, n_days=1200)
market = plant(settings, seed=3)
panel = market.panel
oracle = np.nan_to_num(market.oracle())
noise = np.random.default_rng(8).normal(size=(3, *oracle.shape)) * oracle.std()
champion = oracle + 3.0 * noise[0]
challengers = {"sees more": oracle + 0.5 * noise[1], "sees as much": oracle + 3.0 * noise[2]}


class Says:
    """A predictor that says what it is told to."""

    context = 1

    def __init__(self, score):
        self.score = score

    def __call__(self, *_):
        return Prediction(self.score, {"model@2": self.score})


def loop():
    return DecisionLoop(settings.n_symbols, sizing=SizingSettings(), execution=ExecutionSettings(), gate=GateSettings())


spec = ExperimentSpec("planted", "model@1", "model@2", kind="shadow", challenger_share=0.0, horizon=len(panel) - 1)
verdicts = {}
figure, axes = plt.subplots(figsize=(9, 3))
for name, score in challengers.items():
    variants = Variants(spec, list(map(str, range(settings.n_symbols))), Says(score), (loop(), loop()))
    variants.score(Prediction(champion, {"model@1": champion}), oracle[:, :, None], 0, 0, panel)
    marks, _ = variants.trade(0, panel)
    verdicts[name] = assess(spec, marks)
    axes.plot([mark.challenger / 1e6 for mark in marks], label=f"challenger that {name}")
axes.plot([mark.champion / 1e6 for mark in marks], color="black", label="champion")
axes.set(ylabel="equity, millions", title="Virtual portfolios")
axes.legend()
for name, verdict in verdicts.items():
    print(f"{name:12} {verdict.verdict:12} {1e4 * verdict.estimate:6.2f} bp a day; {verdict.reason}")
assert verdicts["sees more"].verdict == "pass"
assert verdicts["sees as much"].verdict != "pass"
