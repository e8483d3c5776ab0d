"""Which index answers for a pin: two packages of one name on two indexes are two packages."""

from dataclasses import replace

import pytest

from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
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
