"""The pages of the algorithms are those that the code and the results give."""

from __future__ import annotations

from pathlib import Path

from reports import benchmarks, pages
from reports.algorithms import find_algorithms
from reports.results import RESULTS, STALE
from tests.support import ROOT


def test_the_committed_pages_are_those_that_are_made() -> None:
    made = pages.pages(ROOT, benchmarks.read_reports(ROOT / RESULTS))
    committed = {file.relative_to(ROOT) for file in (ROOT / pages.FOLDER).glob("*")}
    assert committed == set(made)
    for path, text in made.items():
        assert (ROOT / path).read_text().replace(STALE, "") == text, f"{path}: run `make results`"


def test_the_readme_lists_every_algorithm_once() -> None:
    listed = pages.short_list(ROOT)
    assert f"<!-- algorithms:* -->\n{listed}<!-- /algorithms -->" in (ROOT / "README.md").read_text()
    for algorithm in find_algorithms(ROOT):
        assert listed.count(f"[{algorithm.name}](docs/algorithms/{algorithm.family}.md#") == 1


def test_a_page_has_the_source_the_options_and_the_results() -> None:
    page = pages.pages(ROOT, benchmarks.read_reports(ROOT / RESULTS))[pages.FOLDER / "on_policy.md"]
    section = page.partition("## PPO\n")[2].partition("\n## ")[0]
    assert "Schulman et al. 2017" in section
    assert "[agents/ppo.py](../../agents/ppo.py)" in section
    assert "| `horizon` | `int` | `128` | Steps of each environment in one rollout. |" in section
    assert "| `target_kl` | `float \\| None` | `None` |" in section
    assert "| `ppo_cartpole` | evaluation/return_mean >= 475 on 70 % of seeds |" in section


def test_a_family_without_a_title_is_called_by_its_name(tmp_path: Path) -> None:
    for name, text in (
        ("agents/guess.py", '"""It guesses."""\nclass Guess:\n    def update(self, batch, now): ...\n'),
        (
            "experiments/guess_all.py",
            "from agents.guess import Guess\nfrom agents.recipes import model_based\nCLAIMS = ()\n"
            "model_based.train(config, run, Guess)\n",
        ),
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    made = pages.pages(tmp_path, [])
    assert set(made) == {pages.FOLDER / "README.md", pages.FOLDER / "model_based.md"}
    assert "## [Model based](model_based.md)" in made[pages.FOLDER / "README.md"]
    assert pages.short_list(tmp_path) == "- Model based: [Guess](docs/algorithms/model_based.md#guess)\n"
