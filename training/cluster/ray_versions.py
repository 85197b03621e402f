"""Checks that all nodes of a Ray cluster have the same Python and packages, before anything starts."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from training.cluster.ray_session import connected
from training.errors import UserError
from training.run.provenance import packages

ANSWER_TIMEOUT_S = 120.0


def versions() -> dict[str, Any]:
    """Those of this process."""
    return {"python": platform.python_version(), "packages": dict(packages())}


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


def main(argv: Sequence[str]) -> int:
    """Checks this process, then all nodes of the cluster that it belongs to, against versions given as JSON."""
    wanted = json.loads(argv[0])
    try:
        if different := differences(wanted, versions()):
            raise UserError(f"the cluster has other versions: {'; '.join(different)}")
        with connected(None, cpus=1):
            require_same(wanted)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
