"""The application's own files, as they are at a commit."""

import posixpath
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from pathspec import GitIgnoreSpec, PathSpec

from watcher.layers.part import CODE
from watcher.settings import ImageSettings
from watcher.source import Source
from workers.image.entry import Entry, tree
from workers.image.errors import BuildRefused

IGNORE_FILES = (".toplayerignore", ".dockerignore")
"""Of these in the root of the tree the first one counts, by its own rules: git's, or Docker's."""


def code(root: Path, image: ImageSettings, locks: Iterable[str]) -> Iterator[Entry]:
    """The files in the tree `root`, at their place in the image, without what an ignore file names.

    The lockfiles (`locks`) stay out, unless an ignore file takes them in again (`!/uv.lock`): a bump changes them, and
    then every host would download all of the code again. `.git` is never in.
    """
    into = image.code.lstrip("/")
    yield Entry(into)
    # Git knows no empty directories; the others come with what is in them.
    yield from (entry for entry in tree(root, into, keeper(root, locks)) if not entry.is_directory)


def codes(root: Path, image: ImageSettings, locks: Iterable[str]) -> dict[str, list[Entry]]:
    """The same files by the names of their components: `code`, and `code:static` for a directory that is split off."""
    found: dict[str, list[Entry]] = {CODE: []}
    # The longest first: of directories within each other, the innermost one counts.
    places = sorted(((posixpath.join(image.code.lstrip("/"), path), path) for path in image.split), reverse=True)
    for entry in code(root, image, locks):
        path = next((path for place, path in places if f"{entry.path}/".startswith(f"{place}/")), "")
        found.setdefault(f"{CODE}:{quote(path)}" if path else CODE, []).append(entry)
    return found


def keeper(root: Path, locks: Iterable[str]) -> Callable[[str, bool], bool]:
    """Tells of a path in the tree, and of whether it is a directory, if it belongs into the image."""
    always = [f"/{lock}" for lock in sorted(set(locks))]
    name = next((name for name in IGNORE_FILES if (root / name).is_file()), "")
    rules = _by_docker if name == ".dockerignore" else _by_git
    try:
        keep = rules(always + ((root / name).read_text(encoding="utf-8").splitlines() if name else []))
    except (ValueError, OSError) as error:
        raise BuildRefused(name, f"expected patterns, got something else: {error}") from error
    return lambda path, is_directory: path.split("/")[-1] != ".git" and keep(path, is_directory)


def uses(root: Path) -> Callable[[str], bool]:
    """Tells of a file in the tree if an ignore file leaves it in."""
    keep = keeper(root, ())
    return lambda path: keep(path, False)


def used_by(locks: Iterable[str], sources: Iterable[Source]) -> Callable[[Path], Callable[[str], bool]] | None:
    """What tells of the files in a tree which of them an image is made from; None: perhaps all of them.

    No ignore file counts for a package that is built from a directory of the tree, nor for Composer.
    """
    by_composer = any(posixpath.basename(lock) == "composer.lock" for lock in locks)
    return None if by_composer or any(one.kind == "path" for one in sources) else uses


def _by_git(lines: list[str]) -> Callable[[str, bool], bool]:
    """gitignore(5): a pattern without a slash counts at any depth, and what is in an excluded directory is out."""
    spec = GitIgnoreSpec.from_lines(lines)
    return lambda path, is_directory: not spec.match_file(f"{path}/" if is_directory else path)


def _by_docker(lines: list[str]) -> Callable[[str, bool], bool]:
    """Docker's: every pattern starts at the root, the last one that fits decides, also within an excluded directory."""
    stripped = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    rooted = [f"!/{line[1:].lstrip('/')}" if line.startswith("!") else f"/{line.lstrip('/')}" for line in stripped]
    patterns = [pattern for pattern in PathSpec.from_lines("gitignore", rooted).patterns if pattern.include is not None]
    takes_in_again = any(not pattern.include for pattern in patterns)

    def keep(path: str, is_directory: bool) -> bool:
        parts = path.split("/")
        above = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        decisive = (one.include for one in reversed(patterns) if any(map(one.match_file, above)))
        return not next(decisive, False) or (is_directory and takes_in_again)

    return keep
