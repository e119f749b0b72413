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
# # Risk, through 2008 and 2020
#
# **Question.** What would the measures of risk have said of a real portfolio on the eve of two crashes, and what came?
#
# **Running time.** Under half a minute. **Expected result.** Figures made from a calm past were far too small on the
# eve of both: several times as many losses were beyond them as there should be, in clusters. A filter that follows
# volatility stays near the promised one day in a hundred. Scenarios say what such days cost *before* they come.

# %%
import datetime as dt

import matplotlib.pyplot as plt
import numpy as np

from risk.covariance import covariance
from risk.exposure.concentration import concentration
from risk.panel import ReturnPanel
from risk.stress import LinearBook, ReturnHistory, StressTester, choose, index_factor, reverse_linear, worst_first
from risk.validation.report import judge
from risk.validation.rolling import rolling_forecasts
from risk.var.decomposition import contributions
from risk.var.methods import estimate_all
from risk.var.sample import Sample
from trader.data.datasets import sp500_bars

bars, universe = sp500_bars()
closes = bars.close.reshape(-1, len(universe))
stamps = bars.ts_ns.reshape(closes.shape)[:, 0].astype("datetime64[ns]")
panel = ReturnPanel.of_prices(universe.symbols, closes, stamps)
weights = panel.weights()
print(f"{panel.n_assets} stocks, {panel.n_periods:,} days, {str(stamps[0])[:10]} to {str(stamps[-1])[:10]}")

# %% [markdown]
# ## The eve of Lehman
# Equal weights in twenty stocks, and the four years before 12 September 2008. The figures differ by method, not wildly.

# %%
EVE = {"2008": np.datetime64("2008-09-12"), "2020": np.datetime64("2020-02-19")}
METHODS = ("historical", "normal", "student_t", "ewma", "evt", "fhs_evt")


def past(eve, n_days=1000):
    """Return the days up to an eve, itself included."""
    return panel.between(stamps[0].astype("datetime64[D]"), eve).last(n_days)


before = past(EVE["2008"])
for estimate in estimate_all(before, weights, METHODS, 0.99):
    print(f"{estimate.method:>12}  VaR {estimate.var:.2%}  ES {estimate.es:.2%}")

# %% [markdown]
# Where the risk came from: each name's part of the expected shortfall. They add up to the whole.

# %%
parts = contributions(Sample(before, weights), "historical", 0.99)
order = np.argsort(-parts.component_es)
for i in order[:5]:
    print(
        f"{parts.names[i]:>5}  {parts.component_es[i] / parts.estimate.es:6.1%} of ES, at a weight of {weights[i]:.0%}"
    )
print(f"sum {parts.component_es.sum():.4%}, ES {parts.estimate.es:.4%}")

# %% [markdown]
# ## What came
# The replay holds the positions of the eve through the scenario's days: profit and loss by name, and the deepest fall
# on the way. Nothing is modelled; these are the returns of the days.

# %%
history = ReturnHistory.of_panel(panel)
tester = StressTester(history, dict(zip(panel.names, weights, strict=True)))
lehman, covid = (tester.run(scenario) for scenario in choose(["autumn-2008", "covid-2020"]))
for result in (lehman, covid):
    scenario, worst = result.scenario, result.impacts[0]
    print(f"{scenario.title}, {scenario.first} to {scenario.last}: {result.pnl:+.1%}, drawdown {result.drawdown:.1%},")
    print(f"    worst name {worst.asset} {worst.change:+.1%}; by {sorted({impact.how for impact in result.impacts})}")

# %% [markdown]
# ## Day by day
# Each day is forecast from the thousand days before it. Bars are what came.

# %%
series = panel.portfolio(weights)
forecasts = rolling_forecasts(series[2500:], ("historical", "normal", "ewma", "fhs_evt"), 0.99, window=1000, refit=60)
days = stamps[1:][2500:][forecasts[0].first :]
print(f"{'method':>12}  {'beyond':>7} {'expected':>8}  Kupiec p  independence p")
for forecast in forecasts:
    found = judge(forecast)
    print(
        f"{found.method:>12}  {found.exceedances:>7} {found.expected:>8.1f}  {found.kupiec_p:8.2g}"
        f"  {found.independence_p:14.2g}"
    )

# %%
SPANS = (("2008-07-01", "2009-07-01"), ("2019-12-01", "2020-12-01"))
figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), sharey=True)
for axis, (first, last) in zip(axes, SPANS, strict=True):
    shown = (days >= np.datetime64(first)) & (days < np.datetime64(last))
    axis.vlines(days[shown], 0, 100 * forecasts[0].returns[shown], color="0.6", linewidth=0.8)
    for forecast, colour in ((forecasts[0], "tab:orange"), (forecasts[-1], "tab:blue")):
        axis.plot(days[shown], -100 * forecast.var[shown], color=colour, label=f"− VaR, {forecast.method}")
    axis.set_ylabel("% of value")
    axis.legend()
figure.tight_layout()

# %% [markdown]
# In both crashes the historical figure hardly moves for weeks while losses break it again and again; the filtered one
# follows within days. Whoever had limited *that* would have held a fraction of the portfolio in the worst of it.

# %% [markdown]
# ## Why spreading did not help
# In a crash everything falls together: the same twenty names are fewer independent bets.

# %%
for name, eve in EVE.items():
    calm = concentration(weights, covariance(past(eve, 250).returns))
    crash_days = panel.between(eve + np.timedelta64(1, "D"), eve + np.timedelta64(60, "D"))
    crash = concentration(weights, covariance(crash_days.returns))
    print(
        f"{name}: diversification ratio {calm.diversification_ratio:.2f} in the year before, "
        f"{crash.diversification_ratio:.2f} in the crash; effective bets {calm.effective_bets:.1f} and "
        f"{crash.effective_bets:.1f}"
    )

# %% [markdown]
# ## What to expect of the next one
# All scenarios that move stocks, worst first, and the other way round: what has to happen to lose a fifth in ten days.

# %%
results = [result for result in worst_first(tester.run_all(choose(["all"]))) if result.applies]
print(f"{len(results)} scenarios apply; the worst:")
for result in results[:8]:
    print(f"{result.pnl:+8.1%}  {result.scenario.title}")

factor = index_factor()
book = LinearBook.of(history, tester.weights, factor)
variance = 10 * np.atleast_2d(np.var(factor.returns[-1000:], axis=0, ddof=1))
answer = reverse_linear(book, variance, 0.2)
print(
    f"A fifth is lost in ten days if the index makes {answer.shocks['equity']:+.1%}: {answer.distance:.1f} deviations."
)

# %% [markdown]
# **Limits.** The twenty names are survivors: each was still listed in 2022, so a real portfolio of 2008 did worse. A
# replay knows only what happened once; a distance in deviations takes the index as normal, which it is not.

# %%
lost = [forecast for forecast in forecasts if judge(forecast).kupiec_p < 0.05]
assert {forecast.method for forecast in lost} >= {"normal"}
assert lehman.pnl < -0.2
assert covid.pnl < -0.2
assert lehman.scenario.first == dt.date(2008, 9, 12)
