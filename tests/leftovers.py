"""What earlier tests have left for Python's collector."""

from __future__ import annotations

import gc
import warnings


def collect_leftovers() -> None:
    """Collect it now, so that no later test is blamed for it.

    The SDK, with which tests compare, leaves connections open when it cancels a call of the model.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
