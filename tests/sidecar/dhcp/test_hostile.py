"""Values that would like to be more than values, with every backend.

The daemon's checker accepts what comes of them, and nobody else's answer changes.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from substruct_sidecar.desired import Interface, Machine, Subnet
from tests.sidecar.dhcp.backend import HAND_WRITTEN_ADDRESS, HAND_WRITTEN_MAC
from tests.sidecar.dhcp.client import UEFI, Client
from tests.sidecar.dhcp.conftest import Served
from tests.sidecar.dhcp.expect import boots
from tests.sidecar.net import Lan
from tests.sidecar.world import World

GOOD = '02:00:00:00:00:11'

# What ends a string, a statement, a block, a line or a list in one of the daemons' languages, or chokes them.
NASTY = [
    '"', "'", '\\', '\\"', ';', '}', '{', '";', '"; }', '\n', '\r\n', '\0', '#', '//', '/*', '*/', ',', '=', ':', '%',
    '$',
    '"; } host evil { hardware ethernet 02:00:00:00:00:11; fixed-address 10.60.0.66; } #',
    '\nhost evil { hardware ethernet 02:00:00:00:00:11; fixed-address 10.60.0.66; }\n',
    '"}], "reservations": [{"hw-address": "02:00:00:00:00:11", "ip-address": "10.60.0.66"}], "x": [{"y": "',
    '\ndhcp-host=02:00:00:00:00:11,10.60.0.66\n', '02:00:00:00:00:11,10.60.0.66', 'evil,ignore', 'set:known,infinite',
    'tag:!known,67,evil', 'id:*', '*', '[10.60.0.66]', 'ignore', 'infinite', 'include "/etc/passwd";',
    '<?include "/etc/passwd"?>',
    '../../../etc/passwd', '/etc/passwd', '.', '..', '-', '--help', '-h', 'a' * 63, 'a' * 64, 'a' * 256, 'x' * 65536,
    '\u202egnp.exe', '\ufeff', '\u2028', '\x85', '\x7f', '\x1b[2J', 'ü', '💣', 'é' * 300, ' ', '', '\t', 'a b',
    'localhost',
    '${net0/mac}', '{{ 7 * 7 }}', '$(reboot)', '`reboot`', "' OR 1=1 --", "'); DROP TABLE hosts; --", '\\x41',
    '\\u0041',
    '%s%n',
    'true', 'null', '0', '-1', '1e999', '10.60.0.66', '::', '0x41', '0a:0b', '00' * 300,
]  # fmt: skip


def the_good(world: World) -> None:
    world.add_subnet(
        Lan.NEAR4, gateway='10.60.0.1', name_servers=['10.60.0.53'], lease_range=('10.60.0.100', '10.60.0.150')
    )
    world.add_machine('good', mac=GOOD, address='10.60.0.11/24')


def the_good_is_served(network: Served) -> None:
    ack = Client(network.link, GOOD, UEFI).lease()
    assert (ack.yiaddr, ack.hostname, ack.routers) == ('10.60.0.11', 'good', ['10.60.0.1'])
    assert (ack.name_servers, ack.lease_time) == (['10.60.0.53'], 3600)
    boots(ack, UEFI)
    assert Client(network.link, HAND_WRITTEN_MAC).lease().yiaddr == HAND_WRITTEN_ADDRESS
    network.backend.check()


def a_bad_machine(world: World, number: int, text: str) -> Machine:
    """Every value that is only text is this text; it has a MAC and an IPv4 address of its own."""
    good = world.interface(name=text, mac=f'02:00:00:01:{number >> 8:02x}:{number & 255:02x}')
    good = msgspec.structs.replace(
        good, type=text, mode=text,
        addresses=[world.address(f'10.80.{number >> 8}.{number & 255}/16', dns_name=text)],
    )  # fmt: skip
    return world.add_machine(
        text, hostname=text, fqdn=text, site=text, uuid=text, serial=text, architecture=text, firmware=text,
        local_method=text, interfaces=[good],
    )  # fmt: skip


def a_bad_identity(world: World, text: str, **values: Any) -> Machine:
    """Whatever identifies it is this text."""
    interface: Interface = world.interface(mac=text, **{'dhcp_client_id': text, 'dhcp_duid': text, **values})
    interface = msgspec.structs.replace(interface, addresses=[world.address(text, subnet=1)])
    return world.add_machine('identity', interfaces=[interface], boot_mac=text)


def a_bad_subnet(world: World, number: int, text: str, options: Mapping[str, Any] | None = None) -> Subnet:
    return world.add_subnet(
        f'10.81.{number}.0/24', site=text, domain=text, gateway=text, name_servers=[text, '10.60.0.53'],
        ntp_servers=[text], lease_range=(text, text),
        dhcp_options={'224': text, text: text, 'tftp-server-name': text} if options is None else options,
    )  # fmt: skip


def test_known_tricks_all_at_once(fresh: Served) -> None:
    the_good(fresh.world)
    fresh.world.add_subnet('10.80.0.0/16')
    for number, text in enumerate(NASTY, start=1):
        a_bad_machine(fresh.world, number, text)
        a_bad_identity(fresh.world, text)
        a_bad_identity(fresh.world, '', dhcp_circuit_id=text)
        a_bad_subnet(fresh.world, number, text)
    plan = fresh.start()
    the_good_is_served(fresh)
    assert plan.problems
    # Problems are shown to people and sent to NetBox: they stay short.
    assert max(len(str(problem.message) + problem.remedy) for problem in plan.problems) < 1000
    assert fresh.left().summary() == '0 to add, 0 to change, 0 to remove'


def test_a_machine_with_a_hostile_name_has_its_address_all_the_same(fresh: Served) -> None:
    the_good(fresh.world)
    bad = {}
    for number, text in enumerate(NASTY[:80], start=20):
        machine = fresh.world.add_machine(
            text, hostname=text, mac=f'02:00:00:01:00:{number:02x}', address=f'10.60.0.{number}/24'
        )
        bad[f'10.60.0.{number}'] = machine
    fresh.start()
    for address, machine in bad.items():
        if address != HAND_WRITTEN_ADDRESS:
            assert Client(fresh.link, machine.interfaces[0].macs[0]).lease().yiaddr == address
    the_good_is_served(fresh)


HOSTILE_URLS = [
    'http://10.60.0.1:8080/"; } host evil { }', "http://10.60.0.1:8080/'%s", 'http://10.60.0.1/\n\noption',
    'http://10.60.0.1/,evil', 'http://10.60.0.1/' + 'x' * 300, 'http://"/', '":;}', 'http://[::1', 'http://10.60.0.1/ü',
    '',
]  # fmt: skip


def test_a_hostile_base_url_is_no_configuration(fresh: Served) -> None:
    the_good(fresh.world)
    fresh.start()
    for base_url in HOSTILE_URLS:
        fresh.world.boot_server = msgspec.structs.replace(fresh.world.boot_server, base_url=base_url)
        fresh.apply()
        fresh.backend.check()
        ack = Client(fresh.link, GOOD, UEFI).lease()
        assert (ack.yiaddr, ack.hostname, ack.routers) == ('10.60.0.11', 'good', ['10.60.0.1']), base_url
    assert fresh.left().summary() == '0 to add, 0 to change, 0 to remove'


_TEXT = st.one_of(
    st.sampled_from([text for text in NASTY if len(text) < 1000]),
    st.text(st.characters(exclude_categories=['Cs']), max_size=40),
    st.text(st.sampled_from('"\'\\;{}[]()#/*,=:%$\n\r\0 ab0'), max_size=12),
)
_VALUE = st.one_of(_TEXT, st.integers(-(2**40), 2**40), st.booleans())
_OPTIONS = st.dictionaries(
    st.one_of(
        st.integers(0, 256).map(str),
        st.sampled_from(['tftp-server-name', 'boot-file-name', 'routers', 'domain-search', 'classless-static-route']),
        _TEXT,
    ),
    st.one_of(_VALUE, st.lists(_VALUE, max_size=4)),
    max_size=6,
)


def test_values_that_nobody_has_thought_of(fresh: Served) -> None:
    the_good(fresh.world)
    fresh.world.add_subnet('10.80.0.0/16')
    machine = a_bad_machine(fresh.world, 1, 'srv')
    identity = a_bad_identity(fresh.world, '02:00:00:02:00:01')
    subnet = a_bad_subnet(fresh.world, 1, 'x')
    fresh.start()

    # No shrinking: each example stands on what those before it have left.
    @settings(max_examples=25, deadline=None, database=None, phases=(Phase.generate,))
    @given(_TEXT, _TEXT, _OPTIONS)
    def whatever_it_is(text: str, other: str, options: dict[str, Any]) -> None:
        fresh.world.change(machine, name=text, hostname=other, fqdn=text, site=other)
        interface = msgspec.structs.replace(
            identity.interfaces[0], name=other, macs=[text, '02:00:00:02:00:01'], dhcp_client_id=other, dhcp_duid=text,
            dhcp_circuit_id=other, addresses=[fresh.world.address(text, subnet=1)],
        )  # fmt: skip
        fresh.world.change(identity, interfaces=[interface], boot_mac=other)
        fresh.world.change(subnet, domain=text, gateway=other, dhcp_options=json.loads(json.dumps(options)))
        fresh.apply()
        the_good_is_served(fresh)

    whatever_it_is()
    assert fresh.left().summary() == '0 to add, 0 to change, 0 to remove'


def test_options_keep_their_bytes(fresh: Served) -> None:
    """Text goes over the wire as it stands in NetBox, whatever it looks like in the daemon's own language."""
    texts = [
        text for text in NASTY if 0 < len(text.encode()) < 200 and not any(ord(c) < 32 or c == '\x7f' for c in text)
    ]
    texts = [text for text in texts if not text.lower().startswith('hex:')]
    codes = range(224, 224 + 24)
    the_good(fresh.world)
    lan = fresh.world.objects['subnet', 1]
    assert isinstance(lan, Subnet)
    fresh.start()
    for start in range(0, len(texts), len(codes)):
        wanted = dict(zip(codes, texts[start : start + len(codes)], strict=False))
        fresh.world.change(lan, dhcp_options={str(code): text for code, text in wanted.items()})
        plan = fresh.apply()
        assert [str(problem) for problem in plan.problems] == []
        # A few at a time: a packet has little room.
        for code, text in wanted.items():
            ack = Client(fresh.link, GOOD, wants=(code,)).discover()
            assert ack.options.get(code) == text.encode(), (code, text)
