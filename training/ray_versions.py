"""Whether all of a Ray cluster computes with the same Python and packages: found out before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.core import UserError

ANSWER_TIMEOUT_S = 120.0


def versions() -> dict[str, Any]:
    """Those of this process."""
    from training.provenance import describe_environment

    told = describe_environment()
    return {"python": told["python"], "packages": told["packages"]}


def differences(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """What is other there: one entry for Python or a package, its version here and there."""
    here = {"python": wanted["python"], **wanted["packages"]}
    other = {"python": there["python"], **there["packages"]}
    return [
        f"{name} {version} here, {other.get(name) or 'not installed'} there"
        for name, version in here.items()
        if other.get(name) != version
    ]


def require_same(wanted: Mapping[str, Any]) -> None:
    """Raises UserError, naming the node and what differs, unless all nodes of the connected cluster have `wanted`.

    Raises it too when a node does not answer within `ANSWER_TIMEOUT_S`.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ask = ray.remote(num_cpus=0)(versions).options(scheduling_strategy=place)
            asked[ask.remote()] = node["NodeManagerAddress"]
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_TIMEOUT_S)
    if silent:
        raise UserError(f"node {asked[silent[0]]} does not answer within {ANSWER_TIMEOUT_S:g} s")
    for answer in answered:
        if different := differences(wanted, ray.get(answer)):
            raise UserError(f"node {asked[answer]} has other versions: {'; '.join(different)}")
