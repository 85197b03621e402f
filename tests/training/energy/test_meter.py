"""The meter of a run: what it counts, over kills, and that it costs next to nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.runs import create, result, train
from tests.training.energy.test_counters import package
from tests.training.energy.test_processes import burn
from training.energy.meter import CORE_W, EnergyMeter, Instruments
from training.run.logger import read_rows
from training.run.run import Run


def test_busy_seconds_and_held_memory_become_joules_with_their_range() -> None:
    meter = EnergyMeter()
    burn(0.3)
    meter.measure()
    cpu, energy = meter.energy.parts["cpu"], meter.energy
    assert tuple(cpu) == pytest.approx([watts * energy.cpu_s for watts in CORE_W])
    assert 0.3 <= energy.cpu_s < 3.0
    assert energy.joules.low < energy.joules.value < energy.joules.high
    assert energy.sources == {"model"}


def test_watts_of_a_core_that_are_given_leave_no_range() -> None:
    meter = EnergyMeter(given={"watts_per_core": 10.0})
    burn(0.1)
    meter.measure()
    assert tuple(meter.energy.parts["cpu"]) == pytest.approx([10.0 * meter.energy.cpu_s] * 3)


def test_of_counted_packages_it_is_the_share_of_the_busy_seconds(tmp_path: Path) -> None:
    counter = package(tmp_path, "intel-rapl:0", 0, span=10**9)
    meter = EnergyMeter(instruments=Instruments(powercap=tmp_path))
    burn(0.3)
    counter.write_text("50000000\n")
    meter.measure()
    cpu = meter.energy.parts["cpu"]
    assert 0.0 < cpu.low <= cpu.value <= cpu.high == pytest.approx(50.0)
    assert "rapl" in meter.energy.sources


def test_a_meter_goes_on_from_its_state_and_adds_what_was_lost(tmp_path: Path) -> None:
    first = EnergyMeter()
    burn(0.2)
    state = first.state_dict()
    (tmp_path / "timing.jsonl").write_text('{"energy_j": 100.0, "energy_low_j": 50.0, "energy_high_j": 200.0}\n')
    second = EnergyMeter(tmp_path)
    assert second.energy.joules.value == pytest.approx(100.0, rel=0.01), "it never came to a checkpoint"
    second.load_state_dict(state)
    assert second.energy.joules.value == pytest.approx(100.0, rel=0.01)
    assert second.energy.lost.value == pytest.approx(100.0 - first.energy.joules.value, rel=0.01)


def test_a_run_that_was_killed_reports_the_joules_of_the_whole(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        train(run, 1, update_s=0.05)
        burn(0.3)
        run._clock.meter.measure()
        spent = run._clock.meter.energy.joules
        run.log._timing.append(
            {"env_steps": 20, "energy_j": spent[0], "energy_low_j": spent[1], "energy_high_j": spent[2]}
        )
    before = read_rows(tmp_path / "timing.jsonl")[-1]["energy_j"]
    with Run.open(tmp_path) as run:
        now = train(run, 2)
        burn(0.1)
        run.finish(now, metrics={})
    energy = result(tmp_path)["energy"]
    assert energy["lost_j"][0] >= 4.0 * 0.3
    assert before + 4.0 * 0.1 <= energy["energy_j"] < before + 4.0 * 10.0
    assert b"energy" not in (tmp_path / "metrics.jsonl").read_bytes()


def test_it_looks_so_seldom_that_it_takes_next_to_nothing() -> None:
    meter = EnergyMeter()
    began_s, counted = time.process_time(), meter.energy.metering_cpu_s
    while time.process_time() < began_s + 2.0:
        meter.tick()
    spent = meter.energy.metering_cpu_s - counted
    assert meter.energy.cpu_s > 0.1, "it has looked"
    assert spent <= 0.01 * 2.0, "of a loop that does nothing else"


def test_a_run_ends_when_its_joules_are_spent(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        now = train(run, 1)
        burn(0.1)
        run._clock.meter.measure()
        assert run.out_of_energy(None) is None
        assert run.out_of_energy(1e9) is None
        assert run.out_of_energy(0.1) == "max_joules = 0.1: the training took so much energy"
        run.finish(now, metrics={})
    assert result(tmp_path)["inexact"] == ["its training was ended by its energy"]


def test_stages_that_were_made_together_are_charged_once(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        first, second = run.stage("first"), run.stage("second")
        began_s = time.process_time()
        burn(0.2)
        first.finish(train(first, 1), metrics={})
        burn(0.2)
        second.finish(train(second, 1), metrics={})
        run.finish_as(second)
        whole_s = time.process_time() - began_s
    stages = [result(stage)["energy"] for stage in (tmp_path / "01-first", tmp_path / "02-second")]
    assert all(0.2 <= stage["cpu_s"] < whole_s for stage in stages)
    assert sum(stage["cpu_s"] for stage in stages) == pytest.approx(result(tmp_path)["energy"]["cpu_s"], rel=0.1)
    assert result(tmp_path)["energy"]["cpu_s"] == pytest.approx(whole_s, abs=0.3)
