"""A digest moves in a Dockerfile, and nothing else does."""

import pytest

from workers.propose.bench import Unsolved
from workers.propose.dockerfile import moved

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def test_every_place_that_names_the_image_gets_the_digest_and_nothing_else_changes() -> None:
    text = (
        "# syntax=docker/dockerfile:1\r\n"
        f"# python:3.12@{A} is slow\r\n"
        f"FROM  --platform=linux/amd64 python:3.12@{A}   AS build\r\n"
        f"COPY --from=python:3.12@{A} /a /a\r\n"
        f"RUN --mount=type=bind,from=python:3.12@{A},target=/x echo python:3.12@{A}\r\n"
        f"FROM python:3.12-slim@{A}\r\n"
        f"FROM other/python:3.12@{A}\r\n"
    )

    made = moved(text, "Dockerfile", "python:3.12", B)

    assert made.count(B) == 3
    assert made.replace(B, A) == text
    assert f"python:3.12-slim@{A}" in made
    assert f"other/python:3.12@{A}" in made
    assert f"echo python:3.12@{A}" in made


def test_a_tag_alone_gets_a_digest_and_a_stage_of_the_same_name_does_not() -> None:
    text = "FROM python AS python\nFROM python\nCOPY --from=python /a /a\nCOPY --from=composer:2 /b /b\n"

    assert moved(text, "Dockerfile", "python", B) == text.replace("FROM python AS", f"FROM python@{B} AS")
    assert moved(text, "Dockerfile", "composer:2", B) == text.replace("composer:2", f"composer:2@{B}")


def test_what_reads_the_dockerfile_is_an_image_like_any_other() -> None:
    text = "# syntax=docker/dockerfile:1\n# about docker/dockerfile:1\nFROM python\nRUN echo docker/dockerfile:1\n"

    made = moved(text, "Dockerfile", "docker/dockerfile:1", B)
    assert made == text.replace("dockerfile:1", f"dockerfile:1@{B}", 1)
    # After anything else it is a comment.
    assert moved(f"# read me\n{text}", "Dockerfile", "docker/dockerfile:1", B) == f"# read me\n{text}"


def test_an_image_that_an_argument_names_moves_in_the_argument() -> None:
    text = f"ARG BASE=python:3.12@{A}\nFROM ${{BASE}}\nFROM $BASE\n"

    assert moved(text, "Dockerfile", "python:3.12", B) == text.replace(A, B)


def test_a_name_that_is_put_together_is_left_to_a_person() -> None:
    with pytest.raises(Unsolved, match="put together from variables"):
        moved("ARG TAG=3.12\nFROM python:$TAG\n", "Dockerfile", "python:3.12", B)
