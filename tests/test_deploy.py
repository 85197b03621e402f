"""The files for clusters elsewhere: what can be checked of them without one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
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


@pytest.mark.parametrize("name", ["autoscaler.yaml", "kuberay.yaml", "compose.yaml"])
def test_no_file_holds_a_token(name: str) -> None:
    token = Path.home() / ".ray" / "auth_token"
    text = (DEPLOY / name).read_text()
    assert not token.exists() or token.read_text().strip() not in text
    assert "token" in text  # authentication is on


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile: each instruction and what it is given, lines that go on joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_dockerfile_takes_cpu_or_cuda_by_an_argument_and_runs_as_nobody_special() -> None:
    told = instructions()
    assert {word for word, _ in told} <= {
        *("ARG", "FROM", "RUN", "USER", "ENV", "WORKDIR", "COPY", "ENTRYPOINT", "CMD"),
    }
    assert [rest for word, rest in told if word == "ARG"][1:2] == ["TORCH=cpu"]
    (torch,) = [rest for word, rest in told if "/whl/${TORCH}" in rest]
    assert "--constraint constraints.txt" in torch
    words = [word for word, _ in told]
    last_root = max(index for index, (word, rest) in enumerate(told) if word == "RUN" and "apt-get" in rest)
    assert words.index("USER") > last_root, "what comes after the packages of the system needs no root"
    for word, rest in told:
        if word == "COPY":
            *sources, _ = [part for part in rest.split() if not part.startswith("--")]
            assert all((ROOT / source).exists() for source in sources)
    (extras,) = [rest.partition("=")[2] for word, rest in told if word == "ARG" and rest.startswith("EXTRAS")]
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)
    (entry,) = [json.loads(rest) for word, rest in told if word == "ENTRYPOINT"]
    script = ROOT / entry[0].removeprefix("/home/regimen/source/")
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", script], check=True)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", "runs", ".venv"} <= set(ignored), "neither secrets nor runs go into an image"


def test_the_compose_file_is_a_cluster_of_two_that_only_this_machine_reaches() -> None:
    services = read("compose.yaml")["services"]
    assert set(services) == {"head", "worker"}
    for service in services.values():
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert service["secrets"] == ["ray_auth_token"]
        (command,) = service["command"]
        assert command.split()[:3] == ["exec", "ray", "start"]
    assert all(port.startswith("127.0.0.1:") for port in services["head"]["ports"])
    assert "ports" not in services["worker"]
    assert services["head"]["build"]["args"] == {"TORCH": "${TORCH:-cpu}"}
    assert (DEPLOY / services["head"]["build"]["context"] / "Dockerfile").exists()
    assert "was not run here" in (DEPLOY / "compose.yaml").read_text()
