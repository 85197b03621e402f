"""Regimen from Python, in scripts and notebooks: check, train, look, act, compare.

    import regimen

    run = regimen.train("ppo", env="CartPole-v1", env_steps=50_000)
    run.score                                     # the mean return at the end
    run.policy.predict(obs)                       # an action for an observation
    run.plot()                                    # the learning curve
    regimen.compare(run, regimen.train("a2c", env="CartPole-v1", env_steps=50_000))

Everything is what the commands do: the same options by the same names, the same run folders, the same errors.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Literal

from agents.recipes.presets import asks_of, group_of
from commands.check import told
from commands.compare import Options as CompareOptions
from commands.compare import compared
from commands.resume import main as go_on
from commands.train import Options, main
from envs.checks.findings import Finding
from envs.config import EnvConfig
from reports.comparison.computed import Comparison
from reports.comparison.drawing import draw_curves
from reports.comparison.showing import print_comparison
from training.errors import UserError
from training.experiments import load_experiment
from training.interruption import Interrupted
from training.numbers import short
from training.options import (
    as_options,
    by_own_names,
    field_types,
    options_below,
    parse_options,
    take_options,
    values_by_key,
)
from training.run.folder import new_folder, read_settings
from training.run.logger import read_rows
from training.run.result import read_result
from training.run.runs import describe, find_run

__all__ = ["Interrupted", "TrainedRun", "UserError", "check", "compare", "load", "resume", "train"]

Env = str | EnvConfig | type[Any] | Callable[..., Any]
RETURN = "evaluation/return_mean"


@dataclass(frozen=True)
class Picture:
    """A drawing, which a notebook shows."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<a picture of {len(self.svg):,} characters of SVG>"


@dataclass(frozen=True)
class TrainedRun:
    """A run in its folder, finished or not."""

    folder: Path

    @property
    def result(self) -> dict[str, Any]:
        """The contents of `result.json`: status, metrics, claims; empty while it goes on."""
        return read_result(self.folder)

    @property
    def score(self) -> float | None:
        """The mean return of the policy at the end, or what else the experiment is chosen by; None before."""
        metrics: dict[str, float] = self.result.get("metrics", {})
        return metrics.get(RETURN, next(iter(metrics.values()), None))

    @property
    def rows(self) -> list[dict[str, float]]:
        """The rows of `metrics.jsonl`, oldest first; `pandas.DataFrame(run.rows)` makes a table of them."""
        return read_rows(self.folder / "metrics.jsonl")

    @property
    def policy(self) -> Any:
        """The policy at the end: `run.policy.predict(obs)`."""
        return self.policy_at("last")

    def policy_at(self, which: Literal["last", "best"]) -> Any:
        """The policy of the newest or of the best checkpoint. Raises UserError where there is none."""
        from agents.policies.saved import load_policy

        return load_policy(self.folder, which)

    def plot(self, path: str | Path | None = None) -> Path | Picture:
        """The learning curve of the evaluations, of the training itself where there are not two: written to a file, or
        shown in a notebook.
        """
        evaluated = sum(RETURN in row for row in self.rows) >= 2
        return _plotted(compare(self, metric=RETURN if evaluated else "rollout/return_mean"), path)

    def __repr__(self) -> str:
        return f"<run {', '.join(f'{name} {value}' for name, value in self._facts().items())}>"

    def _repr_html_(self) -> str:
        left = 'style="text-align: left"'
        rows = "".join(
            f"<tr><th {left}>{escape(name)}</th><td {left}>{escape(value)}</td></tr>"
            for name, value in self._facts().items()
        )
        return f"<table>{rows}</table>"

    def _facts(self) -> dict[str, str]:
        """What the run is and how it stands, in the order of reading."""
        facts = {"folder": str(self.folder)}
        with suppress(UserError):  # a folder may be deleted while its run is still shown
            settings = read_settings(self.folder)
            state = describe(self.folder, settings)
            environment = settings["config"].get("env", {}).get("id")
            of_budget = "" if state.budget is None else f" of {short(state.budget)}"
            facts = {
                "of": state.experiment + (f" on {environment}" if environment else ""),
                "seed": str(state.seed),
                "status": state.status,
                state.unit.replace("_", " "): short(state.done) + of_budget,
                **({state.score_name: f"{state.score:.6g}"} if state.score_name and state.score is not None else {}),
                **facts,
            }
        return facts


@dataclass(frozen=True)
class Checked:
    """What a check of an environment has found."""

    env: EnvConfig
    found: list[Finding]

    @property
    def wrong(self) -> list[Finding]:
        """What must be changed before anything is trained."""
        return [one for one in self.found if one.level == "wrong"]

    def __repr__(self) -> str:
        return "\n".join(told(self.env.id, self.found))


