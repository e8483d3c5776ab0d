"""The order and the cuts, against every order and every cut that there is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.layers.cuts import cut
from watcher.layers.order import plan, smith
from watcher.layers.part import Layer, Part, Stack, Terms
from watcher.layers.price import expected
from watcher.layers.sharing import FEW, by_heat, heat

SIZES = st.one_of(st.integers(0, 2_000), st.integers(0, 50_000_000))
RATES = st.one_of(st.just(0.0), st.floats(1e-4, 2.0))


@st.composite
def some_parts(draw: st.DrawFn, most: int, least: int = 1) -> list[Part]:
    facts = draw(st.lists(st.tuples(SIZES, RATES), min_size=least, max_size=most))
    return [Part(name=f"p{n}", key=f"{n}", size=size, rate=rate) for n, (size, rate) in enumerate(facts)]


def groupings(parts: Sequence[Part]) -> Iterator[list[list[Part]]]:
    """Every way to put the parts into groups."""
    if not parts:
        yield []
        return
    first, *others = parts
    for groups in groupings(others):
        yield [[first], *groups]
        for n, group in enumerate(groups):
            yield [*groups[:n], [first, *group], *groups[n + 1 :]]


def everything(parts: Sequence[Part]) -> Iterator[Stack]:
    """Every stack of these parts: all groups, in all orders."""
    for groups in groupings(parts):
        for order in permutations(groups):
            yield tuple(map(Layer.of, order))


def cuts(parts: Sequence[Part]) -> Iterator[Stack]:
    """Every way to cut the parts, as they are ordered, into layers."""
    for walls in product((False, True), repeat=len(parts) - 1):
        bounds = [0, *(n for n, wall in enumerate(walls, 1) if wall), len(parts)]
        yield tuple(Layer.of(parts[a:b]) for a, b in pairwise(bounds))


def close(cost: float) -> object:
    return pytest.approx(cost, rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(some_parts(6), st.integers(1, 6), st.sampled_from([0, 390, 50_000]), st.sampled_from([0.0, 0.3, 1.0]))
def test_of_few_parts_no_order_and_no_cut_at_all_is_cheaper(
    parts: list[Part], most: int, per_layer: int, classic: float
) -> None:
    terms = Terms(most=most, per_layer=per_layer, classic=classic)
    least = min(expected(stack, parts, terms) for stack in everything(parts) if len(stack) <= most)

    found = plan(parts, terms)

    assert len(found) <= most
    assert expected(found, parts, terms) == close(least)


def test_that_is_so_up_to_as_many_parts_as_are_called_few() -> None:
    # Once, with parts of which several should share a layer.
    rows = zip((1, 10, 2, 700, 30, 90, 5, 400), (0.0, 1.0, 0.24, 0.9, 0.3, 0.9, 0.01, 0.7), strict=True)
    parts = [Part(name=f"p{n}", key=f"{n}", size=size * 100, rate=rate) for n, (size, rate) in enumerate(rows)]
    terms = Terms(per_layer=2_000)
    assert len(parts) == FEW

    least = min(expected(stack, parts, terms) for stack in every_stack_by_heat(parts))

    assert expected(plan(parts, terms), parts, terms) == close(least)


def every_stack_by_heat(parts: Sequence[Part]) -> Iterator[Stack]:
    """All groups, each set of them in the order that Smith's rule has for layers: proved above for all orders."""
    return (tuple(map(Layer.of, by_heat(groups))) for groups in groupings(parts))


@settings(deadline=None)
@given(some_parts(5), st.sampled_from([0.0, 0.3, 1.0]))
def test_whatever_is_in_layers_their_best_order_is_by_heat(parts: list[Part], classic: float) -> None:
    terms = Terms(classic=classic)
    for groups in groupings(parts):
        least = min(expected(tuple(map(Layer.of, order)), parts, terms) for order in permutations(groups))
        assert expected(tuple(map(Layer.of, by_heat(groups))), parts, terms) == close(least)


