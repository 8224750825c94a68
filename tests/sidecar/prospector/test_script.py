"""Following boot scripts without iPXE: those of the library, and those that the boot server makes itself."""

from pathlib import Path

import pytest

from substruct_sidecar.boot import scripts
from substruct_sidecar.prospector.inside.script import Beyond, Chain, Disk, Kernel, expand, follow

SETTINGS = {
    'mac': '52:54:00:12:34:56', 'uuid': '4c4c4544-0042-3510-8054-b7c04f4d3332', 'serial': 'SN 1/2',
    'buildarch': 'x86_64', 'platform': 'efi',
}  # fmt: skip

PROSPECTOR = """\
#!ipxe
echo Substruct: web1 boots wipe. It was asked for.
:again
echo Substruct: all disks will be erased
imgfree
kernel --name vmlinuz http://b:8080/prospector/x86_64/vmlinuz initrd=initrd0 substruct.mode=wipe BOOTIF=01-${netX/mac:hexhyp} || goto failed
initrd --name initrd0 http://b:8080/prospector/x86_64/initrd.img || goto failed
boot || goto failed

:failed
echo Substruct: the prospector cannot be loaded, trying again in 30 seconds (Ctrl-C ends)
sleep 30 || shell
goto again
"""  # noqa: E501


def test_the_prospectors_script_gives_its_kernel_and_arguments() -> None:
    assert follow(PROSPECTOR, SETTINGS) == Kernel(
        'http://b:8080/prospector/x86_64/vmlinuz',
        'initrd=initrd0 substruct.mode=wipe BOOTIF=01-52-54-00-12-34-56',
        ('http://b:8080/prospector/x86_64/initrd.img',),
    )


def test_an_installer_with_several_initrds() -> None:
    text = '#!ipxe\nimgfree\nkernel http://b/k a=1 ---\ninitrd http://b/1\ninitrd --name two http://b/2\nboot\n'
    assert follow(text, SETTINGS) == Kernel('http://b/k', 'a=1 ---', ('http://b/1', 'http://b/2'))


def test_what_was_loaded_before_is_forgotten_by_imgfree() -> None:
    text = '#!ipxe\nkernel http://b/old\ninitrd http://b/1\nimgfree\nkernel http://b/new\nboot\n'
    assert follow(text, SETTINGS) == Kernel('http://b/new', '', ())


def test_addresses_are_of_where_the_script_came_from() -> None:
    text = '#!ipxe\nkernel /files/k\ninitrd i\nboot\n'
    assert follow(text, SETTINGS, 'http://b:80/boot.ipxe?mac=1') == Kernel(
        'http://b:80/files/k', '', ('http://b:80/i',)
    )


@pytest.mark.parametrize(
    'text',
    [
        '#!ipxe\nsanboot --no-describe --drive 0x80 || exit 1\n', '#!ipxe\nexit 1\n', '#!ipxe\n',
        '#!ipxe\necho nothing\n',
        '#!ipxe\niseq ${platform} efi && exit 1 ||\nsanboot --no-describe --drive 0x80 || exit 1\n',
        '#!ipxe\niseq a b\nkernel http://b/k\nboot\n',
    ],
)  # fmt: skip
def test_scripts_that_lead_to_the_disk(text: str) -> None:
    assert follow(text, SETTINGS) == Disk()


@pytest.mark.parametrize(('platform', 'kernel'), [('efi', 'http://b/efi'), ('pcbios', 'http://b/bios')])
def test_branches_on_the_platform(platform: str, kernel: str) -> None:
    text = (
        '#!ipxe\niseq ${platform} efi && goto uefi || goto bios\n:bios\nkernel http://b/bios\nboot\n'
        ':uefi\nkernel http://b/efi\nboot\n'
    )
    assert follow(text, {**SETTINGS, 'platform': platform}) == Kernel(kernel, '', ())


def test_the_script_of_a_boot_server_that_waits_asks_again() -> None:
    text = scripts.waiting_script('the boot server is still fetching a boot file', 'http://b:8080')
    found = follow(text, SETTINGS)
    assert isinstance(found, Chain)
    assert found.url == (
        'http://b:8080/boot.ipxe?mac=52-54-00-12-34-56&uuid=4c4c4544-0042-3510-8054-b7c04f4d3332&serial=SN%201%2F2'
        '&arch=x86_64&platform=efi'
    )


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        ('#!ipxe\nset x 1\nboot\n', 'set x 1'), ('#!ipxe\nmenu\n', 'menu'), ('#!ipxe\nboot\n', 'boot'),
        ('#!ipxe\ngoto nowhere\n', 'goto nowhere'), ('<html>', '<html>'), ('', ''),
        ('#!ipxe\n:a\ngoto a\n', 'it runs in a circle'),
        ('#!ipxe\nkernel http://b/k\ninitrd http://b/f /etc/f mode=755\nboot\n', 'initrd with a file name'),
    ],
)  # fmt: skip
def test_what_needs_ipxe_itself_is_said(text: str, line: str) -> None:
    assert follow(text, SETTINGS) == Beyond(line)


def test_settings_are_expanded_as_ipxe_does_it() -> None:
    assert expand('${net0/mac} ${mac:hexraw} ${netX/mac:hexhyp} ${nothing} $x ${', SETTINGS) == (
        '52:54:00:12:34:56 525400123456 52-54-00-12-34-56  $x ${'
    )


def test_every_script_of_the_library_uses_only_what_is_understood() -> None:
    """The words that they begin their commands with; what the templates put between is data."""
    known = {
        'echo', 'imgfree', 'kernel', 'initrd', 'boot', 'sleep', 'goto', 'chain', 'sanboot', 'exit', 'iseq',
        '#!ipxe', '#',
    }  # fmt: skip
    folder = Path(__file__).parents[3] / 'templates'
    for path in (*folder.glob('ipxe/*.ipxe'), *folder.glob('snippets/ipxe_*')):
        text = path.read_text()
        while '{#' in text:
            text = text[: text.index('{#')] + text[text.index('#}') + 2 :]
        for line in text.splitlines():
            word = line.strip().split(' ')[0]
            if word and not word.startswith(('{', ':', 'substruct.')):
                assert word in known, f'{path.name}: {line}'
