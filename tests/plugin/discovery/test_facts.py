"""Facts are read whatever they are: what is right is there, what is wrong is said in words and costs nothing else."""

import json
import typing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netbox_substruct.discovery import facts
from netbox_substruct.discovery.lenient import MOST_PROBLEMS

from .world import GUEST, NICS, SERVER, server

WORDS = st.one_of(
    st.text(max_size=40), st.sampled_from(['\x00', '\u202egnp.exe', 'x' * 65536, 'To Be Filled By O.E.M.', '{{ 7*7 }}'])
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=12,
)


def problems_of(**changes):
    return facts.read(server(**changes)).problems


class TestWhatIsRight:
    def test_a_server_is_read_whole_and_without_problems(self):
        found, problems = facts.read(SERVER)
        assert problems == ()
        assert (found.product, found.serial, found.asset_tag) == ('PowerEdge R650', 'CK1RM22', 'A-1001')
        assert found.system.version is None  # "Not Specified"
        assert (found.memory_gib, len(found.memory.modules)) == (256, 8)
        assert [disk.serial for disk in found.disks] == ['S64GNE0R500101', 'WX60A1B2', None]
        assert [port.name for port in found.ports] == ['eno1', 'eno2', 'enp59s0']
        assert (found.boot_port.name, found.macs) == ('eno1', NICS)
        assert found.interfaces[0].lldp.port_id == 'Ethernet7'
        assert found.bmc.address == '10.8.9.107'

    def test_a_guest_that_says_little(self):
        found, problems = facts.read(GUEST)
        assert (problems, found.serial, found.bmc, found.tpm) == ((), None, None, None)
        assert (found.system.virtual, found.memory_gib) == (True, 2)

    def test_spellings_are_brought_to_one_form(self):
        found, problems = facts.read(
            {
                'cpu': {'architecture': 'AMD64', 'cores': 8.0},
                'firmware': {'mode': 'EFI'},
                'interfaces': [{'mac': 'D0-8E-79-BB-11-10', 'addresses': ['fe80::1%eth0/64', '10.1.0.7/24']}],
                'system': {'manufacturer': '  Dell \t Inc. ', 'uuid': '{4C4C4544-0043-4B10-8052-B4C04F4D3232}'},
            }
        )
        assert problems == ()
        assert (found.cpu.architecture, found.cpu.cores, found.firmware.mode) == ('x86_64', 8, 'uefi')
        assert found.interfaces[0].mac == NICS[0]
        assert found.interfaces[0].addresses == ('fe80::1/64', '10.1.0.7/24')
        assert (found.system.manufacturer, found.system.uuid) == ('Dell Inc.', '4c4c4544-0043-4b10-8052-b4c04f4d3232')

    @pytest.mark.parametrize(
        'said', ['To Be Filled By O.E.M.', 'Default string', 'Not Specified', 'System Product Name', 'None', ' ', '']
    )
    def test_placeholders_of_firmware_are_nothing(self, said):
        found, problems = facts.read({'system': {'product': said, 'serial': said}, 'board': {'product': 'X11DPH'}})
        assert (problems, found.system.product, found.serial, found.product) == ((), None, None, 'X11DPH')

    def test_what_a_newer_prospector_says_beyond_is_passed_over(self):
        found, problems = facts.read({'gpus': [{'name': 'H100'}], 'system': {'product': 'X', 'colour': 'black'}})
        assert (problems, found.product) == ((), 'X')

    def test_a_format_that_is_not_known_is_said_and_nothing_is_made_of_it(self):
        found, problems = facts.read(SERVER, 7)
        assert found == facts.Facts()
        assert 'format version 7' in problems[0]


class TestMemory:
    def mib(self, **memory):
        return facts.read({'memory': memory}).facts.memory_mib

    def test_modules_say_exactly_what_a_guest_has(self):
        assert self.mib(modules=[{'size_bytes': 512 << 20}], total_bytes=480 << 20) == 512

    def test_without_them_it_is_the_next_whole_gib(self):
        assert self.mib(total_bytes=1990 << 20) == 2048
        assert self.mib() is None


