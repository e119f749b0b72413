"""Training: finds what was planted, nothing where nothing is, and never reads what it may not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import DataError, ModelError, NotFoundError, SettingsError
from trader.models.artifacts import read_manifest, save_ensemble
from trader.models.dataset import TrainingSet
from trader.models.targets import ENTRY_DELAY, forward_returns, scaled_target
from trader.models.training import TrainedEnsemble, train_ensemble
from trader.settings.sections import ModelSettings
from trader.validation.guards import LEAKED, leak_tomorrow, shuffle_labels
from trader.validation.ic import information_coefficient

DAY_NS = 86_400_000_000_000
NAMES = ("momentum_12_1", "return_5d", "c", "d", "e")
SETTINGS = ModelSettings(members=("linear", "boosting"), train_end=None, horizon=1, n_splits=3, embargo=2)
LINEAR = SETTINGS.model_copy(update={"members": ("linear",)})


@dataclasses.dataclass(frozen=True)
class World:
    """A market whose returns are partly decided by its features."""

    features: np.ndarray
    closes: np.ndarray
    ts_ns: np.ndarray
    signal: np.ndarray


def _world(signal_of: str, strength: float = 0.3, n_slices: int = 900, n_symbols: int = 15) -> World:
    rng = np.random.default_rng(11)
    features = rng.normal(size=(n_slices, n_symbols, len(NAMES)))
    a, b = features[..., 2], features[..., 3]
    signal = a if signal_of == "linear" else a * np.sign(b)
    returns = 0.01 * np.sqrt(1 - strength**2) * rng.normal(size=signal.shape)
    # A signal at t is traded at t + 1 and earns the return from there to t + 2.
    returns[1 + ENTRY_DELAY :] += 0.01 * strength * signal[: -1 - ENTRY_DELAY]
    closes = 100.0 * np.exp(np.cumsum(returns, axis=0))
    ts_ns = np.arange(n_slices, dtype=np.int64) * DAY_NS + DAY_NS // 2
    return World(features, closes, ts_ns, signal)


def _data(world: World, **options: object) -> TrainingSet:
    return TrainingSet.build(world.features, NAMES, world.closes, world.ts_ns, horizon=1, **options)


def _train(
    world: World,
    settings: ModelSettings = SETTINGS,
    on_progress: Callable[[str, float], None] | None = None,
    **options: object,
) -> TrainedEnsemble:
    return train_ensemble(_data(world, **options), settings=settings, seed=1, on_progress=on_progress)


@pytest.fixture(scope="module")
def linear_world() -> World:
    return _world("linear")


@pytest.fixture(scope="module")
def trained(linear_world: World) -> TrainedEnsemble:
    return _train(linear_world)


def _oracle_ic(world: World) -> float:
    """Return the mean rank IC of the planted signal itself."""
    return float(np.nanmean(information_coefficient(world.signal, scaled_target(world.closes, 1))))


def test_planted_signal_is_found_by_every_learner(linear_world: World, trained: TrainedEnsemble) -> None:
    """Out of sample, ridge has nearly the oracle's IC and trees most of it."""
    oracle = _oracle_ic(linear_world)
    assert oracle > 0.2
    scores = trained.report.scores
    assert scores["linear"].ic.mean > 0.95 * oracle
    assert scores["boosting"].ic.mean > 0.75 * oracle
    assert scores["ensemble"].ic.mean > 0.85 * oracle
    assert scores["ensemble"].ic.low > 0
    assert all(ic > 0.1 for ic in scores["ensemble"].fold_ic)
    assert scores["ensemble"].hit_rate > 0.55


def test_planted_interaction_is_found_by_trees_alone() -> None:
    """A signal that is a product of two features is out of reach of the linear model."""
    world = _world("interaction", n_slices=1500)
    scores = _train(world).report.scores
    assert scores["boosting"].ic.mean > 0.5 * _oracle_ic(world)
    assert abs(scores["linear"].ic.mean) < 0.1 * _oracle_ic(world)


