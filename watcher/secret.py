"""A secret by name: where to read it, never what it is."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Secret(BaseModel):
    """`{ env = "NAME" }` or `{ file = "/run/secrets/name" }`. The value is read when it is used and kept nowhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str = ""
    file: str = ""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if bool(self.env) == bool(self.file):
            raise ValueError('expected { env = "NAME" } or { file = "/path" }, one of the two')
        return self

    def missing(self, environ: Mapping[str, str] = os.environ) -> str:
        """Why the secret cannot be read now, or an empty text if it can."""
        if self.env:
            return "" if environ.get(self.env) else f"the environment variable {self.env} is not set"
        try:
            with Path(self.file).open("rb"):
                return ""
        except OSError as error:
            return f"{self.file} cannot be read ({error.strerror})"

    def reveal(self, environ: Mapping[str, str] = os.environ) -> str:
        """The value, without the line end that a file has. A `LookupError` says why there is none."""
        missing = self.missing(environ)
        if missing:
            raise LookupError(missing)
        return environ[self.env] if self.env else Path(self.file).read_text(encoding="utf-8").rstrip("\r\n")

    def __str__(self) -> str:
        return f"${self.env}" if self.env else self.file
