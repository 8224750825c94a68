"""The language of dhcpd.conf: what is written means what was meant, is read back as it was, and nothing breaks out."""

import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from substruct_sidecar.dhcp import clients, isc_syntax
from substruct_sidecar.dhcp.isc_files import Damaged, Manifest, Store
from substruct_sidecar.dhcp.isc_syntax import HostBlock, SubnetBlock
from substruct_sidecar.dhcp.model import BootAt, Host, Identifier, Option, Placement, Subnet
from tests.sidecar.dhcp.backend_isc import BINARY, IscBackend

needs_dhcpd = pytest.mark.skipif(bool(IscBackend.missing()), reason=IscBackend.missing())


def accepted(folder: Path, text: str) -> str:
    """'' if dhcpd takes the text as a configuration, else what it says."""
    path = folder / 'test.conf'
    path.write_text(text)
    done = subprocess.run([BINARY, '-t', '-cf', path], capture_output=True, text=True, errors='replace', check=False)
    return done.stderr if done.returncode else ''


def a_subnet(number: int = 1, **values: object) -> Subnet:
    return Subnet(**{  # type: ignore[arg-type]
        'id': number, 'prefix': IPv4Network(f'10.60.{number}.0/24'), 'shared': '', 'options': (), 'lease_range': None,
        'lease_time': 3600, 'discovery': False, 'boot': BootAt('http://10.0.0.2', IPv4Address('10.0.0.2')), **values,
    })  # fmt: skip


def a_host(number: int = 1, boot: bool = True, **values: object) -> Host:
    return Host(**{  # type: ignore[arg-type]
        'key': f'm{number}.{number}', 'machine': number, 'machine_name': f'srv-{number}',
        'identifiers': (Identifier('mac', f'02:00:00:00:00:{number:02x}'),),
        'placements': (Placement(1, IPv4Address(f'10.60.1.{number}')),), 'hostname': f'srv-{number}', 'boot': boot,
        **values,
    })  # fmt: skip


