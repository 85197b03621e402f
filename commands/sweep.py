"""Search for better values on Ray Tune: --space agent.gamma=0.9..0.999 --samples 20 --jobs 2.

What is found is written as a variant of the experiment and verified on fresh seeds.

The seeds are kept apart: the search trains on `SEARCH_SEED`, the best of its trials are trained again on a few that
follow, and the one with the best mean is judged on 101 and on, which nothing was chosen on.
"""

from __future__ import annotations

import importlib
import json
import re
import shlex
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from agents.recipes.presets import Default, asks_of, default_config, group_of, has_presets
from commands import verify
from commands.command_line import first_word, print_help, wants_help
from commands.shared.seeds import Task, train_all
from reports.sweep_script import variant_script
from training import interruption
from training.claims import Claim, scores_by_seed
from training.cluster.ray_session import cluster_address, connected
from training.core import Budget, Every
from training.errors import UserError, require
from training.experiments import find_experiments, load_experiment
from training.extras import extra
from training.options import by_own_names, changed_options, changed_values, config_to_tree, parse_options
from training.run.files import read_json, write_json
from training.run.folder import LOCK, Lock, making
from training.run.provenance import source_hash
from training.run.result import read_result
from training.search_space import Space, check_schedules, encode, read_space, with_changes, with_steps, without_schedule

TAKES = "NAME"
SEARCH_SEED = 1001
"""Of every trial; those of a population have the seeds from here on."""
FINALIST_SEEDS = 3
"""Further seeds on which the best trials are trained before one is chosen."""

RETURN = Claim("evaluation/return_mean", ">=", 0.0)
"""What the script of an algorithm is searched by, which claims nothing."""


@dataclass(frozen=True)
class Options:
    """What is searched, by what, and for how long."""

    samples: int = 20
    """How many configurations are tried."""
    space: tuple[str, ...] = ()
    """KEY=RANGE, as agent.gamma=0.9..0.999, agent.clip_range=log:0.1..0.4 or agent.horizon=16,32; or only KEY, with the
    range that the experiment gives it. By default the experiment's whole SPACE."""
    scheduler: Literal["asha", "pbt", "none"] = "asha"
    """asha ends trials that fall behind; pbt trains a population, which finds schedules of rates; none ends nothing."""
    jobs: int = 1
    """How many are trained at a time, each on one thread."""
    gpus_per_trial: float = 0.0
    """Of a cluster; may be a fraction. With 0, trials share the GPU that they see."""
    evaluations: int = 10
    """How often each trial is measured, and may be ended or copied."""
    time_s: float = 3600.0
    """The limit of the search; the trials that have ended by then are chosen from."""
    trial_timeout_s: float = 1800.0
    """A trial that measures nothing for so long is ended."""
    finalists: int = 3
    """The best so many are trained on further seeds before one is chosen."""
    seeds: int = 5
    """The variant is verified on so many, from 101 on."""
    variant: str | None = None
    """The name of the new experiment; by default NAME_tuned, of an algorithm NAME_<environment>_tuned."""
    cluster: str | None = None
    """The address of a Ray cluster whose nodes share the file system; by default RAY_ADDRESS, or one that starts
    here."""
    run_dir: str | None = None
    """Holds the runs of all trials; by default runs/<experiment>/sweep, as that of `train`."""

    def __post_init__(self) -> None:
        for name in ("samples", "jobs", "evaluations", "finalists"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.seeds >= 2, "seeds", self.seeds, "at least 2")
        for name in ("time_s", "trial_timeout_s"):
            require(getattr(self, name) > 0, name, getattr(self, name), "a positive number of seconds")
        require(self.gpus_per_trial >= 0, "gpus_per_trial", self.gpus_per_trial, "at least 0")
        takes = "0 without a cluster: the trials of one machine share its GPU"
        has_cluster = cluster_address(self.cluster) is not None
        require(not self.gpus_per_trial or has_cluster, "gpus_per_trial", self.gpus_per_trial, takes)
        require(self.scheduler != "pbt" or self.samples >= 4, "samples", self.samples, "at least 4 with pbt")


