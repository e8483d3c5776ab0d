"""uv.lock, by `uv lock`."""

import posixpath
import tomllib
from collections.abc import Mapping, Sequence

from watcher.lockfiles.wanted import inside
from workers.propose.bench import Unsolved
from workers.propose.graft import grafted
from workers.propose.manifest import unbuilt
from workers.propose.move import Move
from workers.propose.requirement_edit import raised_in
from workers.propose.uv import upgrades
from workers.propose.uv_settings import configuration
from workers.propose.workshop import Workshop

_OWN = ("virtual", "editable", "directory")


class UvLock:
    """`[tool.uv]` applies as it stands, and `--exclude-newer` is never given: uv would write it into the lock."""

    def keeps(self, text: str, path: str) -> bool:
        return posixpath.basename(path) == "uv.lock"

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """The manifests of everything in the lock that lies in the repository, and uv's configuration."""
        if not self.keeps(text, path):
            return ()
        here = posixpath.dirname(path)
        sources = [package.get("source", {}) for package in tomllib.loads(text).get("package", ())]
        places = [str(source[kind]) for source in sources for kind in _OWN if kind in source]
        manifests = (inside(here, posixpath.join(place, "pyproject.toml")) for place in sorted(places))
        return (*configuration(here), *filter(None, manifests))

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        here = posixpath.dirname(path)
        manifests = [name for name in files if name.endswith("pyproject.toml")]
        edits = raised_in(files, manifests, moves, shop.uv.target.environment)
        with shop.uv.bench(unbuilt({**files, **edits})) as bench:
            bench.uv(argv(moves), here, any_python=False)
            made = bench.read(path)
            # uv writes the format of its own day, and files that appeared since. Where its older self still takes the
            # old text, only what moved is taken from the new one.
            kept = grafted(files[path], made)
            bench.write(path, kept)
            try:
                bench.uv(["lock", "--check"], here, any_python=False)
            except Unsolved:
                bench.write(path, made)
                bench.uv(["lock", "--check"], here, any_python=False)
                return {**edits, path: made}
            return {**edits, path: kept}


def argv(moves: Sequence[Move]) -> list[str]:
    """The words behind `uv`. A page of the index that is still in uv's cache may be from before the release."""
    return ["lock", *upgrades(moves)]
