"""``python -m agentstream.compat program.py``: run a program of the SDK's on agentstream."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from . import install


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a program as ``python program.py`` does, with agentstream in the place of `agents`.

    Parameters
    ----------
    arguments : sequence of str, optional
        What stands behind the command; that of this process where None.
    """
    parser = argparse.ArgumentParser("python -m agentstream.compat", description=__doc__)
    parser.add_argument("-m", dest="as_module", action="store_true", help="PROGRAM is a module")
    parser.add_argument("program", metavar="PROGRAM", help="a file, or a module after -m")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program is given")
    options = parser.parse_args(arguments)
    install()
    if options.as_module:
        sys.argv = [options.program, *options.arguments]
        sys.path.insert(0, "")
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
        return
    program = Path(options.program)
    if not program.exists():
        parser.error(f"there is no file {options.program!r}")
    sys.argv = [options.program, *options.arguments]
    sys.path.insert(0, str(program.resolve().parent))
    runpy.run_path(options.program, run_name="__main__")


if __name__ == "__main__":
    main()
