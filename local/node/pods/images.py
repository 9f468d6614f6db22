"""What stands for a container image on a machine without images: a command."""

from collections.abc import Callable, Mapping

from local.node.objects import Object, items_of


class ContainerProblemError(Exception):
    """A container cannot be started now; it waits, for this reason, and is tried again."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def repository(image: str) -> str:
    """An image reference without its tag and digest."""
    named = image.partition("@")[0]
    head, slash, last = named.rpartition("/")
    return head + slash + last.partition(":")[0]


def command_line(
    container: Object, images: Mapping[str, tuple[str, ...]], here: Callable[[str], str] = str
) -> list[str]:
    """The command and arguments of a container.

    `here` says what a word of the container's own means on this machine; what stands for the image is of this machine
    already. Raises ContainerProblemError for an image that this node cannot run.
    """
    image = container["image"]
    known = images.get(repository(image).rpartition("/")[2])
    if known is None:
        endings = ", ".join(f"/{name}" for name in sorted(images))
        message = (
            f"this machine runs pods as processes and does not know image {image}: "
            f"only images whose repository ends in {endings}"
        )
        raise ContainerProblemError("ErrImagePull", message)
    own = container.get("command")
    return [*(map(here, own) if own else known), *map(here, items_of(container, "args"))]
