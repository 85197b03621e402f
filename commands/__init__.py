"""The commands of `python -m experiments`, one file each: its options, and `main(argv, package)`.

A file is a command if it says what it takes first, `TAKES = "NAME"`; the first line of its docstring is its line in the
usage text. So a new command is a new file with a test: `command_line.py` finds it.
"""
