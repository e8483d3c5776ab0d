"""Images as pins: which file has them, who is asked, and what a digest that moved means for a bump."""

from dataclasses import replace
from datetime import datetime

import pytest

from watcher.bump import Bump, BumpStage
from watcher.choose import choose
from watcher.config import parse
from watcher.decide import locked, settled
from watcher.decision import Verdict
from watcher.ecosystems import ECOSYSTEMS
from watcher.errors import SettingsRefused
from watcher.head import Head
from watcher.lookup import Lookup, Outcome
from watcher.pin import CONFIGURED, Pin
from watcher.release import File, Release
from watcher.rules import Rules
from watcher.settings import ImageSettings
from watcher.versions import SCHEMES

A, B, C = (f"sha256:{digit * 64}" for digit in "abc")
BASE = "registry.example/base/python:3.12"
PIN = Pin(ecosystem="oci", package=BASE, version=A, lock="Dockerfile")


def settings(image: str, more: str = "") -> str:
    return f"""
[toplayer]
state = "/srv/toplayer"
[apps.shop]
repository = "/srv/shop.git"
lock = "requirements.txt"
fleet = "field"
[apps.shop.image]
repository = "registry.example/team/shop"
python = "3.12"
{image}
[[fleets.field.hosts]]
name = "one"
address = "unix:///var/run/docker.sock"
{more}
"""


def test_a_dockerfile_is_pinned_in_and_registries_are_asked_beside_the_named_indexes() -> None:
    found = parse(
        settings('builder = "dockerfile"', '[indexes.ours]\nkind = "pypi"\nurl = "https://index.example/"'), "x"
    )
    app = found.apps["shop"]
    assert (app.locks, app.pinned_in) == (("requirements.txt",), ("requirements.txt", "Dockerfile"))
    assert app.lock_of("oci") == "Dockerfile"
    assert {name: index.kind for name, index in found.indexes.items()} == {"oci": "oci", "ours": "pypi"}
    assert not found.indexes["oci"].is_public


@pytest.mark.parametrize(
    ("image", "file", "asked"),
    [
        ('base = "file:deploy/base.Dockerfile"', "deploy/base.Dockerfile", True),
        ('base = "registry.example/base:1"', "", True),
        ('base = "oci:/srv/base:1"', "", False),
        ("", "", False),
        ('builder = "dockerfile"\ndockerfile = { follow = "none" }', "", False),
        ('builder = "dockerfile"\ndockerfile = { file = "docker/build" }', "", False),
    ],
)
def test_registries_are_asked_where_the_repository_or_the_configuration_names_a_base(
    image: str, file: str, asked: bool
) -> None:
    found = parse(settings(image), "x")
    assert found.apps["shop"].image.base_file == file
    assert ("oci" in found.indexes) == asked


@pytest.mark.parametrize(
    ("image", "more", "said"),
    [
        ('base = "file:base.txt"', "", "expected a file whose name says Dockerfile, got 'base.txt'"),
        ('base = "file:../Dockerfile"', "", "expected a path inside the repository"),
        ("", '[indexes.hub]\nkind = "oci"\nurl = "https://hub.example"', "registries"),
    ],
)
def test_what_cannot_be_followed_is_refused(image: str, more: str, said: str) -> None:
    with pytest.raises(SettingsRefused, match=said.replace("[", r"\[")):
        parse(settings(image, more), "x")


def test_images_by_tag_alone_are_followed_unless_only_digests_are() -> None:
    by_tag = replace(PIN, version="")
    everything = ImageSettings(repository="registry.example/shop", builder="dockerfile")
    digests = ImageSettings.model_validate(
        {"repository": "registry.example/shop", "builder": "dockerfile", "dockerfile": {"follow": "digests"}}
    )
    assert [everything.follows(pin) for pin in (PIN, by_tag)] == [True, True]
    assert [digests.follows(pin) for pin in (PIN, by_tag)] == [True, False]


@pytest.mark.parametrize("pinned", [A, ""])
def test_a_tag_that_names_another_digest_is_a_candidate_once_it_has_cooled(pinned: str, now: datetime) -> None:
    file = File(filename=B, url="", seen_at=now.replace(year=now.year - 1))
    release = Release(package=BASE, version=B, files=(file,))
    lookup = Lookup(index="oci", package=BASE, outcome=Outcome.ANSWER, answered_at=now, releases=(release,))
    rules = Rules(app="shop", target=ECOSYSTEMS["oci"].target(ImageSettings(repository="registry.example/shop")))
    pin = replace(PIN, version=pinned)

    found = choose(pin, lookup, rules, now)
    young = choose(pin, replace(lookup, releases=(replace(release, files=(replace(file, seen_at=now),)),)), rules, now)

    assert (found.verdict, found.candidate) == (Verdict.TAKEN, B)
    assert young.verdict is Verdict.HELD
    assert choose(replace(PIN, version=B), lookup, rules, now).verdict is Verdict.CURRENT


@pytest.mark.parametrize(
    ("version", "constraint", "outcome", "verdict", "said"),
    [
        (A, "", Outcome.ANSWER, Verdict.REFUSED, "will stand: `toplayer deploy shop`"),
        ("", "", Outcome.ANSWER, Verdict.REFUSED, "will stand: `toplayer deploy shop`"),
        (A, A, Outcome.ANSWER, Verdict.REFUSED, "in the configuration, where a person changes it"),
        (B, "", Outcome.ANSWER, Verdict.CURRENT, "nothing is newer"),
        (A, "", Outcome.UNKNOWN, Verdict.UNKNOWN, "not looked: the index has not been asked yet"),
        (A, "", Outcome.ABSENT, Verdict.REFUSED, "is not on the index oci"),
    ],
)
def test_a_base_of_the_configuration_is_looked_up_and_left_to_a_person(
    version: str, constraint: str, outcome: Outcome, verdict: Verdict, said: str, now: datetime
) -> None:
    pin = replace(PIN, version=version, lock="", constraint=constraint, source=CONFIGURED)
    there = (Release(package=BASE, version=B, files=(File(filename=B, url="", seen_at=now),)),)
    releases = there if outcome is Outcome.ANSWER else ()
    lookup = Lookup(index="oci", package=BASE, outcome=outcome, releases=releases)
    rules = Rules(app="shop", target=ECOSYSTEMS["oci"].target(ImageSettings(repository="registry.example/shop")))

    found = choose(pin, lookup, rules, now)

    assert (found.verdict, found.candidate) == (verdict, "")
    assert said in found.said


@pytest.mark.parametrize(("at", "stage"), [(A, BumpStage.FOUND), (B, BumpStage.MERGED), (C, BumpStage.SUPERSEDED)])
def test_a_bump_of_a_digest_waits_is_merged_or_overtaken(at: str, stage: BumpStage, now: datetime) -> None:
    bump = Bump(id="x", app="shop", ecosystem="oci", package=BASE, from_version=A, to_version=B, found_at=now)
    head = Head(app="shop", commit="1", surveyed_at=now, pins=(replace(PIN, version=at),))

    assert settled(bump, head, locked(head), SCHEMES["oci"], now).stage is stage
