"""TL002: PHP packages are installed in a stage of their own, and come into the image as files."""

import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from watcher.dockerfile.advice.draft import Draft, Piece, copy
from watcher.dockerfile.advice.paths import known, overlap, within
from watcher.dockerfile.advice.rewrite import Rewrite
from watcher.dockerfile.advice.understood import after, bystander, is_cd, is_of_system, only_installs
from watcher.dockerfile.install import Install
from watcher.dockerfile.project import Project

_EVENTS = (
    *("pre-install-cmd", "post-install-cmd", "pre-package-install", "post-package-install", "pre-autoload-dump"),
    *("post-autoload-dump", "pre-operations-exec", "init", "command", "pre-pool-create"),
)
_OF_DUMP = {
    **dict.fromkeys(("-o", "--optimize-autoloader"), "--optimize"),
    **dict.fromkeys(("-a", "--classmap-authoritative"), "--classmap-authoritative"),
    "--apcu-autoloader": "--apcu",
    **{name: name for name in ("--no-dev", "--no-interaction", "-n", "--no-ansi", "-q", "--quiet", "--no-plugins")},
    **{name: name for name in ("--ignore-platform-reqs", "--ignore-platform-req")},
}
"""Options of `install` that are about the autoloader, or about everything, as `dump-autoload` has them."""
_ONLY_OF_DUMP = ("-o", "--optimize-autoloader", "-a", "--classmap-authoritative", "--apcu-autoloader")
_DIRECTORY = ("-d", "--working-dir")


@dataclass(frozen=True)
class _Found:
    """The install of piece `number`, done in `cwd`, the copy of a tree `below` it, and the files that it reads."""

    number: int
    below: int
    cwd: str
    install: Install
    program: str
    manifests: tuple[str, ...]


def composer_stage(draft: Draft, project: Project) -> Rewrite | None:
    """The image takes over what a stage in front of it has installed."""
    if draft.stage.standing_on is not None or not draft.takes_stages:
        return None
    for number, piece in enumerate(draft.pieces):
        found = _found(draft.pieces, number, project)
        if found and not piece.silences("TL002") and (made := _staged(draft, found, project)):
            return made
    return None


def _found(pieces: Sequence[Piece], number: int, project: Project) -> _Found | None:
    piece = pieces[number]
    found = [
        (one, command) for one, command in zip(piece.installs, piece.chain or (), strict=True) if not is_cd(command)
    ]
    if len(found) != 1 or piece.instruction.flags or not piece.by_root:
        return None
    one, command = found[0]
    if one is None or one.tool != "composer" or not one.sure or one.has("--no-autoloader") or one.names:
        return None
    cwd = within(after(piece.directory, piece.chain or ()), one.value(*_DIRECTORY) or ".")
    program = " ".join(
        word.written for word in (*command.settings, *command.words[: 2 if one.words[0] == "php" else 1])
    )
    # One that comes with the tree is not there yet.
    if not known(cwd) or any("/" in word and not word.startswith("/") for word in one.words[:2]):
        return None
    if "composer.phar" in program:
        return None
    for below in range(number - 1, -1, -1):
        placed = pieces[below].placed(project)
        reads = [path for name in (*one.reads, "auth.json") if (path := posixpath.join(cwd, name)) in placed]
        if posixpath.join(cwd, "composer.json") not in placed:
            continue
        between = pieces[below + 1 : number]
        tree = pieces[below]
        apart = all(bystander(other) for other in between) and not any(
            other.copies and overlap(other.to, tree.to) for other in between
        )
        if not apart or len(placed) == len(reads) or not _is_plain(placed, cwd, one, project):
            return None
        return _Found(number, below, cwd, one, program, tuple(placed[path] for path in reads))
    return None


def _is_plain(placed: dict[str, str], cwd: str, one: Install, project: Project) -> bool:
    """Whether Composer reads no more than its two files, and writes no more than `vendor`."""
    if any(path.startswith(f"{cwd}/vendor/") for path in placed):
        return False
    text = project.read(placed[f"{cwd}/composer.json"])
    lock = project.read(placed.get(f"{cwd}/composer.lock", "")) or "{}"
    try:
        read, locked = json.loads(text or ""), json.loads(lock)
    except ValueError:
        return False
    if not isinstance(read, dict) or not isinstance(locked, dict):
        return False
    config, repositories, scripts = read.get("config", {}), read.get("repositories", []), read.get("scripts", {})
    if not all(isinstance(part, (dict, list)) for part in (config, repositories, scripts)):
        return False
    rows = repositories.values() if isinstance(repositories, dict) else repositories
    local = any(isinstance(row, dict) and row.get("type") in ("path", "artifact") for row in rows)
    packages = [*locked.get("packages", ()), *locked.get("packages-dev", ())]
    plugins = any(isinstance(package, dict) and package.get("type") == "composer-plugin" for package in packages)
    elsewhere = any(name in config for name in ("vendor-dir", "bin-dir", "cache-dir")) or "installer-paths" in str(
        read.get("extra", "")
    )
    told = any(name in scripts for name in _EVENTS) and not one.has("--no-scripts")
    return not (local or (plugins and not one.has("--no-plugins")) or elsewhere or told)


