"""What the loop tells beside its events: each kind is known to all that read them by the union."""

from __future__ import annotations

import dataclasses
from typing import get_args

from agentstream.trace import lifecycle


def test_the_union_has_every_kind_but_that_of_the_task() -> None:
    kinds = {
        kind
        for kind in vars(lifecycle).values()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    }
    assert kinds - set(get_args(lifecycle.LifecycleEvent)) == {lifecycle.RunClosed}
