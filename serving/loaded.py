"""The model in a checkpoint, as it is exported and served: a module, and a function that does what the run does."""

from __future__ import annotations

from pathlib import Path

from agents.policies.saved import policy_of
from pretraining.model import model_of
from serving.acting_module import ActingModule
from serving.comparison import acting_call
from serving.model_file import Call, as_call
from serving.predicting_module import KINDS, PredictingModule
from training.errors import UserError, require
from training.run.checkpoint import read_state
from training.run.files import read_json


def module_of(checkpoint: Path, *, action_mask: bool) -> tuple[ActingModule | PredictingModule, Call]:
    """The policy or the predictor of a checkpoint. Raises UserError where there is none, or one of another kind."""
    parts = read_json(checkpoint / "manifest.json").get("parts", ())
    if "agent" in parts:
        agent = read_state(checkpoint, "agent")
        if "policy" not in agent:
            raise UserError(f"{checkpoint} has no policy to export: it takes a run of a network that acts or predicts")
        policy = policy_of(agent)
        return ActingModule(policy, action_mask=action_mask), acting_call(policy)
    algorithm = read_state(checkpoint, "algorithm")
    kind = algorithm["model"]["kind"] if "model" in algorithm else "FitWhole"
    known = [one.__name__ for one in KINDS]
    if kind not in known:
        takes = f"a policy or a {' or '.join(known)}"
        raise UserError(f"{checkpoint} holds a {kind}, which cannot be exported: it takes {takes}")
    require(not action_mask, "action_mask", action_mask, "False: a predictor takes no actions")
    module = PredictingModule(model_of(algorithm))
    return module, as_call(module)
