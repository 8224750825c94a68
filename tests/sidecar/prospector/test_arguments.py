"""The kernel's command line, as boot loaders write it."""

import pytest

from substruct_sidecar.prospector.inside.arguments import boot_mac, parse, split


def test_everything_that_a_boot_script_says() -> None:
    found = parse(
        'initrd=initrd0 substruct.mode=image substruct.url=http://10.0.0.1:8080/ '
        'substruct.build=http://10.0.0.1:8080/build/t0k substruct.image=http://10.0.0.1:8080/files/abc '
        f'substruct.sha256={"AB" * 32} substruct.disk="serial=A B" BOOTIF=01-52-54-00-12-34-56 substruct.vlan=42\n'
    )
    assert (found.mode, found.url, found.disk, found.vlan) == ('image', 'http://10.0.0.1:8080', 'serial=A B', 42)
    assert found.build == 'http://10.0.0.1:8080/build/t0k'
    assert found.sha256 == 'ab' * 32
    assert found.boot_mac == '52:54:00:12:34:56'
    assert (found.debug, found.faults) == (False, ())


def test_without_a_mode_it_only_discovers() -> None:
    assert parse('substruct.url=http://b').mode == 'discover'


def test_an_unknown_mode_never_does_anything_else() -> None:
    found = parse('substruct.url=http://b substruct.mode=format')
    assert found.mode == 'discover'
    assert 'format' in found.faults[0]


@pytest.mark.parametrize('url', ['', 'b', 'ftp://b', 'http://', 'http://[::1', 'http://b:port', 'javascript:x'])
def test_what_is_no_url_is_a_fault(url: str) -> None:
    found = parse(f'substruct.url={url}')
    assert found.url == ''
    assert found.faults


@pytest.mark.parametrize('vlan', ['0', '4095', '-1', 'x', '1.5', '٣'])
def test_what_is_no_vlan_is_a_fault(vlan: str) -> None:
    found = parse(f'substruct.url=http://b substruct.vlan={vlan}')
    assert found.vlan is None
    assert found.faults


def test_quotes_are_those_of_the_kernel() -> None:
    assert split('a="b c" "d=e f" g h= "i" j="k') == [
        ('a', 'b c'), ('d', 'e f'), ('g', ''), ('h', ''), ('i', ''), ('j', 'k'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('text', 'mac'),
    [
        ('01-52-54-00-AB-cd-ef', '52:54:00:ab:cd:ef'), ('52:54:00:ab:cd:ef', '52:54:00:ab:cd:ef'), ('', ''),
        ('01-', ''),
        ('01-52-54-00-ab-cd', ''), ('01-00-00-00-00-00-00', ''), ('20-52-54-00-ab-cd-ef', '52:54:00:ab:cd:ef'),
    ],
)  # fmt: skip
def test_the_card_that_was_booted_from(text: str, mac: str) -> None:
    assert boot_mac(text) == mac
