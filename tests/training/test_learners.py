"""Several learners are one: the same data, the same gradients to float tolerance, the same bits among themselves."""

from __future__ import annotations

import multiprocessing
import pickle
import socket
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from gymnasium import spaces
from torch import Tensor, nn

from agents.acting.collector import LocalCollector, SharedCollector, make_group
from agents.acting.rollouts import Rollouts
from agents.dqn import DQN, DQNConfig
from agents.policies.actor import Actor, ActorConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.ppo import PPO, PPOConfig
from agents.td3_bc import TD3BC, TD3BCConfig
from envs.config import EnvConfig
from pretraining.contrastive import Contrastive, ContrastiveConfig, ContrastiveEncoder, ContrastiveEncoderConfig
from training import learners
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.metrics import Max, Mean, Metrics
from training.networks import NetworkConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.seeding import generator


def _process(rank: int, count: int, port: int, work: Callable[[], Any], answers: Any) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=count)
    answers.put((rank, pickle.dumps(work())))  # as bytes: a queue would share tensors by file descriptors
    dist.barrier()
    dist.destroy_process_group()


def in_learners(count: int, work: Callable[[], Any]) -> list[Any]:
    """What each of several learners returns."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    # Their server has imported all of this once, and no thread has begun in it that a fork would lose.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    answers = context.Queue()
    processes = [context.Process(target=_process, args=(rank, count, port, work, answers)) for rank in range(count)]
    for process in processes:
        process.start()
    returned = dict(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return [pickle.loads(returned[rank]) for rank in range(count)]


class Regression:
    """A loss with a metric that averages, and batches of sizes that do not divide evenly."""

    def __init__(self, micro_batches: int = 1) -> None:
        self.network = nn.Linear(3, 2)
        nn.init.normal_(self.network.weight, generator=torch.Generator().manual_seed(1))
        nn.init.zeros_(self.network.bias)
        config = OptimizerConfig(learning_rate=0.05, max_grad_norm=0.5, micro_batches=micro_batches)
        self.optimizer = Optimizer(dict(self.network.named_parameters()), config, until=Budget(100, "updates"))

    def loss(self, batch: Batch) -> Loss:
        error = (self.network(batch["x"]) - batch["y"]).square().sum(-1)
        return Loss(error.sum(), len(error), {"error": Mean(error.detach().mean(), len(error))})

    def train(self) -> tuple[list[float], dict[str, Tensor]]:
        draw = torch.Generator().manual_seed(2)
        measured = []
        for update, rows in enumerate((8, 7, 1, 64, 2, 3)):
            batch = {"x": torch.randn(rows, 3, generator=draw), "y": torch.randn(rows, 2, generator=draw)}
            metrics = self.optimizer.step(self.loss, batch, Counters(updates=update))
            measured += [float(metrics[name].value) for name in ("error", "optimizer/loss", "optimizer/gradient_norm")]
        return measured, {key: value.detach().clone() for key, value in self.network.state_dict().items()}


def _regression() -> Any:
    return Regression().train()


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.full), 3])
def test_a_gradient_is_divided_and_added_up_again(count: int) -> None:
    measured, weights = _regression()
    of_learners = in_learners(count, _regression)
    for own_measured, own_weights in of_learners:
        assert own_measured == pytest.approx(measured, rel=1e-5)
        for name, value in weights.items():
            torch.testing.assert_close(own_weights[name], value, rtol=1e-5, atol=1e-6)
            assert torch.equal(own_weights[name], of_learners[0][1][name]), "the same bits in every learner"


def _of_nothing() -> Any:
    rank = dist.get_rank()
    of_one = torch.tensor([2.0, 3.0]) if rank == 0 else torch.full((2,), torch.nan)
    # The second learner has no share; of the second metric, it would be the first that has measured nothing.
    metrics: Metrics = {"spread": Mean(of_one[0], 4.0), "odd": Mean(torch.nan, 0.0) if rank == 0 else Mean(5.0)}
    without = learners.summed([of_one], of_one.sum(), 2.0, metrics, 1.0 - rank)
    of_all = learners.summed([torch.ones(2)], torch.ones(()), 2.0, {"odd": metrics["odd"]}, 1.0)
    return (without[0][0].tolist(), *map(float, without[1:3]), float(without[3]["spread"].value), of_all[3])


def test_what_a_learner_without_a_share_computes_is_not_added_even_if_it_is_not_finite() -> None:
    for *numbers_of_first, of_all in in_learners(2, _of_nothing):
        assert numbers_of_first == [[2.0, 3.0], 5.0, 2.0, 2.0]
        assert float(of_all["odd"].value) == 5.0


def _ppo() -> Any:
    make = partial(make_group, EnvConfig("CartPole-v1"), 4, seed=3)
    collector: Any = SharedCollector if learners.count() > 1 else LocalCollector
    collector = collector(lambda index: make(index=index), 2)
    policy = ActorCritic(
        collector.observation_space, collector.action_space, ActorCriticConfig(), generator(1, "weights")
    )
    agent = PPO(policy, PPOConfig(horizon=32, minibatch_size=64, epochs=2, target_kl=0.02), until=Budget(9000), seed=1)
    rollouts = Rollouts(collector, policy, 32)
    now, episodes = Counters(), []
    first: Batch = {}
    for update in range(4):
        if update == 2:  # the state of a run is the state of all learners
            saved = deepcopy(rollouts.state_dict())
            rollouts.next(now)
            rollouts.load_state_dict(saved)
        batch, now, metrics = rollouts.next(now)
        episodes.append({key: float(metric.value) for key, metric in metrics.items()})
        agent.update(batch, now)
        first = first or {key: value.clone() for key, value in batch.items()}
    return first, episodes, {key: value.detach().clone() for key, value in policy.state_dict().items()}


def test_two_learners_of_ppo_step_their_groups_and_learn_what_one_does() -> None:
    batch, episodes, weights = _ppo()
    of_learners = in_learners(2, _ppo)
    for own_batch, own_episodes, own_weights in of_learners:
        for key, value in batch.items():
            assert torch.equal(own_batch[key], value), f"the same data: {key}"
        assert own_episodes == episodes
        for name, value in weights.items():
            torch.testing.assert_close(own_weights[name], value, rtol=1e-3, atol=1e-4)
            assert torch.equal(own_weights[name], of_learners[0][2][name])


def _other_groups() -> str:
    make = partial(make_group, EnvConfig("CartPole-v1"), 1, seed=3)
    saved, own = (SharedCollector(lambda index: make(index=index), groups) for groups in (4, 2))
    try:
        own.load_state_dict(saved.state_dict())
    except UserError as error:
        return str(error)
    return "taken"


def test_the_state_of_other_groups_is_one_line() -> None:
    told = "groups = 2: it takes 4, as in the saved state"
    assert _other_groups() == told
    assert in_learners(2, _other_groups) == [told, told]


UNTIL = Budget(100, "updates")
PLAIN = OptimizerConfig("sgd", learning_rate=0.1)


def numbers(metrics: Metrics) -> dict[str, float]:
    return {key: float(metric.value) for key, metric in metrics.items()}


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in module.state_dict().items()}


def _contrastive() -> Any:
    space = {"input": spaces.Box(-1, 1, (3,), np.float32)}
    shape = ContrastiveEncoderConfig(network=NetworkConfig(hidden=(8,)), projection=4)
    model = ContrastiveEncoder(space, None, shape, generator(1, "weights"))
    learner = Contrastive(model, ContrastiveConfig(optimizer=PLAIN), until=UNTIL, seed=1)
    draw = torch.Generator().manual_seed(2)
    for update in range(3):
        x = torch.randn(2, 7, 3, generator=draw)
        measured, feedback = learner.update({"input": x[0], "later/input": x[1]}, Counters(updates=update))
    return numbers(measured), feedback, weights_of(model)


def _td3_bc() -> Any:
    box = spaces.Box(-1, 1, (3,), np.float32)
    small = NetworkConfig(hidden=(8,), activation="relu")
    actor = Actor(box, box, ActorConfig(small, distribution="deterministic"), generator(1, "weights"))
    config = TD3BCConfig(critic_network=small, actor_optimizer=PLAIN, critic_optimizer=PLAIN)
    learner = TD3BC(actor, config, until=UNTIL, seed=1)
    draw = torch.Generator().manual_seed(2)
    for update in range(4):
        batch = {key: torch.rand(7, 3, generator=draw) for key in ("obs", "next_obs", "action")}
        batch |= {"reward": torch.randn(7, generator=draw), "discount": torch.full((7,), 0.9)}
        measured, feedback = learner.update(batch, Counters(updates=update))
    return numbers(measured), feedback, weights_of(actor)


def _dqn() -> Any:
    box = spaces.Box(-1, 1, (3,), np.float32)
    policy = QNetwork(box, spaces.Discrete(2), QNetworkConfig(NetworkConfig(hidden=(8,))), generator(1, "weights"))
    learner = DQN(policy, DQNConfig(optimizer=PLAIN), until=UNTIL, seed=1, minibatch_size=7)
    draw = torch.Generator().manual_seed(2)
    for update in range(3):
        batch = {key: torch.randn(14, 3, generator=draw) for key in ("obs", "next_obs")}
        batch |= {key: torch.rand(14, generator=draw) for key in ("reward", "discount", "weight")}
        batch |= {"action": torch.arange(14) % 2, "index": torch.arange(14)}
        measured, feedback = learner.update(batch, Counters(updates=update))
    return numbers(measured), feedback, weights_of(policy)


def _coupled() -> Any:
    return {"contrastive": _contrastive(), "td3_bc": _td3_bc(), "dqn": _dqn()}


def test_what_is_of_a_whole_minibatch_is_the_same_for_several_learners() -> None:
    """Losses that compare or average over samples, and errors that come back for each of them."""
    alone, of_learners = _coupled(), in_learners(2, _coupled)
    for own in of_learners:
        for name, (measured, feedback, weights) in alone.items():
            own_measured, own_feedback, own_weights = own[name]
            assert own_measured == pytest.approx(measured, rel=1e-4, abs=1e-6), name
            for key, value in (feedback | weights).items():
                torch.testing.assert_close((own_feedback | own_weights)[key], value, rtol=1e-4, atol=1e-6)
            for key, value in own_weights.items():
                assert torch.equal(value, of_learners[0][name][2][key])


def _agree() -> Any:
    rank = dist.get_rank()
    return learners.agreed(rank + 5), learners.largest(rank), learners.all_of(learners.mine("abcd")), learners.leads()


def test_what_one_alone_knows_is_agreed_on() -> None:
    assert in_learners(2, _agree) == [(5, 1, list("abcd"), True), (5, 1, list("abcd"), False)]


def _refusals() -> Any:
    said = []
    for config in (OptimizerConfig(compile=True), OptimizerConfig(precision="fp16")):
        try:
            Optimizer(dict(nn.Linear(1, 1).named_parameters()), config, until=Budget(1))
        except UserError as error:
            said.append(str(error))
    regression = Regression()
    try:
        regression.optimizer.step(
            lambda batch: Loss(regression.network(batch["x"]).sum(), 2, {"largest": Max(1.0)}),
            {"x": torch.ones(4, 3)},
            Counters(),
        )
    except TypeError as error:
        said.append(str(error))
    return said


def test_what_learners_cannot_share_is_refused() -> None:
    assert in_learners(2, _refusals)[0] == [
        "compile = True: it takes False with several learners",
        "optimizer.precision = 'fp16': it takes 'bf16' with several learners",
        "largest of a loss is a Max: several learners can only share a Mean",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learners", "0"], "learners = 0: it takes at least 1"),
        (["--learners", "3"], "num_envs = 8: it takes a multiple of learners = 3"),
        (["--learners", "2", "--compile"], "compile = True: it takes False or 'auto' with learners = 2"),
        (
            ["--learners", "2", "--workers", "2"],
            "workers = 2: it takes 0 with learners = 2: those step the environments",
        ),
        (
            ["--learners", "2", "--groups", "1"],
            "groups = 1: it takes a multiple of learners = 2: each steps whole groups",
        ),
        pytest.param(
            ["--learners", "2", "--device", "cuda"],
            "device = 'cuda': torch sees no GPU here",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_what_does_not_fit_is_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from experiments.__main__ import main

    assert main(["train", "ppo_cartpole", *options, "--run-dir", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
