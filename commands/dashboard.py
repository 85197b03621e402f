"""Show the runs of this machine in the browser: a list, a page for each, and the chosen ones beside each other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from commands.command_line import print_help, wants_help
from training.errors import UserError, require
from training.options import parse_options
from training.run.runs import RUNS

TAKES = ""


@dataclass(frozen=True)
class Options:
    """Where it can be read."""

    port: int = 8321
    """0: any that is free."""
    host: str | None = None
    """By default 127.0.0.1: this machine alone. With another address, such as 0.0.0.0, whoever reaches it reads the
    runs."""


def main(argv: Sequence[str], _: str) -> int:
    """Serves the runs in runs/ as pages, which only read, until Ctrl-C."""
    if wants_help(argv):
        return print_help("dashboard", main.__doc__, Options())
    (options,) = parse_options(argv, Options())
    require(0 <= options.port < 2**16, "port", options.port, "a number from 0 to 65535")
    from reports.dashboard.server import Dashboard

    host = options.host or "127.0.0.1"
    try:
        server = Dashboard(RUNS, host, options.port, any_name=options.host is not None)
    except OSError as error:
        asked = f"host = {host!r}, port = {options.port}"
        raise UserError(f"{asked}: the dashboard cannot be there ({error.strerror or error})") from None
    if options.host is not None:
        print(f"warning: whoever reaches {host} can read the runs", file=sys.stderr)
    print(f"dashboard: http://{host}:{server.server_address[1]}/  Ctrl-C ends it", flush=True)
    with server, suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0
