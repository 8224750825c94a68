"""What `bin/lab seed` says before it starts NetBox."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.lab.conftest import CommandLine


@pytest.fixture
def no_lab():
    folder = Path(tempfile.mkdtemp(prefix='substruct-test-', dir='/var/tmp'))
    folder.chmod(0o711)
    yield CommandLine(folder / 'run')
    shutil.rmtree(folder)


def test_seeding_needs_a_lab(no_lab):
    assert 'there is no lab yet; run  bin/lab up' in no_lab('seed', '--machines', '10', code=1)


@pytest.mark.parametrize('machines', ['0', '-5', '100001', 'many'])
def test_impossible_numbers_are_refused_at_once(no_lab, machines):
    answer = no_lab('seed', f'--machines={machines}', code=2)
    assert f"'{machines}'" in answer or f'{machines} is not between 1 and 100000' in answer


def test_help_says_how_to_begin_anew(no_lab):
    assert 'bin/lab reset && bin/lab up' in no_lab('seed', '--help')
