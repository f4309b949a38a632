"""``python -m agentstream``: tutorials to begin, record, check and save; info for a report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import __version__
from ._info import info_lines
from ._utils.printable import write_text
from .exceptions import UserError
from .testing import check_notebook, save_notebook
from .testing.notebooks.template import new_tutorial


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for."""
    options = _parser().parse_args(arguments)
    try:
        for line in options.do(options):
            write_text(f"{line}\n")
    except UserError as error:
        write_text(f"{error}\n", sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m agentstream", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    info = commands.add_parser(
        "info",
        help="show versions, the front end and the extras, for a report of a fault",
        description="What a report of a fault needs. It has no keys.",
    )
    info.set_defaults(do=lambda _: info_lines())
    new = commands.add_parser(
        "new-tutorial",
        help="write a notebook that runs, its recording and its test",
        description="Write NAME.ipynb with its outputs, NAME.jsonl and test_NAME.py.",
    )
    new.add_argument("name", help="letters, digits, - and _")
    new.add_argument("--into", default=".", metavar="FOLDER", help="where to; here if not given")
    new.set_defaults(do=_new)
    check = commands.add_parser(
        "check-tutorial",
        help="execute notebooks without a key, and compare their saved outputs",
        description="As agentstream.testing.check_notebook, which has more options.",
    )
    check.set_defaults(do=_check)
    save = commands.add_parser(
        "save-tutorial",
        help="execute notebooks without a key, and save their outputs",
        description="As agentstream.testing.save_notebook, which has more options.",
    )
    save.set_defaults(do=_save)
    record = commands.add_parser(
        "record-tutorial",
        help="execute notebooks with your key, record the model's answers, and save their outputs",
        description="Executes with AGENTSTREAM_LIVE=1 and the network; OPENAI_API_KEY must be set.",
    )
    record.set_defaults(do=_record)
    record.add_argument("notebooks", nargs="+", type=Path, metavar="NAME", help="or NAME.ipynb")
    for command in (check, save):
        command.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    return parser


def _new(options: argparse.Namespace) -> list[str]:
    notebook, recording, test = new_tutorial(options.name, options.into)
    return [
        f"{notebook}: the tutorial; jupyter lab {notebook}",
        f"{recording}: what the model answers in it, so that it needs no key",
        f"{test}: its test; pytest {test}",
    ]


def _check(options: argparse.Namespace) -> list[str]:
    for notebook in options.notebooks:
        check_notebook(notebook)
    return [f"{notebook}: runs, and its saved outputs are true" for notebook in options.notebooks]


def _save(options: argparse.Namespace) -> list[str]:
    changed = [(notebook, save_notebook(notebook)) for notebook in options.notebooks]
    return [f"{notebook}: {'saved' if new else 'nothing new'}" for notebook, new in changed]


def _record(options: argparse.Namespace) -> list[str]:
    if not os.environ.get("OPENAI_API_KEY"):
        raise UserError(
            "A recording is made with a key, and OPENAI_API_KEY is not set. Set it (and "
            "OPENAI_BASE_URL for a server of your own), and run this again."
        )
    lines = []
    for name in options.notebooks:
        notebook = name if name.suffix == ".ipynb" else name.with_name(f"{name.name}.ipynb")
        save_notebook(notebook, network=True, environment={"AGENTSTREAM_LIVE": "1"})
        lines.append(f"{notebook}: recorded and saved")
    return lines


if __name__ == "__main__":
    sys.exit(main())
