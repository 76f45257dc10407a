from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from tunesweep.stats.multiple import holm, letters, tie_groups

P = st.floats(0, 1)


def test_holm_equals_a_worked_example():
    # Four tests at 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 not below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def closed(p_values: list[float]) -> list[float]:
    """Holm by the closure principle: the largest Bonferroni p-value of all sets a hypothesis is in."""
    count = len(p_values)
    sets = [[i for i in range(count) if mask >> i & 1] for mask in range(1, 2**count)]
    combined = [(chosen, min(1.0, len(chosen) * min(p_values[i] for i in chosen))) for chosen in sets]
    return [max(p for chosen, p in combined if i in chosen) for i in range(count)]


@given(st.lists(P, min_size=1, max_size=6))
def test_holm_equals_the_closure_of_bonferroni(p_values):
    assert holm(p_values) == pytest.approx(closed(p_values))


@pytest.mark.parametrize("size", [1, 2, 7, 45])
def test_holm_equals_statsmodels(size):
    p_values = np.random.default_rng(size).random(size) ** 3
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


@st.composite
def told_apart(draw: st.DrawFn) -> tuple[int, set[tuple[int, int]]]:
    """A number of rows, and some pairs of them."""
    n = draw(st.integers(1, 8))
    pairs = [(i, j) for j in range(n) for i in range(j)]
    return n, draw(st.sets(st.sampled_from(pairs))) if pairs else set()


@given(told_apart())
def test_tie_groups_are_the_maximal_cliques_of_rows_not_told_apart(case):
    n, different = case
    graph = nx.complete_graph(n)
    graph.remove_edges_from(different)
    assert set(tie_groups(n, different)) == {tuple(sorted(clique)) for clique in nx.find_cliques(graph)}


def test_tied_rows_share_a_letter():
    assert letters(4, {(0, 2), (0, 3), (1, 3)}) == ["a", "ab", "bc", "c"]
    assert letters(3, set()) == ["a", "a", "a"]
    apart = [(i, j) for j in range(28) for i in range(j)]
    assert letters(28, apart)[25:] == ["z", "a1", "b1"]
