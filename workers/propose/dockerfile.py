"""Moving an image in a Dockerfile: its digest, wherever the file names it, and not a character more."""

import re
from collections.abc import Iterable, Mapping, Sequence

from watcher.dockerfile.parse import Parsed, parse
from watcher.dockerfile.source import Span
from watcher.dockerfile.stages import mentions
from watcher.lockfiles import ecosystem_of
from watcher.lockfiles.dockerfile import name_of, reference_of
from workers.propose.bench import Unsolved
from workers.propose.move import Move
from workers.propose.workshop import Workshop

_NAME = r"(?<![\w./:@-])"
_DIGEST = r"(?:@sha256:[0-9a-f]{64})?"
_HINT = "write it in one piece, `FROM name:tag` or `ARG BASE=name:tag`"


class Dockerfiles:
    """Every Dockerfile. What a digest stands for was seen by the index, so nothing is asked."""

    def keeps(self, text: str, path: str) -> bool:
        return ecosystem_of(path) == "oci"

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        return ()

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        text = files[path]
        for move in moves:
            text = moved(text, path, move.package, move.version)
        return {**files, path: text}


def moved(text: str, path: str, image: str, digest: str) -> str:
    """The Dockerfile with `image` (`[host/]path[:tag]`) at `digest`, wherever it stands on it or copies from it.

    Comments, stages of the same name and everything else stay as they are. `Unsolved` if the name is put together from
    variables, so that there is no place for a digest.
    """
    parsed = parse(text, path)
    edits: dict[Span, str] = {}
    for mention in mentions(parsed):
        reference = reference_of(mention)
        if reference is None or name_of(reference) != image:
            continue
        places = [mention.span, *_arguments(parsed)]
        found = next((span for span in places if _replaced(text, span, image, digest) is not None), None)
        if found is None:
            raise Unsolved(f"{mention.name} is put together from variables", _HINT)
        edits[found] = _replaced(text, found, image, digest) or ""
    for span in sorted(edits, reverse=True):
        text = text[: span.start] + edits[span] + text[span.end :]
    return text


def _arguments(parsed: Parsed) -> Iterable[Span]:
    """The words of the arguments in front of the first stage."""
    for instruction in parsed.instructions:
        if instruction.keyword == "FROM":
            return
        yield from (word.span for word in instruction.words if instruction.keyword == "ARG")


def _replaced(text: str, span: Span, image: str, digest: str) -> str | None:
    written = text[span.start : span.end]
    made, times = re.subn(rf"{_NAME}{re.escape(image)}{_DIGEST}(?![\w./:@-])", f"{image}@{digest}", written)
    return made if times else None