@settings(deadline=None)
@given(some_parts(9), st.integers(1, 9), st.sampled_from([0.0, 0.3, 1.0]))
def test_no_cut_of_smiths_order_is_cheaper_within_the_limit(parts: list[Part], most: int, classic: float) -> None:
    terms = Terms(most=most, classic=classic)
    least = min(expected(stack, parts, terms) for stack in cuts(smith(parts)) if len(stack) <= most)

    found = tuple(map(Layer.of, cut(smith(parts), terms)))

    assert len(found) <= most
    assert expected(found, parts, terms) == close(least)


@settings(deadline=None)
@given(st.lists(st.tuples(SIZES, RATES), min_size=1, max_size=5), st.booleans(), st.integers(1, 5))
def test_where_all_are_as_large_or_as_hot_smiths_order_only_has_to_be_cut(
    facts: list[tuple[int, float]], sizes: bool, most: int
) -> None:
    size, rate = facts[0]
    same = [(size, mine) if sizes else (its, rate) for its, mine in facts]
    parts = [Part(name=f"p{n}", key=f"{n}", size=s, rate=r) for n, (s, r) in enumerate(same)]
    terms = Terms(most=most)
    least = min(expected(stack, parts, terms) for stack in everything(parts) if len(stack) <= most)

    assert expected(tuple(map(Layer.of, cut(smith(parts), terms))), parts, terms) == close(least)


def test_elsewhere_another_order_can_be_cheaper_and_is_found() -> None:
    # In its smallest form: `b` is hotter by the byte than `c` and still belongs below it.
    parts = [Part(name=n, key=n, size=s, rate=r) for n, s, r in (("a", 1, 0), ("b", 10, 100), ("c", 2, 24))]
    terms = Terms(per_layer=0, most=2)
    in_order = expected(tuple(map(Layer.of, cut(smith(parts), terms))), parts, terms)

    assert (expected(plan(parts, terms), parts, terms), in_order) == (1312.0, 1348.0)


@settings(deadline=None)
@given(some_parts(40), st.integers(1, 40), st.sampled_from([390, 50_000]), st.sampled_from([0.0, 1.0]))
def test_of_many_parts_it_is_no_worse_than_the_best_cut_and_no_better_than_can_be(
    parts: list[Part], most: int, per_layer: int, classic: float
) -> None:
    terms = Terms(most=most, per_layer=per_layer, classic=classic)
    found = plan(parts, terms)

    assert len(found) <= most
    cost = expected(found, parts, terms)
    assert cost <= expected(tuple(map(Layer.of, cut(smith(parts), terms))), parts, terms) * (1 + 1e-9)
    # As if nobody had to share, and a layer cost nothing: there Smith's rule is the whole truth.
    free = Terms(per_layer=0, classic=classic)
    assert cost >= expected(plan_of_singles(parts), parts, free) * (1 - 1e-9)


def plan_of_singles(parts: Sequence[Part]) -> Stack:
    return tuple(Layer.of([part]) for part in smith(parts))


@settings(deadline=None)
@given(some_parts(30, least=FEW + 1), st.data(), st.sampled_from([3, 30]))
def test_of_many_parts_none_is_better_off_in_another_layer(parts: list[Part], data: st.DataObject, most: int) -> None:
    terms = Terms(most=most, per_layer=5_000)
    stack = plan(parts, terms)
    by_name = {part.name: part for part in parts}
    groups = [[by_name[name] for name in layer.names] for layer in stack]
    part = data.draw(st.sampled_from(parts))
    rest = [left for group in groups if (left := [one for one in group if one != part])]
    place = data.draw(st.integers(0, len(rest)))
    moved = [*rest[:place], [part], *rest[place:]] if place == len(rest) or data.draw(st.booleans()) else None
    moved = moved or [*rest[:place], [*rest[place], part], *rest[place + 1 :]]

    if len(moved) <= most:
        other = tuple(map(Layer.of, by_heat(moved)))
        assert expected(other, parts, terms) >= expected(stack, parts, terms) * (1 - 1e-6)


