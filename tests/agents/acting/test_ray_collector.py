"""Rollout workers on Ray: they give the data of groups in one process, and what happens when one of them fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from agents.a2c import A2C, A2CConfig
from agents.acting.collector import Collector, LocalCollector, make_group
from agents.acting.ray_collector import RayCollector, join_parts
from agents.acting.rollouts import Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from agents.recurrent_ppo import RecurrentPPO, RecurrentPPOConfig
from agents.replay.buffer import ReplayBuffer
from agents.updates.rollout_samples import acted_on
from envs.config import EnvConfig
from envs.making import make_vec
from experiments.__main__ import main
from training.cluster.ray_session import WorkersFailedError, connected
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.metrics import Mean
from training.run.serialization import load_state, write_state
from training.seeding import generator

pytestmark = pytest.mark.xdist_group("ray")

WALK = EnvConfig("tests.support.toy_envs:RandomWalk-v0")
MASKED = EnvConfig("tests.support.toy_envs:MaskedPair-v0")
MATCHES = EnvConfig("tests.support.toy_matches:parallel_env")
SHORT = "--env-steps 2048 --log-every.count 512 --checkpoint.every.count 1000 --tracker none --threads 1"
SHORT += " --evaluation.every.count 1500 --evaluation.episodes 2 --evaluation.num-envs 2 --evaluation.final-episodes 2"

RUNS = {
    "ppo_acrobot": "--num-envs 4 --agent.horizon 32 --agent.minibatch-size 64",
    "recurrent_ppo_cartpole": "--agent.horizon 32 --agent.sequence-length 16 --agent.minibatch-size 64",
    "ppo_pendulum": "--num-envs 4 --agent.horizon 64 --agent.minibatch-size 64 --env.backend subprocess",
    "rnd_deep_sea": "--agent.horizon 32 --agent.minibatch-size 128 --agent.epochs 2 --agent.warmup-env-steps 600",
    "bandit_bernoulli": "--num-envs 2 --agent.horizon 8",
    "impala_cartpole": "--agent.max-policy-lag 0",
    "appo_cartpole": "--agent.max-policy-lag 0",
    "rainbow_cartpole": "--num-envs 4 --replay.horizon 16 --replay.minibatch-size 32",
    "sac_pendulum": "--num-envs 4 --replay.horizon 16 --replay.minibatch-size 32",
}
QUICK = ("recurrent_ppo_cartpole", "dies")
"""`make test-full` runs all: a new process takes seconds."""


def some_quick(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.full) for name in names]


@pytest.fixture(scope="module", autouse=True)
def _shared_ray() -> Iterator[None]:
    """One Ray for all tests here: who connects later uses it too."""
    with connected(None, cpus=4):
        yield


def make_workers(env: EnvConfig, *, num_envs: int = 4, workers: int = 2, **kwargs: Any) -> RayCollector:
    """Two inference groups on each worker."""
    settings = {"address": None, "timeout_s": 60.0, "max_replacements": 2} | kwargs
    size = num_envs // workers // 2
    return RayCollector(env, group_size=size, groups_per_worker=2, workers=workers, seed=1, **settings)


def make_policy(collector: Collector, *, normalize: bool = True) -> ActorCritic:
    spaces = collector.observation_space, collector.action_space
    return ActorCritic(*spaces, ActorCriticConfig(normalize_observation=normalize), generator(1, "weights"))


def spaces_of(env: EnvConfig) -> tuple[Any, Any]:
    with closing(make_vec(env, 1, seed=0)) as vec:
        return vec.observation_space, vec.action_space


def same(a: Batch, b: Batch) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture
def collectors() -> Iterator[Callable[..., RayCollector]]:
    made: list[RayCollector] = []

    def make(*args: Any, **kwargs: Any) -> RayCollector:
        made.append(make_workers(*args, **kwargs))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


@pytest.mark.parametrize("env", [WALK, MATCHES, pytest.param(MASKED, marks=pytest.mark.full)], ids=lambda env: env.id)
def test_two_workers_give_the_data_of_four_groups_in_this_process(
    env: EnvConfig, collectors: Callable[..., RayCollector]
) -> None:
    ours = LocalCollector(lambda index: make_group(env, 1, seed=1, index=index), 4)
    theirs = collectors(env)
    policy = make_policy(ours)
    assert (theirs.observation_space, theirs.action_space) == (ours.observation_space, ours.action_space)
    for version, mode in enumerate(("random", "explore", "greedy")):
        for collector in (ours, theirs):
            collector.publish(policy, version)
        (expected, metrics), (got, more) = ours.collect(24, mode), theirs.collect(24, mode)
        assert same(expected, got)
        assert more == metrics | {"rollout/workers": Mean(2)}
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.mul_(1.1)
        policy.update_normalizers({"obs": got["obs"][:-1].flatten(0, 1)})
    assert theirs.inexact == []


@pytest.mark.parametrize("name", some_quick(RUNS))
def test_a_run_on_workers_is_the_run_with_as_many_groups(name: str, tmp_path: Path) -> None:
    for where in ("--workers 0 --groups 2", "--workers 2"):
        asked = ["train", name, *SHORT.split(), *RUNS[name].split(), *where.split()]
        assert main([*asked, "--run-dir", str(tmp_path / where)]) == 0
    here, there = (run_of(tmp_path / where) for where in ("--workers 0 --groups 2", "--workers 2"))
    assert here == there


def run_of(folder: Path) -> tuple[Any, ...]:
    """Every row of the log, the learned state and the result."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        assert row.pop("rollout/workers", 2.0) == 2.0
    result = json.loads((folder / "result.json").read_text())
    agent = (folder / result["checkpoint"] / "agent.safetensors").read_bytes()
    return rows, agent, [result[key] for key in ("status", "exact", "counters", "metrics", "best")]


