"""Finding the format of a lockfile, and the other files that it needs."""

import pytest

from watcher import lockfiles
from watcher.errors import LockfileUnreadable
from watcher.lockfiles.requirements import Requirements
from watcher.lockfiles.uv_lock import UvLock

FILES = {
    "app/requirements.txt": b"# uv pip compile requirements.in -c limits.txt\nsix==1.17.0\n",
    "app/requirements.in": b"-r base.in\n-r gone.in\n-r requirements.in\n",
    "app/base.in": b"six>=1\n",
    "app/limits.txt": b"six<2\n",
}


@pytest.mark.parametrize(
    ("path", "kind"), [("uv.lock", UvLock), ("app/uv.lock", UvLock), ("requirements/prod.txt", Requirements)]
)
def test_the_name_of_a_lockfile_tells_its_format(path: str, kind: type) -> None:
    assert isinstance(lockfiles.format_of(path), kind)


@pytest.mark.parametrize("path", ["Cargo.lock", "uv.lock.bak", "txt", "a/b\x1b"])
def test_a_name_that_nobody_knows_is_refused(path: str) -> None:
    with pytest.raises(
        LockfileUnreadable, match=r"expected a lockfile with the name uv\.lock, composer\.lock, .* or \*\.txt"
    ):
        lockfiles.format_of(path)


def test_a_lockfile_is_read_with_all_that_it_was_made_from() -> None:
    (pin,) = lockfiles.read("app/requirements.txt", FILES.get)

    assert (pin.lock, pin.direct, pin.constraint) == ("app/requirements.txt", True, "<2,>=1")


def test_files_that_include_each_other_without_end_come_to_one() -> None:
    files = {"r.txt": b"# uv pip compile 0.in\nsix==1.0\n"}
    files |= {f"{number}.in": f"-r {number + 1}.in\n".encode() for number in range(200)}
    asked: list[str] = []

    lockfiles.read("r.txt", lambda path: asked.append(path) or files.get(path))  # type: ignore[func-returns-value]

    assert len(asked) < 60


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "requirements.txt: expected a lockfile, got nothing: there is no such file"),
        ("six==1.0".encode("utf-16"), "requirements.txt: expected UTF-8, got UTF-16"),
        (b"six==1.0\n\xff", "requirements.txt: expected UTF-8, got something else at byte 9"),
        (b"#" * 10_000_001, "requirements.txt: expected at most 10,000,000 bytes, got 10,000,001"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes | None, said: str) -> None:
    with pytest.raises(LockfileUnreadable) as raised:
        lockfiles.read("requirements.txt", lambda _: data)

    assert str(raised.value) == said
