"""Good answers with damage in them: what fuzzers find with, and a network or an attacker makes."""

from hypothesis import strategies as st

_PIECES = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"<",
    b">",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
)
_WORDS = (
    b"null",
    b"true",
    b"-1",
    b"[[]]",
    b'{"":{}}',
    b"99999999999999999999999999",
    b'"__unset"',
    b"NaN",
    b"\xf0\x9f\x92\xa9",
)


def mutated(body: bytes) -> st.SearchStrategy[bytes]:
    """`body`, in up to eight places of which some bytes are cut out and others put in."""
    new = st.sampled_from(_PIECES + _WORDS) | st.binary(max_size=6)
    cuts = st.tuples(st.integers(0, len(body)), st.integers(0, 12), new)
    return st.lists(cuts, min_size=1, max_size=8).map(lambda found: _cut(body, found))


def _cut(body: bytes, found: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, piece in found:
        body = body[:place] + piece + body[place + length :]
    return body
