"""The settings of a policy: what an app wants for all of its packages, and its rules for some of them."""

from dataclasses import replace
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from watcher.fields import Duration, Globs, Model, Name, duration
from watcher.policy import Cooldown, Policy, Watch, matches
from watcher.requirement import Raise
from watcher.versions import SCHEMES, Scheme
from watcher.versions.kind import KINDS
from watcher.window import Freeze, Window


class CooldownSettings(Model):
    """How old a release has to be, by the size of the update."""

    patch: Duration = Cooldown().patch
    minor: Duration = Cooldown().minor
    major: Duration = Cooldown().major


def _cooldown(value: object) -> object:
    """A table as it is, or one duration for updates of all sizes."""
    return value if isinstance(value, dict) else dict.fromkeys(CooldownSettings.model_fields, duration(value))


def _allow(text: str) -> str:
    """The size of an update, or a constraint that one of the ecosystems understands."""
    if text in KINDS or any(_understands(scheme, text) for scheme in SCHEMES.values()):
        return text
    raise ValueError(f'expected "patch", "minor", "major" or a constraint such as ">=2,<3", got {text[:80]!r}')


def _understands(scheme: Scheme, constraint: str) -> bool:
    try:
        scheme.allows(constraint, "1.0.0")
    except ValueError:
        return False
    return bool(constraint.strip())


class WishSettings(Model):
    """Which releases may come in by themselves, and when. What is left out stays as it is."""

    watch: Watch | None = None
    allow: Annotated[str, AfterValidator(_allow)] | None = None
    cooldown: Annotated[CooldownSettings, BeforeValidator(_cooldown)] | None = None
    prereleases: bool | None = None
    requirement: Raise | None = None
    windows: tuple[Annotated[Window, BeforeValidator(Window.parse)], ...] | None = None
    freeze: tuple[Annotated[Freeze, BeforeValidator(Freeze.parse)], ...] | None = None
    group: Name | None = None

    def over(self, policy: Policy) -> Policy:
        """The policy, with these wishes in the place of its own."""
        wishes = {name: value for name in WishSettings.model_fields if (value := getattr(self, name)) is not None}
        if self.cooldown is not None:
            wishes["cooldown"] = Cooldown(self.cooldown.patch, self.cooldown.minor, self.cooldown.major)
        return replace(policy, **wishes)


class RuleSettings(WishSettings):
    """Wishes for the packages that one of the globs names."""

    packages: Annotated[Globs, Field(min_length=1)]


class PolicySettings(WishSettings):
    """An app's wishes, and its rules for single packages: of those that name a package, the last one has the word."""

    ignore: Globs = ()
    rules: tuple[RuleSettings, ...] = ()

    @cached_property
    def _usual(self) -> Policy:
        """What counts for most packages, and is asked for with each."""
        return self.over(Policy())

    def of(self, package: str) -> Policy:
        """What counts for a package."""
        policy = self._usual
        if any(matches(glob, package) for glob in self.ignore):
            policy = replace(policy, watch=Watch.NONE)
        for rule in self.rules:
            if any(matches(glob, package) for glob in rule.packages):
                policy = rule.over(policy)
        return policy
