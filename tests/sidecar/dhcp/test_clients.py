"""The table of network-booting clients: who is given what, and who is given nothing."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from substruct_sidecar.dhcp.clients import CLASSES, SCRIPT, ClientClass, table
from substruct_sidecar.dhcp.model import BootAt
from substruct_sidecar.settings import SettingsError, load

HERE = BootAt('http://10.0.0.2:8080', IPv4Address('10.0.0.2'))
HERE6 = BootAt('http://[2001:db8::2]:8080', IPv6Address('2001:db8::2'))


def class_of(
    *, arch: int | None = None, vendor: str = '', user: str = '', options: tuple[int, ...] = (), mac: str = '02:00:00'
) -> ClientClass | None:
    """The first class that a client is of, as a backend would have it."""
    for found in table():
        for match in found.matches:
            if (
                (not match.architectures or arch in match.architectures)
                and vendor.startswith(match.vendor_class)
                and user.startswith(match.user_class)
                and (match.option is None or match.option in options)
                and (not match.macs or mac.startswith(match.macs))
            ):
                return found
    return None


@pytest.mark.parametrize(
    ('arch', 'file'),
    [
        (0, 'lpxelinux.0'), (6, 'snponly-i386.efi'), (7, 'snponly.efi'), (9, 'snponly.efi'),
        (10, 'snponly-arm32.efi'), (11, 'snponly-arm64.efi'), (27, 'snponly-riscv64.efi'),
    ],
)  # fmt: skip
def test_firmware_gets_the_loader_of_its_architecture_by_tftp(arch: int, file: str) -> None:
    found = class_of(arch=arch, vendor=f'PXEClient:Arch:{arch:05}')
    assert found is not None
    answer = found.answer(HERE, 4)
    assert answer is not None
    assert (answer.file, answer.next_server, answer.in_header) == (file, IPv4Address('10.0.0.2'), True)
    answer = found.answer(HERE6, 6)
    assert answer is not None
    assert (answer.file, answer.next_server) == (f'tftp://[2001:db8::2]/{file}', None)


@pytest.mark.parametrize(('arch', 'file'), [(15, 'snponly-i386.efi'), (16, 'snponly.efi'), (19, 'snponly-arm64.efi')])
def test_http_boot_gets_a_url_and_hears_its_vendor_class_again(arch: int, file: str) -> None:
    found = class_of(arch=arch, vendor=f'HTTPClient:Arch:{arch:05}')
    assert found is not None
    answer = found.answer(HERE, 4)
    assert answer is not None
    assert answer.file == f'http://10.0.0.2:8080/loaders/{file}'
    assert [(option.code, option.data) for option in answer.options] == [(60, b'HTTPClient')]
    answer = found.answer(HERE6, 6)
    assert answer is not None
    assert [(option.code, option.data.hex()) for option in answer.options] == [(16, '00000157000a48545450436c69656e74')]


@pytest.mark.parametrize('arch', [0, 7, 11, 16, 9999])
def test_ipxe_gets_the_script_whatever_else_it_says(arch: int) -> None:
    for says in ({'user': 'iPXE'}, {'user': 'gPXE'}, {'options': (175,)}):
        found = class_of(arch=arch, vendor='PXEClient', **says)  # type: ignore[arg-type]
        assert found is not None
        answer = found.answer(HERE, 4)
        assert answer is not None
        assert answer.file == 'http://10.0.0.2:8080' + SCRIPT
        assert not answer.in_header  # it would be cut off there, and iPXE would believe it
        assert [(option.code, option.data) for option in answer.options] == [(175, b'\xb0\x01\x01')]


def test_an_architecture_without_a_loader_is_given_nothing() -> None:
    for arch in (1, 2, 8, 12, 31, 9999, None):
        for vendor in ('PXEClient', 'HTTPClient'):
            found = class_of(arch=arch, vendor=vendor)
            assert found is not None
            assert found.answer(HERE, 4) is None


def test_a_plain_client_is_of_no_class() -> None:
    assert class_of() is None
    assert class_of(vendor='udhcp 1.36', user='x') is None


def test_a_raspberry_pi_says_that_it_is_a_bios_pc_and_gets_no_pc_loader() -> None:
    found = class_of(arch=0, vendor='PXEClient:Arch:00000:UNDI:002001', mac='2c:cf:67:00:00:01')
    assert found is not None
    assert found.answer(HERE, 4) is None
    # As a machine with UEFI firmware it is like any other.
    assert class_of(arch=11, vendor='PXEClient', mac='2c:cf:67:00:00:01').name == 'uefi-arm64'  # type: ignore[union-attr]


def test_without_an_address_for_tftp_nobody_is_sent_there() -> None:
    nowhere = BootAt('http://boot.example.org', None)
    for found in table():
        answer = found.answer(nowhere, 4)
        assert answer is None or found.how in ('script', 'http')
    assert all(found.answer(BootAt('', None), version) is None for found in table() for version in (4, 6))  # type: ignore[arg-type]


def test_an_ipv4_server_is_not_named_to_ipv6_clients() -> None:
    uefi = class_of(arch=7, vendor='PXEClient')
    assert uefi is not None
    assert uefi.answer(HERE, 6) is None


def test_loaders_can_be_overridden_in_one_place() -> None:
    found = {one.name: one for one in table({'uefi-x64': 'shimx64.efi', 'bios': '', 'raspberry-pi': 'rpi/start.elf'})}
    assert found['uefi-x64'].answer(HERE, 4).file == 'shimx64.efi'  # type: ignore[union-attr]
    assert found['bios'].answer(HERE, 4) is None
    assert found['raspberry-pi'].answer(HERE, 4).file == 'rpi/start.elf'  # type: ignore[union-attr]
    assert [one.name for one in found.values()] == [one.name for one in CLASSES]


@pytest.mark.parametrize(
    'loaders', ['{"no-such" = "x"}', '{"bios" = "../x"}', '{"bios" = "a b"}', '{"bios" = "\\"; x"}']
)
def test_settings_refuse_loaders_that_are_none(loaders: str) -> None:
    with pytest.raises(SettingsError, match=r'dhcp\.loaders'):
        load(environment={
            'SUBSTRUCT_NETBOX_URL': 'http://x', 'SUBSTRUCT_NETBOX_BOOT_SERVER': 'b', 'SUBSTRUCT_DHCP_LOADERS': loaders,
        })  # fmt: skip


def test_names_are_safe_in_every_syntax() -> None:
    for found in CLASSES:
        assert found.name.replace('-', '').isalnum()
        assert found.name == found.name.lower()
        assert '"' not in found.why
        assert '\n' not in found.why
