"""Does a test notice when an algorithm is wrong? python -m benchmarks.mutations [NAME ...] [--write]

One sign or one bootstrap of each algorithm is broken in a copy of the project, and the tests of the algorithm and the
suites that it shares with others are run there until one fails. `--write` writes docs/mutations.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from training.run.provenance import ROOT

PAGE = Path("docs", "mutations.md")
COPIED = (
    *("agents", "benchmarks", "commands", "envs", "experiments", "pretraining", "finetuning", "regimes", "reports"),
    *("serving", "tests", "training"),
)
SUITES = (
    *("tests/suites/test_on_policy.py", "tests/suites/test_off_policy.py"),
    *("tests/suites/test_offline.py", "tests/suites/test_offline_actor_critic.py"),
)
FIRST_FAILURE = re.compile(r"^FAILED (\S+)", re.MULTILINE)
HEADER = "| algorithm | what is broken | what notices |\n|---|---|---|\n"


class Mutation(NamedTuple):
    """One mistake in the file of an algorithm: `before`, which is there once, becomes `after`."""

    before: str
    after: str
    told: str


NO_BOOTSTRAP = "no value after the step"
GAE = Mutation("value, next_value, continues(batch)", "value, 0 * next_value, continues(batch)", NO_BOOTSTRAP)
MUTATIONS = {
    "a2c": GAE,
    "alphazero": Mutation(
        "policy_loss + value_coefficient", "-policy_loss + value_coefficient", "the sign of the cross-entropy"
    ),
    "appo": Mutation(
        "data = to_samples(batch, targets)",
        'data = to_samples(batch, targets | {"advantage": -targets["advantage"]})',
        "the sign of the advantage",
    ),
    "awac": Mutation("batch, advantage,", "batch, -advantage,", "the sign of the advantage"),
    "bandits": Mutation("np.sqrt(2 * np.log", "-np.sqrt(2 * np.log", "the sign of UCB1's width"),
    "bc": Mutation("return Loss(-log_prob.sum()", "return Loss(log_prob.sum()", "the sign of the likelihood"),
    "c51": Mutation(
        'batch["discount"].unsqueeze(-1) * support', '0 * batch["discount"].unsqueeze(-1) * support', NO_BOOTSTRAP
    ),
    "continual": Mutation("- (wanted * F.log_softmax", "+ (wanted * F.log_softmax", "the sign of the old answers"),
    "cql": Mutation(
        "error + self._config.conservative_weight * penalty",
        "error - self._config.conservative_weight * penalty",
        "the sign of the penalty",
    ),
    "crossq": Mutation('batch["discount"] * next_value', '0 * batch["discount"] * next_value', NO_BOOTSTRAP),
    "ddpg": Mutation('batch["discount"] * next_value', '0 * batch["discount"] * next_value', NO_BOOTSTRAP),
    "decision_transformer": Mutation("return Loss(-total,", "return Loss(total,", "the sign of the likelihood"),
    "dqn": Mutation('batch["discount"] * next_value', '0 * batch["discount"] * next_value', NO_BOOTSTRAP),
    "dpo": Mutation("apart = chosen - rejected", "apart = rejected - chosen", "which one is preferred"),
    "federated": Mutation("values = [-batch[", "values = [batch[", "the sign of the clients' change"),
    "grpo": Mutation("loss = -torch.min(ratio", "loss = torch.min(ratio", "the sign of the policy's gradient"),
    "impala": Mutation(
        'targets["advantage"] = targets["advantage"]',
        'targets["advantage"] = -targets["advantage"]',
        "the sign of the advantage",
    ),
    "iql": Mutation("batch, advantage,", "batch, -advantage,", "the sign of the advantage"),
    "pqn": Mutation(
        'batch["reward"], discount(batch, config.gamma)',
        'batch["reward"], 0 * discount(batch, config.gamma)',
        NO_BOOTSTRAP,
    ),
    "ppo": GAE,
    "qr_dqn": Mutation(
        'batch["discount"].unsqueeze(-1) * next', '0 * batch["discount"].unsqueeze(-1) * next', NO_BOOTSTRAP
    ),
    "recurrent_ppo": GAE,
    "rebrac": Mutation("- value / value.detach()", "+ value / value.detach()", "the sign of the value"),
    "rejection_sampling": Mutation("return Loss(-(log_prob", "return Loss((log_prob", "the sign of the likelihood"),
    "reinforce": Mutation("loss = -log_prob * ", "loss = log_prob * ", "the sign of the policy's gradient"),
    "rnd": Mutation(
        "+ config.intrinsic_coefficient * intrinsic",
        "- config.intrinsic_coefficient * intrinsic",
        "the sign of novelty",
    ),
    "sac": Mutation(
        "soft_target(self.policy, self.target, temperature, batch)",
        'soft_target(self.policy, self.target, temperature, batch | {"discount": 0 * batch["discount"]})',
        NO_BOOTSTRAP,
    ),
    "sac_discrete": Mutation('batch["discount"] * soft_value', '0 * batch["discount"] * soft_value', NO_BOOTSTRAP),
    "td3": Mutation("return Loss(-value.sum()", "return Loss(value.sum()", "the sign of the actor's gradient"),
    "td3_bc": Mutation(
        "loss = distance - self._config.value_weight",
        "loss = distance + self._config.value_weight",
        "the sign of the value",
    ),
    "tqc": Mutation(
        'batch["discount"].unsqueeze(-1) * next', '0 * batch["discount"].unsqueeze(-1) * next', NO_BOOTSTRAP
    ),
}
"""By the name of the algorithm's file."""


