"""MuJoCo's warnings, each once: its own handler prints them for every environment and writes a file MUJOCO_LOG.TXT."""

from __future__ import annotations

import sys

from gymnasium.envs.registration import EnvSpec

PACKAGES = ("gymnasium.envs.mujoco", "gymnasium_robotics")
OF_OTHERS = ("'settotalmass' is deprecated",)
"""What is wrong in model files that come with Gymnasium, where no user of it can mend it."""

_shown: set[str] = set()


def show_warnings_once(spec: EnvSpec) -> None:
    """Before a MuJoCo environment is made. A handler that somebody has set stays.

    Raises ImportError where MuJoCo is missing.
    """
    if not str(spec.entry_point).startswith(PACKAGES):
        return
    import mujoco

    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_show)


def _show(message: str) -> None:
    if message in _shown or any(text in message for text in OF_OTHERS):
        return
    _shown.add(message)
    print(f"warning: MuJoCo: {message}", file=sys.stderr)
