"""The configuration: read once, checked whole, every fault at once and each with its path in the file."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher import config
from watcher.errors import SettingsRefused
from watcher.fields import duration
from watcher.settings import Settings

EXAMPLE = config.example()
SECRETS = sorted(set(re.findall(r'\{ env = "(\w+)" \}', EXAMPLE)))
TWIN = """[apps.twin]
repository = "/r"
lock = "uv.lock"
fleet = "field"
image = { repository = "r.example/t", python = "3.12" }
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "hunter2")


def changed(before: str, after: str) -> str:
    assert EXAMPLE.count(before) >= 1, before
    return EXAMPLE.replace(before, after, 1)


def faults(text: str) -> list[str]:
    with pytest.raises(SettingsRefused) as caught:
        config.parse(text, "toplayer.toml")
    return list(caught.value.faults)


def test_the_example_loads() -> None:
    settings = config.parse(EXAMPLE, "example")
    assert settings.apps["shop"].policy.of("requests").cooldown.patch == timedelta(days=3)
    assert settings.fleets["field"].hosts[3].kind == "dir"
    assert settings.ledger_url == "sqlite:////var/lib/toplayer/ledger.db"
    assert settings.broker_url == ""


def test_the_example_shows_every_setting_that_there_is() -> None:
    def keys(model: type) -> set[str]:
        found: set[str] = set()
        for name, field in getattr(model, "model_fields", {}).items():
            found.add(name)
            found |= keys(config._model_in(field.annotation) or object)
        return found

    missing = {key for key in keys(Settings) if not re.search(rf"\b{key}\b", EXAMPLE)}
    assert missing == set()