def main(argv: Sequence[str], package: str) -> int:
    """Searches, writes the best configuration as an experiment and verifies it against the default on fresh seeds.

    Options that are not its own change the experiment's config. Called again it continues where it stopped.

    Returns:
        0 when the variant is better than the default, otherwise 1.

    Raises:
        UserError: a wrong option or range, a folder of another sweep, a script that is there already, or no trial that
            came to its end.
    """
    if wants_help(argv):
        return print_help("sweep NAME", main.__doc__, Options())
    name = first_word(argv, "sweep", TAKES)
    module = load_experiment(name, package)
    words = by_own_names(argv[1:], Options(), *asks_of(module), module.Config())
    default = default_config(module, words)
    options, *_, config = parse_options(words, Options(), *default.asks, default.config)
    require(config.seed == default.config.seed, "seed", config.seed, "nothing: a sweep has seeds of its own")
    with extra("search"):
        import optuna  # noqa: F401 - what the search imports later
    claims = (RETURN,) if has_presets(module) else module.CLAIMS
    if not claims:
        raise UserError(f"{name} makes no claim: a sweep searches by the metric of its first")
    space = read_space(options.space, getattr(module, "SPACE", None), config)
    what = Sweep(name, package, group_of(module, config), default, config, space, options)
    first = claims[0]
    claim = Claim(first.metric, first.op, baseline=name, at=first.at, seeds=options.seeds, resplit=first.resplit)
    if options.scheduler == "pbt":
        check_schedules(what.space)
        if not hasattr(config, "evaluation"):
            raise UserError(f"{name} measures nothing while it trains, by which pbt could compare")
    with ExitStack() as stack:
        stack.callback(_claim_folder(what).release)
        if not what.script.exists():
            found, told = _find(what, claim)
            if not changed_values(found, config):
                print(f"nothing that was found is better than {name} as it is", file=sys.stderr)
                return 1
            command = shlex.join(["python", "-m", "experiments", "sweep", *argv])
            own = module.Config()
            changes = changed_values(found, own)
            told = f"{told} Found by `{command}`."
            text = variant_script(module.__name__.rpartition(".")[0], name, own, changes, claim=claim, found=told)
            what.script.write_text(text, encoding="utf-8")
            print(f"wrote {what.script}", file=sys.stderr)
        importlib.invalidate_caches()
        asked = ["--jobs", str(options.jobs), "--run-dir", str(what.folder / "verify")]
        return verify.main([what.variant, *asked], package)


@dataclass(frozen=True)
class Sweep:
    """What is searched: the experiment, its config without a seed of its own, and the ranges."""

    name: str
    package: str
    group: str
    """Of its runs."""
    default: Default
    """What `config` is an option's change of."""
    config: Any
    space: Space
    options: Options

    @property
    def folder(self) -> Path:
        return Path(self.options.run_dir or Path("runs", self.group, "sweep")).resolve()

    @property
    def variant(self) -> str:
        base = self.name if self.group == self.name else re.sub(r"\W", "_", self.group).lower()
        return self.options.variant or f"{base}_tuned"

    @property
    def verified(self) -> int:
        """How many runs judge the variant: its seeds, and those of the default."""
        return 2 * self.options.seeds

    @property
    def script(self) -> Path:
        known = find_experiments(self.package)  # a name is taken in whatever folder it is
        return known.get(self.variant) or known[self.name].with_name(f"{self.variant}.py")

    def asked_for(self, config: Any) -> tuple[str, ...]:
        """The options with which `train` has this config."""
        return (*self.default.options, *changed_options(config, self.default.config))

    @property
    def settings(self) -> dict[str, Any]:
        """What must be the same for a sweep to be continued."""
        return {
            "experiment": self.name,
            "config": config_to_tree(self.config),
            "space": {key: str(values) for key, values in self.space.items()},
            "samples": self.options.samples,
            "scheduler": self.options.scheduler,
            "evaluations": self.options.evaluations,
            "finalists": self.options.finalists,
            "variant": self.variant,
            "source_hash": source_hash(self.name, config_to_tree(self.config)),
        }


