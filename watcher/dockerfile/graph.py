"""What an image is made from, step by step, and what each step depends on: the same as BuildKit's cache asks.

Each step has a *key*. Two builds whose steps have the same key can share what came of it; a step whose key no earlier
build had is made anew. As in BuildKit, the key of a step is that of the step before it and of everything of its own:
its words with the variables filled in, the content (never the times) of the files that it takes, and for `RUN` the
environment, the user and the directory.
"""

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from watcher.dockerfile.content import ANYWHERE, NOTHING, Content, Disk, Files, Place, joined, key_of, of_files
from watcher.dockerfile.parse import Instruction, Parsed, parse
from watcher.dockerfile.stages import SCRATCH, Stage, Stages, filled, mounts, pairs, stages
from watcher.image import Platform

WORKED_ON = ("RUN", "COPY", "ADD", "WORKDIR")
"""Instructions that may change files. The others are only noted in the image's configuration."""

_PROXIES = frozenset(f"{word}_proxy" for word in ("http", "https", "ftp", "no", "all"))
_REMOTE = ("http://", "https://", "git://", "ssh://", "git@")


@dataclass(frozen=True, slots=True)
class Base:
    """An image to stand on: `key` stands for its content (a digest), `layers` are the digests and sizes of its blobs,
    if it has any in a registry. The rest is what its configuration says."""

    key: str
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    shell: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    layers: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a build is given besides its Dockerfile.

    `files` are those of the context that an ignore file leaves; `contexts` are others, by name, and what is said of
    their files has that in front (`extra:notes.txt`). `bases` gives an image by the name that the Dockerfile has for it
    once the variables are filled in, for a platform; without anybody who knows, a name stands for itself. `builder` is
    what builds, if it is not of the image's own platform. `merges`: the engine keeps what `--link` copies whatever
    happens below it.
    """

    files: Files
    platform: Platform
    arguments: Mapping[str, str] = field(default_factory=dict)
    bases: Callable[[str, Platform], Base] = lambda name, _platform: Base(name)
    builder: Platform | None = None
    contexts: Mapping[str, Files] = field(default_factory=dict)
    target: str = ""
    merges: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One instruction of one stage, as it is worked on.

    `label` is how BuildKit's progress names it (`[build 2]`), without the number of all steps, which its versions count
    differently. `parent` is the number of the step that it is done on top of; one that `is_free` does not depend on it,
    and is laid upon whatever is there (`--link`, where the engine merges). `drawn` are those whose result it copies,
    whatever that is. `takes` are the files of the context that enter here, `carries` those that come, as they are, out
    of another stage. `fickle`: it takes something from far away, which nobody knows before. `said` is its text with the
    variables filled in, as the image's history has it. It begins in `directory`, with what is on `disk` then; a FROM
    begins with `base`.
    """

    stage: Stage
    instruction: Instruction
    label: str
    key: str
    said: str
    parent: int | None
    takes: frozenset[str] = frozenset()
    carries: frozenset[str] = frozenset()
    drawn: frozenset[int] = frozenset()
    fickle: bool = False
    is_free: bool = False
    directory: str = "/"
    disk: Disk = field(default_factory=Disk)
    base: Base | None = None

    @property
    def name(self) -> str:
        """The step, for people: its line and its text."""
        return f"line {self.instruction.first}: {self.instruction.text}"


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything that is worked on for an image, in order. `image`: the numbers of the steps that it consists of."""

    stages: Stages
    target: Stage
    steps: tuple[Step, ...]
    image: tuple[int, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all steps."""
        return tuple(step.key for step in self.steps)


def graph(parsed: Parsed, inputs: Inputs) -> Graph:
    """The steps of a build. A `DockerfileUnreadable` if the Dockerfile makes no sense with these inputs."""
    found = stages(parsed, inputs.arguments, inputs.platform, inputs.builder)
    target = found.target(inputs.target)
    works: dict[int, _Work] = {}
    steps: list[Step] = []
    for stage in found.needed(target):
        works[stage.index] = _Work(found, stage, inputs, works, steps)
        works[stage.index].go()
    image: list[int] = []
    standing: Stage | None = target
    while standing is not None:
        image = [*works[standing.index].numbers, *image]
        standing = found.all[standing.standing_on] if standing.standing_on is not None else None
    return Graph(found, target, tuple(steps), tuple(image))


