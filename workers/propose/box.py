"""An image of the app as the place where a lock tool works.

Its PHP, its extensions and its platform are then those that the packages will meet. The tool gets a container of its
own: without the image's entrypoint, without privileges, with a file system that it cannot write to, and with nothing of
this machine but a copy of the throwaway directory, and the network, which it needs as much as on the machine itself.

What the app depends on may come with programs of any name. So a tool is never looked for where the packages and the
code of the app are, and gets passwords only if the settings say that it has to work there.
"""

import contextlib
import hashlib
import os
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from docker import APIClient
from docker.errors import APIError, ImageNotFound

from workers.container import Engine, EngineGone, EngineRefuses, Task, throwaway
from workers.process import MEMORY, OUTPUT, SAID, Ran, ToolFailed, ToolTimedOut, said
from workers.propose.bench import ToolAway
from workers.propose.errors import EngineAway
from workers.propose.parcel import directory, packed, unpacked, without

KEPT = "toplayer-lock-tools"
"""How the names of volumes begin in which tools keep what they download, one for each app."""
_KEPT_FOR = timedelta(days=30)
_QUICKLY = timedelta(seconds=60)
_PROCESSES = 512
_NO_PROGRAM = 400
# The image has its own, or none.
_NOT_PASSED = ("PATH", "TMPDIR", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR")
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Box:
    """An image by its digest (`repository@sha256:…`), and the engine that runs it.

    `insists`: what is not in it is nowhere. `login` is what the engine needs to pull it (`username`, `password`).
    """

    image: str
    engine: str
    insists: bool = False
    login: Mapping[str, str] | None = field(default=None, compare=False, repr=False)

    def holds(self, program: str) -> bool:
        """Whether the image is there and has the program. One that insists raises `ToolAway` or `EngineAway` if not."""
        found = self.version_of(program) is not None
        if self.insists and not found:
            hint = 'put it there, or let lock tools run on the machine (`lock_tools.place = "auto"`)'
            raise ToolAway(f"the image {self.image} has no {program} beside what the app itself installs", hint)
        return found

    def version_of(self, program: str) -> str | None:
        """What the program says of its version; None if the image is not there, or has no such program."""
        try:
            with self.asking() as api:
                there = self._has_image(api)
            return _version(self, program) if there else None
        except EngineAway:
            if self.insists:
                raise
            return None
        except (ToolFailed, ToolTimedOut):
            return None

    def may_know(self, secrets: Collection[str]) -> bool:
        """Whether its tools may be given these."""
        return self.insists or not any(secrets)

    def cache(self, state: Path) -> Path:
        """Where its tools keep what they download, as they see it: what one image keeps is shown to no other app."""
        return state / "boxes" / self._name / "cache"

    def run(
        self,
        argv: Sequence[str],
        *,
        root: Path,
        cwd: Path,
        env: Mapping[str, str],
        cache: Path,
        deadline: timedelta,
        accept: Collection[int] = (0,),
        secrets: Collection[str] = (),
    ) -> Ran:
        """Runs a program to its end, as `workers.process.run` does, on a copy of the directory `root`.

        What becomes of `cwd`, a directory in it, comes back. Raises `ToolFailed`, `ToolTimedOut` and `EngineAway`.
        """
        netrc = {".netrc": Path(env["NETRC"]).read_bytes()} if "NETRC" in env else {}
        passed = {name: text for name, text in env.items() if name not in _NOT_PASSED}
        with self.asking() as api:
            _forget(api)
            found = _place(api, self.image, argv[0])
            if found is None:
                raise ToolFailed(argv[0], 127, f"the image {self.image} has none")
            program, path = found
            task = Task(
                name=argv[0],
                image=self.image,
                argv=[program, *argv[1:]],
                deadline=deadline,
                memory=MEMORY,
                directory=str(cwd),
                # Nothing of the app's own is on the way to any program or module, either.
                env={"PYTHONPATH": "", **passed, "PATH": path, "NETRC": f"{root}/.netrc"},
                user=f"{os.getuid()}:{os.getgid()}",
                network="host",
                processes=_PROCESSES,
                read_only=True,
                volumes={str(root.parent): "", str(cache.parent): f"{KEPT}-{self._name}"},
            )
            with throwaway(api, task) as container:
                container.put(packed(root, netrc), str(root.parent))
                container.put(directory(cache.name), str(cache.parent))
                try:
                    code = container.run()
                except ToolTimedOut as error:
                    raise ToolTimedOut(error.tool, error.seconds, said(error.said.encode(), secrets)) from None
                out, err = container.said(stderr=False), container.said(stdout=False)
                unpacked(container.take(str(cwd)), cwd)
        if len(out) >= OUTPUT:
            raise ToolFailed(argv[0], code, f"it wrote more than {OUTPUT} bytes")
        if code not in accept:
            raise ToolFailed(argv[0], code, said(err or out, secrets))
        return Ran(out, err[-SAID:], code)

    @property
    def _name(self) -> str:
        return hashlib.sha256(self.image.partition("@")[0].encode()).hexdigest()[:16]

    def _has_image(self, api: APIClient) -> bool:
        with contextlib.suppress(ImageNotFound):
            api.inspect_image(self.image)
            return True
        if self.insists:
            repository, _, digest = self.image.partition("@")
            api.pull(repository, tag=digest, auth_config=dict(self.login) if self.login else None)
        return self.insists

    @contextlib.contextmanager
    def asking(self) -> Iterator[APIClient]:
        """The engine. Raises `EngineAway`, and `ToolFailed` for what it cannot start."""
        try:
            with Engine(self.engine).asking() as api:
                yield api
        except EngineRefuses as error:
            # That is its answer for what it cannot start.
            if error.status == _NO_PROGRAM:
                raise ToolFailed(self.image, 127, error.why) from None
            raise EngineAway(self.engine, error.why) from error
        except EngineGone as error:
            raise EngineAway(self.engine, error.why) from error


@lru_cache(maxsize=64)
def _version(box: Box, program: str) -> str | None:
    """What a program in the image says when it is asked; None if there is none, or it does not work."""
    with box.asking() as api:
        found = _place(api, box.image, program)
        if found is None:
            return None
        place, path = found
        task = Task(
            name=program,
            image=box.image,
            argv=[place, "--version"],
            deadline=_QUICKLY,
            memory=MEMORY,
            env={"HOME": "/tmp", "PATH": path, "PYTHONPATH": ""},  # noqa: S108
            user=f"{os.getuid()}:{os.getgid()}",
            processes=_PROCESSES,
            read_only=True,
        )
        with throwaway(api, task) as container:
            works = container.run() == 0
            return container.said(stderr=False).decode("utf-8", "replace") if works else None


def _place(api: APIClient, image: str, program: str) -> tuple[str, str] | None:
    """Where the image has the program, and its PATH: both without what the app itself installs."""
    config = api.inspect_image(image).get("Config") or {}
    env = dict(row.partition("=")[::2] for row in config.get("Env") or ())
    own = [env.get("VIRTUAL_ENV", ""), config.get("WorkingDir") or ""]
    path = without(env.get("PATH") or _USUAL_PATH, [posixpath.normpath(one) for one in own if one.strip("/")])
    asked = Task(name=program, image=image, argv=[program], deadline=_QUICKLY, memory=MEMORY)
    with throwaway(api, asked) as container:
        for place in (posixpath.join(one, program) for one in path.split(":")):
            if container.has(place):
                return place, path
    return None


def _forget(api: APIClient) -> None:
    """Takes away what tools kept for a month: they download it again."""
    before = datetime.now(UTC) - _KEPT_FOR
    for row in api.volumes(filters={"name": f"{KEPT}-"}).get("Volumes") or ():
        if datetime.fromisoformat(row["CreatedAt"]) < before:
            with contextlib.suppress(APIError):
                api.remove_volume(row["Name"])
