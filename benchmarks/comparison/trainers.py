"""The one loop beside other libraries' trainers, on the models and settings of `benchmarks/costs/overhead.py`.

`python -m benchmarks.comparison.trainers TRAINER_MODEL SEED FOLDER` is one run, such as `lightning_mlp`; with
`_compiled` at its end each side compiles what it can: ours the whole update, the others the model. Each side gets the
same batches ready-made, Adam's fused kernel, the same clipping, and writes its log and its checkpoints; its clock runs
from the end of its warm-up to after the last checkpoint. Who begins changes with the seed.
"""

from __future__ import annotations

import copy
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import IterableDataset

from benchmarks.comparison.measurement import FILE, Measurement
from benchmarks.costs.overhead import LEARNING_RATE, MAX_GRAD_NORM, TASKS, WARM_UP_UPDATES, Supervised, Task
from training.core import Batch, Budget, Counters, Every
from training.fit import fit
from training.metrics import Metrics
from training.run.checkpoint import Checkpoint
from training.run.clock import Clock
from training.run.files import write_json
from training.run.logger import Logger
from training.state import State, Stateful

BATCHES = 64
"""Made before any clock runs, and gone through again and again."""


class Ready(IterableDataset[Batch]):
    """The same batches in turn, without end."""

    def __init__(self, task: Task, seed: int) -> None:
        rng = torch.Generator().manual_seed(seed)
        self._batches = [task.make_batch(rng) for _ in range(BATCHES)]

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield from self._batches


class Stream:
    """The same for ours."""

    def __init__(self, ready: Ready) -> None:
        self._batches = iter(ready)

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        batch = next(self._batches)
        return batch, now.advance(samples=len(batch["target"])), {}

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back."""

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """It has no place to go back to."""


def ours(task: Task, model: nn.Module, ready: Ready, folder: Path, *, compiled: bool = False) -> float:
    """The seconds of `fit`, as an experiment calls it."""
    until = Budget(task.updates, "updates")
    algorithm, stream = Supervised(model, until, compiled=compiled), Stream(ready)
    for _ in range(WARM_UP_UPDATES):
        algorithm.update(stream.next(Counters())[0], Counters())
    every = Every(task.log_every_updates, "updates")
    log = Logger(folder, every=every, until=until, tracker=None, console=None, clock=Clock())
    parts: dict[str, Stateful] = {"agent": algorithm, "log": log}
    checkpoint = Checkpoint(folder / "checkpoints", parts, every=Every(task.checkpoint_every_updates, "updates"))
    began = time.perf_counter()
    fit(algorithm, stream, until=until, log=log, checkpoint=checkpoint)
    seconds = time.perf_counter() - began
    log.close()
    return seconds


def lightning(task: Task, model: nn.Module, ready: Ready, folder: Path, *, compiled: bool = False) -> float:
    """Lightning's Trainer (https://lightning.ai/docs/pytorch/stable/common/trainer.html)."""
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model: Callable[[Tensor], Tensor] = torch.compile(model) if compiled else model

        def training_step(self, batch: Batch, _: int) -> Tensor:
            loss = _loss(self.model, batch["input"], batch["target"])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE, fused=True)

    class Watch(Callback):
        began = math.nan

        def on_train_batch_start(self, _trainer: Any, _module: Any, _batch: Any, batch_index: int) -> None:
            if batch_index == WARM_UP_UPDATES:
                self.began = time.perf_counter()

    watch = Watch()
    save = ModelCheckpoint(folder / "checkpoints", every_n_train_steps=task.checkpoint_every_updates, save_top_k=-1)
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=WARM_UP_UPDATES + task.updates,
        gradient_clip_val=MAX_GRAD_NORM,
        log_every_n_steps=task.log_every_updates,
        logger=CSVLogger(folder),
        callbacks=[watch, save],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), ready)
    return time.perf_counter() - watch.began


def hugging_face(task: Task, model: nn.Module, ready: Ready, folder: Path, *, compiled: bool = False) -> float:
    """Hugging Face's Trainer (https://huggingface.co/docs/transformers/main_classes/trainer)."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class WithLoss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:  # noqa: A002
            return {"loss": _loss(self.model, input, target)}

    class WithReadyBatches(Trainer):
        def get_train_dataloader(self) -> Any:
            return ready

    class Watch(TrainerCallback):
        began = math.nan

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == WARM_UP_UPDATES:
                self.began = time.perf_counter()

    watch = Watch()
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=WARM_UP_UPDATES + task.updates,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        optim="adamw_torch_fused",
        max_grad_norm=MAX_GRAD_NORM,
        logging_steps=task.log_every_updates,
        save_steps=WARM_UP_UPDATES + task.checkpoint_every_updates,  # and, by itself, at the end
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        torch_compile=compiled,
        remove_unused_columns=False,
    )
    trainer = WithReadyBatches(WithLoss(), arguments, train_dataset=ready, callbacks=[watch])
    trainer.train()
    return time.perf_counter() - watch.began


def _loss(model: Callable[[Tensor], Tensor], inputs: Tensor, target: Tensor) -> Tensor:
    return cross_entropy(model(inputs).flatten(0, -2), target.flatten())


PEERS: dict[str, Callable[..., float]] = {
    "lightning": lightning,
    "hugging_face": hugging_face,
}


def run(task: Task, peer: str, seed: int, folder: Path, *, compiled: bool = False) -> dict[str, Measurement]:
    """Trains the same model with ours and with the peer."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model, ready = task.make_model(), Ready(task, seed)
    sides = {"ours": ours, "peer": PEERS[peer]}
    measured = {}
    for side in sorted(sides, reverse=bool(seed % 2)):
        (folder / side).mkdir(parents=True)
        began_at = time.time()
        seconds = sides[side](task, copy.deepcopy(model), ready, folder / side, compiled=compiled)
        measured[side] = Measurement(task.updates, seconds, 0, 0.0, began_at, None)
    return measured


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    kind = sys.argv[1].removesuffix("_compiled")
    trainer_name, _, model_name = kind.rpartition("_")
    values = run(TASKS[model_name], trainer_name, int(sys.argv[2]), Path(sys.argv[3]), compiled=kind != sys.argv[1])
    write_json(Path(sys.argv[3]) / FILE, {side: asdict(measurement) for side, measurement in values.items()})
