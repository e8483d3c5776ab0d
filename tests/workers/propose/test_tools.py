"""What holds for every lock tool."""

import subprocess
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import pytest

from tests.rig.process import need_root
from tests.rig.simple_index import ERROR, SimpleIndex
from tests.workers.propose.world import (
    PROJECT,
    after,
    by_a_person,
    changed_lines,
    checkout,
    compiled,
    locked,
    move,
    move_to,
    release,
    write,
)
from watcher.errors import IndexRefused, IndexUnreachable, LockfileUnreadable
from watcher.release import Release
from watcher.secret import Secret
from watcher.settings import AppSettings, IndexSettings
from workers.propose.bench import ToolAway
from workers.propose.errors import LockRefused, NotYetThere
from workers.propose.move import Move
from workers.propose.uv import Uv
from workers.propose.workshop import Workshop


def of_every_kind(directory: Path, index: SimpleIndex, *wanted: str) -> list[tuple[dict[str, str], str]]:
    lines = "".join(f"{one}\n" for one in wanted)
    made = compiled(directory / "compiled", index, lines)
    pins = "".join(f"{line}\n" for line in made["requirements.txt"].splitlines() if "==" in line and "#" not in line)
    by_hand = {"requirements.txt": pins}
    return [
        (locked(directory / "uv", index, *wanted), "uv.lock"),
        (made, "requirements.txt"),
        (by_hand, "requirements.txt"),
    ]


