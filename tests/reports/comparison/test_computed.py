"""A comparison as JSON."""

from __future__ import annotations

import json

from tests.support.compared import comparison


def test_json_has_every_number_and_none_that_json_lacks() -> None:
    told = json.dumps(comparison({"CartPole-v1": {"one": [500.0] * 3}}).as_json(), allow_nan=False)
    group_ = json.loads(told)["tasks"]["CartPole-v1"]["groups"]["one"]
    assert group_["scores"] == {"CartPole-v1": [500.0] * 3}
    assert group_["curves"]["env_steps"]["low"] == [None] * 5
