"""The helper carries the layers to its engine by itself: what has come is never asked for again."""

import ast
import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.rig.base_image import base_image
from tests.rig.engine import RealEngine
from tests.rig.image import busybox, layer, publish
from tests.rig.loopback import Handler, Loopback
from tests.rig.proxy import Asked, CutAfter, Instead, proxy
from tests.rig.registry import PASSWORD, USERNAME, Registry, registry
from tests.workers.fleet.worlds import RUNS, DockerWorld, deploy, docker_world, fetched, fetched_by, service
from watcher.fleet import HostSettings
from watcher.image import Digest
from workers.fleet import puller
from workers.fleet.answer import pull_failed
from workers.fleet.host import HostBusy, HostRefused, OnItsWay
from workers.fleet.targets import connect
from workers.oci.stores import open_store, url_of

NOISE = hashlib.shake_256(b"noise").digest(3_000_000)


@pytest.fixture(scope="module")
def image(real_registry: Registry) -> str:
    """The puller's."""
    repository = f"{real_registry.address}/python"
    base_image().copied_to(open_store(repository, {real_registry.address: real_registry.settings}))
    return f"{repository}:latest"


@pytest.fixture
def world(dockerd: RealEngine, real_registry: Registry, image: str) -> Iterator[DockerWorld]:
    with docker_world(dockerd, real_registry) as made:
        resumes = HostSettings(name="h1", address=dockerd.address, images="resume")
        made.service = replace(made.service, puller=image, registry=f"http://{real_registry.address}")
        with connect(resumes, made.store) as host:
            made.host = host
            yield made


def large(world: DockerWorld) -> Digest:
    """An image with a layer of three megabytes."""
    own = layer({"app": None, "app/ok": "ok", "app/version": "large", "app/noise": NOISE + world.store.where.encode()})
    return publish(world.store, [busybox(), own], Env=["PATH=/bin"], WorkingDir="/app", Cmd=list(RUNS))


def through(world: DockerWorld, address: str) -> None:
    world.service = replace(world.service, registry=f"http://{address}")


def volumes(world: DockerWorld) -> list[str]:
    with world.engine.api() as api:
        return [row["Name"] for row in api.volumes()["Volumes"] or () if row["Name"].startswith(world.service.name)]


def blobs(one: Asked) -> bool:
    return one.method == "GET" and "/blobs/" in one.path and one.headers.get("user-agent", "") == ""


def test_the_helper_carries_what_the_host_lacks_and_nothing_else(world: DockerWorld, real_registry: Registry) -> None:
    first, second = world.publish("1"), world.publish("2")
    assert deploy(world, first, 1) > 500_000
    before = real_registry.pulled()
    travelled = fetched(world, second)
    assert 0 < travelled < 20_000
    assert real_registry.pulled() - before <= travelled + 5_000, "we read the manifest, too"
    deploy(world, second, 2)
    assert world.answers() == "2"
    assert fetched(world, second) == 0
    assert volumes(world) == []


def test_a_layer_that_is_cut_off_again_and_again_goes_on_where_it_was(
    world: DockerWorld, real_registry: Registry
) -> None:
    image = large(world)

    def cuts(one: Asked) -> CutAfter | None:
        return CutAfter(700_000) if blobs(one) else None

    with proxy(f"http://{real_registry.address}", cuts) as between:
        through(world, between.address)
        assert fetched(world, image) > 3_000_000
        begun = [(one.path, one.headers["range"]) for one in between.asked if blobs(one) and "range" in one.headers]
    assert len(begun) >= 4
    assert len(set(begun)) == len(begun), "each from where the one before it was cut off"
    deploy(world, image, 1)
    assert world.answers() == "large"


def test_neither_a_dead_helper_nor_an_attempt_that_was_given_up_costs_what_has_come(
    world: DockerWorld, real_registry: Registry
) -> None:
    image, away = large(world), threading.Event()

    def stalls(one: Asked) -> CutAfter | Instead | None:
        if not blobs(one):
            return None
        if away.is_set():
            return Instead(503)
        away.set()
        return CutAfter(1_500_000)

    with proxy(f"http://{real_registry.address}", stalls) as between:
        through(world, between.address)
        hasty = replace(world.service, patience=timedelta(seconds=1))
        with pytest.raises(HostBusy, match="made no progress"):
            fetched_by(world.host, hasty, image)
        assert volumes(world) == [f"{world.service.name}.pull"]
        with pytest.raises(OnItsWay):
            world.host.fetch(world.service, image)
        between.asked.clear()
        kill(world)
        between.behaviour = lambda _: None
        assert fetched(world, image) > 3_000_000
        ranges = [one.headers.get("range") for one in between.asked if blobs(one) and "range" in one.headers]
    assert ranges, "it went on"
    assert volumes(world) == []


def kill(world: DockerWorld) -> None:
    """As a host does it that is short of memory."""
    with world.engine.api() as api:
        os.kill(api.inspect_container(f"{world.service.name}.pull")["State"]["Pid"], signal.SIGKILL)


def test_a_helper_that_somebody_took_away_is_made_anew(world: DockerWorld, real_registry: Registry) -> None:
    image = large(world)

    def away(one: Asked) -> Instead | None:
        return Instead(503) if blobs(one) else None

    with proxy(f"http://{real_registry.address}", away) as between:
        through(world, between.address)
        with pytest.raises(OnItsWay):
            world.host.fetch(world.service, image)
        with world.engine.api() as api:
            api.kill(f"{world.service.name}.pull")
        # Until the engine has seen it die, the image is on its way.
        with pytest.raises(HostBusy, match="somebody ended the helper"):
            fetched_by(world.host, world.service, image)
        between.behaviour = lambda _: None
        assert fetched(world, image) > 3_000_000


