"""Which index answers for a pin: two packages of one name on two indexes are two packages."""

from dataclasses import replace

import pytest

from tests.conftest import MONDAY
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.route import answer, route, unrouted
from watcher.settings import IndexSettings

PIN = Pin(ecosystem="pypi", package="beta", version="1.0", lock="uv.lock")


def index(name: str, **more: object) -> IndexSettings:
    return IndexSettings.model_validate({"kind": "pypi", "url": f"https://{name}.example/simple/", **more})


PLAIN = {"one": index("one"), "two": index("two")}
CLAIMED = {**PLAIN, "own": index("own", only=["bet*"])}
EXPLICIT = {**PLAIN, "torch": index("torch", explicit=True)}


@pytest.mark.parametrize(
    ("indexes", "registry", "way"),
    [
        (PLAIN, "", ("one", "two")),
        (PLAIN, "https://two.example/simple", ("two",)),
        (PLAIN, "https://three.example/simple", ()),
        (CLAIMED, "", ("own",)),
        (CLAIMED, "https://own.example/simple", ("own",)),
        (CLAIMED, "https://one.example/simple", ()),
        (EXPLICIT, "", ("one", "two")),
        (EXPLICIT, "https://torch.example/simple", ("torch",)),
    ],
)
def test_the_lock_has_the_first_word_and_then_what_an_index_claims(
    indexes: dict[str, IndexSettings], registry: str, way: tuple[str, ...]
) -> None:
    pin = replace(PIN, registry=registry)

    assert route(pin, indexes) == way
    assert bool(unrouted(pin, indexes)) == (not way)


def test_what_an_index_claims_is_asked_for_on_no_other_and_others_are_not_asked_for_on_it() -> None:
    assert route(replace(PIN, package="gamma"), CLAIMED) == ("one", "two")


def test_a_pin_of_git_is_nobodys() -> None:
    assert route(replace(PIN, source="git"), PLAIN) == ()
    assert unrouted(replace(PIN, source="git"), PLAIN) == ""


def test_why_no_index_is_for_a_pin_is_said() -> None:
    elsewhere = unrouted(replace(PIN, registry="https://three.example/simple"), PLAIN)
    claimed = unrouted(replace(PIN, registry="https://one.example/simple"), CLAIMED)

    assert elsewhere == "the lock has beta from https://three.example/simple, which is no index of the configuration"
    assert claimed == "the lock has beta from https://one.example/simple, which is not the one that claims it"
    assert unrouted(replace(PIN, ecosystem="packagist"), PLAIN) == "no index of the configuration is for beta"


def test_behind_an_index_that_does_not_answer_nobody_is_believed() -> None:
    known = {
        "one": Lookup(index="one", package="beta", outcome=Outcome.UNKNOWN, reason="down"),
        "two": Lookup(index="two", package="beta", outcome=Outcome.ANSWER),
    }

    found = answer(PIN, PLAIN, lambda name, package: known[name])
    after = answer(PIN, PLAIN, lambda name, package: replace(known[name], outcome=Outcome.ABSENT))

    assert (found.index, found.outcome) == ("one", Outcome.UNKNOWN)
    assert (after.index, after.outcome) == ("two", Outcome.ABSENT)


def test_an_index_that_lacks_what_it_had_leads_on_to_nobody_until_a_person_has_said_whose_it_is() -> None:
    gone = Lookup(index="one", package="beta", outcome=Outcome.ABSENT, had_at=MONDAY, answered_at=MONDAY)
    known = {"one": gone, "two": releases("two", "99.0")}

    found = answer(PIN, PLAIN, lambda name, package: known[name])
    alone = answer(PIN, {"one": PLAIN["one"]}, lambda name, package: known[name])
    claimed = answer(PIN, {**PLAIN, "two": index("two", only=["beta"])}, lambda name, package: known[name])

    assert (found.outcome, found.releases, found.answered_at) == (Outcome.UNKNOWN, (), None)
    assert found.reason == ("one had beta until 2026-11-02 09:00 UTC and does not show it now; `only` says whose it is")
    assert alone.outcome is Outcome.ABSENT, "nobody can be mistaken for it"
    assert [one.version for one in claimed.releases] == ["99.0"]


SHARED = replace(
    PIN, registries=("https://one.example/simple", "https://two.example/simple"), open=("https://one.example/simple",)
)


def releases(index: str, *versions: str, outcome: Outcome = Outcome.ANSWER) -> Lookup:
    found = tuple(
        Release(package="beta", version=one, files=(File(filename=one, url=f"https://{index}.example"),))
        for one in versions
    )
    return Lookup(index=index, package="beta", outcome=outcome, releases=found, answered_at=MONDAY)


def test_behind_an_index_that_is_open_the_versions_of_the_next_one_count_too() -> None:
    known = {"one": releases("one", "1.0", "1.1"), "two": releases("two", "1.1", "2.0")}

    found = answer(SHARED, PLAIN, lambda name, package: known[name])
    closed = answer(replace(SHARED, open=()), PLAIN, lambda name, package: known[name])

    assert {one.version: one.files[0].url for one in found.releases} == {
        "1.0": "https://one.example",
        "1.1": "https://one.example",
        "2.0": "https://two.example",
    }
    assert (found.index, found.outcome) == ("one", Outcome.ANSWER)
    assert [one.version for one in closed.releases] == ["1.0", "1.1"]


@pytest.mark.parametrize(
    ("one", "two", "outcome", "versions"),
    [
        (Outcome.ANSWER, Outcome.ABSENT, Outcome.ANSWER, ["1.0"]),
        (Outcome.ABSENT, Outcome.ANSWER, Outcome.ANSWER, ["2.0"]),
        (Outcome.ANSWER, Outcome.UNKNOWN, Outcome.UNKNOWN, ["1.0", "2.0"]),
        (Outcome.UNKNOWN, Outcome.ANSWER, Outcome.UNKNOWN, ["1.0"]),
        (Outcome.ABSENT, Outcome.ABSENT, Outcome.ABSENT, []),
    ],
)
def test_an_answer_of_two_is_known_when_both_of_them_are(
    one: Outcome, two: Outcome, outcome: Outcome, versions: list[str]
) -> None:
    known = {
        "one": releases("one", *(["1.0"] if one is not Outcome.ABSENT else []), outcome=one),
        "two": releases("two", *(["2.0"] if two is not Outcome.ABSENT else []), outcome=two),
    }

    found = answer(SHARED, PLAIN, lambda name, package: known[name])

    assert (found.outcome, [release.version for release in found.releases]) == (outcome, versions)
