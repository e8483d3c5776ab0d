"""What happened. An event follows from a change of an entry, so no step can forget to tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watcher.bump import Bump, BumpStage
from watcher.entry import Entry
from watcher.head import Head
from watcher.lookup import IndexState
from watcher.proposal import Proposals
from watcher.rollout import HostStage, HostState, Rollout

Fact = str | int | float | bool | None
STALLED_AFTER = 5
"""Attempts in a row after which a step that does not get through is worth a notice."""

SILENT_AFTER = timedelta(minutes=30)
"""How long an index may leave packages unknown before that is worth a notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the audit: at `at` (UTC) `kind` happened to `subject` (an entry's name) of `app`.

    `id` is the ledger's, and counts upwards; it is None until the event is written. Facts are plain JSON values.
    """

    at: datetime
    kind: str
    app: str
    subject: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    id: int | None = None


def told(before: Entry | None, after: Entry, now: datetime) -> Event | None:
    """The event that the change from `before` to `after` is, or None if it is nobody's business."""
    match after:
        case Bump():
            return _of_bump(before if isinstance(before, Bump) else None, after, now)
        case Rollout():
            return _of_rollout(before if isinstance(before, Rollout) else None, after, now)
        case HostState():
            return _of_host(before if isinstance(before, HostState) else None, after, now)
        case Head():
            return _of_head(before if isinstance(before, Head) else None, after, now)
        case IndexState():
            return _of_index(before if isinstance(before, IndexState) else None, after, now)
        case Proposals():
            return _of_proposals(before if isinstance(before, Proposals) else None, after, now)
        case _:
            return None


def _of_proposals(before: Proposals | None, after: Proposals, now: datetime) -> Event | None:
    if after.reason and after.attempts == STALLED_AFTER:
        verb = "unreachable"
    elif before is not None and before.attempts >= STALLED_AFTER and not after.attempts:
        verb = "answers"
    else:
        return None
    return Event(at=now, kind=f"forge.{verb}", app=after.app, subject=after.app, facts=_said({"reason": after.reason}))


def _of_bump(before: Bump | None, after: Bump, now: datetime) -> Event | None:
    if before is not None and _is_as_before(before, after):
        return None
    verb = _verb(before.stage if before else None, after.stage, after)
    if verb == "stalled" and before is not None and before.attempts == after.attempts:
        verb = None  # it is about another change, and was told
    if verb is None and before is not None and after.url and not before.url:
        verb = "opened"
    if verb is None:
        return None
    if before is not None and (before.stage, after.stage) == (BumpStage.PROPOSED, BumpStage.FOUND):
        verb = "sent_back"
    facts: dict[str, Fact] = {
        "package": after.package,
        "from": after.from_version,
        "to": after.to_version,
        "with": ", ".join(f"{part.package} {part.from_version} → {part.to_version}" for part in after.others),
        "why": after.why,
        "branch": after.branch,
        "commit": after.commit,
        "url": after.url,
        "reason": after.reason,
    }
    return Event(at=now, kind=f"bump.{verb}", app=after.app, subject=after.id, facts=_said(facts))


def _is_as_before(before: Bump, after: Bump) -> bool:
    """Whether what failed is tried again, or fails again for the reason that was told already."""
    stages = {before.stage, after.stage}
    return stages == {BumpStage.FOUND, BumpStage.FAILED} and before.reason == after.reason


def _of_rollout(before: Rollout | None, after: Rollout, now: datetime) -> Event | None:
    verb = _verb(before.stage if before else None, after.stage, after)
    if verb is None and before is not None and after.wave > before.wave:
        verb = "wave"
    if verb is None:
        return None
    facts: dict[str, Fact] = {
        "commit": after.commit,
        "image": after.image,
        "cause": after.cause,
        "wave": after.wave or None,
        "reason": after.reason,
    }
    if verb == "built" and after.built:
        facts |= {
            "layers": after.built.layers,
            "new_layers": after.built.new_layers,
            "new_size": after.built.new_size,
            "seconds": round(after.built.seconds, 3),
            "warning": after.built.warning,
        }
    if verb == "done" and after.released_at:
        facts["seconds"] = round((now - after.released_at).total_seconds(), 3)
    return Event(at=now, kind=f"rollout.{verb}", app=after.app, subject=after.id, facts=_said(facts))


def _of_host(before: HostState | None, after: HostState, now: datetime) -> Event | None:
    if before is None:
        return None  # a rollout that starts tells once, not once per host
    verb = _of_drift(before, after) or _verb(before.stage, after.stage, after)
    if verb is None:
        return None
    facts: dict[str, Fact] = {
        "host": after.host,
        "bytes": after.bytes,
        "seconds": after.seconds,
        "previous": after.previous,
        "reason": after.reason or after.drift,
    }
    app = after.rollout.partition(":")[0]
    return Event(at=now, kind=f"host.{verb}", app=app, subject=after.name, facts=_said(facts))


def _of_drift(before: HostState, after: HostState) -> str | None:
    if after.drift and after.drift != before.drift:
        return "put_right" if after.stage is HostStage.PENDING else "drifted"
    gone = before.drift and not after.drift and before.stage is after.stage
    return "runs_what_it_should" if gone else None


def _of_head(before: Head | None, after: Head, now: datetime) -> Event | None:
    if after.reason:
        verb = "unreadable" if before is None or not before.reason else None
    elif before is not None and before.reason:
        verb = "readable"
    else:
        verb = "moved" if after.commit != (before.commit if before else "") else None
    if after.remark and after.remark != (before.remark if before else ""):
        verb = "unwatched"
    if verb is None:
        return None
    reason = after.reason or after.remark
    facts: dict[str, Fact] = {"commit": after.commit, "pins": len(after.everything), "reason": reason}
    return Event(at=now, kind=f"app.{verb}", app=after.app, subject=after.app, facts=_said(facts))


def _of_index(before: IndexState | None, after: IndexState, now: datetime) -> Event | None:
    was_silent = before is not None and before.is_silent(SILENT_AFTER)
    if was_silent == after.is_silent(SILENT_AFTER):
        return None
    verb = "answers" if was_silent else "unreachable"
    facts: dict[str, Fact] = {"unknown": after.unknown, "packages": after.packages, "reason": after.reason}
    return Event(at=now, kind=f"index.{verb}", app="", subject=after.index, facts=_said(facts))


def _verb(before: str | None, after: str, entry: Entry) -> str | None:
    if before != after:
        return str(after).replace(" ", "_")
    return "stalled" if entry.attempts == STALLED_AFTER else None


def _said(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    return {key: value for key, value in facts.items() if value not in (None, "")}
