"""What steps environments with a policy: collectors, rollouts, evaluation, recording."""
