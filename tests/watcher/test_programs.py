from typing import Any

from watcher.programs import needed
from watcher.settings import Settings

PLAIN: dict[str, Any] = {
    "toplayer": {"state": "/var/lib/toplayer"},
    "apps": {
        "shop": {
            "repository": "https://git.example/shop.git",
            "lock": "uv.lock",
            "image": {"repository": "registry.example/shop", "python": "3.12"},
            "fleet": "field",
        }
    },
    "fleets": {"field": {"hosts": [{"name": "kiosk", "address": "unix:///run/docker.sock"}]}},
}


def programs(host: str = "unix:///run/docker.sock", **app: Any) -> set[str]:
    data = PLAIN | {
        "apps": {"shop": PLAIN["apps"]["shop"] | app},
        "fleets": {"field": {"hosts": [{"name": "kiosk", "address": host}]}},
    }
    return set(needed(Settings.model_validate(data)))


def test_an_app_of_python_on_docker_hosts_needs_git_and_nothing_else() -> None:
    assert programs() == {"git"}


def test_a_composer_lock_needs_composer() -> None:
    assert programs(more_locks=["php/composer.lock"]) == {"git", "composer"}


def test_what_is_reached_by_ssh_needs_ssh() -> None:
    assert "ssh" in programs(host="ssh://root@kiosk.example")
    assert "ssh" in programs(repository="ssh://git@git.example/shop.git")
    assert "ssh" in programs(repository="git@git.example:team/shop.git")
    assert "ssh" not in programs(repository="/srv/git/shop.git")


def test_signed_commits_need_what_signs_them() -> None:
    assert "gpg" in programs(git={"signing": {"format": "gpg", "key": {"env": "KEY"}}})
    assert "ssh-keygen" in programs(git={"signing": {"format": "ssh", "key": {"env": "KEY"}}})
