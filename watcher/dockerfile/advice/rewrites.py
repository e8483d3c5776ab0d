"""The rewrites. Each takes a stage and gives the whole file anew, or nothing where it does not apply.

A rewrite acts only on what it understands: commands joined by `&&`, files copied from the context by their names. What
it does not understand stays where it is, and so does everything that may depend on it.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from watcher.dockerfile.advice.draft import Draft, Piece, install_of
from watcher.dockerfile.install import Install, installs
from watcher.dockerfile.project import Project

INCLUDED = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[=\s]*(\S+)", re.MULTILINE)
LOCAL = re.compile(r"^\s*(?:-e\b|--editable\b|\.|/|file:)", re.MULTILINE)
_VOLATILE = re.compile(r"(?i)(commit|sha|revision|build|date|time|version|ref)")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A rewritten file: which line of the old one it is about, and what was done."""

    line: int
    said: str
    text: str


Rule = Callable[[Draft, Project], Rewrite | None]


def provided(pieces: tuple[Piece, ...], until: int, project: Project) -> Iterator[tuple[int, dict[str, str]]]:
    for number, piece in reversed(list(enumerate(pieces[:until]))):
        if placed := piece.placed(project):
            yield number, placed


def bystander(piece: Piece) -> bool:
    """Whether an instruction does not care whether those files are there."""
    if piece.keyword in ("ENV", "ARG", "LABEL", "EXPOSE", "CMD", "ENTRYPOINT", "STOPSIGNAL", "VOLUME"):
        return True
    if piece.keyword in ("COPY", "ADD"):
        return True
    return all(one.tool in ("apt", "apk") for one in installs(piece.instruction)) and bool(installs(piece.instruction))


# --- TL001: the manifest before the tree ------------------------------------------------------------------------------


def manifest_first(draft: Draft, project: Project) -> Rewrite | None:
    """The list of packages is copied, and installed, before everything else is copied."""
    for number, piece in enumerate(draft.pieces):
        chain = piece.chain()
        for place, command in enumerate(chain or ()):
            install = install_of(command)
            if chain is None or install is None or install.tree or install.tool not in ("pip", "npm", "uv"):
                continue
            if install.tool == "uv" and any("--no-install-project" in one.text for one in draft.pieces[: number + 1]):
                continue
            found = _tree_below(draft.pieces, number, cwd_after(piece.directory, chain[:place]), install, project)
            if found and not piece.silences("TL001") and not draft.pieces[found[0]].silences("TL001"):
                return _split(draft, number, place, chain, *found)
    return None


def cwd_after(directory: str, commands: list[str]) -> str:
    for command in commands:
        if command.startswith("cd ") and "$" not in command:
            directory = posixpath.normpath(posixpath.join(directory, command[3:].strip()))
    return directory


def _tree_below(
    pieces: tuple[Piece, ...], number: int, cwd: str, install: Install, project: Project
) -> tuple[int, dict[str, str]] | None:
    """The copy of a tree that an install waits for only because of its manifests, and these (place → file)."""
    reads = [posixpath.normpath(posixpath.join(cwd, path)) for path in install.reads]
    if not reads or any("$" in path for path in reads):
        return None
    for place, placed in provided(pieces, number, project):
        listed = {path: placed[path] for path in reads if path in placed}
        if not listed:
            continue
        whole = _with_included(listed, placed, project)
        between = pieces[place + 1 : number]
        if whole is None or len(placed) == len(whole) or not all(bystander(one) for one in between):
            return None
        return place, whole
    return None


def _with_included(listed: dict[str, str], placed: dict[str, str], project: Project) -> dict[str, str] | None:
    """The lists and those that they include; None if one names what is in the tree."""
    found, waiting = dict(listed), list(listed)
    while waiting:
        path = waiting.pop()
        text = project.read(found[path]) or ""
        if not path.endswith(".txt"):
            continue
        if LOCAL.search(text):
            return None
        for other in INCLUDED.findall(text):
            to = posixpath.normpath(posixpath.join(posixpath.dirname(path), other))
            if to not in placed:
                return None
            if to not in found:
                found[to] = placed[to]
                waiting.append(to)
    return found


