"""The images of a service on one engine: brought there, kept under names of ours, and forgotten."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from watcher.image import Digest
from workers.fleet.answer import CutShort, pull_failed
from workers.fleet.engine import Engine
from workers.fleet.helper import Load
from workers.fleet.host import HostRefused, Service, Tell
from workers.fleet.image import manifest_of, read_manifest
from workers.fleet.load import archive, files, metered, paced
from workers.fleet.pull import Pull
from workers.fleet.room import free, lacking, needed, short_of
from workers.fleet.spec import kept_as, reference
from workers.fleet.tunnel import SOCKET
from workers.oci.manifest import MAX_MANIFEST, Descriptor, ImageConfig, Manifest
from workers.oci.store import Store, StoreRefused, StoreUnreachable, small_blob

_ASKING = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Supply:
    """How an engine, which listens on `socket` on its own machine, gets its images.

    `pull`: it pulls them; `resume`: the helper beside it carries them there, with at most `rate` bytes in a second;
    `load`: it cannot reach the registry, and is sent them by our own connection, at that rate.
    """

    by: str = "pull"
    rate: int | None = None
    socket: str = SOCKET


PULLED = Supply()


class Images:
    """Those of one engine. `store` is where they come from, seen from here."""

    def __init__(self, engine: Engine, store: Store, supply: Supply) -> None:
        self._engine, self._store, self._host, self._supply = engine, store, engine.host, supply

    def fetch(self, service: Service, image: Digest, tell: Tell, up: str | None) -> int:
        """See `Host.fetch`. `up` is the id of a container of the service's that runs, to ask for free space in."""
        try:
            return self._fetched(service, image, tell, up)
        except CutShort:
            self._insist(service, image)
            raise

    def _insist(self, service: Service, image: Digest) -> None:
        """Raises if the registry has another number of bytes of a blob than the manifest says.

        Then it is not the link's fault that an answer ended too early, and it will each time.
        """
        # A registry that does not tell us says nothing against the link.
        with contextlib.suppress(StoreUnreachable, StoreRefused):
            platform = self._engine.platform()
            manifest = manifest_of(image, lambda one: read_manifest(self._store, one), platform, self._store.where)
            for blob in (manifest.config, *manifest.layers):
                size = self._store.size(blob.digest)
                if size is not None and size != blob.size:
                    why = f"of {blob.digest} it has {size} bytes, which does not match the {blob.size} of the manifest"
                    raise pull_failed(self._host, service.repository, why)

    def _fetched(self, service: Service, image: Digest, tell: Tell, up: str | None) -> int:
        pull = Pull(self._engine, service, image, self._supply.socket, tell=tell)
        there = self.has(service, image)
        came = pull.left() if there else pull.ask()
        if there and not came:
            return 0
        travelled = 0

        def read(digest: Digest) -> bytes:
            nonlocal travelled
            raw = read_manifest(self._store, digest)
            travelled += len(raw)
            return raw

        manifest = manifest_of(image, read, self._engine.platform(), self._store.where)
        if self._supply.by == "load":
            return self._sent(service, image, manifest, tell, up)
        if there or self._engine.image(manifest.config.digest) is None:
            travelled += manifest.config.size
        if came is None:
            needs, missing = self._room(service, manifest, up)
            load = self._carried(service, image, manifest, missing) if self._supply.by == "resume" else None
            came = replace(pull, needs=needs, load=load).take()
        sizes = {layer.digest: layer.size for layer in manifest.layers if layer.digest.short in came.layers}
        self._take(service, image, manifest)
        return travelled + sum(sizes.values()) + came.besides

    def _carried(self, service: Service, image: Digest, manifest: Manifest, missing: tuple[Descriptor, ...]) -> Load:
        """What the helper is told, to carry the image to the engine."""
        config = small_blob(manifest.config, self._store, MAX_MANIFEST)
        rest = files(f"{kept_as(service)}:{image.short}", manifest, config)
        try:
            ca = Path(service.ca).read_text(encoding="ascii") if service.ca else ""
        except (OSError, ValueError) as error:
            raise HostRefused(
                self._host, f"{service.ca}: {error}", "see `ca` of the registry in the settings"
            ) from None
        return Load(service.registry, missing, rest, ca, self._supply.rate)

    def _sent(self, service: Service, image: Digest, manifest: Manifest, tell: Tell, up: str | None) -> int:
        """Sends the image by the engine's own socket; the bytes that went."""
        config, held = small_blob(manifest.config, self._store, MAX_MANIFEST), self._room(service, manifest, up)[1]
        name, gone = f"{kept_as(service)}:{image.short}", 0
        parts = archive(name, manifest, config, held, self._store)

        def count(now: int, known: int) -> None:
            nonlocal gone
            gone = now
            tell(now, known)

        sent = metered(paced(parts, self._supply.rate), sum(layer.size for layer in held), count)
        self._engine.load(sent, service.patience)
        self._take(service, image, manifest)
        return gone

    def _room(self, service: Service, manifest: Manifest, up: str | None) -> tuple[int, tuple[Descriptor, ...]]:
        """The bytes of disk that the image needs, and the layers that it lacks. A `HostRefused` if there is no room."""
        raw = small_blob(manifest.config, self._store, MAX_MANIFEST)
        missing = lacking(manifest, ImageConfig.parse(raw, self._store.where), self._engine.layers())
        needs = needed(missing, carried=self._supply.by == "resume")
        has = free(lambda argv: self._engine.run(up, argv, _ASKING)) if up else None
        if has is not None and has < needs:
            raise pull_failed(self._host, service.repository, short_of(needs, has))
        return needs, missing

    def _take(self, service: Service, image: Digest, manifest: Manifest) -> None:
        """Gives the image that has just come its name of ours, if it is the one that was asked for."""
        found = self.there(service, image)
        # Engines with the classic store call an image by its configuration, those on containerd by its manifest.
        if found is None or found["Id"] not in (manifest.config.digest, manifest.digest, image):
            what = f"asked for {image}, it now has {found['Id'] if found else 'nothing'}"
            raise HostRefused(self._host, what, "look at the engine's log; somebody else may be removing images")
        self._engine.tag(found["Id"], kept_as(service), image.short)

    def there(self, service: Service, image: Digest) -> Mapping[str, Any] | None:
        """What the engine knows of the image, by its name or, if it was never in our repository, by its id.

        One that was loaded has no name but ours, which it got when its id had been compared.
        """
        names = (reference(service, image), image, f"{kept_as(service)}:{image.short}")
        return next((found for name in names if (found := self._engine.image(name)) is not None), None)

    def is_known(self, service: Service, image: Digest) -> bool:
        """Whether the engine knows the image by the registry's name."""
        return self._engine.image(reference(service, image)) is not None

    def is_of(self, service: Service, id: str, image: Digest) -> bool:
        """Whether the engine's image `id` is this one: by its id, by a name that pulling gave it, or by ours."""
        found = self._engine.image(id) or {}
        names = {str(name).rpartition("@")[2] for name in found.get("RepoDigests") or ()}
        ours = f"{kept_as(service)}:{image.short}"
        return image in (id, *names) or ours in (found.get("RepoTags") or ())

    def has(self, service: Service, image: Digest) -> bool:
        """Whether the image is there. It then has our name, so that nobody prunes it."""
        found = self.there(service, image)
        if found is None:
            return False
        self._engine.tag(found["Id"], kept_as(service), image.short)
        return True

    def forget(self, service: Service, wanted: Iterable[Digest]) -> None:
        """Removes the service's images but those that are wanted, that any container of the host is made from, or that
        came last: as many as are to be kept besides the one that runs."""
        keep = {digest.short for digest in wanted}
        used = {container.image for container in self._engine.containers()}
        ours = f"{kept_as(service)}:"
        old = [
            (found, tags)
            for found in self._engine.images(kept_as(service))
            if (tags := [tag for tag in found.get("RepoTags") or () if tag.startswith(ours)])
            and not any(tag.removeprefix(ours) in keep for tag in tags)
        ]
        spare = max(service.keep + 1 - len(keep), 0)
        if spare:
            old.sort(key=lambda one: self._tagged_at(one[0]["Id"]), reverse=True)
        for found, tags in old[spare:]:
            if found["Id"] in used:
                continue
            for tag in tags:
                self._engine.untag(tag)
            left: Mapping[str, Any] = self._engine.image(found["Id"]) or {}
            if not left.get("RepoTags"):
                # Only the names by digest are left, which pulling gave it; a tag would be somebody else's.
                for name in left.get("RepoDigests") or ():
                    self._engine.untag(name)

    def _tagged_at(self, id: str) -> str:
        """When an image was last fetched, or found to be there: the engine notes when it gets a name."""
        return str(((self._engine.image(id) or {}).get("Metadata") or {}).get("LastTagTime") or "")
