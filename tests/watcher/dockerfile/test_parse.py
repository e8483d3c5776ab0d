"""Dockerfiles are read as BuildKit reads them, whatever they look like; what is none is refused with its place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig.dockerfiles import Sample, sample, samples
from watcher.dockerfile.graph import Inputs, graph
from watcher.dockerfile.parse import decoded, parse
from watcher.dockerfile.source import DockerfileUnreadable
from watcher.image import Platform

PLATFORM = Platform.parse("linux/amd64")


def test_there_are_fifty_of_them() -> None:
    assert len(samples()) == 50


@pytest.mark.parametrize("one", samples(), ids=lambda one: one.name)
def test_every_one_of_the_fifty_is_read_to_its_end(one: Sample) -> None:
    parsed = parse(decoded(one.raw, one.name), one.name)
    made = graph(parsed, Inputs(files={}, platform=PLATFORM, arguments=one.arguments, target=one.target))
    assert made.steps
    # Every word is where its place says, however the lines are continued.
    for instruction in parsed.instructions:
        assert parsed.text[instruction.span.start : instruction.span.end].strip()
        for word in instruction.words if not instruction.in_json else ():
            written = parsed.text[word.span.start : word.span.end]
            assert written.split()[0].startswith(word.text.split()[0][:1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Dockerfile: expected instructions, got none"),
        ("# only a comment\n", "Dockerfile: expected instructions, got none"),
        ("RUN true\n", "Dockerfile:1: expected FROM before anything else, got RUN"),
        ("FROM\n", "Dockerfile:1: expected something after FROM, got nothing"),
        ("FROM a AS\n", "Dockerfile:1: expected FROM image [AS name], got FROM a AS"),
        ("FROM busybox\nBAKE a cake\n", "Dockerfile:2: expected an instruction, got BAKE"),
        ("FROM busybox\nCOPY a\n", "Dockerfile:2: expected sources and a destination, got COPY a"),
        ("FROM busybox\nENV a\n", "Dockerfile:2: expected ENV name=value, got a"),
        ("FROM busybox\nCMD [1, 2]\n", "Dockerfile:2: expected texts only in a JSON array, got [1, 2]"),
        ("FROM busybox\nRUN <<END\ntrue\n", "Dockerfile:2: expected a line `END` below, got the end of the file"),
        ("# escape=x\nFROM busybox\n", "Dockerfile:1: expected a backslash or a backtick as `escape`, got 'x'"),
        ("ARG BASE\nFROM $BASE\n", "Dockerfile:2: expected the name of an image, got nothing ($BASE)"),
        ("FROM ${A!x}\n", "Dockerfile:1: expected variables such as ${NAME}, got"),
    ],
)
def test_what_is_no_dockerfile_is_refused_with_the_line(text: str, said: str) -> None:
    with pytest.raises(DockerfileUnreadable) as refused:
        graph(parse(text), Inputs(files={}, platform=PLATFORM))
    assert str(refused.value).startswith(said)


def test_a_stage_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(DockerfileUnreadable, match="expected a stage named deploy, got build, 1"):
        graph(parse("FROM a AS build\nFROM b\n"), Inputs(files={}, platform=PLATFORM, target="deploy"))


def test_a_file_that_is_too_large_for_a_dockerfile_is_not_read() -> None:
    with pytest.raises(DockerfileUnreadable, match="at most"):
        decoded(b"#" * 1_000_001, "Dockerfile")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "FROM a",
                    "FROM ${X:-b} AS c",
                    "RUN <<E",
                    "E",
                    "COPY --from=c a b",
                    "ARG X",
                    "\\",
                    "# escape=`",
                    "`",
                    "[",
                ]
            ),
            st.text(max_size=30),
        ),
        max_size=8,
    )
)
def test_no_text_at_all_makes_it_crash(rows: list[str]) -> None:
    try:
        graph(parse("\n".join(rows)), Inputs(files={"a": "1"}, platform=PLATFORM))
    except DockerfileUnreadable:
        return


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    text = sample("05").text
    plain, odd = parse(text), parse("\ufeff" + text.replace("\n", "\r\n"))
    assert [one.text for one in plain.instructions] == [one.text for one in odd.instructions]
