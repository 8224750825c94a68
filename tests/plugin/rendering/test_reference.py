"""Every parameter that a template uses is described in it, and stands in the manual, and no other does.

    SUBSTRUCT_SNAPSHOTS=1 .venv/bin/pytest -n 0 tests/plugin/rendering/test_reference.py

writes the manual's page anew.
"""

import os
from pathlib import Path

import pytest

from netbox_substruct import template_library

from .reference import described, page, used

PAGE = Path(__file__).parents[3] / 'docs' / 'template-parameters.md'
TEMPLATES = [path for path in template_library.files() if not path.startswith('snippets/')]


@pytest.mark.parametrize('path', TEMPLATES)
def test_a_template_describes_the_parameters_that_it_uses_and_no_others(path: str) -> None:
    names = [parameter.name for parameter in described(path)]
    assert len(set(names)) == len(names)
    assert set(names) == used(path)


def test_the_manual_has_what_the_templates_say() -> None:
    head, mark, _ = PAGE.read_text().partition('<!-- Made from')
    if os.environ.get('SUBSTRUCT_SNAPSHOTS'):
        PAGE.write_text(head + page())
    assert mark and PAGE.read_text() == head + page()
