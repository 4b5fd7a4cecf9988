"""The one entry point: no argument opens the window, a sub-command runs on the command line."""

from __future__ import annotations

import multiprocessing
import sys

_WORKERS = ("engine", "calibrate")


def main() -> None:
    """Run what the arguments ask for, and end the process with its exit code."""
    multiprocessing.freeze_support()
    if sys.argv[1:2] == ["--worker"] and len(sys.argv) > 2 and sys.argv[2] in _WORKERS:
        # The frozen binary has no Python to run a module with: it calls itself to become a worker.
        import importlib

        importlib.import_module(f"{sys.argv[2]}.serve").main()
        return
    from app.cli import cli

    for output in (sys.stdout, sys.stderr):
        # A terminal that cannot show a sign gets a stand-in for it instead of an error.
        if hasattr(output, "reconfigure"):
            output.reconfigure(errors="replace")
    cli(prog_name="idiolect")


if __name__ == "__main__":
    main()
