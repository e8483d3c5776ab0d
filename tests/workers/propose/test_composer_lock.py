"""composer.lock moves by real Composer at a repository on loopback: each rung of the ladder, and what has none."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.rig.composer_repository import ComposerRepository
from tests.rig.git_server import Origin
from tests.workers.propose.world import MONDAY, TARGET, changed_lines
from watcher.bump import Bump, BumpStage
from watcher.content_hash import content_hash
from watcher.release import Release
from watcher.requirement import Raise
from watcher.secret import Secret
from watcher.settings import AppSettings, IndexSettings
from workers.git import Repository
from workers.process import environment
from workers.propose.composer import Composer
from workers.propose.composer_lock import blockers
from workers.propose.errors import LockRefused
from workers.propose.move import Move
from workers.propose.propose import propose
from workers.propose.tools import Moved, moved
from workers.propose.uv import Uv
from workers.propose.workshop import Workshop


def published(repository: ComposerRepository) -> None:
    repository.publish("acme/app", "1.1.0", requires={"acme/util": "^1.0"})
    repository.publish("acme/app", "1.2.0", requires={"acme/util": "^1.2"})
    repository.publish("acme/app", "1.3.0", requires={"acme/util": "^1.5"})
    for version in ("1.2.0", "1.3.0", "1.5.0"):
        repository.publish("acme/util", version)


def manifest(repository: ComposerRepository, **more: Any) -> str:
    text = {
        "name": "acme/shop",
        "require": {"acme/app": "^1.0", "acme/other": "*"},
        "repositories": [{"type": "composer", "url": repository.url}, {"packagist.org": False}],
        "config": {"secure-http": False},
        **more,
    }
    return json.dumps(text, indent=2).replace("\n", "\n") + "\n"


def locked(directory: Path, text: str) -> dict[str, str]:
    """A checkout with a composer.lock as a person made it on that day."""
    directory.mkdir(parents=True)
    (directory / "composer.json").write_text(text)
    argv = ["composer", "update", "--no-install", "--no-plugins", "--no-interaction"]
    env = environment(directory, COMPOSER_HOME=str(directory / ".home"), COMPOSER_ALLOW_SUPERUSER="1")
    done = subprocess.run(argv, cwd=directory, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: (directory / name).read_text() for name in ("composer.json", "composer.lock")}


def shop(directory: Path, *indexes: IndexSettings) -> Workshop:
    return Workshop(
        uv=Uv(directory / "state", IndexSettings(kind="pypi"), TARGET),
        composer=Composer(directory / "state", indexes),
    )


def move(files: Mapping[str, str], at: Workshop, version: str, package: str = "acme/app") -> Moved:
    wish = Move(package=package, version=version, release=Release(package=package, version=version))
    return moved("composer.lock", [wish], lambda name: files[name].encode() if name in files else None, at, MONDAY)


def ways(made: Moved) -> list[str]:
    assert made.diff.added == made.diff.removed == ()
    return [f"{c.after.package} {c.before.version} → {c.after.version}" for c in made.diff.changed]


def test_the_first_rung_moves_the_package_and_no_other_line(repository: ComposerRepository, tmp_path: Path) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    published(repository)

    made = move(files, shop(tmp_path), "1.1.0")

    assert ways(made) == ["acme/app 1.0.0 → 1.1.0"]
    assert set(made.files) == {"composer.lock"}
    gone = [line for line in changed_lines(files["composer.lock"], made.files["composer.lock"]) if line[0] == "-"]
    assert [line.split('"')[1] for line in gone] == ["version", "url", "reference", "shasum"]


def test_a_project_says_nothing_about_where_composer_writes(repository: ComposerRepository, tmp_path: Path) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    published(repository)
    elsewhere = tmp_path / "elsewhere"
    names = ("cache-dir", "cache-repo-dir", "cache-files-dir", "cache-vcs-dir", "data-dir", "vendor-dir", "bin-dir")
    config = {"secure-http": False, **{name: str(elsewhere / name) for name in names}}
    files["composer.json"] = manifest(repository, config=config)

    assert ways(move(files, shop(tmp_path), "1.1.0")) == ["acme/app 1.0.0 → 1.1.0"]
    assert not elsewhere.exists()


def test_of_many_versions_of_what_is_in_the_way_the_lowest_is_taken(
    repository: ComposerRepository, tmp_path: Path
) -> None:
    for number in range(1, 10):
        repository.publish("acme/util", f"1.{number}.0")
    asked = {"acme/app": "^1.0"}
    text = manifest(repository, require=asked)
    files = locked(tmp_path / "desk", text.replace('"acme/app": "^1.0"', '"acme/app": "^1.0", "acme/util": "1.0.0"'))
    repository.publish("acme/app", "1.1.0", requires={"acme/util": "^1.3"})
    files["composer.json"] = manifest(repository, require={**asked, "acme/util": "^1.0"})
    lock = json.loads(files["composer.lock"])
    lock["content-hash"] = content_hash(json.loads(files["composer.json"]))
    files["composer.lock"] = json.dumps(lock, indent=4)

    assert ways(move(files, shop(tmp_path), "1.1.0")) == ["acme/app 1.0.0 → 1.1.0", "acme/util 1.0.0 → 1.3.0"]


def test_a_constraint_that_only_composer_understands_is_left_to_it(
    repository: ComposerRepository, tmp_path: Path
) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    published(repository)
    files["composer.json"] = files["composer.json"].replace('"acme/app": "^1.0"', '"acme/app": "self.version"')

    with pytest.raises(LockRefused):
        move(files, shop(tmp_path), "1.1.0")


def test_the_second_rung_moves_what_is_in_the_way_as_little_as_it_can(
    repository: ComposerRepository, tmp_path: Path
) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    published(repository)

    made = move(files, shop(tmp_path), "1.2.0")

    assert ways(made) == ["acme/app 1.0.0 → 1.2.0", "acme/util 1.0.0 → 1.2.0"]


def test_what_has_no_rung_is_blocked_by_name(repository: ComposerRepository, tmp_path: Path) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    published(repository)

    with pytest.raises(LockRefused, match=r"blocked: .*acme/other.*acme/util.*<1\.5"):
        move(files, shop(tmp_path), "1.3.0")


def test_an_exact_requirement_moves_with_its_lock_and_no_other_character_does(
    repository: ComposerRepository, tmp_path: Path
) -> None:
    text = manifest(repository).replace('"acme/app": "^1.0"', '"acme/app" :"v1.0.0"')
    files = locked(tmp_path / "desk", text)
    published(repository)

    made = move(files, shop(tmp_path), "1.1.0")

    assert made.files["composer.json"] == text.replace("v1.0.0", "v1.1.0")
    lock = json.loads(made.files["composer.lock"])
    assert lock["content-hash"] == content_hash(json.loads(made.files["composer.json"]))


def test_a_requirement_that_forbids_the_release_is_named(repository: ComposerRepository, tmp_path: Path) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    repository.publish("acme/app", "2.0.0")

    with pytest.raises(LockRefused, match=r"composer.json asks for acme/app \^1\.0"):
        move(files, shop(tmp_path), "2.0.0")


def test_the_platform_of_the_project_counts_and_this_machine_s_does_not(
    repository: ComposerRepository, tmp_path: Path
) -> None:
    repository.publish("acme/old", "1.0.0", requires={"php": ">=7.4", "ext-nowhere": "*"})
    repository.publish("acme/old", "1.1.0", requires={"php": ">=7.4", "ext-nowhere": "*"})
    repository.publish("acme/old", "1.2.0", requires={"php": ">=8.0"})
    wanted = {"require": {"acme/old": "1.0.0"}, "config": {"secure-http": False, "platform": {"php": "7.4.33"}}}
    config = json.loads(json.dumps(wanted["config"]))
    config["platform"]["ext-nowhere"] = "1.0"
    files = locked(tmp_path / "desk", manifest(repository, **{**wanted, "config": config}))

    assert ways(move(files, shop(tmp_path), "1.1.0", "acme/old")) == ["acme/old 1.0.0 → 1.1.0"]
    with pytest.raises(LockRefused, match=r"php >=8\.0"):
        move(files, shop(tmp_path), "1.2.0", "acme/old")


def test_a_lock_for_another_manifest_is_not_moved(repository: ComposerRepository, tmp_path: Path) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    published(repository)
    changed = {**files, "composer.json": files["composer.json"].replace('"*"', '">=0.9"')}

    with pytest.raises(LockRefused, match=r"made for another composer\.json"):
        move(changed, shop(tmp_path), "1.1.0")


def test_line_ends_and_the_word_of_the_composer_that_wrote_it_stay(
    repository: ComposerRepository, tmp_path: Path
) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    published(repository)
    lock = re.sub(r'("plugin-api-version": )"[^"]*"', r'\1"2.2.0"', files["composer.lock"])
    files["composer.lock"] = lock.replace("\n", "\r\n")

    text = move(files, shop(tmp_path), "1.1.0").files["composer.lock"]

    assert text.count("\n") == text.count("\r\n") == lock.count("\n")
    assert '"plugin-api-version": "2.2.0"' in text


def test_neither_scripts_nor_plugins_run(repository: ComposerRepository, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    scripts = dict.fromkeys(("pre-update-cmd", "post-update-cmd", "pre-pool-create"), f"touch {proof}")
    files = locked(tmp_path / "desk", manifest(repository))
    files["composer.json"] = manifest(repository, scripts=scripts)
    published(repository)

    move(files, shop(tmp_path), "1.1.0")

    assert not proof.exists()


def test_a_plugin_that_has_a_say_in_what_is_resolved_is_named(repository: ComposerRepository, tmp_path: Path) -> None:
    repository.publish("wikimedia/composer-merge-plugin", "2.0.0", type="composer-plugin")
    more = {"acme/app": "^1.0", "wikimedia/composer-merge-plugin": "*"}
    extra = {"merge-plugin": {"include": ["composer.local.json"]}}
    files = locked(tmp_path / "desk", manifest(repository, require=more, extra=extra))
    published(repository)

    with pytest.raises(LockRefused, match="the plugin wikimedia/composer-merge-plugin has a say"):
        move(files, shop(tmp_path), "1.1.0")


@pytest.mark.parametrize(
    "row",
    [
        {"type": "path", "url": "/etc"},
        {"type": "path", "url": "../*"},
        {"type": "artifact", "url": "zips"},
        {"type": "composer", "url": "file:///etc"},
        {"type": "vcs", "url": "ext::sh -c id"},
        {"type": "hg", "url": "https://hg.example/x"},
    ],
)
def test_a_repository_on_this_machine_is_not_asked(
    repository: ComposerRepository, tmp_path: Path, row: dict[str, str]
) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    rows = [row, {"type": "composer", "url": repository.url}]
    files["composer.json"] = manifest(repository, repositories=rows)

    with pytest.raises(LockRefused, match="which toplayer does not ask"):
        move(files, shop(tmp_path), "1.1.0")


def test_the_password_of_an_index_is_given_to_composer_and_to_nobody_else(
    repository: ComposerRepository, tmp_path: Path
) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    published(repository)
    repository.key = {"authorization": "Basic Ym90OnMzY3JldC1waHJhc2U="}
    (tmp_path / "secret").write_text("s3cret-phrase")
    password = Secret(file=str(tmp_path / "secret"))
    index = IndexSettings(kind="packagist", url=repository.url, username="bot", password=password)

    made = move(files, shop(tmp_path, index), "1.1.0")

    assert ways(made) == ["acme/app 1.0.0 → 1.1.0"]
    assert "s3cret-phrase" not in "".join(made.files.values())
    assert not [path for path in (tmp_path / "state").rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]


def test_a_key_is_shown_as_the_index_wants_it(repository: ComposerRepository, tmp_path: Path) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    published(repository)
    repository.key = {"authorization": "Bearer s3cret-phrase"}
    (tmp_path / "secret").write_text("s3cret-phrase")
    index = IndexSettings(
        kind="packagist", url=repository.url, auth="bearer", password=Secret(file=str(tmp_path / "secret"))
    )

    assert ways(move(files, shop(tmp_path, index), "1.1.0")) == ["acme/app 1.0.0 → 1.1.0"]


@pytest.mark.parametrize(
    ("plugin", "extra", "package", "is_refused"),
    [
        ("symfony/flex", {"symfony": {"require": "7.*"}}, "symfony/part", True),
        ("symfony/flex", {"symfony": {"require": "7.*"}}, "acme/app", False),
        ("symfony/flex", {"symfony": {"endpoint": []}}, "symfony/part", False),
        ("wikimedia/composer-merge-plugin", {"merge-plugin": {"include": ["x.json"]}}, "acme/app", True),
        ("wikimedia/composer-merge-plugin", {}, "acme/app", False),
        ("zaporylie/composer-drupal-optimizations", {}, "symfony/part", True),
        ("zaporylie/composer-drupal-optimizations", {}, "acme/app", False),
    ],
)
def test_a_plugin_that_has_a_say_in_what_is_resolved_is_flagged(
    repository: ComposerRepository, tmp_path: Path, plugin: str, extra: dict[str, Any], package: str, is_refused: bool
) -> None:
    repository.publish(plugin, "1.0.0", type="composer-plugin")
    repository.publish("symfony/part", "1.0.0")
    asked = {"acme/app": "^1.0", plugin: "*", "symfony/part": "*"}
    files = locked(tmp_path / "desk", manifest(repository, require=asked, extra=extra))
    repository.publish("symfony/part", "1.1.0")
    repository.publish("acme/app", "1.1.0", requires={"acme/util": "^1.0"})

    if is_refused:
        with pytest.raises(LockRefused, match=f"the plugin {plugin} has a say") as caught:
            move(files, shop(tmp_path), "1.1.0", package)
        assert caught.value.hint == "move this package by hand"
    else:
        assert ways(move(files, shop(tmp_path), "1.1.0", package)) == [f"{package} 1.0.0 → 1.1.0"]


def test_of_many_versions_in_the_way_the_lowest_that_is_newer_counts() -> None:
    said = (
        "    - acme/app 2.0.0 requires acme/util ^1.2 -> found acme/util[v1.2.0, ..., v1.9.0, 1.2.0-beta1] but the "
        "package is fixed to 1.0.0 (lock file version) by a partial update and that version does not match.\n"
    )

    assert blockers(said, {"acme/util": "1.0.0"}) == {"acme/util": "1.2.0"}


def test_a_requirement_is_widened_if_the_policy_says_so(repository: ComposerRepository, tmp_path: Path) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    repository.publish("acme/app", "2.1.0", requires={"acme/util": "^1.0"})
    release = Release(package="acme/app", version="2.1.0")
    wish = Move(package="acme/app", version="2.1.0", release=release, requirement=Raise.WIDEN)

    made = moved("composer.lock", [wish], lambda name: files[name].encode(), shop(tmp_path), MONDAY)

    assert made.files["composer.json"] == files["composer.json"].replace('"^1.0"', '"^1.0 || ^2.1"', 1)
    assert ways(made) == ["acme/app 1.0.0 → 2.1.0"]


def test_a_bump_becomes_a_commit_of_both_files(repository: ComposerRepository, tmp_path: Path) -> None:
    text = manifest(repository).replace('"acme/app": "^1.0"', '"acme/app": "1.0.0"')
    origin = Origin(tmp_path / "srv" / "shop.git")
    origin.write(locked(tmp_path / "desk", text), "First")
    published(repository)
    settings = {
        "repository": str(origin.directory),
        "lock": "composer.lock",
        "propose": "commit",
        "image": {"repository": "oci:/srv/images"},
        "fleet": "field",
    }
    app = AppSettings.model_validate(settings)
    index = IndexSettings(kind="packagist", url=repository.url)
    wish = Move(package="acme/app", version="1.2.0", release=Release(package="acme/app", version="1.2.0"))
    bump = Bump(
        id=Bump.id_of("shop", "acme/app", "1.2.0"),
        app="shop",
        ecosystem="packagist",
        package="acme/app",
        from_version="1.0.0",
        to_version="1.2.0",
        found_at=MONDAY,
    )
    place, tools = Repository.of("shop", app, tmp_path / "state"), Workshop.of(app, [index], tmp_path / "state")

    done = propose(bump, app, place, [wish], tools, lambda diff: None, lambda: MONDAY)

    assert done.stage is BumpStage.PROPOSED
    place.fetch()
    lock, beside = (place.read(done.commit, name) or b"" for name in ("composer.lock", "composer.json"))
    assert beside.decode() == text.replace('"1.0.0"', '"1.2.0"')
    rows = {row["name"]: row["version"] for row in json.loads(lock)["packages"]}
    assert rows == {"acme/app": "1.2.0", "acme/other": "1.0.0", "acme/util": "1.2.0"}
