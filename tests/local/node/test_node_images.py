"""What stands for an image, and which of a container's words are led to folders of this machine."""

from local.node.pods.images import command_line

IMAGES = {"serving": ("/tmp/checkout/.venv/bin/python", "-m", "serving")}


def test_what_stands_for_the_image_is_not_taken_for_a_path_of_the_container():
    container = {"image": "registry.test/slipway/serving:1", "args": ["rest", "/tmp/x"]}
    assert command_line(container, IMAGES, lambda word: word.replace("/tmp", "/volume")) == [
        "/tmp/checkout/.venv/bin/python",
        "-m",
        "serving",
        "rest",
        "/volume/x",
    ]


def test_a_command_of_the_containers_own_is():
    container = {"image": "registry.test/slipway/serving@sha256:1", "command": ["/tmp/tool"], "args": ["a"]}
    assert command_line(container, IMAGES, lambda word: word.replace("/tmp", "/volume")) == ["/volume/tool", "a"]
