"""TL004, TL005: what installers leave behind."""

from watcher.dockerfile.advice.apt import APT, LISTS, is_update, keeps_lists, takes_recommends
from watcher.dockerfile.advice.draft import Draft, Edit, Piece
from watcher.dockerfile.advice.rewrite import Rewrite
from watcher.dockerfile.commands import Command, commands
from watcher.dockerfile.install import Install
from watcher.dockerfile.parse import Instruction
from watcher.dockerfile.project import Project
from watcher.dockerfile.source import Span
from watcher.dockerfile.stages import mounts, stages
from watcher.image import Platform

_SHELLS = ("sh", "bash", "ash", "dash", "eval", "source", ".")

# --- TL004 ------------------------------------------------------------------------------------------------------------


def pip_leaves_nothing(draft: Draft, _: Project) -> Rewrite | None:
    """No cache and no byte-code in the layer: it is smaller, and the same whenever it is made."""
    for number, piece in enumerate(draft.pieces):
        mounted = any(mount["type"] == "cache" for mount in mounts(piece.instruction))
        edits: list[Edit] = []
        for command, one in zip(piece.chain or (), piece.installs, strict=True):
            if one is not None and one.tool == "pip" and not one.by_uv and (words := _lacking(draft, one, mounted)):
                edits.append(_behind(command, one, words))
        if edits and not piece.silences("TL004"):
            said = "pip leaves its cache and byte-code with the time in it: half of the layer, and never the same"
            return Rewrite(piece.instruction.first, said, _with(draft, number, piece.edited(edits)))
    return None


def _lacking(draft: Draft, one: Install, mounted: bool) -> str:
    text = draft.parsed.text
    words = ""
    if not mounted and not one.has("--no-cache-dir", "--cache-dir") and "PIP_NO_CACHE_DIR" not in text:
        words += " --no-cache-dir"
    if not one.has("--no-compile", "--compile") and "PIP_NO_COMPILE" not in text and "PIP_COMPILE" not in text:
        words += " --no-compile"
    return words


def _behind(command: Command, one: Install, words: str) -> Edit:
    """Puts words behind the one that says that it installs."""
    end = command.words[one.verb].span.end
    return Span(end, end), words


def _with(draft: Draft, number: int, text: str, dropped: int | None = None) -> str:
    rows: list[Piece | str] = [*draft.pieces]
    rows[number] = text
    if dropped is not None:
        del rows[dropped]
    return draft.text(rows)


# --- TL005 ------------------------------------------------------------------------------------------------------------


def apt_leaves_nothing(draft: Draft, _: Project) -> Rewrite | None:
    """Only what was asked for, and no lists."""
    for number, piece in enumerate(draft.pieces):
        chain = piece.chain or ()
        found = [
            (command, one)
            for command, one in zip(chain, piece.installs, strict=True)
            if one is not None and command.texts[0] in APT and one.words[one.verb] == "install"
        ]
        if not found or piece.silences("TL005"):
            continue
        edits = [_behind(command, one, " --no-install-recommends") for command, one in found if takes_recommends(one)]
        above = number - 1 if number and _only_updates(draft.pieces[number - 1]) else None
        updates = any(is_update(command.texts) for command in chain[: chain.index(found[0][0])])
        if above is not None and not updates and not draft.pieces[above].silences("TL005"):
            begin = chain[0].settings[0].span.start if chain[0].settings else chain[0].words[0].span.start
            edits.append((Span(begin, begin), f"{(draft.pieces[above].chain or ())[0].written} && "))
        else:
            above = None
        if (updates or above is not None) and keeps_lists(piece.instruction) and not _lists_are_used(draft, number):
            end = chain[-1].words[-1].span.end
            edits.append((Span(end, end), f" && rm -rf {LISTS}/*"))
        if edits:
            text = piece.edited(edits)
            text = draft.pieces[above].above + text if above is not None else text
            said = "apt installs what nobody asked for, or leaves the lists of all packages"
            return Rewrite(piece.instruction.first, said, _with(draft, number, text, above))
    return None


def _only_updates(piece: Piece) -> bool:
    chain = piece.chain or ()
    return len(chain) == 1 and not piece.instruction.flags and is_update(chain[0].texts)


def _lists_are_used(draft: Draft, number: int) -> bool:
    """Whether a later RUN may count on the lists: one that installs without an update of its own, or runs a script."""
    behind = [piece.instruction for piece in draft.pieces[number + 1 :]]
    mine = {draft.stage.index}
    for stage in stages(draft.parsed, {}, Platform("linux", "amd64")).all:
        if stage.standing_on in mine:
            mine.add(stage.index)
            behind += stage.own
    return any(_counts_on_lists(one) for one in behind)


def _counts_on_lists(one: Instruction) -> bool:
    if one.keyword != "RUN":
        return False
    updated = False
    for words in commands(one):
        updated = updated or is_update(words)
        name = words[0].rpartition("/")[2]
        by_apt = name in (*APT, "aptitude") and "install" in words
        if not updated and (by_apt or name.endswith(".sh") or name in _SHELLS):
            return True
    return False
