"""A remote repository, seen through a bare mirror that keeps what one look after the other needs, and no history."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from watcher.branch import OURS
from watcher.settings import AppSettings, GitSettings
from workers.git.errors import BranchMoved, GitRefused, plain, translated
from workers.git.merge import fits
from workers.git.mirror import Mirror, on_disk
from workers.git.remote import Login, Remote, remote, shown
from workers.git.signing import signing
from workers.git.submodules import Bring, submodules
from workers.process import ToolFailed
from workers.scratch import scratch

Uses = Callable[[str], bool]
"""Whether anything is made of the file at a path of the tree."""
LARGEST = 32 * 1024**2
"""Bytes of the largest file that `read` returns."""

_TIP, _BRANCHES = "refs/remotes/origin/tip", "refs/remotes/origin/ours/"
# A proposal is one commit on top of the one that it was made for: two deep, its parent is at hand, too. On psf/requests
# that is 3 MB for the first fetch and 7 kB after twenty commits, where the whole history takes 13 MB and 31 kB.
_DEPTH, _WHOLE = 2, 2**31 - 1
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MOVED = re.compile(
    r"stale info|fetch first|non-fast-forward|failed to update ref|cannot lock ref|incorrect old value|already exists"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a fetch saw: the tip of the app's branch, its commit time (UTC), and every branch of ours with its tip."""

    tip: str
    committed_at: datetime
    branches: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit. `author` and `committer` are git's own lines: name, address, seconds since 1970 and time zone."""

    id: str
    parents: tuple[str, ...]
    author: str
    committer: str
    message: str

    @property
    def committed_at(self) -> datetime:
        """The committer's time, in UTC."""
        return datetime.fromtimestamp(int(self.committer.split()[-2]), UTC)

    def is_untouched_by(self, author: str) -> bool:
        """Whether `author` (`Name <address>`) wrote it and also committed it, at the same second.

        Amending and rebasing change that, or whose name stands there.
        """
        return self.author == self.committer and _identity(self.author.rpartition(">")[0]) == _identity(author)

    def trailer(self, key: str) -> str:
        """The value of `key: value` in the last paragraph of the message, or an empty text."""
        last = self.message.rstrip().rpartition("\n\n")[2].splitlines()
        return next((line.removeprefix(f"{key}: ") for line in last if line.startswith(f"{key}: ")), "")


