"""ADWIN finds a change, invents none, agrees with River, and goes on from its state to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.drift import Adwin, AdwinConfig
from training.errors import UserError
from training.run.serialization import load_state, write_state

RNG = np.random.default_rng


def alarms(values: np.ndarray, config: AdwinConfig) -> list[int]:
    detector = Adwin(config)
    return [index for index, value in enumerate(values) if detector.add(float(value))]


@pytest.mark.parametrize("seed", range(3))
def test_it_alarms_where_river_does(seed: int) -> None:
    river = pytest.importorskip("river.drift")
    rng = RNG(seed)
    errors = np.concatenate([rng.random(2_000) < 0.1, rng.random(1_000) < 0.3]).astype(float)
    noise = np.concatenate([rng.normal(size=1_500), rng.normal(0.7, 1, 1_000), rng.normal(-0.7, 2, 1_000)])
    for values in (errors, noise):
        theirs, own = river.ADWIN(), Adwin()
        found: tuple[list[int], list[int]] = ([], [])
        for index, value in enumerate(values.tolist()):
            theirs.update(value)
            if theirs.drift_detected:
                found[0].append(index)
            if own.add(value):
                found[1].append(index)
                assert own.width == theirs.width
                assert own.mean == pytest.approx(theirs.estimation)
                own = Adwin()  # River begins anew after an alarm
        assert found[1]
        assert found[1] == found[0]
        assert own.width == theirs.width
        assert own.mean == pytest.approx(theirs.estimation)


def test_a_window_holds_what_it_was_given_in_few_buckets() -> None:
    values = RNG(0).normal(3.0, 2.0, 4_000)
    detector = Adwin()
    for value in values:
        detector.add(float(value))
    assert detector.width == 4_000
    assert detector.mean == pytest.approx(values.mean())
    state = detector.state_dict()
    assert state["window"][1] == pytest.approx(values.var() * 4_000)
    assert len(state["buckets"]) <= 6 * np.log2(4_000)


def test_only_the_side_that_is_asked_for_is_an_alarm() -> None:
    rng = RNG(1)
    fell = np.concatenate([rng.normal(1.0, 0.3, 500), rng.normal(0.0, 0.3, 500)])
    down, up = (alarms(fell, AdwinConfig(side=side)) for side in ("down", "up"))
    assert down
    assert up == []
    assert alarms(-fell, AdwinConfig(side="up")) == down


def test_it_goes_on_from_a_checkpoint_to_the_bit(tmp_path) -> None:
    rng = RNG(2)
    values = np.concatenate([rng.normal(size=700), rng.normal(1.0, 1.0, 700)]).tolist()
    whole, first, second = Adwin(), Adwin(), Adwin()
    told = [whole.add(value) for value in values]
    before = [first.add(value) for value in values[:719]]
    write_state(tmp_path, "detector", first.state_dict(), None)
    second.load_state_dict(load_state(tmp_path, "detector"))
    assert before + [second.add(value) for value in values[719:]] == told
    assert second.mean == whole.mean
    assert any(told)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"delta": 0.0}, "delta = 0.0"), ({"clock": 0}, "clock = 0"), ({"grace": -1}, "grace = -1")],
)
def test_what_cannot_be_is_refused(change: dict[str, float], told: str) -> None:
    with pytest.raises(UserError, match=told):
        replace(AdwinConfig(), **change)


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(UserError, match="value = nan"):
        Adwin().add(float("nan"))