@pytest.mark.full
def test_saved_workers_continue_to_the_bit(collectors: Callable[..., RayCollector], tmp_path: Path) -> None:
    first, second = collectors(WALK), collectors(WALK)
    policy = make_policy(first)
    for collector in (first, second):
        collector.publish(policy, 0)
    first.collect(24)
    write_state(tmp_path, "stream", first.state_dict())
    second.load_state_dict(load_state(tmp_path, "stream"))
    assert second.inexact == []
    for _ in range(2):
        assert same(first.collect(24)[0], second.collect(24)[0])


@pytest.mark.parametrize("how", some_quick(["dies", "raises", "is out of memory", "hangs"]))
def test_a_worker_that_fails_is_replaced_and_costs_one_fragment(
    how: str, collectors: Callable[..., RayCollector], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "break"
    env = EnvConfig("tests.support.toy_envs:BreaksOnce-v0", kwargs={"how": how, "file": str(file)})
    limit_s = 10 if how == "hangs" else 120  # a worker that is well may take long on a busy machine
    collector = collectors(env, timeout_s=limit_s)
    undisturbed = LocalCollector(lambda index: make_group(WALK, 1, seed=1, index=index), 4)
    policy = make_policy(undisturbed, normalize=False)  # whose statistics would be learned first
    rollouts = Rollouts(collector, policy, 16)
    undisturbed.publish(policy, 0)

    whole, now, _ = rollouts.next(Counters())
    assert same(whole, undisturbed.collect(16)[0])

    file.touch()
    part, after, metrics = rollouts.next(now)
    expected = undisturbed.collect(16)[0]
    kept = part["valid"].all(0)
    assert kept.tolist() in ([True, True, False, False], [False, False, True, True])
    assert not part["valid"][:, ~kept].any()
    assert torch.equal(part["obs"][:, kept], expected["obs"][:, kept])
    assert torch.equal(part["action"][:, kept], expected["action"][:, kept])
    assert after.env_steps == now.env_steps + 32
    assert metrics["rollout/workers"] == Mean(1)

    lost = f"worker {int(kept[0])} was lost and replaced at update 0"
    told = {"dies": "died", "raises": "KeyError: 'lost'", "is out of memory": "MemoryError", "hangs": "within 10 s"}
    (line,) = collector.inexact
    assert line.startswith(lost)
    assert told[how] in line
    assert "is lost" in capsys.readouterr().err

    for _ in range(2000):  # the others go on meanwhile
        part, _, metrics = rollouts.next(after)
        if "valid" not in part:
            break
    assert metrics["rollout/workers"] == Mean(2)
    # Its successor begins other episodes than the ones that were seen.
    assert part["is_first"][0, ~kept].all()
    assert not torch.isin(part["obs"][0, ~kept, 0], whole["obs"][0, :, 0]).any()


@pytest.mark.full
def test_a_fault_is_remembered_by_the_state_and_the_lives_go_on(
    collectors: Callable[..., RayCollector], tmp_path: Path
) -> None:
    file = tmp_path / "break"
    env = EnvConfig("tests.support.toy_envs:BreaksOnce-v0", kwargs={"how": "dies", "file": str(file)})
    first = collectors(env)
    policy = make_policy(first)
    first.publish(policy, 0)
    file.touch()
    first.collect(8)
    state = first.state_dict()  # the successor has not begun
    lives = [worker["life"] for worker in state["workers"]]
    assert sorted(lives) == [0, 1]
    assert state["workers"][lives.index(1)]["groups"] is None
    second = collectors(env)
    second.publish(policy, 0)
    second.load_state_dict(state)
    for _ in range(2000):
        batch, _ = first.collect(8)
        if "valid" not in batch:
            break
    fresh = torch.tensor([life == 1 for life in lives]).repeat_interleave(2)
    again, _ = second.collect(8)
    assert torch.equal(again["obs"][:, fresh], batch["obs"][:, fresh])
    second.load_state_dict(first.state_dict())
    assert same(first.collect(8)[0], second.collect(8)[0])


@pytest.mark.full
def test_with_a_lag_nobody_waits_and_nothing_gets_too_old(
    collectors: Callable[..., RayCollector], tmp_path: Path
) -> None:
    env = EnvConfig("tests.support.toy_envs:SlowInOnePlace-v0", kwargs={"file": str(tmp_path / "slow")})
    collector = collectors(env, max_policy_lag=5)
    policies = [make_policy(collector) for _ in range(20)]
    workers, lags = [], []
    for version, policy in enumerate(policies):
        with torch.no_grad():
            policy.actor[-1].bias.fill_(version / 20)
        collector.publish(policy, version)
        batch, metrics = collector.collect(4)
        assert batch["reward"].shape == (4, 4)
        assert "valid" not in batch
        workers.append(metrics["rollout/workers"].value)
        lags.append(metrics["rollout/policy_lag_max_updates"].value)
        # Each part has the log-probabilities of the policy that acted, which is one of the last six.
        recent = [older.log_prob(acted_on(batch)) for older in policies[max(0, version - 5) : version + 1]]
        for part in (slice(0, 2), slice(2, 4)):
            assert any(torch.allclose(batch["log_prob"][:, part], log_prob[:, part]) for log_prob in recent)
    assert 1.0 in workers  # one made both parts: the other was not waited for
    assert max(lags) == 5  # until what it makes would be too old
    assert collector.inexact == ["acting up to 5 updates behind learning, as it happens"]
    state = collector.state_dict()
    assert [worker["life"] for worker in state["workers"]] == [0, 0]
    collector.load_state_dict(state)
    assert collector.collect(4)[1]["rollout/policy_lag_max_updates"].value == 0


@pytest.mark.full
def test_with_a_lag_a_state_waits_for_all_that_is_being_made(
    collectors: Callable[..., RayCollector], tmp_path: Path
) -> None:
    env = EnvConfig("tests.support.toy_envs:SlowInOnePlace-v0", kwargs={"file": str(tmp_path / "slow")})
    collector = collectors(env, max_policy_lag=5, timeout_s=3.0)
    collector.publish(make_policy(collector), 0)
    collector.collect(12)  # the slow one has two parts to make, each of 2.4 s
    state = collector.state_dict()
    assert [worker["life"] for worker in state["workers"]] == [0, 0]
    assert all(worker["groups"] for worker in state["workers"])


@pytest.mark.full
@pytest.mark.parametrize("how", ["dies", "hangs"])
def test_with_a_lag_the_others_do_the_work_of_a_lost_worker(
    how: str, collectors: Callable[..., RayCollector], tmp_path: Path
) -> None:
    file = tmp_path / "break"
    env = EnvConfig("tests.support.toy_envs:BreaksOnce-v0", kwargs={"how": how, "file": str(file)})
    collector = collectors(env, max_policy_lag=2, timeout_s=10 if how == "hangs" else 120)
    policy = make_policy(collector)
    workers = []
    for version in range(2000):
        if version == 3:
            file.touch()
        collector.publish(policy, version)
        batch, metrics = collector.collect(4)
        assert metrics["rollout/policy_lag_max_updates"].value <= 2
        workers.append(metrics["rollout/workers"].value)
        if len(collector.inexact) == 2 and workers[-1] == 2.0:
            break
    assert 1.0 in workers
    assert "valid" not in batch
    assert "was lost and replaced at update" in collector.inexact[1]


@pytest.mark.full
def test_memory_is_flat_over_five_hundred_rollouts(collectors: Callable[..., RayCollector]) -> None:
    collector = collectors(WALK)
    policy = make_policy(collector)
    used = []
    for version in range(600):
        collector.publish(policy, version)
        collector.collect(64)
        if version in (99, 599):
            used.append({"run": resident_bytes([os.getpid()]), "workers": resident_bytes(worker_processes())})
    for part in ("run", "workers"):
        assert used[1][part] - used[0][part] < 16e6, (part, used)
    held = ray.cluster_resources()["object_store_memory"] - ray.available_resources()["object_store_memory"]
    assert held < 16e6


def worker_processes() -> list[int]:
    """Those that this process's own Ray has."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(b"ray::RolloutWorker"):
                raylet = status(folder)["PPid"]
                if status(Path("/proc", raylet))["PPid"] == str(os.getpid()):
                    found.append(int(folder.name))
    assert len(found) == 2
    return found


def resident_bytes(processes: Iterable[int]) -> int:
    """Of memory that is theirs alone: the object store's is shared."""
    return sum(1024 * int(status(Path("/proc", str(pid)))["RssAnon"].split()[0]) for pid in processes)


def status(folder: Path) -> dict[str, str]:
    lines = (folder / "status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


@pytest.mark.full
def test_what_always_breaks_is_one_clear_failure(collectors: Callable[..., RayCollector]) -> None:
    env = EnvConfig("tests.support.toy_envs:Faulty-v0", kwargs={"how": "raises"})
    collector = collectors(env, num_envs=2, workers=1, max_replacements=1)
    collector.publish(make_policy(collector), 7)
    failed = r"worker 0 failed 2 times, .*max_replacements = 1; the last time, at update 7: EnvFault: env \d .*'lost'"
    with pytest.raises(WorkersFailedError, match=failed):
        collector.collect(1000)


@pytest.mark.full
def test_what_cannot_be_made_is_said_at_once(collectors: Callable[..., RayCollector]) -> None:
    with pytest.raises(UserError, match=r"env\.kwargs|nonsense"):
        collectors(EnvConfig("CartPole-v1", kwargs={"nonsense": 1}))


@pytest.mark.full
def test_steps_of_missing_workers_are_neither_learned_nor_remembered(
    collectors: Callable[..., RayCollector], tmp_path: Path
) -> None:
    file = tmp_path / "break"
    env = EnvConfig("tests.support.toy_envs:BreaksOnce-v0", kwargs={"how": "dies", "file": str(file)})
    collector = collectors(env)
    policy, other = make_policy(collector), make_policy(collector)
    buffer = ReplayBuffer(1000, 4)
    collector.publish(policy, 0)
    buffer.add(collector.collect(16)[0])
    file.touch()
    batch, _ = collector.collect(16)
    buffer.add(batch)
    assert buffer.transitions == 4 * 16 + 2 * 16
    kept = batch["valid"].all(0)
    t, n = batch["final_index"].unbind(1)
    columns = {key: value[:, kept] for key, value in batch.items() if not key.startswith(("final_", "valid"))}
    columns["final_obs"] = batch["final_obs"]
    columns["final_index"] = torch.stack([t, n - int(n.min()) // 2 * 2], 1)
    for learner, data in ((policy, batch), (other, columns)):
        A2C(learner, A2CConfig(horizon=16), until=Budget(1000), seed=1).update(data, Counters())
    for (name, ours), theirs in zip(policy.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name


@pytest.mark.parametrize("half", [0, 1])
def test_no_sequence_of_a_missing_worker_is_learned_from(half: int) -> None:
    """Not even where a minibatch is a single sequence."""
    spaces = spaces_of(WALK)
    policy = RecurrentActorCritic(*spaces, RecurrentActorCriticConfig(), generator(1, "weights"))
    alone = LocalCollector(lambda index: make_group(WALK, 2, seed=1, index=index))
    alone.publish(policy, 0)
    batch = join_parts({half: alone.collect(8)[0]}, 2)
    config = RecurrentPPOConfig(horizon=8, sequence_length=4, minibatch_size=4, epochs=1)
    agent = RecurrentPPO(policy, config, until=Budget(1000), seed=1)
    metrics, _ = agent.update(batch, Counters())
    assert metrics["policy/loss"].weight == 16  # samples
    assert all(parameter.isfinite().all() for parameter in policy.parameters())


@pytest.mark.full
def test_an_address_where_no_cluster_is_ends_the_run_before_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train ppo_cartpole --tracker none --workers 2 --ray-address"
    for address, told in (("127.0.0.1:9", "no Ray cluster answers there"), ("ray://host:10001", "it takes HOST:PORT")):
        code = f"import sys; from experiments.__main__ import main; sys.exit(main({[*asked.split(), address]!r}))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert f"error: ray_address = '{address}': {told}" in done.stderr
