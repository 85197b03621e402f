"""Returns and advantages as pure functions of [T, N] tensors: time first, one column for each environment.

All of them take `discount [T, N] = gamma * (1 - terminated)`, so that termination is data, and `next_value [T, N]`, the
value of the next observation of the same episode: at a truncation that of the final observation.
`continues [T, N]` is 0 where the episode ended at that step, for whatever reason: no sum passes that point.
"""

from __future__ import annotations

import torch
from torch import Tensor


def gae(
    reward: Tensor, discount: Tensor, value: Tensor, next_value: Tensor, continues: Tensor, gae_lambda: float
) -> Tensor:
    """Generalized advantage estimates [T, N] (Schulman et al. 2016, equation 16).

    delta_t = r_t + discount_t * v(s_{t+1}) - v(s_t)
    A_t = delta_t + discount_t * lambda * A_{t+1}, with A_{t+1} = 0 where the episode ended at t
    """
    delta = reward + discount * next_value - value
    return _backward_sum(delta, discount * continues * gae_lambda, torch.zeros_like(delta[0]))


def lambda_return(reward: Tensor, discount: Tensor, next_value: Tensor, continues: Tensor, td_lambda: float) -> Tensor:
    """TD(lambda) returns [T, N] (Sutton and Barto 2018, equation 12.18): GAE plus the value.

    G_t = r_t + discount_t * ((1 - lambda) * v(s_{t+1}) + lambda * G_{t+1}), with G_{t+1} = v(s_{t+1}) at an episode's
    end and at the last row. With lambda = 1 it is the discounted return, with lambda = 0 the one-step target.
    """
    mix = td_lambda * continues
    return _backward_sum(reward + discount * (1 - mix) * next_value, discount * mix, next_value[-1])


def n_step_return(reward: Tensor, discount: Tensor, next_value: Tensor, continues: Tensor, n: int) -> Tensor:
    """n-step returns [T, N] (Sutton and Barto 2018, equation 7.1), shorter where the episode or the rollout ends.

    G_t = r_t + discount_t * r_{t+1} + ... + discount_t * ... * discount_{t+n-1} * v(s_{t+n})
    """
    target = reward + discount * next_value
    for _ in range(n - 1):
        target = reward + discount * _following(target, next_value, continues)
    return target


def vtrace(
    log_ratio: Tensor,
    reward: Tensor,
    discount: Tensor,
    value: Tensor,
    next_value: Tensor,
    continues: Tensor,
    *,
    clip_rho: float = 1.0,
    clip_c: float = 1.0,
    trace_lambda: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """V-trace targets and advantages, both [T, N] (Espeholt et al. 2018, equation 1, remark 2 and section 4.2).

    `log_ratio` is log pi(a|s) - log mu(a|s): the newest policy over the one that acted.
    delta_t = rho_t * (r_t + discount_t * v(s_{t+1}) - v(s_t)), with rho_t = min(clip_rho, ratio_t)
    vs_t - v(s_t) = delta_t + discount_t * c_t * (vs_{t+1} - v(s_{t+1})), with c_t = trace_lambda * min(clip_c, ratio_t)
    advantage_t = r_t + discount_t * vs_{t+1} - v(s_t): the policy gradient weighs it by rho_t, or by a ratio of its own
    On-policy that is delta_t + discount_t * A_{t+1}, where GAE has A_t = delta_t + discount_t * trace_lambda * A_{t+1}.
    """
    ratio = log_ratio.exp()
    rho, c = ratio.clamp(max=clip_rho), trace_lambda * ratio.clamp(max=clip_c)
    delta = rho * (reward + discount * next_value - value)
    target = value + _backward_sum(delta, discount * continues * c, torch.zeros_like(delta[0]))
    return target, reward + discount * _following(target, next_value, continues) - value


def _following(target: Tensor, next_value: Tensor, continues: Tensor) -> Tensor:
    """The target of the next step [T, N]; `next_value` where the episode or the rollout ended."""
    following = next_value.clone()
    following[:-1] = torch.where(continues[:-1] > 0, target[1:], next_value[:-1])
    return following


def _backward_sum(x: Tensor, decay: Tensor, last: Tensor) -> Tensor:
    """y_t = x_t + decay_t * y_{t+1}, [T, N], from y_T = `last` [N]; no gradient flows through it.

    On the CPU it runs over NumPy views of the same memory, which costs a sixth of the same loop over tensors.
    """
    x, decay, last = x.detach(), decay.detach(), last.detach()
    result = torch.empty_like(x)
    rows, x_rows, decay_rows, total = result, x, decay, last
    if x.device.type == "cpu":
        rows, x_rows, decay_rows, total = rows.numpy(), x.numpy(), decay.numpy(), last.numpy()  # type: ignore[assignment]
    for t in range(len(x) - 1, -1, -1):
        total = x_rows[t] + decay_rows[t] * total
        rows[t] = total
    return result
