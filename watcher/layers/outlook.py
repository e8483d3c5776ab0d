"""An app's layers as they are, and as the planner would lay them: what a bump of each costs a host."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watcher.layers.choice import Kind, choose, settled
from watcher.layers.order import plan
from watcher.layers.part import Layer, Part, Stack, Terms
from watcher.layers.price import next_costs, price


@dataclass(frozen=True, slots=True)
class Ground:
    """What an image stands on: its name, how many layers it has, and their bytes as they travel."""

    name: str
    layers: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The layers of the newest image (empty: there is none yet), and the parts that the next one is made of.

    Below them lies the `base`, and above them a layer of `shared` bytes, if there is one: what settles files that
    several packages have. Neither is planned. `hosts` says for people what is known of those that download it.
    """

    image: str = ""
    today: Stack = ()
    parts: tuple[Part, ...]
    terms: Terms
    base: Ground | None = None
    shared: int = 0
    hosts: str = ""

    @property
    def compared(self) -> Stack:
        """What the plan is compared with: the newest image, or what most people have: one layer with everything.

        What the image does not have yet is a layer more, on top of it.
        """
        if not self.today:
            return (Layer.of(self.parts),)
        here, held = {part.name for part in self.parts}, {name for layer in self.today for name in layer.names}
        kept = tuple(layer for layer in self.today if not here.isdisjoint(layer.names))
        return (*kept, *(Layer.of([part]) for part in self.parts if part.name not in held))

    @property
    def planned(self) -> Stack:
        """The best layers for hosts that have nothing yet."""
        return plan(settled(self.parts, self.terms), self.terms)

    @property
    def next(self) -> Kind:
        """What the next build would do, if nothing but the plan were new."""
        return choose(self.today, self.parts, self.terms, {}).kind

    def json(self) -> dict[str, Any]:
        """All of it, for machines. Sizes are in bytes, rates in changes per day."""
        planned, compared = self.planned, self.compared
        costs_now, costs_then = (next_costs(stack, self.parts, self.terms) for stack in (compared, planned))
        now, then = (price(stack, stack, self.parts, self.terms) for stack in (compared, planned))
        return {
            "image": self.image,
            "compared": "image" if self.today else "one layer with everything",
            "classic": self.terms.classic,
            "hosts": self.hosts,
            "next": str(self.next),
            "bytes_per_day": {"today": round(now.daily), "planned": round(then.daily)},
            "base": self._base,
            "layers": [
                {
                    "layer": number,
                    "parts": list(layer.names),
                    "size": layer.size,
                    "rate": sum(self._rates[name] for name in layer.names),
                    "bump_today": round(max(costs_now[name] for name in layer.names) + self._on_top),
                    "bump_planned": round(max(costs_then[name] for name in layer.names) + self._on_top),
                }
                for number, layer in enumerate(planned, 1)
            ],
            "shared": self._unplanned("shared", ["files that several packages have"], self.shared, 0.0),
        }

    @property
    def _on_top(self) -> float:
        """What a classic host downloads again with every change, because it lies above everything."""
        return self.terms.classic * self.shared

    @property
    def _base(self) -> dict[str, Any] | None:
        if self.base is None:
            return None
        count = "1 layer" if self.base.layers == 1 else f"{self.base.layers} layers"
        said = f"{self.base.name} ({count})"
        above = self.terms.classic * sum(part.size for part in self.parts) + self._on_top
        return self._unplanned("base", [said], self.base.size, above)

    def _unplanned(self, name: str, parts: Sequence[str], size: int, above: float) -> dict[str, Any] | None:
        cost = round(size + above)
        row = {"layer": name, "parts": list(parts), "size": size, "rate": None}
        return {**row, "bump_today": cost, "bump_planned": cost} if size else None

    @property
    def _rates(self) -> Mapping[str, float]:
        return {part.name: part.rate for part in self.parts}


def every(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All layers of an outlook's JSON, bottom to top, with those that are not planned."""
    return [row for row in (found["base"], *found["layers"], found["shared"]) if row]


def rows(found: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """All layers of an outlook's JSON as cells, bottom to top: number, size, rate, the two costs, parts."""
    from watcher.units import size

    for layer in every(found):
        yield (
            str(layer["layer"]),
            size(layer["size"]),
            "" if layer["rate"] is None else pace(layer["rate"]),
            size(layer["bump_today"]),
            size(layer["bump_planned"]),
            _named(layer["parts"]),
        )


def pace(rate: float) -> str:
    """Changes per day, for people: `every 3 days`, `never`."""
    if rate <= 0:
        return "never"
    if rate >= 1:
        return f"{rate:.2g} a day"
    return f"every {1 / rate:.2g} days" if rate > 1 / 99.5 else f"every {1 / rate:.0f} days"


def _named(parts: Sequence[str]) -> str:
    names = [name.removeprefix("pypi:") for name in parts]
    return " ".join(names) if len(names) <= _MOST else f"{' '.join(names[:_MOST])} and {len(names) - _MOST} more"


_MOST = 6
