"""On a GPU every agent that acts, bandits apart, learns what it learns on the CPU, and no update waits for the GPU."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.acting.recording import save
from agents.policies.actor_critic import ActorCriticConfig
from agents.policies.saved import policy_of
from envs.config import EnvConfig
from experiments.__main__ import main
from tests.support import off_policy, on_policy
from tests.support.cases import OffPolicyCase, OnPolicyCase, cases
from tests.support.optimizers import data, network, optimizer_for, squared_error
from tests.support.recorded import record_random
from training.core import Batch, Counters
from training.metrics import Metrics
from training.networks import NetworkConfig
from training.optimizer.config import all_can_compile
from training.optimizer.non_finite import NonFinite
from training.run.folder import read_settings

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

ON_POLICY, OFF_POLICY = cases(OnPolicyCase), cases(OffPolicyCase)
BOTH: dict[str, OnPolicyCase | OffPolicyCase] = {**ON_POLICY, **OFF_POLICY}


def training(name: str, device: str, **options: Any) -> Any:
    if name in ON_POLICY:
        env = EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": "discrete"})
        return on_policy.Training(ON_POLICY[name], env, device=device, **options)
    return off_policy.Training(OFF_POLICY[name], off_policy.identity(OFF_POLICY[name]), device=device, **options)


@contextmanager
def no_waiting() -> Iterator[None]:
    """Inside, whatever makes the CPU wait for the GPU raises."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def numbers(metrics: Metrics) -> dict[str, float]:
    return {key: float(metric.value) for key, metric in metrics.items() if "seconds" not in key}


@pytest.mark.parametrize("name", BOTH)
def test_a_gpu_learns_what_the_cpu_learns(name: str) -> None:
    on_cpu, on_gpu = training(name, "cpu"), training(name, "cuda")
    for _ in range(2):
        expected, found = numbers(on_cpu.update()), numbers(on_gpu.update())
        assert found == pytest.approx(expected, rel=2e-2, abs=2e-3)
    for ours, theirs in zip(on_gpu.policy.parameters(), on_cpu.policy.parameters(), strict=True):
        assert ours.device.type == "cuda"
        torch.testing.assert_close(ours.detach().cpu(), theirs.detach(), rtol=2e-2, atol=2e-3)


def test_images_are_acted_on_and_learned_from_there() -> None:
    """By torch's modules: an encoder of images is not computed in NumPy."""
    env, policy = (
        EnvConfig("tests.support.learning_envs:Picture-v0"),
        ActorCriticConfig(network=NetworkConfig((16,), cnn="small")),
    )
    on_cpu, on_gpu = (on_policy.Training(ON_POLICY["ppo"], env, policy, device=device) for device in ("cpu", "cuda"))
    for _ in range(2):
        assert numbers(on_gpu.update()) == pytest.approx(numbers(on_cpu.update()), rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("name", [name for name, case in BOTH.items() if not case.waits])
def test_nothing_in_an_update_waits_for_the_gpu(name: str) -> None:
    trained = training(name, "cuda")
    for _ in range(3):
        trained.update()
    stream = trained.rollouts if name in ON_POLICY else trained.replay
    batch, _, _ = stream.next(trained.now)
    with no_waiting():
        trained.agent.update(batch, trained.now)


@pytest.mark.parametrize("name", [name for name, case in BOTH.items() if all_can_compile(case.config)])
def test_a_compiled_update_is_the_one_that_is_not(name: str) -> None:
    eager = training(name, "cuda")
    compiled = training(name, "cuda", compiled=True)
    for _ in range(3):
        expected, found = numbers(eager.update()), numbers(compiled.update())
        assert found == pytest.approx(expected, rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("name", BOTH)
def test_a_loaded_state_goes_on_from_there(name: str) -> None:
    """To float tolerance: kernels of a GPU need not give the same bits twice."""
    first, second = training(name, "cuda"), training(name, "cuda")
    for _ in range(2):
        first.update()
    stream = "rollouts" if name in ON_POLICY else "replay"
    second.agent.load_state_dict(copy.deepcopy(first.agent.state_dict()))
    getattr(second, stream).load_state_dict(copy.deepcopy(getattr(first, stream).state_dict()))
    second.now = first.now
    for _ in range(2):
        expected, found = numbers(first.update()), numbers(second.update())
        assert found == pytest.approx(expected, rel=1e-2, abs=1e-3)


def test_data_are_normalized_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    env = EnvConfig("Pendulum-v1")
    save("tiny/pendulum-v0", *record_random(env, 4), env, algorithm="none", told={})
    options = "--dataset tiny/pendulum-v0 --epochs 2 --policy.normalize-observation --evaluation.final-episodes 10"
    words = f"train bc_pendulum {options} --device cuda --tracker none --run-dir {tmp_path / 'run'}"
    assert main(words.split()) == 0


@pytest.mark.parametrize("name", ["ppo", "dqn", "sac"])
def test_what_was_trained_on_a_gpu_acts_on_the_cpu(name: str) -> None:
    trained = training(name, "cuda")
    trained.update()
    state = {key: _on_cpu(value) for key, value in trained.agent.state_dict().items()}
    policy = policy_of(state)
    assert all(parameter.device.type == "cpu" for parameter in policy.parameters())


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.cpu()
    return {key: _on_cpu(item) for key, item in value.items()} if isinstance(value, dict) else value


class OfNumbers:
    """A small network on the GPU that is trained update by update."""

    def __init__(self, **options: Any) -> None:
        self.model = network().cuda()
        self.optimizer = optimizer_for(self.model, learning_rate=1e-2, max_grad_norm=0.5, **options)
        self.loss_fn = squared_error(self.model)

    def step(self, batch: Batch, update: int) -> Metrics:
        return self.optimizer.step(self.loss_fn, batch, Counters(updates=update))


def batches(count: int) -> list[Batch]:
    return [{key: value.cuda() for key, value in data(12, seed=seed).items()} for seed in range(count)]


@pytest.mark.parametrize("options", [{}, {"compile": True}, {"ema_decay": 0.9}, {"micro_batches": 3}], ids=str)
def test_no_step_of_the_optimizer_waits(options: dict[str, Any]) -> None:
    trained, given = OfNumbers(**options), batches(8)
    for update in range(4):
        trained.step(given[update], update)
    with no_waiting():
        for update in range(4, 8):
            trained.step(given[update], update)
    assert all(value.isfinite().all() for value in trained.model.parameters())


def test_a_bad_update_is_reported_late_and_nothing_was_made_of_it() -> None:
    for compiled in (False, True):
        trained, given = OfNumbers(compile=compiled), batches(4)
        trained.step(given[0], 0)
        before = copy.deepcopy(trained.model.state_dict())
        trained.step({**given[1], "y": given[1]["y"] * float("nan")}, 1)
        trained.step(given[2], 2)
        with pytest.raises(NonFinite, match="update 2"):
            trained.optimizer.state_dict()
        torch.testing.assert_close(trained.model.state_dict(), before, rtol=0, atol=0)


def test_a_run_on_a_gpu_says_so_and_can_be_resumed(tmp_path: Path) -> None:
    run, longer = tmp_path / "run", tmp_path / "longer"
    asked = f"train ppo_cartpole --device cuda --env-steps 4096 --tracker none --run-dir {run}"
    assert main(asked.split()) == 0
    assert read_settings(run)["chosen"]["device"] == "cuda"
    assert main(f"resume {run} --env-steps 8192 --run-dir {longer}".split()) == 0
