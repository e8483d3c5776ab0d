"""The stages of a Dockerfile: what each stands on, what it takes from which, and which of them an image needs."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from watcher.dockerfile.parse import Instruction, Parsed
from watcher.dockerfile.shell import BadSubstitution, expand
from watcher.dockerfile.source import DockerfileUnreadable, Span, Word
from watcher.image import Platform

SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. `base` is what its FROM names, with the variables filled in; `standing_on` the stage that this is.

    `name` is empty without an `AS`; names are compared in lower case. `platform` is what it is built for, and runs on.
    """

    index: int
    name: str
    origin: Instruction
    base: str
    standing_on: int | None
    platform: Platform
    own: tuple[Instruction, ...]

    @property
    def word(self) -> Word:
        """The word that names the base, as it is written."""
        return self.origin.words[0]


@dataclass(frozen=True, slots=True)
class Mention:
    """A place where an image of a registry is named: `name` with the variables filled in, `span` where it is written.

    `is_base`: a stage begins with it; else files are copied from it, or it is what reads the Dockerfile.
    """

    name: str
    span: Span
    is_base: bool


@dataclass(frozen=True, slots=True)
class Stages:
    """All stages, in order, for an image of `platform`. `arguments` are those in front of the first one, with their
    values."""

    parsed: Parsed
    all: tuple[Stage, ...]
    arguments: Mapping[str, str]
    platform: Platform

    @property
    def is_one(self) -> bool:
        """Whether there is nothing but one stage. An image that files are taken from counts as one, and so does the
        nothing that a cache begins with."""
        return len(self.all) == 1 and not any(sources(one) or _has_cache(one) for one in self.all[0].own)

    def find(self, name: str, before: int | None = None) -> Stage | None:
        """The stage with this name or number, among those in front of stage `before`."""
        seen = self.all[:before]
        if name.isdigit():
            return seen[int(name)] if int(name) < len(seen) else None
        # Of two with the same name the later one counts.
        return next((stage for stage in reversed(seen) if stage.name and stage.name == name.lower()), None)

    def target(self, name: str) -> Stage:
        """The stage to build: the last one if `name` is empty. A `DockerfileUnreadable` if there is none such."""
        found = self.find(name) if name else self.all[-1]
        if found is None:
            known = ", ".join(stage.name or str(stage.index) for stage in self.all)
            raise DockerfileUnreadable(self.parsed.path, 0, f"a stage named {name}", known)
        return found

    def needed(self, target: Stage) -> tuple[Stage, ...]:
        """The stages that an image of `target` is made from, in order, itself included."""
        found: dict[int, Stage] = {}
        waiting = [target]
        while waiting:
            stage = waiting.pop()
            if stage.index not in found:
                found[stage.index] = stage
                waiting += self.below(stage)
        return tuple(found[index] for index in sorted(found))

    def below(self, stage: Stage) -> Iterator[Stage]:
        """The stages that this one stands on or takes files from."""
        if stage.standing_on is not None:
            yield self.all[stage.standing_on]
        for instruction in self.body(stage):
            for name in sources(instruction):
                other = self.find(name, stage.index)
                if other is not None:
                    yield other

    def body(self, stage: Stage) -> tuple[Instruction, ...]:
        """The stage's instructions, after those that a stage below left for it (`ONBUILD`)."""
        if stage.standing_on is None:
            return stage.own
        below = self.all[stage.standing_on].own
        return (*(one.trigger for one in below if one.trigger), *stage.own)


def stages(parsed: Parsed, arguments: Mapping[str, str], platform: Platform, builder: Platform | None = None) -> Stages:
    """The stages of a Dockerfile, built with these arguments by a builder of that platform (the image's own, unless it
    is told). A `DockerfileUnreadable` if that makes no sense."""
    in_front = _in_front(parsed, arguments, platform, builder or platform)
    found: list[Stage] = []
    origin: Instruction | None = None
    body: list[Instruction] = []
    known = Stages(parsed, (), in_front, platform)
    for instruction in parsed.instructions:
        if instruction.keyword == "FROM":
            if origin is not None:
                found.append(_stage(origin, body, known))
                known = Stages(parsed, tuple(found), in_front, platform)
            origin, body = instruction, []
        elif origin is not None:
            body.append(_counted(instruction, parsed))
        elif instruction.keyword != "ARG":
            raise DockerfileUnreadable(parsed.path, instruction.first, "FROM before anything else", instruction.keyword)
    if origin is None:
        raise DockerfileUnreadable(parsed.path, 0, "a stage (FROM …)", "none")
    return Stages(parsed, (*found, _stage(origin, body, known)), in_front, platform)


def mentions(parsed: Parsed, arguments: Mapping[str, str] | None = None) -> tuple[Mention, ...]:
    """Where images are named, in order, with these build arguments. What cannot be known without others is left out."""
    platform = Platform("linux", "amd64")
    with contextlib.suppress(DockerfileUnreadable):
        variables = _in_front(parsed, arguments or {}, platform, platform)
        return tuple(_mentioned(parsed, variables))
    return ()