@dataclass(frozen=True)
class Compared:
    """Groups of runs beside each other."""

    found: Comparison

    def plot(self, path: str | Path | None = None) -> Path | Picture:
        """The learning curves with their intervals: written to a file, or shown in a notebook."""
        return _plotted(self, path)

    def as_json(self) -> Any:
        """Every figure, as plain values."""
        return self.found.as_json()

    def __str__(self) -> str:
        """The table that `compare` prints."""
        with redirect_stdout(io.StringIO()) as text:
            print_comparison(self.found)
        return text.getvalue()

    def __repr__(self) -> str:
        return str(self)


def check(env: Env, *, seed: int = 1) -> Checked:
    """Asks of an environment what would go wrong in it, as the command `check` does."""
    from envs.checks.check import check as look

    config = EnvConfig.of(env)
    return Checked(config, look(config, seed=seed))


def train(name: str, *, env: Env | None = None, package: str = "experiments", **options: Any) -> TrainedRun:
    """Trains one seed, as the command `train` does, and gives the run.

    Args:
        name: of an experiment, or of an algorithm such as `ppo`.
        env: an id, a class, a function that makes one, or an EnvConfig.
        package: where the experiments are.
        options: those of the command, with `_` for `-`: `env_steps=50_000`, `run_dir="runs/mine"`. What has a dot in
            its name is inside of a dict: `agent={"horizon": 64}`.

    Raises:
        UserError: a mistake in the options, before anything is written.
        Interrupted: it was asked to end (Ctrl-C, or the kernel of a notebook was), and has saved: `resume` goes on.
    """
    experiment = load_experiment(name, package)
    words = _words(experiment, env, options)
    asked, rest = take_options(words, Options())
    (config,) = parse_options([*options_below(rest, "env."), *options_below(rest, "seed")], experiment.Config())
    folder = asked.folder or new_folder(group_of(experiment, config), config.seed)
    with _telling_how_to_go_on(folder):
        main([name, *words, *([] if asked.run_dir else [f"--run-dir={folder}"])], package)
    return TrainedRun(folder)


def resume(run: str | Path | TrainedRun, *, package: str = "experiments") -> TrainedRun:
    """Goes on with a run that was stopped; a finished one stays as it is."""
    folder = load(run).folder
    with _telling_how_to_go_on(folder):
        go_on([str(folder)], package)
    return TrainedRun(folder)


def load(run: str | Path | TrainedRun) -> TrainedRun:
    """A run by its folder, or by what the commands take: `latest`, an experiment, the beginning of its name."""
    folder = run.folder if isinstance(run, TrainedRun) else find_run(str(run))
    read_settings(folder)  # it raises for what is no run
    return TrainedRun(folder)


def compare(*runs: str | Path | TrainedRun, package: str = "experiments", **options: Any) -> Compared:
    """Compares runs, experiments and logs of other libraries, as the command `compare` does, with its options."""
    words = [str(run.folder if isinstance(run, TrainedRun) else run) for run in runs]
    return Compared(compared(words, CompareOptions(**options), package))


@contextmanager
def _telling_how_to_go_on(folder: Path) -> Iterator[None]:
    try:
        yield
    except Interrupted as error:
        error.add_note(f'regimen.resume("{folder}") goes on with it')
        raise


def _words(experiment: ModuleType, env: Env | None, options: Mapping[str, Any]) -> list[str]:
    """The options as words of the command line."""
    config = experiment.Config()
    known = field_types(config)
    values = dict(_flat(options, known))
    if env is not None:
        given = EnvConfig.of(env)
        plain = values_by_key(EnvConfig(given.id))
        changed = {key: value for key, value in values_by_key(given).items() if value != plain[key]}
        values |= {f"env.{key}": value for key, value in {"id": given.id, **changed}.items()}
    return by_own_names(as_options(values), Options(), *asks_of(experiment), config)


def _flat(options: Mapping[str, Any], known: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Every value by its dotted key; a dict is one value where the config has a field of its name."""
    found: list[tuple[str, Any]] = []
    for key, value in options.items():
        name = prefix + key
        inside = isinstance(value, Mapping) and name not in known
        found += _flat(value, known, f"{name}.") if inside else [(name, value)]
    return found


def _plotted(compared: Compared, path: str | Path | None) -> Path | Picture:
    if path is not None:
        draw_curves(compared.found, Path(path))
        return Path(path)
    with TemporaryDirectory() as folder:
        drawn = Path(folder) / "curves.svg"
        draw_curves(compared.found, drawn)
        return Picture(drawn.read_text(encoding="utf-8"))
