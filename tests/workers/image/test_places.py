"""Where packages have their files: of a directory that is shared by design, what is in it."""

import pytest

from workers.image.entry import Entry
from workers.image.places import identity, places, refined

SITE = "opt/venv/lib/python3.12/site-packages"


def of(*paths: str) -> list[str]:
    return list(places([Entry(path, b"") for path in paths]))


def many(directory: str, count: int = 20) -> list[str]:
    return [f"{directory}/file_{n}.py" for n in range(count)]


def test_a_package_is_where_its_directory_is_its_papers_are_and_its_programs() -> None:
    django = [f"{SITE}/django/__init__.py", *many(f"{SITE}/django"), f"{SITE}/django/db/models.py"]

    found = of(*django, *many(f"{SITE}/django-5.2.dist-info"), "opt/venv/bin/django-admin")

    assert found == ["opt/venv/bin/django-admin", f"{SITE}/django", f"{SITE}/django-5.2.dist-info"]


@pytest.mark.parametrize(
    "files",
    [
        # A namespace of PEP 420, and one of those before it.
        many(f"{SITE}/google/cloud/storage"),
        [f"{SITE}/google/cloud/storage/__init__.py", *many(f"{SITE}/google/cloud/storage")],
    ],
)
def test_a_namespace_is_nobodys(files: list[str]) -> None:
    found = of(*files, *many(f"{SITE}/google_cloud_storage-3.4.dist-info", 9))

    assert f"{SITE}/google_cloud_storage-3.4.dist-info" in found
    assert all(path.startswith(f"{SITE}/google/cloud/storage") or "dist-info" in path for path in found)


def test_of_a_file_that_every_part_of_a_namespace_has_it_is_known_what_it_is() -> None:
    said = Entry(f"{SITE}/azure/__init__.py", b"__path__ = 1")
    inner = [Entry(path, b"") for path in (f"{SITE}/azure/core/__init__.py", *many(f"{SITE}/azure/core"))]

    assert places([said, *inner]) == {said.path: identity(said), f"{SITE}/azure/core": ""}


def test_files_beside_the_parts_of_a_namespace_are_told_one_by_one() -> None:
    commons = [f"{SITE}/google/cloud/operations_pb2.py", *many(f"{SITE}/google/rpc", 3)]

    assert of(*commons) == sorted(commons)


def test_the_code_has_others_in_the_middle_of_it() -> None:
    entries = [Entry(path, b"") for path in ("app/shop.py", *many("app/shop"), "app/vendor/own.php")]

    assert list(places(entries)) == ["app"]
    assert "app/vendor/own.php" in places(entries, looked_into=True)


def test_a_link_alone_in_a_directory_is_told_as_what_it_is() -> None:
    assert places([Entry("app/vendor/acme/near", link="../../near")]) == {
        "app/vendor/acme/near": identity(Entry("app/vendor/acme/near", link="../../near"))
    }


def test_a_crowd_is_told_of_as_its_directory() -> None:
    assert of(*many(f"{SITE}/data/a", 100)) == [f"{SITE}/data/a"]
    assert len(of(*many(SITE, 100))) == 100
    assert of(*many(SITE, 2000)) == [SITE]


def test_a_directory_of_which_more_has_to_be_known_is_told_file_by_file() -> None:
    entries = [Entry("a/x", b"1"), Entry("a/b/y", b"2"), Entry("ab/z", b"3"), Entry("a/b")]

    assert refined({"a": "", "ab": ""}, "a", entries) == {
        "a/x": identity(entries[0]),
        "a/b/y": identity(entries[1]),
        "ab": "",
    }


def test_nothing_is_nowhere() -> None:
    assert places([]) == {}
    assert places([Entry("opt")]) == {}
