"""The service without Ray and HTTP."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from serve.service import EnsembleService
from trader.core.errors import DataError, ModelError
from trader.models.artifacts import load_ensemble

NAMES = ("momentum_20", "return_5", "volatility_20")


def test_predict_is_the_ensemble_bit_for_bit(service: EnsembleService, model_dir: Path, features: np.ndarray) -> None:
    """The service adds nothing to the ensemble's scores."""
    got = service.predict(features[None])
    want = load_ensemble(model_dir)(features[None])
    assert np.array_equal(got.score, want.score)
    assert {k: v.tobytes() for k, v in got.members.items()} == {k: v.tobytes() for k, v in want.members.items()}


def test_order_of_names_is_repaired(service: EnsembleService, features: np.ndarray) -> None:
    """Columns in another order give the same scores."""
    got = service.score(NAMES[::-1], features[None, :, ::-1])
    assert np.array_equal(got.score, service.predict(features[None]).score)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (NAMES[:2], r"1 missing \['volatility_20'\], 0 unknown"),
        ((*NAMES, "rsi"), r"0 missing \[\], 1 unknown \['rsi'\]"),
        ((*NAMES[:2], "rsi"), r"1 missing \['volatility_20'\], 1 unknown \['rsi'\]"),
        ((*NAMES, NAMES[0]), "do not match"),
    ],
)
def test_other_names_are_refused(service: EnsembleService, names: tuple[str, ...], message: str) -> None:
    """A name that is missing, unknown or repeated is named in the error, and counted."""
    with pytest.raises(DataError, match=message):
        service.score(names, np.zeros((1, 2, len(names))))
    assert "gpt_trader_prediction_refusals_total" in service.metrics()
    assert _value(service.metrics(), "gpt_trader_prediction_refusals_total") == 1


def test_wrong_width_is_refused(service: EnsembleService) -> None:
    """A matrix of another width than the schema's raises DataError."""
    with pytest.raises(DataError, match="3"):
        service.predict(np.zeros((1, 2, 4)))


def test_description_names_versions_weights_and_digests(service: EnsembleService) -> None:
    """Members come with version, normalised weight and SHA-256; the training report is passed on."""
    description = service.describe()
    assert description.feature_names == NAMES
    assert [(m.key, m.name, m.version, m.weight) for m in description.members] == [
        ("linear@0.1", "linear", "0.1", 0.75),
        ("linear@10.0", "linear", "10.0", 0.25),
    ]
    assert all(len(m.sha256) == 64 for m in description.members)
    assert len({m.sha256 for m in description.members}) == 2
    assert description.training == {"rows": 200}


def test_metrics_count_rows_and_abstentions(service: EnsembleService, features: np.ndarray) -> None:
    """Rows are counted, and those without a score."""
    features[4] = np.nan
    service.predict(np.stack([features, features]))
    assert _value(service.metrics(), "gpt_trader_prediction_rows_total") == 10
    assert _value(service.metrics(), "gpt_trader_prediction_abstentions_total") == 2
    assert _value(service.metrics(), "gpt_trader_prediction_seconds_count") == 1


def test_failing_member_is_counted_and_left_out(
    service: EnsembleService, features: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One member that raises leaves the other's scores, and shows in metrics and description."""
    _break_member(service, "linear@10.0", monkeypatch)
    prediction = service.predict(features[None])
    assert np.isnan(prediction.members["linear@10.0"]).all()
    assert np.isfinite(prediction.score).all()
    assert _left_out(service, "linear@10.0") == {"failed": 1, "late": 0, "skipped": 0}
    assert _left_out(service, "linear@0.1") == {"failed": 0, "late": 0, "skipped": 0}
    assert [m.failures for m in service.describe().members] == [0, 1]
    assert service.probe() > 0


def test_probe_fails_when_every_member_does(service: EnsembleService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service none of whose members answers is not ready."""
    for key in ("linear@0.1", "linear@10.0"):
        _break_member(service, key, monkeypatch)
    with pytest.raises(ModelError, match=r"no member answers .*: linear@0.1 failed, linear@10.0 failed"):
        service.probe()
    for _ in range(2):
        service.predict(np.zeros((1, 2, 3)))
    with pytest.raises(ModelError, match=r"linear@0.1 skipped, linear@10.0 skipped"):
        service.probe()
    assert [(m.state, m.failures, m.skipped) for m in service.describe().members] == [("open", 3, 1)] * 2
    assert _left_out(service, "linear@10.0") == {"failed": 3, "late": 0, "skipped": 1}


def test_changed_files_are_not_served(model_dir: Path, tmp_path: Path) -> None:
    """A model file that was changed after it was saved stops the service from starting."""
    copy = tmp_path / "models"
    shutil.copytree(model_dir, copy)
    state = copy / "linear@0.1" / "model.json"
    state.write_text(state.read_text().replace("0.1", "0.2"))
    with pytest.raises(ModelError, match=r"model\.json was changed"):
        EnsembleService(copy)


def _break_member(service: EnsembleService, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage a loaded model's arrays, so that its own code raises."""
    monkeypatch.setattr(service._ensemble.members[key], "coefficients", None)


def _left_out(service: EnsembleService, key: str) -> dict[str, float]:
    """Return how often a member had no part in a prediction, by reason."""
    found = {}
    for line in service.metrics().splitlines():
        if line.startswith(f'gpt_trader_member_left_out_total{{member="{key}"'):
            found[line.partition('reason="')[2].partition('"')[0]] = float(line.rsplit(" ", 1)[1])
    return found


def _value(exposition: str, series: str) -> float:
    (line,) = [line for line in exposition.splitlines() if line.startswith(series)]
    return float(line.rsplit(" ", 1)[1])
