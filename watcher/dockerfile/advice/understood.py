"""What the rewrites understand of commands: which only install, which tidy up, and which do not care what is there.

Whatever is not named here may read and write anything, and keeps its place.
"""

import re
from collections.abc import Iterable

from watcher.dockerfile.advice.draft import Piece
from watcher.dockerfile.advice.paths import unknown, within
from watcher.dockerfile.commands import Command
from watcher.dockerfile.install import Install

_IDLE = frozenset(("ENV", "ARG", "LABEL", "EXPOSE", "CMD", "ENTRYPOINT", "STOPSIGNAL", "HEALTHCHECK", "MAINTAINER"))
_CACHES = re.compile(
    r"(/root/\.cache|/root/\.npm|/root/\.composer/cache|/tmp|/var/tmp|/var/cache|/var/lib/apt/lists)(/.*)?"
)
_TIDIES = (
    *(("apt-get", "clean"), ("apt", "clean"), ("apt-get", "autoclean"), ("pip", "cache", "purge")),
    *(("npm", "cache", "clean"), ("composer", "clear-cache"), ("yarn", "cache", "clean"), ("uv", "cache", "clean")),
)
_SAYS = ("echo", "true", ":")
_OF_APT = re.compile(r"apt-get|apt|apk")
_VERBS = frozenset(("update", "clean", "autoclean", "autoremove", "upgrade", "dist-upgrade", "install", "add"))


def is_cd(command: Command) -> bool:
    """Whether it only goes into a directory."""
    return command.texts[0] == "cd" and len(command.words) == 2 and command.plain and not command.settings


def after(directory: str, commands: Iterable[Command]) -> str:
    """Where the next command works."""
    for command in commands:
        if command.texts[0] in ("cd", "pushd", "popd"):
            known = is_cd(command) and command.texts[1] != "-"
            at = command.words[0].span.start
            directory = within(directory, command.texts[1]) if known else unknown(at)
    return directory


def tidies(command: Command) -> bool:
    """Whether it only takes away what installers leave, and nothing of ours."""
    if command.texts[0] == "rm":
        paths = [text for text in command.texts[1:] if not text.startswith("-")]
        return bool(paths) and all(_CACHES.fullmatch(path) and ".." not in path for path in paths)
    return any(command.texts[: len(one)] == one for one in _TIDIES)


def brings_system(command: Command, found: Install | None) -> bool:
    """Whether it only brings the system's packages, or tidies up after that: it reads no file of ours."""
    if found is not None:
        return found.tool in ("apt", "apk") and not any("/" in name or name.startswith(".") for name in found.names)
    if not _OF_APT.fullmatch(command.texts[0]):
        return tidies(command)
    verbs = [text for text in command.texts[1:] if not text.startswith("-")]
    return bool(verbs) and verbs[0] in _VERBS and not any("/" in text for text in verbs)


def is_of_system(piece: Piece) -> bool:
    """Whether a RUN does nothing else than that."""
    pairs = zip(piece.chain or (), piece.installs, strict=True)
    return (
        piece.chain is not None
        and not piece.instruction.flags
        and all(brings_system(one, found) for one, found in pairs)
    )


def only_installs(piece: Piece) -> bool:
    """Whether a RUN does nothing but install packages by lists and names: no variable that it is given matters to it,
    unless an installer has it for a setting."""
    if piece.chain is None or any("$" in word.written for one in piece.chain for word in (*one.settings, *one.words)):
        return False
    return all(
        is_cd(command)
        or command.texts[0] in _SAYS
        or brings_system(command, found)
        or (found is not None and found.sure and not found.tree)
        for command, found in zip(piece.chain, piece.installs, strict=True)
    )


def bystander(piece: Piece) -> bool:
    """Whether an instruction does not care whether files of the context are there."""
    return piece.keyword in _IDLE or piece.copies or is_of_system(piece)
