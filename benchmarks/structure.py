"""How easily a newcomer walks through the code: `python -m benchmarks.structure [ROOT]` measures and prints a table.

Calls are counted in a real run, imports are read from the files. With the folder of another checkout it measures that
one, so that a change of the structure can be held against what was there before.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDERS = ("training", "reports", "envs", "agents", "pretraining", "finetuning", "regimes", "serving", "commands")
"""What the platform is made of; experiments and benchmarks use it."""
ALGORITHMS = {
    "ppo_cartpole": ["--env-steps=256"],
    "a2c_cartpole": ["--env-steps=80"],
    "dqn_cartpole": ["--env-steps=600", "--replay.warmup_env_steps=500"],
    "c51_cartpole": ["--env-steps=600", "--replay.warmup_env_steps=500"],
    "sac_pendulum": ["--env-steps=120", "--replay.warmup_env_steps=100"],
    "sac_discrete_cartpole": ["--env-steps=120", "--replay.warmup_env_steps=100"],
    "tqc_pendulum": ["--env-steps=120", "--replay.warmup_env_steps=100"],
    "td3_pendulum": ["--env-steps=120", "--replay.warmup_env_steps=100"],
    "ddpg_pendulum": ["--env-steps=120", "--replay.warmup_env_steps=100"],
    "recurrent_ppo_cartpole": ["--env-steps=1024"],
    "reinforce_cartpole": ["--env-steps=1024"],
    "digits_cnn": ["--epochs=1"],
}
"""The experiments whose calls are counted, with options that make them short."""

PROBE = """
import json, sys, traceback
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
import torch
import training.fit
root = str(Path.cwd())
found = {{"to_fit": [], "to_gradient": [], "files": [], "visits": 0}}

def ours(frame):
    file = frame.f_code.co_filename
    return file.startswith(root) and "/.venv/" not in file

def stack(frame, until=None):
    names = []
    while frame is not None:
        if ours(frame) and not frame.f_code.co_name.startswith("<"):  # a comprehension calls nothing
            names.append(Path(frame.f_code.co_filename).relative_to(root).as_posix() + ":" + frame.f_code.co_name)
            if frame.f_code.co_name == until:
                break
        frame = frame.f_back
    return names[::-1]

real_fit, real_backward = training.fit.fit, torch.Tensor.backward
config, watched = None, {{}}

def parts(value):
    yield value
    for field in fields(value):
        inner = getattr(value, field.name)
        if is_dataclass(inner) and not isinstance(inner, type):
            yield from parts(inner)

def profile(frame, event, _):
    if event != "call" or not ours(frame) or frame.f_back is None:
        return
    code = frame.f_code
    if code.co_name.startswith("<") or code.co_filename == frame.f_back.f_code.co_filename:
        return
    arguments = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    if any(id(argument) in watched for argument in arguments):
        found["visits"] += 1
        found["files"].append(code.co_filename)

def counted_fit(*args, **kwargs):
    sys.setprofile(None)
    found["to_fit"] = stack(sys._getframe(1))
    return real_fit(*args, **kwargs)

def counted_backward(*args, **kwargs):
    if not found["to_gradient"]:
        found["to_gradient"] = stack(sys._getframe(1), "fit")[1:]
    return real_backward(*args, **kwargs)

training.fit.fit, torch.Tensor.backward = counted_fit, counted_backward
from experiments.__main__ import main
import importlib
name, options, folder = {name!r}, {options!r}, {folder!r}
try:
    from training.experiments import load_experiment
    experiment = load_experiment(name, "experiments")
except ImportError:
    experiment = importlib.import_module("experiments." + name)
for module in list(sys.modules.values()):
    if getattr(module, "fit", None) is real_fit:
        module.fit = counted_fit
train = experiment.train
def watched_train(config, run):
    watched.update((id(part), part) for part in parts(config))
    sys.setprofile(profile)
    try:
        return train(config, run)
    finally:
        sys.setprofile(None)
