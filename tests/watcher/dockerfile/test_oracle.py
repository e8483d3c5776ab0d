"""Our parser beside BuildKit's own, which the package `dockerfile` brings as a library: both read the same."""

import string

import dockerfile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig.dockerfiles import Sample, samples
from watcher.dockerfile.parse import Instruction, decoded, parse
from watcher.dockerfile.source import DockerfileUnreadable

Row = tuple[str, int, bool, tuple[str, ...], tuple[tuple[str, str], ...]]


def ours(text: str) -> list[Row]:
    return [_row(one) for one in parse(text).instructions]


def _row(one: Instruction) -> Row:
    flags = tuple(flag.name for flag in one.flags)
    return one.keyword, one.first, one.in_json, flags, tuple((h.name, _flush(h.text)) for h in one.heredocs)


def _flush(text: str) -> str:
    """Without tabs in front: theirs takes off those of `<<-` when it works, ours when it reads."""
    return "".join(row.lstrip("\t") for row in text.splitlines(keepends=True))


def theirs(text: str) -> list[Row]:
    return [
        (
            one.cmd.upper(),
            one.start_line,
            one.json,
            tuple(flag.removeprefix("--").partition("=")[0] for flag in one.flags),
            tuple((heredoc.name, _flush(heredoc.content)) for heredoc in one.heredocs),
        )
        for one in dockerfile.parse_string(text)
    ]


@pytest.mark.parametrize("one", samples(), ids=lambda one: one.name)
def test_real_dockerfiles_are_read_as_buildkit_reads_them(one: Sample) -> None:
    text = decoded(one.raw, one.name)
    assert ours(text) == theirs(text)


_WORD = st.text(alphabet=string.ascii_lowercase + "/.$'\"{}=", min_size=1, max_size=6)
_LINE = st.one_of(
    st.builds("{} {}".format, st.sampled_from(("RUN", "COPY a", "ENV A=b", "run", "ADD x", "CMD", "LABEL a=b")), _WORD),
    st.sampled_from(
        ("", "# a comment", "RUN a \\", "  && b", "RUN <<E", "E", 'CMD ["a", "b"]', "COPY --from=x a b", "\\")
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_LINE, max_size=8))
def test_whatever_both_accept_they_read_alike(rows: list[str]) -> None:
    text = "\n".join(["FROM x", *rows, ""])
    try:
        mine = ours(text)
    except DockerfileUnreadable:
        return
    try:
        other = theirs(text)
    except dockerfile.GoParseError:
        return
    assert mine == other