@needs_dhcpd
@given(st.text(max_size=200).filter(lambda text: '\0' not in text))
def test_any_text_is_one_string_for_dhcpd(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    quoted = isc_syntax.quote(text)
    assert quoted.isprintable() and quoted.count('"') == 2 and quoted.isascii()
    folder = tmp_path_factory.mktemp('quote')
    words = accepted(folder, f'option x code 224 = string;\noption x {quoted if text else "00"};\n')
    assert not words


test_any_text_is_one_string_for_dhcpd = pytest.mark.filterwarnings('ignore')(test_any_text_is_one_string_for_dhcpd)


@given(st.text(max_size=300))
def test_a_comment_never_leaves_its_line(text: str) -> None:
    assert len(f'# {isc_syntax.comment(text)}'.splitlines()) == 1


@needs_dhcpd
def test_dhcpd_takes_the_classes_whatever_loaders_are_set(tmp_path: Path) -> None:
    for overrides in ({}, {'bios': '', 'uboot': 'u/boot.bin', 'unknown': 'x'}):
        common = isc_syntax.globals4(clients.table(overrides), [a_subnet()])
        assert not accepted(tmp_path, common)


def test_nothing_is_ever_an_option_without_bytes() -> None:
    # dhcpd 4.4.3 dies of it when it comes from a host.
    text = isc_syntax.globals4(clients.table(), [a_subnet()]) + isc_syntax.host4(a_host(boot=False))
    assert 'option substruct.boot "' not in text
    assert ' "";' not in text


def test_a_host_that_is_not_to_boot_says_so_where_it_has_no_address_too() -> None:
    assert isc_syntax.host4(a_host()).splitlines() == [
        'hardware ethernet 02:00:00:00:00:01; fixed-address 10.60.1.1; option host-name "srv-1";'
    ]
    assert isc_syntax.host4(a_host(boot=False)).splitlines() == [
        (
            'hardware ethernet 02:00:00:00:00:01; fixed-address 10.60.1.1; option host-name "srv-1"; '
            'option substruct.boot 00;'
        ),
        'hardware ethernet 02:00:00:00:00:01; option host-name "srv-1"; option substruct.boot 00;',
    ]


def test_what_is_written_for_hosts_is_read_back() -> None:
    hosts = [a_host(1), a_host(2, False), a_host(3, machine_name='#=m9.9 x\n}"; host x {\u202e', hostname='')]
    blocks = [
        HostBlock(host.key, host.machine, isc_syntax.comment(host.machine_name), isc_syntax.host4(host), 'abc')
        for host in hosts
    ]
    assert list(isc_syntax.read_hosts(isc_syntax.host_file(blocks)).values()) == blocks


def test_what_is_written_for_subnets_is_read_back() -> None:
    subnets = [
        a_subnet(1, shared='link1'), a_subnet(2), a_subnet(3, shared='link1', options=(Option(224, b'a"\n}', 'x\n}'),)),
    ]  # fmt: skip
    texts = isc_syntax.subnets4(subnets)
    blocks = {one.id: SubnetBlock(one.id, str(one.prefix), one.shared, texts[one.id]) for one in subnets}
    assert isc_syntax.read_subnets(isc_syntax.subnet_file(blocks.values())) == blocks


def test_names_of_declarations_lead_back_to_their_host() -> None:
    block = HostBlock('m17.23', 17, 'srv', 'a\nb', 'zz9')
    assert block.names() == ['substruct-m17-23-zz9-0', 'substruct-m17-23-zz9-1']
    assert {isc_syntax.key_of_name(name) for name in block.names()} == {'m17.23'}
    assert isc_syntax.key_of_name('by-hand') is None


def test_what_omapi_cannot_say_is_known() -> None:
    one = isc_syntax.live('n', isc_syntax.host4(a_host()))
    assert one is not None
    assert (one.hardware.hex(), one.addresses.hex(), one.statements) == (
        '020000000001', '0a3c0101', 'option host-name "srv-1";',
    )  # fmt: skip
    body = isc_syntax.host4(a_host(identifiers=(Identifier('circuit-id', '6162'),)))
    assert isc_syntax.live('n', body) is None


def test_hand_written_configuration_is_read_by_words_not_by_lines() -> None:
    text = """
    # subnet 10.0.0.0 netmask 255.0.0.0 { }
    option x "subnet 10.1.0.0 netmask 255.255.0.0 { }; include \\"no\\"";
    shared-network a { subnet 10.2.0.0
       netmask 255.255.0.0 { } } include "/etc/dhcp/a.conf"; subnet6 2001:DB8::/64 {}
    """
    assert isc_syntax.declared_subnets(text) == ['10.2.0.0/16', '2001:db8::/64']
    assert isc_syntax.includes(text) == ['/etc/dhcp/a.conf']


def test_files_are_named_by_their_contents_and_damage_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path, 4)
    store.prepare()
    assert store.manifest(store.read_top()) == Manifest()
    entry = store.write('hosts-3', 'x\n', 7)
    manifest = Manifest(store.write('global', 'g', 1), store.write('subnets', 's', 2), {3: entry})
    assert store.manifest(store.text(manifest)) == manifest
    assert list(store.damaged(manifest)) == []
    path = store.folder / entry.name
    path.write_text(path.read_text() + ' ')
    assert len(list(store.damaged(manifest))) == 1
    with pytest.raises(Damaged, match='somebody else'):
        store.read(entry)
    path.unlink()
    assert len(list(store.damaged(manifest))) == 1


def test_only_files_of_ours_that_nobody_needs_are_removed(tmp_path: Path) -> None:
    store = Store(tmp_path, 4)
    store.prepare()
    kept, old = store.write('hosts-1', 'a', 1), store.write('hosts-1', 'b', 1)
    (store.folder / 'by-hand.conf').write_text('mine')
    (store.folder / '.half-written.new').write_text('')
    store.clean([Manifest(hosts={1: kept})])
    assert {path.name for path in store.folder.iterdir()} == {kept.name, 'by-hand.conf'}
    assert old.name != kept.name
