"""Which loaders there are, under which names, and that no name leads anywhere else."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from substruct_sidecar.boot import loaders
from substruct_sidecar.boot.loaders import Loaders, clean, made
from substruct_sidecar.settings import Dhcp, NetBox, Paths, Settings

SECRET = b'out of reach'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / 'secret').write_bytes(SECRET)
    found = tmp_path / 'loaders'
    (found / 'efi' / 'Boot').mkdir(parents=True)
    (found / 'snponly.efi').write_bytes(b'mine')
    (found / 'efi' / 'Boot' / 'BCD').write_bytes(b'windows')
    (found / 'link').symlink_to('../secret')
    (found / 'outside').symlink_to('..')
    os.mkfifo(found / 'pipe')
    return found


def content(found: Loaders, name: str) -> bytes | None:
    descriptor = found.open(name)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, 'rb') as stream:
        return stream.read()


@pytest.mark.parametrize(
    'name',
    ['efi/Boot/BCD', '/efi/Boot/BCD', '//efi///Boot/BCD', '\\efi\\Boot\\BCD', './efi/./Boot/BCD', 'EFI\\BOOT\\bcd',
     'efi/Boot/BCD\udcff'],
)  # fmt: skip
def test_names_as_clients_write_them(folder: Path, name: str) -> None:
    assert content(Loaders(folder), name) == b'windows'


@pytest.mark.parametrize(
    'name',
    ['', '/', '.', '..', '../secret', 'efi/../../secret', '..\\secret', '/../secret', 'link', 'outside/secret',
     'outside/loaders/snponly.efi', 'efi', 'efi/Boot', 'efi/Boot/', 'pipe', 'snponly.efi/', 'snponly.efi\0',
     '\0snponly.efi', 'a' * 65_536, 'snponly.efi/..', '%2e%2e/secret', 'efi/Boot/BCD/x', 'snponly.efi\n', '\udc80'],
)  # fmt: skip
def test_names_that_lead_nowhere(folder: Path, name: str) -> None:
    assert content(Loaders(folder, packages=False), name) in (None, b'mine' if name == 'snponly.efi/' else None)


@given(st.lists(st.sampled_from(['..', '.', '/', '\\', 'secret', 'link', 'outside', 'efi', 'etc', 'passwd', '\0'])))
def test_no_way_out(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    base = tmp_path_factory.getbasetemp() / 'way-out'
    if not base.exists():
        (base / 'loaders' / 'efi').mkdir(parents=True)
        (base / 'secret').write_bytes(SECRET)
        (base / 'loaders' / 'link').symlink_to('../secret')
        (base / 'loaders' / 'outside').symlink_to('..')
    assert content(Loaders(base / 'loaders', packages=False), ''.join(parts)) is None


def test_a_part_that_becomes_a_link_after_it_was_read_is_not_followed(folder: Path) -> None:
    found = Loaders(folder)
    assert content(found, 'efi/Boot/BCD') == b'windows'
    (folder / 'efi').rename(folder / 'efi-before')
    (folder.parent / 'elsewhere' / 'Boot').mkdir(parents=True)
    (folder.parent / 'elsewhere' / 'Boot' / 'BCD').write_bytes(SECRET)
    (folder / 'efi').symlink_to('../elsewhere')
    assert content(found, 'efi/Boot/BCD') is None


def test_case_counts_where_two_names_differ_in_nothing_else(folder: Path) -> None:
    (folder / 'a').write_bytes(b'small')
    (folder / 'A').write_bytes(b'large')
    (folder / 'Once').write_bytes(b'once')
    found = Loaders(folder)
    assert (content(found, 'a'), content(found, 'A')) == (b'small', b'large')
    assert content(found, 'oncE') == b'once'


def test_a_new_file_is_found_soon_and_misses_do_not_read_the_folder_each_time(folder: Path) -> None:
    now = [100.0]
    found = Loaders(folder, packages=False, clock=lambda: now[0])
    assert content(found, 'new') is None
    (folder / 'new').write_bytes(b'new')
    assert content(found, 'new') is None
    now[0] += loaders.FRESH
    assert content(found, 'new') == b'new'
    (folder / 'new').unlink()
    assert content(found, 'new') is None


@pytest.mark.skipif(not Path('/usr/lib/ipxe/snponly.efi').exists(), reason='the package ipxe is not installed')
def test_the_folder_wins_and_packages_fill_in(folder: Path) -> None:
    found = Loaders(folder)
    assert content(found, 'snponly.efi') == b'mine'
    assert content(Loaders(None), 'snponly.efi') == Path('/usr/lib/ipxe/snponly.efi').read_bytes()
    # a link of the package, to where the package has it
    assert content(found, 'ipxe.lkrn') == Path('/usr/lib/ipxe/ipxe.lkrn').read_bytes()
    assert {loader.name: loader.source for loader in found.all()}['ipxe.lkrn'] == 'package ipxe'


def test_http_gets_the_same_with_size_and_a_tag_of_its_content(folder: Path) -> None:
    found = Loaders(folder).opened('snponly.efi')
    assert found is not None
    with found.stream:
        assert (found.stream.read(), found.size) == (b'mine', 4)
    (folder / 'snponly.efi').write_bytes(b'another')
    other = Loaders(folder).opened('snponly.efi')
    assert other is not None
    with other.stream:
        assert other.etag != found.etag


@pytest.mark.parametrize('name', ['autoexec.ipxe', 'boot.ipxe', 'pxelinux.cfg/default'])
def test_what_is_made_here_leads_to_the_boot_server(name: str) -> None:
    text = made(name, 'http://10.0.0.1:8080')
    assert text is not None
    assert b'http://10.0.0.1:8080/' in text
    assert b'@@' not in text


@pytest.mark.parametrize('url', ['', 'ftp://x', 'http://a b/', 'http://a/\nchain http://evil/', 'http://a/$(x)'])
def test_a_base_url_that_is_none_makes_nothing(url: str) -> None:
    assert made('autoexec.ipxe', url) is None


def test_grub_is_led_to_the_file_of_its_machine() -> None:
    text = made('grub/grub.cfg', '')
    assert text is not None
    assert b'source "$prefix/grub.cfg-$net_default_mac"' in text


def test_clean_names_are_clean() -> None:
    assert clean('\\Boot\\x64\\wdsnbp.com') == 'Boot/x64/wdsnbp.com'
    assert clean('a/../b') is None


def settings(folder: Path | str, **chosen: str) -> Settings:
    return Settings(
        netbox=NetBox(url='http://127.0.0.1', boot_server='x'), paths=Paths(loaders=str(folder)),
        dhcp=Dhcp(loaders=chosen),
    )  # fmt: skip


def test_check_names_what_is_missing_and_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, '_is_file', lambda path: False)
    found = list(loaders.check(settings(folder, **{'uefi-x64': 'shimx64.efi'})))
    errors = {finding.message.split()[3] if 'there is no' in finding.message else '' for finding in found}
    assert {'lpxelinux.0:', 'ldlinux.c32:', 'ipxe.lkrn:'} <= errors
    assert any('dhcp.loaders names shimx64.efi' in finding.message for finding in found)
    assert any(finding.verdict == 'warning' and 'link' in finding.message for finding in found)
    assert all(finding.remedy for finding in found if finding.verdict != 'ok')


def test_check_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    found = list(loaders.check(settings(tmp_path / 'nowhere')))
    assert found[0].verdict == 'error'
    assert 'nowhere is no folder' in found[0].message


@pytest.mark.skipif(not Path('/usr/lib/ipxe/snponly.efi').exists(), reason='the package ipxe is not installed')
def test_check_is_content_with_the_packages() -> None:
    found = list(loaders.check(msgspec.structs.replace(settings(''), paths=Paths())))
    assert [finding.verdict for finding in found] == ['ok']
    assert 'package ipxe' in found[0].message
