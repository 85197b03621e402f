"""What the sizes of numbers say."""

from __future__ import annotations

from training.diagnosis.finding import Evidence, Remedy, Symptom
from training.diagnosis.record import Record

LARGE_REWARD = 1e3
"""Ten times that of LunarLander, the largest that is learned from here as it is."""


def odd_rewards(record: Record) -> Evidence | None:
    """Rewards of a run that does not improve are very large."""
    reward = record.series("rollout/reward_abs_max")
    if not len(reward.value) or record.improved is True or record.reached or record.option("scale_reward"):
        return None
    if reward.value.max() < LARGE_REWARD:
        return None
    shown = f"rollout/reward_abs_max is {reward.value.max():.3g}, and the return has not clearly risen."
    return Evidence(shown, float(reward.at[0]), float(reward.at[-1]))


SYMPTOMS = (
    Symptom(
        "rewards of an odd scale",
        "Rewards are so large that the errors of the values drown the policy.",
        f"`rollout/reward_abs_max` is at least {LARGE_REWARD:g}, rewards are not scaled, and the return has not "
        "clearly risen.",
        (
            Remedy("scale_reward", "rewards are divided by the standard deviation of the return", to="True"),
            Remedy("value_coefficient", "where rewards are not scaled", times=0.01),
            Remedy("", "divide the reward in the environment, so that a return is between 1 and 1,000"),
        ),
        odd_rewards,
    ),
)