def test_a_registry_with_tls_and_a_password_is_spoken_to_as_the_settings_say(
    dockerd: RealEngine, image: str, tmp_path: Path
) -> None:
    with registry(tmp_path, auth=True, tls=True) as private:
        repository = f"{private.address}/shop"
        store = open_store(repository, {private.address: private.settings})
        address = url_of(private.address, private.settings)
        known = replace(service("carried", repository), puller=image, registry=address, ca=str(private.ca))
        known = replace(known, username=USERNAME, password=PASSWORD)
        wanted = publish(store, [busybox(), layer({"app": None, "app/ok": "ok"})], Cmd=list(RUNS))
        with connect(HostSettings(name="h1", address=dockerd.address, images="resume"), store) as host:
            with pytest.raises(HostRefused) as refused:
                fetched_by(host, replace(known, password="wrong"), wanted)
            assert "password" in refused.value.hint
            assert fetched_by(host, known, wanted) > 0


def test_wrong_bytes_are_refused_and_not_kept(world: DockerWorld, real_registry: Registry) -> None:
    image = large(world)

    def lies(one: Asked) -> Instead | None:
        return Instead(200, body=b"x" * 4_000_000) if blobs(one) else None

    with proxy(f"http://{real_registry.address}", lies) as between:
        through(world, between.address)
        with pytest.raises(HostRefused, match="verification failed"):
            fetched(world, image)
        between.behaviour = lambda _: None
        assert fetched(world, image) > 3_000_000


# --- the script itself, without an engine ---


class _Registry(Handler):
    """Wants a token, has the blob somewhere else, and takes requests for a part of it."""

    def do_GET(self) -> None:
        owner: list[tuple[str, str, str]] = self.server.owner
        owner.append((self.path, self.headers.get("Authorization") or "", self.headers.get("Range") or ""))
        if self.path.startswith("/token"):
            return self._answer(200, b'{"token": "t1"}')
        if self.path.startswith("/elsewhere"):
            begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            return self._answer(206 if begin else 200, NOISE[begin:])
        if self.headers.get("Authorization") != "Bearer t1":
            where = f'Bearer realm="http://{self.headers["Host"]}/token",service="s"'
            return self._answer(401, b"", {"WWW-Authenticate": where})
        other = self.headers["Host"].replace("127.0.0.1", "localhost")
        return self._answer(307, b"", {"Location": f"http://{other}/elsewhere?signed=1"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def job(url: str, **more: Any) -> dict[str, Any]:
    found = {"digest": f"sha256:{hashlib.sha256(NOISE).hexdigest()}", "size": len(NOISE)}
    known = {"registry": url, "path": "team/shop", "login": ["me", "hunter2"], "ca": "", "rate": None, "patience": 5}
    return {**known, "layers": [found], **more}


def test_a_token_is_fetched_with_the_password_and_neither_goes_to_where_the_blob_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(puller, "BLOBS", tmp_path)
    asked: list[tuple[str, str, str]] = []
    with Loopback(_Registry, asked) as server:
        wanted = job(server.url)
        (one,) = wanted["layers"]
        puller.path(one["digest"]).write_bytes(NOISE[:1_000_000])
        puller.fetch(one, puller.Registry(wanted), puller.Carried(wanted))
    assert puller.path(one["digest"]).read_bytes() == NOISE
    paths = [path.partition("?")[0] for path, _, _ in asked]
    assert paths == ["/v2/team/shop/blobs/" + one["digest"], "/token", paths[0], "/elsewhere"]
    assert asked[1][1].startswith("Basic ")
    assert "scope=repository%3Ateam%2Fshop%3Apull" in asked[1][0]
    assert asked[3][1:] == ("", "bytes=1000000-")


class _Short(Handler):
    """Has lost the end of the blob."""

    def do_GET(self) -> None:
        has, begin = NOISE[:1_000_000], int((self.headers.get("Range") or "bytes=0-")[6:-1])
        status = 416 if begin >= len(has) else 206 if begin else 200
        body = has[begin:] if status != 416 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{len(has) - 1}/{len(has)}")
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize("came", [0, 500_000, 1_000_000, 2_000_000])
def test_a_blob_that_is_shorter_in_the_registry_than_it_should_be_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, came: int
) -> None:
    monkeypatch.setattr(puller, "BLOBS", tmp_path)
    with Loopback(_Short, []) as server:
        wanted = job(server.url)
        (one,) = wanted["layers"]
        puller.path(one["digest"]).write_bytes(NOISE[:came])
        with pytest.raises(puller.Ended) as ended:
            puller.fetch(one, puller.Registry(wanted), puller.Carried(wanted))
    assert isinstance(pull_failed("h1", "r.example/shop", ended.value.said["error"]), HostRefused)


def test_a_rate_is_kept_by_the_helper(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    monkeypatch.setattr("workers.fleet.puller.time.monotonic", lambda: now[0])
    monkeypatch.setattr("workers.fleet.puller.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    carried = puller.Carried(job("http://r.example", rate=50_000))
    for _ in range(10):
        carried.note(10_000)
    assert now[0] == pytest.approx(102)
    assert '"total": 3000000' in capsys.readouterr().out


def test_the_script_is_read_by_an_older_python() -> None:
    ast.parse(Path(puller.__file__).read_text(), feature_version=(3, 8))


def test_a_registry_must_not_lead_from_https_to_http() -> None:
    bad = puller.Registry(job("https://r.example"))
    with pytest.raises(puller.Ended) as ended:
        bad._get("http://r.example/v2/", {})
    assert "not to https" in ended.value.said["error"]
