"""Where parameters come from, in which order, and what they must satisfy."""

from functools import reduce

import pytest
from django.test import TestCase
from hypothesis import given
from hypothesis import strategies as st

from dcim.models import Site
from extras.models import ConfigContext
from utilities.data import deepmerge
from utilities.testing import create_test_device

from netbox_substruct import parameters
from netbox_substruct.models import Machine, Profile
from netbox_substruct.parameters import ParameterError, Source, merge

values = st.recursive(
    st.one_of(st.integers(0, 3), st.none(), st.lists(st.integers(0, 2), max_size=2)),
    lambda inner: st.dictionaries(st.sampled_from('abc'), inner, max_size=3),
    max_leaves=10,
)
mappings = st.dictionaries(st.sampled_from('abc'), values, max_size=3)


def layers_of(*found):
    return [(Source('profile', str(number)), layer) for number, layer in enumerate(found)]


def at(layer, path):
    for key in path:
        layer = layer[key]
    return layer


@given(st.lists(mappings, max_size=4))
def test_merging_is_that_of_netbox(found):
    assert merge(layers_of(*found)).values == reduce(deepmerge, found, {})


@given(st.lists(mappings, max_size=4))
def test_every_value_has_its_origin_and_every_leaf_one_entry(found):
    merged = merge(layers_of(*found))
    for entry in merged.entries:
        assert at(merged.values, entry.path) == entry.value
        assert at(found[int(entry.source.name)], entry.path) == entry.value
        assert [int(source.name) for source, _ in entry.overridden] == sorted(
            (int(source.name) for source, _ in entry.overridden), reverse=True
        )
        assert all(int(source.name) < int(entry.source.name) for source, _ in entry.overridden)
    assert len({entry.path for entry in merged.entries}) == len(merged.entries)


def test_what_is_overridden_is_kept_nearest_first():
    far, near, own = Source('profile', 'far'), Source('profile', 'near'), Source('machine', 'own')
    merged = merge([(far, {'a': {'b': 1, 'c': 1}}), (near, {'a': 5}), (own, {'a': {'b': 2}})])
    (entry,) = merged.entries
    assert (entry.name, entry.value, entry.source) == ('a.b', 2, own)
    assert entry.overridden == ((near, 5), (far, 1))


def test_an_empty_layer_overrides_nothing_and_is_overridden_by_nothing():
    found = merge(layers_of({}, {'disk': {'scheme': 'lvm'}}, {}))
    assert [(entry.name, entry.source.name, entry.overridden) for entry in found.entries] == [('disk.scheme', '1', ())]


def test_lists_are_replaced_and_an_empty_mapping_empties():
    merged = merge(layers_of({'list': [1, 2], 'map': {'a': 1}}, {'list': [3], 'map': {}}))
    assert merged.values == {'list': [3], 'map': {}}


class ParameterTest(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.base = Profile.objects.create(
            name='Base', slug='base', parameters={'a': 'base', 'b': 'base', 'c': 'base', 'd': 'base', 'e': 'base'},
            parameter_schema={'type': 'object', 'properties': {'a': {'type': 'string'}}},
        )  # fmt: skip
        cls.profile = Profile.objects.create(
            name='Web', slug='web', parent=cls.base,
            parameters={'b': 'web', 'c': 'web', 'd': 'web', 'e': 'web', 'deep': {'x': 1, 'y': 1}},
            parameter_schema={'type': 'object', 'required': ['disk'], 'properties': {'deep': {
                'type': 'object', 'properties': {'x': {'maximum': 0}}}}},
        )  # fmt: skip
        cls.device = create_test_device('web01')
        cls.device.local_context_data = {'d': 'local', 'e': 'local'}
        cls.device.save()
        # The same weight: NetBox then goes by name.
        cls.second = ConfigContext.objects.create(name='second', weight=100, data={'c': 'second', 'd': 'second'})
        cls.first = ConfigContext.objects.create(name='first', weight=100, data={'c': 'first', 'deep': {'y': 2}})
        elsewhere = ConfigContext.objects.create(name='elsewhere', weight=999, data={'c': 'elsewhere'})
        elsewhere.sites.add(Site.objects.create(name='Elsewhere', slug='elsewhere'))
        cls.machine = Machine.objects.create(device=cls.device, profile=cls.profile, parameters={'e': 'machine'})

    def test_the_order_is_profiles_config_contexts_local_context_machine(self):
        found = parameters.resolve(self.machine)
        self.assertEqual(
            found.values,
            {'a': 'base', 'b': 'web', 'c': 'second', 'd': 'local', 'e': 'machine', 'deep': {'x': 1, 'y': 2}},
        )
        entries = {entry.name: entry for entry in found.entries}
        self.assertEqual(
            [(source.kind, source.name, value) for source, value in entries['d'].overridden],
            [('config-context', 'second', 'second'), ('profile', 'Web', 'web'), ('profile', 'Base', 'base')],
        )
        self.assertEqual(entries['e'].source.kind, 'machine')
        self.assertEqual(entries['deep.y'].source.name, 'first')
        self.assertEqual(entries['deep.x'].source.url, self.profile.get_absolute_url())

    def test_config_contexts_are_merged_as_netbox_merges_them(self):
        bare = Machine.objects.create(device=create_test_device('web02'))
        self.assertEqual(parameters.resolve(bare).values, bare.device.get_config_context())
        self.machine.profile, self.machine.parameters = None, {}
        self.assertEqual(parameters.resolve(self.machine).values, self.device.get_config_context())

    def test_another_profile_can_be_asked_for(self):
        self.assertEqual(parameters.resolve(self.machine, self.base).values['b'], 'base')

    def test_a_machine_without_device_has_no_config_context(self):
        machine = Machine.objects.create(discovered_name='new', profile=self.base, parameters={'a': 'own'})
        self.assertEqual(parameters.resolve(machine).values['c'], 'base')
        self.assertEqual(parameters.resolve(machine).values['a'], 'own')

    def test_every_violation_of_every_schema_of_the_chain_is_listed_with_its_path(self):
        self.machine.parameters = {'a': 5}
        with self.assertRaises(ParameterError) as caught:
            parameters.check(parameters.resolve(self.machine), self.profile)
        self.assertEqual(
            str(caught.exception).splitlines(),
            [
                "parameters: 'disk' is a required property (schema of Web)",
                "a: 5 is not of type 'string' (schema of Base)",
                'deep.x: 1 is greater than the maximum of 0 (schema of Web)',
            ],
        )

    def test_parameters_that_are_right_pass(self):
        self.machine.parameters = {'disk': '/dev/sda', 'deep': {'x': 0}}
        parameters.check(parameters.resolve(self.machine), self.profile)
        parameters.check(parameters.resolve(self.machine), None)


@pytest.mark.parametrize('reference', ['http://127.0.0.1:9/x.json', 'file:///etc/passwd', '#/nowhere'])
def test_a_schema_fetches_nothing(reference):
    from netbox_substruct.parameters.checking import violations

    (found,) = violations({'a': 1}, [('P', {'$ref': reference})])
    assert reference.removeprefix('#') in found.message
    assert 'not inside' in found.message
