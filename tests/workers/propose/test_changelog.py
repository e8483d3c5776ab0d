"""Changelogs as people write them: the sections between two versions, and nothing of the rest."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.versions.composer import Composer
from watcher.versions.pep440 import Pep440
from workers.propose.changelog import About, between, in_archive, in_composer, in_metadata, of_releases, releases_at

SCHEME = Pep440()

KEEP = """\
# Changelog

All notable changes. The format is based on Keep a Changelog 1.1.0.

## [Unreleased]

### Added
- not yet

## [1.3.0] - 2026-11-02

- third

## [1.2.0] - 2026-10-02
### Fixed
- second, since 1.1.0 it was broken

## [1.1.0] - 2026-09-02
- first
"""
UNDERLINED = """\
Changes
=======

1.3.0 (2026-11-02)
------------------

* third

1.2.0 (2026-10-02)
------------------

* second, see 1.1.0

1.1.0
-----

* first
"""
NAMED = """\
Version 1.3.0
-------------
Released 2026-11-02
third

Version 1.2.0
-------------
second

Version 1.1.0
-------------
first
"""
PLAIN = """\
1.3.0
  - third
    1.2.0 is no heading here

v1.2.0
  - second

1.1.0
  - first
"""
PACKAGE = """\
side-thing 1.3.0 (2026-11-02)
+++++++++++++++++++++++++++++
third

side-thing 1.2.0 - 2026-10-02
second

side-thing 1.1.0 - 2026-09-02
first
"""


@pytest.mark.parametrize("text", [KEEP, UNDERLINED, NAMED, PLAIN, PACKAGE, KEEP.replace("\n", "\r\n")])
def test_what_lies_between_two_versions_is_found(text: str) -> None:
    found = between(text, "1.1.0", "1.3.0", SCHEME)
    assert "third" in found
    assert "second" in found
    assert "first" not in found
    assert "not yet" not in found
    assert found.index("third") < found.index("second")
    one = between(text, "1.1.0", "1.2.0", SCHEME)
    assert "third" not in one
    assert "second" in one


@pytest.mark.parametrize(
    "text", ["", "nothing\nhere", "# Changes\n\nWe do not keep any.", "1\n2\n3\n" * 5, "\0\1\2", "#" * 500]
)
def test_what_is_no_changelog_says_nothing(text: str) -> None:
    assert between(text, "1.0", "2.0", SCHEME) == ""


def test_versions_are_compared_as_the_ecosystem_has_them() -> None:
    text = "## v10.0.0\nten\n\n## v9.1.0\nnine\n\n## v9.0.0-beta2\nbeta\n"
    assert between(text, "9.0.0-beta2", "10.0.0", Composer()) == "## v10.0.0\nten\n\n## v9.1.0\nnine"


def test_a_hostile_text_costs_little() -> None:
    assert between("1" * 1_000_000 + "\n" + "- 1.1 " * 100_000, "1.0", "2.0", SCHEME) == ""


def tar(files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def packed(files: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("made", [tar, packed])
def test_the_changelog_nearest_to_the_root_of_an_archive_counts(made: Callable[..., bytes]) -> None:
    files = {"a-1.0/docs/changes.rst": "docs", "a-1.0/CHANGELOG.md": "root", "a-1.0/src/vendor/HISTORY.txt": "no"}
    assert in_archive(made(files)) == ("CHANGELOG.md", "root")
    assert in_archive(made({"a-1.0/docs/changes.rst": "docs"})) == ("docs/changes.rst", "docs")
    assert in_archive(made({"a-1.0/src/vendor/CHANGES": "no", "a-1.0/changes.py": "no"})) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        gzip.compress(b"no tar"),
        tar({"a": "b"})[:40],
        b"PK",
        packed({"a": "b"})[:40],
        b"PK\5\6" + bytes(18),
    ],
)
def test_what_is_no_archive_has_no_changelog(data: bytes) -> None:
    assert in_archive(data) is None


def test_a_bomb_is_not_unpacked() -> None:
    assert in_archive(gzip.compress(bytes(200_000_000), 1)) is None
    assert in_archive(packed({"a/CHANGES": bytes(50_000_000)})) is None
    liar = bytearray(packed({"a/CHANGES": bytes(20_000_000)}))
    for mark, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        at = liar.index(mark) + offset
        liar[at : at + 4] = (1000).to_bytes(4, "little")
    found = in_archive(bytes(liar))
    assert found is None or len(found[1]) <= 2_000_000


def test_only_what_every_tool_unpacks_is_unpacked() -> None:
    assert in_archive(packed({"a/CHANGES": "text"}, zipfile.ZIP_LZMA)) is None


METADATA = """\
Metadata-Version: 2.4
Name: side
Version: 1.1
Home-page: https://side.example
Project-URL: Bug Tracker, https://github.com/team/side/issues
Project-URL: Source Code, https://github.com/team/side
Project-URL: Release notes, https://side.example/news
Requires-Dist: Core>=2
Requires-Dist: extra; extra == "all"

