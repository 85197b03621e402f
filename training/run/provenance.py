"""What a run was made with: the code, the packages, the machine. Never environment variables: they hold secrets."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from training.native import sources as native_sources

ROOT = Path(__file__).resolve().parents[2]
_COMPUTES = ("training", "envs", "agents", "pretraining", "finetuning", "regimes")
_LEARNERS = "training/cluster/ray_learners.py"
_FROM = re.compile(r"^[ \t]*from[ \t]+(\w[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]+)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+(\w[^\n]*)", re.MULTILINE)
_ENTRY_POINT = re.compile(r"""["']([a-z_][\w.]*):[A-Za-z][\w-]*["']""")


def describe_environment() -> dict[str, Any]:
    """The contents of `environment.json`; `threads` is torch's default, before a config changes it."""
    import torch  # only here: what only asks for versions answers at once

    status = _git("status", "--porcelain")
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if status is None else bool(status),
        "python": platform.python_version(),
        "packages": dict(packages()),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def hardware(environment: Mapping[str, Any]) -> str:
    """One line of it, for a report."""
    cpus = f"{environment['cpus']} CPUs ({environment['cpu_capability']})"
    return f"{environment['platform']}, {cpus}, {environment['gpu'] or 'no GPU'}"


def changes(saved: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    """What is not as it was, one line for each kind: commit, packages, machine."""
    names = sorted({*saved["packages"], *now["packages"]})
    found = {
        "commit": _differences(saved, now, ["commit"]),
        "packages": _differences(saved["packages"], now["packages"], names),
        "machine": _differences(saved, now, ["python", "machine", "cpu_capability", "gpu"]),
    }
    return {kind: line for kind, line in found.items() if line}


def source_hash(experiment: str, config: Any = None, root: Path = ROOT) -> str:
    """SHA-256 over the code that a run computes with, see `sources`."""
    return hash_of(sources(experiment, config, root), root)


def sources(experiment: str, config: Any = None, root: Path = ROOT) -> list[Path]:
    """The code that a run computes with: the experiment's script and all of ours that it imports.

    With it goes what the config names as `module:Name`, such as the environment of somebody's own, and what puts
    several learners together. Of an experiment without a script in the repository, such as a test's, it covers all that
    experiments may import.
    """
    scripts = list((root / "experiments").rglob(f"{experiment}.py"))
    if not scripts:
        kinds = ("*.py", "*.cpp", "*.hpp")
        ours = (file for folder in _COMPUTES for kind in kinds for file in (root / folder).rglob(kind))
        return sorted([*ours, *_own_script(experiment)])
    named = [file for module in _named_in(config) for file in _files_of(module, root)]
    around = [folder / "__init__.py" for folder in scripts[0].parents if root in folder.parents]
    files = [*named, *filter(Path.is_file, [root / _LEARNERS, *around])]
    return sorted(import_closure(scripts[0], root, files))


def _own_script(experiment: str) -> list[Path]:
    """That of an experiment in the `experiments/` of the working directory, where this is installed elsewhere."""
    return sorted(Path("experiments").absolute().rglob(f"{experiment}.py"))


def uncommitted(files: Iterable[Path]) -> bool | None:
    """Whether one of these files is not as the commit has it; None where there is no repository."""
    status = _git("status", "--porcelain", "--", *map(str, files))
    return None if status is None else bool(status)


def import_closure(script: Path, root: Path = ROOT, others: Iterable[Path] = ()) -> set[Path]:
    """The files below `root` that a script imports, directly or not, at its beginning or later, and itself.

    A string such as "envs.tasks:Reach-v0", by which Gymnasium imports a module, counts as an import. `others` are files
    that it begins with too. With a file goes the one in C++ beside it.
    """
    found, waiting = set(), [script, *others]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [path for name in _imported(file) for path in _files_of(name, root)]
    beside = [native for file in found if (native := file.with_suffix(".cpp")).exists()]
    return found | {file for native in beside for file in native_sources(native, root)}


def _named_in(value: Any) -> Iterator[str]:
    """The modules that strings in a config's tree name."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _named_in(inner)
    elif isinstance(value, str):
        yield from _ENTRY_POINT.findall(f'"{value}"')


def _imported(file: Path) -> Iterator[str]:
    """The dotted names of what a file imports: modules, and what may be a module or something in one.

    Read by their form, as a parser takes half a second for a hundred files; text that only looks like an import may
    add a file, never hide one.
    """
    text = file.read_text(encoding="utf-8")
    for module, names in _FROM.findall(text):
        yield from (f"{module}.{name}" for name in re.findall(r"\w+", names))
    for modules in _IMPORT.findall(text):
        yield from re.findall(r"[\w.]+", modules)
    yield from _ENTRY_POINT.findall(text)


def _files_of(name: str, root: Path) -> Iterator[Path]:
    """The file of a module and those of the packages around it, as far as they are below `root`."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        path = root.joinpath(*parts[:length])
        yield from (file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file())


def hash_of(files: Iterable[Path], root: Path = ROOT) -> str:
    """SHA-256 over the names and the contents of the files."""
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{name_of(file, root)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def name_of(file: Path, root: Path = ROOT) -> str:
    """From the root on; of a script of one's own, outside of it, from the working directory on."""
    return file.relative_to(root if root in file.parents else Path.cwd()).as_posix()


def _differences(saved: dict[str, Any], now: dict[str, Any], names: list[str]) -> str:
    changed = (name for name in names if saved.get(name) != now.get(name))
    return ", ".join(f"{name} {saved.get(name) or 'none'} -> {now.get(name) or 'none'}" for name in changed)


def packages() -> Iterator[tuple[str, str]]:
    """The declared packages that are installed, with their versions; the tools of development do not matter."""
    names = {re.split(r"[^A-Za-z0-9._-]", entry, maxsplit=1)[0] for entry in _declared()}
    for name in sorted(names):
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _declared() -> list[str]:
    """What pyproject.toml declares; where this is installed, and there is none, what the installed package does."""
    file = ROOT / "pyproject.toml"
    if not file.exists():
        return [entry for entry in metadata.requires("regimen") or () if 'extra == "dev"' not in entry]
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(entry for extra in extras if extra != "dev" for entry in extras[extra])]


def _git(*arguments: str) -> str | None:
    if not (ROOT / ".git").exists():  # installed, perhaps inside of somebody else's repository
        return None
    try:
        answer = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
