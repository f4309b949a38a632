"""Products of cases: a sample in which each value of an axis meets each value of every other axis.

A test with three or more ``parametrize`` decorators has the product of their cases. Faults come
from one value or from two that meet, hardly ever from three, so ``@pytest.mark.pairwise`` keeps as
many cases as it takes for every pair; ``pytest --all-cases`` runs the whole product. Of two axes
nothing is left out, nor of those that stand in one decorator.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations

import pytest

Case = tuple[Hashable, ...]
"""One value of each axis."""


def pairs_of(case: Case) -> set[tuple[int, Hashable, int, Hashable]]:
    """Which values of which two axes meet in this case."""
    places = combinations(range(len(case)), 2)
    return {(one, case[one], other, case[other]) for one, other in places}


def sample(cases: Sequence[Case]) -> list[int]:
    """Return which of these cases to run, so that each pair of values that they have is tried.

    Takes the case with the most pairs that are new, again and again; the earliest of equals, so
    that the sample is the same in every process.
    """
    pairs = [pairs_of(case) for case in cases]
    missing = set().union(*pairs)
    chosen = []
    while missing:
        best = max(range(len(cases)), key=lambda number: len(pairs[number] & missing))
        chosen.append(best)
        missing -= pairs[best]
    return sorted(chosen)


def case_of(item: pytest.Item) -> Case:
    """Return the values of this test's parameters, one per ``parametrize``, by their identity."""
    params = item.callspec.params  # type: ignore[attr-defined]
    case = []
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs["argnames"]
        names = names.split(",") if isinstance(names, str) else names
        case.append(tuple(id(params[name.strip()]) for name in names))
    return tuple(case)


def not_in_the_sample(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the cases of tests that are marked ``pairwise`` which no pair needs."""
    products: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("pairwise") is not None:
            products.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out = []
    for product in products.values():
        kept = set(sample([case_of(item) for item in product]))
        left_out += [item for number, item in enumerate(product) if number not in kept]
    return left_out