def test_shuffled_labels_teach_nothing(linear_world: World) -> None:
    """With the labels in random order the interval of every IC covers 0."""
    report = _train(linear_world, transform_target=partial(shuffle_labels, seed=4)).report
    for score in report.scores.values():
        assert score.ic.low < 0 < score.ic.high


def test_leaked_future_is_absurd(linear_world: World) -> None:
    """With tomorrow's return among the features the IC is beyond anything a market offers."""
    leaked = leak_tomorrow(linear_world.features, forward_returns(linear_world.closes, 1))
    data = TrainingSet.build(leaked, (*NAMES, LEAKED), linear_world.closes, linear_world.ts_ns, horizon=1)
    report = train_ensemble(data, settings=SETTINGS, seed=1).report
    assert report.scores["linear"].ic.mean > 0.7
    assert report.scores["boosting"].ic.mean > 0.9


@pytest.fixture(scope="module")
def trained_to_730(linear_world: World) -> TrainedEnsemble:
    return _train(linear_world, end_ns=730 * DAY_NS - 1)


@pytest.mark.parametrize("poison", [np.nan, 1e300, -1.0])
def test_nothing_after_the_end_of_training_is_read(
    linear_world: World, trained_to_730: TrainedEnsemble, poison: float, tmp_path: Path
) -> None:
    """Ruining all later features and prices changes no bit of the models or the report."""
    clean, end_ns = trained_to_730, 730 * DAY_NS - 1
    later = linear_world.ts_ns > end_ns
    assert 0 < later.sum() < later.size
    features, closes = linear_world.features.copy(), linear_world.closes.copy()
    features[later] = poison
    closes[later] = poison
    ruined = _train(dataclasses.replace(linear_world, features=features, closes=closes), end_ns=end_ns)
    save_ensemble(clean.ensemble, tmp_path / "clean", clean.report.to_dict())
    save_ensemble(ruined.ensemble, tmp_path / "ruined", ruined.report.to_dict())
    assert read_manifest(tmp_path / "clean") == read_manifest(tmp_path / "ruined")


def test_the_last_price_before_the_end_is_read(linear_world: World) -> None:
    """The cut is no earlier than it has to be: the last instant's prices are part of a label."""
    end = int(linear_world.ts_ns[600])
    closes = linear_world.closes.copy()
    closes[600] *= np.linspace(0.5, 1.5, closes.shape[1])
    # Labels are the same for every learner, so the quick one is enough.
    changed = _train(dataclasses.replace(linear_world, closes=closes), LINEAR, end_ns=end)
    assert changed.report.train_end_ns == end
    assert changed.report != _train(linear_world, LINEAR, end_ns=end).report


def test_training_is_deterministic(linear_world: World, trained: TrainedEnsemble, tmp_path: Path) -> None:
    """Equal data, settings and seed give equal files and an equal report."""
    again = _train(linear_world)
    assert again.report == trained.report
    for name, each in (("a", trained), ("b", again)):
        save_ensemble(each.ensemble, tmp_path / name)
    assert read_manifest(tmp_path / "a") == read_manifest(tmp_path / "b")


def test_inputs_are_left_alone(linear_world: World) -> None:
    """Read-only arrays are enough."""
    frozen = {field.name: getattr(linear_world, field.name).copy() for field in dataclasses.fields(World)}
    for array in frozen.values():
        array.flags.writeable = False
    _train(World(**frozen), LINEAR)


def test_report_says_what_was_done(linear_world: World, trained: TrainedEnsemble) -> None:
    """Counts, folds, members and scales are in the report, which is JSON."""
    report = trained.report
    # Volatility needs 20 returns, and the last two labels are unknown.
    assert report.n_rows == 15 * (900 - 20 - 2)
    assert report.train_start_ns == linear_world.ts_ns[20]
    assert len(report.folds) == 3
    assert report.folds[-1][1] == linear_world.ts_ns[-1]
    assert set(report.scores) == {"linear", "boosting", "ensemble"}
    assert set(report.weights) == set(trained.ensemble.members) == {"linear@1.0.0", "boosting@1.0.0"}
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["scores"]["ensemble"]["ic"]["mean"] == report.scores["ensemble"].ic.mean


