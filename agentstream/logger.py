"""The log of agentstream: the standard logger named "agentstream"."""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger("agentstream")


def enable_verbose_stdout_logging() -> None:
    """Write what agentstream logs, at every level, to standard output.

    Examples
    --------
    At a notebook's top, to see each model call::

        enable_verbose_stdout_logging()
    """
    logger.setLevel(logging.DEBUG)
    if not any(getattr(h, "stream", None) is sys.stdout for h in logger.handlers):
        logger.addHandler(logging.StreamHandler(sys.stdout))
