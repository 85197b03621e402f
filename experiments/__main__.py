"""The command line: `python -m experiments COMMAND`.

Everything heavy is imported by the command that needs it: `list` and `--help` answer at once.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from training.experiments import find_experiments, first_line, load_experiment

USAGE = """\
usage: python -m experiments COMMAND

  list                 what there is to run
  train NAME           train one seed; options change the config: --seed 2 --agent.horizon 64
  rates NAME           try a range of learning rates in one short run of what learns from data, and suggest one
  resume RUN           continue a run that was stopped; --env-steps M, or any option of its config, begins a child
  evaluate RUN         measure a run's policy
  record RUN           play episodes with a run's policy into a dataset: --episodes 500 --dataset robots/walk-v0
  verify NAME          train several seeds and judge the experiment's claims; --seeds 5 --jobs 2
  sweep NAME           search better values on Ray Tune; --space agent.gamma=0.9..0.999 --samples 20 --jobs 2
  submit NAME          train on a Ray cluster and bring the run back; --address http://HEAD:8265 --storage s3://...
  results              write the tables in the docs anew from docs/results/
  sync RUN             send a whole run to Weights & Biases; --tracker online|offline

`train NAME --help` lists the options of an experiment; every other command has --help too.
Exit codes: 0 done, 1 failed or a claim does not hold, 2 a mistake in what was asked, 128 + signal when interrupted."""


def main(argv: Sequence[str], package: str = "experiments") -> int:
    """Carries out one command.

    Args:
        argv: the words after `python -m experiments`.
        package: the package whose modules are the experiments.

    Returns:
        The exit code.
    """
    commands: dict[str, Callable[[Sequence[str], str], int]] = {
        "list": _list,
        "train": _train,
        "rates": _rates,
        "resume": _resume,
        "evaluate": _evaluate,
        "record": _record,
        "verify": _verify,
        "sweep": _sweep,
        "submit": _submit,
        "results": _results,
        "sync": _sync,
    }
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if argv else 2
    if argv[0] not in commands:
        from training.options import nearest

        return _mistake(f"unknown command {argv[0]}: {nearest(argv[0], commands)}")
    try:
        return commands[argv[0]](argv[1:], package)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _exit_code(error)


def _exit_code(error: Exception) -> int:
    from training.cluster.ray_session import WorkersFailedError
    from training.errors import UserError
    from training.interruption import Interrupted
    from training.optimizer.non_finite import NonFinite

    if isinstance(error, UserError):
        return _mistake(str(error))
    if isinstance(error, Interrupted):
        return 128 + error.signal_number
    if isinstance(error, NonFinite | WorkersFailedError):
        print("error:", "; ".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
    else:
        traceback.print_exc()
    return 1


def _mistake(message: str) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2


def _list(argv: Sequence[str], package: str) -> int:
    if argv:
        return _mistake(f"unexpected {argv[0]!r}: list takes nothing")
    descriptions = {name: first_line(script) for name, script in find_experiments(package).items()}
    width = max(map(len, descriptions), default=0)
    for name, description in descriptions.items():
        print(f"{name:{width}}  {description}")
    return 0


def _first(argv: Sequence[str], command: str, what: str) -> str:
    """The command's first word; raises UserError when it is missing."""
    from training.errors import UserError

    if not argv or argv[0].startswith("-"):
        raise UserError(f"{command} takes {what} first: python -m experiments {command} {what} [options]")
    return argv[0]


def _train(argv: Sequence[str], package: str) -> int:
    if _wants_help(argv) and len(argv) == 1:
        print("usage: python -m experiments train NAME [options]; `train NAME --help` lists the options of NAME")
        return 0
    name = _first(argv, "train", "NAME")
    module = load_experiment(name, package)
    from commands.train import TrainOptions, train

    if _wants_help(argv):
        return _help(f"train {name}", module.__doc__, TrainOptions(), module.Config())
    train(name, module, argv[1:])
    return 0


def _rates(argv: Sequence[str], package: str) -> int:
    from commands.train import TrainOptions, rates
    from reports.rate_curve import RateRangeOptions

    if _wants_help(argv):
        return _help("rates NAME", rates.__doc__, TrainOptions(), RateRangeOptions())
    name = _first(argv, "rates", "NAME")
    rates(name, load_experiment(name, package), argv[1:])
    return 0


def _resume(argv: Sequence[str], package: str) -> int:
    from commands.train import ResumeOptions, resume

    if _wants_help(argv):
        return _help("resume RUN", resume.__doc__, ResumeOptions())
    resume(Path(_first(argv, "resume", "RUN")), lambda name: load_experiment(name, package), argv[1:])
    return 0


@dataclass(frozen=True)
class EvaluateOptions:
    """What is measured, and how."""

    checkpoint: Literal["last", "best"] = "last"
    episodes: int | None = None
    """By default those of the evaluation that ends a run."""
    seed: int | None = None
    """Of the episodes and the actions; by default the run's own."""
    stochastic: bool = False
    """Draw the actions, as in training, instead of taking the most likely ones."""
    video: bool = False
    """Also record one episode into the run's videos/ (extra `video`)."""


