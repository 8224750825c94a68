"""What tests of the sidecar share: a world of desired state, and links between namespaces for those that need them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sidecar import net
from tests.sidecar.world import World


@pytest.fixture(scope='session')
def namespaces() -> None:
    """Ask for this where namespaces are made: it skips without root, and removes what a killed run has left."""
    if reason := net.missing():
        pytest.skip(reason)
    net.sweep()


@pytest.fixture(scope='module')
def lan(namespaces: None) -> Iterator[net.Lan]:
    """One for each file of tests; daemons come and go in it."""
    made = net.a_lan()
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()
