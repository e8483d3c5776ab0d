"""What PyPI's door asks, and how it reads answers, good and bad."""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from pypi_simple import PYPI_SIMPLE_ENDPOINT
from uv import find_uv_bin

from tests.rig.kept_pages import KeptPages
from tests.rig.mutated import mutated
from tests.rig.process import lack
from tests.rig.simple_index import HTML, JSON, WRONG_JSON, Fault, SimpleIndex, bomb
from watcher.errors import IndexLied, IndexUnreachable
from watcher.http import Http, Limits, Request, basic
from watcher.indexes.pypi import PyPI
from watcher.indexes.simple import parse
from watcher.lookup import Lookup, Outcome
from watcher.release import File, Release
from watcher.secret import Secret
from watcher.settings import IndexSettings
from workers import demo

URL = "https://index.example/simple/shop-api/"
HASH = "a" * 64


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    with Http(limits=Limits(pause=0.01)) as http:
        yield http


@pytest.fixture
def server() -> Iterator[SimpleIndex]:
    with SimpleIndex() as server:
        server.publish("shop-api", "1.0")
        yield server


def look(server: SimpleIndex, http: Http, now: datetime, known: Lookup | None = None, **settings: Any) -> Lookup:
    index = PyPI(IndexSettings(kind="pypi", url=server.url, **settings))
    (found,) = index.look_up([known or Lookup(index="pypi", package="shop-api")], http, now)
    return found


def row(filename: str = "shop_api-1.0-py3-none-any.whl", **fields: Any) -> dict[str, Any]:
    return {
        "filename": filename,
        "url": f"https://files.index.example/{filename}",
        "hashes": {"sha256": HASH},
        **fields,
    }


def page(*rows: Any, **fields: Any) -> bytes:
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "shop-api", "files": rows, **fields}).encode()


def read(body: bytes, content_type: str = JSON) -> tuple[Release, ...]:
    return parse(body, "shop-api", URL, content_type).releases


def lie(body: bytes, content_type: str = JSON) -> str:
    with pytest.raises(IndexLied) as raised:
        read(body, content_type)
    return str(raised.value).removeprefix(f"{URL}: ")


def versions(*rows: Any) -> list[str]:
    return [release.version for release in read(page(*rows))]


def test_without_an_address_it_is_pypi_itself() -> None:
    assert PyPI(IndexSettings(kind="pypi")).url == PYPI_SIMPLE_ENDPOINT.rstrip("/")


def test_an_unchanged_package_costs_one_request_without_a_body(server: SimpleIndex, http: Http, now: datetime) -> None:
    known = look(server, http, now)

    again = look(server, http, now, known)

    asked = server.asked[-1].headers
    assert asked["if-none-match"] == known.etag
    assert "if-modified-since" not in asked, "an ETag goes before it"
    assert asked["accept"].startswith(JSON)
    assert again == known


def test_a_304_that_nobody_asked_for_is_no_answer(server: SimpleIndex, http: Http, now: datetime) -> None:
    server.spoil("shop-api", Fault(status=304))

    found = look(server, http, now)

    assert (found.outcome, found.reason) == (
        Outcome.UNKNOWN,
        f"{server.url}/shop-api/: status: expected 200 or 404, or 304 to a condition, got 304",
    )


def test_a_validator_that_cannot_be_sent_back_is_not_kept(server: SimpleIndex, http: Http, now: datetime) -> None:
    server.spoil("shop-api", Fault(headers={"content-type": JSON, "etag": "\x80" * 9}, body=page()))

    assert look(server, http, now).etag == ""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (HTML, "body: expected files of shop-api, got a page without any"),
        (WRONG_JSON, "files: expected a list, got int"),
    ],
)
def test_a_lie_is_unknown_and_says_what_is_wrong(
    server: SimpleIndex, http: Http, now: datetime, fault: Fault, said: str
) -> None:
    known = look(server, http, now)
    server.spoil("shop-api", fault)

    found = look(server, http, now + timedelta(hours=1), known)

    assert (found.outcome, found.releases, found.answered_at) == (Outcome.UNKNOWN, known.releases, now)
    assert said in found.reason


