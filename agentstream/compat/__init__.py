"""Run programs that import the OpenAI Agents SDK on agentstream, unchanged.

A program on the command line, with its arguments::

    python -m agentstream.compat program.py --city Lisbon

In a notebook, before the cell that imports `agents`::

    %load_ext agentstream
    %agentstream_compat

or ``agentstream.compat.install()``. From then on ``import agents`` finds agentstream's names under
the SDK's, in its submodules, too. What agentstream leaves to the SDK raises an ImportError that
says so.
"""

from ._importer import install, is_installed, uninstall

__all__ = ["install", "is_installed", "uninstall"]