def _mentioned(parsed: Parsed, variables: Mapping[str, str]) -> Iterator[Mention]:
    if parsed.frontend:
        yield Mention(parsed.frontend.text, parsed.frontend.span, is_base=False)
    names, count = {SCRATCH, ""}, 0
    for instruction in parsed.instructions:
        if instruction.keyword == "FROM":
            with contextlib.suppress(DockerfileUnreadable):
                base = filled(instruction.words[0].text, variables, parsed, instruction)
                if base.lower() not in names:
                    yield Mention(base, instruction.words[0].span, is_base=True)
            names |= {word.text.lower() for word in instruction.words[2:]} | {str(count)}
            count += 1
            continue
        taken = [name for name in sources(instruction) if name.lower() not in names and "$" not in name]
        for flag in instruction.flags if taken else ():
            found = next((name for name in taken if name == flag.value or f"from={name}" in flag.value.split(",")), "")
            if found:
                yield Mention(found, flag.span, is_base=False)


def sources(instruction: Instruction) -> tuple[str, ...]:
    """The names of stages, images or contexts that an instruction takes files from; none of them is the context."""
    if instruction.trigger is not None:
        return ()
    if instruction.keyword in ("COPY", "ADD"):
        name = instruction.flag("from")
        return (name,) if name else ()
    if instruction.keyword == "RUN":
        return tuple(mount["from"] for mount in mounts(instruction) if mount.get("from"))
    return ()


def _has_cache(instruction: Instruction) -> bool:
    return instruction.keyword == "RUN" and any(mount["type"] == "cache" for mount in mounts(instruction))


def mounts(instruction: Instruction) -> list[dict[str, str]]:
    """The mounts of a RUN: their fields by the names that Docker's documentation has first. `type` is always there."""
    found = []
    for value in instruction.all("mount"):
        fields = {"type": "bind"}
        for part in value.split(","):
            key, equals, text = part.partition("=")
            name = _SAME.get(key.strip().lower(), key.strip().lower())
            fields[name] = text if equals else "true"
        found.append(fields)
    return found


_SAME = {"src": "source", "dst": "target", "destination": "target", "readonly": "ro", "rw": "readwrite"}


def builtin(target: Platform, builder: Platform) -> dict[str, str]:
    """The arguments that BuildKit knows by itself: what is built for, and what builds."""
    found: dict[str, str] = {}
    for side, platform in (("TARGET", target), ("BUILD", builder)):
        found |= {
            f"{side}PLATFORM": str(platform),
            f"{side}OS": platform.os,
            f"{side}ARCH": platform.architecture,
            f"{side}VARIANT": platform.variant,
        }
    return found


def pairs(instruction: Instruction) -> list[tuple[str, str | None]]:
    """The names and values, as they are written, of ARG, ENV or LABEL. An ARG without a value has None."""
    written = [word.text for word in instruction.words]
    if instruction.keyword != "ARG" and len(written) == 2 and "=" not in written[0]:
        return [(written[0], written[1])]
    split = (text.partition("=") for text in written)
    return [(name, value if equals else None) for name, equals, value in split]


def _in_front(parsed: Parsed, arguments: Mapping[str, str], platform: Platform, builder: Platform) -> dict[str, str]:
    known, declared = builtin(platform, builder), {}
    for instruction in parsed.instructions:
        if instruction.keyword == "FROM":
            break
        for name, value in pairs(instruction) if instruction.keyword == "ARG" else ():
            if name in arguments:
                declared[name] = arguments[name]
            elif value is not None:
                declared[name] = filled(value, known | declared, parsed, instruction)
    return known | declared


def filled(text: str, variables: Mapping[str, str], parsed: Parsed, instruction: Instruction) -> str:
    """The text with its variables filled in. A `DockerfileUnreadable` if they make no sense."""
    try:
        return expand(text, variables, parsed.escape)
    except BadSubstitution as error:
        raise DockerfileUnreadable(parsed.path, instruction.first, "variables such as ${NAME}", str(error)) from None


def _stage(origin: Instruction, body: list[Instruction], known: Stages) -> Stage:
    words = [word.text for word in origin.words]
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
        raise DockerfileUnreadable(known.parsed.path, origin.first, "FROM image [AS name]", origin.text)
    base = filled(words[0], known.arguments, known.parsed, origin)
    if not base:
        raise DockerfileUnreadable(known.parsed.path, origin.first, "the name of an image", f"nothing ({words[0]})")
    below = None if base.isdigit() else known.find(base)
    return Stage(
        index=len(known.all),
        name=words[2].lower() if len(words) == 3 else "",
        origin=origin,
        base=base,
        standing_on=below.index if below else None,
        platform=_platform(
            filled(origin.flag("platform") or "", known.arguments, known.parsed, origin), known.platform
        ),
        own=tuple(body),
    )


def _platform(text: str, own: Platform) -> Platform:
    """What a FROM says with `--platform`, which may leave out the system: `arm64`. What is none says nothing."""
    try:
        return Platform.parse(text if "/" in text else f"{own.os}/{text}") if text else own
    except ValueError:
        return own


def _counted(instruction: Instruction, parsed: Parsed) -> Instruction:
    if instruction.keyword in ("COPY", "ADD") and len(instruction.words) < 2:
        raise DockerfileUnreadable(parsed.path, instruction.first, "sources and a destination", instruction.text)
    return instruction
