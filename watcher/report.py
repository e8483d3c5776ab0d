"""One rollout as a page: when what happened on which host, and what it cost. Pure; one file that loads nothing."""

import html
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from watcher.inert import inert
from watcher.units import size, span

_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 64em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: 2px 8px; vertical-align: top }
th { border-bottom: 1px solid #999 } td.n { text-align: right; white-space: nowrap } .bar { position: relative;
height: 14px; background: #eee; min-width: 12em } .bar i { position: absolute; top: 0; bottom: 0; min-width: 1px }
.pull { background: #4878a8 } .swap { background: #c44e52 } .healthy { background: #6aa56a } .bytes { background:
#8172b2 } .key i { display: inline-block; width: 1em; height: .8em; margin: 0 .3em 0 1em }
"""
_PARTS = (("pull", "pull_seconds"), ("swap", "swap_seconds"), ("healthy", "healthy_seconds"))


def page(rollout: Mapping[str, Any]) -> str:
    """The page of a rollout (a row as `watcher.view.rollout_row` makes it) as HTML. Strangers' words are text in it."""
    title = f"{_text(rollout['id'])} {_text(rollout['stage'])}"
    policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    return "\n".join(
        [
            "<!doctype html>",
            f"<html lang=en><head><meta charset=utf-8>{policy}<title>{title}</title><style>{_STYLE}</style></head>",
            f"<body><h1>{title}</h1>",
            f"<p>{_text(rollout['reason'])}</p>" if rollout["reason"] else "",
            _facts(rollout),
            "<h2>Waves</h2>",
            _waves(rollout),
            "<h2>Hosts</h2>",
            "<p class=key><i class=pull></i>pull<i class=swap></i>swap<i class=healthy></i>until healthy</p>",
            _hosts(rollout),
            "<h2>Bytes</h2>",
            _bytes(rollout),
            "</body></html>\n",
        ]
    )


def _facts(rollout: Mapping[str, Any]) -> str:
    hosts = rollout["hosts"]
    travelled = [host["bytes"] for host in hosts if host["bytes"] is not None]
    layers = f"{rollout['new_layers']} of {rollout['layers']}, {size(rollout['new_size'])}" if rollout["layers"] else ""
    rows = [
        ("commit", rollout["commit"]),
        ("image", rollout["image"]),
        ("why", rollout["cause"]),
        ("new layers", layers),
        ("foreseen", "; ".join(rollout["told"])),
        ("warning", rollout["warning"]),
        ("hosts done", f"{sum(host['stage'] == 'done' for host in hosts)} of {len(hosts)}"),
        ("bytes to all hosts", size(sum(travelled)) if travelled else ""),
        ("from the upstream release to the last host", _between(rollout["released_at"], rollout["done_at"])),
        ("from the merge to the last host", _between(rollout["merged_at"], rollout["done_at"])),
    ]
    return _table([], [[name, value] for name, value in rows if value])


def _waves(rollout: Mapping[str, Any]) -> str:
    cells = [
        [wave["wave"], _when(wave["at"]), _span(wave["from_release"]), _span(wave["from_merge"])]
        for wave in rollout["waves"]
    ]
    return _table(["wave", "opened", "after the release", "after the merge"], cells)


def _hosts(rollout: Mapping[str, Any]) -> str:
    start, end = _range(rollout)
    rows = []
    for host in rollout["hosts"]:
        figures = "".join(f"<td class=n>{_span(host[key])}</td>" for _, key in _PARTS)
        name, stage = _text(host["name"]), _text(host["stage"])
        bar, reason = _timeline(host, start, end), _text(host["reason"])
        rows.append(f"<tr><td>{name}</td><td>{stage}</td><td>{bar}</td>{figures}<td>{reason}</td></tr>")
    head = "".join(f"<th>{name}</th>" for name in ("host", "stage", "", "pull", "swap", "healthy", "reason"))
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _timeline(host: Mapping[str, Any], start: float, end: float) -> str:
    """The parts of a host's swap, one behind the other, on the rollout's own scale of time."""
    if not host["called_at"]:
        return "<div class=bar></div>"
    at, parts = _seconds(host["called_at"]) - start, []
    for kind, key in _PARTS:
        took = host[key] or 0.0
        left, width = (100 * value / (end - start) for value in (at, took))
        parts.append(f'<i class={kind} style="left:{left:.2f}%;width:{width:.2f}%"></i>')
        at += took
    return f"<div class=bar>{''.join(parts)}</div>"


def _range(rollout: Mapping[str, Any]) -> tuple[float, float]:
    times = [_seconds(host[key]) for host in rollout["hosts"] for key in ("called_at", "since") if host[key]]
    start = min(times, default=0.0)
    return start, max(max(times, default=0.0), start + 1)


def _bytes(rollout: Mapping[str, Any]) -> str:
    most = max((host["bytes"] or 0 for host in rollout["hosts"]), default=0) or 1
    rows = []
    for host in rollout["hosts"]:
        bar = f'<div class=bar><i class=bytes style="left:0;width:{100 * (host["bytes"] or 0) / most:.2f}%"></i></div>'
        said = size(host["bytes"]) if host["bytes"] is not None else ""
        rows.append(f"<tr><td>{_text(host['name'])}</td><td>{bar}</td><td class=n>{said}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _table(head: list[str], rows: list[list[Any]]) -> str:
    top = f"<tr>{''.join(f'<th>{_text(name)}</th>' for name in head)}</tr>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{top}{body}</table>"


def _text(value: Any) -> str:
    return html.escape(inert(str("" if value is None else value)))


def _span(seconds: float | None) -> str:
    return "" if seconds is None else span(seconds)


def _between(since: str | None, until: str | None) -> str:
    return span(_seconds(until) - _seconds(since)) if since and until else ""


def _when(iso: str) -> str:
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
