"""The kinds of findings, by their codes. A code keeps its meaning, and none is used twice."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding. `danger` is what to look at before taking its rewrite."""

    code: str
    name: str
    danger: str = ""


CODES = {
    one.code: one
    for one in (
        Code(
            "TL001",
            "install-waits-for-tree",
            "scripts that packages run while they are installed (npm's `postinstall`) do not find the tree yet",
        ),
        Code(
            "TL002",
            "composer-in-the-image",
            "Composer's scripts do not run (`--no-scripts`): one that is added later has to be called. The paths stay "
            "what they were, so that PHP scripts which Python calls by path are found: do not move them",
        ),
        Code("TL003", "order", "an instruction that secretly reads what another one copies has to stay behind it"),
        Code(
            "TL004",
            "pip-leftovers",
            "without byte-code the first start takes longer; give PYTHONPYCACHEPREFIX a volume if that matters",
        ),
        Code(
            "TL005",
            "apt-leftovers",
            "a recommended package that was used without being asked for is gone, and what installs more packages "
            "later needs an `apt-get update` of its own",
        ),
        Code("TL006", "argument-above-install"),
        Code(
            "TL007",
            "compiler-in-the-image",
            "a library that came with a compiler (libstdc++) and is needed at run time has to be installed by name, "
            "and packages move to /opt/venv: what names the image's own `python` by its path does not find them",
        ),
        Code(
            "TL008",
            "editable-install",
            "an editable install is a path to the tree: the tree may not move, and its copy has to stay in the image",
        ),
        Code(
            "TL009",
            "hot-packages-below-cold-ones",
            "the cold ones are installed without looking at what they need (`--no-deps`): what the list does not name "
            "comes with the hot ones. /lists/cold.txt stays in the image, and the names in the stage `lists` are "
            "today's: have a look from time to time",
        ),
        Code(
            "TL010",
            "download-again",
            "a cache mount needs BuildKit (the legacy builder refuses it), belongs to one builder, and starts empty "
            "on a new one; where it was mounted, an empty directory stays",
        ),
        Code(
            "TL011",
            "copy-without-link",
            "`--link` needs Docker 23, or `# syntax=docker/dockerfile:1` in the first line; it follows no symbolic "
            "link at the destination, and makes the directories above it anew (root, 0755)",
        ),
        Code("TL012", "silences-nothing"),
    )
}