def _evaluate(argv: Sequence[str], package: str) -> int:
    """Plays episodes with the policy of a run and prints what they measure."""
    from dataclasses import replace

    from agents.acting.evaluation import Evaluation
    from agents.policies.policy import load_policy
    from commands.train import print_measured, read_config
    from envs.video import record_video
    from training.errors import require
    from training.options import parse_options
    from training.run.folder import read_settings

    if _wants_help(argv):
        return _help("evaluate RUN", _evaluate.__doc__, EvaluateOptions())
    folder = Path(_first(argv, "evaluate", "RUN"))
    (options,) = parse_options(argv[1:], EvaluateOptions())
    require(options.seed is None or options.seed >= 0, "seed", options.seed, "an integer of at least 0")
    settings = read_settings(folder)
    config = read_config(folder, settings, load_experiment(settings["experiment"], package))
    _require_policy(folder, config)
    how = replace(config.evaluation, greedy=config.evaluation.greedy and not options.stochastic)
    if options.episodes is not None:
        whole = options.episodes >= 1 and options.episodes % how.num_envs == 0
        require(whole, "episodes", options.episodes, f"a positive multiple of evaluation.num_envs = {how.num_envs}")
        how = replace(how, final_episodes=options.episodes)
    policy = load_policy(folder, options.checkpoint)
    seed = options.seed if options.seed is not None else settings["seed"]
    evaluation = Evaluation(config.env, how, seed=seed)
    try:
        print_measured(evaluation.final(policy))
    finally:
        evaluation.close()
    if options.video:
        predict = policy.predictor(greedy=how.greedy)
        print(f"video: {record_video(config.env, predict, folder / 'videos', seed=seed)}")
    return 0


def _require_policy(folder: Path, config: Any) -> None:
    """Raises UserError for a run that has no policy to play with."""
    from training.errors import UserError

    if not hasattr(config, "env"):
        raise UserError(f"{folder} learned from data and has no policy to play with: result.json has its measures")


@dataclass(frozen=True)
class RecordOptions:
    """What is recorded, and under which name."""

    dataset: str = ""
    """The name of the new dataset, such as robots/walk-v0."""
    episodes: int = 100
    checkpoint: Literal["last", "best"] = "last"
    seed: int | None = None
    """Of the episodes and the actions; by default the run's own. The episodes are others than those of training."""
    stochastic: bool = False
    """Draw the actions, as in training, instead of taking the most likely ones."""


def _record(argv: Sequence[str], package: str) -> int:
    """Plays episodes with the policy of a run into a Minari dataset on this machine (extra `offline`)."""
    from agents.acting.recording import record_run
    from commands.train import print_measured, read_config
    from training.errors import require
    from training.options import parse_options
    from training.run.folder import read_settings

    if _wants_help(argv):
        return _help("record RUN", _record.__doc__, RecordOptions())
    folder = Path(_first(argv, "record", "RUN"))
    (options,) = parse_options(argv[1:], RecordOptions())
    require(options.episodes >= 1, "episodes", options.episodes, "at least 1")
    require(options.seed is None or options.seed >= 0, "seed", options.seed, "an integer of at least 0")
    settings = read_settings(folder)
    config = read_config(folder, settings, load_experiment(settings["experiment"], package))
    _require_policy(folder, config)
    where, episodes = record_run(
        folder,
        config.env,
        type(config.agent).__name__.removesuffix("Config"),
        name=options.dataset,
        episodes=options.episodes,
        which=options.checkpoint,
        stochastic=options.stochastic,
        seed=options.seed,
    )
    print_measured(episodes.measures)
    print(f"dataset: {options.dataset} in {where}")
    return 0


def _verify(argv: Sequence[str], package: str) -> int:
    from commands.verify import VerifyOptions, verify

    if _wants_help(argv):
        return _help("verify NAME", verify.__doc__, VerifyOptions())
    name = _first(argv, "verify", "NAME")
    return 0 if verify(name, lambda other: load_experiment(other, package), argv[1:], package=package) else 1


def _sweep(argv: Sequence[str], package: str) -> int:
    from commands.sweep import SweepOptions, sweep

    if _wants_help(argv):
        return _help("sweep NAME", sweep.__doc__, SweepOptions())
    name = _first(argv, "sweep", "NAME")
    return 0 if sweep(name, lambda other: load_experiment(other, package), argv[1:], package=package) else 1


def _submit(argv: Sequence[str], package: str) -> int:
    from training.cluster.ray_submit import SubmitOptions, submit

    if _wants_help(argv):
        return _help("submit NAME", submit.__doc__, SubmitOptions())
    name = _first(argv, "submit", "NAME")
    return submit(name, lambda other: load_experiment(other, package), argv[1:], package=package)


def _results(argv: Sequence[str], _: str) -> int:
    from reports.tables import write_docs

    if argv:
        return _mistake(f"unexpected {argv[0]!r}: results takes nothing")
    for file in write_docs(Path()):
        print(f"wrote {file}")
    return 0


@dataclass(frozen=True)
class SyncOptions:
    """Where the copy of a run goes."""

    tracker: Literal["auto", "online", "offline"] = "auto"
    """Online when logged in and offline otherwise, or one of them."""


def _sync(argv: Sequence[str], _: str) -> int:
    """Makes one whole Weights & Biases run from the files of a run."""
    from training.options import parse_options
    from training.run.tracker import sync

    if _wants_help(argv):
        return _help("sync RUN", _sync.__doc__, SyncOptions())
    folder = Path(_first(argv, "sync", "RUN"))
    (options,) = parse_options(argv[1:], SyncOptions())
    print(sync(folder, options.tracker))
    return 0


def _wants_help(argv: Sequence[str]) -> bool:
    return "--help" in argv or "-h" in argv


def _help(command: str, description: str | None, *configs: object) -> int:
    from training.options import show_help

    show_help(f"python -m experiments {command}", (description or "").partition("\n\n")[0], *configs)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
