"""The settings of fleets: how a host is reached, and how careful a rollout is."""

from collections import Counter
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from watcher.address import is_loopback
from watcher.fields import Absolute, Duration, Model, Name, Rate, matching
from watcher.image import Reference
from watcher.plan import Place, Plan
from watcher.wave import Share, share
from watcher.window import Freeze, Window

Supply = Literal["pull", "resume", "load"]


class TlsSettings(Model):
    """Files of a mutual TLS connection."""

    ca: Absolute
    cert: Absolute
    key: Absolute


class SshSettings(Model):
    """Files of an SSH connection; without them it is what `ssh` has for the user that toplayer runs as.

    The host's key has to stand in `known_hosts`: an unknown one is never taken.
    """

    key: Absolute | None = None
    known_hosts: Absolute | None = None


class HostSettings(Model):
    """One host. `unix:///path`, `tcp://host:port` and `ssh://user@host[:port][/path]` are Docker engines, the last one
    by a tunnel to its socket (`path`: /var/run/docker.sock); `dir:/path` is a directory without Docker.

    `target` is what stands on the engine for an app: a container of ours (`docker`), the service of a Compose project
    (`compose`), or a service of the swarm that the engine manages (`swarm`). `socket` is where the engine listens on
    its own machine, for those who help it there; the path of its address, or /var/run/docker.sock, unless it is said.
    """

    name: Name
    address: Annotated[
        str,
        matching(
            r"unix:///.+|tcp://[A-Za-z0-9.\[\]:-]+:\d{1,5}|dir:/.+"
            r"|ssh://([A-Za-z0-9_][A-Za-z0-9._-]*@)?([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[^:\s]+)?",
            '"unix:///path", "tcp://host:port", "ssh://user@host" or "dir:/path"',
        ),
    ]
    tls: TlsSettings | None = None
    ssh: SshSettings | None = None
    site: Name | None = None
    target: Literal["docker", "compose", "swarm"] = "docker"
    images: Supply | None = None
    rate: Rate | None = None
    socket: Annotated[str, matching(r"/[^:\s]+", '"/path/of/the.sock"')] | None = None

    @model_validator(mode="after")
    def _has_a_socket(self) -> Self:
        if self.socket and self.kind == "dir":
            raise ValueError("expected no `socket` beside the address of a directory: no engine is there")
        return self

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        where = urlsplit(self.address)
        if where.scheme == "tcp" and self.tls is None and not is_loopback(where.hostname or ""):
            why = "because whoever can speak to an engine is root on its host"
            raise ValueError(f"expected the files of `tls` beside its address, {why}; got {self.address!r} alone")
        return self

    @property
    def kind(self) -> str:
        """The row in the table of targets."""
        return "dir" if self.address.startswith("dir:") else self.target


Hours = Annotated[Window, BeforeValidator(Window.parse)]
Days = Annotated[Freeze, BeforeValidator(Freeze.parse)]
Part = Annotated[str, AfterValidator(lambda text: (share(text), text)[1])]


def _image(text: str) -> str:
    reference = Reference.parse(text) if text else None
    if reference is not None and not (reference.host and (reference.tag or reference.digest)):
        raise ValueError(f"expected host/path:tag or host/path@sha256:…, got {text[:80]!r}")
    return text


class SiteSettings(Model):
    """Hosts behind one link: how many move at once, and at which hours they may be touched (empty: the fleet's).

    `images` is how they get theirs: their engines `pull`; or the helper on each host carries them there, and goes on
    where it was cut off (`resume`); or, where hosts cannot reach the registry, toplayer sends what they lack by the
    connection to their engines (`load`). The last two with no more than `rate` bytes in a second to each.

    `kind` is what the site has in common with others: the first host of each kind is proven before the second.
    """

    at_once: Annotated[int, Field(ge=1, le=1000)] | None = None
    windows: tuple[Hours, ...] = ()
    freeze: tuple[Days, ...] = ()
    kind: str = ""
    images: Supply = "pull"
    rate: Rate | None = None


