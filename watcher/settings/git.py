"""How to reach an app's repository."""

from typing import Annotated, Literal

from watcher.fields import (
    Absolute,
    Model,
    matching,
)
from watcher.secret import Secret


class SigningSettings(Model):
    """The key that signs our commits: a private key of ssh, or an armoured one of GnuPG, without a passphrase."""

    format: Literal["ssh", "gpg"]
    key: Secret


class GitSettings(Model):
    """How to reach the repository, and whose name stands in the commits.

    Without a `password`, an http(s) repository on the forge's own host is reached with the forge's credentials.
    """

    username: str = "toplayer"
    password: Secret | None = None
    ssh_key: Absolute | None = None
    signing: SigningSettings | None = None
    author: Annotated[str, matching(r"[^<>\n]+ <[^<>\s]+@[^<>\s]+>", '"Name <address>"')] = (
        "toplayer <toplayer@localhost.invalid>"
    )
