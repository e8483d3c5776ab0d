"""The order that costs the fewest bytes, and which parts share a layer.

A change of a part sends its layer, and on classic hosts every layer above it. With parts of size s that change at a
rate p, a day costs Σ pᵢ · (sᵢ + sizes above i): the weighted completion time of jobs on one machine, which Smith's rule
minimises (W. E. Smith, 1956): from the bottom up, ascending p/s. The same is true of layers, whatever is in them.

A layer more costs some bytes of manifest and configuration with every change, and their number has a limit. With
either it is a batching problem, and strongly NP-hard (M. Ji, Y. He, T. C. E. Cheng, 2007): of few parts the best of all
ways is found, of many a good one.
"""

from collections.abc import Sequence

from watcher.layers.cuts import cut
from watcher.layers.part import Layer, Part, Stack, Terms
from watcher.layers.sharing import FEW, best_of_all, by_heat, heat, improved


def plan(parts: Sequence[Part], terms: Terms) -> Stack:
    """The layers for these parts, at most `terms.most` of them. Of up to `FEW` parts nothing is cheaper.

    Of more: Smith's order, cut where it is cheapest, and then improved for as long as moving one part or one layer to
    another layer makes it cheaper.
    """
    ordered = smith(parts)
    few = len(ordered) <= FEW
    groups = best_of_all(ordered, terms) if few else improved(cut(ordered, terms), terms)
    # In a layer as in the whole: what is in it is the same for everybody, whatever it was called first.
    return tuple(Layer.of(smith(group)) for group in by_heat(groups))


def smith(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts from the bottom up; those that are worth the same, by name."""
    return tuple(sorted(parts, key=lambda part: (heat(part.rate, part.size), part.name)))
