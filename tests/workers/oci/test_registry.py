"""A registry that misbehaves, and who gets to see our password."""

import base64
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.keeping_registry import keeping_registry
from tests.rig.process import free_port
from tests.rig.proxy import Asked, CutAfter, Instead, Proxy, half_the_time, proxy
from tests.rig.registry import PASSWORD, USERNAME, Registry, certificates, registry
from watcher.image import Digest
from watcher.secret import Secret
from watcher.settings import RegistrySettings
from workers.oci.manifest import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    canonical,
    digest_of,
)
from workers.oci.referrers import Artifact
from workers.oci.store import Store, StoreRefused, StoreUnreachable, attach
from workers.oci.stores import open_store, split

BLOB = random.Random(1).randbytes(2_000_000)
DIGEST = digest_of(BLOB)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def front(real: Registry) -> Iterator[Proxy]:
    with proxy(real.address) as running:
        yield running


@pytest.fixture
def password(tmp_path: Path) -> Secret:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return Secret(file=str(tmp_path / "password"))


def behind(
    front: Proxy, settings: RegistrySettings | None = None, *, name: str = "shop", patience: float = 20
) -> Store:
    return open_store(f"{front.address}/{name}", {front.address: settings or RegistrySettings()}, patience=patience)


def test_a_registry_that_answers_500_half_of_the_time_gets_everything_in_the_end(front: Proxy, real: Registry) -> None:
    front.behaviour = half_the_time
    store, config = behind(front, name="half"), b"{}"
    blobs = [os.urandom(1000) for _ in range(5)]

    for raw in (config, *blobs):
        store.put_blob(digest_of(raw), raw)
    layers = tuple(Descriptor(media_type=OCI_LAYER_GZIP, digest=digest_of(raw), size=1000) for raw in blobs)
    manifest = Manifest.make(Descriptor(media_type=OCI_CONFIG, digest=digest_of(config), size=2), layers, {})
    store.put_manifest(manifest.raw, OCI_MANIFEST, "latest")

    assert store.manifest("latest") == manifest.raw
    with store.blob(digest_of(blobs[0])) as stream:
        assert stream.read() == blobs[0]


def test_an_upload_that_breaks_off_is_made_again_and_every_byte_is_counted(front: Proxy) -> None:
    broken: list[Asked] = []

    def breaks_once(asked: Asked) -> CutAfter | None:
        if asked.method == "PUT" and not broken:
            broken.append(asked)
            return CutAfter(1_000_000, upload=True)
        return None

    front.behaviour = breaks_once

    sent = behind(front, name="cut").put_blob(DIGEST, BLOB)

    assert broken
    assert len(BLOB) < sent <= 2 * len(BLOB)


def test_an_upload_goes_on_where_it_broke_if_the_registry_has_kept_it() -> None:
    with keeping_registry([700_000, 900_000]) as keeping:
        sent = open_store(f"{keeping.address}/shop", {}).put_blob(DIGEST, BLOB)

    assert keeping.blobs == {DIGEST: BLOB}
    assert keeping.got == [("", 700_000), ("700000-1999999", 900_000), ("1600000-1999999", 400_000)]
    # What was on its way when the connection broke was sent, and is counted.
    assert len(BLOB) <= sent < 2 * len(BLOB)


def test_a_download_that_breaks_off_goes_on_where_it_broke(front: Proxy) -> None:
    store = behind(front, name="resume")
    store.put_blob(DIGEST, BLOB)
    front.asked.clear()
    front.behaviour = lambda asked: (
        CutAfter(800_000) if asked.method == "GET" and "range" not in asked.headers else None
    )

    with store.blob(DIGEST) as stream:
        assert stream.read() == BLOB

    ranges = [asked.headers.get("range") for asked in front.asked if asked.method == "GET"]
    assert len(ranges) == 2
    assert ranges[0] is None
    assert ranges[1] is not None


PATIENCE, LONGER = 0.3, 0.4


def slowly(cut: CutAfter) -> CutAfter:
    """The cut, later than anybody would wait who had not got anything."""
    threading.Event().wait(LONGER)
    return cut


def test_a_download_that_takes_longer_than_our_patience_goes_on_as_long_as_it_comes_further(front: Proxy) -> None:
    behind(front, name="long").put_blob(DIGEST, BLOB)
    front.asked.clear()
    front.behaviour = lambda asked: slowly(CutAfter(700_000)) if asked.method == "GET" else None

    with behind(front, name="long", patience=PATIENCE).blob(DIGEST) as stream:
        assert stream.read() == BLOB

    assert len([asked for asked in front.asked if asked.method == "GET"]) == 3