def _split(draft: Draft, number: int, place: int, chain: list[str], below: int, manifests: dict[str, str]) -> Rewrite:
    pieces, run, tree = draft.pieces, draft.pieces[number], draft.pieces[below]
    into = [command for command in chain[:place] if command.startswith("cd ")]
    command = chain[place]
    rest = chain[:place] + chain[place + 1 :]
    if "uv sync" in command:
        rest, command = chain, command.replace("uv sync", "uv sync --no-install-project", 1)
    flags = "".join(f"--{flag.name}={flag.value} " for flag in run.instruction.flags)
    owner = "".join(f"--{flag.name}={flag.value} " for flag in tree.instruction.flags if flag.name == "chown")
    lists: dict[str, list[str]] = {}
    for to, file in manifests.items():
        lists.setdefault(posixpath.dirname(to), []).append(file)
    rows: list[Piece | str] = [*pieces[:below]]
    rows += [f"COPY {owner}{' '.join(sorted(files))} {to.rstrip('/')}/" for to, files in sorted(lists.items())]
    rows += [*pieces[below + 1 : number], f"RUN {flags}{' && '.join([*into, command])}", tree]
    if any(not one.startswith("cd ") for one in rest):
        rows.append(f"RUN {flags}{' && '.join(rest)}")
    names = ", ".join(sorted(manifests.values()))
    said = f"`{command}` needs only {names}, and waits for all of `{tree.instruction.text}`"
    return Rewrite(run.instruction.first, said, draft.text([*rows, *pieces[number + 1 :]]))


# --- TL002: Composer in a stage of its own ----------------------------------------------------------------------------


def composer_stage(draft: Draft, project: Project) -> Rewrite | None:
    """PHP packages are installed beside the image, and come into it as files."""
    if draft.stage.standing_on is not None or draft.stage.name == "composer":
        return None
    for number, piece in enumerate(draft.pieces):
        chain = [command for command in piece.chain() or () if not command.startswith("cd ")]
        install = install_of(chain[0]) if len(chain) == 1 else None
        if install is None or install.tool != "composer" or piece.silences("TL002"):
            continue
        cwd = cwd_after(piece.directory, piece.chain() or [])
        if option := re.search(r"(?:--working-dir[= ]|-d ?)(\S+)", install.command):
            cwd = posixpath.normpath(posixpath.join(cwd, option[1]))
        for below, placed in provided(draft.pieces, number, project):
            manifests = [placed[path] for name in install.reads if (path := posixpath.join(cwd, name)) in placed]
            between = draft.pieces[below + 1 : number]
            if manifests and len(placed) > len(manifests) and all(bystander(one) for one in between):
                return _staged(draft, number, below, cwd, install, manifests)
    return None


def _staged(draft: Draft, number: int, below: int, cwd: str, install: Install, manifests: list[str]) -> Rewrite:
    tree, run = draft.pieces[below], draft.pieces[number]
    tools = [
        one.text
        for one in draft.pieces[:number]
        if one.keyword in ("ENV", "ARG", "USER", "SHELL") or (one.keyword == "RUN") or one.instruction.flag("from")
    ]
    flags = [word for word in install.command.split() if word.startswith("-")]
    flags = [
        word
        for word in flags
        if not re.match(r"--(working-dir|no-autoloader|no-scripts|optimize|classmap)|-[do]\b", word)
    ]
    dump = " ".join(["composer dump-autoload --optimize", *(["--no-dev"] if "--no-dev" in flags else [])])
    install_words = " ".join(["composer install --no-autoloader --no-scripts", *flags])
    named = [word.text for word in tree.instruction.words[:-1]]
    to = posixpath.normpath(posixpath.join(tree.directory, tree.instruction.words[-1].text))
    rows = [
        f"{draft.origin.split(' AS ')[0].split(' as ')[0]} AS composer",
        *tools,
        f"WORKDIR {cwd}",
        f"COPY {' '.join(manifests)} ./",
        f"RUN {install_words}",
        f"COPY {' '.join(named)} {to}/",
        f"RUN {dump}",
    ]
    whole = to == cwd and named != ["."]
    body: list[Piece | str] = [*draft.pieces[:below], *draft.pieces[below + 1 : number]]
    body = (
        [*body, f"COPY --from=composer {cwd} {cwd}"]
        if whole
        else [*draft.pieces[:number], f"COPY --from=composer {cwd}/vendor {cwd}/vendor"]
    )
    said = (
        f"`{install.command}` is worked off again after every change of `{tree.instruction.text}` and of all below it"
    )
    before = "\n".join(rows) + "\n\n"
    return Rewrite(run.instruction.first, said, draft.text([*body, *draft.pieces[number + 1 :]], before=before))


