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
# # From a tick to a fill
#
# **Question.** What happens between a trade print and a fill in the ledger, and can every step be read back?
#
# **Running time.** About a minute. **Expected result.** Bars that do not depend on how ticks were cut into batches,
# features that do not know the future, and a fill traced back to its scores, model versions and risk verdict.
# The strategy's figures at the end are honest, not good.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from trader.bars import BarBuilder
from trader.bootstrap import backtest
from trader.core.market import BAR_FIELDS, BarBatch, BarPanel
from trader.data.simulation.ticks import simulate_trades
from trader.features import FeatureEngine
from trader.settings import FeatureSettings, load_settings
from trader.storage import Store

# %% [markdown]
# ## Ticks become bars
# Half a million simulated trades of four symbols, cut into batches of 1,000, make the same one-minute bars as the
# whole at once: the builder keeps open bars between calls.

# %%
trades = simulate_trades(500_000, 4, seed=1)
pieces = BarBuilder(4, "time", 60.0)
cut = [pieces.update(trades.take(slice(i, i + 1000))) for i in range(0, len(trades), 1000)]
bars = BarBatch.concat([*cut, pieces.finish()])

whole = BarBuilder(4, "time", 60.0)
at_once = BarBatch.concat([whole.update(trades), whole.finish()])
assert BarPanel.from_bars(bars, 4).to_bars() == BarPanel.from_bars(at_once, 4).to_bars()
f"{len(trades):,} trades, {len(bars):,} bars"

# %%
panel = BarPanel.from_bars(bars, 4)
figure, axes = plt.subplots(figsize=(9, 3))
axes.plot((panel.ts_ns - panel.ts_ns[0]) / 3.6e12, panel.close / panel.close[0])
axes.set(xlabel="hours since the first bar", ylabel="close, relative to the first", title="One-minute bars")
# %% [markdown]
# ## Bars become features, and features do not know the future
# Recomputing with the last 50 bars cut off leaves every earlier feature as it was, bit for bit.

# %%
fields = frozenset(BAR_FIELDS) - {"spread"}
features = FeatureEngine(4, fields, FeatureSettings())
values = features.update(panel)
short = FeatureEngine(4, fields, FeatureSettings()).update(panel.rows(0, len(panel) - 50))
np.testing.assert_array_equal(values[:-50], short)
print(f"{len(features.names)} features a symbol; left out: {dict(features.left_out)}")

# %% [markdown]
# ## Features become decisions
# The same loop that `trader run` drives on a Ray cluster, here in this process: train on data to 2015, trade 2016.

# %%
folder = Path(tempfile.mkdtemp())
settings = load_settings("ci", overrides={"run": {"runs_dir": folder}})
summary = backtest(settings)
for sentence in summary.verdict:
    print("-", sentence)

# %% [markdown]
# ## A fill, traced back
# The store keeps what every order was made of.

# %%
with Store.open(settings.store_url) as store:
    fill = store.fills(summary.run_id).to_pylist()[0]
    trace = store.trace_order(summary.run_id, fill["order_id"])
trace.to_dict()

# %% [markdown]
# ## What it came to
# After costs, beside holding the same names in equal weights.

# %%
from IPython.display import Image

Image(str(summary.run_dir / "equity.png"))