def test_the_password_is_sent_and_stays_out_of_sight(
    server: SimpleIndex, http: Http, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.authorization = basic("ops", "s3cret")["authorization"]
    monkeypatch.setenv("INDEX_PASSWORD", "s3cret")

    found = look(server, http, now, username="ops", password=Secret(env="INDEX_PASSWORD"))

    assert found.outcome is Outcome.ANSWER
    assert "s3cret" not in repr(found)
    assert "s3cret" not in repr(Request(URL, basic("ops", "s3cret")))


def test_a_door_that_is_closed_is_a_persons_business(server: SimpleIndex, http: Http, now: datetime) -> None:
    server.authorization = "Basic other"

    found = look(server, http, now)

    assert (found.outcome, found.reason) == (
        Outcome.UNKNOWN,
        f"{server.url}/shop-api/ does not let us in: it says 401",
    )


def test_a_password_that_is_not_there_is_said_without_asking(server: SimpleIndex, http: Http, now: datetime) -> None:
    found = look(server, http, now, username="ops", password=Secret(env="NO_SUCH_VARIABLE"))

    assert found.reason == f"{server.url} does not let us in: the environment variable NO_SUCH_VARIABLE is not set"
    assert server.asked == []


def test_a_page_is_read_field_by_field() -> None:
    fields: dict[str, Any] = {
        "size": 911,
        "requires-python": ">=3.9",
        "upload-time": "2026-11-02T09:00:00.5Z",
        "yanked": "bad\x1b[31m",
    }

    (release,) = read(page(row(**fields)))

    assert release == Release(
        package="shop-api",
        version="1.0",
        files=(
            File(
                filename="shop_api-1.0-py3-none-any.whl",
                url="https://files.index.example/shop_api-1.0-py3-none-any.whl",
                hashes={"sha256": HASH},
                size=911,
                requires_python=">=3.9",
                uploaded_at=datetime(2026, 11, 2, 9, 0, 0, 500_000, UTC),
                yanked="bad\ufffd[31m",
            ),
        ),
    )


def test_unknown_keys_and_later_minor_versions_are_nothing_to_worry_about() -> None:
    news: dict[str, Any] = {"new-thing": [1], "project-mood": 5}

    assert read(page(row(**news), meta={"api-version": "1.99", **news}, **news)) != ()


def test_a_relative_address_is_seen_from_where_the_page_came_from() -> None:
    (release,) = read(page(row(url="../../files/a.whl#sha256=x")))

    assert release.files[0].url == "https://index.example/files/a.whl"


def test_releases_are_ordered_by_version_and_wheels_and_sdists_belong_together() -> None:
    names = ["shop_api-1.10.tar.gz", "shop_api-1.9.tar.gz", "shop-api-1.9.0.zip", "shop_api-1.9-py3-none-any.whl"]

    found = read(page(*map(row, names)))

    assert [(release.version, len(release.files)) for release in found] == [("1.9", 3), ("1.10", 1)]


@pytest.mark.parametrize(
    "filename",
    [
        "other-1.0-py3-none-any.whl",
        "shop_api_evil-1.0-py3-none-any.whl",
        "shop_api-1.0.egg",
        "shop_api-1.0.win32.exe",
        "shop_api-not.a.version.tar.gz",
        "../shop_api-1.0.tar.gz",
        "/shop_api-1.0.tar.gz",
        "shop_api-1.0$(id)-py3-none-any.whl",
        "shop_api-1.0-py3-none-<b>.whl",
        "shop_api-1.0\n.tar.gz",
        "shop_api-1.0-py3-none-any.whl ",
        f"shop_api-{'1' * 600}.tar.gz",
        "",
        None,
        5,
        ["shop_api-1.0.tar.gz"],
    ],
)
def test_a_file_that_is_not_a_distribution_of_this_project_is_ignored(filename: Any) -> None:
    assert versions(row(), {**row(), "filename": filename}) == ["1.0"]


def test_a_version_without_files_is_no_release() -> None:
    assert read(page(row(), versions=["1.0", "2.0"]))[-1].version == "1.0"


def test_a_file_that_is_listed_twice_counts_once_and_the_first_one_counts() -> None:
    (release,) = read(page(row(yanked=True), row(yanked=False)))

    assert [file.yanked for file in release.files] == [""]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "ftp://x/"}, "files[1].url: expected an http:// or https:// address, got 'ftp://x/'"),
        ({"url": "file:///etc/passwd"}, "files[1].url: expected an http:// or https:// address"),
        ({"url": "https://x/\x1b]0;"}, "files[1].url: expected an http:// or https:// address"),
        ({"url": "https://x/ y"}, "files[1].url: expected an http:// or https:// address"),
        ({"url": None}, "files[1].url: expected an http:// or https:// address, got nothing"),
        ({"hashes": [HASH]}, "files[1].hashes: expected hexadecimal texts by algorithm, got list"),
        ({"hashes": {"sha256": 5}}, "files[1].hashes: expected hexadecimal texts by algorithm, got dict"),
        ({"hashes": {"sha256": "xyz"}}, "files[1].hashes: expected hexadecimal texts by algorithm, got dict"),
        ({"requires-python": 3}, "files[1].requires-python: expected a version specifier, got int"),
        ({"requires-python": ">=3\n"}, r"files[1].requires-python: expected a version specifier, got '>=3\n'"),
        ({"upload-time": "yesterday"}, "files[1].upload-time: expected a time such as 2026-11-02T09:00:00Z"),
        ({"upload-time": "0001-01-01T00:00:00+23:59"}, "files[1].upload-time: expected a time such as"),
        ({"upload-time": 5}, "files[1].upload-time: expected a time such as"),
        ({"yanked": 1}, "files[1].yanked: expected true, false or a reason, got int"),
    ],
)
def test_a_file_of_the_project_that_is_not_as_it_should_be_is_a_lie_with_its_place(
    fields: dict[str, Any], said: str
) -> None:
    assert lie(page(row("shop_api-0.9.tar.gz"), row(**fields))).startswith(said)


