"""Which components share a layer, and that nothing moves that does not have to."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from workers.image.component import CODE, VENV, Component
from workers.image.plan import Group, grouped, order

NAMES = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), unique=True, min_size=1, max_size=60)


def components(names: list[str]) -> tuple[Component, ...]:
    packages = [Component(f"pypi:{name}", f"key-{name}", "1.0") for name in names]
    return order([Component(CODE, "code"), *packages, Component(VENV, "venv")])


def shared(groups: tuple[Group, ...]) -> set[tuple[str, ...]]:
    return {tuple(component.name for component in group.components) for group in groups}


def test_the_environment_is_below_the_packages_and_the_code_above() -> None:
    assert [one.name for one in components(["b", "a"])] == ["venv", "pypi:a", "pypi:b", "code"]


def test_where_there_is_room_every_component_has_its_own_layer() -> None:
    groups = grouped(components(["a", "b"]), 4)

    assert [group.name for group in groups] == ["venv", "pypi:a@1.0", "pypi:b@1.0", "code"]
    assert [group.key for group in groups] == ["venv", "key-a", "key-b", "code"]


@given(NAMES, st.integers(3, 40))
def test_all_components_are_there_once_in_their_order_and_the_limit_holds(names: list[str], most: int) -> None:
    ordered = components(names)

    groups = grouped(ordered, most)

    assert tuple(component for group in groups for component in group.components) == ordered
    assert len(groups) == min(len(ordered), most)
    assert len(groups[0].components) == len(groups[-1].components) == 1


@given(NAMES, st.integers(3, 40))
def test_no_group_is_much_larger_than_the_others(names: list[str], most: int) -> None:
    largest = max(len(group.components) for group in grouped(components(names), most))

    assert largest <= 2 * -(-len(names) // max(most - 2, 1))


@given(NAMES, st.integers(3, 40))
def test_a_new_version_changes_its_own_group_only(names: list[str], most: int) -> None:
    before = components(names)
    after = tuple(replace(one, key="new") if one.name == f"pypi:{names[0]}" else one for one in before)

    kept = {group.key for group in grouped(before, most)} & {group.key for group in grouped(after, most)}

    assert len(kept) == len(grouped(before, most)) - 1


def test_a_new_package_leaves_most_groups_as_they_are() -> None:
    names = [f"package-{n}" for n in range(150)]

    before, after = (shared(grouped(components(some), 100)) for some in (names, [*names, "package-77b"]))

    assert len(before - after) <= 4