def test_a_download_that_comes_no_further_is_given_up(front: Proxy) -> None:
    behind(front, name="stuck").put_blob(DIGEST, BLOB)

    def breaks_at_the_same_place(asked: Asked) -> CutAfter | None:
        begin = int(asked.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        return slowly(CutAfter(700_000 - begin)) if asked.method == "GET" else None

    front.behaviour = breaks_at_the_same_place

    with pytest.raises(StoreUnreachable), behind(front, name="stuck", patience=PATIENCE).blob(DIGEST):
        pass


def test_an_upload_that_takes_longer_than_our_patience_goes_on_as_long_as_it_comes_further() -> None:
    with keeping_registry([700_000, 900_000], slow=LONGER) as keeping:
        open_store(f"{keeping.address}/shop", {}, patience=PATIENCE).put_blob(DIGEST, BLOB)

    assert keeping.blobs == {DIGEST: BLOB}
    assert len(keeping.got) == 3


def test_an_upload_that_a_registry_breaks_off_and_forgets_is_given_up(front: Proxy) -> None:
    front.behaviour = lambda asked: slowly(CutAfter(700_000, upload=True)) if asked.method == "PUT" else None

    with pytest.raises(StoreUnreachable):
        behind(front, name="forgets", patience=PATIENCE).put_blob(DIGEST, BLOB)


def test_a_server_that_ignores_where_we_want_to_go_on_is_read_from_the_start(front: Proxy) -> None:
    store = behind(front, name="restart")
    store.put_blob(DIGEST, BLOB)

    def ignores_ranges(asked: Asked) -> Instead | CutAfter | None:
        if asked.method != "GET":
            return None
        return Instead(200, body=BLOB) if "range" in asked.headers else CutAfter(800_000)

    front.behaviour = ignores_ranges

    with store.blob(DIGEST) as stream:
        assert stream.read() == BLOB


def test_a_registry_that_keeps_the_list_of_referrers_is_left_to_it(front: Proxy) -> None:
    store = behind(front, name="listed")
    config = b"{}"
    store.put_blob(digest_of(config), config)
    image = Manifest.make(Descriptor(media_type=OCI_CONFIG, digest=digest_of(config), size=2), (), {})
    store.put_manifest(image.raw, OCI_MANIFEST)
    about = Artifact(kind="application/vnd.bom+json", content=b"{}1")
    raw = about.manifest(image)
    row = Descriptor(media_type=OCI_MANIFEST, digest=digest_of(raw), size=len(raw), artifact_type=about.kind)
    index = canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [row.json()]})

    def knows_referrers(asked: Asked) -> Instead | None:
        if asked.method == "PUT" and "/manifests/" in asked.path:
            return Instead(201, headers={"OCI-Subject": image.digest})
        return Instead(200, body=index) if "/referrers/" in asked.path else None

    front.behaviour = knows_referrers

    attach(store, image, about)

    assert not any("/manifests/sha256-" in asked.path for asked in front.asked)
    assert store.referrers(image.digest) == (row,)


def test_a_damaged_blob_is_refused(front: Proxy) -> None:
    front.behaviour = lambda asked: Instead(200, body=b"not it")

    with pytest.raises(StoreRefused, match="is damaged"), behind(front).blob(DIGEST) as stream:
        stream.read()


def test_a_manifest_that_is_not_its_digest_is_refused(front: Proxy) -> None:
    front.behaviour = lambda asked: Instead(200, body=b"{}")

    with pytest.raises(StoreRefused, match="is damaged"):
        behind(front).manifest(DIGEST)


def test_a_tag_whose_bytes_are_not_what_the_registry_says_is_refused(front: Proxy) -> None:
    front.behaviour = lambda asked: Instead(200, {"Docker-Content-Digest": DIGEST}, b"{}")

    with pytest.raises(StoreRefused, match="is damaged"):
        behind(front).manifest("latest")


def test_an_endless_manifest_is_not_read_to_its_end(front: Proxy) -> None:
    front.behaviour = lambda asked: Instead(200, body=b" " * 5_000_000)

    with pytest.raises(StoreRefused, match="more than"):
        behind(front).manifest("latest")


