"""A base that the configuration names by its tag: what images stand on is known, and that the tag has moved is told."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.desk import Nobody
from tests.rig.git_server import Origin
from tests.rig.image import layer, publish
from tests.rig.registry import PASSWORD, USERNAME, Registry, registry
from tests.rig.simple_index import SimpleIndex
from tests.workers.steps.test_build import NOW, Place
from watcher import view, wish
from watcher.desk import Desk
from watcher.head import Head
from watcher.http import Http
from watcher.image import Digest, Platform
from watcher.ledger import Ledger
from watcher.lookup import IndexState
from watcher.notice import notices
from watcher.poll import poll_index
from watcher.rollout import Rollout
from watcher.turn import Turn
from watcher.weigh import weigh
from watcher.wishes import PolicySettings
from workers.indexes import open_index
from workers.oci.layout import LayoutStore
from workers.oci.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, canonical
from workers.oci.store import find_manifest
from workers.oci.stores import open_store
from workers.steps.survey import SURVEY


def push(real: Registry, text: str) -> tuple[Digest, list[Digest]]:
    """A base for two platforms under one tag: the digest of the index, and those of the images in it."""
    store, rows = open_store(f"{real.address}/base/python", {real.address: real.settings}), list[Descriptor]()
    for architecture in ("amd64", "arm64"):
        digest = publish(store, [layer({"etc/os": f"{text} {architecture}"})], architecture=architecture)
        raw = store.manifest(digest)
        assert raw
        platform = Platform("linux", architecture)
        rows.append(Descriptor(media_type=OCI_MANIFEST, digest=digest, size=len(raw), platform=platform))
    index = canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [row.json() for row in rows]})
    return store.put_manifest(index, OCI_INDEX, "3.12"), [row.digest for row in rows]


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path / "registry", auth=True) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, real: Registry) -> Iterator[Place]:
    with SimpleIndex() as index:
        index.publish("alpha", "1.0")
        (tmp_path / "state").mkdir()
        made = Place(tmp_path, Origin(tmp_path / "shop.git"), index, index)
        made.more = f', base = "{real.address}/base/python:3.12", platforms = ["linux/amd64", "linux/arm64"]'
        secret = f"{tmp_path}/registry/password"
        made.last = f"""[registries."{real.address}"]
            username = "{USERNAME}"
            password = {{ file = "{secret}" }}
            plain_http = true
            """
        yield made


class Shop:
    """The app's ledger, and rounds of its life."""

    def __init__(self, place: Place, http: Http) -> None:
        self.place, self._http, self.settings = place, http, place.settings()
        self.ledger = Ledger(self.settings.ledger_url)
        self.ledger.add(Head(app="shop"), NOW)
        self.ledger.add(IndexState(index="oci"), NOW)

    def look(self, now: datetime) -> view.Row:
        """What `toplayer check` says of the base, after a survey and a poll."""
        desk = Desk(self.settings, self.ledger, lambda: now, Nobody())
        head = self.ledger.find(Head, app="shop")
        assert head
        self.ledger.write([(head, SURVEY.do(desk, head))], now)
        state = self.ledger.find(IndexState, index="oci")
        assert state
        index = open_index("oci", self.settings)
        after = poll_index(state, self.settings, self.ledger, index, self._http, Turn(now, since=now))
        self.ledger.write([(state, after)], now)
        head = self.ledger.find(Head, app="shop")
        assert head is not None
        weigh(head, self.settings, self.ledger, now)
        rows = [view.decision_row(one.decision) for one in self.ledger.standing("shop")]
        return next(row for row in rows if row["package"].endswith("/base/python:3.12"))

    def build(self, *before: Rollout) -> Rollout:
        built = self.place.build("alpha==1.0\n", *before)
        self.ledger.write([(self.ledger.find(Rollout, id=built.id), built)], NOW)
        return built

    def said(self) -> str:
        """What `toplayer status` says of it."""
        (app,) = view.status(self.settings, self.ledger, ["shop"], NOW)["apps"]
        return str(app["base"])


def test_a_base_of_the_configuration_that_has_moved_is_told(place: Place, real: Registry) -> None:
    first, images = push(real, "one")
    with Http() as http:
        shop = Shop(place, http)
        built = shop.build()
        still, quiet = shop.look(NOW), shop.said()
        second, _ = push(real, "two")
        moved = shop.look(NOW + timedelta(hours=1))
        said = shop.said()
        shop.look(NOW + timedelta(hours=2))
        with pytest.raises(wish.NothingTo, match="named in the configuration"):
            wish.bump(shop.settings, shop.ledger, "shop", moved["package"], "", wish.Person("ada", "", NOW))
        ignored = (
            shop.place.settings()
            .apps["shop"]
            .model_copy(
                update={"policy": PolicySettings.model_validate({"ignore": [moved["package"].replace(":", "?")]})}
            )
        )
        quietly = view.status(shop.settings.model_copy(update={"apps": {"shop": ignored}}), shop.ledger, ["shop"], NOW)
        again = shop.build(built)
        after = shop.look(NOW + timedelta(hours=3))

        assert built.built
        assert built.built.base == first
        assert stands_on(place, built) == images
        assert (still["current"], still["verdict"], quiet) == (first, "current", "")
        assert (moved["current"], moved["newest"], moved["verdict"]) == (first, second, "refused")
        assert said == moved["said"]
        assert said.endswith("names another image now, on which the next build will stand: `toplayer deploy shop`")
        told = [one for one in shop.ledger.events(app="shop") if one.kind == "pin.moved"]
        assert [one.text for one in notices(told)] == [f"shop: {moved['package']} moved: {said}"]
        assert quietly["apps"][0]["base"] == ""
        assert again.built
        assert again.built.base == second
        assert (after["current"], after["verdict"], shop.said()) == (second, "current", "")
        shop.ledger.close()


def stands_on(place: Place, rollout: Rollout) -> list[Digest]:
    """The base of each of a rollout's images, by their labels."""
    store = LayoutStore(place.root / "images")
    found = []
    for platform in ("amd64", "arm64"):
        manifest = find_manifest(store, str(rollout.image), Platform("linux", platform))
        assert manifest
        found.append(Digest(manifest.annotations["org.opencontainers.image.base.digest"]))
    return found


def test_a_registry_that_says_no_or_nothing_is_no_base_that_stays(place: Place, real: Registry) -> None:
    first, _ = push(real, "one")
    with Http() as http:
        shop = Shop(place, http)
        shop.build()
        shop.look(NOW)
        push(real, "two")
        (place.root / "registry" / "password").write_text("wrong")
        refused = shop.look(NOW + timedelta(hours=1))
        said = shop.said()
        (place.root / "registry" / "password").write_text(PASSWORD)

        assert (refused["current"], refused["newest"], refused["verdict"]) == (first, first, "unknown")
        assert refused["said"].startswith("not looked: ")
        assert said == refused["said"]
        shop.ledger.close()
