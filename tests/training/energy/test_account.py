"""Energy as numbers with a range, added up, and in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.energy.account import Energy, Estimate, as_result, in_row, in_words, joined_results, last_told
from training.energy.intensity import EnergyOptions

SPENT = Energy({"cpu": Estimate(4.0, 1.0, 8.0), "memory": Estimate(1.0, 1.0, 2.0)}, 1.0, frozenset({"model"}))


def test_ranges_are_added_and_lost_work_is_part_of_the_whole() -> None:
    lost = SPENT._replace(lost=Estimate(10.0, 5.0, 20.0))
    assert lost.joules == (15.0, 7.0, 30.0)
    both = lost + Energy({"gpu": Estimate(1.0, 1.0, 1.0)}, 2.0, frozenset({"nvml"}))
    assert both.joules == (16.0, 8.0, 31.0)
    assert (both.cpu_s, sorted(both.sources)) == (3.0, ["model", "nvml"])
    assert both.without(SPENT).joules == (11.0, 6.0, 21.0)
    assert Energy.of(both.as_state()) == both


def test_grams_are_joules_times_pue_times_intensity() -> None:
    told = as_result(SPENT, EnergyOptions(intensity=360.0, pue=2.0))
    assert told["energy_j"] == 5.0
    assert told["co2e_g"] == pytest.approx(5.0 * 2.0 * 360.0 / 3.6e6)
    assert told["co2e_low_g"] == pytest.approx(2.0 * 2.0 * 360.0 / 3.6e6)
    world = as_result(SPENT, EnergyOptions())
    assert world["co2e_high_g"] == pytest.approx(10.0 * 730.0 / 3.6e6, rel=1e-4)


def test_a_point_of_return_has_its_joules_where_return_was_gained() -> None:
    told = as_result(SPENT, EnergyOptions(), 10.0)
    assert (told["per_point_j"], told["per_point_low_j"], told["per_point_high_j"]) == (0.5, 0.2, 1.0)
    assert "per_point_j" not in as_result(SPENT, EnergyOptions(), -3.0)
    assert "return_gained" not in as_result(SPENT, EnergyOptions())


def test_stages_are_added_up_and_an_unmetered_one_makes_the_whole_unknown() -> None:
    one = as_result(SPENT, EnergyOptions(), 10.0)
    both = joined_results([one, one], EnergyOptions())
    assert both is not None
    assert (both["energy_j"], both["cpu_s"]) == (10.0, 2.0)
    assert joined_results([one, {}], EnergyOptions()) is None


def test_one_line_has_the_range_the_source_and_what_was_lost() -> None:
    energy = SPENT._replace(lost=Estimate(3.0, 3.0, 3.0), not_counted=frozenset({"the GPU (NVML: none)"}))
    line = in_words(as_result(energy, EnergyOptions(intensity=360.0), 4.0))
    assert line == (
        "8 J (5 to 13) by model, 0.0008 g CO2e (0.0005 to 0.0013) (given by --energy.intensity), "
        "2 J (1.25 to 3.25) per point of return; 3 J were spent on work that was lost; "
        "not counted: the GPU (NVML: none)"
    )


def test_the_newest_whole_row_tells_what_was_spent(tmp_path: Path) -> None:
    assert last_told(tmp_path) == (0.0, 0.0, 0.0)
    file = tmp_path / "timing.jsonl"
    file.write_text('{"energy_j": 1.0}\n{"energy_j": 2.0, "energy_low_j": 1.0, "energy_high_j": 3.0}\n{"energy_j": 9')
    assert last_told(tmp_path) == (2.0, 1.0, 3.0)
    file.write_text('{"wall_time_s": 1.0}\n')
    assert last_told(tmp_path) == (0.0, 0.0, 0.0)
    assert in_row(Estimate(1.0, 0.5, 2.0)) == {"energy_j": 1.0, "energy_low_j": 0.5, "energy_high_j": 2.0}
