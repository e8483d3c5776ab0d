"""What comes from a Composer repository to harm us, or broken: ours is an error of our own, and little memory."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig.composer_repository import ComposerRepository
from tests.rig.mutated import mutated
from tests.rig.simple_index import Fault, bomb
from watcher.errors import IndexLied
from watcher.http import Http, Response
from watcher.indexes.packagist import Packagist
from watcher.indexes.packagist_advisories import read_advisories, read_malware
from watcher.indexes.packagist_feed import News, read_feed
from watcher.indexes.packagist_metadata import parse
from watcher.indexes.packagist_root import read_root
from watcher.lookup import Lookup, Mark, Outcome
from watcher.settings import IndexSettings

URL = "https://packages.example/p2/acme/http.json"


@pytest.fixture
def server() -> Iterator[ComposerRepository]:
    with ComposerRepository() as server:
        server.publish("acme/http", "1.0.0")
        yield server


def page(*rows: Any, **more: Any) -> bytes:
    return json.dumps({"packages": {"acme/http": rows}, "minified": "composer/2.0", **more}).encode()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_KEYS = ["require", "dist", "source", "published-time", "abandoned", "type", "version"]
_ROWS = st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=5).map(lambda row: {"version": "1.0", **row})


@settings(max_examples=300, deadline=None)
@given(
    st.lists(_ROWS | _JSON, max_size=4),
    st.dictionaries(st.sampled_from(["packages", "security-advisories", "filter", "minified"]), _JSON, max_size=2),
)
def test_whatever_a_package_says_only_our_own_error_comes_out(rows: list[Any], more: dict[str, Any]) -> None:
    try:
        found = parse(page(*rows, **more), "acme/http", URL)
    except IndexLied:
        return
    for release in found.releases:
        assert all(file.filename.isprintable() and "/" not in file.filename for file in release.files)
        assert all(file.url == "" or file.url.startswith("http") for file in release.files)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "packages",
                "metadata-url",
                "providers-url",
                "provider-includes",
                "includes",
                "metadata-changes-url",
                "available-packages",
                "available-package-patterns",
                "security-advisories",
                "filter",
            ]
        ),
        _JSON | st.sampled_from(["/p2/%package%.json", "https://a:b@[::1", "//x", {"a": {"sha1": "0" * 40}}]),
    )
)
def test_whatever_a_root_says_only_our_own_error_comes_out(data: dict[str, Any]) -> None:
    try:
        root = read_root(json.dumps(data).encode(), "https://packages.example/packages.json")
    except IndexLied:
        return
    assert root.may_have("acme/http") in (True, False)
    assert root.metadata == "" or root.metadata.startswith("https://packages.example/")


def fed(body: bytes) -> News:
    mark = Mark(1, "https://packages.example/changes.json", "https://packages.example")
    return read_feed(Response(URL, 200, {}, body), {"acme/http"}, mark)


_TIMES = st.integers() | st.floats() | st.integers(-2, 2).map(lambda sign: sign * 10**400) | _JSON


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({"type": st.sampled_from(["update", "delete"]), "time": _TIMES}), max_size=3),
    st.sampled_from(["{}", "1e999", "-1e999", "NaN", "12" * 300]),
)
def test_whatever_a_feed_says_only_our_own_error_comes_out(actions: list[dict[str, Any]], number: str) -> None:
    # What JSON can hold is more than Python writes
    rows = [{**action, "package": "acme/http"} for action in actions]
    text = json.dumps({"timestamp": 5, "actions": [*rows, {"package": "acme/http~dev", "time": "NUMBER"}]})
    try:
        news = fed(text.replace('"NUMBER"', number).encode())
    except IndexLied:
        return
    assert all(0 <= at < 1 << 40 for at in (news.changed or {}).values())


# getrusage would tell of the process that started this one, too.
_HUNGRY = """
import sys
from pathlib import Path
from watcher.errors import IndexLied
from watcher.indexes.packagist_metadata import parse
try:
    found = parse(Path(sys.argv[1]).read_bytes(), "acme/http", "https://packages.example/")
    print(len(found.releases), end=" ")
