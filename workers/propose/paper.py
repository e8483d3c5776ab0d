"""What a proposal says: a title, and a body in Markdown that answers what a reviewer wants to know. Pure."""

import html
from collections.abc import Iterator
from datetime import datetime

from watcher.bump import Bump
from watcher.inert import inert
from watcher.lockfiles.diff import LockDiff
from watcher.pin import Pin
from watcher.settings import AppSettings
from watcher.units import size
from workers.propose.delivery import delivery
from workers.propose.facts import Facts
from workers.propose.forges.forge import Paper
from workers.propose.markdown import block, code, link
from workers.propose.message import subject_of

_NOTES, _LONGEST = 12_000, 60_000
"""Characters of what authors say, and of a whole body: GitHub takes 65,536."""
_ROWS = 60


def paper_of(bump: Bump, app: AppSettings, diff: LockDiff, facts: Facts) -> Paper:
    """The paper for a bump whose commit makes `diff` of the lock. The same values give the same paper."""
    parts = [
        _table(bump, diff, facts),
        *_advisories(bump, facts),
        *_notes(facts),
        *_plugins(facts),
        *delivery(diff, facts),
        _afterwards(bump, app, facts),
    ]
    body = "\n\n".join(parts)
    if len(body) > _LONGEST:
        body = "\n\n".join([parts[0], *_advisories(bump, facts), parts[-1]])[:_LONGEST]
    return Paper(branch=bump.branch, title=subject_of(bump), body=body, key=bump.key)


def _table(bump: Bump, diff: LockDiff, facts: Facts) -> str:
    asked = {part.package for part in bump.parts}
    changed = sorted(diff.changed, key=lambda change: (change.after.package not in asked, change.after.package))
    rows = [
        *(_row(c.before, c.after, bump, facts, diff) for c in changed),
        *(_row(None, pin, bump, facts, diff) for pin in diff.added),
        *(
            f"| {code(pin.package)} | {code(pin.version)} | – | | {_bytes(pin, diff)} | nothing needs it any more |"
            for pin in diff.removed
        ),
    ]
    more = f"\n\n… and {len(rows) - _ROWS} more." if len(rows) > _ROWS else ""
    head = ["| package | from | to | released | size | why |", "| --- | --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows[:_ROWS]]) + more


def _row(before: Pin | None, after: Pin, bump: Bump, facts: Facts, diff: LockDiff) -> str:
    package, asked = after.package, {part.package for part in bump.parts}
    why = (bump.why if package in asked else facts.why.get(package, "")) or "the others need it"
    release = facts.releases.get((package, after.version))
    released = _day(release.released_at if release else None)
    older = facts.releases.get((package, before.version)) if before else None
    since = f" (from {_day(older.released_at)})" if older and older.released_at and released else ""
    weight = " → ".join(filter(None, [_bytes(before, diff) if before else "", _bytes(after, diff)]))
    old = code(before.version) if before else "–"
    return f"| {code(package)} | {old} | {code(after.version)} | {released}{since} | {weight} | {code(why)} |"


def _bytes(pin: Pin, diff: LockDiff) -> str:
    known = diff.size_of(pin)
    return size(known) if known is not None else ""


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at else ""


def _advisories(bump: Bump, facts: Facts) -> Iterator[str]:
    if not bump.advisories:
        return
    lines = ["### Fixes", ""]
    for name in bump.advisories:
        known = facts.advisories.get(name)
        said = (
            " ".join(filter(None, [known.severity, code(known.summary), link(known.url) if known.url else ""]))
            if known
            else ""
        )
        lines.append(f"- {code(name)} {said}".rstrip())
    yield "\n".join(lines)


def _notes(facts: Facts) -> Iterator[str]:
    share = _NOTES // max(len(facts.notes), 1)
    for notes in facts.notes:
        title = f"<summary>What the authors of <code>{html.escape(inert(notes.package, 200))}</code> say</summary>"
        source = f"From {link(notes.source)}, as it stands there:"
        yield f"<details>\n{title}\n\n{source}\n\n{block(notes.text, share)}\n\n</details>"


def _plugins(facts: Facts) -> Iterator[str]:
    if facts.plugins:
        names = ", ".join(map(code, facts.plugins[:_ROWS]))
        yield f"### Not run\n\nComposer's plugins that the project has ({names}) had no say in this lock."


def _afterwards(bump: Bump, app: AppSettings, facts: Facts) -> str:
    fleet = (
        f"the {facts.hosts} hosts of {code(facts.fleet)}" if facts.hosts != 1 else f"the host of {code(facts.fleet)}"
    )
    waves = f", in waves of {facts.waves}" if facts.waves else ""
    if facts.approve:
        asked = ", ".join(map(str, facts.approve))
        which = f"wave {asked} waits" if len(facts.approve) == 1 else f"waves {asked} wait"
        waves += f" ({which} for `toplayer approve {bump.app}`)"
    rolled = f" and rolls it out to {fleet}{waves}" if facts.hosts else ""
    merged = "A person merges this."
    if app.forge is not None and app.forge.automerge == "checks":
        merged = "toplayer merges this once the required checks are green, unless you commit to the branch."
    return "\n".join(
        [
            "### After the merge",
            "",
            f"{merged} Then toplayer builds an image of {code(app.branch)}{rolled}.",
            "",
            "### To hold it",
            "",
            f"- Close this, and {code(bump.to_version)} does not come again by itself; the next release does.",
            f"- `toplayer pause {bump.app}` stops everything of the app until `toplayer resume {bump.app}`.",
            "- Commit to the branch, and it is yours: toplayer does not write to it any more.",
        ]
    )
