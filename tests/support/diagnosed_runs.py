"""The runs that the diagnosis is tested on: real ones, with a fault that was planted or healthy, kept as their rows.

`python -m tests.support.diagnosed_runs [NAME ...]` trains them again (all: some hours) and writes
`tests/training/diagnosis/runs/NAME.json`: the command, the config, what its `result.json` says, and every column of
its `metrics.jsonl` with five digits.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.__main__ import main
from experiments.data import breast_cancer_mlp
from pretraining import supervised
from training.data.dataset import Dataset
from training.data.sources import of_arrays, sklearn_dataset
from training.data.splits import split
from training.diagnosis.finding import Symptom
from training.diagnosis.record import Record, record_of
from training.options import parse_options
from training.run.folder import read_settings
from training.run.logger import read_rows
from training.run.result import read_result
from training.run.run import Run
from training.run.stages import stage_folders

FOLDER = Path(__file__).parents[1] / "training/diagnosis/runs"
KEPT = ("status", "metrics", "best", "claims")
SHORT = "--env-steps 20000 --log-every.count 500 --evaluation.every.count 2500 --evaluation.final-episodes 50"
ODD_ENV = "--env.id tests.support.faulty_envs:OddCartPole-v0 --env.kwargs"

FEW = "--evaluation.every.count 50000 --evaluation.episodes 10 --evaluation.final-episodes 10"
LOPSIDED = "rare_class"

FAULTS = {
    "learning_rate_100_times": f"ppo_cartpole {SHORT} --agent.optimizer.learning-rate 0.1",
    "large_entropy_coefficient": f"ppo_cartpole {SHORT} --agent.entropy-coefficient 10",
    "tiny_learning_rate": f"ppo_cartpole {SHORT} --agent.optimizer.learning-rate 1e-9",
    "short_evaluation": f"ppo_cartpole {SHORT} --evaluation.max-episode-steps 50",
    "reward_10000_times": f'ppo_cartpole {SHORT} {ODD_ENV} {{"reward_times":1e4}}',
    "sparse_reward": "ppo_deep_sea --agent.entropy-coefficient 0.003",
    "learns_too_seldom": f"dqn_cartpole {SHORT} --replay.gradient-steps 1 --replay.minibatch-size 32",
    "final_policy_falls": "dqn_cartpole --evaluation.episodes 50 --agent.error-clip 1",
    "data_tiny_rate": "breast_cancer_mlp --epochs 12 --patience None --algorithm.optimizer.learning-rate 1e-9",
    LOPSIDED: "breast_cancer_mlp --epochs 15 --patience None --algorithm.optimizer.kind sgd",
}
"""By name: what is trained, with one mistake in it."""

SHOWN = {
    "learning_rate_100_times": ("policy moves too far", "exploration is over too early"),
    "large_entropy_coefficient": ("policy stays random",),
    "tiny_learning_rate": ("policy stays random", "values explain nothing"),
    "short_evaluation": ("evaluation and training disagree",),
    "reward_10000_times": ("rewards of an odd scale",),
    "sparse_reward": ("reward never seen",),
    "learns_too_seldom": ("learns too seldom", "target network stands still"),
    "final_policy_falls": ("collapse after success",),
    "data_tiny_rate": ("loss stands still",),
    "rare_class": ("rare classes are missed",),
}
"""The symptoms that each of them must show."""

HEALTHY = {
    "c51_cartpole": "c51_cartpole --evaluation.episodes 50",
    "digits_contrastive": "digits_contrastive --labelled 0.1 --scratch.minibatch-size 64",
    "digits_domain_adaptation": "digits_domain_adaptation --seed 5",
    "digits_masked": "digits_masked --steps 2400",
    "dqn_cartpole": "dqn_cartpole --evaluation.episodes 50",
    "her_reach": 'her_reach --env.kwargs {"goal_range":0.3}',
    "ppo_cartpole": "ppo_cartpole",
    "pretrained_encoder_ppo": "pretrained_encoder_ppo --env-steps 2048",
    "record_pendulum": "record_pendulum",
    "rnd_deep_sea": f"rnd_deep_sea {FEW}",
}
"""Healthy ones that were looked at when the thresholds were set: what each of them trains."""

UNSEEN = {
    "digits_clustering": "digits_clustering",
    "c51_cartpole_2": "c51_cartpole --seed 2 --evaluation.episodes 50",
    "digits_cnn": "digits_cnn --seed 3 --epochs 150",
    "digits_coral": "digits_domain_adaptation --seed 5",
    "digits_deep_clustering": "digits_deep_clustering",
    "digits_distillation": "digits_distillation",
    "dqn_cartpole_2": "dqn_cartpole --seed 2 --evaluation.episodes 50",
    "her_reach_2": 'her_reach --seed 2 --env.kwargs {"goal_range":0.3}',
    "qr_dqn_cartpole": "qr_dqn_cartpole --seed 2 --evaluation.episodes 50",
    "rnd_deep_sea_2": f"rnd_deep_sea --seed 2 {FEW}",
    "sac_reach": 'sac_reach --env.kwargs {"goal_range":0.3}',
}
"""Healthy ones that were looked at only when the thresholds stood."""

STAGES = {
    "digits_coral": 1,
    "digits_clustering": 0,
    "digits_deep_clustering": 0,
    "digits_distillation": 1,
    "pretrained_encoder_ppo": 1,
    "record_pendulum": 0,
}
"""Which stage of a run is kept, where it is not the last one."""


def read(name: str) -> Record:
    """One of the kept runs, as the diagnosis reads it."""
    kept = json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))
    columns = kept["rows"]
    count = len(columns["updates"])
    rows = [{key: float(v[i]) for key, v in columns.items() if v[i] is not None} for i in range(count)]
    return record_of(rows, kept["settings"], kept["result"])


def planted(symptoms: Sequence[Symptom]) -> list[tuple[str, Symptom]]:
    """The faults that show one of these symptoms, each with it."""
    by_name = {symptom.name: symptom for symptom in symptoms}
    return [(fault, by_name[name]) for fault, names in SHOWN.items() for name in names if name in by_name]


def keep(name: str, command: str, folder: Path) -> None:
    """Writes the rows of a run; of one of several stages, those of one."""
    stages = stage_folders(folder)
    folder = stages[STAGES.get(name, -1)] if stages else folder
    settings, result, rows = read_settings(folder), read_result(folder), read_rows(folder / "metrics.jsonl")
    names = sorted({key for row in rows for key in row})
    kept = {
        "command": command,
        "settings": {key: settings.get(key) for key in ("experiment", "seed", "parent", "stage", "config")},
        "result": {key: result[key] for key in KEPT if key in result},
        "rows": {key: [_short(row.get(key)) for row in rows] for key in names},
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(kept, separators=(",", ":")) + "\n", encoding="ascii")


def lopsided() -> Dataset:
    """Eights and other digits, of which there are 50 times as many."""
    digits = sklearn_dataset("digits").arrays
    is_eight = digits["target"] == 8
    rows = np.sort([*np.flatnonzero(~is_eight), *np.flatnonzero(is_eight)[:32]])
    pixels = digits["input"][rows].reshape(len(rows), -1).astype(np.float32)
    pixels = pixels[:, (pixels > 0).mean(0) > 0.1]
    return of_arrays(pixels, is_eight[rows].astype(np.int64), "digits, eights or not", labels=("other", "eight"))


def train(name: str, command: str, folder: Path) -> None:
    """Trains one of the runs; the baselines with which tumours are compared say nothing here and take long."""
    own = ["--threads", "1"]
    if not command.startswith("breast_cancer_mlp "):
        place = ["--run-dir", str(folder), "--tracker", "none"]
        main(["train", *command.split(), *own, *place])
        return
    data = lopsided() if name == LOPSIDED else sklearn_dataset("breast_cancer")
    (config,) = parse_options([*command.split()[1:], *own], breast_cancer_mlp.Config())
    with Run.create("breast_cancer_mlp", config, folder=folder, tracker="none") as run:
        supervised.train(config, run, split(data, config.split, seed=config.seed))


def keep_all(names: Sequence[str]) -> None:
    """Trains the runs of these names, or all of them, and keeps them."""
    commands = FAULTS | HEALTHY | UNSEEN
    for name in names or commands:
        with tempfile.TemporaryDirectory() as place:
            print(name, flush=True)
            train(name, commands[name], Path(place, "run"))
            keep(name, commands[name], Path(place, "run"))


def _short(value: float | None) -> Any:
    if value is None:
        return None
    return float(f"{value:.5g}") if np.isfinite(value) else str(value)


if __name__ == "__main__":
    keep_all(sys.argv[1:])
