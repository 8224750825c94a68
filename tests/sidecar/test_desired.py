"""What the plugin may write into a feed is what the sidecar reads: the published schema against the sidecar's types."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from substruct_sidecar import desired

PUBLISHED: dict[str, Any] = json.loads((Path(__file__).parents[2] / 'docs' / 'feed-schema.json').read_text())['$defs']
OURS: dict[str, Any] = msgspec.json.schema(desired.AnyLine)['$defs']


def shape(schema: Any) -> Any:
    """A schema without what does not bear on decoding: titles, descriptions, defaults, the order of alternatives."""
    if isinstance(schema, dict):
        return {k: shape(v) for k, v in schema.items() if k not in ('title', 'description', 'default')}
    if isinstance(schema, list):
        return sorted((shape(each) for each in schema), key=repr)
    return schema


def test_both_know_the_same_kinds():
    def tags(schema: dict[str, Any]) -> set[str]:
        return {
            each['properties']['kind']['enum'][0]
            for each in schema.values()
            if 'enum' in each['properties'].get('kind', {})
        }

    assert tags(OURS) == tags(PUBLISHED)
    assert set(desired.KINDS) == tags(PUBLISHED) - {'header', 'gone', 'end'}
    for kind, type_ in desired.KINDS.items():
        assert type_.__struct_config__.tag == kind


@pytest.mark.parametrize('name', sorted(PUBLISHED))
def test_every_field_is_decoded_as_it_is_written(name):
    assert name in OURS, f'the sidecar has no type for {name}'
    written, read = PUBLISHED[name]['properties'], OURS[name]['properties']
    assert set(written) == set(read), set(written) ^ set(read)
    for field in written:
        assert shape(written[field]) == shape(read[field]), f'{name}.{field}'


@pytest.mark.parametrize('name', sorted(PUBLISHED))
def test_nothing_is_needed_that_may_be_left_out(name):
    assert set(OURS[name].get('required', ())) <= set(PUBLISHED[name].get('required', ()))