experiment.train = watched_train
quick = ["--tracker=none", "--compile=false", "--device=cpu", "--run-dir", folder]
code = main(["train", name, *options, *quick])
assert code == 0
Path(folder, "structure.json").write_text(json.dumps(found))
"""


def calls(root: Path, name: str, options: list[str], folder: Path) -> Mapping[str, Any]:
    """The frames of ours from the command line to `fit`, those from `fit` to the gradient, and the config's visits."""
    code = PROBE.format(name=name, options=options, folder=str(folder))
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True)
    return dict(json.loads((folder / "structure.json").read_text()))


def modules(root: Path) -> dict[str, Path]:
    """Every module of the platform by its dotted name; a package's `__init__` has the name of the package."""
    found = {}
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(root: Path) -> dict[str, set[str]]:
    """For every module the modules of the platform that it names in an import, wherever that stands."""
    known = modules(root)
    found: dict[str, set[str]] = {}
    for name, file in known.items():
        named = set(_named(ast.parse(file.read_text(encoding="utf-8")), known))
        found[name] = named - {name}
    return found


def _named(tree: ast.Module, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known:
                    yield inner
                elif node.module in known:
                    yield node.module


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, directly or not."""
    reached = {name: closure(graph, name) for name in graph}
    groups = {
        frozenset(other for other in reached[name] if name in reached[other]) for name in graph if name in reached[name]
    }
    return sorted(sorted(group) for group in groups)


def closure(graph: Mapping[str, set[str]], name: str) -> set[str]:
    """What a module imports, directly or not; itself where a circle leads back to it."""
    found: set[str] = set()
    waiting = list(graph[name])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += graph[other]
    return found


def algorithms(root: Path) -> list[str]:
    """The modules at the root of agents/ that define an algorithm: a class with an `update` of batch and counters."""
    return [
        name
        for name, file in modules(root).items()
        if name.count(".") == 1 and name.startswith("agents.") and "def update(self, batch: Batch" in file.read_text()
    ]


def without_a_test(root: Path) -> list[str]:
    """The modules that have no test file of their name; a package's face needs none."""
    tests = {file.relative_to(root / "tests").as_posix() for file in (root / "tests").rglob("test_*.py")}
    missing = []
    for name, file in modules(root).items():
        if file.name in ("__init__.py", "__main__.py"):
            continue
        place = file.relative_to(root)
        if (place.parent / f"test_{place.name}").as_posix() not in tests:
            missing.append(name)
    return missing


def measure(root: Path, scratch: Path) -> dict[str, str]:
    """Each row of the table: what was measured, and the value."""
    graph = imports(root)
    own = algorithms(root)
    ways = {name: calls(root, name, options, scratch / name) for name, options in ALGORITHMS.items()}
    first = ways["ppo_cartpole"]
    depths = {name: len(way["to_gradient"]) for name, way in ways.items()}
    same = {depth: [name for name in depths if depths[name] == depth] for depth in sorted({*depths.values()})}
    each = "; ".join(f"{depth}: {' '.join(names)}" for depth, names in same.items())
    between = sum(len(graph[name] & set(own) - {name}) for name in own)
    stepping = [name for name in own if {"agents.acting.collector", "agents.collector"} & closure(graph, name)]
    missing = without_a_test(root)
    counted = [name for name, file in modules(root).items() if file.name not in ("__init__.py", "__main__.py")]
    return {
        "calls from the command line to `fit`": f"{len(first['to_fit'])}: {' > '.join(first['to_fit'])} > fit",
        "calls from the loop to the gradient": each,
        "visits of the config on the way to `fit`": f"{first['visits']} in {len(set(first['files']))} files",
        "import circles": f"{len(circles(graph))} {circles(graph) or ''}".strip(),
        "imports from algorithm to algorithm": str(between),
        "algorithms that import what steps environments": f"{len(stepping)} of {len(own)}",
        "files below agents/ppo.py": str(len(closure(graph, "agents.ppo") - {n for n in graph if _is_face(root, n)})),
        "modules without a test of their name": f"{len(missing)} of {len(counted)}",
    }


def _is_face(root: Path, name: str) -> bool:
    return (root / Path(*name.split("."), "__init__.py")).exists()


def main(argv: list[str]) -> int:
    """Prints the table of one checkout."""
    root = Path(argv[0] if argv else ".").resolve()
    with tempfile.TemporaryDirectory() as scratch:
        for what, value in measure(root, Path(scratch)).items():
            print(f"{what}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
