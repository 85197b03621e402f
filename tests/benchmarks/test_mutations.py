"""Mistakes made on purpose: each has its place, and one of them is noticed."""

from __future__ import annotations

import pytest

from benchmarks import mutations
from reports.algorithms import find_algorithms
from tests.support import ROOT


def test_every_algorithm_that_acts_has_a_mistake_that_fits() -> None:
    stems = {one.source.path.stem for one in find_algorithms(ROOT) if one.source.path.parent.as_posix() == "agents"}
    assert stems == {name for name in mutations.MUTATIONS if mutations.folder_of(name) == "agents"}
    for name, mutation in mutations.MUTATIONS.items():
        text = (ROOT / mutations.folder_of(name) / f"{name}.py").read_text()
        assert mutations.broken(text, mutation) != text


def test_a_mistake_without_its_place_is_told() -> None:
    with pytest.raises(ValueError, match="is there 0 times: it takes once"):
        mutations.broken("nothing", mutations.MUTATIONS["ppo"])


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", mutations.MUTATIONS)
def test_a_mistake_is_noticed(name: str) -> None:
    assert mutations.first_failure(name)


def test_the_page_has_what_was_not_noticed() -> None:
    rows = mutations.table([("ppo", "tests/agents/test_ppo.py::test_it[a|b]"), ("dqn", None)])
    assert "| `ppo` | no value after the step | `tests/agents/test_ppo.py::test_it[a\\|b]` |" in rows
    assert "| `dqn` | no value after the step | **nothing** |" in rows
    assert mutations.page(rows).endswith(rows)