@pytest.mark.parametrize("size", [-1, True, "911", 1.5, 1 << 60, [1]])
def test_a_size_that_is_none_is_unknown_and_costs_nothing_else(size: Any) -> None:
    assert [file.size for file in read(page(row(size=size)))[0].files] == [None]


@pytest.mark.parametrize(
    ("hashes", "kept"),
    [
        ({"sha256": HASH.upper()}, {"sha256": HASH}),
        ({"sha256": HASH, "crc32c": "AAAAAA==", "gxh; rm": 5}, {"sha256": HASH}),
        ({"md5": "0" * 32}, {"md5": "0" * 32}),
        (None, {}),
    ],
)
def test_of_the_hashes_of_a_file_those_count_that_we_know_how_to_make(hashes: Any, kept: dict[str, str]) -> None:
    assert [file.hashes for file in read(page(row(hashes=hashes)))[0].files] == [kept]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body: expected JSON, got EOF"),
        (b"<!DOCTYPE html>", "body: expected JSON"),
        (b"[]", "body: expected an object, got list"),
        (b"{}", "meta: expected an object, got nothing"),
        (b'{"meta": {}}', "meta.api-version: expected a text, got nothing"),
        (page(meta={"api-version": "2.0"}), "meta.api-version: expected 1.x, got '2.0'"),
        (page(meta={"api-version": "1.0\x1b"}), r"meta.api-version: expected 1.x, got '1.0\x1b'"),
        (page(name="other"), "name: expected shop-api, got 'other'"),
        (page(name=["shop-api"]), "name: expected shop-api, got list"),
        (page("text"), "files[0]: expected an object, got 'text'"),
        (page(files={}), "files: expected a list, got dict"),
        (b'{"meta": ' + b"[" * 1_000_000, "body: expected JSON, got recursion limit exceeded"),
        (b'{"meta": NaN}', "body: expected JSON"),
        (b'{"name": "\\ud800"}', "body: expected JSON"),
        (b'{"name": ' + b"9" * 100_000, "body: expected JSON, got number out of range"),
        (b"[" + b"0," * 1_300_000 + b"0]", "body: expected at most 1,200,000 values, got more"),
    ],
)
def test_a_page_that_is_not_one_is_a_lie_with_its_place(body: bytes, said: str) -> None:
    assert lie(body).startswith(said)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x\x1b[0m"])
def test_only_the_forms_of_the_simple_api_are_read(kind: str) -> None:
    assert lie(page(row()), kind).startswith("content-type: expected JSON or HTML of the Simple API (PEP 691), got ")


@pytest.mark.parametrize("kind", ["text/html", "application/vnd.pypi.simple.v1+html"])
def test_json_that_a_proxy_calls_html_is_json(kind: str) -> None:
    assert [release.version for release in read(page(row()), kind)] == ["1.0"]


def html(*anchors: str, head: str = "") -> tuple[Release, ...]:
    text = f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(anchors)}</body></html>"
    return read(text.encode(), "text/html")


