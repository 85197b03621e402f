"""Lets Gymnasium-Robotics 1.4 run on MuJoCo 4 (extra `robotics`).

MuJoCo 4's enums are no longer equal to a NumPy integer that stands on their right, and so `joint_type in (mjJNT_HINGE,
...)` is False where Gymnasium-Robotics reads the joints of a model: Fetch, the Shadow hand and Franka's kitchen fail at
their reset. It is given plain integers instead, which are the same on older versions of MuJoCo.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any


class _WithPlainJoints:
    """MuJoCo's module, whose types of joints are integers."""

    def __init__(self, mujoco: ModuleType) -> None:
        self._mujoco = mujoco
        self.mjtJoint = SimpleNamespace(**{name: int(kind) for name, kind in mujoco.mjtJoint.__members__.items()})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mujoco, name)


def make_robotics_run() -> None:
    """Once `gymnasium_robotics` has been imported: its utilities read the types of joints as integers."""
    from gymnasium_robotics.utils import mujoco_utils

    if isinstance(mujoco_utils.mujoco, ModuleType):
        mujoco_utils.mujoco = _WithPlainJoints(mujoco_utils.mujoco)
