"""TL009: hot packages apart from the cold ones."""

import re

from watcher.dockerfile.advice.draft import Draft, Edit, Piece
from watcher.dockerfile.advice.lists import COLD, STAGE, hottest, stage
from watcher.dockerfile.advice.paths import known, overlap, within
from watcher.dockerfile.advice.rewrite import Rewrite
from watcher.dockerfile.advice.understood import after, bystander, is_cd
from watcher.dockerfile.commands import Command
from watcher.dockerfile.install import Install
from watcher.dockerfile.project import Project
from watcher.dockerfile.source import Span

_NOT_PLAIN = re.compile(
    r"^\s*(?:-r|--requirement|-c|--constraint|-e\b|--editable\b|\.|/|file:)|@\s*(?:file:|\.|/)", re.M
)
_NAME = re.compile(r"[\w./-]+")


def hot_apart(draft: Draft, project: Project) -> Rewrite | None:
    """The packages of a list that seldom change are installed first, and in a layer of their own."""
    whole = draft.parsed.text
    if draft.stage.standing_on is not None or COLD in whole or draft.free(STAGE) != STAGE or not draft.takes_stages:
        return None
    for number, piece in enumerate(draft.pieces):
        found = _lone(piece)
        if found is None or piece.silences("TL009"):
            continue
        command, one = found
        wanted = within(after(piece.directory, piece.chain or ()), one.reads[0])
        for below in range(number - 1, -1, -1):
            placed = draft.pieces[below].placed(project)
            if wanted not in placed:
                continue
            path, between = placed[wanted], draft.pieces[below + 1 : number]
            text = project.read(path) or ""
            calm = all(bystander(other) and not (other.copies and overlap(other.to, wanted)) for other in between)
            plain = not _NOT_PLAIN.search(text) and _NAME.fullmatch(path)
            if plain and calm and (hot := hottest(path, project)) and (known(wanted) or after_nothing(piece)):
                return _parted(draft, number, below, path, hot, (command, one))
            break
    return None


def after_nothing(piece: Piece) -> bool:
    """Whether the chain has no `cd`."""
    return not any(is_cd(command) for command in piece.chain or ())


def _lone(piece: Piece) -> tuple[Command, Install] | None:
    """The `pip install` of one list, if a RUN is nothing else."""
    pairs = zip(piece.chain or (), piece.installs, strict=True)
    found = [(command, one) for command, one in pairs if not is_cd(command)]
    if len(found) != 1:
        return None
    command, one = found[0]
    if one is None or one.tool != "pip" or not one.sure or one.tree or len(one.reads) != 1 or one.names:
        return None
    return (command, one) if not one.has("-c", "--constraint") else None


def _parted(
    draft: Draft, number: int, below: int, path: str, hot: tuple[str, ...], found: tuple[Command, Install]
) -> Rewrite:
    pieces, run = draft.pieces, draft.pieces[number]
    command, one = found
    # What the list does not name comes with the second one, which reads all of it.
    edits: list[Edit] = []
    for option in one.options:
        if option.value == one.reads[0]:
            at = option.at + (command.words[option.at].text == option.name)
            span, head = command.words[at].span, command.words[at].written.removesuffix(one.reads[0])
            edits.append((span, f"{head}{COLD}"))
    if not one.has("--no-deps"):
        end = command.words[one.verb].span.end
        edits.append((Span(end, end), " --no-deps"))
    cold = run.quiet + run.edited(edits)[len(run.above) :].rstrip("\n")
    rows: list[Piece | str] = [*pieces[:below], f"COPY --from={STAGE} {COLD} {COLD}", cold]
    origin = draft.again(STAGE).rpartition(" AS ")[0]
    said = f"{', '.join(hot)} of {path} change most, and all of its packages are installed again with them"
    return Rewrite(run.instruction.first, said, draft.text([*rows, *pieces[below:]], before=stage(origin, path, hot)))
