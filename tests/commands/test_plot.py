"""`plot` draws what `compare` compares."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support.compared import write_run


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        write_run(tmp_path / "runs" / "ppo_cartpole" / str(seed), 100.0 * seed, seed=seed)


@pytest.mark.parametrize("options", [[], ["--kind", "profiles", "--dark"], ["--x", "seconds", "--out", "other.png"]])
def test_a_picture_is_written(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "ppo_cartpole", *options]) == 0
    told = capsys.readouterr().out
    file = Path("other.png" if "--out" in options else "comparison.svg")
    assert f"wrote {file}" in told
    assert "2 seeds are few" in told
    assert file.stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "picture.gif"], "a name that ends with .svg"),
        (["--out", "nowhere/picture.svg"], "a file in a folder that is there"),
        (["--json"], "that is for `compare`"),
        (["--kind", "bars"], "it takes"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", "ppo_cartpole", *options]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert {path.name for path in Path().iterdir()} == {"runs"}
