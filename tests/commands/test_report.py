"""`report` writes one page about what `compare` takes, finished or not."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support.compared import write_run
from tests.support.counting import command
from tests.support.learning import write_package
from tests.support.reported import Read, write_stopped


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        write_run(Path("runs", "ppo_cartpole", f"ppo{seed}"), 100.0 * seed, seed=seed)
        write_run(Path("runs", "a2c_cartpole", f"a2c{seed}"), 50.0 * seed, seed=seed, experiment="a2c_cartpole")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "file", "says"),
    [
        (["latest"], "runs/*/*/report.html", "It is one seed"),
        (["ppo2"], "runs/ppo_cartpole/ppo2/report.html", "evaluation/return_mean 200"),
        (
            ["ppo_cartpole", "a2c_cartpole"],
            "runs/reports/ppo_cartpole,a2c_cartpole.html",
            "ppo_cartpole has the best mean",
        ),
        (
            ["mine:ppo_cartpole", "runs/a2c_cartpole"],
            "runs/reports/mine_ppo_cartpole,runs_a2c_cartpole.html",
            "mine: 150",
        ),
        (["ppo_cartpole", "--out", "here.html"], "here.html", "one group"),
    ],
)
def test_a_page_is_written_about_whatever_compare_takes(
    runs: Path, words: list[str], file: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *words]) == 0
    (path,) = Path().glob(file)
    assert capsys.readouterr().out == f"wrote {path}\n"
    assert says in Read(path.read_text()).text


def test_logs_of_another_library_are_compared_with_runs(runs: Path) -> None:
    Path("sb3").mkdir()
    rows = [f"{step},{step / 10},{step / 100}" for step in (1000, 2000, 4096)]
    header = "time/total_timesteps,eval/mean_reward,time/time_elapsed"
    Path("sb3", "progress.csv").write_text("\n".join([header, *rows]) + "\n")
    assert main(["report", "ppo_cartpole", "other:sb3", "--out", "page.html"]) == 0
    page = Read(Path("page.html").read_text())
    assert "CartPole-v1: not settled, other has the best mean other: 409.6 ppo_cartpole: 150" in page.text
    assert "other" in page.scripts["figures"], "its curve is drawn too"


def test_it_opens_the_page_on_request(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not opened.append(address))
    assert main(["report", "ppo1", "--open"]) == 0
    assert opened == [(runs / "runs/ppo_cartpole/ppo1/report.html").as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert main(["report", "ppo1", "--open"]) == 2
    assert "no browser was found; the page is runs/ppo_cartpole/ppo1/report.html" in capsys.readouterr().err


def test_runs_that_did_not_end_are_shown_and_damaged_ones_named(runs: Path) -> None:
    write_stopped(Path("runs/ppo_cartpole/stopped"), "failed", seed=3)
    (write_run(Path("runs/ppo_cartpole/torn"), 1.0, seed=4) / "metrics.jsonl").write_text("{half")
    assert main(["report", "ppo_cartpole", "--out", "page.html"]) == 0
    told = Read(Path("page.html").read_text()).text
    assert "ppo_cartpole, seed 3: failed" in told
    assert told.count("torn is damaged") == 1
    assert main(["report", "stopped"]) == 0
    assert "failed at" in Read(Path("runs/ppo_cartpole/stopped/report.html").read_text()).text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "report takes RUN... first"),
        (["nothing"], "nothing is no file, no folder and no experiment"),
        (["ppo1", "--out", "page.pdf"], "it takes a name that ends with .html"),
        (["ppo1", "--out", "nowhere/page.html"], "it takes a file in a folder that is there"),
        (["ppo1", "--metric", "speed"], "no run can be compared by its final speed"),
        (["ppo1", "--json"], "json"),
        (["torn"], "runs/ppo_cartpole/torn is damaged"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    runs: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (write_run(Path("runs/ppo_cartpole/torn"), 1.0, seed=4) / "metrics.jsonl").write_text("{half")
    assert main(["report", *words]) == 2
    error = capsys.readouterr().err.splitlines()
    assert said in error[-1]
    assert not list(Path().rglob("*.html*"))


@pytest.mark.usefixtures("workplace")
def test_a_run_of_an_experiment_is_told_how_to_be_run_again() -> None:
    assert command("train counting --tracker none --gain 3") == 0
    assert command("report latest --out page.html") == 0
    page = Read(Path("page.html").read_text())
    assert "python -m experiments train counting --seed=1 --gain=3.0" in page.text
    assert "What differs from the default of counting option default here gain 1.0 3.0" in page.text
    assert "does not hold score >= 150: does not hold for this one seed (103)" in page.text


def test_a_run_that_learned_from_data_shows_where_it_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    package = write_package(tmp_path)
    assert (
        main(["train", "learns_breast_cancer", "--tracker", "none", "--threads", "1", "--run-dir", "run"], package) == 0
    )
    assert main(["report", "run"], package) == 0
    page = Read(Path("run", "report.html").read_text())
    assert "All 85 samples of the test split of sklearn breast_cancer" in page.text
    assert "true \\ said malignant benign" in page.text
    assert "The worst examples" in page.text
    assert "validation/accuracy" in page.text
