"""Members that fail, hang and come back: the others answer at once, with the weight that is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serve.members import GuardedEnsemble, MemberStanding
from tests.support.waiting import wait_until
from trader.core.errors import DataError
from trader.models.ensemble import Ensemble

FEATURES = np.arange(8.0).reshape(2, 4, 1)


class Member:
    """Scores by its factor; it can be broken, and made to hang until it is let go."""

    name, feature_names, context = "member", ("a",), 1

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.broken = False
        self.calls = 0
        self.let_go = threading.Event()
        self.let_go.set()

    def predict_panel(self, features: np.ndarray, n_context: int = 0) -> np.ndarray:
        self.calls += 1
        self.let_go.wait(60)
        if self.broken:
            raise TimeoutError("of its own")
        return self.factor * features[n_context:, :, 0]


@pytest.fixture
def members() -> Iterator[dict[str, Member]]:
    """Two members, whose factors are 1 and 3; none hangs after the test."""
    made = {"x@1": Member(1.0), "y@1": Member(3.0)}
    yield made
    for member in made.values():
        member.let_go.set()


@pytest.mark.parametrize("timeout_s", [0.0, 60.0])
def test_where_nothing_ails_the_bits_are_the_ensemble_s(members: dict[str, Member], timeout_s: float) -> None:
    """In the caller's thread or in threads of their own, scores and members are bit for bit the same."""
    ensemble = Ensemble(members, (0.3, 0.7), scales={"x@1": 0.37, "y@1": 1.9})
    got, want = GuardedEnsemble(ensemble, timeout_s)(FEATURES), ensemble(FEATURES)
    assert got.score.tobytes() == want.score.tobytes()
    assert {k: v.tobytes() for k, v in got.members.items()} == {k: v.tobytes() for k, v in want.members.items()}
    assert got.left_out == want.left_out == {}


@pytest.mark.parametrize("timeout_s", [0.0, 60.0])
def test_three_failures_leave_a_member_alone_until_a_call_in_sixteen(
    members: dict[str, Member], timeout_s: float
) -> None:
    """It is skipped for 16 calls, tried, skipped for 32; when it answers again it is asked every time."""
    guarded = GuardedEnsemble(Ensemble(members, (1.0, 1.0)), timeout_s, clock=lambda: 0.0)
    members["y@1"].broken = True
    reasons = []
    for _ in range(3 + 16 + 1 + 32):
        prediction = guarded(FEATURES)
        reasons.append(prediction.left_out["y@1"])
        assert prediction.score == pytest.approx(FEATURES[..., 0])
        assert np.isnan(prediction.members["y@1"]).all()
    assert reasons == ["failed"] * 3 + ["skipped"] * 16 + ["failed"] + ["skipped"] * 32
    assert guarded.standing()["y@1"] == MemberStanding("half-open", 4, 0, 48, "TimeoutError('of its own')")
    assert guarded.standing()["x@1"] == MemberStanding("closed", 0, 0, 0, "")
    members["y@1"].broken = False
    assert guarded(FEATURES).left_out == {}
    assert guarded(FEATURES).score == pytest.approx(2.0 * FEATURES[..., 0])
    assert guarded.standing()["y@1"].state == "closed"
    assert members["y@1"].calls == 6


def test_a_second_ends_the_first_pause(members: dict[str, Member]) -> None:
    """Where calls are rare a pause is not counted in calls."""
    now = [0.0]
    guarded = GuardedEnsemble(Ensemble(members), clock=lambda: now[0])
    members["x@1"].broken = True
    for _ in range(3):
        guarded(FEATURES)
    members["x@1"].broken = False
    now[0] = 0.9
    assert guarded(FEATURES).left_out == {"x@1": "skipped"}
    now[0] = 1.0
    assert guarded(FEATURES).left_out == {}


def test_a_hung_member_costs_the_limit_once_and_one_thread(members: dict[str, Member]) -> None:
    """The others' answer waits for the limit once; while the thread hangs the member is skipped at no cost."""
    guarded = GuardedEnsemble(Ensemble(members, (1.0, 1.0)), timeout_s=1.0)
    guarded(FEATURES)
    threads = threading.active_count()
    members["y@1"].let_go.clear()
    began = time.monotonic()
    assert guarded(FEATURES).left_out == {"y@1": "late"}
    assert 1.0 <= time.monotonic() - began < 30.0
    began = time.monotonic()
    for _ in range(20):
        prediction = guarded(FEATURES)
        assert prediction.left_out == {"y@1": "skipped"}
        assert prediction.score == pytest.approx(FEATURES[..., 0])
    assert time.monotonic() - began < 10.0  # twenty limits are twenty seconds
    assert threading.active_count() <= threads
    assert (members["y@1"].calls, guarded.standing()["y@1"].state) == (2, "open")
    members["y@1"].let_go.set()
    wait_until(lambda: not guarded(FEATURES).left_out)
    assert guarded(FEATURES).score == pytest.approx(2.0 * FEATURES[..., 0])


def test_calls_of_many_threads_wait_behind_a_hung_one_no_longer_than_the_limit(members: dict[str, Member]) -> None:
    """All are answered by the other member; what had not begun never does."""
    guarded = GuardedEnsemble(Ensemble(members, (1.0, 1.0)), timeout_s=2.0)
    members["y@1"].let_go.clear()
    began = time.monotonic()
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: guarded(FEATURES), range(8)))
    assert time.monotonic() - began < 10.0  # one after the other they would take sixteen
    for answer in answers:
        assert answer.left_out["y@1"] in ("late", "skipped")
        assert answer.score == pytest.approx(FEATURES[..., 0])
    standing = guarded.standing()["y@1"]
    assert (standing.late + standing.skipped, standing.failed) == (8, 0)
    members["y@1"].let_go.set()
    time.sleep(0.05)
    assert members["y@1"].calls == 1


def test_a_foreign_shape_is_nobody_s_failure(members: dict[str, Member]) -> None:
    """It is refused before any member is asked."""
    guarded = GuardedEnsemble(Ensemble(members))
    with pytest.raises(DataError, match="n_slices, n_symbols, 1"):
        guarded(np.zeros((1, 2, 2)))
    assert {standing.failed for standing in guarded.standing().values()} == {0}


def test_all_members_down_abstain(members: dict[str, Member]) -> None:
    """Every score is NaN, and the prediction says of each member why."""
    for member in members.values():
        member.broken = True
    prediction = GuardedEnsemble(Ensemble(members))(FEATURES)
    assert np.isnan(prediction.score).all()
    assert prediction.left_out == {"x@1": "failed", "y@1": "failed"}