def folder_of(name: str) -> str:
    """Where the algorithm is."""
    return next(folder for folder in ("agents", "finetuning", "regimes") if (ROOT / folder / f"{name}.py").exists())


def broken(text: str, mutation: Mutation) -> str:
    """The source of the algorithm with the mistake; raises ValueError unless it has exactly one place for it."""
    if text.count(mutation.before) != 1:
        raise ValueError(f"{mutation.before!r} is there {text.count(mutation.before)} times: it takes once")
    return text.replace(mutation.before, mutation.after)


def first_failure(name: str) -> str | None:
    """The first test that fails when the algorithm is broken; None where none does."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for folder in COPIED:
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for other in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / other, copy / other)
        folder = folder_of(name)
        file = copy / folder / f"{name}.py"
        file.write_text(broken(file.read_text(encoding="utf-8"), MUTATIONS[name]), encoding="utf-8")
        own = f"tests/{folder}/test_{name}.py"
        asked = ["-m", "pytest", "-n", "0", "-x", "-q", "-m", "not full", "-p", "no:cacheprovider"]
        asked += ["-k", f"test_{name}.py or {name}", own, *SUITES]
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        done = subprocess.run(
            [sys.executable, *asked], cwd=copy, env=environment, capture_output=True, text=True, check=False
        )
    found = FIRST_FAILURE.search(done.stdout)
    if done.returncode not in (0, 1) or (done.returncode == 1 and not found):
        raise RuntimeError(f"the tests of {name} did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return found[1] if found else None


def table(noticed: Sequence[tuple[str, str | None]]) -> str:
    """As Markdown."""
    rows = [f"| `{name}` | {MUTATIONS[name].told} | {_cell(test)} |\n" for name, test in noticed]
    return HEADER + "".join(rows)


def page(made: str) -> str:
    """The page in the docs."""
    return f"""\
<!-- `python -m benchmarks.mutations --write` writes this page. -->
# What notices a mistake

One sign or one bootstrap of each algorithm is broken on purpose in a copy of the project; the tests of the algorithm
and the suites that it shares are run until one fails. This is the first that does.

{made}"""


def _cell(test: str | None) -> str:
    return f"`{test}`".replace("|", "\\|") if test else "**nothing**"


def main(argv: Sequence[str]) -> int:
    """Tries the named algorithms, or all; 1 where a mistake is not noticed."""
    names = [name for name in argv if name != "--write"] or list(MUTATIONS)
    noticed: list[tuple[str, str | None]] = []
    for name in names:
        noticed.append((name, first_failure(name)))
        print(f"{name}: {noticed[-1][1] or 'NOT NOTICED'}", flush=True)
    if "--write" in argv:
        PAGE.write_text(page(table(noticed)), encoding="utf-8")
        print(f"wrote {PAGE}")
    return 0 if all(test for _, test in noticed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
