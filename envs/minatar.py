"""MinAtar's games as Gymnasium environments whose episodes do not depend on earlier ones (extra `games`)."""

from __future__ import annotations

from typing import Any

from minatar.gym import BaseEnv


class MinAtar(BaseEnv):  # type: ignore[misc]
    """Its own class lets an episode begin with the last action of the one before: where actions stick, that may be the
    first that is carried out."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.game.last_action = 0
        reset: tuple[Any, dict[str, Any]] = super().reset(seed=seed, options=options)
        return reset
