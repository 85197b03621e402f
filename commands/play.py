"""Watch the policy of a run at work: --render terminal draws it here, --step goes step by step."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium as gym
import rich.console

from commands.command_line import first_run, print_help, wants_help
from commands.evaluate import acting_config, told_checkpoint
from envs.config import EnvConfig
from envs.single import make_env
from envs.terminal import (
    CLEAR,
    CLEAR_BELOW,
    CLEAR_LINE_END,
    HIDE_CURSOR,
    HOME,
    SHOW_CURSOR,
    picture_lines,
    text_lines,
    told_value,
)
from envs.video import DEFAULT_FPS, rendered
from training.errors import UserError, require
from training.options import parse_options
from training.run.folder import find_checkpoint

TAKES = "RUN"
PICTURES = ("rgb_array", "ansi")
"""What can be drawn in a terminal, in the order in which it is preferred."""


@dataclass(frozen=True)
class Options:
    """What is watched, and how."""

    checkpoint: Literal["last", "best"] = "last"
    episodes: int = 1
    seed: int | None = None
    """Of the episodes; by default the run's own."""
    render: Literal["auto", "human", "terminal", "none"] = "auto"
    """human: the environment's window; terminal: pictures of half blocks; none: numbers only. auto: the first of them
    that is possible here."""
    step: bool = False
    """Wait for a key after each step (q ends it), and show what the policy sees, thinks and does."""


def main(argv: Sequence[str], package: str) -> int:
    """Plays episodes with the policy of a run for you to watch, and prints the return and the length of each."""
    if wants_help(argv):
        return print_help("play RUN", main.__doc__, Options())
    folder = first_run(argv, "play")
    (options,) = parse_options(argv[1:], Options())
    require(options.episodes >= 1, "episodes", options.episodes, "at least 1")
    require(options.seed is None or options.seed >= 0, "seed", options.seed, "an integer of at least 0")
    config = acting_config(folder, package)
    checkpoint = find_checkpoint(folder, options.checkpoint)
    render, mode = choose_rendering(config.env, options.render)

    from agents.acting.watching import watch
    from agents.policies.saved import policy_at

    policy = policy_at(checkpoint)
    seed = options.seed if options.seed is not None else config.seed
    print(f"checkpoint: {told_checkpoint(checkpoint)}", file=sys.stderr)
    with ExitStack() as stack:
        env = stack.enter_context(closing(make_env(config.env, render_mode=mode)))
        screen = Screen(config.env, env, drawn=render == "terminal")
        wait = stack.enter_context(keys()) if options.step else None
        for episode in range(options.episodes):
            played = watch(
                config.env,
                env,
                policy,
                seed=seed,
                episode=episode,
                greedy=config.evaluation.greedy,
                max_steps=config.evaluation.max_episode_steps,
                thinking=options.step,
            )
            moment = None
            for moment in played:
                lines = [] if moment is None or not options.step else _told(moment)
                screen.show(lines, in_time=wait is None)
                if moment is not None and wait is not None and wait() == "q":
                    return 0
            assert moment is not None, "an episode has a step"
            cut = "" if moment.ended else ", cut there"
            print(f"episode {episode}: return {moment.total_reward:.6g}, length {moment.length}{cut}", flush=True)
    return 0


def choose_rendering(config: EnvConfig, asked: str) -> tuple[str, str | None]:
    """How it is shown, and the environment's render mode for that; raises UserError where it cannot be shown so."""
    with closing(make_env(config)) as env:
        modes = list(env.metadata.get("render_modes") or ())
    drawn = next((mode for mode in PICTURES if mode in modes), None)
    has_window = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if asked == "auto":
        if not sys.stdout.isatty():
            return "none", None
        if has_window and "human" in modes:
            return "human", "human"
        return ("terminal", drawn) if drawn else ("none", None)
    others = "'terminal' or 'none'" if drawn else "'none'"
    if asked == "human":
        require("human" in modes, "render", asked, f"{others}: {config.id} opens no window")
        require(
            has_window, "render", asked, f"{others}: there is no display, as DISPLAY and WAYLAND_DISPLAY are not set"
        )
        return asked, asked
    can_be_drawn = asked == "none" or drawn is not None
    require(can_be_drawn, "render", asked, f"'none': {config.id} renders {', '.join(modes) or 'nothing'}")
    if asked == "terminal":
        # pygame opens a window and a sound device for pictures too, which many machines lack.
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
        if not has_window:
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    return asked, drawn if asked == "terminal" else None


class Screen:
    """Where steps are shown: pictures at the environment's pace where somebody looks, then lines."""

    def __init__(self, config: EnvConfig, env: gym.Env[Any, Any], *, drawn: bool) -> None:
        self._config, self._env, self._drawn = config, env, drawn
        self._is_terminal = sys.stdout.isatty()
        self._full_colour = rich.console.Console().color_system not in ("256", "standard", "windows")
        self._interval = 1.0 / (env.metadata.get("render_fps") or DEFAULT_FPS)
        self._due = time.monotonic()
        self._begun = False

    def show(self, lines: Sequence[str], *, in_time: bool) -> None:
        """Draws what the environment renders now, and the lines below it."""
        size = shutil.get_terminal_size()
        picture = self._picture(size.columns, size.lines - len(lines) - 2) if self._drawn else []
        shown = [*picture, *lines]
        if not shown:
            return
        if self._drawn and self._is_terminal:
            if in_time:
                time.sleep(max(0.0, self._due - time.monotonic()))
                self._due = time.monotonic() + self._interval
            begin = HOME if self._begun else CLEAR + HOME
            sys.stdout.write(begin + "".join(f"{line}{CLEAR_LINE_END}\n" for line in shown) + CLEAR_BELOW)
        else:
            sys.stdout.write("\n".join(shown) + "\n")
        self._begun = True
        sys.stdout.flush()

    def _picture(self, columns: int, rows: int) -> list[str]:
        picture = rendered(self._config, self._env)
        if isinstance(picture, str):
            return text_lines(picture, columns, max(2, rows))
        if getattr(picture, "ndim", 0) not in (2, 3):
            raise UserError(f"{self._config.id} cannot be drawn: its render gives {type(picture).__name__}")
        return picture_lines(picture, columns, max(2, rows), full_colour=self._full_colour)


def _told(moment: Any) -> list[str]:
    """What the policy saw, did and thought, one line each."""
    told = {
        "step": moment.length,
        "observation": moment.obs,
        "action": moment.action,
        **moment.thoughts,
        "reward so far": moment.total_reward,
    }
    width = max(map(len, told))
    return [f"{name:{width}}  {told_value(value)}" for name, value in told.items()]


@contextmanager
def keys() -> Iterator[Callable[[], str]]:
    """A function that waits for a key and gives it; it waits for nothing where no keyboard is at stdin."""
    if not sys.stdin.isatty():
        yield lambda: ""
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    sys.stdout.write(HIDE_CURSOR)
    try:
        yield lambda: os.read(sys.stdin.fileno(), 1).decode(errors="ignore")
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        sys.stdout.write(SHOW_CURSOR)
