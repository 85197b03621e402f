"""What is exported and served is found in a checkpoint by what that holds."""

from __future__ import annotations

from pathlib import Path

from gymnasium import spaces

from serving.comparison import compare
from serving.loaded import module_of
from serving.model_file import as_call
from tests.serving.test_predicting_module import IMAGE, predictor
from tests.support.exported import POLICIES, write_policy_run
from training.run.folder import find_checkpoint


def test_a_policy_and_a_predictor_come_with_what_they_do(tmp_path: Path) -> None:
    policy_run = write_policy_run(tmp_path / "policy", POLICIES["dqn"]())
    model = predictor(IMAGE, spaces.Discrete(4))
    predictor_run = write_policy_run(tmp_path / "predictor", model, part="algorithm", name="model")
    for run, output in ((policy_run, "action"), (predictor_run, "probabilities")):
        module, here = module_of(find_checkpoint(run, "last"), action_mask=False)
        assert [value.name for value in module.signature.outputs] == [output]
        assert compare(here, as_call(module), module.signature, rows=50).same
