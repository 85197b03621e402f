"""Measuring a policy: which episodes count, what they are worth, how the policy acts in them."""

from __future__ import annotations

import signal
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.acting import evaluation as evaluating
from agents.acting.evaluation import Evaluation, EvaluationConfig, play, play_episodes
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.policy import Acting
from agents.ppo import PPO, PPOConfig
from envs.config import EnvConfig
from envs.making import make_env, make_vec
from envs.vectors.vector import Arrays
from training import interruption
from training.core import Budget
from training.metrics import Last
from training.networks import NetworkConfig
from training.seeding import generator

COUNTING = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")
MASKED = EnvConfig("tests.support.toy_envs:Masked-v0")
UNEVEN = EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"length": 3}, backend="vector-entry-point")
"""Env n has episodes of 3 + n steps with the rewards 1, 2, 3 ...; a reset transition follows each of them."""


class Pays(gym.Env[Any, Any]):
    """Twenty steps, each of which pays its action."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.ones(1, np.float32), float(action), False, False, {}


gym.register("Pays-v0", Pays, max_episode_steps=20)
PAYS = EnvConfig("tests.agents.acting.test_evaluation:Pays-v0")


def make_policy(env: EnvConfig, favourite: int = 0) -> ActorCritic:
    """A policy that likes one action e times as much as each other one, whatever it sees."""
    made = make_env(env)
    config = ActorCriticConfig(network=NetworkConfig(hidden=(8,)))
    policy = ActorCritic(made.observation_space, made.action_space, config, generator(1))
    with torch.no_grad():
        policy.actor[-1].bias[favourite] += 1.0  # type: ignore[operator, index]
    return policy


class Remembers:
    """A recurrent policy: its state is how many steps of the episode it has seen. It notes what it was given."""

    def __init__(self) -> None:
        self.noted: list[tuple[list[float], list[float], str]] = []

    def acting(self, mode: Any, rows: int) -> Acting:
        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            first = torch.from_numpy(step["is_first"].copy())
            steps = torch.where(first, 0.0, state.get("steps", torch.full((rows,), -1.0)) + 1)
            self.noted.append((step["obs"][:, 0].tolist(), steps.tolist(), mode))
            return {"action": np.zeros(rows, np.int64)}, {"steps": steps}

        return act

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        return {}

    def env_action(self, action: Arrays) -> Arrays:
        return action


def measured(env: EnvConfig, policy: ActorCritic, *, seed: int = 1, **config: Any) -> dict[str, float]:
    return Evaluation(env, EvaluationConfig(**config), seed=seed).measure(policy, config["episodes"])


def test_every_episode_counts_its_own_rewards_and_steps() -> None:
    returns, lengths = play(make_vec(COUNTING, 3, seed=1), make_policy(COUNTING), 2, mode="explore", rng=generator(1))
    assert returns.tolist() == [3, 3, 3, 6, 6, 6]
    assert lengths.tolist() == [3, 3, 3, 4, 4, 4]


def test_the_first_episodes_of_each_env_count_so_that_short_ones_are_not_favoured() -> None:
    policy = make_policy(EnvConfig(UNEVEN.id, kwargs=UNEVEN.kwargs))
    returns, lengths = play(make_vec(UNEVEN, 4, seed=1), policy, 2, mode="greedy", rng=generator(1))
    assert sorted(lengths.tolist()) == [3, 3, 4, 4, 5, 5, 6, 6]
    np.testing.assert_array_equal(returns, lengths * (lengths + 1) / 2)


def test_an_episode_without_an_end_counts_as_it_stands() -> None:
    env = EnvConfig("tests.support.learning_envs:Endless-v0")
    returns, lengths = play(
        make_vec(env, 2, seed=1), make_policy(env), 1, mode="greedy", rng=generator(1), max_episode_steps=7
    )
    assert (returns.tolist(), lengths.tolist()) == ([7, 7], [7, 7])
    assert measured(env, make_policy(env), episodes=2, num_envs=2, max_episode_steps=9)["evaluation/length_mean"] == 9


def test_where_env_steps_are_spent_as_many_episodes_of_each_env_count_as_all_have_finished() -> None:
    env = EnvConfig("tests.support.toy_envs:RandomWalk-v0")  # an episode ends with a chance of one in ten
    settings: dict[str, Any] = {"mode": "greedy", "rng": generator(1)}
    _, all_lengths = play(make_vec(env, 3, seed=1), make_policy(env), 8, **settings)
    rounds = np.array(_by_env(env, 3, 8))  # [env, episode] lengths
    for enough in (2, 5):
        spent = int(3 * rounds[:, :enough].sum(1).max())
        _, lengths = play(make_vec(env, 3, seed=1), make_policy(env), 8, **settings, max_env_steps=spent)
        assert sorted(lengths) == sorted(rounds[:, :enough].ravel())
        _, lengths = play(make_vec(env, 3, seed=1), make_policy(env), 8, **settings, max_env_steps=spent - 1)
        assert sorted(lengths) == sorted(rounds[:, : enough - 1].ravel())
    _, lengths = play(make_vec(env, 3, seed=1), make_policy(env), 8, **settings, max_env_steps=10**9)
    assert lengths.tolist() == all_lengths.tolist()


def _by_env(env: EnvConfig, num_envs: int, episodes: int) -> list[list[int]]:
    """The lengths of the first episodes of each environment, one of them after the other."""
    lengths = []
    for index in range(num_envs):
        vec = make_vec(env, 1, seed=1, first_env=index)
        played = play(vec, make_policy(env), episodes, mode="greedy", rng=generator(1))[1]
        lengths.append(played.tolist())
    return lengths


def test_an_env_that_has_finished_nothing_counts_as_it_stands_where_env_steps_are_spent() -> None:
    env = EnvConfig("tests.support.learning_envs:Endless-v0", time_limit=90)
    returns, lengths = play(
        make_vec(env, 2, seed=1), make_policy(env), 3, mode="greedy", rng=generator(1), max_env_steps=41
    )
    assert (returns.tolist(), lengths.tolist()) == ([20, 20], [20, 20])


def test_a_short_run_ends_with_a_short_evaluation_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    endless = EnvConfig("tests.support.learning_envs:Endless-v0")  # episodes of 100 steps
    config = EvaluationConfig(episodes=20, final_episodes=100)
    evaluation = Evaluation(endless, config, seed=1, trained_env_steps=40)
    scores = evaluation.final(make_policy(endless))
    assert scores["evaluation/length_mean"] == 100  # whole ones, of fewer environments
    assert (scores["evaluation/episodes"], scores["evaluation/episodes_left_out"]) == (4, 96)
    evaluation.final(make_policy(endless))
    told = (
        "evaluation: 4 of 100 episodes count: its evaluation.max_env_steps of 400, 10 times the run's env_steps, were"
    )
    assert capsys.readouterr().err.count(told) == 1

    for enough in ({"trained_env_steps": 1_000}, {}):  # and what learns from data trains for none
        scores = Evaluation(endless, config, seed=1, **enough).final(make_policy(endless))
        assert scores["evaluation/episodes"] == 100
        assert "evaluation/episodes_left_out" not in scores
    asked = EvaluationConfig(final_episodes=100, max_env_steps=50)
    scores = Evaluation(endless, asked, seed=1, trained_env_steps=1_000_000).final(make_policy(endless))
    assert (scores["evaluation/episodes"], scores["evaluation/length_mean"]) == (1, 50)


def test_any_number_of_episodes_is_played_and_the_first_envs_play_one_more() -> None:
    env = EnvConfig("tests.support.toy_envs:RandomWalk-v0")
    rounds = _by_env(env, 4, 3)
    policy = make_policy(env)
    lengths = [
        episode.length
        for episode in play_episodes(
            make_vec(env, 4, seed=1), policy, [3, 3, 2, 2], mode="greedy", rng=generator(1), max_env_steps=10**9
        )
    ]
    assert sorted(lengths) == sorted([*rounds[0], *rounds[1], *rounds[2][:2], *rounds[3][:2]])
    assert measured(env, policy, episodes=7, num_envs=4)["evaluation/episodes"] == 7
    assert measured(env, policy, episodes=3, num_envs=4)["evaluation/episodes"] == 3


def test_what_chose_the_best_checkpoint_does_not_measure_it() -> None:
    env = EnvConfig("tests.support.toy_envs:RandomWalk-v0")
    policy = make_policy(env)
    agent = PPO(policy, PPOConfig(), until=Budget(1), seed=1)
    evaluation = Evaluation(env, EvaluationConfig(episodes=10, final_episodes=10), seed=1)
    chosen, final = evaluation(agent), evaluation.final(policy)
    assert chosen["evaluation/return_mean"].value != final["evaluation/return_mean"]
    assert evaluation(agent) == chosen
    assert evaluation.final(policy) == final


def test_an_evaluation_ends_where_a_signal_asks_for_it_and_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "SHOWN_EVERY_S", -1.0)
    shown: list[str] = []
    played: list[float | None] = []

    def note(doing: str, fraction: float | None = None) -> None:
        shown.append(doing)
        played.append(fraction)

    def show(doing: str, fraction: float | None = None) -> None:
        note(doing, fraction)
        if len(shown) == 7:
            signal.raise_signal(signal.SIGTERM)

    endless = EnvConfig("tests.support.learning_envs:Endless-v0")
    evaluation = Evaluation(endless, EvaluationConfig(), seed=1, show=show)
    with interruption.catch(), pytest.raises(interruption.Interrupted):
        evaluation.final(make_policy(endless))
    assert shown[-1] == "evaluating: 0/100 episodes, 70 env steps"
    shown.clear()
    played.clear()
    Evaluation(endless, EvaluationConfig(final_episodes=10), seed=1, show=note).final(make_policy(endless))
    assert shown[-2:] == ["evaluating: 10/10 episodes, 1,000 env steps", ""]
    told = [fraction for fraction in played[:-1] if fraction is not None]
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_recurrent_policy_is_told_where_episodes_begin_and_keeps_its_state_within_them() -> None:
    policy = Remembers()
    play(make_vec(COUNTING, 2, seed=1), policy, 3, mode="greedy", rng=generator(1))
    assert len(policy.noted) == 3 + 4 + 5
    for step_of_episode, steps, mode in policy.noted:
        assert steps == step_of_episode
        assert mode == "greedy"


def test_the_scores_are_worked_out_by_hand() -> None:
    config = EvaluationConfig(episodes=4, final_episodes=10, num_envs=2)
    policy = make_policy(COUNTING)
    agent = PPO(policy, PPOConfig(), until=Budget(1), seed=1)
    assert Evaluation(COUNTING, config, seed=1)(agent) == {  # returns 3, 3, 6, 6
        "evaluation/return_mean": Last(4.5),
        "evaluation/return_std": Last(1.5),
        "evaluation/return_min": Last(3.0),
        "evaluation/length_mean": Last(3.5),
        "evaluation/episodes": Last(4.0),
    }
    final = Evaluation(COUNTING, config, seed=1).final(policy)  # and 10, 10, 3, 3, 6, 6
    assert final["evaluation/return_mean"] == pytest.approx(5.6)
    assert final["evaluation/length_mean"] == pytest.approx(3.8)


def test_the_most_likely_action_is_taken_or_one_is_drawn() -> None:
    policy = make_policy(PAYS, favourite=1)
    assert measured(PAYS, policy, episodes=10, num_envs=5)["evaluation/return_min"] == 20
    drawn = measured(PAYS, policy, episodes=10, num_envs=5, greedy=False)
    assert drawn["evaluation/return_mean"] == pytest.approx(20 * np.e / (1 + np.e), abs=2)
    assert drawn["evaluation/return_std"] > 0


def test_the_same_seed_gives_the_same_score() -> None:
    policy = make_policy(PAYS, favourite=1)
    settings: dict[str, Any] = {"episodes": 10, "num_envs": 5, "greedy": False}
    score = measured(PAYS, policy, seed=1, **settings)
    torch.manual_seed(7)
    assert measured(PAYS, policy, seed=1, **settings) == score
    assert measured(PAYS, policy, seed=2, **settings) != score

    cartpole = EnvConfig("CartPole-v1")  # greedy: only the environments' seed is left
    greedy = [measured(cartpole, make_policy(cartpole), seed=seed, episodes=8, num_envs=4) for seed in (1, 1, 2)]
    assert greedy[0] == greedy[1] != greedy[2]


@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize("favourite", [0, 3])
def test_what_a_mask_forbids_is_not_played(greedy: bool, favourite: int) -> None:
    """The environment raises for the forbidden action, which is each of the four in turn."""
    policy = make_policy(MASKED, favourite)
    scores = measured(MASKED, policy, episodes=4, num_envs=2, greedy=greedy)
    assert scores["evaluation/return_mean"] == 6

    env = make_env(MASKED)
    obs, info = env.reset(seed=1)
    chosen = []
    for _ in range(6):
        chosen.append(policy.predict(obs, greedy=greedy, action_mask=info["action_mask"]))
        obs, _, _, _, info = env.step(chosen[-1])
    liked = favourite + 1  # the actions begin at 1
    assert not greedy or 4 <= chosen.count(liked) < 6


def test_how_much_there_will_be_is_known_before_the_first() -> None:
    pendulum = EnvConfig("Pendulum-v1")
    config = EvaluationConfig(episodes=20, final_episodes=100, num_envs=10)
    outlook = Evaluation(pendulum, config, seed=1, trained_env_steps=20_000, trained_envs=4).outlook
    assert (outlook.every, outlook.final) == (config.every, (5.0, 5.0))
    assert outlook.work == 20 * 200 // 10 * 4  # 400 steps of 10 environments, as 400 steps of the 4 of the training
    assert Evaluation(pendulum, config, seed=1, trained_env_steps=100, trained_envs=4).outlook.work == 1000 // 10 * 4
    assert Evaluation(pendulum, config, seed=1).outlook.work == 0
