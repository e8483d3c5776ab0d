"""Which release, if any: a pure function that gives its reasons.

The newest release that no rule refuses is the candidate. Where an advisory hits the pin and that one does not help, or
there is none, it is the lowest release that is not hit: it waits for no cooldown, so it should change as little as it
can.
"""

from collections.abc import Sequence
from datetime import datetime

from watcher.decision import Decision, Reason, Verdict
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.release import Release
from watcher.rules import ALWAYS, USUALLY, Case, Rules, asked, clock, no
from watcher.units import listed


def choose(pin: Pin, lookup: Lookup, rules: Rules, now: datetime) -> Decision:
    """What `rules` make of the releases in `lookup` for `pin`, at `now` (UTC).

    TAKEN: `candidate` may be proposed. HELD: not before the time in the reasons. REFUSED: nothing comes of what is
    newer, or the package is not on the index at all. CURRENT: nothing is newer. UNKNOWN: the index did not answer; then
    `candidate` and `reasons` are what its last answer comes to today, and nothing should be done on them.
    """
    case = Case(pin, lookup, rules, now)
    releases = sorted(lookup.releases, key=lambda release: case.scheme.key(release.version), reverse=True)
    reasons = _considered(releases, case)
    candidate = next((reason.version for reason in reasons if reason.verdict is Verdict.TAKEN), "")
    verdict = _verdict(case, reasons)
    return Decision(
        app=rules.app,
        package=pin.package,
        at=now,
        current=pin.version,
        newest=releases[0].version if releases else "",
        candidate=candidate,
        verdict=verdict,
        said=_said(case, reasons, verdict),
        reasons=reasons,
        index=lookup.index,
        advisories=tuple(sorted(case.hits)),
        fixes=tuple(case.fixes(candidate)) if candidate else (),
        flaw=_flaw(case),
        status=lookup.status,
    )


def _considered(releases: Sequence[Release], case: Case) -> tuple[Reason, ...]:
    """A reason for each release that is newer than the pin; `releases` are newest first."""
    newer = [release for release in releases if case.scheme.is_newer(release.version, case.pin.version)]
    never = {release.version: asked(ALWAYS, case, release) for release in newer}
    able = [release for release in newer if never[release.version] is None]
    usually = {release.version: asked(USUALLY, case, release) for release in able}
    usual = next((release for release in able if usually[release.version] is None), None)
    fix = _fix(able, usual, case)
    taken = fix or usual
    return tuple(
        never[release.version] or _last_word(release, usually[release.version], taken, fix is not None, case)
        for release in newer
    )


def _fix(able: Sequence[Release], usual: Release | None, case: Case) -> Release | None:
    """The lowest release that fixes most of what hits the pin, if that is more than the usual choice would."""
    if not case.hits or not able:
        return None
    best = max(reversed(able), key=lambda release: len(case.fixes(release.version)))
    most = len(case.fixes(best.version))
    return best if most > (len(case.fixes(usual.version)) if usual else 0) else None


def _last_word(release: Release, usually: Reason | None, taken: Release | None, is_fix: bool, case: Case) -> Reason:
    """Of a release that could be taken: whether it is, and else why another one is."""
    if release is taken:
        fixes = listed(case.fixes(release.version))
        said = f"{release.version} fixes {fixes} and may come in" if fixes else f"{release.version} may come in"
        rule = "security" if is_fix else "newest"
        return Reason(version=release.version, verdict=Verdict.TAKEN, rule=rule, said=said)
    if usually is not None:
        return usually
    assert taken is not None
    if is_fix and case.scheme.key(release.version) > case.scheme.key(taken.version):
        return no(release, "lowest", f"{taken.version} is the lowest that fixes {listed(case.hits)}")
    return no(release, "newest", f"{taken.version} is newer")


def _verdict(case: Case, reasons: Sequence[Reason]) -> Verdict:
    if any(case.never()) or case.lookup.outcome is Outcome.ABSENT:
        is_quiet = case.lookup.outcome is Outcome.ANSWER and not reasons and not case.rules.unrouted
        return Verdict.CURRENT if is_quiet and case.lookup.status != "quarantined" else Verdict.REFUSED
    if case.lookup.outcome is Outcome.UNKNOWN:
        return Verdict.UNKNOWN
    found = {reason.verdict for reason in reasons}
    return next((v for v in (Verdict.TAKEN, Verdict.HELD, Verdict.REFUSED) if v in found), Verdict.CURRENT)


def _said(case: Case, reasons: Sequence[Reason], verdict: Verdict) -> str:
    lookup, (_, never) = case.lookup, case.never()
    if never and verdict is Verdict.REFUSED:
        return f"{_against(case)}{never}{_taken_back(case)}"
    if lookup.outcome is Outcome.ABSENT:
        return f"{lookup.package} is not on the index {lookup.index}"
    if lookup.outcome is Outcome.ANSWER:
        return _in_short(case, reasons)
    why = f"not looked: {lookup.reason or 'the index has not been asked yet'}"
    if lookup.answered_at is None:
        return why
    return f"{why}; its answer of {clock(lookup.answered_at)} comes to: {_in_short(case, reasons)}"


def _against(case: Case) -> str:
    """What is known against the pin as it is, to stand before everything else."""
    if not case.hits:
        return ""
    names = [f"{name} (malware)" if hit.malware else name for name, hit in sorted(case.hits.items())]
    return f"{listed(names)} {'affects' if len(names) == 1 else 'affect'} {case.pin.version}; "


def _in_short(case: Case, reasons: Sequence[Reason]) -> str:
    status = f"; its index calls it {case.lookup.status}" if case.lookup.status else ""
    if status and case.lookup.status_said:
        status += f": {case.lookup.status_said}"
    return f"{_against(case)}{_of_releases(case, reasons)}{status}"


def _of_releases(case: Case, reasons: Sequence[Reason]) -> str:
    if not reasons:
        return f"nothing is newer than {case.pin.version}{_of_current(case)}"
    newest = reasons[0]
    by_verdict = {reason.verdict: reason for reason in reversed(reasons)}
    best = by_verdict.get(Verdict.TAKEN) or by_verdict.get(Verdict.HELD) or newest
    said = f"{best.said}; {newest.said}" if best is not newest and best.said != newest.said else best.said
    return said + _taken_back(case)


def _of_current(case: Case) -> str:
    if case.release is None:
        return ", which is not on the index" if case.lookup.releases else ", and the index has no release at all"
    return f", which {_flaw(case)}" if _flaw(case) else ""


def _taken_back(case: Case) -> str:
    return f"; {case.pin.version} {_flaw(case)}" if _flaw(case) else ""


def _flaw(case: Case) -> str:
    """What is wrong with the pin's own release, if anything is."""
    if case.release is None:
        return ""
    yanked, moved = case.release.yanked, case.release.moved
    return f"is yanked: {yanked}" if yanked is not None else f"is not what it was: {moved}" if moved else ""