class FleetSettings(Model):
    """The hosts that run the same image, and how careful a rollout is with them."""

    waves: tuple[Annotated[Share, AfterValidator(lambda wave: (share(wave), wave)[1])], ...] = (1, "100%")
    soak: Duration = timedelta(0)
    jitter: Duration = timedelta(0)
    at_once: Annotated[int, Field(ge=1, le=1000)] = 5
    max_failures: Annotated[int, Field(ge=0)] = 0
    max_failure_share: Part | None = None
    min_sample: Annotated[int, Field(ge=1)] = 10
    approve: tuple[Annotated[int, Field(ge=1)], ...] = ()
    fetch: Literal["in turn", "ahead"] = "in turn"
    drift: Literal["tell", "put right", "ignore"] = "tell"
    drift_every: Duration = timedelta(hours=1)
    puller: Annotated[str, AfterValidator(_image)] = ""
    patience: Duration = timedelta(minutes=15)
    keep: Annotated[int, Field(ge=0, le=100)] = 1
    windows: tuple[Hours, ...] = ()
    freeze: tuple[Days, ...] = ()
    sites: dict[Name, SiteSettings] = Field(default_factory=dict)
    hosts: tuple[HostSettings, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [host.name for host in self.hosts]
        counted = Counter(names)
        twice = sorted(name for name, count in counted.items() if count > 1)
        if twice:
            raise ValueError(f"hosts: expected every name once, got {', '.join(twice)} more than once")
        for n, host in enumerate(self.hosts):
            site = self.sites.get(host.site or "", SiteSettings())
            if said := self._supplies(host, host.images or site.images, host.rate or site.rate):
                raise ValueError(f"hosts[{n}]: {said}")
            if host.site is not None and host.site not in self.sites:
                known = ", ".join(self.sites) or "none"
                raise ValueError(f"hosts[{n}].site: expected one of the fleet's sites ({known}), got {host.site!r}")
        return self

    def _supplies(self, host: HostSettings, by: Supply, rate: int | None) -> str:
        """What is wrong with how a host gets its images."""
        if rate and by == "pull":
            return 'expected a rate only with images = "resume" or "load": an engine\'s own pull has none'
        if by != "pull" and host.kind == "swarm":
            return f'expected images = "pull", because the nodes of a swarm pull by themselves; got "{by}"'
        if by == "resume" and not self.puller:
            return 'images: expected a `puller` for the fleet, because that is who resumes; got "resume"'
        return ""

    @cached_property
    def by_name(self) -> dict[str, HostSettings]:
        """The hosts by their names, each with what its site says for it."""
        return {host.name: self._at_site(host) for host in self.hosts}

    def _at_site(self, host: HostSettings) -> HostSettings:
        if host.site is None:
            return host
        site = self.sites[host.site]
        return host.model_copy(update={"images": host.images or site.images, "rate": host.rate or site.rate})

    @cached_property
    def plan(self) -> Plan:
        """How the fleet is rolled, as `decide` needs to know it."""
        part = share(self.max_failure_share) if self.max_failure_share else 0.0
        anywhere = self._place("", SiteSettings())
        sites = {name: self._place(name, site) for name, site in self.sites.items()}
        return Plan(
            waves=self.waves,
            soak=self.soak,
            at_once=self.at_once,
            max_failures=self.max_failures,
            max_share=float(part),
            min_sample=self.min_sample,
            jitter=self.jitter,
            approve=self.approve,
            ahead=self.fetch == "ahead",
            places={host.name: sites[host.site] if host.site else anywhere for host in self.hosts},
        )

    def _place(self, name: str, site: SiteSettings) -> Place:
        return Place(
            site=name,
            kind=site.kind,
            at_once=site.at_once,
            windows=site.windows or self.windows,
            freezes=(*self.freeze, *site.freeze),
        )
