"""A Dockerfile read as a lockfile: which images it pins."""

import pytest

from watcher.errors import LockfileUnreadable
from watcher.lockfiles import ecosystem_of, read
from watcher.lockfiles.dockerfile import base_of

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def pins(text: str) -> list[tuple[str, str]]:
    return [(pin.package, pin.version) for pin in read("Dockerfile", lambda _: text.encode())]


def test_what_a_stage_stands_on_is_a_pin_with_its_digest_or_by_its_tag() -> None:
    text = f"FROM registry.example:5000/base/python:3.12@{A} AS build\nFROM python:3.12-slim\n"

    assert pins(text) == [("registry.example:5000/base/python:3.12", A), ("python:3.12-slim", "")]


def test_what_files_are_copied_from_is_a_pin_but_no_stage_is() -> None:
    text = (
        f"FROM python AS build\nCOPY --from=composer:2@{B} /usr/bin/composer /usr/bin/\n"
        "RUN --mount=type=bind,from=ghcr.example/uv:1,target=/uv true\n"
        "FROM scratch\nCOPY --from=build /a /a\nCOPY --from=0 /b /b\n"
    )

    assert pins(text) == [("python", ""), ("composer:2", B), ("ghcr.example/uv:1", "")]


def test_an_argument_with_a_default_is_filled_in_and_one_without_is_nobodys() -> None:
    assert pins(f"ARG TAG=3.12@{A}\nARG OTHER\nFROM python:$TAG\nFROM $OTHER\n") == [("python:3.12", A)]


def test_an_image_that_is_named_twice_is_one_pin() -> None:
    assert pins("FROM python:3 AS a\nFROM python:3\n") == [("python:3", "")]


@pytest.mark.parametrize("name", ["Dockerfile", "docker/Dockerfile.prod", "base.Dockerfile", "Containerfile"])
def test_dockerfiles_are_known_by_their_names(name: str) -> None:
    assert ecosystem_of(name) == "oci"


def test_the_base_is_what_the_last_stage_begins_with() -> None:
    assert str(base_of(f"FROM x AS y\nFROM python:3@{A}\n", "Dockerfile")) == f"python:3@{A}"
    with pytest.raises(LockfileUnreadable, match="FROM host/path:tag"):
        base_of("FROM scratch\n", "base.Dockerfile")