def test_a_registry_that_is_down_is_unreachable() -> None:
    address = f"127.0.0.1:{free_port()}"

    with pytest.raises(StoreUnreachable, match="refused"):
        open_store(f"{address}/shop", {}, patience=0.3).has(DIGEST)


def test_a_registry_that_keeps_failing_is_unreachable(front: Proxy) -> None:
    front.behaviour = lambda asked: Instead(503)

    with pytest.raises(StoreUnreachable, match="503"):
        behind(front, patience=0.3).has(DIGEST)

    assert len(front.asked) > 1


def test_retry_after_is_honoured_when_it_is_short(front: Proxy) -> None:
    front.behaviour = lambda asked: Instead(429, {"Retry-After": "1"}) if asked.number == 0 else None
    began = time.monotonic()

    assert not behind(front).has(Digest(f"sha256:{'1' * 64}"))

    assert time.monotonic() - began >= 1
    assert len(front.asked) == 2


def test_retry_after_is_left_to_the_next_look_when_it_is_long(front: Proxy) -> None:
    front.behaviour = lambda asked: Instead(429, {"Retry-After": "3600"})

    with pytest.raises(StoreUnreachable) as caught:
        behind(front).has(DIGEST)

    assert caught.value.retry_after == 3600


def test_what_a_registry_says_is_told_without_its_control_characters(front: Proxy) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "no \x1b[31mway", "detail": None}]}).encode()
    front.behaviour = lambda asked: Instead(403, body=body)

    with pytest.raises(StoreRefused) as caught:
        behind(front).manifest("latest")

    assert "403: DENIED: no \ufffd[31mway" in str(caught.value)
    assert "password" in caught.value.hint


def test_a_password_is_shown_only_when_it_is_asked_for(front: Proxy, password: Secret) -> None:
    behind(front, RegistrySettings(username=USERNAME, password=password)).has(DIGEST)

    assert all("authorization" not in asked.headers for asked in front.asked)


def test_a_password_is_not_shown_to_where_a_registry_redirects(front: Proxy, real: Registry, password: Secret) -> None:
    behind(front, name="moved").put_blob(DIGEST, BLOB)
    basic = f"Basic {base64.b64encode(f'{USERNAME}:{PASSWORD}'.encode()).decode()}"
    with proxy(real.address) as elsewhere:

        def redirects(asked: Asked) -> Instead:
            if asked.headers.get("authorization") != basic:
                return Instead(401, {"WWW-Authenticate": 'Basic realm="x"'})
            return Instead(307, {"Location": f"http://{elsewhere.address}{asked.path}"})

        front.behaviour = redirects

        with behind(front, RegistrySettings(username=USERNAME, password=password), name="moved").blob(DIGEST) as stream:
            assert stream.read() == BLOB

        assert [asked.method for asked in elsewhere.asked] == ["GET"]
        assert "authorization" not in elsewhere.asked[0].headers


def test_a_password_is_not_shown_to_where_an_upload_is_sent(front: Proxy, real: Registry, password: Secret) -> None:
    with proxy(real.address) as elsewhere:

        def sends_away(asked: Asked) -> Instead | None:
            if "authorization" not in asked.headers:
                return Instead(401, {"WWW-Authenticate": 'Basic realm="x"'})
            if asked.method == "POST":
                return Instead(202, {"Location": f"http://{elsewhere.address}/upload"})
            return None

        front.behaviour, elsewhere.behaviour = sends_away, lambda asked: Instead(201)

        behind(front, RegistrySettings(username=USERNAME, password=password), name="away").put_blob(DIGEST, BLOB)

        assert [asked.method for asked in elsewhere.asked] == ["PUT"]
        assert "authorization" not in elsewhere.asked[0].headers


def test_a_wrong_password_is_refused_after_one_try(front: Proxy, password: Secret) -> None:
    front.behaviour = lambda asked: Instead(401, {"WWW-Authenticate": 'Basic realm="x"'})

    with pytest.raises(StoreRefused, match="does not accept our name and password"):
        behind(front, RegistrySettings(username=USERNAME, password=password)).has(DIGEST)

    assert len(front.asked) == 2


def test_a_registry_that_wants_a_password_and_gets_none_is_refused(front: Proxy) -> None:
    front.behaviour = lambda asked: Instead(401, {"WWW-Authenticate": 'Basic realm="x"'})

    with pytest.raises(StoreRefused, match="wants a name and a password") as caught:
        behind(front).has(DIGEST)

    assert "password" in caught.value.hint


