"""A really served NetBox with a token, for the programs of docs/examples."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / 'docs' / 'examples'


@pytest.fixture
def environment(served) -> dict[str, str]:
    """What an example needs to know of NetBox, as an administrator."""
    from users.models import Token, User

    token = Token(user=User.objects.create_superuser('script'))
    token.save()
    known = {'NETBOX_URL': served, 'NETBOX_TOKEN': f'nbt_{token.key}.{token.token}', 'NO_PROXY': '*'}
    # What pytest and NetBox's tests have put there is no business of a program of somebody else.
    return {**{k: v for k, v in os.environ.items() if not k.startswith(('DJANGO', 'NETBOX'))}, **known}


@pytest.fixture
def run(environment) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs an example to its end."""

    def example(name, *arguments, given=''):
        return subprocess.run(
            [sys.executable, EXAMPLES / name, *arguments],
            env=environment, input=given, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return example


@pytest.fixture
def running(environment) -> Callable[..., object]:
    """An example at work: its process, of which single lines can be read; ended if the test leaves it so."""

    @contextmanager
    def example(name, *arguments, **more) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, EXAMPLES / name, *arguments],
            env={**environment, **more}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    return example
