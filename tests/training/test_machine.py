"""How much memory and how many cores there are, in containers too, and what is said where something does not fit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from training import machine as machine_module
from training.errors import UserError
from training.machine import GIB, Memory, cores_here, memory_here, require_memory


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """24 GiB, 20 of them free, and the folder of its control groups."""
    monkeypatch.setattr(machine_module, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine_module, "OWN_CGROUPS", tmp_path / "own")
    found = SimpleNamespace(total=24 * GIB, available=20 * GIB)
    monkeypatch.setattr(machine_module.psutil, "virtual_memory", lambda: found)
    return tmp_path / "cgroup"


def write(group: Path, **files: str) -> None:
    group.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (group / name.replace("_", ".", 1)).write_text(text + "\n")


def test_without_control_groups_it_is_that_of_the_machine(machine: Path) -> None:
    assert memory_here() == Memory(24 * GIB, 20 * GIB)


def test_the_limit_of_a_container_counts_and_its_file_cache_is_free(machine: Path) -> None:
    machine.with_name("own").write_text("0::/job/step\n")
    stat = f"anon 5\ninactive_file {GIB}"
    write(machine / "job", memory_max=str(8 * GIB), memory_current=str(3 * GIB), memory_stat=stat)
    write(machine / "job" / "step", memory_max="max", memory_current=str(3 * GIB), memory_stat=stat)
    assert memory_here() == Memory(8 * GIB, 6 * GIB)
    write(machine, memory_max=str(4 * GIB), memory_current=str(3 * GIB), memory_stat="anon 5")  # seen as the root
    assert memory_here() == Memory(4 * GIB, 1 * GIB)


def test_so_does_one_of_the_first_version(machine: Path) -> None:
    machine.with_name("own").write_text("5:devices:/\n4:memory,cpu:/here\n0::/\n")
    write(
        machine / "memory" / "here",
        memory_limit_in_bytes=str(8 * GIB),
        memory_usage_in_bytes=str(3 * GIB),
        memory_stat=f"total_inactive_file {GIB}",
    )
    assert memory_here() == Memory(8 * GIB, 6 * GIB)


def test_what_cannot_fit_is_an_error_and_what_does_not_fit_now_is_one_line(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_memory(20 * GIB, "a = 1: it", "a smaller a takes less")
    assert capsys.readouterr().err == ""
    require_memory(21 * GIB, "a = 1: it", "a smaller a takes less")
    assert capsys.readouterr().err == (
        "warning: a = 1: it takes 21.0 GiB, and of the 24.0 GiB of this machine 20.0 GiB are free now; "
        "a smaller a takes less\n"
    )
    with pytest.raises(UserError) as error:
        require_memory(25 * GIB, "a = 1: it", "a smaller a takes less")
    assert str(error.value) == (
        "a = 1: it takes 25.0 GiB, and this machine has 24.0 GiB, 20.0 GiB of them free; a smaller a takes less"
    )
    assert capsys.readouterr().err == ""


def test_learners_on_this_machine_each_take_it(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module.learners, "gathered", lambda own: [own, "another", own])
    require_memory(10 * GIB, "a = 1: it", "a smaller a takes less")
    with pytest.raises(UserError, match=r"a = 1: it takes 13\.0 GiB in each of 2 learners, and this machine has 24\.0"):
        require_memory(13 * GIB, "a = 1: it", "a smaller a takes less")


def test_the_cores_are_those_that_this_process_may_use(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module.os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    assert cores_here() == 6
    machine.with_name("own").write_text("3:cpuset:/\n2:cpu,cpuacct:/job\n0::/job\n")
    write(machine / "job", cpu_max="max 100000")
    assert cores_here() == 6
    write(machine / "job", cpu_max="350000 100000")
    assert cores_here() == 4
    (machine / "cpu,cpuacct" / "job").mkdir(parents=True)
    write(machine / "cpu,cpuacct" / "job", cpu_cfs_quota_us="-1", cpu_cfs_period_us="100000")
    assert cores_here() == 4
    write(machine / "cpu,cpuacct" / "job", cpu_cfs_quota_us="50000", cpu_cfs_period_us="100000")
    assert cores_here() == 1
