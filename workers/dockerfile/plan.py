"""One build, and the command for it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from watcher.image import Platform
from workers.dockerfile.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One build: `dockerfile` is the file itself, `name` what people call it, `context` a directory, `contexts` others
    by the names that the Dockerfile has for them.

    `secrets` are files by their ids, `hidden` the texts in them. `cache_from` are images to start from, `cache` is
    where the cache of all stages is kept.
    """

    dockerfile: Path
    name: str
    context: Path
    platform: Platform
    tag: str = ""
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, Path] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    ssh: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    cache_from: Sequence[str] = ()
    cache: str = ""
    network: str = "default"
    hidden: Collection[str] = ()
    deadline: timedelta = timedelta(minutes=30)


def argv(client: Client, plan: Plan) -> list[str]:
    """The command of a build."""
    words = [*client.build, "--progress=plain", f"--file={plan.dockerfile}"]
    words += [f"--platform={plan.platform}", f"--network={plan.network}"]
    words += [f"--tag={plan.tag}"] if plan.tag else []
    words += [f"--target={plan.target}"] if plan.target else []
    words += [f"--build-arg={name}={value}" for name, value in sorted(plan.arguments.items())]
    words += [f"--build-context={name}={path}" for name, path in sorted(plan.contexts.items())]
    # The image itself tells the next builder what it may keep.
    words.append("--build-arg=BUILDKIT_INLINE_CACHE=1")
    words += [f"--secret=id={id},src={path}" for id, path in sorted(plan.secrets.items())]
    words += [f"--ssh={id}={path}" for id, path in sorted(plan.ssh.items())]
    words += [f"--label={name}={value}" for name, value in sorted(plan.labels.items())]
    words += [f"--cache-from={image}" for image in plan.cache_from]
    if plan.cache:
        words += [f"--cache-from=type=registry,ref={plan.cache}"]
        # A cache is worth time, and no build: what cannot be kept is said, and the image is made all the same.
        words += [f"--cache-to=type=registry,ref={plan.cache},mode=max,ignore-error=true"]
    return [*words, "--", str(plan.context)]
