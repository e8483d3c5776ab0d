"""What follows from decisions: the bumps that they are. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from watcher.bump import Bump, BumpStage, Part
from watcher.decision import Decision, Verdict
from watcher.head import Head
from watcher.inert import inert
from watcher.known import Known
from watcher.lockfiles import ecosystem_of
from watcher.past import Past
from watcher.settings import Settings
from watcher.tend import stands

Changes = list[tuple[Bump | None, Bump]]


def followed(
    decisions: Sequence[Decision], bumps: Iterable[Bump], head: Head, known: Known, past: Past, now: datetime
) -> Changes:
    """The changes after which an app's bumps are those that its decisions are: what is new, and what is not wanted any
    more. Of a package in several versions the decisions stand in the order in which they count. `bumps` are all of the
    app's, also those that have ended.
    """
    by_id = {bump.id: bump for bump in bumps}
    wanted = _wanted(decisions, by_id.values(), known.settings, past)
    changes: Changes = []
    for bump in by_id.values():
        if bump.stage is BumpStage.FOUND and not bump.by and bump.id not in wanted:
            said = _why_not(bump, decisions)
            changes += [(bump, bump.at(BumpStage.SUPERSEDED, now, reason=said))] if said else []
        if bump.stage is BumpStage.PROPOSED and stands(bump, head):
            said = _taken_back(bump, decisions)
            changes += [(bump, bump.at(BumpStage.SUPERSEDED, now, reason=said))] if said else []
    changes += [(by_id.get(id), _found(by_id.get(id), one, known, now)) for id, one in wanted.items()]
    return changes


def _found(before: Bump | None, wanted: "_Wanted", known: Known, now: datetime) -> Bump:
    """A bump that is wanted, as it is then: found, or as it was."""
    if before is not None and before.stage.is_open:
        # What was found as any other may be a fix by now. Nothing else of it is looked up again.
        same = before.advisories == wanted.fixes
        return before if same else replace(before, advisories=wanted.fixes, why=wanted.said)
    fresh = _bump(wanted, known, now)
    if before is None:
        return fresh
    # It gave way to something newer that is not to be had any more. Or it failed, and keeps its words: if it fails with
    # others, people hear of it again.
    said = before.reason if before.stage is BumpStage.FAILED else ""
    return replace(fresh, reason=said, revision=before.revision)


_TAKEN_BACK = ("yanked", "moved", "malware", "advisory")
"""Rules by which a release that was good when it was proposed is not any more."""
_LOOKED_AT = ("moved",)
"""Those of them that are only there until a person has looked."""


def _taken_back(bump: Bump, decisions: Iterable[Decision]) -> str:
    """Why a bump that waits on a branch of ours should not be merged any more. Otherwise what was chosen stays so."""
    rules = [rule for rule in _TAKEN_BACK if not bump.by or rule not in _LOOKED_AT]
    to = {part.package: part.to_version for part in bump.parts}
    for decision in decisions:
        for reason in decision.reasons if decision.package in to else ():
            if reason.version == to[decision.package] and reason.rule in rules:
                return reason.said
    return ""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Decisions that make one bump, in the order of their packages, and what the policy calls them together."""

    members: Sequence[Decision]
    group: str = ""

    @property
    def id(self) -> str:
        first = self.members[0]
        if len(self.members) > 1:
            return Bump.id_of_group(first.app, self.group, _parts(self.members))
        return Bump.id_of(first.app, first.package, first.candidate)

    @property
    def fixes(self) -> tuple[str, ...]:
        """The advisories that it is for."""
        return tuple(sorted({name for one in self.members for name in one.fixes}))

    @property
    def said(self) -> str:
        """Why, for people."""
        alone = len(self.members) == 1
        return inert("; ".join(one.said if alone else f"{one.package}: {one.said}" for one in self.members))


