"""What the one loop costs: `fit` with Optimizer, Logger and Checkpoint, against a bare torch loop.

Both train the same model on the same batches in one process, update by update in turn, so that whatever else the
machine does meets both alike. Every bare update happens inside the stream's `next`; its time is taken off `fit`'s.
`python -m benchmarks.costs.overhead MODEL SEED FOLDER [cuda]` is one run. On a GPU each waits for its own updates, so
that what the loop adds is not hidden behind the device's work.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.comparison.measurement import FILE, Measurement
from training.core import Batch, Budget, Counters, Every
from training.fit import fit
from training.metrics import Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.checkpoint import Checkpoint
from training.run.clock import Clock
from training.run.files import write_json
from training.run.logger import Logger
from training.state import State, Stateful

LEARNING_RATE = 3e-4
MAX_GRAD_NORM = 1.0
CLASSES = 10
VOCABULARY = 1024
CPU = torch.device("cpu")
WARM_UP_UPDATES = 3


@dataclass(frozen=True)
class Task:
    """A model, its batches and the cadences that someone who trains it would have."""

    make_model: Callable[[], nn.Module]
    make_batch: Callable[[torch.Generator], Batch]
    updates: int
    log_every_updates: int
    checkpoint_every_updates: int
    times_on_gpu: int = 1
    """As many updates more, and as many less often logged and saved, so that a run takes as long as on the CPU."""


class Transformer(nn.Module):
    """Ten million parameters: tokens [B, T] int64 -> logits [B, T, VOCABULARY]."""

    def __init__(self, width: int = 384, layers: int = 5, heads: int = 6, context: int = 128) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.places = nn.Embedding(context, width)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length, tokens.device)
        features = self.tokens(tokens) + self.places(torch.arange(length, device=tokens.device))
        logits: Tensor = self.head(self.body(features, mask=mask, is_causal=True))
        return logits


TASKS = {
    "mlp": Task(
        make_model=lambda: nn.Sequential(
            nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, CLASSES)
        ),
        make_batch=lambda rng: {
            "input": torch.randn(256, 32, generator=rng),
            "target": torch.randint(CLASSES, (256,), generator=rng),
        },
        updates=10_000,
        log_every_updates=100,
        checkpoint_every_updates=5_000,
    ),
    "transformer": Task(
        make_model=Transformer,
        make_batch=lambda rng: {
            "input": torch.randint(VOCABULARY, (8, 128), generator=rng),
            "target": torch.randint(VOCABULARY, (8, 128), generator=rng),
        },
        updates=60,
        log_every_updates=10,
        checkpoint_every_updates=60,
        times_on_gpu=20,
    ),
}


class Supervised:
    """The smallest algorithm: one gradient step on the batch."""

    def __init__(self, model: nn.Module, until: Budget, *, compiled: bool = False) -> None:
        self._model = model
        config = OptimizerConfig(learning_rate=LEARNING_RATE, max_grad_norm=MAX_GRAD_NORM, compile=compiled)
        self._optimizer = Optimizer(dict(model.named_parameters()), config, until=until)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self._optimizer.step(self._loss, batch, now), {}

    def _loss(self, batch: Batch) -> Loss:
        losses = _losses(self._model, batch)
        return Loss(losses.sum(), losses.numel(), {})

    def state_dict(self) -> State:
        return {"model": dict(self._model.state_dict()), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])


class Bare:
    """The bare loop's update: what every tutorial of torch has, with its fastest Adam."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)

    def update(self, batch: Batch) -> None:
        self._optimizer.zero_grad()
        _losses(self._model, batch).mean().backward()
        nn.utils.clip_grad_norm_(self._model.parameters(), MAX_GRAD_NORM)
        self._optimizer.step()


class InTurn:
    """A stream of batches; before it hands one over, the bare loop has learned from it on a clock of its own."""

    def __init__(self, task: Task, bare: Bare, seed: int, device: torch.device) -> None:
        self._task, self._bare, self._device = task, bare, device
        self._rng = torch.Generator().manual_seed(seed)
        self.bare_seconds = 0.0
        self.batch_seconds = 0.0

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        self._wait()
        began = time.perf_counter()
        batch = {key: value.to(self._device) for key, value in self._task.make_batch(self._rng).items()}
        self._wait()
        made = time.perf_counter()
        self._bare.update(batch)
        self._wait()
        self.batch_seconds += made - began
        self.bare_seconds += time.perf_counter() - made
        return batch, now.advance(samples=len(batch["target"])), {}

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back."""

    def state_dict(self) -> State:
        return {"rng": self._rng.get_state()}

    def load_state_dict(self, state: State) -> None:
        self._rng.set_state(state["rng"])


def run(task: Task, seed: int, folder: Path, device: torch.device = CPU) -> dict[str, Measurement]:
    """Trains both ways; seconds are without those of making the batches, which both sides share."""
    times = task.times_on_gpu if device.type == "cuda" else 1
    updates, log_every, save_every = (
        times * count for count in (task.updates, task.log_every_updates, task.checkpoint_every_updates)
    )
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = task.make_model().to(device)
    bare = Bare(copy.deepcopy(model))
    until = Budget(updates, "updates")
    algorithm, stream = Supervised(model, until), InTurn(task, bare, seed, device)
    for _ in range(WARM_UP_UPDATES):
        batch, _, _ = stream.next(Counters())
        algorithm.update(batch, Counters())
    stream.bare_seconds = stream.batch_seconds = 0.0

    log = Logger(
        folder,
        every=Every(log_every, "updates"),
        until=until,
        tracker=None,
        console=None,
        clock=Clock(),
    )
    parts: dict[str, Stateful] = {"agent": algorithm, "batches": stream, "log": log}
    checkpoint = Checkpoint(folder / "checkpoints", parts, every=Every(save_every, "updates"))
    began_at, began = time.time(), time.perf_counter()
    fit(algorithm, stream, until=until, log=log, checkpoint=checkpoint)
    seconds = time.perf_counter() - began - stream.bare_seconds - stream.batch_seconds
    log.close()
    return {
        side: Measurement(updates, spent, 0, 0.0, began_at, None)
        for side, spent in (("ours", seconds), ("peer", stream.bare_seconds))
    }


def _losses(model: nn.Module, batch: Batch) -> Tensor:
    """The cross entropy of every target [...]."""
    return cross_entropy(model(batch["input"]).flatten(0, -2), batch["target"].flatten(), reduction="none")


if __name__ == "__main__":
    measured = run(TASKS[sys.argv[1]], int(sys.argv[2]), Path(sys.argv[3]), torch.device(*sys.argv[4:] or ["cpu"]))
    write_json(Path(sys.argv[3]) / FILE, {side: asdict(values) for side, values in measured.items()})