def test_every_fault_is_reported_at_once_and_with_its_path() -> None:
    text = changed('contact = "ops@example.com"', "contacts = 3").replace('waves = [1, "25%", "100%"]', "waves = [0]")
    text = text.replace('address = "unix:///run/docker-kiosk-2.sock"', 'address = "kiosk2"')
    kinds = '"unix:///path", "tcp://host:port", "ssh://user@host" or "dir:/path"'
    assert faults(text) == [
        "toplayer.contacts: expected no such key; did you mean `contact`?",
        "fleets.field.waves[0]: expected at least 1 host",
        f"fleets.field.hosts[1].address: expected {kinds}, got 'kiosk2'",
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('state = "/var/lib/toplayer"', 'state = "var"', "toplayer.state: expected an absolute path, got 'var'"),
        ('fleet = "field"', 'fleet = "filed"', "apps.shop.fleet: expected the name of a fleet (known: field, lobby)"),
        ('lock = "requirements.txt"', 'lock = "../x.txt"', "apps.shop.lock: expected a path inside the repository"),
        ('lock = "requirements.txt"', "", "apps.shop.lock: expected a value, got nothing"),
        ('branch = "main"', 'branch = "--upload-pack=x"', "apps.shop.branch: expected the name of a branch"),
        ('python = "3.12"', 'python = "3"', 'apps.shop.image.python: expected a Python version such as "3.12"'),
        ('python = "3.12"', "python = 3.12", "apps.shop.image.python: expected a text, got 3.12"),
        ('platform = "linux/amd64"', 'platform = "amd64"', "expected os/architecture such as linux/amd64"),
        (
            'platform = "linux/amd64"',
            'platforms = ["linux/amd64", "linux/amd64"]',
            "apps.shop.image: platforms: expected each once, got linux/amd64, linux/amd64",
        ),
        (
            'platform = "linux/amd64"',
            'platform = "linux/amd64"\nplatforms = ["linux/arm64"]',
            "apps.shop.image: platform: expected nothing beside `platforms`",
        ),
        ('cooldown = "3d"', "cooldown = 3", 'apps.shop.policy.cooldown: expected a duration such as "90s"'),
        ('propose = "branch"', 'propose = "mail"', "apps.shop.propose: expected 'commit' or 'branch', got 'mail'"),
        ('name = "kiosk-2"', 'name = "kiosk-1"', "fleets.field: hosts: expected every name once, got kiosk-1"),
        ("at_once = 5", "at_once = 0", "fleets.field.at_once: expected"),
        (
            'images = "load"',
            'images = "pull"',
            'fleets.field: hosts[0]: expected a rate only with images = "resume" or "load"',
        ),
        (
            'address = "dir:/srv/shop"',
            'address = "dir:/srv/shop"\nsocket = "/run/engine.sock"',
            "fleets.field.hosts[3]: expected no `socket` beside the address of a directory",
        ),
        (
            'target = "compose" ',
            'target = "swarm"\nimages = "load" ',
            'fleets.field: hosts[1]: expected images = "pull", because the nodes of a swarm pull by themselves',
        ),
        (
            'address = "unix:///run/docker-lobby-1.sock"',
            'address = "unix:///run/docker-lobby-1.sock"\nimages = "resume"',
            "fleets.lobby: hosts[0]: images: expected a `puller` for the fleet",
        ),
        (
            "[apps.shop]",
            TWIN.replace("apps.twin", 'apps."twin.next"') + "[apps.shop]",
            "apps.twin.next: expected a name that does not end in .next",
        ),
        ('order = "stop-first"', 'order = "start-first"', "apps.shop.run: order: expected stop-first"),
        (
            'bytecode = "none"',
            "bytecode = true",
            "apps.shop.image.bytecode: expected 'none', 'cache' or 'layer', got True",
        ),
        (
            'env = { PYTHONUNBUFFERED = "1" }',
            'env = { PYTHONPYCACHEPREFIX = "/x" }',
            'apps.shop: image.env.PYTHONPYCACHEPREFIX: expected nothing, because image.bytecode = "cache"',
        ),
        ('QUEUE = "orders"', 'PYTHONPYCACHEPREFIX = "/x"', "apps.shop: run.env.PYTHONPYCACHEPREFIX: expected nothing"),
        (
            'addresses = { backend = "10.0.7.5" }',
            'addresses = { other = "10.0.7.5" }',
            "apps.shop.run: addresses: expected networks of the container, got other",
        ),
        ('"10.0.7.5"', '"10.0.7"', 'apps.shop.run.addresses.backend: expected an address such as "10.0.7.5"'),
        ('"127.0.0.1:8080:80"', '"80"', "apps.shop.run.ports[0]: expected"),
        (
            "HostConfig = {",
            "HostConfig = { AutoRemove = true,",
            "apps.shop.run: engine.HostConfig.AutoRemove: expected",
        ),
        ('password = { env = "SHOP_GIT_TOKEN" }', "password = {}", 'expected { env = "NAME" } or'),
        (
            '"https://git.example/team/shop.git"',
            '"https://a:hunter2@git.example/shop.git"',
            "apps.shop.repository: expected an address without a password",
        ),
        (
            '"registry.example:5000/team/shop"',
            '"oci:/srv/images/shop"',
            "apps.shop.image.repository: expected a registry, because fleets.field.hosts[0] (kiosk-1) is a Docker",
        ),
        ('"registry.example:5000/team/shop"', '"shop:latest"', "repository: expected host/path without a tag"),
        ("[toplayer]", "[toplayer", "expected TOML"),
        (
            'tls = { ca = "/etc/toplayer/ca.pem"',
            '# tls = { ca = "/etc/toplayer/ca.pem"',
            "fleets.field.hosts[0]: expected the files of `tls` beside its address, because whoever can speak to",
        ),
        ('name = "kiosk-2"', 'name = "k"', "fleets.field.hosts[1].name: expected a name of 2 to 63"),
        (
            "[apps.shop]",
            f"{TWIN}[apps.shop]",
            "fleets.field.hosts[3].address: expected a directory for shop alone, got 'dir:/srv/shop', which twin uses",
        ),
    ],
)
def test_a_fault_says_where_it_is_what_was_expected_and_what_was_got(before: str, after: str, said: str) -> None:
    assert any(said in fault for fault in faults(changed(before, after)))


@pytest.mark.parametrize(
    ("image", "run", "said"),
    [
        ('python = "3.12", bytecode = "cache"', 'env = { PYTHONDONTWRITEBYTECODE = "1" }', "run.env.PYTHONDONT"),
        ('python = "3.12", bytecode = "cache", env = { PYTHONDONTWRITEBYTECODE = "1" }', "", "image.env.PYTHONDONT"),
        ('python = "3.12", env = { PYTHONDONTWRITEBYTECODE = "1" }', "", ""),
        ('bytecode = "cache"', "", "bytecode: expected `python` beside it, or nothing, got 'cache'"),
        ('builder = "dockerfile", python = "3.12"', 'env = { PYTHONPYCACHEPREFIX = "/x" }', ""),
    ],
)
def test_what_says_two_things_about_bytecode_is_a_fault(image: str, run: str, said: str) -> None:
    text = f"""
        [toplayer]
        state = "/s"
        [apps.shop]
        repository = "/r"
        lock = "composer.lock"
        fleet = "field"
        image = {{ repository = "r.example/t", {image} }}
        run = {{ {run} }}
        [fleets.field]
        hosts = []
        """
    found = faults(text) if said else config.parse(text, "well") and []
    assert [said in one for one in found] == [True] * bool(said)


