from __future__ import annotations

import io
import json
import math
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.core import Budget, Counters, Every
from training.errors import UserError
from training.metrics import Last, Max, Mean, Metric, Metrics, Sum
from training.run.clock import Clock
from training.run.console import Console
from training.run.logger import Logger, read_rows
from training.run.serialization import load_state, write_state

FLOATS = st.floats(allow_nan=False, width=32)


def make_logger(folder: Path, console: Console | None = None) -> Logger:
    folder.mkdir(exist_ok=True)
    return Logger(folder, every=Every(10), until=Budget(100), tracker=None, console=console, clock=Clock())


def one_row(folder: Path, *added: Metrics) -> dict[str, float]:
    logger = make_logger(folder)
    for metrics in added:
        logger.add(metrics)
    logger.write(Counters(env_steps=7, updates=2))
    return read_rows(folder / "metrics.jsonl")[-1]


def test_every_kind_of_metric_reduces_to_the_value_worked_out_by_hand(tmp_path: Path) -> None:
    row = one_row(
        tmp_path,
        {"a": Mean(1.0, 3), "b": Max(2.0), "c": Sum(1.5), "d": Last(1.0)},
        {"a": Mean(5.0, 1), "b": Max(-7.0), "c": Sum(2.0), "d": Last(9.0)},
        {"a": Mean(torch.tensor(2.0), 4), "b": Max(torch.tensor(1)), "c": Sum(torch.tensor(0.25)), "d": Last(3)},
    )
    assert row == {
        "env_steps": 7, "updates": 2, "samples": 0, "epochs": 0, "a": (3 + 5 + 8) / 8, "b": 2.0, "c": 3.75, "d": 3.0
    }  # fmt: skip


def test_a_row_begins_with_the_counters_and_goes_on_in_alphabetical_order(tmp_path: Path) -> None:
    one_row(tmp_path, {"z": Last(1)}, {"a": Last(2)})
    expected = '{"env_steps": 7, "updates": 2, "samples": 0, "epochs": 0, "a": 2.0, "z": 1.0}\n'
    assert (tmp_path / "metrics.jsonl").read_text() == expected


def test_a_value_counts_as_it_was_when_it_was_added(tmp_path: Path) -> None:
    temperature = torch.nn.Parameter(torch.tensor(1.0))
    logger = make_logger(tmp_path)
    logger.add({"last": Last(temperature), "mean": Mean(temperature)})
    with torch.no_grad():
        temperature.fill_(50.0)
    logger.write(Counters(updates=1))
    assert (logger.latest["last"], logger.latest["mean"]) == (1.0, 1.0)


def test_values_that_are_not_finite_are_valid_json_and_read_back(tmp_path: Path) -> None:
    row = one_row(tmp_path, {"nan": Max(math.nan), "up": Last(math.inf), "down": Last(-math.inf)}, {"nan": Max(1.0)})
    assert math.isnan(row["nan"])
    assert (row["up"], row["down"]) == (math.inf, -math.inf)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=refuse)


def test_a_mean_over_nothing_is_left_out(tmp_path: Path) -> None:
    row = one_row(tmp_path, {"rollout/return_mean": Mean(math.nan, 0), "loss": Mean(1.0)}, {"loss": Mean(math.nan, 0)})
    assert "rollout/return_mean" not in row
    assert row["loss"] == 1.0