class TokenService:
    """A registry in front of the real one that wants tokens, of which each is good for `uses` requests."""

    def __init__(self, front: Proxy, uses: int = 1_000) -> None:
        self.tokens: dict[str, int] = {}
        self.queries: list[str] = []
        self._front, self._uses = front, uses

    def __call__(self, asked: Asked) -> Instead | None:
        path, _, query = asked.path.partition("?")
        if path == "/token":
            expected = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
            if asked.headers.get("authorization") != f"Basic {expected}":
                return Instead(401)
            self.queries.append(query)
            token = f"token-{len(self.tokens)}"
            self.tokens[token] = self._uses
            return Instead(200, body=json.dumps({"token": token}).encode())
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        self.tokens[token] = self.tokens.get(token, 0) - 1
        if self.tokens[token] >= 0:
            return None
        realm = f'Bearer realm="http://{self._front.address}/token",service="shop",scope="repository:shop:pull,push"'
        return Instead(401, {"WWW-Authenticate": realm})


def test_a_token_is_fetched_and_kept(front: Proxy, password: Secret) -> None:
    front.behaviour = service = TokenService(front)
    store = behind(front, RegistrySettings(username=USERNAME, password=password), name="bearer")

    store.put_blob(DIGEST, BLOB)

    assert store.has(DIGEST)
    assert service.queries == ["service=shop&scope=repository%3Ashop%3Apull%2Cpush"]


def test_a_token_that_runs_out_is_fetched_again_even_in_the_middle_of_an_upload(front: Proxy, password: Secret) -> None:
    front.behaviour = service = TokenService(front, uses=5)
    store = behind(front, RegistrySettings(username=USERNAME, password=password), name="expiring")

    for _ in range(4):
        raw = os.urandom(1000)
        store.put_blob(digest_of(raw), raw)
        assert store.has(digest_of(raw))

    assert len(service.queries) > 1


def test_a_token_service_that_does_not_know_us_is_refused(front: Proxy, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong")
    front.behaviour = TokenService(front)

    with pytest.raises(StoreRefused, match="token service says 401") as caught:
        behind(front, RegistrySettings(username=USERNAME, password=Secret(file=str(tmp_path / "wrong")))).has(DIGEST)

    assert "wrong" not in str(caught.value)


def test_a_certificate_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificates(tmp_path / "other", "127.0.0.1")
    settings = RegistrySettings(ca=str(tmp_path / "other" / "ca.pem"))

    with registry(tmp_path / "tls", tls=True) as real, pytest.raises(StoreRefused) as caught:
        open_store(f"{real.address}/shop", {real.address: settings}).manifest("latest")

    assert "certificate is not trusted" in str(caught.value)
    assert "`ca`" in caught.value.hint


def test_tls_and_plain_http_are_told_apart(front: Proxy, tmp_path: Path) -> None:
    with registry(tmp_path / "tls", tls=True) as real:
        with pytest.raises(StoreRefused, match="HTTPS server") as as_plain:
            open_store(f"{real.address}/shop", {}).manifest("latest")
        with pytest.raises(StoreRefused, match="does not speak TLS") as as_tls:
            behind(front, real.settings).manifest("latest")

    assert "plain_http" in as_plain.value.hint
    assert "plain_http" in as_tls.value.hint


def test_an_address_that_is_none_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(StoreRefused, match="expected"):
        open_store("registry.example/../shop", {})


def test_a_password_that_is_not_set_is_refused_before_anything_is_asked() -> None:
    settings = RegistrySettings(username="x", password=Secret(env="TOPLAYER_TESTS_HAVE_NO_SUCH_VARIABLE"))

    with pytest.raises(StoreRefused, match="is not set") as caught:
        open_store("registry.example/shop", {"registry.example": settings})

    assert 'registries."registry.example"' in caught.value.hint


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("oci:/srv/images", ("oci:/srv/images", "latest")),
        ("oci:/srv/images:3.12", ("oci:/srv/images", "3.12")),
        (f"oci:/srv/images@{DIGEST}", ("oci:/srv/images", DIGEST)),
        ("registry.example:5000/base/python:3.12", ("registry.example:5000/base/python", "3.12")),
        (f"registry.example/base/python:3.12@{DIGEST}", ("registry.example/base/python", DIGEST)),
    ],
)
def test_an_address_of_an_image_is_a_repository_and_a_name(address: str, expected: tuple[str, str]) -> None:
    assert split(address) == expected