class TestTheFormat:
    """What the manual says of the format, and what the prospector sends, is what is read here."""

    def properties(self, schema):
        return schema.get('properties') or schema.get('items', {}).get('properties', {})

    def unknown(self, shape, properties, path=''):
        """Fields that are read and that the format has not."""
        for name, hint in typing.get_type_hints(shape).items():
            if name not in properties:
                yield f'{path}{name}'
                continue
            parts = [hint, *typing.get_args(hint)]
            for inner in [each for each in parts if isinstance(each, type) and issubclass(each, msgspec.Struct)]:
                yield from self.unknown(inner, self.properties(properties[name]), f'{path}{name}.')

    def test_every_field_that_is_read_is_in_the_manual(self):
        schema = json.loads((Path(__file__).parents[3] / 'docs/facts-schema.json').read_text())
        assert list(self.unknown(facts.Facts, schema['properties']['data']['properties'])) == []

    def test_what_the_prospector_sends_is_read_without_problems(self, tmp_path):
        from tests.sidecar.prospector.machines import MACHINES
        from tests.sidecar.prospector.test_facts import posted

        for number, (name, machine) in enumerate(MACHINES.items()):
            folder = tmp_path / str(number)
            folder.mkdir()
            found, problems = facts.read(posted(machine(folder))['data'])
            assert problems == (), name
            assert found != facts.Facts(), name


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ('changes', 'words'),
        [
            ({'system__product': 7}, 'system.product: text is expected, not 7.'),
            ({'system': []}, 'system: an object is expected, not a list.'),
            ({'system__product': {'a': [[[1]]]}}, 'system.product: text is expected, not an object.'),
            ({'memory__total_bytes': -1}, 'memory.total_bytes: a number of bytes is expected, not -1.'),
            ({'memory__total_bytes': 10**300}, 'a number of 997 bits'),
            ({'memory__total_bytes': '256G'}, 'a number of bytes is expected, not "256G"'),
            ({'disks__1': 'sda'}, 'disks.1: an object is expected, not "sda".'),
            ({'disks': {'0': {}}}, 'disks: a list is expected, not an object.'),
            ({'interfaces__0__mac': '01:00:5e:00:00:01'}, '"01:00:5e:00:00:01" is no MAC address of a single port.'),
            ({'interfaces__0__mac': '\u202e' + NICS[0]}, 'is no MAC address'),
            ({'interfaces__0__addresses': ['10.0.0.300/24']}, 'interfaces.0.addresses.0: "10.0.0.300/24" is no IP'),
            ({'interfaces__0__link': 'up'}, 'interfaces.0.link: true or false is expected, not "up".'),
            ({'firmware__mode': 'openboot'}, 'firmware.mode: "openboot" is not known; it is one of bios, uefi.'),
            ({'system__uuid': 'none of your business'}, 'system.uuid: "none of your business" is no UUID.'),
            ({'bmc': True}, 'bmc: an object is expected, not true.'),
            ({'system__product': 'R650\u202e\x00evil'}, 'system.product: characters that cannot be shown'),
            ({'system__product': 'x' * 65536}, 'system.product: of 65536 characters only the first 255 are used.'),
            ({'interfaces': [{}] * 600}, 'interfaces: of 600 entries only the first 512 are used.'),
        ],
    )
    def test_it_is_said_where_and_why_and_the_rest_is_read(self, changes, words):
        found, problems = facts.read(server(**changes))
        assert len(problems) == 1
        assert words in problems[0]
        assert len(problems[0]) < 200
        assert len(found.memory.modules) == 8
        assert found.firmware.vendor == 'Dell Inc.'

    def test_texts_are_lines_that_can_be_read(self):
        found, _ = facts.read({'system': {'product': 'R\x1b[31m650\u202e\n\n  II\u200b', 'manufacturer': 'x' * 65536}})
        assert found.system.product == 'R[31m650 II'
        assert len(found.system.manufacturer) == 255

    def test_nobody_reads_a_million_problems(self):
        problems = problems_of(disks=[7] * 1000)
        assert len(problems) == MOST_PROBLEMS + 1
        assert problems[-1] == 'And 900 more.'

    @pytest.mark.parametrize('data', [None, [], 'facts', 7, {}])
    def test_facts_that_are_none(self, data):
        assert facts.read(data).facts == facts.Facts()


@settings(max_examples=300, deadline=None)
@given(
    data=st.dictionaries(
        st.sampled_from(facts.Facts.__struct_fields__),
        st.one_of(
            ANYTHING,
            st.lists(st.dictionaries(st.sampled_from(facts.Interface.__struct_fields__), ANYTHING), max_size=4),
            st.dictionaries(
                st.sampled_from(facts.System.__struct_fields__ + facts.CPU.__struct_fields__), ANYTHING, max_size=6
            ),
        ),
    )
)
def test_whatever_is_delivered_becomes_facts_that_can_be_shown(data):
    found, problems = facts.read(data)
    plain = facts.plain(found)
    text = json.dumps(plain)
    assert '\\u202e' not in text
    assert '\\u0000' not in text
    assert len(text) < 2_000_000
    assert all(problem.isprintable() for problem in problems)
    facts.essence(data)


class TestWhetherAnythingChanged:
    def test_what_differs_at_every_boot_does_not_count(self):
        again = server(prospector__seconds=12.1, problems=[], disks__0__health__temperature_c=40)
        assert facts.essence(again) == facts.essence(SERVER)

    def test_a_disk_that_wears_out_counts(self):
        again = server(disks__0__health__passed=False)
        assert facts.essence(again) != facts.essence(SERVER)
