"""What makes git sign a commit: the key in memory for ssh, in a keyring that nobody else knows for GnuPG."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from watcher.settings import SigningSettings
from workers.git.errors import GitRefused
from workers.process import ToolFailed, environment, run
from workers.scratch import scratch

_HINT = "see apps.*.git.signing: a private key without a passphrase, of ssh or (armoured) of GnuPG"
_DEADLINE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Signing:
    """What `git commit-tree` needs: settings before its name, words after it, variables, and open descriptors."""

    options: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    inherit: tuple[int, ...] = ()


@contextlib.contextmanager
def signing(settings: SigningSettings | None, place: Path) -> Iterator[Signing]:
    """How to sign, while the block lasts. `place` is for scratch directories. A `GitRefused` without such a key."""
    if settings is None:
        yield Signing()
        return
    try:
        key = settings.key.reveal()
    except LookupError as error:
        raise GitRefused(str(settings.key), f"the signing key cannot be read: {error}", _HINT) from None
    way = _with_ssh(key) if settings.format == "ssh" else _with_gpg(key, str(settings.key), place)
    with way as found:
        yield found


@contextlib.contextmanager
def _with_ssh(key: str) -> Iterator[Signing]:
    # ssh-keygen wants a file that nobody else may read; this one is in no directory, and gone with its last reader.
    memory = os.memfd_create("signing-key")
    try:
        os.fchmod(memory, 0o600)
        os.write(memory, f"{key.strip()}\n".encode())
        options = ("-c", "gpg.format=ssh", "-c", f"user.signingkey=/proc/self/fd/{memory}")
        yield Signing(options, ("-S",), inherit=(memory,))
    finally:
        os.close(memory)


@contextlib.contextmanager
def _with_gpg(key: str, where: str, place: Path) -> Iterator[Signing]:
    with scratch(place) as directory, _short(directory) as home:
        env = environment(directory, GNUPGHOME=home, LC_ALL="C")

        def ran(*argv: str, input: bytes = b"") -> bytes:
            return run(argv, cwd=None, env=env, input=input, deadline=_DEADLINE, secrets=(key,)).stdout

        try:
            listing = ran(
                "gpg", "--batch", "--import-options=import-show", "--with-colons", "--import", input=key.encode()
            )
            rows = [row.split(":") for row in listing.decode("utf-8", "replace").splitlines()]
            if not any(row[0] == "sec" for row in rows):
                raise GitRefused(where, "expected a private key of GnuPG, got none", _HINT)
            fingerprint = next(row[9] for row in rows if row[0] == "fpr")
            options = ("-c", "gpg.format=openpgp", "-c", f"user.signingkey={fingerprint}")
            yield Signing(options, ("-S",), {"GNUPGHOME": home})
        except ToolFailed as error:
            raise GitRefused(where, f"the signing key cannot be used: {error.said}", error.hint or _HINT) from None
        finally:
            # The import leaves an agent behind, which would keep the key in memory, and a place for its socket.
            for words in ("--kill all", "--remove-socketdir"):
                with contextlib.suppress(ToolFailed):
                    ran("gpgconf", *words.split())


@contextlib.contextmanager
def _short(directory: Path) -> Iterator[str]:
    """Another path to the directory: the agent's socket is in it, and the path of a socket has 107 bytes at most."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)
