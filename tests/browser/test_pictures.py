"""The pictures of the manual are those that these tests take, and each is shown somewhere."""

import re
from pathlib import Path

TREE = Path(__file__).parents[2]
# What a terminal shows while machines are built for minutes; no browser takes it.
BY_HAND = {'demo'}


def test_every_picture_of_the_manual_is_taken_by_a_test():
    source = '\n'.join(path.read_text() for path in Path(__file__).parent.glob('test_*.py'))
    taken = set(re.findall(r"(?:for_manual\(|picture\(wide, )'([\w-]+)'", source))
    assert {path.stem for path in (TREE / 'docs/images').glob('*.png')} == taken | BY_HAND


def test_every_picture_is_shown():
    pages = [TREE / 'README.md', *(TREE / 'docs').glob('*.md')]
    shown = set(re.findall(r'images/([\w-]+)\.png\)', '\n'.join(page.read_text() for page in pages)))
    assert {path.stem for path in (TREE / 'docs/images').glob('*.png')} == shown