except IndexLied as error:
    print("refused", end=" ")
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024)
"""


@pytest.mark.parametrize(
    "shape",
    ["values", "versions"],
)
def test_a_hostile_page_stays_under_256_megabytes(tmp_path: Path, shape: str) -> None:
    if shape == "values":
        inner = "{" + ",".join(f'"{number}":1' for number in range(1_150_000)) + "}"
        text = f'{{"packages": {{"acme/http": [{inner}]}}}}'
    else:
        first = json.dumps({"version": "1.0", "require": {f"ext-x{n}": "*" for n in range(20_000)}})
        more = ",".join(f'{{"version":"1.{n}"}}' for n in range(9_900))
        text = f'{{"minified": "composer/2.0", "packages": {{"acme/http": [{first},{more}]}}}}'
    hostile = tmp_path / "page.json"
    hostile.write_text(text)

    done = subprocess.run(
        [sys.executable, "-c", _HUNGRY, str(hostile)], capture_output=True, text=True, check=True, timeout=120
    )

    assert int(done.stdout.split()[-1]) < 256, done.stdout


_LOOKS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from watcher.http import Http
from watcher.indexes.packagist import Packagist
from watcher.lookup import Lookup
from watcher.settings import IndexSettings
with Http() as http:
    index = Packagist(IndexSettings(kind="packagist", url=sys.argv[1]))
    (found,) = index.look_up([Lookup(index="x", package="acme/http")], http, datetime.now(UTC))
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024, found.outcome, found.reason)
"""


@pytest.mark.parametrize("path", ["/packages.json", "/p2/acme/http.json"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(body=b" " * 50_000_000), "larger than 40 MB"),
        (bomb(500), "larger than 40 MB"),
        (Fault(body=b"[" * 1_000_000), "recursion limit"),
    ],
    ids=["50 MB", "bomb", "lists"],
)
def test_no_answer_takes_more_than_256_megabytes(
    server: ComposerRepository, path: str, fault: Fault, said: str
) -> None:
    server.spoil(path, fault)
    argv = [sys.executable, "-c", _LOOKS, server.url]

    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)

    megabytes, outcome, reason = done.stdout.split(" ", 2)
    assert (int(megabytes) < 256, outcome) == (True, "unknown"), done.stdout
    assert said in reason


def test_a_feed_that_is_a_bomb_costs_requests_and_nothing_else(server: ComposerRepository, now: datetime) -> None:
    index, bare = Packagist(IndexSettings(kind="packagist", url=server.url)), Lookup(index="x", package="acme/http")
    with Http() as http:
        known = list(index.look_up([bare], http, now))
        server.spoil("/changes.json", bomb(500))

        (found,) = index.look_up(known, http, now)

    assert found.outcome is Outcome.ANSWER


_RECORDED = Path(__file__).parent / "recorded"
_READERS: dict[str, Callable[[bytes], object]] = {
    "p2/acme/log.json": lambda body: parse(body, "acme/log", URL),
    "p2/acme/old.json": lambda body: parse(body, "acme/old", URL),
    "packages.json": lambda body: read_root(body, "https://packages.example/packages.json"),
    "changes.json": lambda body: fed(body),
    "security-advisories.json": lambda body: read_advisories(body, URL),
    "summary.json": lambda body: read_malware(body, URL),
}


@pytest.mark.parametrize("path", _READERS)
def test_a_good_answer_with_damage_in_it_is_read_or_refused(path: str) -> None:
    good = (_RECORDED / path).read_bytes()
    _READERS[path](good)

    @settings(max_examples=150, deadline=None)
    @given(mutated(good) | st.binary(max_size=60))
    def read_or_refused(body: bytes) -> None:
        with contextlib.suppress(IndexLied):
            _READERS[path](body)

    read_or_refused()
