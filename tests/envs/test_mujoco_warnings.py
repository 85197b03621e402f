"""MuJoCo's warnings are shown once, and not those of Gymnasium's own model files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.packages import needs

pytestmark = needs("mujoco", "mujoco")

MAKE_AND_WARN = """
import mujoco
from envs.config import EnvConfig
from envs.single import make_env

for _ in range(2):
    make_env(EnvConfig("HalfCheetah-v5"))
    mujoco.get_mju_user_warning()("this model is odd")
    mujoco.get_mju_user_warning()("and so is that")
"""


def test_each_is_shown_once_and_no_file_is_written(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    script = f"import sys; sys.path.insert(0, {str(root)!r})\n{MAKE_AND_WARN}"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [
        "warning: MuJoCo: this model is odd",
        "warning: MuJoCo: and so is that",
    ]
    assert not any(tmp_path.iterdir())