# --- TL004, TL005: what installers leave behind -----------------------------------------------------------------------


def pip_leaves_nothing(draft: Draft, _: Project) -> Rewrite | None:
    """No cache and no byte-code in the layer: it is smaller, and the same whenever it is made."""
    for number, piece in enumerate(draft.pieces):
        mounted = any("type=cache" in value for value in piece.instruction.all("mount"))
        for install in installs(piece.instruction):
            if install.tool != "pip" or "uv pip" in install.command or piece.silences("TL004"):
                continue
            lacking = [] if mounted or "--no-cache-dir" in install.command else ["--no-cache-dir"]
            lacking += [] if "--no-compile" in install.command else ["--no-compile"]
            if lacking:
                text = re.sub(
                    r"(\bpip[\d.]*\s+install)\b(?![^&|;\n]*--no-compile)", rf"\1 {' '.join(lacking)}", piece.text
                )
                if text != piece.text:
                    pieces: list[Piece | str] = [*draft.pieces[:number], text, *draft.pieces[number + 1 :]]
                    said = (
                        "pip leaves its cache and byte-code with the time in it: half of the layer, and never the same"
                    )
                    return Rewrite(piece.instruction.first, said, draft.text(pieces))
    return None


def apt_leaves_nothing(draft: Draft, _: Project) -> Rewrite | None:
    """Only what was asked for, and no lists."""
    for number, piece in enumerate(draft.pieces):
        packages = [one for one in installs(piece.instruction) if one.tool == "apt" and " install" in one.command]
        if not packages or piece.chain() is None or piece.silences("TL005"):
            continue
        text, above = piece.text, draft.pieces[number - 1] if number else None
        if any("--no-install-recommends" not in one.command for one in packages):
            text = re.sub(
                r"(\bapt(?:-get)?\s+(?:-\S+\s+)*install)\b(?!.*--no-install-rec)", r"\1 --no-install-recommends", text
            )
        if "/var/lib/apt/lists" not in text:
            text = f"{text.rstrip()} && rm -rf /var/lib/apt/lists/*"
        keep = number
        if above and (above.chain() or [""])[0].split()[:2] == ["apt-get", "update"] and len(above.chain() or []) == 1:
            text, keep = re.sub(r"\bRUN\s+", "RUN apt-get update && ", text, count=1), number - 1
        if text != piece.text:
            pieces: list[Piece | str] = [*draft.pieces[:keep], text, *draft.pieces[number + 1 :]]
            said = "apt installs what nobody asked for, and leaves the lists of all packages"
            return Rewrite(piece.instruction.first, said, draft.text(pieces))
    return None


# --- TL006: arguments that change each time ---------------------------------------------------------------------------


def argument_last(draft: Draft, _: Project) -> Rewrite | None:
    """An argument that changes with each build is declared where it is used."""
    for number, piece in enumerate(draft.pieces):
        if piece.keyword != "ARG" or len(piece.instruction.words) != 1 or piece.silences("TL006"):
            continue
        name = piece.instruction.words[0].text.partition("=")[0]
        uses = [n for n, one in enumerate(draft.pieces) if n > number and re.search(rf"\$\{{?{name}\b", one.text)]
        first = uses[0] if uses else len(draft.pieces)
        passed = draft.pieces[number + 1 : first]
        if _VOLATILE.search(name) and any(installs(one.instruction) for one in passed):
            pieces: list[Piece | str] = [*draft.pieces[:number], *passed, piece, *draft.pieces[first:]]
            said = f"`{name}` changes with each build, and every RUN below it is made anew with it"
            return Rewrite(piece.instruction.first, said, draft.text(pieces))
    return None
