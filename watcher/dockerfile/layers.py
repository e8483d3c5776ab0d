"""Which layer of an image came of which instruction."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from watcher.dockerfile.graph import WORKED_ON, Graph

# `|2 NAME=value OTHER=value /bin/sh -c `, as far as it is there.
_IN_FRONT = re.compile(r"^(?:\|\d+ .*?)?/\S*sh (?:-\S+ )*?(?:-o \S+ )?-\S*c ", re.DOTALL)
_FLAGS = re.compile(r"^(?:--\S+\s+)+")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of an image's history that has files: who made it, what it weighs (bytes, compressed), and the digest of
    its blob."""

    created_by: str
    size: int
    digest: str = ""


def layers_of(graph: Graph, layers: Sequence[Layer]) -> Mapping[int, Layer]:
    """The layers that the steps of an image made when it was last built, by the steps' numbers.

    Rows and steps are matched in their order, by what they say; the base's rows are at the bottom and match nothing.
    """
    numbers = [number for number in graph.image if graph.steps[number].instruction.keyword in WORKED_ON]
    ours = [_plain(graph.steps[number].said) for number in numbers]
    theirs = [_plain(layer.created_by) for layer in layers]
    # From the top, where the image ends as its last stage does.
    matcher = SequenceMatcher(None, ours[::-1], theirs[::-1], autojunk=False)
    found: dict[int, Layer] = {}
    for here, there, length in matcher.get_matching_blocks():
        for n in range(length):
            found[numbers[::-1][here + n]] = layers[::-1][there + n]
    return found


def _plain(text: str) -> str:
    """What a row of history says of its instruction: without BuildKit's mark, shell, arguments, flags (of which some
    versions tell and some do not) and blanks."""
    keyword, _, rest = text.removesuffix("# buildkit").strip().partition(" ")
    rest = (_IN_FRONT if keyword == "RUN" else _FLAGS).sub("", rest, count=1)
    return f"{keyword} {_BLANKS.sub('', rest)}"