def test_a_young_release_that_is_not_yet_there_is_tried_again(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    for files, path in of_every_kind(tmp_path, index, "side"):
        file = release(index, "side", "1.0").files[0]
        known = Move(
            package="side",
            version="1.1",
            release=type(release(index, "side", "1.1"))(package="side", version="1.1", files=(file,)),
        )
        uploaded = file.uploaded_at
        assert uploaded

        with pytest.raises(NotYetThere, match=r"side 1.1 is not yet all there"):
            move(files, path, known, uv, uploaded + timedelta(minutes=59))
        with pytest.raises(LockRefused):
            move(files, path, known, uv, uploaded + timedelta(minutes=61))


def test_nothing_goes_back_to_make_room(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    index.publish("user", "1.0")
    index.publish("user", "2.0", requires=["core<2"])
    index.publish("core", "1.1")
    cases = of_every_kind(tmp_path, index, "user", "core")
    index.publish("core", "2.0")

    for files, path in cases:
        with pytest.raises(LockRefused, match=r"user would have to go back from 2.0 to 1.0|depends on core<2"):
            move(files, path, move_to(index, "core", "2.0"), uv)


def test_a_package_that_would_vanish_is_not_moved(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    index.publish("user", "1.0")
    index.publish("user", "2.0", requires=["core<2"])

    for files, path in of_every_kind(tmp_path, index, "user"):
        with pytest.raises(LockRefused, match=r"only found without it|no version of core"):
            move(files, path, move_to(index, "core", "1.5"), uv)


def test_an_index_that_does_not_answer_is_asked_again_later(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    cases = of_every_kind(tmp_path, index, "side")
    index.publish("side", "1.1")
    wish = move_to(index, "side", "1.1")
    index.spoil("side", ERROR, forever=True)

    for files, path in cases:
        with pytest.raises(IndexUnreachable, match="500"):
            move(files, path, wish, uv)


def test_an_index_that_wants_a_password_gets_it_and_nothing_else_does(
    index: SimpleIndex, uv: Uv, tmp_path: Path
) -> None:
    secret = 'a "b\\c d'
    cases = of_every_kind(tmp_path, index, "side")
    index.publish("side", "1.1")
    wish = move_to(index, "side", "1.1")
    index.authorization = "Basic " + b64encode(f"bot:{secret}".encode()).decode()
    (tmp_path / "secret").write_text(secret)
    settings = IndexSettings(kind="pypi", url=index.url, username="bot", password=Secret(file=str(tmp_path / "secret")))

    for files, path in cases:
        with pytest.raises(IndexRefused):
            move(files, path, wish, uv)
        made = after(files, path, wish, Uv(uv.state, settings, uv.target))
        assert secret not in made


def test_all_indexes_of_the_app_are_asked_with_their_own_passwords(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    with SimpleIndex() as private:
        private.publish("inner", "1.0", requires=["side"])
        person = {"UV_INDEX": private.url}
        write(tmp_path, {"pyproject.toml": PROJECT.format('"inner", "core"')})
        by_a_person(tmp_path, index, "lock", **person)
        lines = f"--extra-index-url {private.url}\ninner==1.0\nside==1.0\n"
        cases = [(checkout(tmp_path), "uv.lock"), ({"requirements.txt": lines}, "requirements.txt")]
        private.publish("inner", "1.1", requires=["side"])
        private.authorization = "Basic " + b64encode(b"bot:s3cret").decode()
        mine = IndexSettings(
            kind="pypi", url=private.url, username="bot", password=Secret(file=str(tmp_path / "secret"))
        )
        wish = Move(package="inner", version="1.1", release=Release(package="inner", version="1.1"))
        app = AppSettings.model_validate(
            {
                "repository": str(tmp_path),
                "lock": "uv.lock",
                "image": {"repository": "oci:/srv/images", "python": "3.12"},
                "fleet": "field",
            }
        )
        shop = Workshop.of(app, [mine, uv.index], uv.state)
        for files, path in cases:
            made = after(files, path, wish, shop.uv)

            assert "s3cret" not in made
            assert [line for line in changed_lines(files[path], made) if "1.1" in line and line[0] == "+"]
        assert shop.uv.further({"uv.toml": f'index = [{{ url = "{private.url}" }}]'}) == []
        assert shop.uv.further({}) == [private.url]


@pytest.mark.parametrize("package", ["side; touch pwned", "--config-file=x", "../x", "$(id)", "Side", "unknown"])
def test_only_a_package_of_the_lock_is_ever_named_to_a_tool(index: SimpleIndex, uv: Uv, package: str) -> None:
    wish = Move(package=package, version="1.1", release=release(index, "side", "1.1"))

    with pytest.raises(LockRefused, match="the lock has no such package"):
        move({"requirements.txt": "side==1.0\n"}, "requirements.txt", wish, uv)


@pytest.mark.parametrize("version", ["1.1 --hash=x", "1.1\nevil==1", "$(id)", "v1.1", "", "1.1.*"])
def test_only_a_version_in_its_one_spelling_is_ever_named_to_a_tool(index: SimpleIndex, uv: Uv, version: str) -> None:
    wish = Move(package="side", version=version, release=release(index, "side", "1.1"))

    with pytest.raises(LockRefused, match="expected"):
        move({"requirements.txt": "side==1.0\n"}, "requirements.txt", wish, uv)


def test_a_lock_that_is_none_is_told_with_its_place(index: SimpleIndex, uv: Uv) -> None:
    wish = move_to(index, "side", "1.0")

    with pytest.raises(LockfileUnreadable, match=r"uv.lock"):
        move({"uv.lock": "version = 1\n= ="}, "uv.lock", wish, uv)
    with pytest.raises(LockfileUnreadable, match="there is no such file"):
        move({}, "requirements.txt", wish, uv)
    with pytest.raises(LockRefused, match=r"pyproject.toml"):
        move({"uv.lock": locked_text(index), "pyproject.toml": "= ="}, "uv.lock", wish, uv)


def locked_text(index: SimpleIndex) -> str:
    return f'version = 1\n[[package]]\nname = "side"\nversion = "0.9"\nsource = {{ registry = "{index.url}" }}\n'


def test_no_copy_is_left_behind(index: SimpleIndex, uv: Uv) -> None:
    index.publish("side", "1.1")

    after({"requirements.txt": "side==1.0\n"}, "requirements.txt", move_to(index, "side", "1.1"), uv)

    assert [path.name for path in (uv.state / "scratch").iterdir()] == ["lock"]


def test_a_stale_lock_is_not_brought_up_to_date_by_the_way(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    for files, path in (
        (compiled(tmp_path / "a", index, "side\n"), "requirements.txt"),
        (locked(tmp_path / "b", index, "side"), "uv.lock"),
    ):
        wanted = "requirements.in" if "requirements.in" in files else "pyproject.toml"
        files[wanted] = files[wanted].replace('"side"', '"side", "api"').replace("side\n", "side\napi\n")
        index.publish("side", "1.1")

        with pytest.raises(LockRefused, match="changes api, core in it even without being asked"):
            move(files, path, move_to(index, "side", "1.1"), uv)


def test_a_full_disk_is_told_with_its_place_and_is_no_refusal_of_the_lock(
    index: SimpleIndex, uv: Uv, tmp_path: Path
) -> None:
    need_root()
    files = compiled(tmp_path / "desk", index, f"side\n# {'x' * 100_000}\n")
    index.publish("side", "1.1")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], check=True)
    full = Uv(disk / "state", uv.index, uv.target)
    try:
        with pytest.raises(ToolAway, match=f"{full.state} cannot be written: No space left") as caught:
            move(files, "requirements.txt", move_to(index, "side", "1.1"), full)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert "room" in caught.value.hint