def _wanted(decisions: Sequence[Decision], bumps: Iterable[Bump], settings: Settings, past: Past) -> dict[str, _Wanted]:
    """By their ids the bumps that the decisions are, but for what is proposed already: one per package, or per group of
    them. Where a group would fail, each of its packages is tried by itself.
    """
    groups: dict[tuple[str, str], list[Decision]] = {}
    for package, decision in sorted(_next(decisions, bumps).items()):
        group = _group(decision, settings)
        groups.setdefault((group, "" if group else package), []).append(decision)
    together = [_Wanted(members, group) for (group, _), members in groups.items()]
    apart = [_Wanted([member]) for one in together if one.id in past.groups for member in one.members]
    return {one.id: one for one in (*together, *apart) if one.id not in past.groups}


def _next(decisions: Sequence[Decision], bumps: Iterable[Bump]) -> dict[str, Decision]:
    """For each package what is to be proposed: of several pins of it one after the other, those that fix something
    first. What is proposed for one of them has the branch of the package until it is merged or closed.
    """
    pinned = {decision.subject for decision in decisions}
    waiting = [(bump, part) for bump in bumps if bump.stage is BumpStage.PROPOSED for part in bump.parts]
    found: dict[str, Decision] = {}
    for decision in decisions:
        mine = [(bump, part) for bump, part in waiting if part.package == decision.package]
        if decision.verdict is not Verdict.TAKEN or any(part.to_version == decision.candidate for _, part in mine):
            continue
        others = [bump for bump, part in mine if (part.package, part.from_version) in pinned - {decision.subject}]
        if others and (not decision.fixes or any(bump.advisories for bump in others)):
            continue
        first = found.get(decision.package)
        if first is None or (decision.fixes and not first.fixes):
            found[decision.package] = decision
    return found


def _parts(members: Iterable[Decision]) -> list[Part]:
    return [Part(one.package, one.current, one.candidate) for one in members]


def _group(decision: Decision, settings: Settings) -> str:
    """A bump is of one lockfile: what a policy puts into one group is one of them for each."""
    app, ecosystem = settings.apps[decision.app], settings.indexes[decision.index].kind
    wished = app.policy.of(decision.package).group
    return wished if not wished or ecosystem == ecosystem_of(app.lock) else f"{wished}-{ecosystem}"


def _bump(wanted: _Wanted, known: Known, now: datetime) -> Bump:
    first, *rest = members = wanted.members
    times = [_released_at(one, known) for one in members]
    return Bump(
        id=wanted.id,
        app=first.app,
        ecosystem=known.settings.indexes[first.index].kind,
        package=first.package,
        from_version=first.current,
        to_version=first.candidate,
        group=wanted.group,
        others=tuple(_parts(rest)),
        advisories=wanted.fixes,
        found_at=now,
        released_at=min((at for at in times if at), default=None),
        why=wanted.said,
    )


def _released_at(one: Decision, known: Known) -> datetime | None:
    """When the candidate was released: as the decision's index has it, or another one that may have the package."""
    names = dict.fromkeys((one.index, *known.settings.indexes))
    lookups = (known.lookups.get((name, one.package)) for name in names)
    releases = (release for lookup in lookups if lookup for release in lookup.releases)
    return next((release.released_at for release in releases if release.version == one.candidate), None)


def _why_not(bump: Bump, decisions: Iterable[Decision]) -> str:
    """Why a bump that was found is not wanted any more; empty while we cannot know."""
    to = {part.package: part.to_version for part in bump.parts}
    mine = [decision for decision in decisions if decision.package in to]
    if any(decision.verdict is Verdict.UNKNOWN for decision in mine):
        return ""
    agree = {decision.package for decision in mine if decision.candidate == to[decision.package]}
    other = next((one for one in mine if one.package not in agree), None)
    if other is None:
        return "it is part of another bump now, or waits for one" if mine else "its packages are gone"
    return f"{other.candidate} is the choice now" if other.verdict is Verdict.TAKEN else other.said
