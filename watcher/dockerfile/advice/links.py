"""TL011: layers that do not know what is below them."""

import re
from collections.abc import Sequence

from watcher.dockerfile.advice.draft import Draft, Piece
from watcher.dockerfile.advice.paths import known
from watcher.dockerfile.advice.rewrite import Rewrite
from watcher.dockerfile.advice.understood import is_of_system, only_installs
from watcher.dockerfile.project import Project
from watcher.dockerfile.source import Span

_OTHERWISE = re.compile(r"/(bin|boot|dev|home|lib\w*|media|mnt|proc|root|run|sbin|sys|tmp|var)(/.*)?|/")
"""Where directories are links in many bases, or are not root's alone: a linked copy makes them anew."""


def linked(draft: Draft, project: Project) -> Rewrite | None:
    """What is copied is a layer of its own, whatever changes below it."""
    if not project.containerd:
        return None
    rows: list[Piece | str] = [*draft.pieces]
    lines = []
    for number, piece in enumerate(draft.pieces):
        if number and _may_be_linked(piece, draft.pieces[:number]) and not piece.silences("TL011"):
            begin = (piece.instruction.flags or piece.instruction.words)[0].span.start
            rows[number] = piece.edited([(Span(begin, begin), "--link ")])
            lines.append(piece.instruction.first)
    said = "what is copied is made anew with what is below it, and does not depend on that"
    return Rewrite(lines[0], said, draft.text(rows)) if lines else None


def _may_be_linked(piece: Piece, below: Sequence[Piece]) -> bool:
    one = piece.instruction
    if one.keyword != "COPY" or any(one.flag(flag) for flag in ("link", "parents", "exclude")):
        return False
    if one.in_json or one.heredocs or not re.fullmatch(r"[\d:]+", one.flag("chown") or "0"):
        return False
    if not known(piece.to) or _OTHERWISE.fullmatch(piece.to):
        return False
    # Directories above it may be somebody's, by a command that nobody knows or by a copy.
    return piece.by_root and all(_leaves_directories(other) for other in below)


def _leaves_directories(other: Piece) -> bool:
    if other.keyword == "RUN":
        return is_of_system(other) or only_installs(other)
    return not other.copies or not (other.instruction.flag("chown") or other.instruction.flag("chmod"))
