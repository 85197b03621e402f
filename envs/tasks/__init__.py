"""Our own environments, and classic ones as batched dynamics: one file each.

Importing this registers ours with Gymnasium under `envs.tasks:Name-v0`; their code is imported when one is made."""

import gymnasium as gym

gym.register("BernoulliBandit-v0", "envs.tasks.bandits:BernoulliBandit", max_episode_steps=1)
gym.register("DeepSea-v0", "envs.tasks.deep_sea:DeepSeaEnv")
gym.register("DigitDial-v0", "envs.tasks.digit_dial:DigitDialEnv", max_episode_steps=20)
gym.register("ConnectFour-v0", "envs.tasks.board_games:no_single_game")
gym.register("TicTacToe-v0", "envs.tasks.board_games:no_single_game")
gym.register("Reach-v0", "envs.tasks.reach:ReachEnv", max_episode_steps=50)
