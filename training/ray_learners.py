"""Several learners as processes of Ray Train: `training/learners.py` says what they do.

The first one's run is the run. The others train in folders of their own, which nobody keeps.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from training import learners
from training.ray_session import connected

Work = Callable[[Path | None], None]
"""What each learner does, with a folder of its own that is thrown away; the first one is given none."""


def launch(work: Work, count: int, *, address: str | None, gpu: bool) -> None:
    """Lets so many learners work, on the cluster at `address` or on this machine.

    What the first of them raises is raised here. Raises RuntimeError where another one fails or Ray does.
    """
    with connected(address, cpus=count, shows_output=True):
        from ray.train import RunConfig, ScalingConfig, TrainingFailedError, WorkerGroupError
        from ray.train.torch import TorchConfig, TorchTrainer

        logging.getLogger("ray.train").setLevel(logging.ERROR)
        # On a cluster all machines must see the run folder, and this is beside it.
        shared = Path("runs").resolve() if address else Path(tempfile.gettempdir())
        with tempfile.TemporaryDirectory(prefix="learners-", dir=shared if shared.exists() else None) as storage:
            trainer = TorchTrainer(
                _learner,
                train_loop_config={"work": work, "cwd": str(Path.cwd())},
                torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if gpu else "gloo"),
                scaling_config=ScalingConfig(num_workers=count, use_gpu=gpu),
                run_config=RunConfig(storage_path=storage),
            )
            try:
                trainer.fit()
            except WorkerGroupError as error:
                first = dict(error.worker_failures)
                raise first.get(0, next(iter(first.values()))) from None
            except TrainingFailedError as error:
                raise RuntimeError(f"Ray Train: {error}") from error


def _learner(config: dict[str, Any]) -> None:
    """Runs in each process, once they know each other."""
    os.chdir(config["cwd"])  # Ray begins elsewhere
    work: Work = config["work"]
    if learners.leads():
        work(None)
        return
    with (
        tempfile.TemporaryDirectory(prefix="learner-") as scratch,
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        work(Path(scratch, "run"))
