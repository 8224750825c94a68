"""What tests of the prospector share."""

from collections.abc import Iterator

import pytest

from .serving import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found
