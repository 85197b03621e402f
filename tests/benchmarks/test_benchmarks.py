"""The benchmarks' harness: what it measures, what counts, what it keeps; the speeds themselves are no test."""

from __future__ import annotations

import copy
import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env

from benchmarks.__main__ import main
from benchmarks.comparison import trainers
from benchmarks.comparison.measurement import Measurement, read_run
from benchmarks.comparison.pairs import holds, judged, report, run_pair
from benchmarks.comparison.programs import Ours, Peer, PeerElsewhere
from benchmarks.comparison.race import RACES, RaceSettings
from benchmarks.comparison.settings import OffPolicySettings, PPOSettings
from benchmarks.comparison.workloads import DQN, EAGER, SAC, TD3, WORKLOADS, Workload
from benchmarks.costs import overhead, threads
from benchmarks.costs.profile import Timers
from benchmarks.costs.scaling import ENVS, HORIZON, Costs, line
from benchmarks.costs.slow_envs import Slow
from benchmarks.peers import sb3_zoo
from benchmarks.peers.sb3_off_policy import make_model
from experiments.control import ppo_cartpole
from reports import benchmarks
from reports.tables import write_docs
from tests.support import ROOT
from training.errors import UserError
from training.experiments import load_experiment
from training.options import parse_options
from training.run.provenance import describe_environment

TINY = PPOSettings(
    env_steps=512,
    horizon=32,
    epochs=2,
    learning_rate=1e-3,
    gamma=0.98,
    gae_lambda=0.8,
    log_every_env_steps=256,
    checkpoint_every_env_steps=256,
    evaluation_episodes=10,
)

ENVIRONMENT = describe_environment()


@dataclass(frozen=True)
class Canned:
    """A program whose process only counts that it ran, and whose measurement is given."""

    side: str
    seconds: float
    log: Path
    final_return: float = 500.0
    code: int = 0
    threads: int = 1

    def require(self) -> None: ...

    def command(self, folder: Path, seed: int) -> list[str]:
        script = f"open({str(self.log)!r}, 'a').write('{self.side} {seed}\\n'); print('so it ends'); exit({self.code})"
        return [sys.executable, "-c", script]

    def read(self, folder: Path) -> dict[str, Measurement]:
        return {self.side: measurement(self.seconds, final_return=self.final_return)}


def measurement(seconds: float, *, final_return: float | None = 500.0) -> Measurement:
    return Measurement(1000, seconds, 200, seconds / 2, 100.0, final_return)


def side(figure: float, final_return: float = 500.0) -> dict[str, Any]:
    return {
        "figure": figure,
        "final_return": final_return,
        "warm_up_seconds": 0.5,
        "peak_memory_bytes": 2**28,
        "load_average": 1.0,
    }


def workload(name: str = "counting", **values: Any) -> Workload:
    return Workload(
        **{"name": name, "title": "Counting", "programs": (), "peer": "slow", "floor": 2.0, "aim": 3.0, **values}
    )


def canned(name: str, log: Path, **values: Any) -> Workload:
    programs = (Canned("ours", 1.0, log, **values), Canned("peer", 4.0, log))
    return workload(name, programs=programs, least_return=100.0)


def measured_reports() -> list[dict[str, Any]]:
    """Of three workloads: one holds, one has no floor, one never learned."""
    asked = [
        workload("one"),
        workload("two", floor=None, aim=None, figure="seconds_from_process_start"),
        workload("none", least_return=501.0),
    ]
    pairs = [{"ours": side(40.0 + seed), "peer": side(10.0)} for seed in range(3)]
    return [
        report(own, [judged(own, 1, pair) for pair in pairs], source_hash="", environment=ENVIRONMENT) for own in asked
    ]


def test_rates_leave_out_what_came_before_the_first_row_only_when_asked() -> None:
    measured = measurement(4.0)
    assert measured.per_second == 250.0
    assert measured.per_second_after_first_row == 400.0
    assert measured.warm_up_seconds == pytest.approx(2.0 - 200 / 400)


