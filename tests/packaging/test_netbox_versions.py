"""Which NetBox the plugin declares, and that the tests are run on the highest of them; tools/lowest has the lowest."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

TREE = Path(__file__).resolve().parents[2]


def declared(end: str) -> Version:
    found = re.search(rf"{end}_version = '([\d.]+)'", (TREE / 'netbox_substruct/__init__.py').read_text())
    assert found
    return Version(found[1])


@pytest.fixture(scope='module')
def offered() -> list[Version]:
    """The releases of NetBox that the index has between the two ends."""
    asked = subprocess.run(
        [sys.executable, '-m', 'pip', 'index', 'versions', 'netbox', '--disable-pip-version-check', '--timeout', '15'],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r'Available versions: (.+)', asked.stdout)
    if found is None:
        pytest.skip(f'no index can be asked: {asked.stderr.strip()[-200:]}')
    versions = [Version(text) for text in found[1].split(', ')]
    return [version for version in versions if declared('min') <= version <= declared('max')]


def test_the_lowest_that_is_declared_can_be_had(offered: list[Version]) -> None:
    assert declared('min') in offered


def test_what_the_tests_run_on_is_the_highest_that_can_be_had(offered: list[Version]) -> None:
    newest, here = max(offered), Version(importlib.metadata.version('netbox'))
    assert here == newest, f'NetBox {newest} is there and .venv has {here}: rm .venv/.bootstrap && make bootstrap'


def test_a_fresh_environment_gets_one_that_is_declared() -> None:
    asked = re.search(r"^NETBOX='netbox([^']+)'", (TREE / 'tools/bootstrap').read_text(), re.MULTILINE)
    assert asked
    wanted = SpecifierSet(asked[1])
    assert {declared('min'), declared('max')} == set(wanted.filter([declared('min'), declared('max')]))
    above = Version(f'{declared("max").major}.{declared("max").minor + 1}.0')
    assert above not in wanted


def test_the_lowest_is_the_one_that_make_test_lowest_installs() -> None:
    """The script reads it out of the plugin by itself."""
    line = next(line for line in (TREE / 'tools/lowest').read_text().splitlines() if line.startswith('LOWEST='))
    said = subprocess.run(
        ['bash', '-c', f'{line}; echo "$LOWEST"'], cwd=TREE, capture_output=True, text=True, check=True
    )
    assert Version(said.stdout.strip()) == declared('min')
