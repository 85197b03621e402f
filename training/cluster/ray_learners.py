"""Several learners as processes of Ray Train: `training/learners.py` says what they do.

The first one's run is the run. The others train in folders of their own, which nobody keeps. Ctrl-C and termination
are caught where the command runs, as no signal reaches the threads that Ray Train runs the learners in, and told to
them by a file.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import torch

from training import interruption, learners
from training.cluster.ray_session import cluster_address, connected
from training.run.compute import require_gpu
from training.run.files import read_json, write_json

POLL_S = 0.2
ROOM_NOTICE_S = 20.0
"""After so long without a learner it is said that none has begun: on a full cluster Ray waits without a word."""
NEVER = float("inf")
"""Learners are not added while others learn: Ray counts what a cluster has, not what of it is free, and would end a
group that learns for room that another run takes."""
MAX_LOSSES = 5
"""So often learners may be lost before the run fails."""
BEGUN, RAISED = "begun", "raised"
"""Files beside what the learners print: that they have begun, and what the first of them raised."""
Work = Callable[[Path | None], None]
"""What each learner does, with a folder of its own that is thrown away; the first one is given none."""


def launch(work: Work, again: Work, folder: Path, count: int, *, address: str | None, gpu: bool) -> None:
    """Lets so many learners work on the run in the folder, on the cluster at `address` or on this machine.

    When one is lost, with its process or its machine, all begin anew, as many as there is room for: `again` where the
    run is there already. What the first of them raises is raised here. Raises RuntimeError where others fail too often,
    or Ray does.
    """
    gpus = torch.cuda.device_count() if gpu else 0  # where these are fewer than learners, as many learners begin
    if gpu and not cluster_address(address):
        require_gpu()
    # On a cluster all machines must see the run folder, and this is beside it.
    shared = Path("runs").resolve() if cluster_address(address) else Path(tempfile.gettempdir())
    shared.mkdir(exist_ok=True)
    with (
        interruption.catch(),
        tempfile.TemporaryDirectory(prefix=".learners-", dir=shared, ignore_cleanup_errors=True) as storage,
        connected(address, cpus=count, gpus=gpus),
    ):
        from ray import cloudpickle
        from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError, WorkerGroupError
        from ray.train.torch import TorchConfig, TorchTrainer

        logging.getLogger("ray.train").setLevel(logging.ERROR)
        os.environ["RAY_TRAIN_ENABLE_PRINT_PATCH"] = "0"  # it would print what they print once more
        with (
            _shown(Path(storage, "out"), sys.stdout),
            _shown(Path(storage, "err"), sys.stderr),
        ):
            # Any: the types are those of Train's first version.
            elastic: Any = {"num_workers": (1, count), "elastic_resize_monitor_interval_s": NEVER}
            trainer = TorchTrainer(
                _learner,
                train_loop_config={
                    "work": work,
                    "again": again,
                    "folder": folder,
                    "count": count,
                    "cwd": str(Path.cwd()),
                    "storage": storage,
                },
                torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if gpu else "gloo"),
                scaling_config=ScalingConfig(use_gpu=gpu, **elastic),
                run_config=RunConfig(storage_path=storage, failure_config=FailureConfig(max_failures=MAX_LOSSES)),
            )
            raised = Path(storage, RAISED)
            try:
                _fit(trainer.fit, Path(storage))
            except WorkerGroupError as error:
                if not raised.exists():
                    first = dict(error.worker_failures)
                    raise first.get(0, next(iter(first.values()))) from None
            except TrainingFailedError as error:
                raise RuntimeError(f"Ray Train: {error}") from error
            if raised.exists():  # written by this run's own process, into a folder that is only its owner's
                raise cloudpickle.loads(raised.read_bytes())


def _fit(fit: Callable[[], object], storage: Path) -> None:
    """Lets the trainer work in a thread, where it leaves the handlers of signals alone, and writes down a signal.

    While no learner has begun there is nothing to save and nobody to read it: Interrupted is raised at once. The thread
    then ends with the connection to Ray.
    """
    fitted: Future[object] = Future()

    def work() -> None:
        try:
            fitted.set_result(fit())
        except BaseException as error:
            fitted.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    begun, signal_file = storage / BEGUN, storage / "signal.json"
    notice_at = time.monotonic() + ROOM_NOTICE_S
    while not wait([fitted], POLL_S).done:
        number = interruption.requested()
        if number and not begun.exists():
            raise interruption.Interrupted(number)
        if number and not signal_file.exists():
            write_json(signal_file, {"signal": number})
        if time.monotonic() > notice_at and not begun.exists():
            notice_at = NEVER
            print("no learner has begun yet: is there room for one? Each takes a CPU, or a GPU", file=sys.stderr)
    fitted.result()


@contextmanager
def _shown(file: Path, stream: TextIO) -> Iterator[None]:
    """Inside, what is written to the file is seen on the stream."""
    file.touch()
    ended = threading.Event()

    def show() -> None:
        with file.open(encoding="utf-8") as written:
            while not ended.wait(POLL_S):
                stream.write(written.read())
                stream.flush()
            stream.write(written.read())

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _learner(config: dict[str, Any]) -> None:
    """Runs in each process, once they know each other; once more after one of them was lost."""
    os.chdir(config["cwd"])  # Ray begins elsewhere
    storage = Path(config["storage"])
    if (storage / RAISED).exists():
        return
    is_there = (storage / BEGUN).exists() and (config["folder"] / "config.json").exists()
    goes_on = learners.agreed(is_there)
    if learners.leads():
        (storage / BEGUN).touch()
    work: Work = config["again" if goes_on else "work"]
    names = ("out", "err") if learners.leads() else ("nowhere", "nowhere")
    with (
        tempfile.TemporaryDirectory(prefix="learner-") as scratch,
        (storage / names[0]).open("a", buffering=1) as out,
        (storage / names[1]).open("a", buffering=1) as err,
        redirect_stdout(out),
        redirect_stderr(err),
        _told(storage / "signal.json"),
    ):
        leads, count = learners.leads(), learners.count()
        if leads and (goes_on or count < config["count"]):
            what = "a learner was lost; going on" if goes_on else "beginning"
            print(f"{what} with {count} of {config['count']} learners", file=sys.stderr)
        try:
            with learners.together(config["count"]):
                work(None if leads else Path(scratch, "run"))
        except Exception as error:
            if leads and not _may_be_a_loss(error, count):
                _write(error, storage / RAISED)
            if not isinstance(error, interruption.Interrupted):  # which all of them raise at the same update
                raise  # it ends all of them; they begin once more, and see what was written


def _may_be_a_loss(error: Exception, count: int) -> bool:
    """Whether it may come of another learner's end: what gloo and NCCL raise, or the group is gone."""
    gone = count > 1 and not torch.distributed.is_initialized()
    return gone or type(error) is RuntimeError or isinstance(error, torch.distributed.DistError)


def _write(error: Exception, file: Path) -> None:
    """Puts the error there at once, or what it says where it cannot travel."""
    from ray import cloudpickle

    try:
        text = cloudpickle.dumps(error)
        cloudpickle.loads(text)
    except Exception:  # whatever an error of another library does when it is copied
        text = cloudpickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.write_bytes(text)
    unfinished.rename(file)


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Inside, a signal that is written down is one that asked this process to end."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_S):
            if told := read_json(file):
                interruption.request(told["signal"])
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        interruption.request(None)
