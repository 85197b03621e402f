"""Five pairs of digits, one after the other: 200 that are kept, with logits, save what EWC and LwF forget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from experiments.federated.digits_federated import pixels
from pretraining.predictor import PredictorConfig
from pretraining.recipe import HeldOutConfig
from regimes import continual
from regimes.continual import ContinualConfig, ContinualRunConfig
from regimes.task_matrix import measures
from training.claims import Claim
from training.core import Every
from training.data.preprocessing import PreprocessingConfig
from training.data.splits import SplitConfig, Splits, split
from training.networks import NetworkConfig
from training.run.run import Run

TASKS = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))


@dataclass(frozen=True, kw_only=True)
class Config(ContinualRunConfig):
    """DER++; the same network with other terms, and with all digits at once or those of the memory alone."""

    split: SplitConfig = SplitConfig("stratified", validation=0.1, test=0.3)
    epochs: int | None = 20
    minibatch_size: int = 16
    threads: int | Literal["auto"] = 1
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(10, "epochs"))
    model: PredictorConfig = PredictorConfig(
        NetworkConfig(hidden=(64, 64), activation="relu"), preprocessing=PreprocessingConfig(standardize=False)
    )
    algorithm: ContinualConfig = ContinualConfig(scenario="class", replayed=16, logits=0.5)
    replay: ContinualConfig = ContinualConfig(scenario="class", replayed=16)
    plain: ContinualConfig = ContinualConfig(scenario="class")
    ewc: ContinualConfig = ContinualConfig(scenario="class", anchor=3_000.0)
    lwf: ContinualConfig = ContinualConfig(scenario="class", distillation=1.0)


# Which pair a digit is of is not told. `from_memory` is the strongest cheap way, a new network on 200 digits of all
# tasks (Prabhu et al. 2020): DER++ is to be better, replay alone was not. Of EWC and LwF nothing is claimed: where the
# task is not told, they forget as plain training does (van de Ven and Tolias 2019, arXiv:1904.07734).
RESPLIT = Config().split.test_per_train
CLAIMS = (
    Claim("replay/forgetting_of_plain", "<=", 0.2, seeds=10, resplit=RESPLIT),
    Claim("der/accuracy", ">=", 0.92, seeds=10, resplit=RESPLIT),
    Claim("der/over_from_memory", ">=", 0.0, seeds=10, resplit=RESPLIT),
)


def train(config: Config, run: Run) -> None:
    """The five tasks with each term, then all at once, then the memory alone, with as many updates as all tasks had."""
    drawn = split(pixels(), config.split, seed=config.seed)
    whole = Splits(*(continual.with_tasks(part, TASKS) for part in drawn))
    splits = continual.by_task(whole)
    found: dict[str, float] = {}
    for name, own in (
        ("plain", config.plain), ("ewc", config.ewc), ("lwf", config.lwf), ("replay", config.replay),
        ("der", config.algorithm),
    ):  # fmt: skip
        matrix = continual.train(replace(config, algorithm=own), run, name, splits, TASKS)
        found |= {f"{name}/{key}": value for key, value in measures(matrix).items()}
    each = [config.steps or config.until.count * -(-len(own.train) // config.minibatch_size) for own in splits]
    rng = np.random.default_rng(config.seed)
    rows = np.sort(rng.permutation(len(whole.train))[: config.algorithm.memory])
    for name, seen in (("at_once", whole), ("from_memory", whole._replace(train=whole.train.select(rows)))):
        stage = run.stage(name)
        if not stage.finished:
            at_once = replace(config, algorithm=config.plain, epochs=None, steps=sum(each))
            continual.train_at_once(at_once, stage, seen, splits, TASKS)
        found[f"{name}/accuracy"] = float(np.mean(continual.scores(stage, len(TASKS))))
    found["replay/forgetting_of_plain"] = found["replay/forgetting"] / found["plain/forgetting"]
    for name in ("replay", "der"):
        found[f"{name}/over_from_memory"] = found[f"{name}/accuracy"] - found["from_memory/accuracy"]
    run.finish_as(stage, found)
