"""Releases played again: what each way of laying layers costs a host, and that nobody peeks into the future."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from watcher.layers.outlook import Ground, Outlook, pace, rows
from watcher.layers.part import CODE, VENV, Layer, Part, Terms
from watcher.layers.picture import lines_svg, stack_svg
from watcher.layers.replay import Change, History, commits, curves, play

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
M = 1_000_000
FIXED = (Part(name=VENV, key=VENV, size=1000), Part(name=CODE, key=CODE, size=M // 2, rate=0.3))


def moved(name: str, size: int, every: int, days: int = 730) -> list[Change]:
    return [Change(NOW - ago * DAY, name, f"1.{days - ago}", size) for ago in range(days, -1, -every)]


def history(*packages: list[Change], **more: Any) -> History:
    changes = {rows[0].name: rows for rows in packages}
    return History(since=NOW - 365 * DAY, until=NOW, changes=changes, fixed=FIXED, **more)


SHOP = history(moved("pypi:cold", 50 * M, 300), moved("pypi:warm", 5 * M, 30), moved("pypi:hot", 2 * M, 5))


def test_every_bump_is_paid_for_in_every_way_of_laying_layers() -> None:
    one, first, hand, name, plan, _ = play(SHOP, Terms())

    count = len(one.classic)
    assert count == len(first.classic) == len(plan.classic) == 365 // 5 + 12 + 1
    assert sum(plan.classic) < sum(name.classic) < sum(one.classic)
    assert sum(plan.classic) <= sum(hand.classic) <= sum(first.classic)
    assert min(one.classic) > 57 * M
    assert "hot" in hand.said


def test_hosts_on_the_containerd_store_pull_what_changed_in_any_order() -> None:
    *_, name, plan, _ = play(SHOP, Terms())

    assert abs(sum(name.containerd) - sum(plan.containerd)) < 0.01 * sum(plan.containerd)


def test_what_happens_later_has_no_say_in_what_was_done_before() -> None:
    until = NOW - 100 * DAY
    shorter = History(since=SHOP.since, until=until, changes=SHOP.changes, fixed=FIXED)
    without = {name: [one for one in rows if one.at <= until] for name, rows in SHOP.changes.items()}
    blind = History(since=SHOP.since, until=until, changes=without, fixed=FIXED)

    for played, blindly in zip(play(shorter, Terms()), play(blind, Terms()), strict=True):
        assert played.classic == blindly.classic


def test_where_the_code_changes_too_requirements_of_their_own_are_worth_something() -> None:
    code = FIXED[1]
    coded = history(moved("pypi:cold", 50 * M, 300), commits(code, NOW - 365 * DAY, NOW))

    one, first, hand, _, plan, _ = play(coded, Terms())

    assert len(one.classic) == int(0.3 * 365) + 1
    assert sum(plan.classic) <= sum(first.classic) < sum(one.classic) / 10
    assert "code" not in hand.said
    assert commits(replace(code, rate=0.0), NOW - 365 * DAY, NOW) == []


def test_patches_are_reckoned_with_as_an_estimate_of_their_own() -> None:
    measured = history(moved("pypi:cold", 50 * M, 300), moved("pypi:hot", 20 * M, 5), shares={"pypi:hot": 0.01})
    guessed = replace(measured, shares={})

    *_, plan, patched = play(measured, Terms())
    unsure = play(guessed, Terms())[-1]

    assert "estimated: a release replaces 35% (1 packages: as measured)" in patched.said
    assert sum(patched.classic) < sum(unsure.classic) < sum(plan.classic)
    assert play(guessed, Terms())[-2].classic == plan.classic


def test_nothing_moved_costs_nothing() -> None:
    quiet = history([Change(NOW - 500 * DAY, "pypi:cold", "1.0", M)])

    assert [one.classic for one in play(quiet, Terms())] == [()] * 6


def test_pictures_are_xml_whatever_a_package_is_called() -> None:
    odd = history(moved("pypi:<&>\"'", M, 30))

    drawn = lines_svg("bytes <&>", curves(odd, play(odd, Terms())))

    assert len(ElementTree.fromstring(drawn).findall("{http://www.w3.org/2000/svg}polyline")) == 6


PARTS = (*FIXED, Part(name="pypi:cold", key="c", size=50 * M), Part(name="pypi:hot", key="h", size=2 * M, rate=0.2))


def test_an_outlook_compares_the_plan_with_the_newest_image() -> None:
    upside_down = tuple(Layer(parts=((part.name, part.key),), size=part.size) for part in reversed(PARTS))

    found = Outlook(image="sha256:1", today=upside_down, parts=PARTS, terms=Terms()).json()

    hot = next(layer for layer in found["layers"] if layer["parts"] == ["pypi:hot"])
    assert hot["bump_today"] > 52 * M > 3 * M > hot["bump_planned"]
    assert found["next"] == "re-plan"
    assert found["layers"][0]["parts"] == ["pypi:cold", VENV]
    assert found["bytes_per_day"]["planned"] < found["bytes_per_day"]["today"] / 10


def test_the_base_and_what_settles_shared_files_are_rows_of_their_own_and_cost_what_lies_above_them() -> None:
    ground = Ground("registry.example/base:1", 4, 30 * M)

    found = Outlook(parts=PARTS, terms=Terms(), base=ground, shared=2_000).json()

    first, *planned, last = rows(found)
    assert first == ("base", "30 MB", "", "82.5 MB", "82.5 MB", "registry.example/base:1 (4 layers)")
    assert last == ("shared", "2 kB", "", "2 kB", "2 kB", "files that several packages have")
    bare = Outlook(parts=PARTS, terms=Terms()).json()
    assert found["layers"][0]["bump_planned"] == bare["layers"][0]["bump_planned"] + 2_000
    assert len(planned) == len(bare["layers"])
    assert "registry.example/base:1" in stack_svg("shop", found)


def test_without_an_image_it_compares_with_one_layer() -> None:
    found = Outlook(parts=PARTS, terms=Terms()).json()

    assert {layer["bump_today"] for layer in found["layers"]} == {50 * M + 2 * M + M // 2 + 1000 + 390}
    assert (found["compared"], found["next"]) == ("one layer with everything", "first")


def test_what_a_newer_image_will_have_and_this_one_has_not_is_told_too() -> None:
    before = Outlook(image="sha256:1", today=(Layer.of(PARTS[:2]),), parts=PARTS, terms=Terms()).json()

    assert len(list(rows(before))) == len(before["layers"])
    ElementTree.fromstring(stack_svg("shop", before))


def test_paces_are_for_people() -> None:
    assert [pace(rate) for rate in (0, 0.001, 0.2, 3)] == ["never", "every 1000 days", "every 5 days", "3 a day"]
