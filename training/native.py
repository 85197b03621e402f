"""Functions in C++ beside the Python file that calls them: compiled once on this machine, then loaded at once.

They are for what torch's own compiler makes slower than it need be. The compiled library lies in the user's cache under
a hash of its source, of the compiler and of the processor, so that one for another machine is never loaded.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from training.user_cache import user_cache

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-Wno-psabi", f"-I{ROOT}")
FAST = ("-fno-math-errno", "-fno-trapping-math", "-fassociative-math", "-fno-signed-zeros", "-freciprocal-math")
"""Sums may be reordered. Numbers that are not finite stay what they are: a run must notice them."""
EXACT = ("-ffp-contract=off", "-fno-builtin")
"""Every operation rounds by itself and in the order of the source, and functions are those of the C library."""
INCLUDED = re.compile(r'^#include "(.+)"', re.MULTILINE)


def compiler() -> str:
    """The C++ compiler that torch's own takes, too."""
    return os.environ.get("CXX", "g++" if sys.platform == "linux" else "clang++")


@cache
def load(source: Path, *, exact: bool = False) -> ctypes.CDLL:
    """The library of a C++ file, compiled where it is the first time. Raises RuntimeError with the compiler's words."""
    target = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
    command = [compiler(), *FLAGS, *(EXACT if exact else FAST), target]
    texts = [file.read_text(encoding="utf-8") for file in sources(source)]
    known = [*texts, *command, _version(), platform.machine(), _processor()]
    name = hashlib.sha256("\0".join(known).encode()).hexdigest()[:24]
    library = _folder() / f"{source.stem}-{name}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as scratch:  # another process may do the same just now
            made = Path(scratch, library.name)
            ran = subprocess.run([*command, str(source), "-o", str(made)], capture_output=True, text=True, check=False)
            if ran.returncode:
                raise RuntimeError(f"{' '.join(command)} {source}:\n{ran.stderr}")
            made.replace(library)
    return ctypes.CDLL(str(library))


@cache
def can_load(source: Path, *, exact: bool = False) -> bool:
    """Whether the library can be had here; says on stderr why not, where there is a compiler."""
    if shutil.which(compiler()) is None:
        return False
    try:
        load(source, exact=exact)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        told = next((line for line in str(error).splitlines() if "error" in line), str(error).partition("\n")[0])
        print(f"warning: {source.name} cannot be compiled ({told}); Python computes the same", file=sys.stderr)
        return False
    return True


def sources(source: Path, root: Path = ROOT) -> list[Path]:
    """A C++ file and all of ours that it includes, by their paths below the root."""
    found, waiting = dict.fromkeys([source]), [source]
    while waiting:
        included = [root / name for name in INCLUDED.findall(waiting.pop().read_text(encoding="utf-8"))]
        waiting += [file for file in included if file not in found]
        found |= dict.fromkeys(included)
    return list(found)


@cache
def _folder() -> Path:
    """Where libraries are kept: in the user's cache, or for this process alone where that cannot be written."""
    try:
        folder = user_cache("native")
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except (OSError, RuntimeError):  # the latter where there is no home
        pass
    own = tempfile.mkdtemp(prefix="regimen-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)


def _version() -> str:
    return subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True).stdout


def _processor() -> str:
    """What the compiler makes code for."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        import torch  # only here: what only asks for sources answers at once

        return torch.backends.cpu.get_cpu_capability() + platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
