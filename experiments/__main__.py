"""The command line: `python -m experiments COMMAND`. The commands are the files in commands/."""

from __future__ import annotations

import sys

from commands.command_line import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
