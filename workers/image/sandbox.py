"""Where code that is not ours is run: a throwaway container of a base, without a network and without secrets.

What it works on is put into the container, and what it leaves at one place is taken out.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from docker import APIClient

from watcher.image import Digest
from watcher.inert import inert
from watcher.settings import SandboxSettings
from workers.container import Container, Engine, EngineRefuses, Task, throwaway
from workers.image.base import Base
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.layer import write_tar
from workers.image.sandbox_base import loaded
from workers.image.unpack import MOST_BYTES, emptied, unpack


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is run: `argv` in `directory`, with `env`, on these `entries`. `name` is what people call it.

    `out` is the path (of a file or a directory) that is wanted afterwards, `accept` the exit codes that are no failure.
    """

    name: str
    argv: Sequence[str]
    entries: Iterable[Entry]
    out: str
    directory: str = "/"
    env: Mapping[str, str] = field(default_factory=dict)
    accept: Sequence[int] = (0,)


class Sandbox:
    """Containers of `base`, by the engine of the settings. `directory` is for what travels there and back."""

    def __init__(self, settings: SandboxSettings, base: Base, directory: Path) -> None:
        self._settings, self._base, self._directory = settings, base, directory

    @property
    def digest(self) -> Digest | None:
        """That of the base that it is made of."""
        return self._base.digest

    def run(self, job: Job, into: Path) -> int:
        """Runs a job, puts what it left at its `out` into the directory `into`, and tells its exit code.

        Raises `BuildRefused` with its last words, `EngineGone` and `ToolTimedOut`.
        """
        if self._base.digest is None:
            hint = "name a base that has what it needs as `base` of [apps.….image.sandbox]"
            raise BuildRefused(job.name, f"it has to be run, and nothing runs in {self._base.name}", hint)
        with self._asking() as api:
            task = Task(
                name=job.name,
                image=loaded(api, self._base, time.time()),
                argv=job.argv,
                directory=job.directory,
                env=job.env,
                deadline=self._settings.deadline,
                memory=self._settings.memory,
                cpus=self._settings.cpus,
            )
            with throwaway(api, task) as container:
                self._put(container, job)
                return self._ran(container, job, into)

    def _put(self, container: Container, job: Job) -> None:
        file = self._directory / f"{container.id[:12]}.tar"
        try:
            with file.open("w+b") as sink:
                write_tar(job.entries, sink.write)
                sink.seek(0)
                container.put(sink)
        finally:
            file.unlink(missing_ok=True)

    def _ran(self, container: Container, job: Job, into: Path) -> int:
        code = container.run()
        if code not in job.accept:
            memory = container.ran_out_of_memory()
            hint = "give it more `memory` in [apps.….image.sandbox]" if memory else _HINT
            raise BuildRefused(job.name, f"it ended with {code}: {container.last_words()}", hint)
        self._take(container, job, into)
        return code

    def _take(self, container: Container, job: Job, into: Path) -> None:
        file, left = self._directory / f"{container.id[:12]}-out.tar", MOST_BYTES
        try:
            with file.open("wb") as sink:
                for chunk in container.take(job.out):
                    left -= len(chunk)
                    if left < 0:
                        raise BuildRefused(job.name, f"it leaves more than {MOST_BYTES} bytes")
                    sink.write(chunk)
            unpack(file, emptied(into), job.name)
        finally:
            file.unlink(missing_ok=True)

    # --- the engine ---

    def engine(self) -> str:
        """What the engine says it is. Raises what `run` raises."""
        with self._asking() as api:
            found = api.version()
        return inert(f"Docker {found.get('Version', '')} ({found.get('Arch', '')})", 100)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[APIClient]:
        try:
            with Engine(self._settings.engine, self._settings.tls).asking() as api:
                yield api
        except EngineRefuses as error:
            hint = "an engine on a machine of that kind can: name it as `engine`" if "exec format" in error.why else ""
            raise BuildRefused(f"the Docker engine at {error.address}", error.why, hint) from error


_HINT = "what it needs has to be in the base: name one that has it as `base` of [apps.….image.sandbox]"