@given(some_parts(60), st.integers(1, 40))
def test_every_part_has_its_place_once_and_hotter_layers_are_higher(parts: list[Part], most: int) -> None:
    found = plan(parts, Terms(most=most))

    assert sorted(name for layer in found for name in layer.names) == sorted(part.name for part in parts)
    assert len(found) <= most
    rates = {part.name: part.rate for part in parts}
    order = [heat(sum(rates[name] for name in layer.names), layer.size) for layer in found]
    assert order == sorted(order)


@given(some_parts(40, least=2), st.integers(0, 39), st.integers(0, 39))
def test_in_a_large_stack_no_two_layers_are_better_off_in_each_others_places(
    parts: list[Part], one: int, other: int
) -> None:
    stack = list(plan(parts, Terms()))
    before = expected(stack, parts, Terms())
    a, b = one % len(stack), other % len(stack)
    stack[a], stack[b] = stack[b], stack[a]

    assert expected(stack, parts, Terms()) >= before * (1 - 1e-9)


@given(some_parts(40, least=2), st.integers(0, 38), st.integers(1, 30))
def test_in_a_large_stack_no_neighbours_are_better_off_together(parts: list[Part], place: int, most: int) -> None:
    terms = Terms(most=most)
    stack = plan(parts, terms)
    by_name = {part.name: part for part in parts}
    n = place % max(len(stack) - 1, 1)
    both = Layer.of(by_name[name] for layer in stack[n : n + 2] for name in layer.names)

    merged = (*stack[:n], both, *stack[n + 2 :])

    assert expected(merged, parts, terms) >= expected(stack, parts, terms) * (1 - 1e-9)


def test_parts_that_never_move_lie_at_the_bottom_in_one_layer() -> None:
    parts = [Part(name=n, key=n, size=10_000, rate=0.0) for n in "abc"]
    parts += [Part(name="hot", key="hot", size=1_000_000, rate=1.0)]

    assert [layer.names for layer in plan(parts, Terms())] == [("a", "b", "c"), ("hot",)]


def test_equal_sizes_are_ordered_by_how_often_they_change() -> None:
    parts = [Part(name=f"p{n}", key="", size=1_000_000, rate=rate) for n, rate in enumerate((0.5, 0.1, 0.9))]

    assert [name for layer in plan(parts, Terms()) for name in layer.names] == ["p1", "p0", "p2"]


def test_the_order_in_which_parts_are_named_has_no_say() -> None:
    parts = [Part(name=f"p{n}", key="", size=1000 * (n % 3), rate=0.1 * (n % 2)) for n in range(30)]

    assert plan(parts, Terms()) == plan(parts[::-1], Terms())


def test_where_every_host_has_the_containerd_store_cold_parts_still_share_a_layer() -> None:
    parts = [Part(name=n, key=n, size=100, rate=0.001) for n in "ab"]
    parts += [Part(name="hot", key="hot", size=1_000_000, rate=1.0)]

    assert [layer.names for layer in plan(parts, Terms(classic=0.0))] == [("hot",), ("a", "b")]


def test_nothing_makes_no_layers() -> None:
    assert plan([], Terms()) == ()


def test_a_plan_of_the_largest_image_takes_no_part_of_a_second_worth_mentioning() -> None:
    # Not timed: a limit that binds on 400 parts takes 400 · 125 · log 400 steps and not 400² · 125.
    parts = [Part(name=f"p{n:03}", key="", size=10_000 * (n + 1), rate=0.01 + n % 7) for n in range(400)]

    assert len(plan([replace(part, size=part.size * 1000) for part in parts], Terms(most=125))) == 125
