"""Plugin and sidecar tell machines apart by the same rules, though neither imports the other."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netbox_substruct import identity as ours
from substruct_sidecar import identity as theirs

values = st.one_of(
    st.text(max_size=30),
    st.from_regex(r'\A[0-9a-fA-F]{2}([:.-]?[0-9a-fA-F]{2}){5}\Z'),
    st.uuids().map(str),
    st.sampled_from(['0', 'None', 'N/A', 'To Be Filled By O.E.M.', 'Default string', ' abc  1 ', '00000']),
)  # fmt: skip


# How long it takes to make a value depends on what else the machine does.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@pytest.mark.parametrize('name', ['clean_mac', 'clean_uuid', 'clean_serial'])
@given(values)
@example('03000200-0400-0500-0006-000700080009')
@example('01:00:5e:00:00:01')
def test_both_clean_what_machines_say_alike(name, value):
    assert getattr(ours, name)(value) == getattr(theirs, name)(value)


@given(st.uuids().map(str))
def test_swapping_twice_is_nothing(value):
    assert ours.swapped_uuid(value) == theirs.swapped_uuid(value)
    assert ours.swapped_uuid(ours.swapped_uuid(value)) == value


def test_an_identity_without_identifiers_is_none():
    assert not ours.Identity.of('00000000-0000-0000-0000-000000000000', 'n/a', ['ff:ff:ff:ff:ff:ff'])
    assert ours.Identity.of(None, None, ['52-54-00-00-00-01', '525400000001']).macs == ('52:54:00:00:00:01',)
