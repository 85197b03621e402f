"""The files for clusters elsewhere: what can be checked of them without one."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml

from tests.support import ROOT

DEPLOY = ROOT / "deploy"


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return content


def schema() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(ray.autoscaler.__path__[0], "ray-schema.json").read_text())
    return content


def test_the_autoscaler_yaml_validates_against_the_schema_that_ships_with_ray() -> None:
    config = read("autoscaler.yaml")
    jsonschema.validate(config, schema())
    assert config["head_node_type"] in config["available_node_types"]
    workers = [kind["max_workers"] for kind in config["available_node_types"].values()]
    assert sum(workers) <= config["max_workers"]
    with pytest.raises(jsonschema.ValidationError, match="max_wrkers"):  # so that the schema is one that refuses
        jsonschema.validate({**config, "max_wrkers": 3}, schema())


def test_ray_itself_takes_the_autoscaler_yaml() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(read("autoscaler.yaml")))


def test_the_kuberay_manifest_is_a_cluster_of_our_ray_version_and_says_that_it_was_not_run() -> None:
    manifest = read("kuberay.yaml")
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayCluster")
    spec = manifest["spec"]
    assert spec["rayVersion"] == metadata.version("ray")
    templates = [group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]
    for template in templates:
        (container,) = template["spec"]["containers"]
        assert {"name", "image", "env", "resources"} <= set(container)
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert "was not run here" in (DEPLOY / "kuberay.yaml").read_text()


@pytest.mark.parametrize("name", ["autoscaler.yaml", "kuberay.yaml"])
def test_no_file_holds_a_token(name: str) -> None:
    token = Path.home() / ".ray" / "auth_token"
    text = (DEPLOY / name).read_text()
    assert not token.exists() or token.read_text().strip() not in text
    assert "token" in text  # authentication is on
