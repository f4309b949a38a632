"""agentstream: watch agents think, in your notebook.

`__init__.pyi` beside this file lists the public names; each is imported when it is first used.
"""

import sys as _sys

from ._lazy import LAZY_IMPORTS as _LAZY_IMPORTS
from ._lazy import Package as _Package
from ._lazy import import_name as __getattr__  # noqa: F401 -- PEP 562
from ._lazy import list_names as __dir__  # noqa: F401 -- PEP 562

__version__ = "0.1.0"

__all__ = sorted(["__version__", *_LAZY_IMPORTS])

_sys.modules[__name__].__class__ = _Package
