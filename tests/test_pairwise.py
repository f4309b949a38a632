"""The sample of a product of cases has every pair; the whole product runs when it is wanted."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pairwise import pairs_of, sample

AXES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@settings(max_examples=30, deadline=None)
@given(AXES)
def test_each_pair_is_in_the_sample_and_no_case_is_there_twice(sizes: list[int]) -> None:
    cases = list(product(*map(range, sizes)))
    chosen = sample(cases)
    assert len(set(chosen)) == len(chosen)
    if len(sizes) > 1:
        tried = set().union(*(pairs_of(cases[number]) for number in chosen))
        assert tried == set().union(*map(pairs_of, cases))


def test_two_axes_lose_nothing_and_three_are_far_fewer() -> None:
    two = list(product(range(20), range(12)))
    assert sample(two) == list(range(240))
    three = list(product(range(3), range(2), range(19)))
    assert len(sample(three)) == 57  # every one of 19 with every one of 3


PRODUCT = """
import pytest

@pytest.mark.pairwise
@pytest.mark.parametrize("a", [1, 2, 3])
@pytest.mark.parametrize(("b", "c"), [(1, None), (2, None)])
@pytest.mark.parametrize("d", ["x", "y"])
def test_product(a, b, c, d):
    pass

@pytest.mark.parametrize("a", [1, 2])
@pytest.mark.parametrize("b", [1, 2])
@pytest.mark.parametrize("c", [1, 2])
def test_whole(a, b, c):
    pass
"""
CONFTEST = """
from tests.conftest import pytest_addoption, pytest_collection_modifyitems
"""
INI = """
[pytest]
markers = pairwise
asyncio_default_fixture_loop_scope = function
"""
pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ((), {"passed": 6 + 8, "deselected": 6}),
        (("--all-cases",), {"passed": 12 + 8}),
        (("test_product.py::test_product[y-2-None-3]",), {"passed": 1}),
    ],
)
def test_only_what_is_marked_is_sampled_and_a_case_can_be_named(
    pytester: pytest.Pytester, options: tuple[str, ...], counts: dict[str, int]
) -> None:
    pytester.makepyfile(test_product=PRODUCT)
    pytester.makeconftest(CONFTEST)
    pytester.makeini(INI)
    result = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", *options)
    result.assert_outcomes(**counts)
