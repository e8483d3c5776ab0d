"""Commits that are signed: what `git verify-commit` says to somebody who has the public key."""

import os
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.rig.git_server import Origin
from tests.rig.process import need
from watcher.secret import Secret
from watcher.settings import GitSettings
from workers.git import GitRefused, Repository

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
BOT = "toplayer <toplayer@bot.example>"
Verify = Callable[[Origin, str], str]


def ssh_key(directory: Path) -> tuple[str, Verify]:
    need("ssh-keygen")
    file = directory / "signer"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    allowed = directory / "allowed"
    allowed.write_text(f"toplayer@bot.example {file.with_suffix('.pub').read_text()}")
    return file.read_text(), lambda origin, commit: said(origin, commit, {}, f"gpg.ssh.allowedSignersFile={allowed}")


def gpg_key(directory: Path) -> tuple[str, Verify]:
    need("gpg", "gpgconf")
    home = directory / "person"
    home.mkdir(mode=0o700)
    env = {"PATH": os.environ["PATH"], "GNUPGHOME": str(home), "LC_ALL": "C"}

    def gpg(*words: str) -> str:
        ran = subprocess.run(["gpg", "--batch", "--quiet", *words], env=env, check=True, capture_output=True, text=True)
        return ran.stdout

    gpg("--passphrase", "", "--quick-gen-key", BOT, "ed25519", "sign", "0")
    secret = gpg("--armor", "--export-secret-keys")
    subprocess.run(["gpgconf", "--kill", "all"], env=env, check=True)
    return secret, lambda origin, commit: said(origin, commit, env, "gpg.format=openpgp")


KEYS = {"ssh": ssh_key, "gpg": gpg_key}


def said(origin: Origin, commit: str, env: Mapping[str, str], *settings: str) -> str:
    """What git says of a good signature; the test fails for one that is not."""
    options = [word for setting in settings for word in ("-c", setting)]
    argv = ["git", f"--git-dir={origin.directory}", *options, "verify-commit", commit]
    ran = subprocess.run(argv, env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


def signed(directory: Path, origin: Origin, format: str, key: Secret) -> Repository:
    settings = GitSettings.model_validate({"signing": {"format": format, "key": key}})
    return Repository(str(origin.directory), "main", directory / "state" / "git" / "shop.git", settings)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path / "srv" / "shop.git")
    made.write({"lock.txt": "requests==2.0\n"}, "Work")
    return made


def bump(repository: Repository) -> str:
    tip = repository.fetch().tip
    files = {"lock.txt": b"requests==2.9\n"}
    commit = repository.commit(tip, files, "Bump requests\n\nToplayer-Bump: shop:requests:2.9\n", BOT, MONDAY)
    repository.push(commit, "toplayer/shop/requests", None)
    return commit


@pytest.mark.parametrize("kept", ["env", "file"])
@pytest.mark.parametrize("format", KEYS)
def test_a_signed_commit_can_be_verified_by_everybody(
    origin: Origin, tmp_path: Path, format: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, verify = KEYS[format](tmp_path)
    (tmp_path / "secret").write_text(text)
    monkeypatch.setenv("SIGNING_KEY", text)
    secret = Secret(env="SIGNING_KEY") if kept == "env" else Secret(file=str(tmp_path / "secret"))
    repository = signed(tmp_path, origin, format, secret)

    commit = bump(repository)

    assert "ood" in verify(origin, commit)
    seen = repository.show(commit)
    assert seen.is_untouched_by(BOT)
    assert seen.trailer("Toplayer-Bump") == "shop:requests:2.9"
    assert seen.parents == (origin.tip(),)


def test_a_commit_that_is_signed_by_ssh_is_the_same_commit_each_time(origin: Origin, tmp_path: Path) -> None:
    text, _ = ssh_key(tmp_path)
    (tmp_path / "secret").write_text(text.strip())  # as a file that lost its last line end
    repository = signed(tmp_path, origin, "ssh", Secret(file=str(tmp_path / "secret")))

    assert bump(repository) == bump(repository)


@pytest.mark.parametrize("format", KEYS)
def test_the_key_is_on_no_disk_and_no_agent_keeps_it(origin: Origin, tmp_path: Path, format: str) -> None:
    text, _ = KEYS[format](tmp_path)
    secret = tmp_path / "secret"
    secret.write_text(text)

    bump(signed(tmp_path, origin, format, Secret(file=str(secret))))

    kept = tmp_path / "state" / "git" / "shop.tmp"
    assert [path.name for path in kept.iterdir()] == ["lock"]
    agents = [line for line in map(_read, Path("/proc").glob("[0-9]*/cmdline")) if "gpg-agent" in line]
    assert not [line for line in agents if f"/proc/{os.getpid()}/" in line]


def _read(file: Path) -> str:
    try:
        return file.read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@pytest.mark.parametrize("format", KEYS)
@pytest.mark.parametrize("text", ["nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "-" * 100_000])
def test_a_key_that_is_none_is_named_and_nothing_is_pushed(
    origin: Origin, tmp_path: Path, format: str, text: str
) -> None:
    (tmp_path / "secret").write_text(text)

    with pytest.raises(GitRefused) as caught:
        bump(signed(tmp_path, origin, format, Secret(file=str(tmp_path / "secret"))))

    assert str(tmp_path / "secret") in str(caught.value)
    assert "sign" in str(caught.value) or "private key" in str(caught.value)
    assert "apps.*.git.signing" in caught.value.hint
    assert origin.tip("toplayer/shop/requests") == ""


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(origin: Origin, tmp_path: Path) -> None:
    need("ssh-keygen")
    file = tmp_path / "signer"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(file)], check=True)

    with pytest.raises(GitRefused, match="passphrase"):
        bump(signed(tmp_path, origin, "ssh", Secret(file=str(file))))


def test_a_key_that_is_not_there_is_named(origin: Origin, tmp_path: Path) -> None:
    with pytest.raises(GitRefused, match="NOBODY_SET_THIS is not set"):
        bump(signed(tmp_path, origin, "ssh", Secret(env="NOBODY_SET_THIS")))
