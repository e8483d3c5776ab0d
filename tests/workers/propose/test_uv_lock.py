"""uv.lock, moved by real uv, against an index on loopback."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import (
    PROJECT,
    after,
    by_a_person,
    changed_lines,
    checkout,
    locked,
    move,
    move_to,
    write,
)
from watcher.requirement import Raise
from workers.propose.bench import ToolAway
from workers.propose.errors import InterpreterMissing, LockRefused
from workers.propose.uv import Uv


def test_only_the_package_moves_in_a_uv_lock(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path / "a", index, "api<1.1", "side")
    index.publish("side", "1.1")
    index.publish("core", "1.5")
    files = {**files, "pyproject.toml": files["pyproject.toml"].replace("api<1.1", "api")}
    by_hand = tmp_path / "b"
    write(by_hand, files)
    by_a_person(by_hand, index, "lock")
    files = checkout(by_hand)

    made = move(files, "uv.lock", move_to(index, "side", "1.1"), uv)

    assert [(c.before.version, c.after.version) for c in made.diff.changed] == [("1.0", "1.1")]
    changed = changed_lines(files["uv.lock"], made.files["uv.lock"])
    assert len(changed) == 4
    assert all("1.0" in line or "1.1" in line for line in changed)
    write(by_hand, made.files)
    by_a_person(by_hand, index, "lock", "--check")


def test_what_the_package_needs_newer_moves_with_it(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path, index, "api", "side")
    index.publish("core", "2.0")
    index.publish("side", "1.1")

    made = move(files, "uv.lock", move_to(index, "api", "3.0"), uv)

    moves = {c.after.package: c.after.version for c in made.diff.changed}
    assert moves == {"api": "3.0", "core": "2.0"}
    assert [pin.package for pin in made.diff.added] == ["extra-thing"]


def test_the_version_that_is_asked_for_is_taken_and_not_the_newest(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path, index, "side")
    index.publish("side", "1.1")
    index.publish("side", "1.2")

    assert 'version = "1.1"' in after(files, "uv.lock", move_to(index, "side", "1.1"), uv)


def test_a_lock_of_an_older_uv_keeps_its_format(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path, index, "api", "side")
    today = files["uv.lock"]
    old = "".join(
        line.split(", upload-time")[0] + " },\n" if "upload-time" in line else line for line in today.splitlines(True)
    )
    files["uv.lock"] = old.replace(today.splitlines()[1], "revision = 1")
    index.publish("side", "1.1")

    made = after(files, "uv.lock", move_to(index, "side", "1.1"), uv)

    assert "revision = 1\n" in made
    assert len(changed_lines(files["uv.lock"], made)) == 4


def test_files_that_were_uploaded_since_do_not_touch_the_other_packages(
    index: SimpleIndex, uv: Uv, tmp_path: Path
) -> None:
    files = locked(tmp_path, index, "api", "side")
    index.publish("core", "1.0", tags=["cp312-cp312-win_amd64"])
    index.publish("side", "1.1")

    made = after(files, "uv.lock", move_to(index, "side", "1.1"), uv)

    assert len(changed_lines(files["uv.lock"], made)) == 4


def test_the_project_s_own_configuration_applies_and_no_other(
    index: SimpleIndex, uv: Uv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = '\n[tool.uv]\nconstraint-dependencies = ["core<2"]\n'
    files = locked(tmp_path / "shop", index, "api", tail=tail)
    index.publish("core", "2.0")
    config = tmp_path / ".config" / "uv" / "uv.toml"
    write(tmp_path, {".config/uv/uv.toml": "this is no TOML", "uv.toml": "nor is this"})
    for name, text in {"XDG_CONFIG_HOME": config.parent.parent, "HOME": tmp_path, "TMPDIR": tmp_path}.items():
        monkeypatch.setenv(name, str(text))
    monkeypatch.setenv("UV_CONFIG_FILE", str(config))

    assert 'version = "1.1"' in after(files, "uv.lock", move_to(index, "api", "1.1"), uv)
    with pytest.raises(LockRefused, match="core"):
        move(files, "uv.lock", move_to(index, "api", "2.0"), uv)


def test_the_cooldown_of_uv_is_neither_given_nor_dropped(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path, index, "side", tail='\n[tool.uv]\nexclude-newer = "2026-06-01T00:00:00Z"\n')
    index.publish("side", "1.1", at=datetime(2026, 5, 1, tzinfo=UTC))
    index.publish("side", "1.2", at=datetime(2026, 7, 1, tzinfo=UTC))

    made = after(files, "uv.lock", move_to(index, "side", "1.1"), uv)

    assert 'exclude-newer = "2026-06-01T00:00:00Z"' in made
    with pytest.raises(LockRefused):
        move(files, "uv.lock", move_to(index, "side", "1.2"), uv)


def test_a_workspace_is_locked_with_its_members(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    member = PROJECT.format('"api"').replace("shop", "stock")
    tail = '\n[tool.uv.workspace]\nmembers = ["packages/*"]\n[tool.uv.sources]\nstock = { workspace = true }\n'
    write(tmp_path, {"services/packages/stock/pyproject.toml": member})
    write(tmp_path, {"services/pyproject.toml": PROJECT.format('"stock", "side"') + tail})
    by_a_person(tmp_path / "services", index, "lock")
    files = checkout(tmp_path)
    index.publish("core", "2.0")

    made = move(files, "services/uv.lock", move_to(index, "api", "2.0"), uv)

    assert {c.after.package for c in made.diff.changed} == {"api", "core"}


@pytest.mark.parametrize("extra", ["", "\n[project.optional-dependencies]\nall = [\"side; python_version > '3'\"]\n"])
def test_a_project_that_takes_its_version_from_its_build_is_locked_without_running_it(
    index: SimpleIndex, uv: Uv, tmp_path: Path, extra: str
) -> None:
    build = '\n[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[tool.x]\ny = [["1"]]\n'
    ran = tmp_path / "ran"
    backend = (
        f"open({str(ran)!r}, 'a').write('x')\nimport pathlib\n"
        "def prepare_metadata_for_build_editable(directory, config_settings=None):\n"
        "    place = pathlib.Path(directory, 'shop-7.dist-info'); place.mkdir()\n"
        "    (place / 'METADATA').write_text(METADATA); return place.name\n"
        "prepare_metadata_for_build_wheel = prepare_metadata_for_build_editable\n"
    )
    metadata = ["Metadata-Version: 2.1", "Name: shop", "Version: 7", "Requires-Python: >=3.9", "Requires-Dist: api"]
    if extra:
        metadata += ["Provides-Extra: all", "Requires-Dist: side ; python_version > '3' and extra == 'all'"]
    backend = f"METADATA = {chr(10).join(metadata)!r}\n{backend}"
    write(tmp_path / "shop", {"backend.py": backend})
    manifest = PROJECT.format('"api"').replace('version = "1.0"', 'dynamic = ["version"]') + extra + build
    write(tmp_path / "shop", {"pyproject.toml": manifest})
    by_a_person(tmp_path / "shop", index, "lock")
    files = checkout(tmp_path / "shop")
    index.publish("core", "2.0")
    assert ran.exists()
    ran.unlink()

    made = move(files, "uv.lock", move_to(index, "api", "2.0"), uv)

    assert not ran.exists()
    write(tmp_path / "shop", made.files)
    by_a_person(tmp_path / "shop", index, "lock", "--check")


def test_a_project_that_has_to_be_built_is_refused(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path, index, "side")
    index.publish("side", "1.1")
    dynamic = files["pyproject.toml"].replace('dependencies = ["side"]', 'dynamic = ["dependencies"]')
    files["pyproject.toml"] = dynamic + '\n[build-system]\nrequires = ["setuptools"]\n'

    with pytest.raises(LockRefused, match=r"builds nothing, and pyproject.toml leaves dependencies to its build"):
        move(files, "uv.lock", move_to(index, "side", "1.1"), uv)


def test_a_release_without_a_wheel_is_not_built(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path, index, "side")
    index.add("side", "side-1.1.tar.gz", b"not even an archive")

    with pytest.raises(LockRefused, match="no usable wheels") as caught:
        move(files, "uv.lock", move_to(index, "side", "1.1"), uv)

    assert "builds nothing from source" in caught.value.hint


def test_a_lock_that_would_come_from_another_index_is_refused(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path, index, "api", "side")
    files["uv.lock"] = files["uv.lock"].replace(f"{index.url}", "https://index.example/simple")
    index.publish("side", "1.1")

    with pytest.raises(LockRefused, match=r"would come from registry http://127.0.0.1"):
        move(files, "uv.lock", move_to(index, "side", "1.1"), uv)


def test_a_pre_release_moves_to_the_next_one(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    index.publish("early", "1.0rc1")
    files = locked(tmp_path, index, "early>=1.0rc1")
    index.publish("early", "1.0rc2")

    assert 'version = "1.0rc2"' in after(files, "uv.lock", move_to(index, "early", "1.0rc2"), uv)


def test_a_python_that_nobody_has_is_told_with_what_to_do(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path, index, "side")
    index.publish("side", "1.1")
    files["pyproject.toml"] = files["pyproject.toml"].replace(">=3.9", ">=3.99")

    with pytest.raises(InterpreterMissing, match=r"3\.99.*install that Python"):
        move(files, "uv.lock", move_to(index, "side", "1.1"), uv)


def test_the_uv_that_the_project_requires_is_fetched_from_the_index_and_told_if_it_is_not_there(
    index: SimpleIndex, uv: Uv, tmp_path: Path
) -> None:
    files = locked(tmp_path, index, "side")
    index.publish("side", "1.1")
    files["pyproject.toml"] += '\n[tool.uv]\nrequired-version = "==0.6.0"\n'

    with pytest.raises(ToolAway, match=r"you require uv==0\.6\.0") as caught:
        move(files, "uv.lock", move_to(index, "side", "1.1"), uv)

    assert "serve it there" in caught.value.hint


def test_an_exact_requirement_moves_with_its_lock(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path, index, "side==1.0", "api<2")
    index.publish("side", "1.1")

    made = move(files, "uv.lock", move_to(index, "side", "1.1"), uv)

    assert made.files["pyproject.toml"] == files["pyproject.toml"].replace("side==1.0", "side==1.1")
    assert [(change.after.package, change.after.version) for change in made.diff.changed] == [("side", "1.1")]


def test_a_requirement_is_widened_if_the_policy_says_so(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    files = locked(tmp_path, index, "side>=1,<2")
    index.publish("side", "2.0")
    wish = move_to(index, "side", "2.0")

    with pytest.raises(LockRefused, match=r"pyproject\.toml asks for side >=1,<2"):
        move(files, "uv.lock", wish, uv)
    made = move(files, "uv.lock", replace(wish, requirement=Raise.WIDEN), uv)

    assert made.files["pyproject.toml"] == files["pyproject.toml"].replace("<2", "<3")


@pytest.mark.parametrize(("mark", "end"), [("\ufeff", "\n"), ("\ufeff", "\r\n"), ("", "\r\n")])
def test_what_an_editor_of_windows_left_is_read_and_stays(
    index: SimpleIndex, uv: Uv, tmp_path: Path, mark: str, end: str
) -> None:
    files = {name: mark + text.replace("\n", end) for name, text in locked(tmp_path, index, "side<1.1").items()}
    index.publish("side", "1.1")
    wish = replace(move_to(index, "side", "1.1"), requirement=Raise.WIDEN)

    made = move(files, "uv.lock", wish, uv).files

    for name in ("uv.lock", "pyproject.toml"):
        assert made[name].startswith(mark)
        assert made[name].count("\n") == made[name].count(end)
        assert 1 <= len(changed_lines(files[name], made[name])) <= 8


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("pyproject.toml", '[tool.uv]\npython-downloads-json-url = "https://index.example/x.json"\n'),
        ("uv.toml", 'python-install-mirror = "file:///x"\n'),
    ],
)
def test_a_repository_that_brings_its_own_python_along_is_refused(
    index: SimpleIndex, uv: Uv, tmp_path: Path, path: str, said: str
) -> None:
    files = locked(tmp_path, index, "side")
    index.publish("side", "1.1")
    files[path] = files.get(path, "") + said

    with pytest.raises(LockRefused, match="where to get a Python from"):
        move(files, "uv.lock", move_to(index, "side", "1.1"), uv)


def test_one_version_of_a_package_from_two_indexes_is_in_nobodys_way(
    index: SimpleIndex, uv: Uv, tmp_path: Path
) -> None:
    with SimpleIndex() as cpu, SimpleIndex() as gpu:
        for one, size in ((cpu, "small"), (gpu, "large")):
            one.publish("torchy", "1.0", files={"torchy.py": f"SIZE = {size!r}"})
        tail = "\n[tool.uv.sources]\ntorchy = [\n"
        tail += '{ index = "cpu", marker = "sys_platform == \'darwin\'" },\n'
        tail += '{ index = "gpu", marker = "sys_platform != \'darwin\'" },\n]\n'
        for name, one in (("cpu", cpu), ("gpu", gpu)):
            tail += f'[[tool.uv.index]]\nname = "{name}"\nurl = "{one.url}"\nexplicit = true\n'
        files = locked(tmp_path, index, "side", "torchy", tail=tail)
        index.publish("side", "1.1")

        made = after(files, "uv.lock", move_to(index, "side", "1.1"), uv)

    assert made.count('name = "torchy"') == files["uv.lock"].count('name = "torchy"')
    assert len(changed_lines(files["uv.lock"], made)) == 4
