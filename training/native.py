"""Functions in C++ beside the Python file that calls them: compiled once on this machine, then loaded at once.

They are for what torch's own compiler makes slower than it need be. The compiled library lies in the user's cache under
a hash of its source, of the compiler and of the processor, so that one for another machine is never loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch

FLAGS = (
    *("-std=c++17", "-O3", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"),
    # Sums may be reordered. Numbers that are not finite stay what they are: a run must notice them.
    *("-fno-math-errno", "-fno-trapping-math", "-fassociative-math", "-fno-signed-zeros", "-freciprocal-math"),
)


def compiler() -> str:
    """The C++ compiler that torch's own takes, too."""
    return os.environ.get("CXX", "g++" if sys.platform == "linux" else "clang++")


@cache
def load(source: Path) -> ctypes.CDLL:
    """The library of a C++ file, compiled where it is the first time. Raises RuntimeError with the compiler's words."""
    target = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
    command = [compiler(), *FLAGS, target]
    known = [source.read_text(encoding="utf-8"), *command, _version(), platform.machine(), _processor()]
    name = hashlib.sha256("\0".join(known).encode()).hexdigest()[:24]
    library = _folder() / f"{source.stem}-{name}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as scratch:  # another process may do the same just now
            made = Path(scratch, library.name)
            ran = subprocess.run([*command, str(source), "-o", str(made)], capture_output=True, text=True, check=False)
            if ran.returncode:
                raise RuntimeError(f"{' '.join(command)} {source}:\n{ran.stderr}")
            made.replace(library)
    return ctypes.CDLL(str(library))


def _folder() -> Path:
    cache_home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache_home, "regimen", "native")


def _version() -> str:
    return subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True).stdout


def _processor() -> str:
    """What the compiler makes code for."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return torch.backends.cpu.get_cpu_capability() + platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
