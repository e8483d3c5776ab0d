"""Pictures in SVG 1.1: a stack of layers, and lines over time. Text in, text out; names are inert in them."""

from collections.abc import Mapping, Sequence
from html import escape
from math import sqrt
from typing import Any

from watcher.layers.outlook import every, rows
from watcher.units import size

_FONT = 'font-family="sans-serif" font-size="12"'
_COLOURS = ("#9aa5b1", "#c98f2f", "#7a5ea8", "#3f7f5f", "#c0392b")
_WIDTH = 900


def stack_svg(app: str, outlook: Mapping[str, Any]) -> str:
    """The layers of an outlook's JSON, bottom at the bottom: as high as they are large, as red as they are hot."""
    layers, y = every(outlook), 40.0
    largest = max((sqrt(layer["size"]) for layer in layers), default=1.0) or 1.0
    hottest = max((layer["rate"] or 0.0 for layer in layers), default=0.0) or 1.0
    shapes = []
    for layer, cells in reversed(list(zip(layers, rows(outlook), strict=True))):
        height = 16 + 64 * sqrt(layer["size"]) / largest
        heat = round(255 * (1 - sqrt((layer["rate"] or 0.0) / hottest) * 0.75))
        said = f"{cells[5]}: {', '.join(filter(None, cells[1:3]))}; a bump costs {cells[4]} instead of {cells[3]}"
        shapes.append(
            f'<rect x="20" y="{y:.1f}" width="120" height="{height:.1f}" fill="rgb(255,{heat},{heat})" {_EDGE}/>'
        )
        shapes.append(f'<text x="150" y="{y + height / 2 + 4:.1f}" {_FONT}>{escape(said)}</text>')
        y += height
    daily = outlook["bytes_per_day"]
    title = f"{app}: {size(daily['planned'])} a day per host as planned, {size(daily['today'])} now"
    return _svg(y + 20, [f'<text x="20" y="24" {_FONT} font-weight="bold">{escape(title)}</text>', *shapes])


_EDGE = 'stroke="#555" stroke-width="0.5"'


def lines_svg(title: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Lines that only rise: `(share of the time, bytes)` by their names, on a logarithmic scale, largest first."""
    from math import log10

    top, bottom, left, right = 50.0, 380.0, 90.0, 640.0
    values = [value for points in series.values() for _, value in points if value > 0]
    low, high = (log10(min(values)), log10(max(values))) if values else (0.0, 1.0)
    low, high = float(int(low)), float(int(high) + 1)

    def place(share: float, value: float) -> str:
        height = (log10(value) - low) / (high - low) if value > 0 else 0.0
        return f"{left + share * (right - left):.1f},{bottom - height * (bottom - top):.1f}"

    shapes = [f'<text x="20" y="24" {_FONT} font-weight="bold">{escape(title)}</text>']
    for power in range(int(low), int(high) + 1):
        y = bottom - (power - low) / (high - low) * (bottom - top)
        shapes.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>')
        shapes.append(f'<text x="20" y="{y + 4:.1f}" {_FONT}>{size(10.0**power)}</text>')
    for number, (name, points) in enumerate(series.items()):
        colour, last = _COLOURS[number % len(_COLOURS)], points[-1][1] if points else 0.0
        drawn = " ".join(place(share, value) for share, value in points if value > 0)
        shapes.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = 60 + 22 * number
        shapes.append(f'<rect x="{right + 20}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        shapes.append(f'<text x="{right + 36}" y="{y}" {_FONT}>{escape(f"{name}: {size(last)}")}</text>')
    return _svg(400, shapes)


def _svg(height: float, shapes: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:.0f}">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{height:.0f}" fill="white"/>', *shapes, "</svg>", ""])
