"""requirements.txt, pinned by hand: its text is edited, and that of what it includes; uv says whether what comes of it
can be installed.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from watcher.lockfiles.lines import lines
from watcher.lockfiles.requirements import Requirements
from watcher.lockfiles.wanted import included
from watcher.pin import Pin
from watcher.versions import SCHEMES
from workers.propose.bench import Unsolved
from workers.propose.edit import edited
from workers.propose.move import Move, hashes_of
from workers.propose.uv import Uv
from workers.propose.workshop import Workshop

_INDEX = re.compile(r"(?:-i|--index-url|--extra-index-url)[=\s]+(https?://[^\s@]+)")
_ADDRESS = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*@")
# What tools write on top of their work. The next run of such a tool would undo what we do to it.
_MADE = re.compile(r"(?i)\bauto-?(?:matically )?generated\b")
_CHOICE = re.compile(r"\b(?:extras|dependency_groups)\b")
_NO_WHEEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:==\S+)? has no usable wheels")
_FORMAT = Requirements()
_SEVERAL = "only a person knows what each of them is for: move them by hand, or pin it once"


class ByHand:
    """Every requirements file that no tool claims as its work."""

    def keeps(self, text: str, path: str) -> bool:
        if not path.endswith(".txt"):
            return False
        return not any(_MADE.search(comment) for line in lines(text, path)[:1] for comment in line.comments)

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """What it includes by `-r` and `-c`, and so on."""
        return included(text, path)

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        before = _FORMAT.pins(files[path], path, files)
        made = dict(files)
        for move in moves:
            mine = [pin for pin in before if pin.package == move.package]
            several = len({SCHEMES["pypi"].key(pin.version) for pin in mine}) > 1
            if several and not move.stays:
                raise Unsolved(f"the file pins it to {' and to '.join(sorted(pin.version for pin in mine))}", _SEVERAL)
            only = move.from_version if several else ""
            hashes = hashes_of(move) if any(pin.hashes for pin in mine) else ()
            made = {name: edited(text, name, move.package, move.version, hashes, only) for name, text in made.items()}
        if moves:
            logical = [line for name, text in made.items() for line in lines(text, name)]
            indexes = [line.text for line in logical if _INDEX.fullmatch(line.text)]
            elsewhere = [canonicalize_name(match[1]) for line in logical if (match := _ADDRESS.match(line.text))]
            installable(before, _FORMAT.pins(made[path], path, made), moves, indexes, elsewhere, path, shop.uv)
        return made


def installable(
    before: Sequence[Pin],
    after: Sequence[Pin],
    moves: Sequence[Move],
    indexes: Sequence[str],
    elsewhere: Collection[str],
    path: str,
    uv: Uv,
) -> None:
    """Raises `Unsolved` if what is pinned now contradicts itself, or needs a package that it does not pin.

    `indexes` are options that name some, and the packages `elsewhere` come from none. A file that was not complete
    before does not have to be complete now.
    """
    needed = _needed(after, indexes, elsewhere, moves, uv)
    if needed and not _needed(before, indexes, elsewhere, moves, uv):
        names = ", ".join(needed)
        raise Unsolved(f"it needs {names} now, which the file does not pin", f"add a pin for {names} to {path}")


def _needed(
    pins: Sequence[Pin], indexes: Sequence[str], elsewhere: Collection[str], moves: Sequence[Move], uv: Uv
) -> list[str]:
    """The packages that the pins need on the image's platform and do not pin. `Unsolved` if they contradict each other.

    uv is given the pins as we read them and not the file: no path and no option of it counts but its indexes.
    """
    excluded, unread = "".join(f"{name}\n" for name in elsewhere), {*elsewhere}
    with uv.bench({"elsewhere.txt": excluded}) as bench:
        words = ["-", "--excludes", "elsewhere.txt", "--no-header", "--no-annotate", "--quiet"]
        words += [word for move in moves for word in ("--refresh-package", move.package)]
        words += uv.for_target
        while True:
            asked = [_requirement(pin) for pin in pins if pin.package not in unread]
            try:
                resolved = bench.compile(words, input="\n".join([*indexes, *asked, ""]))
                break
            except Unsolved as error:
                # What has no wheel and does not say what it needs is pinned all the same: of it nothing is known.
                more = {canonicalize_name(name) for name in _NO_WHEEL.findall(error.said)} & {p.package for p in pins}
                if not more - unread:
                    raise
                unread |= more
                bench.write("elsewhere.txt", "".join(f"{name}\n" for name in sorted(unread)))
    return sorted(_names(resolved) - {pin.package for pin in pins})


def _requirement(pin: Pin) -> str:
    extras = f"[{','.join(pin.extras)}]" if pin.extras else ""
    # What is for a choice of the installer only, it has to fit all the same.
    marker = f" ; {pin.marker}" if pin.marker and not _CHOICE.search(pin.marker) else ""
    return f"{pin.package}{extras}=={pin.version}{marker}"


def _names(resolved: str) -> set[str]:
    try:
        wanted = [Requirement(line) for line in resolved.splitlines() if line and not line.startswith("-")]
    except InvalidRequirement as error:
        raise Unsolved(f"uv answered with what is no requirement: {str(error).splitlines()[0]}") from error
    return {canonicalize_name(requirement.name) for requirement in wanted}
