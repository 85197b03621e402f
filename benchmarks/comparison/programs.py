"""What a workload runs: a command for a fresh process, and where its measurement is found afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from benchmarks.comparison.measurement import Measurement, read_measurements, read_run
from benchmarks.comparison.settings import Settings
from training.errors import UserError
from training.extras import install_command
from training.run.provenance import ROOT


class Program(Protocol):
    """One process of a pair."""

    @property
    def threads(self) -> int: ...

    def require(self) -> None:
        """Raises UserError when a library that it needs is missing."""
        ...

    def command(self, folder: Path, seed: int) -> list[str]: ...

    def read(self, folder: Path) -> dict[str, Measurement]:
        """What it measured, by side: "ours", "peer", or both."""
        ...


@dataclass(frozen=True)
class Ours:
    """The real command line: `python -m experiments train`."""

    settings: Settings
    options: tuple[str, ...] = ()
    """Of the command line, beside the settings."""
    experiment: str = "ppo_cartpole"
    side: str = "ours"
    """Or "peer", where ours is compared with itself."""

    @property
    def threads(self) -> int:
        return self.settings.threads

    def require(self) -> None:
        """It needs what every run needs."""

    def command(self, folder: Path, seed: int) -> list[str]:
        train = [sys.executable, "-m", "experiments", "train", self.experiment, "--tracker=none"]
        settings = replace(self.settings, seed=seed)
        return [*train, f"--run-dir={folder / 'run'}", *settings.train_options(), *self.options]

    def read(self, folder: Path) -> dict[str, Measurement]:
        return {self.side: read_run(folder / "run", self.settings.solved_return)}


@dataclass(frozen=True)
class Peer:
    """A module of `benchmarks.peers`, and the library without which it does not run."""

    module: str
    settings: Settings
    library: str

    @property
    def threads(self) -> int:
        return self.settings.threads

    def require(self) -> None:
        _require(self.library, self.module)

    def command(self, folder: Path, seed: int) -> list[str]:
        settings = replace(self.settings, seed=seed)
        return [sys.executable, "-m", f"benchmarks.peers.{self.module}", settings.to_json(), str(folder)]

    def read(self, folder: Path) -> dict[str, Measurement]:
        return read_measurements(folder)


@dataclass(frozen=True)
class PeerElsewhere:
    """A module of `benchmarks.peers` in a virtual environment of its own, as its libraries do not go with ours."""

    module: str
    settings: Settings
    requirements: tuple[str, ...]

    @property
    def threads(self) -> int:
        return self.settings.threads

    def require(self) -> None:
        """Makes the environment where it is not there. Raises UserError where its libraries cannot be installed."""
        if self._python.exists():
            return
        print(f"installing {' '.join(self.requirements)} for the peer {self.module} ...", file=sys.stderr)
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder.parent) as scratch:
            subprocess.run([sys.executable, "-m", "venv", scratch], check=True)
            install = [f"{scratch}/bin/python", "-m", "pip", "install", "--quiet", *self.requirements]
            if subprocess.run(install, check=False).returncode:
                raise UserError(
                    f"the peer {self.module} needs {', '.join(self.requirements)}, which pip did not install"
                )
            shutil.move(scratch, self._folder)
            Path(scratch).mkdir()  # for its end

    @property
    def _folder(self) -> Path:
        return ROOT / "build" / "peers" / self.module

    @property
    def _python(self) -> Path:
        return self._folder / "bin" / "python"

    def command(self, folder: Path, seed: int) -> list[str]:
        settings = replace(self.settings, seed=seed)
        return [str(self._python), "-m", f"benchmarks.peers.{self.module}", settings.to_json(), str(folder)]

    def read(self, folder: Path) -> dict[str, Measurement]:
        return read_measurements(folder)


@dataclass(frozen=True)
class Both:
    """A module that measures both sides in one process: `benchmarks.costs.overhead`, `.trainers`, `.ray_costs`."""

    module: str
    kind: str
    threads: int = 1
    library: str = "torch"
    """Without which it does not run."""

    def require(self) -> None:
        _require(self.library, self.kind)

    def command(self, folder: Path, seed: int) -> list[str]:
        return [sys.executable, "-m", f"benchmarks.{self.module}", self.kind, str(seed), str(folder)]

    def read(self, folder: Path) -> dict[str, Measurement]:
        return read_measurements(folder)


def _require(library: str, peer: str) -> None:
    if find_spec(library) is None:
        raise UserError(f"the peer {peer} needs {library}; install it: {install_command('bench')}")