def test_a_page_of_html_is_read_like_one_of_json() -> None:
    wheel, sdist = "shop_api-1.0-py3-none-any.whl", "shop_api-1.0.tar.gz"

    (release,) = html(
        f'<!-- <a href="shop_api-9.9.tar.gz">no</a> --><A HREF="../../files/{wheel}#sha256={HASH.upper()}"'
        f' data-requires-python="&gt;=3.9" data-yanked="bad &amp; sad">{wheel}</A><br/>',
        f"<a rel=internal href='https://files.index.example/{sdist}' data-requires-python='>=3.9'>{sdist}</a>",
    )

    first, second = release.files
    assert (first.filename, first.url) == (wheel, f"https://index.example/files/{wheel}")
    assert (first.hashes, first.requires_python, first.yanked) == ({"sha256": HASH}, ">=3.9", "bad & sad")
    assert (second.filename, second.hashes, second.requires_python, second.yanked) == (sdist, {}, ">=3.9", None)
    assert first.uploaded_at is None


def test_a_yank_without_a_reason_is_one() -> None:
    assert html('<a href="shop_api-1.0.tar.gz" data-yanked>x</a>')[0].yanked == "no reason given"


def test_addresses_of_html_are_relative_to_its_base_if_it_has_one() -> None:
    (release,) = html('<a href="shop_api-1.0.tar.gz">x</a>', head='<base href="https://files.index.example/a/">')

    assert release.files[0].url == "https://files.index.example/a/shop_api-1.0.tar.gz"


@pytest.mark.parametrize("kind", [JSON, "text/html"])
def test_what_an_index_says_of_a_project_as_a_whole_is_read(kind: str) -> None:
    head = (
        '<meta name="pypi:repository-version" content="1.9"><meta name="pypi:project-status" content="quarantined">'
        '<meta name="pypi:project-status-reason" content="stolen key">'
    )
    as_html = f"<html>{head}<a href='shop_api-1.0.tar.gz'>x</a></html>".encode()
    status = {"status": "quarantined", "reason": "stolen key"}
    as_json = page(row(), meta={"api-version": "1.9"}, **{"project-status": status})

    found = parse(as_json if kind == JSON else as_html, "shop-api", URL, kind)

    assert (found.status, found.status_said) == ("quarantined", "stolen key")
    assert found.remark == "it speaks version 1.9 of the Simple API, and we know 1.4"


def test_an_active_project_needs_no_word() -> None:
    assert parse(page(**{"project-status": {"status": "active"}}), "shop-api", URL, JSON).status == ""


def test_a_page_in_another_charset_is_read_in_it() -> None:
    anchor = "<a href='shop_api-1.0.tar.gz' data-yanked='trop tôt'>x</a>"

    (release,) = read(f"<html>{anchor}</html>".encode("latin-1"), "text/html; charset=ISO-8859-1")

    assert release.yanked == "trop tôt"
    assert lie(f"<html>{anchor}</html>".encode("latin-1"), "text/html").startswith("body: expected utf-8, got somethi")
    assert lie(b"<html>", "text/html; charset=punycode").startswith(
        "content-type: expected one of the charsets utf-8, "
    )


