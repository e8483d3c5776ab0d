"""What becomes of the layers when something changes: what stays, what travels, and what pays."""

from dataclasses import replace
from datetime import timedelta
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from watcher.layers.choice import Choice, Kind, choose, worth_patching
from watcher.layers.order import plan
from watcher.layers.part import Layer, Part, Stack, Terms
from watcher.layers.price import churn_of, cycle, next_costs, patch_size, price, pulled

K, M = 1_000, 1_000_000
TERMS = Terms()
CONTAINERD = Terms(classic=0.0)


def part(name: str, size: int, rate: float, key: str = "1", churn: float = 1.0) -> Part:
    return Part(name=name, key=f"{name}@{key}", size=size, rate=rate, churn=churn)


COLD, WARM, HOT = part("cold", 100 * M, 0.001), part("warm", 5 * M, 0.02), part("hot", 2 * M, 0.2)
PARTS = [COLD, WARM, HOT]
STACK = plan(PARTS, TERMS)


def moved(parts: list[Part], name: str, key: str = "2") -> list[Part]:
    return [replace(one, key=f"{name}@{key}") if one.name == name else one for one in parts]


def names(stack: Stack) -> list[tuple[str, ...]]:
    return [(f"+{layer.names[0]}",) if layer.is_patch else layer.names for layer in stack]


def choice(parts: list[Part], before: Stack = STACK, terms: Terms = TERMS, **patches: int) -> Choice:
    return choose(before, parts, terms, patches)


def test_a_first_image_is_planned() -> None:
    found = choice(PARTS, before=())

    assert (found.kind, found.stack) == (Kind.FIRST, STACK)
    assert names(STACK) == [("cold",), ("warm",), ("hot",)]


def test_nothing_changed_is_nothing_done() -> None:
    found = choice(PARTS)

    assert (found.kind, found.stack) == (Kind.SPLICE, STACK)
    assert found.price.now == TERMS.per_layer * 3


def test_a_bump_is_spliced_in_its_place() -> None:
    found = choice(moved(PARTS, "hot"))

    assert (found.kind, names(found.stack)) == (Kind.SPLICE, names(STACK))
    assert found.stack[:2] == STACK[:2]
    assert found.price.now == 2 * M + TERMS.per_layer * 3


def test_a_classic_host_downloads_everything_above_and_one_on_containerd_does_not() -> None:
    after = choice(moved(PARTS, "warm")).stack

    assert pulled(STACK, after, TERMS) == 7 * M + TERMS.per_layer * 3
    assert pulled(STACK, after, CONTAINERD) == 5 * M + TERMS.per_layer * 3
    assert pulled(STACK, after, Terms(classic=0.5)) == 6 * M + TERMS.per_layer * 3


def test_a_host_that_has_nothing_downloads_all_of_it_either_way() -> None:
    assert pulled((), STACK, TERMS) == pulled((), STACK, CONTAINERD) == 107 * M + TERMS.per_layer * 3


def test_a_small_change_of_a_large_part_is_put_on_top() -> None:
    found = choice(moved(PARTS, "cold"), cold=20 * K)

    assert (found.kind, names(found.stack)) == (Kind.APPEND, [*names(STACK), ("+cold",)])
    assert found.stack[:3] == STACK
    assert found.price.now == 20 * K + TERMS.per_layer * 4
    patch = found.stack[-1]
    assert (patch.since, patch.parts, patch.steps) == ("cold@1", (("cold", "cold@2"),), 1)
    assert found.rejected[Kind.SPLICE].now == 107 * M + TERMS.per_layer * 3


def test_on_another_base_everything_is_sent_anyway_so_a_better_order_costs_nothing() -> None:
    now = [COLD, replace(WARM, rate=0.6), HOT]
    elsewhere = replace(TERMS, moved=True, payback=timedelta(days=1))

    assert choice(now, terms=replace(TERMS, payback=timedelta(days=1))).kind is Kind.SPLICE
    found = choice(now, terms=elsewhere)
    assert (found.kind, names(found.stack)) == (Kind.REPLAN, [("cold",), ("hot",), ("warm",)])
    assert found.price.now == 107 * M + TERMS.per_layer * 3
    # A host on the containerd store has every layer, wherever it lies.
    assert pulled(STACK, STACK, replace(elsewhere, classic=0.0)) == TERMS.per_layer * 3


def test_on_another_base_patches_are_folded_in() -> None:
    patched = choice(moved(PARTS, "cold"), cold=20 * K).stack

    found = choice(moved(PARTS, "cold"), before=patched, terms=replace(TERMS, moved=True))

    assert names(found.stack) == names(STACK)


