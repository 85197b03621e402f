"""Train on a Ray cluster and bring the run back: --address http://HEAD:8265 --storage s3://..."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from agents.recipes.presets import asks_of, default_config, group_of
from commands.command_line import first_word, print_help, wants_help
from training.cluster.ray_job import Job
from training.cluster.ray_submit import submit
from training.errors import UserError, require
from training.experiments import load_experiment
from training.options import by_own_names, changed_options, parse_options
from training.run.folder import new_folder

TAKES = "NAME"


@dataclass(frozen=True)
class Options:
    """Where the job runs and where its run folder goes."""

    address: str = "http://127.0.0.1:8265"
    """Of the cluster's dashboard, which takes the jobs."""
    storage: str | None = None
    """What this machine and the cluster both reach, such as file:///shared/runs or s3://bucket/runs; by default
    runs/storage here, for a cluster on this machine."""
    run_dir: str | None = None
    """Where the run folder is brought; by default runs/<experiment>/<id>. With that of an earlier call, its job is
    followed again, or begun again where it was when it has failed."""
    versions: Literal["same", "any"] = "same"
    """Whether Python and all packages must have the versions that they have here."""

    def __post_init__(self) -> None:
        takes = "that of a Ray dashboard, such as http://127.0.0.1:8265"
        require(urlsplit(self.address).scheme in ("http", "https"), "address", self.address, takes)


def main(argv: Sequence[str], package: str) -> int:
    """Trains an experiment on a Ray cluster and brings its run folder back.

    Ctrl-C only ends the watching. Returns the exit code of the job.

    Raises:
        UserError: a wrong option, no cluster at the address, a storage that cannot be used, or another job's record.
    """
    if wants_help(argv):
        return print_help("submit NAME", main.__doc__, Options())
    name = first_word(argv, "submit", TAKES)
    experiment = load_experiment(name, package)
    words = by_own_names(argv[1:], Options(), *asks_of(experiment), experiment.Config())
    default = default_config(experiment, words)
    options, *_, config = parse_options(words, Options(), *default.asks, default.config)
    group = group_of(experiment, config)
    folder = Path(options.run_dir) if options.run_dir else new_folder(group, config.seed)
    job = Job(
        package=package,
        experiment=name,
        options=(*default.options, *changed_options(config, default.config)),
        storage=f"{_storage(options)}/{group}/{folder.name}",
    )
    asked = argv if options.run_dir else [*argv, "--run-dir", str(folder)]
    again = shlex.join(["python", "-m", "experiments", "submit", *asked])
    return submit(job, folder, address=options.address, any_versions=options.versions == "any", again=again)


def _storage(options: Options) -> str:
    if options.storage is not None:
        return options.storage.rstrip("/")
    if urlsplit(options.address).hostname not in ("127.0.0.1", "localhost", "::1"):
        takes = "a place that this machine and the cluster both reach, such as s3://bucket/runs"
        raise UserError(f"storage = None: for {options.address} it takes {takes}")
    return Path("runs", "storage").resolve().as_uri()