def test_an_address_that_nobody_could_ask_is_a_fault() -> None:
    text = """
        [toplayer]
        state = "/s"
        [apps.shop]
        repository = "/r"
        lock = "composer.lock"
        fleet = "field"
        image = { repository = "r.example/t", php = "8.2" }
        run = { health = { http = "http://127.0.0.1:8080/health" } }
        [fleets.field]
        puller = "r.example/python:3.12"
        hosts = [{ name = "kiosk-1", address = "unix:///run/docker.sock" }]
        """
    assert config.parse(text, "with a puller").apps["shop"].run.health.http
    (alone,) = faults(text.replace("puller", "# puller"))
    assert "expected a `puller` for fleets.field, because some Python on kiosk-1 has to ask it" in alone
    (swarm,) = faults(text.replace('docker.sock"', 'docker.sock", target = "swarm"'))
    assert "because the tasks of kiosk-1 have to ask it themselves" in swarm


def test_a_secret_that_is_not_there_is_a_fault_now_and_not_at_three_in_the_morning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SLACK_WEBHOOK_URL")
    (said,) = faults(EXAMPLE)
    assert said.startswith("notify.slack.url: expected a secret at $SLACK_WEBHOOK_URL, but the environment variable")


def test_no_secret_shows_in_settings_or_in_faults() -> None:
    settings = config.parse(EXAMPLE, "example")
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert {str(secret) for secret in settings.secrets().values()} <= {f"${name}" for name in SECRETS}
    said = " ".join(faults(changed('{ env = "SLACK_WEBHOOK_URL" }', '"https://hooks.example/hunter2"')))
    assert "notify.slack.url: expected the name of a secret" in said
    assert "hunter2" not in said


def test_a_file_that_is_not_there_or_not_text_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match=r"gone\.toml: cannot be read"):
        config.load(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(SettingsRefused, match="expected UTF-8"):
        config.load(tmp_path / "latin.toml")


def test_a_nesting_bomb_is_refused() -> None:
    assert "TOML" in faults("a = " + "[" * 100_000)[0]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("0.5d", 43200), ("250ms", 0.25)])
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@settings(deadline=None)
@given(st.recursive(st.one_of(st.integers(), st.text(max_size=9), st.booleans()), lambda v: st.lists(v, max_size=3)))
def test_whatever_stands_in_a_setting_only_our_own_error_comes_out(value: object) -> None:
    text = value if isinstance(value, str) else str(value).lower()
    try:
        config.parse(f"[toplayer]\nstate = {text}\n[apps.a]\nlock = {text}\n", "f")
    except SettingsRefused:
        return


SMALL = """[toplayer]
state = "/var/lib/toplayer"
[apps.shop]
repository = "/r"
lock = "{lock}"
{more}
fleet = "field"
image = {{ repository = "r.example/t"{python} }}
[fleets.field]
hosts = []
"""


@pytest.mark.parametrize(
    ("lock", "more", "python", "indexes"),
    [
        ("uv.lock", "", ', python = "3.12"', ["pypi"]),
        ("composer.lock", "", "", ["packagist"]),
        ("uv.lock", 'more_locks = ["php/composer.lock"]', ', python = "3.12"', ["packagist", "pypi"]),
    ],
)
def test_without_indexes_there_are_the_public_ones_of_what_is_locked(
    lock: str, more: str, python: str, indexes: list[str]
) -> None:
    settings = config.parse(SMALL.format(lock=lock, more=more, python=python), "small")

    assert sorted(settings.indexes) == indexes
    assert all(settings.indexes[name].kind == name for name in indexes)


@pytest.mark.parametrize(
    ("lock", "more", "python", "said"),
    [
        ("uv.lock", "", "", 'image.python: expected a Python version such as "3.12", because of uv.lock, got nothing'),
        (
            "composer.lock",
            'more_locks = ["a/composer.lock"]',
            "",
            "more_locks: expected one lockfile for each ecosystem",
        ),
    ],
)
def test_locks_and_languages_have_to_fit(lock: str, more: str, python: str, said: str) -> None:
    (fault,) = faults(SMALL.format(lock=lock, more=more, python=python))

    assert said in fault