def test_who_does_not_give_what_we_ask_for_in_words_is_asked_for_anything(
    server: SimpleIndex, http: Http, now: datetime
) -> None:
    server.spoil("shop-api", Fault(status=406))

    found = look(server, http, now)

    assert (found.outcome, len(found.releases)) == (Outcome.ANSWER, 1)
    assert [asked.headers["accept"] for asked in server.asked][-1] == "*/*"


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("<a href='=\"> -!#bse/metac\n&;"), max_size=300))
def test_whatever_html_comes_only_our_own_error_comes_out(text: str) -> None:
    with contextlib.suppress(IndexLied):
        parse(f"<html><a href='shop_api-1.0.tar.gz'>{text}".encode(), "shop-api", URL, "text/html")


@pytest.mark.parametrize(
    "piece", ["<a ", "<!--", "<a href='", '<a b="', "<a x=y ", "<a/", "&#", "<a href='a.whl#'>", "<base href=//["]
)
def test_a_hostile_page_of_html_is_read_in_one_pass(piece: str) -> None:
    body = ("<html>" + piece * (4_000_000 // len(piece))).encode()
    with contextlib.suppress(IndexLied):
        parse(body, "shop-api", URL, "text/html")


def test_the_content_type_may_have_parameters() -> None:
    assert read(page(row()), "Application/vnd.pypi.simple.v1+JSON; charset=utf-8")


# getrusage would tell of the process that started this one, too.
_HUNGRY = """
import sys
from pathlib import Path
from watcher.errors import IndexLied
from watcher.indexes.simple import parse
try:
    parse(Path(sys.argv[1]).read_bytes(), "x", "https://index.example/", "application/json")
except IndexLied:
    print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024)
"""


_LOOKS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from watcher.http import Http
from watcher.indexes.pypi import PyPI
from watcher.lookup import Lookup
from watcher.settings import IndexSettings
with Http() as http:
    index = PyPI(IndexSettings(kind="pypi", url=sys.argv[1]))
    (found,) = index.look_up([Lookup(index="x", package="shop-api")], http, datetime.now(UTC))
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024, found.outcome, found.reason)
"""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(headers={"content-type": JSON}, body=b" " * 50_000_000), "larger than 40 MB"),
        (Fault(headers={"content-type": "text/html"}, body=b"<a href='x'>" * 3_300_000), "at most 200,000 files"),
        (bomb(500), "larger than 40 MB"),
        (Fault(headers={"content-type": JSON}, body=b"[" * 1_000_000), "recursion limit"),
        (Fault(headers={"content-type": JSON}, body=b'{"a":' * 1_000_000), "recursion limit"),
    ],
    ids=["50 MB", "40 MB of HTML", "bomb", "lists", "objects"],
)
def test_no_answer_takes_more_than_256_megabytes(server: SimpleIndex, fault: Fault, said: str) -> None:
    server.spoil("shop-api", fault, forever=True)
    argv = [sys.executable, "-c", _LOOKS, server.url]

    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)

    megabytes, outcome, reason = done.stdout.split(" ", 2)
    assert (int(megabytes) < 256, outcome) == (True, "unknown"), done.stdout
    assert said in reason


def test_a_page_of_nothing_but_values_stays_under_256_megabytes(tmp_path: Path) -> None:
    values = ",".join(f'"{number}":1' for number in range(1_150_000))
    hostile = tmp_path / "page.json"
    hostile.write_text(f'{{"meta": {{"api-version": "1.0"}}, "files": {{{values}}}}}')
    argv = [sys.executable, "-c", _HUNGRY, str(hostile)]

    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)

    assert int(done.stdout) < 256


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_names = st.sampled_from(["shop_api-1.0.tar.gz", "shop_api-2-py3-none-any.whl"]) | st.text(max_size=30)
_keys = ("url", "hashes", "size", "requires-python", "upload-time", "yanked", "core-metadata")
_rows = st.builds(
    lambda filename, fields: row(filename) | fields, _names, st.dictionaries(st.sampled_from(_keys), _json, max_size=3)
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(_rows | _json, max_size=4), st.dictionaries(st.sampled_from(["meta", "name", "files"]), _json, max_size=1)
)
def test_whatever_a_page_holds_only_our_own_error_comes_out(rows: list[Any], fields: dict[str, Any]) -> None:
    with contextlib.suppress(IndexLied):
        for release in read(page(*rows, **fields)):
            assert release.package == "shop-api"
            assert all(file.filename.isprintable() and file.url.startswith("http") for file in release.files)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text().map(str.encode), st.text(max_size=40))
def test_whatever_bytes_come_only_our_own_error_comes_out(body: bytes, content_type: str) -> None:
    for kind in (JSON, content_type):
        with pytest.raises(IndexLied):
            read(body, kind)


_GOOD = page(row(), row("shop_api-2.0.tar.gz", yanked="broken", **{"requires-python": ">=3.9", "size": 5}))
_GOOD_HTML = (
    b'<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.4"><base href="/files/"></head>'
    b'<!-- <a href="no-1.0.tar.gz"> --><a href="shop_api-1.0.tar.gz#sha256=00ff00ff" data-yanked '
    b'data-requires-python="&gt;=3"></a></html>'
)


@settings(max_examples=300, deadline=None)
@given(mutated(_GOOD), mutated(_GOOD_HTML))
def test_a_good_page_with_damage_in_it_is_read_or_refused(body: bytes, html: bytes) -> None:
    assert read(_GOOD)
    assert read(_GOOD_HTML, "text/html")
    for text, kind in ((body, JSON), (html, "text/html; charset=utf-8"), (html, "text/html; charset=iso-8859-1")):
        with contextlib.suppress(IndexLied):
            for release in read(text, kind):
                assert all(file.filename.isprintable() and file.url.startswith("http") for file in release.files)


def locked() -> set[str]:
    """Every package that toplayer itself, its benches and its demo lock, whoever asks for it."""
    root = Path(__file__).parents[3]
    texts = [(root / lock).read_text() for lock in ("constraints.txt", "bench/packages.txt")]
    argv = [find_uv_bin(), "pip", "compile", "--quiet", "--no-config", "-"]
    wanted = "\n".join(demo.WANTED)
    texts.append(subprocess.run(argv, input=wanted, capture_output=True, text=True, check=True, timeout=120).stdout)
    return {canonicalize_name(name) for text in texts for name in re.findall(r"(?m)^([A-Za-z0-9_.-]+)==", text)}


@pytest.mark.journey
def test_real_pypi_is_understood(now: datetime) -> None:
    """Each of them is asked for once a day at most; what has not changed since then is read all the same."""
    polite = Limits(at_once=3, all_begun=600.0)
    with Http("toplayer's tests", limits=polite) as http:
        try:
            http.one(Request(f"{PYPI_SIMPLE_ENDPOINT}idna/", {"accept": JSON}))
        except IndexUnreachable as error:
            lack(f"needs PyPI: {error}")
        (idna,) = PyPI(IndexSettings(kind="pypi")).look_up([Lookup(index="pypi", package="idna")], http, now)
        (again,) = PyPI(IndexSettings(kind="pypi")).look_up([idna], http, now)
    packages = sorted(locked() | {"idna", "requests", "six", "numpy", "yt-dlp", "boto3"})
    known = [Lookup(index="pypi", package=package) for package in packages]
    with KeptPages("toplayer's tests", limits=polite) as http:
        found = {lookup.package: lookup for lookup in PyPI(IndexSettings(kind="pypi")).look_up(known, http, now)}

    assert again == idna
    assert {"jinja2", "markupsafe", "celery", "vine", "hypothesis"} <= found.keys(), "those that others ask for, too"
    assert {lookup.reason for lookup in found.values()} == {""}
    assert {lookup.outcome for lookup in found.values()} == {Outcome.ANSWER}
    assert {lookup.remark for lookup in found.values()} == {""}
    assert all(lookup.releases for lookup in found.values())
    assert all(file.size and file.uploaded_at for file in found["requests"].releases[-1].files)
    assert [release.version for release in found["six"].releases][:2] == ["0.9.0", "0.9.1"]
