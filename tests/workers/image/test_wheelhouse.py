"""Which file of a release is installed, and that what arrives is what was locked."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.rig.proxy import Asked, Instead, proxy
from tests.rig.sdist import sdist, source_tree
from tests.rig.simple_index import ERROR, SimpleIndex
from tests.rig.wheel import wheel, wheel_name
from watcher.errors import IndexLied, IndexRefused, IndexUnreachable
from watcher.http import Http, Limits
from watcher.indexes.pypi import PyPI
from watcher.lookup import Lookup
from watcher.pin import Pin
from watcher.release import File
from watcher.secret import Secret
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.image.errors import BuildRefused
from workers.image.wheelhouse import Offer, Wheelhouse

NAME = "shop-1.0-py3-none-any.whl"
TARGET = Wheels.of(ImageSettings(repository="oci:/images", python="3.12"))
Open = Callable[..., Wheelhouse]


def settings(index: SimpleIndex) -> IndexSettings:
    return IndexSettings(kind="pypi", url=index.url)


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    with SimpleIndex() as running:
        yield running


@pytest.fixture
def http() -> Iterator[Http]:
    with Http(limits=Limits(attempts=1)) as client:
        yield client


@pytest.fixture
def house(index: SimpleIndex, http: Http) -> Wheelhouse:
    return Wheelhouse({"pypi": IndexSettings(kind="pypi", url=index.url)}, TARGET, http)


def pin(package: str, version: str = "1.0", *hashes: str) -> Pin:
    return Pin(ecosystem="pypi", package=package, version=version, lock="requirements.txt", hashes=hashes)


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_the_wheel_that_fits_best_is_taken(index: SimpleIndex, house: Wheelhouse, now: datetime) -> None:
    tags = ["py3-none-any", "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_28_x86_64"]
    others = ["cp312-cp312-manylinux_2_35_x86_64", "cp313-cp313-manylinux_2_28_x86_64", "cp312-cp312-win_amd64"]
    index.publish("fast", "1.0", tags=[*tags, *others, "cp38-abi3-manylinux_2_28_x86_64"])

    found = house.best([pin("fast")], now)

    assert found[pin("fast")].file.filename == "fast-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"


def test_the_wheel_has_a_hash_that_the_lock_has(index: SimpleIndex, house: Wheelhouse, now: datetime) -> None:
    index.publish("fast", "1.0", tags=["py3-none-any", "cp312-cp312-manylinux_2_28_x86_64"])
    plain = pin("fast", "1.0", sha256(wheel("fast", "1.0")))

    assert house.best([plain], now)[plain].file.filename == "fast-1.0-py3-none-any.whl"


def test_a_source_distribution_that_the_lock_has_the_hash_of_is_built_beside_wheels_that_it_has_not(
    index: SimpleIndex, http: Http, now: datetime
) -> None:
    archive = sdist("fast-1.0", source_tree("fast", "1.0"))
    index.publish("fast", "1.0")
    index.add("fast", "fast-1.0.tar.gz", archive)
    mine = pin("fast", "1.0", sha256(archive))
    house = Wheelhouse({"pypi": settings(index)}, replace(TARGET, builds=True), http)

    assert house.best([mine], now)[mine].file.filename == "fast-1.0.tar.gz"
    with pytest.raises(BuildRefused, match=r"no file for .* with a hash that the lock has"):
        Wheelhouse({"pypi": settings(index)}, TARGET, http).best([pin("fast", "1.0", sha256(b""))], now)


def test_everything_that_cannot_be_installed_is_named_at_once(
    index: SimpleIndex, house: Wheelhouse, now: datetime
) -> None:
    index.publish("windows", "1.0", tags=["cp312-cp312-win_amd64"])
    index.publish("young", "1.0", requires_python=">=3.13")
    index.publish("moved", "2.0")
    index.publish("changed", "1.0")
    index.publish("good", "1.0")
    index.add("source", "source-1.0.tar.gz", b"")
    index.publish("source", "2.0")
    pins = [pin(name) for name in ("windows", "young", "moved", "absent", "good", "source")]

    with pytest.raises(BuildRefused) as caught:
        house.best([*pins, pin("changed", "1.0", sha256(b"x"))], now)

    assert str(caught.value) == (
        f"requirements.txt: `absent` 1.0 is not on {index.url}; "
        "`changed` 1.0 has no file for Python 3.12 on manylinux_2_28_x86_64 with a hash that the lock has; "
        f"`moved` 1.0 is not on {index.url}; "
        "`source` 1.0 has no wheel; "
        "`windows` 1.0 has no wheel for Python 3.12 on manylinux_2_28_x86_64; "
        "`young` 1.0 needs Python >=3.13, and the image has 3.12"
    )
    assert "sandbox" in caught.value.hint


def test_what_is_locked_can_be_installed_after_it_was_yanked(
    index: SimpleIndex, house: Wheelhouse, now: datetime
) -> None:
    index.publish("shop", "1.0")
    index.yank("shop", "1.0")

    assert house.best([pin("shop")], now)[pin("shop")].file.filename == "shop-1.0-py3-none-any.whl"


def test_an_index_that_does_not_answer_is_no_index_without_the_package(
    index: SimpleIndex, house: Wheelhouse, now: datetime
) -> None:
    index.publish("shop", "1.0")
    index.spoil("shop", ERROR, forever=True)

    with pytest.raises(IndexUnreachable):
        house.best([pin("shop")], now)


def test_what_the_lock_has_from_an_index_that_nobody_named_is_refused_and_nobody_is_asked(
    index: SimpleIndex, house: Wheelhouse, now: datetime
) -> None:
    index.publish("shop", "1.0")
    foreign = replace(pin("shop"), registry="https://elsewhere.example/simple")

    with pytest.raises(
        BuildRefused, match=r"has shop from https://elsewhere.*, which is no index of the configuration"
    ):
        house.best([foreign], now)

    assert index.asked == []


def test_of_two_indexes_without_a_claim_the_first_that_has_it_counts(
    index: SimpleIndex, http: Http, now: datetime
) -> None:
    with SimpleIndex() as second:
        index.publish("ours", "1.0")
        second.publish("ours", "1.0")
        second.publish("theirs", "1.0")
        indexes = {"one": IndexSettings(kind="pypi", url=index.url), "two": IndexSettings(kind="pypi", url=second.url)}
        house = Wheelhouse(indexes, TARGET, http)

        found = house.best([pin("ours"), pin("theirs")], now)

        assert {one.package: offer.index for one, offer in found.items()} == {"ours": "one", "theirs": "two"}
        index.spoil("theirs", ERROR, forever=True)
        with pytest.raises(IndexUnreachable, match=index.url):
            house.best([pin("theirs")], now)


def test_what_an_index_has_said_before_it_need_not_say_again(index: SimpleIndex, http: Http, now: datetime) -> None:
    index.publish("shop", "1.0")
    said = next(iter(PyPI(settings(index)).look_up([Lookup(index="pypi", package="shop")], http, now)))
    house = Wheelhouse({"pypi": settings(index)}, TARGET, http, lambda name, _: said if name == "pypi" else None)

    found = house.best([pin("shop")], now)

    assert found[pin("shop")].file.filename == NAME
    assert index.asked[-1].headers["if-none-match"] == said.etag


def test_what_arrives_is_what_was_locked(index: SimpleIndex, house: Wheelhouse, now: datetime, tmp_path: Path) -> None:
    index.publish("shop", "1.0")
    locked = pin("shop", "1.0", sha256(wheel("shop", "1.0")))

    path = house.bring(locked, house.best([locked], now)[locked], tmp_path)

    assert path == tmp_path / "shop-1.0-py3-none-any.whl"
    assert path.read_bytes() == wheel("shop", "1.0")


@pytest.mark.parametrize("locked", [True, False])
def test_a_file_that_was_exchanged_is_refused(
    index: SimpleIndex, house: Wheelhouse, now: datetime, tmp_path: Path, locked: bool
) -> None:
    index.publish("shop", "1.0")
    mine = pin("shop", "1.0", *([sha256(wheel("shop", "1.0"))] if locked else []))
    offer = house.best([mine], now)[mine]
    index._blobs[offer.file.filename] = b"something else"

    with pytest.raises(BuildRefused, match="expected the bytes with the hash") as caught:
        house.bring(mine, offer, tmp_path)

    assert offer.file.filename in str(caught.value)
    assert "who" in caught.value.hint


def test_an_index_that_wants_a_password_gets_it_and_nobody_else_does(
    index: SimpleIndex, http: Http, now: datetime, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("s3cret")
    basic = f"Basic {base64.b64encode(b'me:s3cret').decode()}"
    data = wheel("shop", "1.0")
    index.authorization = basic
    index.publish("shop", "1.0")
    keyed = IndexSettings(kind="pypi", url=index.url, username="me", password=Secret(file=str(tmp_path / "password")))
    house = Wheelhouse({"pypi": keyed}, TARGET, http)
    offer = house.best([pin("shop")], now)[pin("shop")]
    file = offer.file
    with proxy("127.0.0.1:1", lambda asked: Instead(200, body=data)) as elsewhere:
        moved = File(filename=file.filename, url=f"http://{elsewhere.address}/{file.filename}", hashes=file.hashes)

        house.bring(pin("shop"), offer, tmp_path)
        house.bring(pin("shop"), Offer("pypi", moved), tmp_path)

        assert index.asked[-1].headers["authorization"] == basic
        assert all("authorization" not in asked.headers for asked in elsewhere.asked)


def test_a_token_is_shown_as_the_index_wants_it(index: SimpleIndex, http: Http, now: datetime, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    index.authorization = "Bearer s3cret"
    index.publish("shop", "1.0")
    keyed = IndexSettings(kind="pypi", url=index.url, auth="bearer", password=Secret(file=str(tmp_path / "token")))
    house = Wheelhouse({"pypi": keyed}, TARGET, http)

    assert house.bring(pin("shop"), house.best([pin("shop")], now)[pin("shop")], tmp_path).exists()


def test_an_index_that_does_not_let_us_in_is_refused(
    index: SimpleIndex, house: Wheelhouse, now: datetime, tmp_path: Path
) -> None:
    index.publish("shop", "1.0")
    file = house.best([pin("shop")], now)[pin("shop")]
    index.authorization = "Basic x"

    with pytest.raises(IndexRefused, match="wants a name and a password"):
        house.bring(pin("shop"), file, tmp_path)


def test_a_file_that_the_index_lists_and_does_not_have_is_the_indexs_fault(
    index: SimpleIndex, house: Wheelhouse, now: datetime, tmp_path: Path
) -> None:
    index.publish("shop", "1.0")
    file = house.best([pin("shop")], now)[pin("shop")]
    index._blobs.clear()

    with pytest.raises(IndexLied, match="404"):
        house.bring(pin("shop"), file, tmp_path)


def test_a_download_goes_on_where_it_broke(index: SimpleIndex, http: Http, now: datetime, tmp_path: Path) -> None:
    index.publish("shop", "1.0", files={"shop/data": bytes(500_000)})
    failed: list[Asked] = []

    def fails_twice(asked: Asked) -> Instead | None:
        if "/files/" in asked.path and len(failed) < 2:
            failed.append(asked)
            return Instead(503)
        return None

    with proxy(index.origin.removeprefix("http://"), fails_twice) as front:
        house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=f"http://{front.address}/simple")}, TARGET, http)
        file = house.best([pin("shop")], now)[pin("shop")]

        assert house.bring(pin("shop"), file, tmp_path).stat().st_size > 500_000

    assert len(failed) == 2


def test_a_public_index_cannot_send_us_into_the_private_network(http: Http, tmp_path: Path) -> None:
    house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url="http://8.8.8.8/simple")}, TARGET, http)
    name = wheel_name("shop", "1.0")

    with pytest.raises(IndexLied, match=r"the private address 127\.0\.0\.1"):
        house.bring(pin("shop"), Offer("pypi", File(filename=name, url=f"http://127.0.0.1:1/{name}")), tmp_path)


def test_an_index_behind_tls_cannot_send_us_to_files_without(http: Http, tmp_path: Path) -> None:
    house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url="https://index.example/simple")}, TARGET, http)

    with pytest.raises(IndexLied, match="https://"):
        house.bring(pin("shop"), Offer("pypi", File(filename=NAME, url="http://index.example/x")), tmp_path)
