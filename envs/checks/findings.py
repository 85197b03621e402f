"""What a check has found, and the place in the user's file where an environment raised."""

from __future__ import annotations

import signal
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal, NoReturn

from envs.returned import ContractError
from envs.spaces import SpaceError
from envs.vectors.vector import EnvFault
from training.errors import UserError

Level = Literal["ok", "advice", "wrong"]
LEVELS: tuple[Level, ...] = ("ok", "advice", "wrong")
_OURS = Path(__file__).parents[2]
_PACKAGES = [Path(sysconfig.get_paths()[name]) for name in ("purelib", "platlib", "stdlib")]


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: Level
    about: str
    """What was looked at: seeds, rewards ..."""
    says: str
    change: str = ""
    """What would be right, where something is to be changed."""


class NeverReturns(BaseException):
    """The environment's code has not come back in time; what handles an `Exception` lets it through."""


@contextmanager
def returning_within(seconds: float) -> Iterator[None]:
    """Raises NeverReturns inside the block after so many seconds.

    A signal does it, which only the main thread gets, and which compiled code heeds when it is back in Python.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise NeverReturns(f"it has not come back after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def catching(found: list[Finding], about: str, change: str = "", *, seconds: float) -> Iterator[None]:
    """Around what runs the environment's code, for so many seconds at most.

    What it raises is a finding, with its place, and said once only. Where it has not come back, nothing else can be
    asked: NeverReturns goes on to whoever asks.
    """
    try:
        with returning_within(seconds):
            yield
    except NeverReturns as error:
        where = place_of(error)
        _add(found, Finding("wrong", about, one_line(error), f"see {where}" if where else ""))
        raise
    except UserError as error:
        _add(found, Finding("wrong", about, one_line(error), change))
    except Exception as error:
        raised = error.__cause__ if isinstance(error, EnvFault) and error.__cause__ is not None else error
        if isinstance(raised, ContractError | SpaceError | EnvFault):
            where, told = None, one_line(error)
        else:
            where = place_of(raised)
            told = f"it raised {type(raised).__name__}: {one_line(raised)}" if raised is error else one_line(error)
        _add(found, Finding("wrong", about, told, change or (f"see {where}" if where else "")))


def place_of(error: BaseException) -> str | None:
    """File and line of the deepest frame in the user's own code; otherwise of the deepest in a package."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(Path(frame.filename))]
    own = [frame for frame in frames if not any(Path(frame.filename).is_relative_to(folder) for folder in _PACKAGES)]
    return f"{(own or frames)[-1].filename}:{(own or frames)[-1].lineno}" if frames else None


def one_line(error: BaseException) -> str:
    """What an error says, without line breaks."""
    return " ".join(str(error).split())


def _add(found: list[Finding], finding: Finding) -> None:
    if not any(one.level == "wrong" and one.change == finding.change != "" for one in found):
        found.append(finding)


def _is_ours(file: Path) -> bool:
    """Whether it is a file of this platform, beside which a user may have files of their own."""
    inside = file.is_relative_to(_OURS) and file.relative_to(_OURS).parts[0]
    return inside in ("envs", "training", "commands", "agents", "experiments") and "tasks" not in file.parts
