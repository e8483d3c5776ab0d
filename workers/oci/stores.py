"""An address → the store behind it: `oci:/directory`, or `host[:port]/path` in a registry."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from watcher.address import is_loopback
from watcher.image import Digest, Reference
from watcher.settings import RegistrySettings
from workers.oci.keys import Keys
from workers.oci.layout import LayoutStore
from workers.oci.logins import login, server_of
from workers.oci.registry import RegistryStore
from workers.oci.store import Store, StoreRefused
from workers.oci.wire import PATIENCE, Wire

_LAYOUT = "oci:"
_HUB, _HUB_NAMES = "registry-1.docker.io", ("docker.io", "index.docker.io")


def open_store(
    address: str,
    registries: Mapping[str, RegistrySettings],
    *,
    patience: float = PATIENCE,
    scratch: Path | None = None,
) -> Store:
    """The repository at `address`, with the settings of its registry (by `host[:port]`). Nothing is asked of it yet.

    `patience` is in seconds: how long a registry that fails is asked again. `scratch` is a directory for what is read
    (without one it is the system's, which may be in memory). A registry on loopback is spoken to in
    plain HTTP unless a `ca` is named for it. One without a name and a password gets what `docker login` has left for
    this user. Raises `StoreRefused` for an address or settings that cannot be used.
    """
    if address.startswith(_LAYOUT):
        return LayoutStore(Path(address.removeprefix(_LAYOUT)))
    try:
        reference = Reference.parse(address)
        settings = registries.get(reference.host, RegistrySettings())
        keys = _keys(reference.host, settings)
        ca = Path(settings.ca) if settings.ca else None
        wire = Wire(url_of(reference.host, settings), keys, ca=ca, patience=patience)
    except (ValueError, LookupError, OSError) as error:
        hint = f'see registries."{reference.host}" in the configuration' if not isinstance(error, ValueError) else ""
        raise StoreRefused(address, str(error), hint) from error
    return RegistryStore(reference.repository, reference.path, wire, scratch)


def url_of(host: str, settings: RegistrySettings) -> str:
    """How the registry at `host[:port]` is spoken to."""
    plain = settings.plain_http or (is_loopback(urlsplit(f"//{host}").hostname or "") and settings.ca is None)
    return f"{'http' if plain else 'https'}://{host}"


def open_image(
    reference: Reference,
    registries: Mapping[str, RegistrySettings],
    *,
    patience: float = PATIENCE,
    scratch: Path | None = None,
) -> Store:
    """The repository of an image as a Dockerfile names it: without a host, it is Docker's hub. See `open_store`."""
    repository, path = reference.repository, reference.path
    if reference.host in ("", *_HUB_NAMES):
        repository = f"{_HUB}/{path if '/' in path else f'library/{path}'}"
        registries = {_HUB: _of_hub(registries)}
    return open_store(repository, registries, patience=patience, scratch=scratch)


def logins(images: Iterable[Reference], registries: Mapping[str, RegistrySettings]) -> dict[str, dict[str, str]]:
    """The logins for the registries of these images, and no others, as Docker's configuration has them (`auths`): what
    a Docker command needs to be let in wherever `open_image` is. Raises `StoreRefused` for one that cannot be used."""
    found = {}
    for host in dict.fromkeys(image.host for image in images):
        hub = host in ("", _HUB, *_HUB_NAMES)
        try:
            keys = _keys(host or _HUB, _of_hub(registries) if hub else registries.get(host, RegistrySettings()))
        except (LookupError, OSError) as error:
            raise StoreRefused(host, str(error), f'see registries."{host}" in the configuration') from error
        if keys.pair:
            found[server_of(host or _HUB)] = {"auth": keys.pair}
    return found


def _of_hub(registries: Mapping[str, RegistrySettings]) -> RegistrySettings:
    return next((registries[name] for name in (_HUB, *_HUB_NAMES) if name in registries), RegistrySettings())


def _keys(host: str, settings: RegistrySettings) -> Keys:
    if not settings.username and not settings.password:
        return login(host)
    return Keys(settings.username, settings.password.reveal() if settings.password else "")


def split(address: str) -> tuple[str, str]:
    """The repository in the address of an image, and the image's name there: a tag or a digest (without one: `latest`).

    `host/path[:tag][@digest]` or `oci:/directory[:tag][@digest]`; a `ValueError` for anything else.
    """
    if not address.startswith(_LAYOUT):
        reference = Reference.parse(address)
        return reference.repository, reference.name
    rest, _, digest = address.partition("@")
    head, _, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{head}/{name}", str(Digest(digest)) if digest else tag or "latest"
