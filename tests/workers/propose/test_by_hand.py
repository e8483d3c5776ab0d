"""Requirements pinned by hand: an edit of the text, proven by real uv."""

import pytest

from tests.rig.sdist import sdist
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import (
    after,
    move,
    move_to,
    release,
)
from workers.propose.errors import LockRefused
from workers.propose.move import Move
from workers.propose.uv import Uv


def test_a_pin_is_edited_and_its_hashes_are_those_of_all_files(index: SimpleIndex, uv: Uv) -> None:
    old, other = release(index, "side", "1.0").files[0].hashes["sha256"], "f" * 64
    text = f"# ours\ncore==1.0 \\\n    --hash=sha256:{other}\nside==1.0 \\\n    --hash=sha256:{old}  # why\n"
    index.publish("side", "1.1", tags=["py3-none-any", "cp312-cp312-win_amd64"])

    made = after({"requirements.txt": text}, "requirements.txt", move_to(index, "side", "1.1"), uv)

    new = sorted(file.hashes["sha256"] for file in release(index, "side", "1.1").files)
    moved_pin = f"side==1.1 \\\n    --hash=sha256:{new[0]} \\\n    --hash=sha256:{new[1]}  # why\n"
    assert made == text.split("side==")[0] + moved_pin


def test_a_pin_that_contradicts_another_is_blocked_by_it(index: SimpleIndex, uv: Uv) -> None:
    index.publish("core", "2.0")
    files = {"requirements.txt": "api==1.0\ncore==1.0\n"}

    with pytest.raises(LockRefused, match=r"api==2.0 depends on core>=2") as caught:
        move(files, "requirements.txt", move_to(index, "api", "2.0"), uv)

    assert str(caught.value).startswith("requirements.txt: api cannot move to 2.0: ")


def test_a_package_that_is_needed_now_and_not_pinned_is_named(index: SimpleIndex, uv: Uv) -> None:
    index.publish("core", "2.0")
    complete = {"requirements.txt": "api==1.0\ncore==2.0\n"}
    incomplete = {"requirements.txt": "api==1.0\n"}

    with pytest.raises(LockRefused, match="it needs extra-thing now, which the file does not pin"):
        move(complete, "requirements.txt", move_to(index, "api", "3.0"), uv)
    assert after(incomplete, "requirements.txt", move_to(index, "api", "3.0"), uv) == "api==3.0\n"


def test_what_comes_from_elsewhere_is_not_looked_for_on_the_index(index: SimpleIndex, uv: Uv) -> None:
    index.publish("shop-lib", "1.0", requires=["private"])
    index.publish("shop-lib", "1.1", requires=["private"])
    text = "private @ https://git.example/private-1.0-py3-none-any.whl\n-e .\n./local\nshop-lib==1.0\n"

    made = after({"requirements.txt": text}, "requirements.txt", move_to(index, "shop-lib", "1.1"), uv)

    assert made == text.replace("1.0\n", "1.1\n")


def test_a_pin_for_another_platform_does_not_count_here(index: SimpleIndex, uv: Uv) -> None:
    index.publish("core", "2.0")
    text = (
        'api==1.0 ; sys_platform == "linux"\ncore==1.0 ; sys_platform == "win32"\ncore==2.0 ; sys_platform != "win32"\n'
    )

    made = after({"requirements.txt": text}, "requirements.txt", move_to(index, "api", "2.0"), uv)

    assert made == text.replace("api==1.0", "api==2.0")


def test_two_versions_of_a_package_are_left_to_a_person(index: SimpleIndex, uv: Uv) -> None:
    index.publish("side", "1.1")
    text = 'side==1.0 ; python_version < "3.10"\nside==1.0.0 ; python_version >= "3.10"\n'
    assert "side==1.1 ; python_version <" in after(
        {"requirements.txt": text}, "requirements.txt", move_to(index, "side", "1.1"), uv
    )
    index.publish("side", "1.2")

    with pytest.raises(LockRefused, match=r"pins it to 1.0 and to 1.1"):
        move({"requirements.txt": text.replace("1.0.0", "1.1")}, "requirements.txt", move_to(index, "side", "1.2"), uv)


def test_a_release_without_hashes_does_not_go_into_a_file_with_hashes(index: SimpleIndex, uv: Uv) -> None:
    index.publish("side", "1.1")
    wish = move_to(index, "side", "1.1")
    bare = Move(package="side", version="1.1", release=release(index, "side", "9"))

    with pytest.raises(LockRefused, match="no file of it"):
        move({"requirements.txt": f"side==1.0 --hash=sha256:{'a' * 64}\n"}, "requirements.txt", bare, uv)
    assert after({"requirements.txt": "side==1.0\n"}, "requirements.txt", wish, uv) == "side==1.1\n"


def test_a_pin_moves_in_whichever_of_the_included_files_it_stands(index: SimpleIndex, uv: Uv) -> None:
    index.publish("side", "1.1")
    files = {
        "requirements.txt": "-r base.txt\n-c limits.txt\ncore\n",
        "base.txt": "side==1.0 ; python_version > '3'  # why\r\n",
        "limits.txt": "core==1.0\nside == 1.0\n",
    }

    made = move(files, "requirements.txt", move_to(index, "side", "1.1"), uv)

    assert made.files == {
        "base.txt": "side==1.1 ; python_version > '3'  # why\r\n",
        "limits.txt": "core==1.0\nside == 1.1\n",
    }


def test_a_pin_without_a_wheel_is_in_nobodys_way(index: SimpleIndex, uv: Uv) -> None:
    for version in ("1.0", "1.1"):
        about = f"Metadata-Version: 1.0\nName: old\nVersion: {version}\n"
        index.add("old", f"old-{version}.tar.gz", sdist(f"old-{version}", {"setup.py": "1 / 0", "PKG-INFO": about}))
    index.publish("side", "1.1", requires=["old>=1", "core"])
    files = {"requirements.txt": "old==1.0\nside==1.0\ncore==1.0\n"}

    assert "side==1.1" in after(files, "requirements.txt", move_to(index, "side", "1.1"), uv)
    assert "old==1.1" in after(files, "requirements.txt", move_to(index, "old", "1.1"), uv)
    with pytest.raises(LockRefused, match="needs core now"):
        move({"requirements.txt": "old==1.0\nside==1.0\n"}, "requirements.txt", move_to(index, "side", "1.1"), uv)
