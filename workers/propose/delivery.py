"""What a change of the lock will cost the hosts, by the layers of the image that they run now. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from watcher.lockfiles.diff import LockDiff
from watcher.pin import Pin
from watcher.units import size, span
from workers.propose.facts import Facts, Layer
from workers.propose.links import Link
from workers.propose.markdown import block, code

_MOST, _LONGEST = 10, 6_000
_BASE = "oci"
"""The ecosystem of what the whole image stands on."""


def delivery(diff: LockDiff, facts: Facts) -> Iterator[str]:
    """The chapter about it; none where nobody knows the layers. Of an app with a Dockerfile it says what a build makes
    anew.

    What changes is taken to be as large as it is today, but for what the packages in it are known to gain or lose.
    """
    if facts.foretold:
        said = "\n".join(facts.foretold)
        yield f"### What a build makes anew\n\n{block(said, _LONGEST)}"
    if not any(layer.components for layer in facts.layers):
        return
    hit = _hit(diff, facts.layers)
    fresh = [_after(facts.layers[n], diff) for n in sorted(hit)]
    above = [_after(layer, diff) for n, layer in enumerate(facts.layers) if hit and n >= min(hit)]
    yield "\n".join(
        [
            "### What a host downloads",
            "",
            *_by_kind(fresh, above, facts),
            *(f"- and {code(pin.package)}, which is new: {_arrival(pin, facts, diff)}" for pin in diff.added[:_MOST]),
            *_by_link(fresh, above, sum(diff.size_of(pin) or 0 for pin in diff.added), facts.links),
        ]
    )


def _hit(diff: LockDiff, layers: Sequence[Layer]) -> Collection[int]:
    """The layers that something of the change is in. The base's are those below the first one with a package in it."""
    moved = {f"{pin.ecosystem}:{pin.package}" for pin in (*(c.after for c in diff.changed), *diff.removed)}
    hit = {n for n, layer in enumerate(layers) if moved & set(layer.components)}
    if any(change.after.ecosystem == _BASE for change in diff.changed):
        hit |= set(range(next(n for n, layer in enumerate(layers) if layer.components)))
    return hit


def _after(layer: Layer, diff: LockDiff) -> Layer:
    """The layer with what its packages gain and lose, as far as the sizes of their files tell."""
    here = set(layer.components)
    gained = 0
    for change in diff.changed:
        before, after = diff.size_of(change.before), diff.size_of(change.after)
        if f"{change.after.ecosystem}:{change.after.package}" in here and before is not None and after is not None:
            gained += after - before
    gained -= sum(diff.size_of(pin) or 0 for pin in diff.removed if f"{pin.ecosystem}:{pin.package}" in here)
    return replace(layer, size=max(layer.size + gained, 0))


def _by_kind(fresh: Sequence[Layer], above: Sequence[Layer], facts: Facts) -> Iterator[str]:
    """A line for each kind of host that there is; for each that there may be, where nobody has asked them."""
    if not fresh:
        yield f"- only what is new: all {len(facts.layers)} layers of the image that runs now are reused"
        return
    hosts, classic, unknown = (
        sum(getattr(link, name) for link in facts.links) for name in ("hosts", "classic", "unknown")
    )
    kinds = (
        ("the containerd image store", hosts - classic - unknown, fresh, ""),
        ("a classic graph driver", classic, above, " (what lies above comes again)"),
    )
    for name, count, layers, remark in kinds:
        if count or unknown or not hosts:
            many = f" ({_hosts(count)})" if count and not unknown else ""
            yield f"- with {name}{many}: about {_weight(layers)}, {_count(layers)}{remark}"
    below = facts.layers[: len(facts.layers) - len(above)]
    if below:
        yield f"- reused: {_count(below)} below, {_weight(below)}"


def _by_link(fresh: Sequence[Layer], above: Sequence[Layer], new: int, links: Sequence[Link]) -> Iterator[str]:
    """How long it will take, for each link whose rate is known."""
    for link in [one for one in links if one.rate][:_MOST]:
        layers = above if link.classic or link.unknown else fresh
        bytes_ = sum(layer.size for layer in layers) + new
        where = f"{code(link.site)} ({_hosts(link.hosts)})" if link.site else _hosts(link.hosts)
        why = "that the settings allow" if link.is_set else "of the last pulls there"
        if bytes_:
            yield f"- {where}: about {span(bytes_ / link.rate)} for each, at the {size(link.rate)}/s {why}"


def _arrival(pin: Pin, facts: Facts, diff: LockDiff) -> str:
    """What a package that was not there weighs; else, at most as much as the largest file that could be installed."""
    known = diff.size_of(pin)
    if known is not None:
        return size(known)
    release = facts.releases.get((pin.package, pin.version))
    files = release.files if release else ()
    sizes = [file.size for file in files if file.size and file.filename.endswith((".whl", ".zip"))]
    return f"at most {size(max(sizes))}" if sizes else "no size is known yet"


def _weight(layers: Sequence[Layer]) -> str:
    return size(sum(layer.size for layer in layers))


def _count(layers: Sequence[Layer]) -> str:
    return f"{len(layers)} layer{'' if len(layers) == 1 else 's'}"


def _hosts(count: int) -> str:
    return f"{count} host{'' if count == 1 else 's'}"