def test_a_patch_that_is_as_large_as_its_part_is_not_made() -> None:
    assert choice(moved(PARTS, "hot"), hot=2 * M).kind is Kind.SPLICE


def test_the_next_patch_takes_the_place_of_the_one_before() -> None:
    first = choice(moved(PARTS, "cold"), cold=20 * K).stack

    second = choice(moved(PARTS, "cold", "3"), before=first, cold=30 * K)

    assert (second.kind, names(second.stack)) == (Kind.APPEND, [*names(STACK), ("+cold",)])
    patch = second.stack[-1]
    assert (patch.since, patch.parts, patch.steps, patch.size) == ("cold@1", (("cold", "cold@3"),), 2, 30 * K)


def test_a_patch_stays_when_something_else_changes() -> None:
    patched = choice(moved(PARTS, "cold"), cold=20 * K).stack

    after = choice(moved(moved(PARTS, "cold"), "hot"), before=patched).stack

    assert names(after) == [*names(STACK), ("+cold",)]
    assert after[0] == STACK[0]
    assert after[-1] == patched[-1]


def test_a_patch_that_grows_is_folded_in_when_that_pays() -> None:
    # Each release changes a tenth of what has not changed yet. A fresh start costs as much as the part.
    terms = Terms(per_layer=0, fresh=0.0)
    hot = part("hot", 2 * M, 0.5, churn=0.1)
    before, kinds = plan([COLD, hot], terms), []
    for step in range(1, 40):
        now = next((layer.steps for layer in before if layer.is_patch), 0) + 1
        grown = {"hot": int(patch_size(hot, now))}
        found = choose(before, moved([COLD, hot], "hot", str(step + 1)), terms, grown)
        kinds.append(found.kind)
        before = found.stack

    runs = [len(list(run)) for kind, run in groupby(kinds) if kind is Kind.APPEND]
    assert kinds[0] is Kind.APPEND
    assert set(runs[:-1]) == {cycle(hot, terms) - 1}


def test_what_is_spliced_takes_its_patch_along() -> None:
    patched = choice(moved(PARTS, "cold"), cold=20 * K).stack

    after = choice(moved(PARTS, "cold", "3"), before=patched, cold=110 * M).stack

    assert names(after) == names(STACK)


def test_a_part_that_is_gone_leaves_its_layer_and_its_patch() -> None:
    patched = choice(moved(PARTS, "cold"), cold=20 * K).stack

    after = choice([WARM, HOT], before=patched)

    assert names(after.stack) == [("warm",), ("hot",)]


def test_a_part_that_is_gone_from_a_shared_layer_leaves_the_others() -> None:
    parts = [part(name, 3 * K, 0.0001) for name in "abc"] + [HOT]
    before = plan(parts, TERMS)

    after = choice(parts[1:], before=before)

    assert names(before)[0] == ("a", "b", "c")
    assert names(after.stack)[0] == ("b", "c")
    assert after.stack[0].size == 6 * K


def test_a_new_part_goes_where_it_costs_the_least() -> None:
    small_and_hot, large_and_cold = part("new", 10 * K, 1.0), part("huge", 50 * M, 0.0)

    assert names(choice([*PARTS, small_and_hot]).stack)[-1] == ("new",)
    # On top of everything it costs nothing but itself today, and with each change below it as much again.
    assert names(choice([*PARTS, large_and_cold]).stack)[-1] == ("hot",)
    assert names(choice([*PARTS, large_and_cold], terms=Terms(payback=timedelta(hours=1))).stack)[-1] == ("huge",)


def test_a_better_order_has_to_earn_back_what_it_costs() -> None:
    was_cold = [part("a", 30 * M, 0.3), part("b", 30 * M, 0.001)]
    before = tuple(Layer.of([one]) for one in was_cold)

    assert choose(before, was_cold, Terms(payback=timedelta(days=2)), {}).kind is Kind.SPLICE
    anew = choose(before, was_cold, Terms(payback=timedelta(days=60)), {})
    assert (anew.kind, names(anew.stack)) == (Kind.REPLAN, [("b",), ("a",)])


def test_too_many_layers_are_planned_anew() -> None:
    terms = Terms(most=3)

    found = choice([*PARTS, part("new", 10 * K, 1.0)], terms=terms)

    assert (found.kind, len(found.stack)) == (Kind.REPLAN, 3)


def test_the_order_does_not_matter_to_hosts_on_containerd() -> None:
    upside_down = STACK[::-1]

    assert choice(moved(PARTS, "hot"), before=upside_down, terms=CONTAINERD).kind is Kind.SPLICE
    assert choice(moved(PARTS, "hot"), before=upside_down).kind is Kind.REPLAN


