"""`__init__` is the list of public names and nothing else."""

from __future__ import annotations

from types import ModuleType

import agentstream


def test_all_is_sorted_and_holds_every_public_name_of_the_package() -> None:
    members = {name: value for name, value in vars(agentstream).items() if name[0] != "_"}
    public = {name for name, value in members.items() if not isinstance(value, ModuleType)}
    assert public - {"annotations"} == set(agentstream.__all__) - {"__version__"}
    assert agentstream.__all__ == sorted(agentstream.__all__)