def test_the_ratio_says_how_many_times_as_fast_ours_is() -> None:
    pair = {"ours": side(6.0), "peer": side(3.0)}
    assert judged(workload(), 1, pair)["ratio"] == 2.0
    assert judged(workload(figure="seconds_from_process_start"), 1, pair)["ratio"] == 0.5


@pytest.mark.parametrize(("who", "poor"), [("ours", 99.0), ("peer", 99.0), ("ours", float("nan"))])
def test_speed_without_learning_does_not_count(who: str, poor: float) -> None:
    asked = workload(least_return=100.0)
    good = judged(asked, 1, {"ours": side(6.0), "peer": side(2.0)})
    bad = judged(asked, 2, {"ours": side(90.0), "peer": side(2.0)} | {who: side(90.0, poor)})
    assert good["failed"] is None
    assert bad["failed"] == f"the return of {who} is {poor:g}, less than 100"
    written = report(asked, [good, bad], source_hash="", environment=ENVIRONMENT)
    assert written["ratio"] == {"median": 3.0, "min": 3.0, "max": 3.0}
    assert (written["pairs_counted"], written["pairs_failed"], written["holds"]) == (1, 1, False)
    assert report(asked, [bad], source_hash="", environment=ENVIRONMENT)["ratio"] is None


def test_a_peer_that_does_not_get_there_counts_with_all_of_its_time() -> None:
    race = workload(figure="seconds_from_process_start", least_return=100.0, peer_may_fail=True)
    late = judged(race, 1, {"ours": side(2.0), "peer": side(8.0, 99.0)})
    assert (late["ratio"], late["at_least"], late["failed"]) == (4.0, True, None)
    ours = judged(race, 2, {"ours": side(2.0, 99.0), "peer": side(8.0)})
    assert ours["failed"] == "the return of ours is 99, less than 100"
    written = report(race, [late], source_hash="", environment=ENVIRONMENT)
    assert written["peer_failed"] == 1
    assert "in 1 the peer did not get there" in benchmarks.table([written], "*")


def test_a_race_ends_with_a_row_about_all_of_it() -> None:
    tasks = [workload(f"race_{name}") for name in ("one", "two")]
    pairs = [{"ours": side(ours), "peer": side(1.0)} for ours in (2.0, 8.0)]
    reports = [
        report(task, [judged(task, 1, pair)], source_hash="", environment=ENVIRONMENT)
        for task, pair in zip(tasks, pairs, strict=True)
    ]
    assert "| **geometric mean of 2 tasks** | slow | 4 | 2 to 8 |" in benchmarks.table(reports, "race_*")
    assert "mean" not in benchmarks.table(reports, "race_one,race_two")


def test_a_floor_holds_by_the_median() -> None:
    ratio = {"median": 2.0, "min": 1.0, "max": 3.0}
    assert holds(2.0, ratio, failed=0)
    assert holds(None, ratio, failed=0)
    assert not holds(2.1, ratio, failed=0)
    assert not holds(2.0, ratio, failed=1)
    assert not holds(None, None, failed=0)