The description, with a
Project-URL: Changelog, https://evil.example
"""


def test_what_metadata_says_of_links_and_needs() -> None:
    found = in_metadata(METADATA)
    assert found.needs == (("core", "Core>=2"), ("extra", "extra"))
    assert found.links[:2] == ("https://side.example/news", "https://github.com/team/side")
    assert "https://evil.example" not in found.links


@pytest.mark.parametrize(
    "row", ["x; " + "(" * 400, "x; " + "(" * 50_000, "x" * 10_000_000, "x[" * 90_000, "\u0000", "("]
)
def test_a_hostile_requirement_costs_only_itself(row: str) -> None:
    found = in_metadata(METADATA.replace("Requires-Dist: Core>=2\n", f"Requires-Dist: {row}\nRequires-Dist: Core>=2\n"))
    assert ("core", "Core>=2") in found.needs


# What parsers trip over, and what is in metadata besides.
_SHARDS = [
    "[",
    "]",
    "(",
    ")",
    "https://",
    "//",
    "::",
    ";",
    " and ",
    "==",
    "'",
    ",",
    "\n",
    "\r",
    "\x00",
    "\u2100",
    "=?utf-8?q?",
]
_SHARDS += [
    "Project-URL: ",
    "Requires-Dist: ",
    "Home-page: ",
    "Source, ",
    "x",
    "1.0",
    "`",
    "#",
    "## 1.2\n",
    "é",
]
HOSTILE = st.lists(st.sampled_from(_SHARDS) | st.text(max_size=3), max_size=60).map("".join) | st.text()


@given(HOSTILE)
def test_no_text_of_an_author_makes_anything_fail(text: str) -> None:
    about = in_metadata(text)
    releases_at([*about.links, text])
    rows = {"require": {text: text}, "support": {"source": text}, "source": {"url": text}, "homepage": text}
    releases_at(in_composer(rows).links)
    for scheme in (SCHEME, Composer()):
        between(text, "1.0", "1.2", scheme)
        between("## 1.1\n", text, "1.2", scheme)
        between("## 1.1\n", "1.0", text, scheme)
        said = json.dumps([{"tag_name": text, "body": text}, text, {"tag_name": "1.1", "body": "b"}]).encode()
        of_releases(said, "1.0", "1.2", scheme)
        of_releases(said, text, text, scheme)


@given(st.data())
def test_no_archive_makes_anything_fail(data: st.DataObject) -> None:
    plain = gzip.decompress(tar({"a-1.0/CHANGES": "1.1\n", "a-1.0/" + "x" * 120: "y"}))
    raw = bytearray(data.draw(st.sampled_from([plain, packed({"a-1.0/CHANGES": "1.1\n"})])))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    in_archive(bytes(raw) if raw.startswith(b"PK") else gzip.compress(bytes(raw), 1))


def test_what_a_row_of_a_composer_lock_says_of_links_and_needs() -> None:
    row = {
        "require": {"php": ">=8.1", "Acme/Core": "^2.0", "acme/odd": 5},
        "source": {"type": "git", "url": "https://github.com/acme/side.git"},
        "support": {"issues": "https://github.com/acme/side/issues", "source": "https://github.com/acme/side/tree/1.1"},
        "homepage": ["what"],
    }
    found = in_composer(row)
    assert found.needs == (("php", "php >=8.1"), ("acme/core", "Acme/Core ^2.0"))
    assert found.links == ("https://github.com/acme/side/tree/1.1", "https://github.com/acme/side.git")
    assert in_composer({"require": [], "source": "x", "support": None}) == About((), ())


@pytest.mark.parametrize(
    ("link", "api"),
    [
        ("https://github.com/team/side", "https://api.github.com/repos/team/side/releases?per_page=50"),
        ("https://github.com/team/side.git", "https://api.github.com/repos/team/side/releases?per_page=50"),
        (
            "https://www.github.com/team/side/blob/main/CHANGES.md",
            "https://api.github.com/repos/team/side/releases?per_page=50",
        ),
        ("https://gitlab.com/team/side", "https://gitlab.com/api/v4/projects/team%2Fside/releases?per_page=50"),
        ("https://codeberg.org/team/side", "https://codeberg.org/api/v1/repos/team/side/releases?limit=50"),
        ("http://github.com/team/side", None),
        ("https://github.com/team", None),
        ("https://github.com.evil.example/team/side", None),
        ("https://github.com@evil.example/team/side", None),
        ("https://github.com/team/..%2f..%2fuser", None),
        ("https://127.0.0.1/team/side", None),
        ("https://[github.com/team/side", None),
        ("https://[::1/team/side", None),
        ("https://github.com\u2100/team/side", None),
    ],
)
def test_only_forges_that_everybody_knows_are_asked_for_releases(link: str, api: str | None) -> None:
    found = releases_at([link])
    assert (found[0] if found else None) == api


def test_releases_of_a_forge_are_taken_by_their_tags() -> None:
    rows = [
        {"tag_name": "v1.1.0", "body": "first"},
        {"tag_name": "side-v1.3.0", "body": "third"},
        {"tag_name": "1.2.0", "description": "second"},
        {"tag_name": "nightly", "body": "no"},
        {"tag_name": None},
        "what",
    ]
    said = of_releases(json.dumps(rows).encode(), "1.1.0", "1.3.0", SCHEME)
    assert said == "1.3.0\n\nthird\n\n1.2.0\n\nsecond"


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b"[" * 100_000, b"[1, 2]", b"\xff", b'[{"tag_name": 5}]', b'[{"tag_name": "1.2", "body": 7}]'],
)
def test_an_answer_that_is_no_list_of_releases_says_nothing(answer: bytes) -> None:
    assert of_releases(answer, "1.0", "2.0", SCHEME) == ""
