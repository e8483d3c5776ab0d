"""Where code that is not ours is run: a throwaway container of a base, without a network and without secrets.

What it works on is put into the container, and what it leaves at one place is taken out.
"""

import contextlib
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from docker import APIClient
from docker.errors import ImageNotFound

from watcher.image import Digest
from watcher.inert import inert
from watcher.settings import SandboxSettings
from workers.container import Container, Engine, EngineRefuses, Task, throwaway
from workers.image.base import LARGEST_CONFIG, Base
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.layer import write_tar
from workers.image.unpack import MOST_BYTES, emptied, unpack
from workers.oci.manifest import OCI_MANIFEST, Descriptor, Manifest, canonical
from workers.oci.store import small_blob

_NAME = "toplayer.invalid/base"
_CHUNK = 1024 * 1024


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
                image=self._loaded(api),
                argv=job.argv,
                directory=job.directory,
                env=job.env,
                deadline=self._settings.deadline,
                memory=self._settings.memory,
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

    def _loaded(self, api: APIClient) -> str:
        """The base, by the name that it has in the engine: brought there from its own repository, once."""
        digest = self._base.digest
        assert digest is not None
        name = f"{_NAME}:{digest.hex}"
        try:
            api.inspect_image(name)
        except ImageNotFound:
            for _ in api.load_image(self._archive(name)):
                pass
        return name

    def _archive(self, name: str) -> Iterator[bytes]:
        """The base as `docker save` writes it since version 25: an OCI layout, and the file that older ones read."""
        store, digest = self._base.store, self._base.digest
        assert store is not None
        assert digest is not None
        raw = store.manifest(digest)
        if raw is None:
            raise BuildRefused(f"base {self._base.name}", "it is gone", "push it again, or name another one")
        manifest = Manifest.parse(raw, store.where)
        config = small_blob(manifest.config, store, LARGEST_CONFIG)
        about = Descriptor(media_type=OCI_MANIFEST, digest=digest, size=len(raw), annotations=_names(name)).json()
        old = {"Config": _blob(manifest.config), "RepoTags": [name], "Layers": [_blob(one) for one in manifest.layers]}
        texts = {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": canonical({"schemaVersion": 2, "manifests": [about]}),
            "manifest.json": json.dumps([old]).encode(),
            f"blobs/sha256/{digest.hex}": raw,
            _blob(manifest.config): config,
        }
        for path, content in texts.items():
            yield _head(path, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
        for layer in {one.digest: one for one in manifest.layers}.values():
            yield _head(_blob(layer), layer.size)
            with store.blob(layer.digest) as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
            yield bytes(-layer.size % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)


_HINT = "what it needs has to be in the base: name one that has it as `base` of [apps.….image.sandbox]"


def _names(name: str) -> dict[str, str]:
    return {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}


def _blob(one: Descriptor) -> str:
    return f"blobs/sha256/{one.digest.hex}"


def _head(path: str, size: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)