class Repository:
    """The app's repository. Several processes may work on one at once, and one may be killed at any time.

    Every method raises `GitRefused` (a person has to act), or something `Temporary`: `GitUnreachable`, `BranchMoved`,
    `MirrorDamaged`, `ToolTimedOut`.
    """

    def __init__(self, url: str, branch: str, mirror: Path, git: GitSettings, login: Login | None = None) -> None:
        """`login` is asked for credentials where the settings have none, and only if the repository is on http(s)."""
        self._url, self._branch, self._git, self._login = url, branch, git, login
        self._mirror, self._here = Mirror(mirror), set[str]()

    @classmethod
    def of(cls, name: str, app: AppSettings, state: Path, login: Login | None = None) -> Self:
        """The repository of the app called `name`, with its mirror in the state directory."""
        return cls(app.repository, app.branch, state / "git" / f"{name}.git", app.git, login)

    @property
    def where(self) -> str:
        """The address, for people: without credentials."""
        return shown(self._url)

    # --- what is there ---

    def fetch(self) -> Survey:
        """Looks at the app's branch and at ours: a few hundred bytes when nothing is new."""
        with self._mirror.locked() as lock:
            try:
                self._fetch(lock, *self._heads)
            except GitRefused as error:
                if f"couldn't find remote ref refs/heads/{self._branch}" not in error.why:
                    raise
                hint = "set apps.*.branch to the branch that the app is deployed from"
                raise GitRefused(self.where, f"has no branch `{self._branch}`", hint) from None
            refs = self._mirror.git("for-each-ref", "--format=%(objectname) %(refname)", _TIP, _BRANCHES).stdout
        tips = {ref: tip for tip, ref in (os.fsdecode(line).split(" ", 1) for line in refs.splitlines())}
        tip = tips.pop(_TIP)
        branches = {OURS + ref.removeprefix(_BRANCHES): at for ref, at in tips.items()}
        return Survey(tip=tip, committed_at=self.show(tip).committed_at, branches=branches)

    def show(self, commit: str) -> Commit:
        """The commit itself."""
        head, _, message = self._mirror.read("cat-file", "commit", self._at_hand(commit)).partition(b"\n\n")
        lines = [line.split(" ", 1) for line in head.decode("utf-8", "replace").split("\n") if " " in line]
        facts = dict(lines)
        return Commit(
            id=commit,
            parents=tuple(value for key, value in lines if key == "parent"),
            author=facts["author"],
            committer=facts["committer"],
            message=message.decode("utf-8", "replace"),
        )

    def files(self, commit: str) -> tuple[str, ...]:
        """The paths of all files at the commit, sorted as git sorts them."""
        return tuple(path for _, _, path in self._mirror.tree(self._at_hand(commit)))

    def changed(self, before: str, after: str) -> tuple[str, ...] | None:
        """The paths of the files that differ between two commits, or None if one of them cannot be had any more."""
        try:
            commits = [self._at_hand(commit) for commit in (before, after)]
        except GitRefused:
            return None
        out = self._mirror.read("diff-tree", "-r", "-z", "--no-renames", "--name-only", *commits)
        return tuple(sorted(os.fsdecode(path) for path in out.split(b"\0") if path))

    def read(self, commit: str, path: str, largest: int = LARGEST) -> bytes | None:
        """The bytes of the file at the commit, or None if there is no such file (a directory is none)."""
        place = f"{self.where}: {path} at {commit[:12]}"
        for mode, blob, _ in self._mirror.tree(self._at_hand(commit), path):
            if mode == "120000":
                raise GitRefused(place, "is a symbolic link", "name the file that it points to")
            if mode not in ("100644", "100755"):
                return None
            size = int(self._mirror.read("cat-file", "-s", blob))
            if size > largest:
                raise GitRefused(place, f"expected at most {largest} bytes, got {size}")
            return self._mirror.read("cat-file", "blob", blob)
        return None

    def export(
        self, commit: str, directory: Path, bring: Bring | None = None, uses: Callable[[Path], Uses] | None = None
    ) -> None:
        """Writes the commit's files into an empty directory, with executable bits and symbolic links, as a checkout.

        Those of submodules are for `bring`. No filters are run. A `GitRefused` names what would not be whole:
        submodules that nobody brings, and files that Git LFS keeps, unless `uses`, given the directory with all files,
        says of them that nobody reads them.
        """
        place, tree = f"{self.where} at {commit[:12]}", self._mirror.tree(self._at_hand(commit))
        links = [(path, id) for mode, id, path in tree if mode == "160000"]
        if links and bring is None:
            hint = "toplayer does not fetch other repositories: put the files into this one"
            raise GitRefused(place, f"has submodules: {', '.join(path for path, _ in links[:5])}", hint)
        with self._index() as index:
            self._mirror.read("read-tree", commit, env=index)
            self._mirror.git("checkout-index", "--all", "--quiet", env=index, tree=directory)
        for one in submodules(links, self._modules(commit) if links else b"", self._url, place):
            (directory / one.path).mkdir(exist_ok=True)
            if bring:
                bring(one.url, one.commit, directory / one.path)
        paths = [path for mode, _, path in tree if mode not in ("120000", "160000")]
        if _ATTRIBUTES in {path.rpartition("/")[2] for path in paths} and (pointers := [*_pointers(directory, paths)]):
            read = uses(directory) if uses else str
            missed = [path for path in pointers if read(path)]
            if missed:
                hint = "put the files themselves into the repository, or name them in an ignore file"
                raise GitRefused(place, f"has files that Git LFS keeps elsewhere: {', '.join(missed[:5])}", hint)

    def _modules(self, commit: str) -> bytes:
        """Where the commit says that its submodules are; nothing, if it does not say."""
        words = ("config", f"--blob={commit}:.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.(path|url)$")
        return self._mirror.git(*words, accept=(0, 1, 128)).stdout

    def conflicts(self, commit: str, onto: str) -> bool:
        """Whether what `commit` changed in its parent no longer fits on the commit `onto`, as git merges files."""
        parents = self.show(commit).parents
        if not parents or onto in (commit, *parents):
            return False
        return not fits(self._mirror, self._at_hand(parents[0]), commit, self._at_hand(onto), self._scratch)

    # --- what we make of it ---

    def commit(self, parent: str, files: Mapping[str, bytes], message: str, author: str, when: datetime) -> str:
        """Writes a commit on top of `parent` with these files in place of what was there; its id. Signed, if so set.

        `author` is `Name <address>`. The same arguments give the same id, but for signatures that hold a time (GnuPG's)
        or chance (ECDSA's). Nobody else sees it before a `push`.
        """
        modes = {path: mode for mode, _, path in self._mirror.tree(self._at_hand(parent), *files)}
        with self._index() as index:
            self._mirror.read("read-tree", parent, env=index)
            entries = []
            for path, content in files.items():
                blob = self._mirror.read("hash-object", "-w", "--stdin", input=content).decode().strip()
                mode = "100755" if modes.get(path) == "100755" else "100644"
                entries += ["--cacheinfo", f"{mode},{blob},{path}"]
            self._mirror.read("update-index", "--add", *entries, env=index)
            tree = self._mirror.read("write-tree", env=index).decode().strip()
        said = message.replace("\0", "").encode("utf-8", "replace")
        made = self._sealed(("commit-tree", tree, "-p", parent), said, _signed(author, when))
        self._here.add(made)
        return made

    def _sealed(self, words: tuple[str, ...], said: bytes, env: dict[str, str]) -> str:
        with on_disk(self._scratch), signing(self._git.signing, self._scratch) as key:
            argv = (*key.options, words[0], *key.words, *words[1:])
            try:
                ran = self._mirror.git(*argv, input=said, env=env | key.env, inherit=key.inherit)
            except GitRefused as error:
                if self._git.signing is None:
                    raise
                where, why = str(self._git.signing.key), f"the signing key cannot be used: {error.why}"
                raise GitRefused(where, why, "see apps.*.git.signing") from None
        return ran.stdout.decode().strip()

    def push(self, commit: str, branch: str, expected: str | None) -> None:
        """Moves `branch` of the remote from `expected` (None: it does not exist) to `commit`, or says why not.

        A branch that is at `commit` already is fine. `BranchMoved` if it is anywhere else than expected. Only a branch
        of ours may be rewritten: of any other, `expected` has to be what `commit` grows out of.
        """
        if expected and not branch.startswith(OURS) and expected not in (commit, *self.show(commit).parents):
            raise GitRefused(self.where, f"{commit[:12]} does not grow out of the tip of `{branch}`")
        self._send(commit, branch, expected or "")

    def delete(self, branch: str, expected: str) -> None:
        """Deletes a branch of ours, if its tip is `expected`: `BranchMoved` if it is anywhere else, or nowhere."""
        if not branch.startswith(OURS):
            raise GitRefused(self.where, f"`{branch}` is not a branch of ours")
        self._send("", branch, expected)

    def _send(self, commit: str, branch: str, expected: str) -> None:
        ref = f"refs/heads/{branch}"
        words = ("push", "--porcelain", "--no-verify", f"--force-with-lease={ref}:{expected}", "--")
        to = self._remote()
        ran = self._mirror.git(*words, to.url, f"{commit}:{ref}", remote=to, accept=(0, 1))
        if ran.code == 0:
            return
        said, lines = to.without_secrets(ran.stderr), to.without_secrets(ran.stdout).splitlines()
        reason = next((line.rpartition("\t")[2] for line in lines if line.startswith("!")), "")
        if not reason:
            raise translated(ToolFailed("git", ran.code, said), self.where, far=True)
        if _MOVED.search(reason) and "exists; cannot create" not in said:
            raise BranchMoved(self.where, branch)
        raise GitRefused(self.where, plain(f"{said}\n{reason}"), _push_hint(branch, reason))

    # --- git ---

    @property
    def _heads(self) -> tuple[str, str]:
        return f"+refs/heads/{self._branch}:{_TIP}", f"+refs/heads/{OURS}*:{_BRANCHES}*"

    def _remote(self) -> Remote:
        return remote(self._url, self._git, self._mirror.directory.parent, self._login)

    def _fetch(self, lock: int, *refs: str, depth: int = _DEPTH) -> None:
        to = self._remote()
        words = ("--quiet", "--prune", "--no-tags", "--no-write-fetch-head", f"--depth={depth}", "--")
        self._mirror.git("fetch", *words, to.url, *refs, remote=to, inherit=(lock,))

    @contextlib.contextmanager
    def _index(self) -> Iterator[dict[str, str]]:
        """The environment in which git's index is a file that nobody else knows, and that is gone afterwards."""
        with on_disk(self._scratch), scratch(self._scratch) as directory:
            yield {"GIT_INDEX_FILE": str(directory / "index")}

    @property
    def _scratch(self) -> Path:
        return self._mirror.directory.with_suffix(".tmp")

    def _at_hand(self, commit: str) -> str:
        """The commit, made sure to be in the mirror: an old one may have been swept out, or never have come."""
        if not _ID.fullmatch(commit):
            raise GitRefused(self.where, f"expected the id of a commit, got {commit[:80]!r}")
        if commit not in self._here:
            if not self._mirror.has(commit):
                self._bring(commit)
            self._here.add(commit)
        return commit

    def _bring(self, commit: str) -> None:
        with self._mirror.locked() as lock:
            try:
                self._fetch(lock, commit)
            except GitRefused:
                # A plain git behind ssh still speaks version 0 of its protocol, in which only tips may be asked for.
                self._fetch(lock, *self._heads, depth=_WHOLE)
                if not self._mirror.has(commit):
                    raise


def _pointers(directory: Path, files: Iterable[str]) -> Iterator[str]:
    """Those of the files that only say where Git LFS keeps what they are to hold."""
    for path in files:
        with on_disk(directory / path), (directory / path).open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                yield path


_ATTRIBUTES, _POINTER = ".gitattributes", b"version https://git-lfs.github.com/spec/"


def _signed(author: str, when: datetime) -> dict[str, str]:
    """The environment that makes `author` the author and the committer, at the same second."""
    name, _, address = author.removesuffix(">").rpartition(" <")
    who = {"NAME": name, "EMAIL": address, "DATE": f"{int(when.timestamp())} +0000"}
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}


def _identity(who: str) -> tuple[str, ...]:
    """Name and address, without what git takes away from both ends of either."""
    return tuple(part.strip(_CRUD) for part in who.partition("<")[::2])


_CRUD = "".join(map(chr, range(33))) + ".,:;<>\"\\'"


def _push_hint(branch: str, reason: str) -> str:
    if "currently checked out" in reason:
        return "name a bare repository in apps.*.repository: this one has a person's work tree"
    return "" if branch.startswith(OURS) else f'let toplayer push to `{branch}`, or set propose = "branch"'