def test_without_a_measurement_there_is_no_row(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    logger.add({"loss": Mean(1.0)})
    logger.write(Counters(updates=1))
    logger.write(Counters(updates=1))
    assert len(read_rows(tmp_path / "metrics.jsonl")) == 1


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ([{"loss": Mean(torch.ones(3))}], r"'loss' has the shape \[3\]"),
        ([{"loss": Mean(1.0)}, {"loss": Sum(1.0)}], "'loss' is Mean and Sum"),
        ([{"updates": Last(1.0)}], "'updates'"),
    ],
)
def test_a_metric_that_makes_no_sense_is_refused_by_name(added: list[Metrics], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        one_row(tmp_path, *added)


@given(
    kind=st.sampled_from([Mean, Max, Sum, Last]),
    values=st.lists(st.tuples(FLOATS, st.booleans()), min_size=1, max_size=12),
    saves=st.sets(st.integers(0, 11)),
)
def test_saving_and_resuming_anywhere_between_additions_does_not_move_a_bit(
    kind: type[Metric], values: list[tuple[float, bool]], saves: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    whole, parts = make_logger(folder / "whole"), make_logger(folder / "parts")
    for index, (value, is_tensor) in enumerate(values):
        added: Metrics = {"x": kind(torch.tensor(value) if is_tensor else value)}
        whole.add(added)
        parts.add(added)
        if index in saves:
            state = parts.state_dict()
            parts = make_logger(folder / "parts")
            parts.load_state_dict(state)
    whole.write(Counters(updates=1))
    parts.write(Counters(updates=1))
    assert (folder / "whole/metrics.jsonl").read_bytes() == (folder / "parts/metrics.jsonl").read_bytes()


@given(values=st.lists(st.tuples(FLOATS, st.integers(1, 9)), min_size=1, max_size=20), cut=st.integers(0, 20))
def test_a_mean_of_parts_with_their_weights_is_the_mean_of_the_whole(
    values: list[tuple[float, int]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scaled = [(value / 1e30, weight) for value, weight in values]
    added: list[Metrics] = [{"x": Mean(value, weight)} for value, weight in scaled]
    row = one_row(tmp_path_factory.mktemp("mean"), *added)
    parts = [part for part in (scaled[:cut], scaled[cut:]) if part]
    total = math.fsum(value * weight for part in parts for value, weight in part)
    size = math.fsum(abs(value) * weight for value, weight in scaled)
    assert row["x"] == pytest.approx(total / sum(w for _, w in scaled), abs=1e-12 * size + 1e-300)


def train(logger: Logger, updates: range) -> None:
    for update in updates:
        now = Counters(env_steps=10 * update, updates=update)
        logger.add({"loss": Mean(torch.tensor(1 / update), update), "worst": Max(float(update)), "seen": Sum(update)})
        if update % 3 == 0:
            logger.write(now)


def test_a_killed_run_that_resumes_writes_the_bytes_of_an_uninterrupted_one(tmp_path: Path) -> None:
    train(make_logger(tmp_path / "whole"), range(1, 21))

    killed = make_logger(tmp_path / "killed")
    train(killed, range(1, 9))
    write_state(tmp_path, "log", killed.state_dict())
    train(killed, range(9, 15))
    with (tmp_path / "killed/metrics.jsonl").open("ab") as file:
        file.write(b'{"env_steps": 150, "upd')  # died in the middle of a row

    resumed = make_logger(tmp_path / "killed")
    resumed.load_state_dict(load_state(tmp_path, "log"))
    assert resumed.latest["worst"] == 6.0
    train(resumed, range(9, 21))
    assert (tmp_path / "killed/metrics.jsonl").read_bytes() == (tmp_path / "whole/metrics.jsonl").read_bytes()
    assert len(read_rows(tmp_path / "killed/timing.jsonl")) == 6


def test_a_run_killed_before_its_first_checkpoint_starts_with_empty_files(tmp_path: Path) -> None:
    train(make_logger(tmp_path), range(1, 10))
    train(make_logger(tmp_path), range(1, 7))
    assert len(read_rows(tmp_path / "metrics.jsonl")) == len(read_rows(tmp_path / "timing.jsonl")) == 2


def test_a_logger_that_writes_nothing_leaves_the_files_alone(tmp_path: Path) -> None:
    train(make_logger(tmp_path), range(1, 10))
    before = (tmp_path / "metrics.jsonl").read_bytes()
    make_logger(tmp_path).close()
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_rows_that_the_checkpoint_names_but_the_disk_lost_are_an_error(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    train(logger, range(1, 10))
    state = logger.state_dict()
    (tmp_path / "metrics.jsonl").write_bytes(b"")
    with pytest.raises(UserError, match=r"metrics\.jsonl has 0 bytes, but the checkpoint"):
        make_logger(tmp_path).load_state_dict(state)


def test_timing_measures_the_rate_from_row_to_row_without_start_up(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    time.sleep(0.3)
    for env_steps in (1000, 2000, 3000):
        logger.add({"loss": Last(1.0)})
        time.sleep(0.1)
        logger.write(Counters(env_steps=env_steps))
    first, *others = read_rows(tmp_path / "timing.jsonl")
    assert first["wall_time_s"] >= 0.4
    assert "env_steps_per_second" not in first
    assert all(2000 < row["env_steps_per_second"] <= 10_000 for row in others)
    assert first["peak_memory_bytes"] > 50e6


def test_timing_counts_samples_where_nothing_acts(tmp_path: Path) -> None:
    logger = make_logger(tmp_path)
    for samples in (64, 128):
        logger.add({"loss": Last(1.0)})
        logger.write(Counters(samples=samples, updates=samples // 64))
    assert read_rows(tmp_path / "timing.jsonl")[1]["samples_per_second"] > 0


def test_a_terminal_that_goes_away_does_not_stop_the_run(tmp_path: Path) -> None:
    file = io.StringIO()
    logger = make_logger(tmp_path, Console("x", file=file))
    file.close()
    train(logger, range(1, 10))
    logger.close()
    assert len(read_rows(tmp_path / "metrics.jsonl")) == 3