def _staged(draft: Draft, found: _Found, project: Project) -> Rewrite | None:
    tree, run, cwd = draft.pieces[found.below], draft.pieces[found.number], found.cwd
    tools = _tools(draft, found, project)
    owner = tree.flags("chown", "chmod")
    manifests = copy(owner, found.manifests, f"{cwd}/" if owner else "./")
    if not manifests or any("$" in flag.value for flag in tree.instruction.flags):
        return None
    name = draft.free("composer")
    rows = [
        draft.again(name),
        *tools,
        # The first to write into a directory makes it, and says whose it is.
        *((manifests, f"WORKDIR {cwd}") if owner else (f"WORKDIR {cwd}", manifests)),
        f"RUN {found.program} install --no-autoloader --no-scripts{_options(found.install)}",
    ]
    elsewhere = tree.directory != cwd and not tree.instruction.words[-1].text.startswith("/")
    if elsewhere and not known(tree.directory):
        return None
    rows += [f"WORKDIR {tree.directory}"] if elsewhere else []
    rows.append(tree.bare)
    rows += [f"WORKDIR {cwd}"] if elsewhere else []
    rows.append(f"RUN {found.program} dump-autoload{_options(found.install, dump=True)}")
    # The directory as a whole, if the tree is just that; else what was installed is laid into the tree.
    whole = tree.to == cwd and not owner and not any(word.text in (".", "./") for word in tree.instruction.words[:-1])
    middle: list[Piece | str] = [*draft.pieces[: found.below], *draft.pieces[found.below + 1 : found.number]]
    if whole:
        image: list[Piece | str] = [*middle, f"{run.above}COPY --from={name} {cwd} {cwd}"]
    else:
        image = [*draft.pieces[: found.number], f"{run.above}COPY --from={name} {cwd}/vendor {cwd}/vendor"]
    what = f"`{tree.instruction.text}` and of all below it"
    said = f"`{found.install.command}` is worked off again after every change of {what}"
    before = "\n".join(rows) + "\n\n"
    return Rewrite(run.instruction.first, said, draft.text([*image, *draft.pieces[found.number + 1 :]], before=before))


def _tools(draft: Draft, found: _Found, project: Project) -> list[str]:
    """What Composer could need of the instructions in front: all but what installs other packages, and trees."""
    tree = draft.pieces[found.below].placed(project)
    others = [piece for number, piece in enumerate(draft.pieces[: found.number]) if number != found.below]
    runs = [
        piece for piece in others if piece.keyword == "RUN" and not is_of_system(piece) and not only_installs(piece)
    ]
    kept: list[Piece] = []
    for piece in others:
        if piece.keyword == "RUN" and not is_of_system(piece) and only_installs(piece) and not _for_php(piece):
            continue
        # What a command is that nobody knows may have read any file that was there.
        mine = piece.placed(project)
        if mine and not runs and (not overlap(piece.to, found.cwd) or mine.items() <= tree.items()):
            continue
        if piece.keyword not in ("LABEL", "EXPOSE", "CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL", "VOLUME"):
            kept.append(piece)
    # The directory that comes next makes this one, too.
    while kept and kept[-1].keyword == "WORKDIR" and f"{found.cwd}/".startswith(f"{kept[-1].directory.rstrip('/')}/"):
        kept.pop()
    return [piece.bare for piece in kept]


def _for_php(piece: Piece) -> bool:
    return any(one is not None and one.tool == "composer" for one in piece.installs)


def _options(one: Install, *, dump: bool = False) -> str:
    said = []
    for option in one.options:
        if option.name in ("--no-scripts", "--no-autoloader", *_DIRECTORY):
            continue
        name = _OF_DUMP.get(option.name, "") if dump else option.name
        if name and (dump or option.name not in _ONLY_OF_DUMP):
            said.append(name if option.value is None else f"{name}={option.value}")
    if dump and one.has("--no-scripts"):
        said.append("--no-scripts")
    return "".join(f" {word}" for word in said)