def _claim_folder(what: Sweep) -> Lock:
    """Makes the sweep's folder, or opens it to continue; the lock holds it.

    Raises UserError when it holds something else and when the variant's script is there already.
    """
    if not what.variant.isidentifier():
        raise UserError(f"variant = {what.variant!r}: it takes the name of a Python module")
    with making(what.folder):
        what.folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(what.folder)
    try:
        file = what.folder / "sweep.json"
        saved, settings = read_json(file), json.loads(json.dumps(what.settings))
        if saved and saved != settings:
            (other, *_) = [key for key in settings if saved.get(key) != settings[key]]
            raise UserError(
                f"{what.folder} is a sweep with another {other}: continue it as it was, or take another --run-dir"
            )
        if not saved and {path.name for path in what.folder.iterdir()} - {LOCK}:
            raise UserError(f"{what.folder} holds other files: a new sweep takes a new or an empty --run-dir")
        if not saved and what.script.exists():
            raise UserError(f"{what.script} is there already: name another by --variant")
        write_json(file, settings)
    except UserError:
        lock.release()
        raise
    return lock


def _find(what: Sweep, claim: Claim) -> tuple[Any, str]:
    """The best configuration, and how it was found."""
    from training.cluster.ray_search import Trials, search

    options, population = what.options, what.options.scheduler == "pbt"
    until: Budget = what.config.until
    interval = max(1, until.count // options.evaluations)
    of_trial = without_schedule(what.config, what.space) if population else what.config
    trials = Trials(
        package=what.package,
        experiment=what.name,
        options=what.asked_for(_measured_every(of_trial, Every(interval, until.unit))),
        space=what.space,
        metric=claim.metric,
        mode="max" if claim.op == ">=" else "min",
        unit=until.unit,
        budget=until.count,
        interval=interval,
        folder=what.folder / "trials",
        timeout_s=options.trial_timeout_s,
        cwd=str(Path.cwd()),
        path=tuple(place for place in sys.path if place),
    )
    seeds = [SEARCH_SEED + number for number in range(options.samples if population else 1)]
    with connected(options.cluster, cpus=options.jobs, option="cluster"):
        found = search(
            trials,
            scheduler=options.scheduler,
            samples=options.samples,
            first=encode(what.space, what.config),
            seeds=seeds,
            jobs=options.jobs,
            gpus=options.gpus_per_trial,
            time_s=options.time_s,
            later=options.finalists * FINALIST_SEEDS * (options.finalists > 1) + what.verified,
        )
    finalists: list[Any] = []
    for one in found:
        candidate = with_changes(of_trial, one.values)
        for key, history in one.history.items():
            candidate = with_steps(candidate, key, history)
        if candidate not in finalists:
            finalists.append(candidate)
    chosen, scores = _final(what, finalists[: options.finalists], claim, seeds[-1])
    told = f"The best of {options.samples} trials, of which {len(found)} were trained to the end"
    if scores:
        told += f", by its mean on {len(scores)} more seeds: {claim.metric} {statistics.fmean(scores):.6g}"
    return chosen, f"{told}."


def _final(what: Sweep, finalists: Sequence[Any], claim: Claim, last_seed: int) -> tuple[Any, list[float]]:
    """Trains the finalists on further seeds; the one with the best mean, and its scores."""
    if len(finalists) == 1:
        return finalists[0], []
    tasks = {
        index: [
            Task(
                what.name,
                replace(candidate, seed=seed),
                what.asked_for(candidate),
                what.folder / "finalists" / f"{index + 1}-seed-{seed}",
            )
            for seed in range(last_seed + 1, last_seed + 1 + FINALIST_SEEDS)
        ]
        for index, candidate in enumerate(finalists)
    }
    with interruption.catch():
        failed = train_all(
            [task for own in tasks.values() for task in own],
            what.package,
            what.options.jobs,
            title="finalists",
            later=[what.name] * what.verified,
        )
    if failed:
        raise UserError(f"a finalist failed: see {what.folder / 'finalists'}")
    scores = {
        index: list(scores_by_seed(claim, {task.seed: read_result(task.folder) for task in own}).values())
        for index, own in tasks.items()
    }
    choose = max if claim.op == ">=" else min
    best = choose(scores, key=lambda index: statistics.fmean(scores[index]))
    return finalists[best], scores[best]


def _measured_every(config: Any, every: Every) -> Any:
    """The config that is measured, and saved right after, at this cadence; where it can be measured while training."""
    if not hasattr(config, "evaluation"):
        return config
    evaluation, checkpoint = replace(config.evaluation, every=every), replace(config.checkpoint, every=every)
    return replace(config, evaluation=evaluation, checkpoint=checkpoint)