def test_members_are_put_on_one_scale(linear_world: World, trained: TrainedEnsemble) -> None:
    """Each member's standardised scores spread alike over the training set."""
    members = trained.ensemble(linear_world.features[20:-2]).members
    spreads = [float(scores.std()) for scores in members.values()]
    assert spreads[0] == pytest.approx(spreads[1], rel=1e-9)


def test_warm_up_and_missing_rows_are_left_out(linear_world: World) -> None:
    """Rows whose features are not known yet, and a symbol that lists late, do not count."""
    features, closes = linear_world.features.copy(), linear_world.closes.copy()
    features[:100] = np.nan
    closes[:300, 3] = np.nan
    report = _train(dataclasses.replace(linear_world, features=features, closes=closes), LINEAR).report
    assert report.train_start_ns == linear_world.ts_ns[100]
    assert report.n_rows == 14 * (900 - 100 - 2) + (900 - 300 - 20 - 2)


def test_one_symbol_can_be_trained_on(linear_world: World) -> None:
    """Without a cross-section there is no IC, but models, hit rates and valid JSON."""
    single = World(
        linear_world.features[:, :1], linear_world.closes[:, :1], linear_world.ts_ns, linear_world.signal[:, :1]
    )
    report = _train(single).report
    assert report.to_dict()["scores"]["linear"]["ic"]["mean"] is None
    assert report.scores["linear"].hit_rate > 0.5


def test_progress_rises_to_one(linear_world: World) -> None:
    """Progress is told before every fold, before the last fit and at the end."""
    told: list[tuple[str, float]] = []
    _train(
        linear_world,
        LINEAR,
        on_progress=lambda what, share: told.append((what, share)),
    )
    assert [share for _, share in told] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert told[1][0] == "validating models, fold 2 of 3"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"members": ()}, SettingsError, r"models\.members is empty"),
        ({"members": ("linear", "linear")}, SettingsError, "more than once"),
        ({"members": ("linaer",)}, NotFoundError, "did you mean 'linear'"),
        ({"weights": (1.0,)}, SettingsError, r"models\.weights has 1 values; models\.members has 2"),
        ({"weights": (0.0, 0.0)}, SettingsError, "all 0"),
        ({"params": {"boosting": {"n_tree": 5}}}, DataError, "no parameter 'n_tree'"),
        ({"params": {"momentum": {}}}, SettingsError, "params names 'momentum'"),
        ({"n_splits": 1000}, ModelError, "too few for n_splits=1000"),
        ({"min_train_rows": 12_000}, ModelError, "no fold of n_splits=3"),
    ],
)
def test_impossible_settings_are_named(
    linear_world: World, change: dict[str, object], error: type[Exception], message: str
) -> None:
    """What cannot be trained says which setting is in the way."""
    with pytest.raises(error, match=message):
        _train(linear_world, SETTINGS.model_copy(update=change))


def test_too_short_a_past_is_refused(linear_world: World) -> None:
    """A span whose labels are too few says how many are needed."""
    for end_ns, message in [(29 * DAY_NS, "min_train_rows=200"), (19 * DAY_NS, "0 rows")]:
        with pytest.raises(ModelError, match=message):
            _train(linear_world, end_ns=end_ns)


def test_mismatched_arrays_are_refused(linear_world: World) -> None:
    """Names, prices and stamps must match the features; stamps must increase."""
    features, closes, ts_ns = linear_world.features, linear_world.closes, linear_world.ts_ns
    for arguments, message in [
        ((features, NAMES[:2], closes, ts_ns), r"\(900, 15, 5\).*n_symbols, 2"),
        ((features, NAMES, closes[:5], ts_ns), r"closes have shape \(5, 15\)"),
        ((features, NAMES, closes, ts_ns[::-1]), "increase strictly"),
    ]:
        with pytest.raises(DataError, match=message):
            TrainingSet.build(*arguments, horizon=1)