def test_an_old_layer_is_only_read_where_a_patch_could_pay() -> None:
    tiny = [part("tiny", 20 * K, 1.0), part("large", 10 * M, 0.01)]

    assert worth_patching(plan(tiny, TERMS), moved(tiny, "tiny"), TERMS) == ()
    assert worth_patching(plan(tiny, TERMS), moved(tiny, "large"), TERMS) == ("large",)
    assert worth_patching(plan(tiny, TERMS), tiny, TERMS) == ()


def test_a_part_of_a_shared_layer_is_patched_above_it() -> None:
    parts = [part("a", 5 * M, 0.0), part("b", 5 * M, 0.0)]
    together = (Layer.of(parts),)

    assert worth_patching(together, moved(parts, "a"), TERMS) == ("a",)
    found = choose(together, moved(parts, "a"), TERMS, {"a": 10 * K})
    assert (found.kind, names(found.stack)) == (Kind.APPEND, [("a", "b"), ("+a",)])
    assert found.stack[0] == together[0]
    assert found.stack[1].since == "a@1"


def test_a_shared_layer_that_is_made_anew_takes_all_of_its_patches_along() -> None:
    parts = [part("a", 5 * M, 0.0), part("b", 5 * M, 0.0)]
    patched = choose((Layer.of(parts),), moved(parts, "a"), TERMS, {"a": 10 * K}).stack

    again = choose(patched, moved(moved(parts, "a"), "b"), TERMS, {})

    assert names(again.stack) == [("a", "b")]
    assert again.stack[0].parts == (("a", "a@2"), ("b", "b@2"))
    both = choose(patched, moved(moved(parts, "a"), "b"), TERMS, {"b": 10 * K}).stack
    assert (names(both), both[0]) == ([("a", "b"), ("+a",), ("+b",)], patched[0])


def test_of_a_shared_layer_everything_that_has_changed_is_patched_or_nothing() -> None:
    parts = [part("a", 5 * M, 0.0), part("b", 5 * M, 0.0)]

    found = choose((Layer.of(parts),), moved(moved(parts, "a"), "b"), TERMS, {"a": 10 * K})

    assert names(found.stack) == [("a", "b")]


def test_the_next_change_is_a_patch_where_that_is_less() -> None:
    hot = replace(HOT, churn=0.1)

    assert next_costs(STACK, [COLD, WARM, hot], TERMS)["hot"] == patch_size(hot, 1) + TERMS.per_layer * 3
    assert next_costs(STACK, PARTS, TERMS)["hot"] == 2 * M + TERMS.per_layer * 3
    assert next_costs(STACK, PARTS, TERMS)["warm"] == 7 * M + TERMS.per_layer * 3


def test_a_part_whose_patches_grow_faster_is_laid_anew_sooner() -> None:
    cycles = [cycle(replace(HOT, churn=churn), TERMS) for churn in (0.001, 0.01, 0.1, 0.5, 1.0)]

    assert cycles == sorted(cycles, reverse=True)
    assert cycles[-1] == 1
    assert cycles[0] > 10


@given(st.integers(1, 10**9), st.floats(0.001, 0.999), st.integers(1, 50))
def test_churn_is_what_it_was_told_from(size: int, churn: float, steps: int) -> None:
    one = part("x", size * 1000, 1.0, churn=churn)

    patch = round(patch_size(one, steps))

    assert abs(patch_size(replace(one, churn=churn_of(one.size, patch, steps)), steps) - patch) <= 1 + one.size * 1e-6


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.floats(0, 1), st.booleans()), min_size=1, max_size=12),
    st.integers(1, 12),
    st.floats(0, 1),
    st.data(),
)
def test_whatever_is_chosen_is_whole_and_no_dearer_than_splicing(
    facts: list[tuple[int, float, bool]], most: int, classic: float, data: st.DataObject
) -> None:
    terms = Terms(most=most, classic=classic)
    parts = [part(f"p{n}", size, rate) for n, (size, rate, _) in enumerate(facts)]
    before = plan(parts, terms)
    after = [replace(one, key="new") if changed else one for one, (_, _, changed) in zip(parts, facts, strict=True)]
    patches = {one.name: data.draw(st.integers(0, one.size)) for one in after if one.key == "new"}

    found = choose(before, after, terms, patches)

    assert len(found.stack) <= most
    held: dict[str, str] = {}
    for layer in found.stack:
        assert not layer.is_patch or held[layer.names[0]] == layer.since
        held |= dict(layer.parts)
    assert held == {one.name: one.key for one in after}
    spliced = price(before, choose(before, after, terms, {}).stack, after, terms).total
    assert found.price.total <= spliced * (1 + 1e-9)
