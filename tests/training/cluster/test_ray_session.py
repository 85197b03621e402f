"""A connection to Ray."""

from __future__ import annotations

import pytest

from training.cluster.ray_session import cluster_address, connected
from training.errors import UserError

pytestmark = pytest.mark.xdist_group("ray")


def test_tests_that_start_ray_run_one_after_another(request: pytest.FixtureRequest) -> None:
    """Else one kills another's processes. Some versions of pytest pass over xdist's groups in silence."""
    assert request.node.nodeid.endswith("@ray") or not getattr(request.config.option, "loadgroup", False)


def test_a_ray_that_starts_here_has_the_gpus_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)  # Ray holds it against the number
    with connected(None, cpus=1, gpus=2):
        import ray

        assert ray.cluster_resources()["GPU"] == 2


def test_the_cluster_that_was_asked_for_comes_before_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:1")
    assert [cluster_address(address) for address in ("other:2", None)] == ["other:2", "head:1"]
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert cluster_address(None) is None


@pytest.mark.parametrize(
    ("address", "told"), [("head", "it takes HOST:PORT of a Ray head, or 'auto'"), ("127.0.0.1:9", "no Ray cluster")]
)
def test_an_address_without_a_cluster_is_named_with_its_option(address: str, told: str) -> None:
    message = f"^workers_address = '{address}': {told}"
    with pytest.raises(UserError, match=message), connected(address, cpus=1, option="workers_address"):
        raise AssertionError("there is none")