class _Work:
    """One stage, from its first instruction to its last."""

    def __init__(
        self, stages: Stages, stage: Stage, inputs: Inputs, works: Mapping[int, "_Work"], steps: list[Step]
    ) -> None:
        self._stages, self._stage, self._inputs, self._works, self._steps = stages, stage, inputs, works, steps
        self.numbers: list[int] = []
        self.disk = Disk()
        self._env: dict[str, str] = {}
        self._args: dict[str, str] = {}
        self._directory, self._user = "/", ""
        self._shell: tuple[str, ...] = ("/bin/sh", "-c")
        self._parent: int | None = None
        self._stack = ""
        self._count = 0

    def go(self) -> None:
        """Works the stage off."""
        body = self._stages.body(self._stage)
        if self._stage.standing_on is not None:
            self._stand_on(self._works[self._stage.standing_on])
        elif self._stage.base != SCRATCH:
            body = (*self._left_by(self._inputs.bases(self._stage.base, self._stage.platform)), *body)
        if self._stage.standing_on is None:
            self._begin()
        for instruction in body:
            self._follow(instruction)

    # --- where it begins ---

    def _stand_on(self, other: "_Work") -> None:
        self.disk, self._parent, self._stack, self._shell = other.disk, other._parent, other._stack, other._shell
        self._env, self._directory, self._user = dict(other._env), other._directory, other._user

    def _left_by(self, base: Base) -> tuple[Instruction, ...]:
        """The instructions that the image has for those who stand on it."""
        self._env, self._directory, self._user = dict(base.env), base.workdir or "/", base.user
        self._shell = base.shell or self._shell
        return parse("\n".join(base.triggers), f"ONBUILD of {self._stage.base}").instructions if base.triggers else ()

    def _begin(self) -> None:
        base = self._inputs.bases(self._stage.base, self._stage.platform)
        key = key_of("FROM", base.key, str(self._stage.platform))
        counted = self._stage.base != SCRATCH
        number = self._add(self._stage.origin, key, f"FROM {self._stage.base}", counted=counted, base=base)
        self.disk = self.disk.with_(ANYWHERE, Content(key, drawn=frozenset((number,))))

    # --- each instruction ---

    def _follow(self, instruction: Instruction) -> None:
        match instruction.keyword:
            case "ARG":
                self._declare(instruction)
            case "ENV":
                # All of one instruction see what was there before it.
                self._env |= {name: self._fill(value or "", instruction) for name, value in pairs(instruction)}
            case "USER":
                self._user = self._fill(instruction.words[0].text, instruction)
            case "SHELL":
                self._shell = tuple(word.text for word in instruction.words)
            case "WORKDIR":
                self._change_directory(instruction)
            case "COPY" | "ADD":
                self._copy(instruction)
            case "RUN":
                self._run(instruction)

    def _declare(self, instruction: Instruction) -> None:
        given = self._inputs.arguments
        for name, value in pairs(instruction):
            if name in given:
                self._args[name] = given[name]
            elif value is not None:
                self._args[name] = self._fill(value, instruction)
            elif name in self._stages.arguments:
                self._args[name] = self._stages.arguments[name]

    def _fill(self, text: str, instruction: Instruction) -> str:
        return filled(text, self._args | self._env, self._stages.parsed, instruction)

    def _within(self, path: str) -> str:
        return posixpath.normpath(posixpath.join("/", self._directory, path))

    def _change_directory(self, instruction: Instruction) -> None:
        self._directory = self._within(self._fill(instruction.words[0].text, instruction))
        own = key_of("WORKDIR", self._directory, self._user)
        # The root is there: BuildKit counts it and does nothing.
        if self._directory == "/":
            self._count += 1
        else:
            self._add(instruction, self._after(own), f"WORKDIR {self._directory}", counted=True)

    def _copy(self, instruction: Instruction) -> None:
        *named, to = [self._fill(word.text, instruction) for word in instruction.words]
        into = to.endswith("/") or to in (".", "") or len(named) > 1
        place = Place.of(instruction, self._within(to), into)
        content = self._content(instruction, named, place)
        flags = {name: self._fill(instruction.flag(name) or "", instruction) for name in ("chown", "chmod")}
        shown = [f"--{name}={value}" for name, value in flags.items() if value]
        how = [instruction.has("link"), place.parents, list(place.excluded), place.into]
        own = key_of(instruction.keyword, named, place.area, shown, how, content.key)
        free = instruction.has("link") and self._inputs.merges
        from_context = self._is_context(instruction.flag("from") or "")
        number = self._add(
            instruction,
            own if free else self._after(own),
            " ".join([instruction.keyword, *shown, *named, to]),
            counted=True,
            free=free,
            takes=content.carries if from_context else frozenset(),
            through=replace(content, carries=frozenset()) if from_context else content,
        )
        unknown = frozenset((number,)) if content.fickle else frozenset()
        left = Content(own, content.placed, content.carries, content.drawn | unknown)
        self.disk = self.disk.with_(place.area, left)

    def _run(self, instruction: Instruction) -> None:
        bound = [mount for mount in mounts(instruction) if mount["type"] == "bind"]
        direct = joined([self._mounted(mount) for mount in bound if self._is_context(mount.get("from", ""))])
        content = joined([self._mounted(mount) for mount in bound if not self._is_context(mount.get("from", ""))])
        said = [word.text for word in instruction.words]
        env = {name: value for name, value in (self._args | self._env).items() if name.lower() not in _PROXIES}
        own = key_of(
            said if instruction.in_json else [*self._shell, *said],
            [(heredoc.name, heredoc.text) for heredoc in instruction.heredocs],
            [env, self._directory, self._user],
            sorted((flag.name, flag.value) for flag in instruction.flags),
            [direct.key, content.key],
        )
        key = self._after(own)
        # A lone heredoc is the command itself.
        alone = len(instruction.heredocs) == 1 and said[0].lstrip("0123456789").startswith("<<")
        text = instruction.heredocs[0].text if alone else " ".join(said)
        number = self._add(instruction, key, f"RUN {text}", counted=True, takes=direct.carries, through=content)
        self.disk = self.disk.with_(ANYWHERE, Content(key, drawn=frozenset((number,))))

    def _after(self, own: str) -> str:
        return key_of(self._stack, own)

    def _add(
        self,
        instruction: Instruction,
        key: str,
        said: str,
        *,
        counted: bool,
        free: bool = False,
        takes: frozenset[str] = frozenset(),
        through: Content = NOTHING,
        base: Base | None = None,
    ) -> int:
        """Notes a step and goes on from it; its number. `takes` comes from the context, `through` from elsewhere."""
        label = ""
        if counted:
            self._count += 1
            name = "" if self._stages.is_one else f"{self._stage.name or f'stage-{self._stage.index}'} "
            label = f"[{name}{self._count}]"
        step = Step(
            stage=self._stage,
            instruction=instruction,
            label=label,
            key=key,
            said=said,
            parent=self._parent,
            takes=takes,
            carries=through.carries,
            drawn=through.drawn,
            fickle=through.fickle,
            is_free=free,
            directory=self._directory,
            disk=self.disk,
            base=base,
        )
        self._steps.append(step)
        # Whoever comes next stands on all that is laid upon one another.
        self._stack = key_of(self._stack, key) if free else key
        self._parent = len(self._steps) - 1
        self.numbers.append(self._parent)
        return self._parent

    # --- what is copied ---

    def _is_context(self, origin: str) -> bool:
        return not origin or origin in self._inputs.contexts

    def _content(self, instruction: Instruction, named: Sequence[str], place: Place) -> Content:
        origin = self._fill(instruction.flag("from") or "", instruction)
        parts = []
        for heredoc in instruction.heredocs:
            text = self._fill(heredoc.text, instruction) if heredoc.expand else heredoc.text
            parts.append(Content(key_of("document", heredoc.name, text)))
        plain = (name for name in named if not name.lstrip("0123456789").startswith("<<"))
        checked = bool(instruction.flag("checksum"))
        return joined([*parts, *(self._named(origin, name, place, checked=checked) for name in plain)])

    def _named(self, origin: str, name: str, place: Place, *, checked: bool = False) -> Content:
        """What `name` is in the context, or in what `origin` names: another context, a stage, an image."""
        if not origin and name.startswith(_REMOTE):
            return Content(key_of("remote", name), fickle=not checked)
        if not origin:
            return of_files(self._inputs.files, name, place)
        if origin in self._inputs.contexts:
            return of_files(self._inputs.contexts[origin], name, place).of(origin)
        other = self._stages.find(origin, self._stage.index)
        if other is None:
            return Content(key_of("image", self._inputs.bases(origin, self._inputs.platform).key, name))
        return self._works[other.index].disk.at(posixpath.normpath(posixpath.join("/", name)))

    def _mounted(self, mount: Mapping[str, str]) -> Content:
        if mount.get("readwrite", "false") == "true" and not mount.get("from"):
            return joined([NOTHING, of_files(self._inputs.files, ".", Place(ANYWHERE))])
        return self._named(mount.get("from", ""), mount.get("source", "") or ".", Place(ANYWHERE))
