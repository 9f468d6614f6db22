import pytest
from local_cluster import TestNode


@pytest.fixture
def node(tmp_path):
    running = TestNode(tmp_path)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory):
    """For tests that use names of their own."""
    running = TestNode(tmp_path_factory.mktemp("node"))
    yield running
    running.stop()
