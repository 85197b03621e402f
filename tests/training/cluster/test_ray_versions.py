"""Versions of Python and packages that a cluster must share."""

from __future__ import annotations

import json

import pytest

from training.cluster import ray_versions
from training.cluster.ray_versions import differences, versions

pytestmark = pytest.mark.xdist_group("ray")


def test_versions_that_differ_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    here = versions()
    assert differences(here, here) == []
    there = {"python": "3.9.1", "packages": {**here["packages"], "torch": "1.0"}}
    del there["packages"]["gymnasium"]
    assert differences(here, there) == [
        f"python {here['python']} here, 3.9.1 there",
        f"gymnasium {here['packages']['gymnasium']} here, not installed there",
        f"torch {here['packages']['torch']} here, 1.0 there",
    ]
    assert ray_versions.main([json.dumps({"python": "2.7.18", "packages": {}})]) == 2
    assert "error: the cluster has other versions: python 2.7.18 here, 3." in capsys.readouterr().err
