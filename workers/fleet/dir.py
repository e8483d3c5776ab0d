"""A host that is a directory of this machine, without Docker.

    <root>/current            → releases/<digest>, flipped in one step when the image is proven
    <root>/releases/<digest>  what a container of the image would see; its files are links into the layers
    <root>/layers/<diff id>   unpacked layers, each of them whole and checked
    <root>/images/<digest>    manifests and configurations
    <root>/state.json         what is current, next and previous, and which generations were here
    <root>/new, <root>/lock   what is not finished yet; who is at work

A process may be killed at any moment: what has its name is whole, and `new` is swept by whoever comes next.
"""

import contextlib
import errno
import fcntl
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from watcher.fleet import HostSettings
from watcher.image import Digest, Platform
from watcher.machine import Takes
from workers.fleet.health import presentable
from workers.fleet.host import Fenced, Health, HostBusy, HostRefused, Proof, Running, Service, Tell, silent
from workers.fleet.image import manifest_of, read_manifest
from workers.fleet.place import Place, Placed
from workers.fleet.release import run_inside
from workers.fleet.stack import remove, stack
from workers.fleet.unpack import unpack
from workers.oci.manifest import MAX_MANIFEST, ImageConfig, ImageUnreadable, Manifest, digest_of
from workers.oci.store import Store, small_blob
from workers.whole import whole

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class DirHost:
    """The directory `root` of this machine, as a `Host`, for one service. `store` is where its images come from."""

    def __init__(self, name: str, root: Path, store: Store) -> None:
        self._name, self._root, self._store = name, root, store
        self._new, self._layers, self._images = root / "new", root / "layers", root / "images"

    def takes(self) -> Takes:
        return Takes("a directory", zstd=False, classic=False)

    def running(self, service: Service) -> Running:
        with self._translated():
            current = self._place(service).current
        return Running(current.image, current.generation) if current else Running(None)

    def fetch(self, service: Service, image: Digest, tell: Tell = silent) -> int:
        with self._at_work(service):
            travelled = self._fetch(image)
        tell(travelled, travelled)
        return travelled

    def swap(self, service: Service, image: Digest, generation: int) -> None:
        with self._at_work(service) as place:
            self._fence(place, generation)
            if place.taken_back == generation:
                raise Fenced(self._name, generation, generation)
            wanted = Placed(image=image, generation=generation)
            if place.current != wanted:
                self._assemble(image)
                self._write(place.swapped(wanted))

    def prove(self, service: Service, image: Digest, elapsed: timedelta) -> Proof:
        with self._translated():
            place = self._place(service)
            if image not in {placed.image for placed in (place.current, place.next) if placed}:
                return Proof(Health.UNHEALTHY, f"no release of {image.short} is there")
            _, config = self._read(image)
        return presentable(run_inside(self._release(image), config, service), service)

    def settle(self, service: Service, image: Digest) -> None:
        with self._at_work(service) as place:
            after = place.settled(image)
            if after != place:
                self._write(after)
            self._forget(after)

    def back(self, service: Service, image: Digest | None, generation: int) -> None:
        with self._at_work(service) as place:
            self._fence(place, generation)
            after = place.returned(image, generation)
            if image is not None and after.current != place.current and not self._release(image).exists():
                self._fetch(image)
                self._assemble(image)
            self._write(after)

    # --- moves ---

    def _fetch(self, image: Digest) -> int:
        """Brings what is missing of the image; how many bytes that were."""
        travelled = 0

        def keep(digest: Digest, raw: bytes) -> bytes:
            nonlocal travelled
            travelled += len(raw)
            with self._workshop() as new:
                (new / "raw").write_bytes(raw)
                (new / "raw").replace(self._images / digest.hex)
            return raw

        def manifest(digest: Digest) -> bytes:
            return self._kept(digest) or keep(digest, read_manifest(self._store, digest))

        described = manifest_of(image, manifest, _platform(), self._store.where)
        raw = self._kept(described.config.digest)
        if raw is None:
            raw = keep(described.config.digest, small_blob(described.config, self._store, MAX_MANIFEST))
        config = ImageConfig.parse(raw, self._store.where)
        _fits(described, config, self._store.where)
        for layer, diff_id in zip(described.layers, config.diff_ids, strict=True):
            home = self._layers / diff_id.hex
            if home.exists():
                continue
            with self._workshop() as new, self._store.blob(layer.digest) as blob:
                unpack(blob, layer, diff_id, new, self._store.where)
                # A name must not outlive a power cut that the bytes did not.
                os.sync()
                new.rename(home)
            travelled += layer.size
        return travelled

    def _assemble(self, image: Digest) -> None:
        home = self._release(image)
        if home.exists():
            return
        _, config = self._read(image)
        with self._workshop() as new:
            stack((self._layers / diff_id.hex for diff_id in config.diff_ids), new)
            new.rename(home)

    def _forget(self, place: Place) -> None:
        """Removes what no image that is kept needs. Whatever is removed loses its name first."""
        releases = {self._release(image).name for image in place.images()}
        layers: set[str] = set()
        images: set[str] = set()
        for image in place.images():
            # What can no longer be read is fetched again, should it ever be needed again.
            with contextlib.suppress(HostRefused, ImageUnreadable):
                described, config = self._read(image)
                images |= {image.hex, described.digest.hex, described.config.digest.hex}
                layers |= {diff_id.hex for diff_id in config.diff_ids}
        for home, names in ((self._release(), releases), (self._layers, layers), (self._images, images)):
            for path in home.iterdir():
                if path.name not in names:
                    with self._workshop() as new:
                        path.rename(new / "old")

    # --- what is there ---

    def _release(self, image: Digest | None = None) -> Path:
        return self._root / "releases" / (image.short if image else "")

    def _kept(self, digest: Digest) -> bytes | None:
        """The manifest or configuration, if it is here and still what it was."""
        with contextlib.suppress(FileNotFoundError):
            raw = (self._images / digest.hex).read_bytes()
            if digest_of(raw) == digest:
                return raw
        return None

    def _read(self, image: Digest) -> tuple[Manifest, ImageConfig]:
        """Manifest and configuration of an image that was fetched."""

        def here(digest: Digest) -> bytes:
            raw = self._kept(digest)
            if raw is None:
                raise HostRefused(self._name, f"{image} was not fetched to {self._root}, or was removed since")
            return raw

        described = manifest_of(image, here, _platform(), str(self._root))
        return described, ImageConfig.parse(here(described.config.digest), str(self._root))

    def _place(self, service: Service) -> Place:
        path = self._root / "state.json"
        try:
            place = Place.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Place(service=service.name)
        except ValueError as error:
            hint = f"if nothing else runs from it, remove {self._root} and deploy again"
            raise HostRefused(self._name, f"{path} cannot be read: {error}", hint) from None
        if place.service != service.name:
            what = f"{self._root} belongs to the app {place.service}"
            raise HostRefused(self._name, what, "give every app a directory of its own")
        return place

    def _write(self, place: Place) -> None:
        """The file is the truth, and is replaced whole. The link follows, and if a process dies in between, the next
        one puts it right."""
        whole(self._root / "state.json", self._new / "state.json", place.text().encode())
        self._flip(place)

    def _flip(self, place: Place) -> None:
        """Points `current` to where the state says, in one step."""
        link, wanted = self._root / "current", None
        if place.current is not None:
            wanted = self._release(place.current.image).relative_to(self._root)
        if wanted is None:
            link.unlink(missing_ok=True)
        elif not link.is_symlink() or link.readlink() != wanted:
            (self._new / "current").symlink_to(wanted)
            (self._new / "current").replace(link)

    def _fence(self, place: Place, generation: int) -> None:
        if place.newest > generation:
            raise Fenced(self._name, generation, place.newest)

    # --- the directory's door ---

    @contextlib.contextmanager
    def _at_work(self, service: Service) -> Iterator[Place]:
        """The state, for one process at a time, with everything put right that a killed one may have left."""
        with self._translated():
            for path in (self._new, self._layers, self._images, self._release()):
                path.mkdir(parents=True, exist_ok=True)
            with (self._root / "lock").open("wb") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise HostBusy(self._name, f"another process is at work in {self._root}") from None
                place = self._place(service)
                for left in self._new.iterdir():
                    remove(left)
                self._flip(place)
                yield place

    @contextlib.contextmanager
    def _workshop(self) -> Iterator[Path]:
        """A new directory that is gone afterwards, unless it was given its own name."""
        new = Path(tempfile.mkdtemp(dir=self._new))
        try:
            yield new
        finally:
            shutil.rmtree(new, ignore_errors=True)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            why = f"{error.filename or self._root}: {error.strerror or error}"
            hint = "free disk space; nothing half-done was left" if full else f"check who may write to {self._root}"
            raise HostRefused(self._name, why, hint) from error


@contextlib.contextmanager
def connect(settings: HostSettings, store: Store) -> Iterator[DirHost]:
    """The directory that the settings name (`dir:/path`)."""
    yield DirHost(settings.name, Path(settings.address.removeprefix("dir:")), store)


def _platform() -> Platform:
    machine = platform.machine()
    return Platform("linux", _ARCHITECTURES.get(machine, machine))


def _fits(described: Manifest, config: ImageConfig, where: str) -> None:
    if len(described.layers) != len(config.diff_ids):
        expected, got = f"{len(described.layers)} of them, one for each layer", str(len(config.diff_ids))
        raise ImageUnreadable(where, "config.rootfs.diff_ids", expected, got)
