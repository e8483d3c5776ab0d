"""The planner's choice, in the builder's words: what an image says of its layers is all that there is to know."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from watcher.layers.choice import Choice, Kind
from watcher.layers.part import CODE, VENV, Stack, Terms
from workers.image.component import Component
from workers.image.plan import Found, Group, groups, patch_key, room, stack
from workers.image.plan import arrange as chosen
from workers.image.plan import parts as known_parts

A, B, C = (Component(f"pypi:{name}", f"key-{name}", "1.0") for name in "abc")
ENVIRONMENT, APP = Component(VENV, "key-venv"), Component(CODE, "key-code")
ALL = (ENVIRONMENT, A, B, C, APP)
SIZES = {VENV: 300, A.name: 9_000_000, B.name: 3_000_000, C.name: 20_000_000, CODE: 500_000}
RATES = {A.name: 0.01, B.name: 0.2, C.name: 0.0, CODE: 0.5}
MOVED = replace(B, key="key-b2", version="2.0")


def arrange(
    components: Sequence[Component],
    sizes: Mapping[str, int],
    rates: Mapping[str, float],
    before: Stack,
    terms: Terms,
    *,
    again: bool = False,
    patches: Mapping[str, int] | None = None,
) -> Choice:
    return chosen(known_parts(components, sizes, rates, {}), before, terms, patches or {}, again=again)


def found(image: tuple[Group, ...], *, keys: bool = True) -> list[Found]:
    """What an image of these groups tells of itself."""
    return [
        Found(
            tuple(one.name for one in group.components),
            group.key,
            sum(SIZES[one.name] for one in group.components),
            group.keys if keys else (),
        )
        for group in image
    ]


FIRST = groups(arrange(ALL, SIZES, RATES, (), Terms()).stack, ALL)


def test_what_never_changes_is_at_the_bottom_in_one_layer_and_what_changes_most_for_its_size_on_top() -> None:
    assert [group.name for group in FIRST] == ["pypi:c@1.0 venv", "pypi:a@1.0", "pypi:b@1.0", "code"]


def test_a_bump_leaves_every_layer_where_it_is() -> None:
    now = (ENVIRONMENT, A, MOVED, C, APP)

    choice = arrange(now, SIZES, RATES, stack(found(FIRST), now), Terms())

    assert choice.kind is Kind.SPLICE
    after = groups(choice.stack, now)
    assert [group.name for group in after] == ["pypi:c@1.0 venv", "pypi:a@1.0", "pypi:b@2.0", "code"]
    assert after[0].key == FIRST[0].key


def test_a_shared_layer_in_which_one_has_changed_is_made_again() -> None:
    now = (ENVIRONMENT, A, B, replace(C, key="key-c2"), APP)

    layers = stack(found(FIRST), now)

    assert layers[0].parts == ((C.name, "key-c"), (VENV, "key-venv"))
    assert arrange(now, SIZES, RATES, layers, Terms()).price.now > SIZES[C.name]


def test_where_nobody_knows_which_one_has_changed_all_of_them_have() -> None:
    now = (ENVIRONMENT, A, B, replace(C, key="key-c2"), APP)

    layers = stack(found(FIRST, keys=False), now)

    assert layers[0].names == (C.name, VENV)
    assert {key for _, key in layers[0].parts}.isdisjoint({"key-c2", "key-venv"})


def test_another_order_has_to_earn_what_it_costs() -> None:
    layers = stack(found(FIRST), ALL)
    colder = RATES | {B.name: 0.009}

    assert arrange(ALL, SIZES, colder, layers, Terms()).kind is Kind.SPLICE
    assert arrange(ALL, SIZES, RATES | {B.name: 0.0, A.name: 30.0}, layers, Terms()).kind is Kind.REPLAN


def test_the_same_commit_stays_as_it_was_built() -> None:
    layers = stack(found(FIRST), ALL)

    assert arrange(ALL, SIZES, RATES | {A.name: 30.0}, layers, Terms(), again=True).stack == layers


def test_what_nobody_knows_the_rate_of_changes_like_the_others_of_its_kind() -> None:
    choice = arrange(ALL, SIZES, {}, (), Terms())

    assert [name for layer in choice.stack for name in layer.names] == [VENV, C.name, A.name, B.name, CODE]


def test_there_is_only_as_much_room_as_the_base_leaves() -> None:
    choice = arrange(ALL, SIZES, RATES, (), room(Terms(), 122))

    assert len(choice.stack) == 2


def test_a_patch_is_told_of_as_what_it_changes_and_lies_above_what_it_changes() -> None:
    now = (ENVIRONMENT, replace(A, key="key-a2", version="1.1"), B, C, APP)
    before = stack(found(FIRST), now)

    choice = arrange(now, SIZES, RATES, before, Terms(), patches={A.name: 20_000})

    assert choice.kind is Kind.APPEND
    held, patch = next(one for one in groups(choice.stack, now) if one.key == A.key), groups(choice.stack, now)[-1]
    assert (held.components, held.name) == ((), "")
    assert (patch.name, patch.since, patch.steps) == ("pypi:a@1.1", A.key, 1)
    assert patch.key == patch_key(A.key, "key-a2")
    told = Found((A.name,), patch.key, 20_000, ("key-a2",), patch.since, patch.steps)
    assert stack([told], now)[0].parts == ((A.name, "key-a2"),)
    assert stack([told], (ENVIRONMENT,))[0].parts == ((A.name, "key-a2"),)
