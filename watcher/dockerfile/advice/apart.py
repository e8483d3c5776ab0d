"""More rewrites: what is kept apart. Hot packages from cold ones, downloads and compilers from the image, layers from
those below them. As in `rewrites`, what is not understood stays where it is.
"""

import posixpath
import re
from collections.abc import Mapping

from watcher.dockerfile.advice.draft import Draft, Piece, install_of
from watcher.dockerfile.advice.lists import COLD, STAGE, hottest, stage
from watcher.dockerfile.advice.rewrites import INCLUDED, LOCAL, Rewrite, bystander, cwd_after, provided
from watcher.dockerfile.install import Install, installs
from watcher.dockerfile.project import Project

_CACHES = {"pip": "/root/.cache/pip", "uv": "/root/.cache/uv", "npm": "/root/.npm"}
_ELSEWHERE = re.compile(
    r"(?im)^\s*USER\s|(?:PIP_NO_CACHE_DIR|PIP_CACHE_DIR|UV_CACHE_DIR|UV_NO_CACHE|XDG_CACHE_HOME|\bHOME)\b"
)
COMPILERS = re.compile(r"\b(gcc|g\+\+|build-essential|make|cmake|[\w+-]+-dev|rustc|cargo)\b")
_ONLY_TO_BUILD = frozenset(("gcc", "g++", "build-essential", "make", "cmake", "python3-dev", "rustc", "cargo"))
_VENV = "/opt/venv"

# --- TL009: hot packages apart from the cold ones ---------------------------------------------------------------------


def hot_apart(draft: Draft, project: Project) -> Rewrite | None:
    """The packages of a list that seldom change are installed first, and in a layer of their own."""
    whole = draft.text()
    if draft.stage.standing_on is not None or COLD in whole or re.search(rf"(?im)^FROM .*\sAS\s+{STAGE}\s*$", whole):
        return None
    for number, piece in enumerate(draft.pieces):
        chain = [command for command in piece.chain() or () if not command.startswith("cd ")]
        install = install_of(chain[0]) if len(chain) == 1 else None
        if install is None or install.tool != "pip" or install.tree or len(install.reads) != 1:
            continue
        cwd = cwd_after(piece.directory, piece.chain() or [])
        wanted = posixpath.normpath(posixpath.join(cwd, install.reads[0]))
        for below, placed in provided(draft.pieces, number, project):
            if wanted not in placed:
                continue
            path, between = placed[wanted], draft.pieces[below + 1 : number]
            text = project.read(path) or ""
            plain = not INCLUDED.search(text) and not LOCAL.search(text) and " " not in path
            hot = hottest(path, project) if plain and all(bystander(one) for one in between) else ()
            if hot and not piece.silences("TL009"):
                return _parted(draft, number, below, path, hot)
            break
    return None


def _parted(draft: Draft, number: int, below: int, path: str, hot: tuple[str, ...]) -> Rewrite:
    pieces, run = draft.pieces, draft.pieces[number]
    (install,) = installs(run.instruction)
    # What the list does not name comes with the second one, which reads all of it.
    cold = install.command.replace(install.reads[0], COLD)
    cold = re.sub(r"\binstall\b", "install --no-deps", cold, count=1)
    flags = "".join(f"--{flag.name}={flag.value} " for flag in run.instruction.flags)
    rows: list[Piece | str] = [*pieces[:below], f"COPY --from={STAGE} {COLD} {COLD}", f"RUN {flags}{cold}"]
    origin = re.split(r"(?i)\s+AS\s", draft.origin)[0]
    said = f"{', '.join(hot)} of {path} change most, and all of its packages are installed again with them"
    return Rewrite(run.instruction.first, said, draft.text([*rows, *pieces[below:]], before=stage(origin, path, hot)))


# --- TL010: what was downloaded is kept beside the image --------------------------------------------------------------