def test_sides_run_in_turn_and_each_workload_is_kept_once_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, results = tmp_path / "log", tmp_path / "results"
    good, broken = canned("good", log), canned("broken", log, code=3)
    argv = ["--pairs", "2", "--results", str(results)]
    assert main(argv, (good, broken)) == 1
    assert log.read_text().split("\n")[:4] == ["ours 1", "peer 1", "ours 2", "peer 2"]
    assert [path.name for path in results.iterdir()] == ["good.json"], "the interrupted bench lost nothing"
    assert "so it ends" in capsys.readouterr().err

    written = json.loads((results / "good.json").read_text())
    assert written["ratio"]["median"] == 4.0
    assert written["command"] == "python -m benchmarks good --pairs 2"
    assert written["pairs"][0]["ours"]["peak_memory_bytes"] > 0
    assert {"commit", "hardware", "date", "packages", "variables"} <= written.keys()

    flaky = workload("flaky", programs=(Canned("ours", 1.0, log, code=3), Canned("peer", 4.0, log)))
    (results / "flaky.begun").write_text((results / "good.json").read_text())
    log.write_text("")
    assert main(argv, (flaky,)) == 0, "both pairs were measured before it was interrupted"
    assert log.read_text() == ""
    assert not (results / "flaky.begun").exists()
    assert main(["goo", *argv], (good,)) == 2
    assert main(["good", *argv], (replace(good, name="good_one"), replace(good, name="good_two"))) == 0
    assert len(log.read_text().splitlines()) == 8, "a name may be the beginning of several"

    log.write_text("")
    assert main(argv, (good,)) == 0
    assert log.read_text() == "", "measured before"
    assert main([*argv, "--again"], (good,)) == 0
    assert main(["good", "--pairs", "3", "--results", str(results)], (good, broken)) == 0
    assert len(log.read_text().splitlines()) == 4 + 6


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("cartpole_clean", "unknown workload cartpole_clean: did you mean cartpole_"),
        ("--pairs 0", "pairs = 0: it takes at least 1"),
        ("--pair 3", "unknown option --pair: did you mean --pairs?"),
        ("cartpole_plain --pairs many", "pairs = 'many'"),
    ],
)
def test_a_mistake_is_one_line(line: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {complaint}")
    assert message.count("\n") == 1


def test_a_peer_that_is_not_installed_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = workload(programs=(Peer("absent", TINY, "no_such_library"),))
    assert main(["--results", str(tmp_path)], (absent,)) == 2
    assert "needs no_such_library; install it: " in capsys.readouterr().err


def test_settings_are_the_same_for_both_sides() -> None:
    settings = replace(TINY, anneal_clip_range=True, seed=7, normalize=True, initial_log_std=-1.0)
    assert PPOSettings.from_json(settings.to_json()) == settings
    (config,) = parse_options(settings.train_options(), ppo_cartpole.Config())
    assert (config.seed, config.num_envs, config.env_steps, config.scale_reward) == (7, 8, 512, True)
    assert config.policy.normalize_observation
    assert config.policy.initial_log_std == -1.0
    assert config.agent.clip_schedule.kind == config.agent.optimizer.schedule.kind == "linear"
    assert config.agent.optimizer.learning_rate == settings.learning_rate
    assert config.evaluation.every.count > config.env_steps, "evaluated at the end only"


@pytest.mark.parametrize("settings", [SAC, TD3, DQN], ids=lambda settings: settings.algorithm)
def test_off_policy_settings_are_the_same_for_both_sides(settings: OffPolicySettings) -> None:
    settings = replace(settings, learning_rate=3e-3, warmup_env_steps=70, noise_std=0.3, smoothing_std=0.4)
    settings = replace(settings, epsilon_final=0.2, tau=0.01, gamma=0.9, seed=7, max_grad_norm=4.0)
    assert OffPolicySettings.from_json(settings.to_json()) == settings
    envs = make_vec_env(settings.env, settings.num_envs)
    peer: Any = make_model(settings, envs)
    experiment = f"{settings.algorithm}_{settings.env.split('-')[0]}".lower()
    (ours,) = parse_options(settings.train_options(), load_experiment(experiment, "experiments").Config())
    agent, replay = ours.agent, ours.replay
    assert (ours.seed, ours.num_envs, ours.env.id) == (peer.seed, peer.n_envs, settings.env)
    assert (replay.capacity, replay.warmup_env_steps) == (peer.buffer_size, peer.learning_starts)
    assert (replay.horizon, replay.gradient_steps) == (peer.train_freq.frequency, peer.gradient_steps)
    assert (replay.minibatch_size, agent.gamma) == (peer.batch_size, peer.gamma)
    assert list(ours.policy.network.hidden) == peer.policy.net_arch == [256, 256]
    assert ours.policy.network.activation == "relu"
    assert peer.policy.activation_fn is torch.nn.ReLU
    if settings.algorithm == "DQN":
        assert agent.optimizer.learning_rate == peer.learning_rate == 3e-3
        assert agent.optimizer.max_grad_norm == peer.max_grad_norm == 4.0
        assert agent.target_gradient_steps == replay.gradient_steps
        assert replay.horizon == peer.target_update_interval
        assert (agent.epsilon.initial, agent.epsilon.final) == (1.0, 0.2)
        assert peer.exploration_schedule(1.0) == 1.0
        assert peer.exploration_schedule(1.0 - agent.epsilon.fraction) == 0.2
        assert not agent.double
        return
    assert agent.actor_optimizer.learning_rate == agent.critic_optimizer.learning_rate == peer.learning_rate == 3e-3
    assert agent.critics == len(peer.critic.q_networks)
    assert (agent.critic_network, agent.tau) == (ours.policy.network, peer.tau)
    if settings.algorithm == "TD3":
        assert agent.policy_delay == peer.policy_delay
        assert (agent.smoothing_std, agent.smoothing_clip) == (peer.target_policy_noise, peer.target_noise_clip)
        assert ours.policy.noise_std == peer.action_noise._sigma == 0.3
    else:
        assert agent.initial_temperature == peer.log_ent_coef.exp() == 1.0
        assert agent.target_entropy is None
        assert peer.target_entropy == -1.0


def test_every_workload_can_be_started() -> None:
    assert len({own.name for own in WORKLOADS}) == len(WORKLOADS)
    for own in WORKLOADS:
        assert (own.floor is None) == (own.aim is None)
        for program in own.programs:
            elsewhere = ROOT / "build" / "peers" / getattr(program, "module", "") / "bin" / "python"
            python = str(elsewhere) if isinstance(program, PeerElsewhere) else sys.executable
            assert program.command(Path("folder"), 1)[0] == python
            if isinstance(program, Ours):
                config = load_experiment(program.experiment, "experiments").Config()
                parse_options([*program.settings.train_options(), *program.options], config)


def test_a_real_pair_of_ours_and_stable_baselines3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    own = workload(programs=(Ours(TINY, EAGER), Peer("sb3", TINY, "stable_baselines3")), least_return=8.0)
    pair = run_pair(own, seed=3)
    assert pair["failed"] is None
    assert pair["ratio"] > 0
    for who in ("ours", "peer"):
        measured = pair[who]
        assert measured["env_steps"] == 512
        assert measured["first_row_env_steps"] == 256
        assert 0 < measured["first_row_seconds"] < measured["seconds"] < measured["process_seconds"]
        assert measured["started_at"] < measured["began_at"] < measured["started_at"] + measured["process_seconds"]
        assert measured["peak_memory_bytes"] > 2**26
    assert "--seed=3" in shlex.join(pair["ours"]["command"])


@pytest.mark.full
def test_a_real_pair_of_off_policy_algorithms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    tiny = replace(TD3, env_steps=60, warmup_env_steps=30, log_every_env_steps=40, evaluation_episodes=10)
    programs = (Ours(tiny, EAGER, "td3_pendulum"), Peer("sb3_off_policy", tiny, "stable_baselines3"))
    pair = run_pair(workload(programs=programs, least_return=-2000.0), seed=3)
    assert pair["failed"] is None
    for who in ("ours", "peer"):
        measured = pair[who]
        assert measured["env_steps"] == 60
        assert measured["first_row_env_steps"] == 40
        assert 0 < measured["first_row_seconds"] < measured["seconds"] < measured["process_seconds"]


@pytest.mark.full
def test_a_real_pair_of_a_race(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (race,) = [race for race in RACES if race.name == "race_cartpole"]
    ours, theirs = (replace(side, env_steps=4_096, solved_return=9.0) for side in (race.ours, race.theirs))
    programs = (Ours(ours, (), race.experiment), Peer("sb3_zoo", theirs, "sb3_contrib"))
    own = workload(programs=programs, figure="seconds_from_process_start", least_return=9.0, peer_may_fail=True)
    pair = run_pair(own, seed=3)
    assert (pair["failed"], pair["at_least"]) == (None, False)
    for who in ("ours", "peer"):
        assert 0 < pair[who]["figure"] < pair[who]["process_seconds"]


def test_the_numbers_of_rl_zoo_are_those_of_stable_baselines3() -> None:
    for race in RACES:
        settings = RaceSettings.from_json(race.theirs.to_json())
        assert settings == race.theirs
        model = sb3_zoo.make_model(settings, make_vec_env(settings.env, settings.num_envs))
        assert type(model).__name__ == settings.algorithm
        assert model.gamma == settings.arguments.get("gamma", 0.99)


def test_the_clock_stops_at_the_return_that_was_asked_for(tmp_path: Path) -> None:
    from experiments.__main__ import main as experiments

    settings = replace(TINY, env_steps=1024, evaluate_every_env_steps=256, solved_return=1.0)
    folder = tmp_path / "run"
    argv = ["train", "ppo_cartpole", "--tracker=none", f"--run-dir={folder}", *settings.train_options()]
    assert experiments(argv) == 0
    solved, whole = read_run(folder, 1.0), read_run(folder, None)
    assert (solved.env_steps, whole.env_steps) == (256, 256), "the run ends there, too"
    assert solved.seconds <= whole.seconds
    assert solved.final_return is not None
    assert solved.final_return >= 1.0
    never = read_run(folder, 501.0)
    assert never.final_return is not None
    assert never.final_return < 501.0
    with pytest.raises(UserError, match="did not finish"):
        read_run(tmp_path, None)


def test_both_loops_of_the_overhead_learn_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[torch.nn.Module] = []
    task = replace(overhead.TASKS["mlp"], updates=20, log_every_updates=5, checkpoint_every_updates=10)
    make_bare = overhead.Bare

    def bare(model: torch.nn.Module) -> overhead.Bare:
        models.append(model)
        return make_bare(model)

    def supervised(model: torch.nn.Module, until: Any) -> overhead.Supervised:
        models.append(model)
        return make_supervised(model, until)

    make_supervised = overhead.Supervised
    monkeypatch.setattr(overhead, "Bare", bare)
    monkeypatch.setattr(overhead, "Supervised", supervised)
    measured = overhead.run(task, 1, tmp_path)
    assert measured["ours"].env_steps == measured["peer"].env_steps == 20
    assert measured["ours"].seconds > 0
    assert measured["peer"].seconds > 0
    first, second = (torch.nn.utils.parameters_to_vector(model.parameters()) for model in models)
    torch.testing.assert_close(first, second)


@pytest.mark.full
@pytest.mark.parametrize(("peer", "library"), [("hugging_face", "transformers"), ("lightning", "lightning")])
def test_another_trainer_learns_the_same(peer: str, library: str, tmp_path: Path) -> None:
    pytest.importorskip(library)
    task = replace(overhead.TASKS["mlp"], updates=20, log_every_updates=5, checkpoint_every_updates=10)
    models = [task.make_model()]
    models.append(copy.deepcopy(models[0]))
    for train, model, name in zip((trainers.ours, trainers.PEERS[peer]), models, ("ours", "peer"), strict=True):
        (tmp_path / name).mkdir()
        assert train(task, model, trainers.Ready(task, seed=1), tmp_path / name) > 0
    assert len(list((tmp_path / "peer").rglob("*.ckpt" if peer == "lightning" else "model.safetensors"))) == 2
    first, second = (torch.nn.utils.parameters_to_vector(model.parameters()) for model in models)
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_the_transformer_of_the_overhead_has_ten_million_parameters() -> None:
    model = overhead.Transformer()
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(10e6, rel=0.05)
    assert model(torch.zeros(1, 4, dtype=torch.int64)).shape == (1, 4, overhead.VOCABULARY)


def test_inner_parts_are_taken_off_the_outer_ones() -> None:
    timers = Timers()
    inner = timers.timed("inner", lambda: sum(range(100_000)), within="outer")
    timers.timed("outer", lambda: inner())()
    assert timers.seconds["inner"] > timers.seconds["outer"] > 0
    inner()  # outside of it there is nothing to take it off
    assert timers.calls == 2


def test_a_profile_says_where_the_time_of_a_real_run_went(tmp_path: Path) -> None:
    options = [f"--run-dir={tmp_path / 'run'}", *replace(TINY, evaluate_every_env_steps=256).train_options()]
    options = [option for option in options if not option.startswith("--compile")] + ["--compile=false"]
    command = [sys.executable, "-m", "benchmarks.costs.profile", "ppo_cartpole", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    table = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    for part in ("env", "acting", "update", "log", "evaluation", "checkpoint"):
        assert float(table[part][0]) >= 0, part
        assert float(table[part][2]) > 0, part
    assert table["all"][1] == "100.0%"
    assert table["all"][3] == "512"
    assert table["measuring:"][1:3] == ["timed", "calls"]
    assert 0 < float(table["the"][3]) < float(table["all"][0]) + 60


def test_tables_come_from_the_files_and_missing_ones_are_said(tmp_path: Path) -> None:
    folder = tmp_path / benchmarks.RESULTS
    folder.mkdir(parents=True)
    (tmp_path / "README.md").write_text("<!-- benchmarks:* -->\nold\n<!-- /benchmarks -->\nend\n")
    with pytest.raises(UserError, match=r"benchmarks:\* in .* run `make bench` first"):
        write_docs(tmp_path)
    for written in measured_reports():
        (folder / f"{written['benchmark']}.json").write_text(json.dumps(written))
    write_docs(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "old" not in text
    assert text.endswith("<!-- /benchmarks -->\nend\n")
    assert "| Counting | slow | 4.1 | 4 to 4.2 | 2 | 3 | 41/s | 10/s | 256 MiB / 256 MiB | 3 |\n" in text
    assert "| Counting | slow | 0.244 | 0.238 to 0.25 | - | - | 41.0 s | 10.0 s | 256 MiB / 256 MiB | 3 |\n" in text
    assert "| Counting | slow | - | - | - | - | - | - | - | 0, 3 failed |\n" in text
    assert write_docs(tmp_path) == [], "the second time nothing changes"


COSTS = Costs(
    broadcast=0.002,
    broadcast_per_worker=0.001,
    fragment=0.003,
    fragment_per_worker=0.001,
    step=0.001,
    update=0.00001,
    fragment_bytes=10_000,
    weights_bytes=1_000_000,
)


def test_the_formula_of_scaling_adds_what_waits_and_takes_the_slower_of_what_does_not() -> None:
    env_steps = HORIZON * ENVS
    worker, learner = env_steps * 0.001, 0.005 + 10 * 0.002 + 10 * env_steps * 0.00001
    assert COSTS.env_steps_per_second(10) == pytest.approx(10 * env_steps / (worker + learner))
    assert COSTS.env_steps_per_second(10, asynchronous=True) == pytest.approx(10 * env_steps / max(worker, learner))
    # Many workers: each adds to the learner what it takes to ask it and to learn from it, and nothing else counts.
    limit = env_steps / (0.002 + env_steps * 0.00001)
    assert COSTS.env_steps_per_second(10_000_000) == pytest.approx(limit, rel=1e-3)


def test_it_says_what_ends_the_growth() -> None:
    assert COSTS.busiest(1) == "the workers"
    assert COSTS.busiest(1_000) == "the learner"
    assert COSTS.busiest(10_000_000) == "the learner, the object store"
    assert replace(COSTS, fragment_bytes=8 * 10**6).busiest(1_000) == "the learner, the network"


def test_costs_of_one_and_two_workers_are_a_line_that_never_falls_below_zero() -> None:
    assert line(3.0, 4.0) == (2.0, 1.0)
    assert line(3.0, 2.0) == (3.0, 0.0)
    assert line(1.0, 5.0) == (0.0, 2.5)


def test_an_environment_that_is_slow_takes_its_time() -> None:
    for busy in (False, True):
        env = Slow(busy=busy, seconds=0.01)
        env.reset(seed=1)
        began = time.perf_counter()
        ends = [env.step(0)[3] for _ in range(100)]
        assert time.perf_counter() - began >= 1.0
        assert ends == [False] * 99 + [True]


def test_threads_are_compared_on_the_machine_as_it_is_and_beside_a_busy_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 2)
    monkeypatch.setattr(threads, "TURN_S", 0.0)
    before = torch.get_num_threads()
    assert threads.main(["--largest", "20"]) == 0
    torch.set_num_threads(before)
    told = capsys.readouterr().out
    as_it_is, beside = told.split("beside one busy process, 2 cores")
    for table in (as_it_is, beside):
        (row,) = [line for line in table.splitlines() if line.strip().startswith("64 x 64")]
        assert float(row.split()[5]) > 0  # ms
        assert row.split()[-1] == "1"
    assert "256 x 256" not in told
    assert threads.main(["--most", "3"]) == 2
