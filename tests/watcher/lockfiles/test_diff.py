"""What changed between two states of a lockfile."""

from dataclasses import replace

from watcher.lockfiles.diff import Change, LockDiff, changes, strays, together
from watcher.pin import Pin
from watcher.source import Source


def pin(package: str, version: str, marker: str = "", *hashes: str) -> Pin:
    return Pin(ecosystem="pypi", package=package, version=version, lock="uv.lock", marker=marker, hashes=hashes)


SIX, IDNA = pin("six", "1.16"), pin("idna", "3.10")


def test_nothing_is_no_difference() -> None:
    assert changes([SIX, IDNA], [IDNA, SIX]) == LockDiff()
    assert not changes([], [])


def test_what_came_what_went_and_what_moved() -> None:
    moved, new = pin("six", "1.17"), pin("attrs", "26.1")

    diff = changes([SIX, IDNA], [moved, new])

    assert diff == LockDiff(added=(new,), removed=(IDNA,), changed=(Change(SIX, moved),))
    assert diff


def test_the_same_version_from_other_files_is_a_change() -> None:
    before, after = pin("six", "1.17", "", "sha256:a"), pin("six", "1.17", "", "sha256:b")

    assert changes([before], [after]).changed == (Change(before, after),)


def test_the_same_version_from_another_source_is_a_change() -> None:
    assert changes([SIX], [replace(SIX, source="git")]).changed
    assert changes([SIX], [replace(SIX, registry="https://other.example/simple")]).changed


def test_who_asks_for_a_package_is_nothing_that_is_installed() -> None:
    assert not changes([SIX], [replace(SIX, direct=False, constraint="<2")])


def test_of_several_pins_of_a_package_each_is_compared_with_its_own() -> None:
    old = [pin("numpy", "1.26.4", "a"), pin("numpy", "2.4", "b")]
    new = [pin("numpy", "1.26.4", "a"), pin("numpy", "2.5", "b")]

    assert changes(old, new) == LockDiff(changed=(Change(old[1], new[1]),))


def test_a_package_that_is_split_for_two_worlds_is_a_change_and_an_addition() -> None:
    one, two = pin("numpy", "1.26.4", "a"), pin("numpy", "2.5", "b")
    before = pin("numpy", "1.26.3")

    assert changes([before], [one, two]) == LockDiff(added=(two,), changed=(Change(before, one),))
    assert changes([one, two], [before]) == LockDiff(removed=(two,), changed=(Change(one, before),))


def test_what_several_locks_have_in_common_counts_once() -> None:
    main = changes([SIX], [pin("six", "1.17")])
    dev = changes([SIX, IDNA], [replace(pin("six", "1.17"), lock="dev.txt"), pin("attrs", "26.1")])

    both = together([main, dev])

    assert both.changed == main.changed
    assert (both.added, both.removed) == ((pin("attrs", "26.1"),), (IDNA,))
    assert together([]) == LockDiff()


def test_a_difference_knows_the_sizes_that_are_known() -> None:
    moved = pin("six", "1.17")

    diff = changes([SIX, IDNA], [moved]).weighed({SIX: 10_000, moved: 11_000}.get)

    assert [diff.size_of(one) for one in (SIX, moved, IDNA)] == [10_000, 11_000, None]


def test_what_comes_from_no_index_strays_if_it_is_at_another_commit_or_new() -> None:
    kit = Source(package="kit", lock="requirements.txt", kind="git", at="https://git.example/kit", commit="a" * 40)
    moved, new = replace(kit, commit="b" * 40), replace(kit, package="kat")

    assert strays([kit], [kit, new]) == (new,)
    assert strays([kit], [moved]) == (moved,)
    assert strays([kit], [replace(kit, marker="sys_platform == 'linux'")]) == ()
    assert strays([kit], []) == ()
