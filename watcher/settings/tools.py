"""Where lock tools run."""

from typing import Annotated, Literal

from watcher.fields import Model, matching


class LockToolSettings(Model):
    """Where the tools run that make a lock: in the app's image or on the machine of toplayer.

    `auto`: in the newest image of the app, if the engine has it already and it holds the tool; else on the machine.
    `image`: nowhere else; the engine pulls the image if it has to. `machine`: nowhere else.
    """

    place: Literal["auto", "image", "machine"] = "auto"
    engine: Annotated[str, matching(r"unix:///\S+", '"unix:///path"')] = "unix:///var/run/docker.sock"
