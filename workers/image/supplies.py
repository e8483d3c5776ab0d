"""Everything that a commit's image is made of, and who supplies it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from watcher.layers.part import VENV
from watcher.lockfiles import format_of
from watcher.pin import Pin
from workers.composer import Composer
from workers.image.base import Base
from workers.image.bytecode import Compiled, Compiler, Dated
from workers.image.code import codes
from workers.image.component import Component
from workers.image.elsewhere import Elsewhere
from workers.image.entry import Entry
from workers.image.packages import PHP, Packages, once
from workers.image.recipe import Recipe
from workers.image.sandbox import Sandbox
from workers.image.supply import Over, Own, Supply
from workers.image.tools import Tools
from workers.image.vendor import Vendor
from workers.image.venv import venv
from workers.image.wheel_cache import WheelCache
from workers.image.wheelhouse import Wheelhouse
from workers.image.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Supplies:
    """Who supplies the components of an image, and the pins of those that are packages of Python."""

    every: Sequence[Supply]
    pins: Mapping[Component, Pin]


def supplies_of(
    recipe: Recipe,
    base: Base,
    wheelhouse: Wheelhouse,
    composer: Composer,
    tools: Tools,
    directory: Path,
    now: datetime,
) -> Supplies:
    """Who supplies what the recipe asks for; nothing is fetched yet. A `BuildRefused` for what nobody can install."""
    settings = recipe.image.sandbox
    sandbox = Sandbox(settings, tools.base or base, directory) if settings else None
    cache = WheelCache(tools.cache) if tools.cache else None
    workshop = Workshop(recipe.image, wheelhouse, sandbox, tools.resolve, cache)
    packages = Packages(recipe.pins, recipe.sources, workshop, now)
    vendors = [
        Vendor(recipe.tree, lock, recipe.image, composer, directory, sandbox)
        for lock in recipe.every_lock
        if format_of(lock).ecosystem == PHP
    ]
    own = Own(_own(recipe, [vendor.place for vendor in vendors]))
    code = own.paths(recipe.image.code)
    elsewhere = Elsewhere(recipe.sources, recipe.tree, code, workshop, tools.checkout, now)
    pins = once({**packages.pins, **elsewhere.pins})
    every: list[Supply] = [own, packages, elsewhere, *vendors]
    over: list[Over] = []
    if recipe.image.bytecode == "layer":
        compiler = Compiler(recipe.image, directory)
        over = [Compiled(one, compiler) for one in every[:3]]
    if recipe.image.bytecode == "cache":
        over = [Dated(one) for one in every]
    if over:
        pins = {over[0].of(one): pin for one, pin in pins.items()}
    return Supplies((*over, *every[len(over) :]), pins)


def _own(recipe: Recipe, vendors: Sequence[str]) -> dict[str, list[Entry]]:
    """What an image has besides packages, by component."""
    environment = {VENV: list(venv(recipe.image))} if recipe.image.python else {}
    return {**environment, **codes(recipe.tree, recipe.image, (*recipe.every_lock, *vendors))}
