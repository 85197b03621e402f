"""`completion`: the words that may come next, quickly, and the scripts by which a shell asks for them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands.completion import SHELLS, candidates
from commands.shared.described import describe
from tests.support import ROOT
from tests.support.counting import PACKAGE, command
from training.experiments import find_scripts

pytestmark = pytest.mark.usefixtures("workplace")


def test_what_may_come_next() -> None:
    assert candidates([], PACKAGE) == list(find_scripts("commands", "TAKES"))
    assert candidates(["train"], PACKAGE) == ["compared", "counting", "diverging"]
    assert candidates(["completion"], PACKAGE) == list(SHELLS)
    assert candidates(["thesis"], PACKAGE) == []
    assert candidates(["resume"], PACKAGE) == ["latest"]
    assert command("train counting --tracker none") == 0
    (run,) = Path("runs/counting").iterdir()
    assert candidates(["resume"], PACKAGE) == ["latest", "counting", run.name]
    assert {"--checkpoint", "--episodes", "--help"} <= set(candidates(["evaluate", "latest"], PACKAGE))
    assert {"--runs", "--json"} <= set(candidates(["list"], PACKAGE))
    assert {"--run-dir", "--config", "--seeds", "--resume", "--gain"} <= set(candidates(["train", "counting"], PACKAGE))
    describe("ppo_cartpole", "experiments")
    assert candidates(["train", "ppo_cartpole", "--device"], "experiments") == ["auto", "cpu", "cuda"]
    assert "--agent.gamma" in candidates(["verify", "ppo_cartpole", "--env-steps", "1k"], "experiments")


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\nfrom experiments.__main__ import main\n"
        "assert main(['completion', 'words', 'train', 'ppo_cartp']) == 0\n"
        "assert main(['completion', 'words', 'resume', '']) == 0\n"
        "assert main(['completion', 'words', 'resume', 'latest', '--']) == 0\n"
        "assert not {'torch', 'gymnasium', 'pydantic'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ppo_cartpole\nppo_cartpole_no_velocity\nlatest\n")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("completion bash") == 0
    script = capsys.readouterr().out
    for typed, words in (("compl", ["completion"]), ("train ppo_acro", ["ppo_acrobot"]), ("list --js", ["--json"])):
        all_words = [sys.executable, "-m", "experiments", *typed.split()]
        typing = f"COMP_WORDS=({' '.join(all_words)}); COMP_CWORD={len(all_words) - 1}; _experiments"
        asked = f'{script}\n{typing}; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.split() == words


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("completion fish") == 2
    assert capsys.readouterr().err == "error: unknown shell fish: there are bash, zsh\n"