def cache_mounts(draft: Draft, project: Project) -> Rewrite | None:
    """An installer finds again what it downloaded before, and none of it is in a layer."""
    if not project.history or _ELSEWHERE.search(draft.text()):
        return None
    changed: dict[int, str] = {}
    for number, piece in enumerate(draft.pieces):
        targets = sorted({_cache_of(one) for one in installs(piece.instruction)} - {""})
        if not targets or piece.chain() is None or piece.instruction.all("mount") or piece.silences("TL010"):
            continue
        mounts = " ".join(f"--mount=type=cache,target={target}" for target in targets)
        text = re.sub(r" --no-cache(?:-dir)?\b", "", piece.text)
        changed[number] = re.sub(r"(?im)^(\s*RUN)\s+", rf"\1 {mounts} ", text, count=1)
    said = "what was downloaded before is downloaded again whenever this is made anew"
    return _changed(draft, changed, said)


def _changed(draft: Draft, changed: Mapping[int, str], said: str) -> Rewrite | None:
    """The stage with some of its pieces in other words."""
    if not changed:
        return None
    rows = [changed.get(number, piece) for number, piece in enumerate(draft.pieces)]
    return Rewrite(draft.pieces[min(changed)].instruction.first, said, draft.text(rows))


def _cache_of(one: Install) -> str:
    return _CACHES["uv"] if "uv pip" in one.command else _CACHES.get(one.tool, "")


# --- TL011: layers that do not know what is below them ----------------------------------------------------------------


def linked(draft: Draft, project: Project) -> Rewrite | None:
    """What is copied is a layer of its own, whatever changes below it."""
    if not project.containerd:
        return None
    changed: dict[int, str] = {}
    for number, piece in enumerate(draft.pieces):
        one = piece.instruction
        owner = one.flag("chown") or "0"
        plain = not any(one.has(flag) for flag in ("link", "parents")) and re.fullmatch(r"[\d:]+", owner)
        if one.keyword == "COPY" and plain and number and not piece.silences("TL011"):
            changed[number] = re.sub(r"(?im)^(\s*COPY)\s+", r"\1 --link ", piece.text, count=1)
    return _changed(draft, changed, "what is copied is made anew with what is below it, and does not depend on that")


# --- TL007: compilers in a stage of their own -------------------------------------------------------------------------


def venv_stage(draft: Draft, _: Project) -> Rewrite | None:
    """What compilers make goes into a virtual environment, and only that into the image."""
    whole = draft.text()
    if draft.tail.strip() or draft.stage.standing_on is not None or _VENV in whole or "/usr/local/" in whole:
        return None
    if draft.stage.base.partition("@")[0].rpartition("/")[2].partition(":")[0] != "python":
        return None
    tools = [number for number, piece in enumerate(draft.pieces) if _compiles(piece)]
    packages = [
        n for n, piece in enumerate(draft.pieces) if any(one.tool == "pip" for one in installs(piece.instruction))
    ]
    if len(tools) != 1 or len(packages) != 1 or tools[0] > packages[0]:
        return None
    (tool,), (number,) = tools, packages
    pieces, run = draft.pieces, draft.pieces[number]
    chain = run.chain() or []
    alone = len(chain) == 1 and re.match(r"pip3? install\b", chain[0]) and not installs(run.instruction)[0].tree
    between = [piece for place, piece in enumerate(pieces[:number]) if place != tool]
    if not alone or not all(bystander(one) or one.keyword == "WORKDIR" for one in between):
        return None
    if pieces[tool].silences("TL007") or run.silences("TL007"):
        return None
    made = re.sub(r"\bpip3? install\b", f"python3 -m venv {_VENV} && {_VENV}/bin/pip install", run.text, count=1)
    origin = re.split(r"(?i)\s+AS\s", draft.origin)[0]
    before = "\n".join(
        [f"{origin} AS venv", *(piece.text.rstrip() for piece in pieces[:number]), made.rstrip(), "", ""]
    )
    rows: list[Piece | str] = [f"ENV PATH={_VENV}/bin:$PATH", *between, f"COPY --from=venv {_VENV} {_VENV}"]
    said = "compilers stay in the image, and nothing of it needs them once the packages are built"
    return Rewrite(pieces[tool].instruction.first, said, draft.text([*rows, *pieces[number + 1 :]], before=before))


def _compiles(piece: Piece) -> bool:
    """Whether it installs compilers, and nothing that what they make could need afterwards."""
    commands = [one.command for one in installs(piece.instruction) if one.tool in ("apt", "apk")]
    words = {word for command in commands for word in command.split() if not word.startswith("-")}
    return bool(commands) and words - {"apt-get", "apt", "apk", "install", "add"} <= _ONLY_TO_BUILD
