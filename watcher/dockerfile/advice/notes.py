"""What a person has to do: findings without a rewrite."""

from collections.abc import Collection, Iterator, Mapping

from watcher.dockerfile.advice.compilers import compilers
from watcher.dockerfile.advice.cost import Cost
from watcher.dockerfile.advice.draft import drafts
from watcher.dockerfile.advice.silence import faults
from watcher.dockerfile.advice.spared import Spared
from watcher.dockerfile.install import installs
from watcher.dockerfile.parse import Parsed


def notes(
    parsed: Parsed, codes: Collection[str], known: Mapping[tuple[str, ...], Spared]
) -> Iterator[tuple[str, int, str, Cost | None]]:
    """Codes, lines, what to do, and what it saves, if that can be told: of compilers it is in `known`."""
    for line, said in faults(parsed, codes):
        yield "TL012", line, said, None
    # Of a file that ends within an instruction there are no stages to rewrite.
    all_stages = drafts(parsed)
    for piece in all_stages[-1].pieces if all_stages else ():
        line = piece.instruction.first
        found = compilers(piece)
        if found and not piece.silences("TL007"):
            way = "build in a stage of its own (a virtualenv, `pip install --user`) and copy what comes of it"
            worth = known.get(tuple(found), Spared(None))
            said = f"{', '.join(found)} stay in the image: {way}"
            yield "TL007", line, f"{said}; {worth.said}" if worth.said else said, worth.saves
        if any(one.editable for one in installs(piece.instruction)) and not piece.silences("TL008"):
            yield "TL008", line, "an editable install keeps the tree's path: neither may move", None
