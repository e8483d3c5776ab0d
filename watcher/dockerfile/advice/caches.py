"""TL010: what was downloaded is kept beside the image."""

import re

from watcher.dockerfile.advice.draft import Draft, Edit, Piece
from watcher.dockerfile.advice.rewrite import Rewrite
from watcher.dockerfile.advice.understood import brings_system, is_cd, tidies
from watcher.dockerfile.install import Install
from watcher.dockerfile.project import Project
from watcher.dockerfile.source import Span

_CACHES = {"pip": "/root/.cache/pip", "uv": "/root/.cache/uv", "npm": "/root/.npm"}
_ELSEWHERE = re.compile(r"(?:PIP_NO_CACHE_DIR|PIP_CACHE_DIR|UV_CACHE_DIR|UV_NO_CACHE|XDG_CACHE_HOME|\bHOME)\b")
_WITHOUT = {"pip": ("--no-cache-dir",), "uv": ("--no-cache", "-n", "--no-cache-dir"), "npm": ()}
_OWN = ("--cache-dir", "--cache")


def cache_mounts(draft: Draft, project: Project) -> Rewrite | None:
    """An installer finds again what it downloaded before, and none of it is in a layer."""
    if not project.history or _ELSEWHERE.search(draft.parsed.text):
        return None
    rows: list[Piece | str] = [*draft.pieces]
    lines = []
    for number, piece in enumerate(draft.pieces):
        edits = _edits(piece)
        if edits and not piece.silences("TL010"):
            rows[number] = piece.edited(edits)
            lines.append(piece.instruction.first)
    said = "what was downloaded before is downloaded again whenever this is made anew"
    return Rewrite(lines[0], said, draft.text(rows)) if lines else None


def _edits(piece: Piece) -> list[Edit]:
    """None where a command is not understood: one that takes the cache away would fail, as it is mounted there."""
    if piece.chain is None or not piece.by_root or piece.instruction.all("mount"):
        return []
    targets: set[str] = set()
    edits: list[Edit] = []
    for command, one in zip(piece.chain, piece.installs, strict=True):
        kind = _kind(one) if one is not None else ""
        if one is not None and kind and not one.has(*_OWN):
            targets.add(_CACHES[kind])
            for option in one.options:
                if option.name in _WITHOUT[kind]:
                    word = command.words[option.at]
                    edits.append((Span(word.span.start - 1, word.span.end), ""))
        elif kind or tidies(command) or not (is_cd(command) or brings_system(command, one) or one is not None):
            return []
    begin = piece.instruction.words[0].span.start
    mounts = "".join(f"--mount=type=cache,target={target} " for target in sorted(targets))
    return [(Span(begin, begin), mounts), *edits] if targets else []


def _kind(one: Install) -> str:
    kind = "uv" if one.by_uv else one.tool
    return kind if kind in _CACHES else ""
