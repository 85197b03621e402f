"""Counters of the hardware, as the kernel shows them in files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from training.energy.counters import Gpu, Rapl


def package(root: Path, name: str, microjoules: int, *, called: str = "package-0", span: int = 1_000_000) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{called}\n")
    (folder / "max_energy_range_uj").write_text(f"{span}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder / "energy_uj"


def test_packages_are_added_up_without_their_parts_and_the_whole_platform(tmp_path: Path) -> None:
    counters = [package(tmp_path, "intel-rapl:0", 100), package(tmp_path, "intel-rapl:1", 0, called="package-1")]
    counters += [
        package(tmp_path, "intel-rapl:0:0", 0, called="core"),
        package(tmp_path, "intel-rapl:2", 0, called="psys"),
    ]
    rapl = Rapl(tmp_path)
    for counter in counters:
        counter.write_text("500100\n")
    assert rapl.readable
    assert rapl.joules_since_last() == pytest.approx((500_000 + 500_100) / 1e6)
    assert rapl.joules_since_last() == 0.0


def test_a_counter_that_began_anew_is_not_negative(tmp_path: Path) -> None:
    counter = package(tmp_path, "intel-rapl:0", 900_000)
    rapl = Rapl(tmp_path)
    counter.write_text("100000\n")
    assert rapl.joules_since_last() == pytest.approx(0.2)


def test_counters_that_nobody_may_read_are_none(tmp_path: Path) -> None:
    counter = package(tmp_path, "intel-rapl:0", 0)
    counter.chmod(0)
    readable = Rapl(tmp_path).readable
    assert readable == os.access(counter, os.R_OK), "root reads it all the same"
    assert not Rapl(tmp_path / "none").readable
    counter.unlink()
    assert not Rapl(tmp_path).readable


def test_where_there_is_no_gpu_that_can_be_read_it_is_said() -> None:
    import torch

    if torch.cuda.is_available():
        assert Gpu().why_not is None
    else:
        assert Gpu().why_not is not None
