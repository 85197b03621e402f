"""Tasks: what is drawn, that they go on where they were, and what is told of classes with too few samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.core import Counters
from training.data.few_shot import (
    FewShot,
    TaskConfig,
    Tasks,
    nearest_centroid,
    require_tasks,
    squared_distances,
    task_accuracy,
)
from training.data.sources import of_arrays
from training.errors import UserError

SAMPLES = np.repeat(np.arange(6), 8)
DATA = of_arrays(np.arange(48, dtype=np.float32)[:, None], SAMPLES, "made up", labels=list("abcdef"))
TASK = TaskConfig(ways=3, shots=2, queries=4)


def test_a_task_has_classes_that_differ_and_every_sample_once() -> None:
    stream, now = FewShot(DATA, TASK, tasks=5, seed=1), Counters()
    seen = []
    for _ in range(3):
        batch, now, _ = stream.next(now)
        assert batch["input"].shape == (5, 3, 6, 1)
        target = batch["target"]
        assert bool((target == target[..., :1]).all())  # a row is of one class
        assert all(len(set(task[:, 0].tolist())) == 3 for task in target)
        assert all(len(set(task.flatten().tolist())) == 18 for task in batch["input"])
        assert torch.equal(batch["target"].flatten(), torch.from_numpy(SAMPLES)[batch["input"].flatten().long()])
        seen.append(batch["input"])
    assert not torch.equal(seen[0], seen[1])
    assert (now.samples, now.epochs) == (270, 5)
    again = FewShot(DATA, TASK, tasks=5, seed=1).next(Counters())[0]["input"]
    assert torch.equal(again, seen[0])
    assert not torch.equal(FewShot(DATA, TASK, tasks=5, seed=2).next(Counters())[0]["input"], seen[0])


def test_it_continues_where_it_was() -> None:
    stream, now = FewShot(DATA, TASK, tasks=2, seed=1), Counters()
    for _ in range(3):
        _, now, _ = stream.next(now)
    again = FewShot(DATA, TASK, tasks=2, seed=1)
    again.load_state_dict(stream.state_dict())
    torch.rand(3)  # the global generator has no part in it
    for _ in range(3):
        assert torch.equal(stream.next(now)[0]["input"], again.next(now)[0]["input"])


def test_what_a_task_cannot_be_drawn_from_is_one_line() -> None:
    few = DATA.select(np.delete(np.arange(48), [16, 17, 18]))
    with pytest.raises(UserError, match=r"class 2 \(c\) has 5 samples: shots = 2 and queries = 4 take at least 6"):
        FewShot(few, TASK, seed=1)
    with pytest.raises(UserError, match=r"ways = 7: it takes 2 to 6, the classes of made up"):
        FewShot(DATA, TaskConfig(ways=7), seed=1)
    with pytest.raises(UserError, match="tasks = 0"):
        FewShot(DATA, TASK, tasks=0, seed=1)
    for field in ("ways", "shots", "queries"):
        with pytest.raises(UserError, match=f"{field} = 0"):
            TaskConfig(**{field: 0})


def test_options_that_tasks_do_not_heed_are_refused() -> None:
    with pytest.raises(UserError, match="minibatch_size = 32: it takes its default, 64: a batch is"):
        require_tasks(None, 32, 64)
    with pytest.raises(UserError, match="epochs = 3: it takes None"):
        require_tasks(3, 64, 64)


def test_the_nearest_mean_answers_and_chance_is_one_in_so_many() -> None:
    shown = torch.tensor([[[0.0, 0.0], [2.0, 0.0]], [[0.0, 5.0], [2.0, 5.0]]])
    assert nearest_centroid(shown, torch.tensor([[1.0, 1.0], [1.0, 4.0], [9.0, 2.4]])).tolist() == [0, 1, 0]
    distances = squared_distances(torch.tensor([[1.0, 1.0]]), shown.mean(1))
    assert distances.tolist() == [[1.0, 16.0]]
    target = torch.from_numpy(SAMPLES)
    how = {"count": 200, "seed": 1, "source": "made up"}
    assert task_accuracy(target[:, None].float(), target, TASK, **how) == 1.0  # type: ignore[arg-type]
    noise = torch.randn(48, 4, generator=torch.Generator().manual_seed(0))
    assert task_accuracy(noise, target, TASK, **how) == pytest.approx(1 / 3, abs=0.06)  # type: ignore[arg-type]


def test_measured_tasks_are_of_the_seed_alone() -> None:
    asked: list[list[float]] = []

    def answer(shown: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        asked[-1].append(float(queries.sum()))
        return torch.zeros(len(queries), dtype=torch.int64)

    values, target = torch.arange(48.0)[:, None], torch.from_numpy(SAMPLES)
    for seed in (1, 1, 2):
        asked.append([])
        task_accuracy(values, target, TASK, answer, count=5, seed=seed, source="made up")
    assert asked[0] == asked[1] != asked[2]
    with pytest.raises(UserError, match="validation split: class 0 has 8 samples"):
        Tasks(SAMPLES, TaskConfig(2, 5, 5), source="the validation split")
