"""TL001: the list of packages is copied, and installed, before everything else is copied."""

import json
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from watcher.dockerfile.advice.draft import Draft, Piece, copy
from watcher.dockerfile.advice.paths import known, of_system, overlap, within, written
from watcher.dockerfile.advice.rewrite import Rewrite
from watcher.dockerfile.advice.understood import after, brings_system, bystander, is_cd, tidies
from watcher.dockerfile.commands import Command
from watcher.dockerfile.install import Install
from watcher.dockerfile.installers import WITHOUT_PROJECT
from watcher.dockerfile.project import Project

_BESIDE = {
    "npm": (".npmrc", "npm-shrinkwrap.json"),
    "uv": ("uv.toml", ".python-version"),
    "poetry": ("poetry.toml", ".python-version"),
}
"""What an installer reads beside its lists, if it is there."""
_SETTINGS = ("pip.conf", ".netrc", "auth.json", ".pypirc")
_LEAVES = {"npm": ("node_modules",), "uv": (".venv",), "poetry": (".venv",)}
_INCLUDED = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[=\s]*([^\s#]+)", re.MULTILINE)
_LOCAL = re.compile(r"^\s*(?:-e\b|--editable\b|-f\b|--find-links\b|\.|/|file:)|@\s*(?:file:|\.|/)", re.MULTILINE)
_LOCAL_TOML = re.compile(
    r"\b(?:path|editable|directory|workspace)\s*=\s*(?!\"\.\"|'\.'|false)|\[tool\.uv\.workspace\]|\bfile:"
    r"|\bdynamic\s*=\s*\[[^\]]*dependencies"
)
_CODE = re.compile(r"/root/[^./][^/]*(/.*)?|/usr/local/(src|app)(/.*)?|/var/(www|app|task)(/.*)?")
"""Where in the system's directories people put their code."""
_RUN_BY_NPM = ("preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare", "prepublish")


@dataclass(frozen=True)
class _Found:
    """The install at `place` of the chain of piece `number`, the copy of a tree `below` it, and of that the manifests
    (place → file)."""

    number: int
    place: int
    below: int
    manifests: dict[str, str]


def manifest_first(draft: Draft, project: Project) -> Rewrite | None:
    """The stage with an install in front of the tree that it waited for."""
    for number, piece in enumerate(draft.pieces):
        for place, one in enumerate(piece.installs):
            if one is None or not _fits(draft, number, place, one) or piece.silences("TL001"):
                continue
            found = _tree_below(draft.pieces, number, place, one, project)
            if found and not draft.pieces[found.below].silences("TL001") and (made := _split(draft, found, one)):
                return made
    return None


def _fits(draft: Draft, number: int, place: int, one: Install) -> bool:
    piece = draft.pieces[number]
    chain = piece.chain or ()
    if not one.sure or one.tree or not one.reads or one.tool not in ("pip", "npm", "uv", "poetry"):
        return False
    if one.tool == "npm" and one.names:
        return False
    if any(flag.name != "network" and not flag.value.startswith("type=cache") for flag in piece.instruction.flags):
        return False
    option = WITHOUT_PROJECT.get(one.tool)
    done = [found for other in draft.pieces[: number + 1] for found in other.installs if found]
    if option and any(found.tool == one.tool and found.has(option, "--only-root") for found in done):
        return False
    # What stands in front goes along; what stands behind must not be there to tidy up after what stays below it.
    in_front = zip(chain[:place], piece.installs[:place], strict=True)
    if not all(is_cd(command) or _needs_nothing(command, found) for command, found in in_front):
        return False
    return not any(_takes_away(command) and not tidies(command) for command in chain[place + 1 :])


def _takes_away(command: Command) -> bool:
    """Whether it removes something that would stay in a layer below it."""
    name = command.texts[0].rpartition("/")[2]
    return name in ("rm", "find", "apt-get", "apt", "apk") or "uninstall" in command.texts or "cache" in command.texts


def _needs_nothing(command: Command, found: Install | None) -> bool:
    return brings_system(command, found) or (found is not None and found.sure and not found.reads)


def _tree_below(pieces: Sequence[Piece], number: int, place: int, one: Install, project: Project) -> _Found | None:
    """The copy of a tree that an install waits for only because of its manifests."""
    piece = pieces[number]
    cwd = after(piece.directory, (piece.chain or ())[:place])
    reads = [within(cwd, path) for path in one.reads]
    for below in range(number - 1, -1, -1):
        placed = pieces[below].placed(project)
        listed = {path: placed[path] for path in reads if path in placed}
        if not listed:
            continue
        listed |= {path: placed[path] for name in _BESIDE.get(one.tool, ()) if (path := within(cwd, name)) in placed}
        whole = _with_included(listed, placed, project)
        if whole is None or len(placed) == len(whole) or not _independent(pieces, below, number, placed):
            return None
        leaves = tuple(within(cwd, name) for name in _LEAVES.get(one.tool, ()))
        if any(overlap(path, left) for path in placed for left in leaves):
            return None
        # The directory that it works in has to be there before the tree is.
        if (
            not any(posixpath.dirname(path) == cwd or path.startswith(f"{cwd}/") for path in whole)
            and cwd != piece.directory
        ):
            return None
        return _Found(number, place, below, whole)
    return None


def _independent(pieces: Sequence[Piece], below: int, number: int, placed: dict[str, str]) -> bool:
    """Whether a tree can be copied later: nobody in between cares, and nothing of it is a setting of an installer."""
    tree, between = pieces[below], pieces[below + 1 : number]
    if not all(bystander(one) for one in between) or any("$" in flag.value for flag in tree.instruction.flags):
        return False
    if any(one.copies and overlap(one.to, tree.to) for one in between):
        return False
    return not any(_is_setting(path, tree) for path in placed)


def _is_setting(path: str, tree: Piece) -> bool:
    """Whether installers may read it, or write there; a place that the base image knows may be the root."""
    if posixpath.basename(path) in _SETTINGS or "/.config/" in path or "/.pip/" in path:
        return True
    if known(path):
        return of_system(path) and not _CODE.fullmatch(tree.to)
    return of_system("/" + path.partition("/")[2]) and "/" in path


def _with_included(listed: dict[str, str], placed: dict[str, str], project: Project) -> dict[str, str] | None:
    """The lists and those that they include; None if one names what is in the tree."""
    found, waiting = dict(listed), list(listed)
    while waiting:
        path = waiting.pop()
        name, text = posixpath.basename(path), project.read(found[path])
        if text is None or (name == "package.json" and not _is_plain_package(text)):
            return None
        if name.endswith((".toml", ".lock")) and _LOCAL_TOML.search(text):
            return None
        if name.endswith((".json", ".toml", ".lock", ".npmrc", ".python-version")):
            continue
        if _LOCAL.search(text):
            return None
        for other in _INCLUDED.findall(text):
            to = within(posixpath.dirname(path), other)
            if to not in placed:
                return None
            if to not in found:
                found[to] = placed[to]
                waiting.append(to)
    return found


def _is_plain_package(text: str) -> bool:
    """Whether a `package.json` makes npm neither run scripts of the project nor look into the tree."""
    try:
        read = json.loads(text)
    except ValueError:
        return False
    if not isinstance(read, dict) or "workspaces" in read or '"file:' in text or '"link:' in text:
        return False
    scripts = read.get("scripts", {})
    return isinstance(scripts, dict) and not any(name in scripts for name in _RUN_BY_NPM)


def _split(draft: Draft, found: _Found, one: Install) -> Rewrite | None:
    pieces, run, tree = draft.pieces, draft.pieces[found.number], draft.pieces[found.below]
    chain = run.chain or ()
    tidying = 0
    while found.place + 1 + tidying < len(chain) and tidies(chain[found.place + 1 + tidying]):
        tidying += 1
    behind = [command.written for command in chain[found.place + 1 : found.place + 1 + tidying]]
    command = chain[found.place].written
    rest = [command.written for command in chain[: found.place] if is_cd(command)]
    rest += [command.written for command in chain[found.place + 1 + tidying :]]
    if option := WITHOUT_PROJECT.get(one.tool):
        words = [word.written for word in chain[found.place].words]
        words.insert(one.verb + 1, option)
        command = " ".join([*(word.written for word in chain[found.place].settings), *words])
        rest, behind = [one.written for one in chain], []
    copies = _copies(tree, found.manifests)
    if copies is None:
        return None
    flags = run.flags()
    install = " && ".join([*(one.written for one in chain[: found.place]), command, *behind])
    rows: list[Piece | str] = [*pieces[: found.below], *copies, *pieces[found.below + 1 : found.number]]
    rows += [f"{run.above}RUN {flags}{install}", tree]
    if any(not row.startswith("cd ") for row in rest):
        rows.append(f"{run.quiet}RUN {flags}{' && '.join(rest)}")
    names = ", ".join(sorted(found.manifests.values()))
    said = f"`{command}` needs only {names}, and waits for all of `{tree.instruction.text}`"
    return Rewrite(run.instruction.first, said, draft.text([*rows, *pieces[found.number + 1 :]]))


def _copies(tree: Piece, manifests: dict[str, str]) -> list[str] | None:
    """The manifests, copied one directory at a time, with the names and modes that they have in the tree."""
    lists: dict[str, list[str]] = {}
    for to, file in manifests.items():
        if posixpath.basename(to) != posixpath.basename(file):
            return None
        lists.setdefault(posixpath.dirname(to), []).append(file)
    flags, found = tree.flags("chown", "chmod"), []
    for directory, files in sorted(lists.items()):
        to = written(directory, tree.directory)
        row = copy(flags, sorted(files), f"{to.rstrip('/')}/" if to else "")
        if not row:
            return None
        found.append(row)
    return found
