"""The kernel's command line, and what of it is for the prospector.  Pure."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

MODES = ('discover', 'rescue', 'wipe', 'image', 'script')


@dataclass(frozen=True)
class Arguments:
    """`boot_mac` is the MAC address of the network card that the machine booted from, where it said so."""

    mode: str = 'discover'
    url: str = ''
    build: str = ''
    image: str = ''
    sha256: str = ''
    disk: str = ''
    boot_mac: str = ''
    vlan: int | None = None
    debug: bool = False
    faults: tuple[str, ...] = ()


def split(line: str) -> list[tuple[str, str]]:
    """Names and values, as the kernel takes its command line apart (Linux, lib/cmdline.c, next_arg): double quotes
    hold spaces, and are not part of the value."""
    found = []
    for word in re.findall(r'(?:[^\s"]|"[^"]*"?)+', line):
        if word.startswith('"'):
            word = word.replace('"', '', 1)
            word = word[:-1] if word.endswith('"') else word
        name, _, value = word.partition('=')
        if value.startswith('"'):
            value = value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:]
        found.append((name, value))
    return found


def parse(line: str) -> Arguments:
    """What cannot be used is left out, and `faults` says so; the last of several counts."""
    said = dict(split(line))
    faults = []
    mode = said.get('substruct.mode', '') or 'discover'
    if mode not in MODES:
        faults.append(f'substruct.mode is "{mode}", which this prospector does not know; it only discovers.')
        mode = 'discover'
    url = said.get('substruct.url', '').rstrip('/')
    if not is_url(url):
        faults.append(f'substruct.url is "{url}", which is no http URL of a boot server.' if url else
                      'The kernel argument substruct.url is missing: nobody can be told anything.')  # fmt: skip
        url = ''
    build, image = said.get('substruct.build', '').rstrip('/'), said.get('substruct.image', '')
    for name, value in (('build', build), ('image', image)):
        if value and not is_url(value):
            faults.append(f'substruct.{name} is "{value}", which is no http URL.')
    sha256 = said.get('substruct.sha256', '').lower()
    vlan = said.get('substruct.vlan', '')
    number = int(vlan) if vlan.isascii() and vlan.isdigit() and 1 <= int(vlan) <= 4094 else None
    if vlan and number is None:
        faults.append(f'substruct.vlan is "{vlan}", which is no number of a VLAN (1 to 4094).')
    return Arguments(
        mode=mode, url=url, build=build, image=image, sha256=sha256, disk=said.get('substruct.disk', ''),
        boot_mac=boot_mac(said.get('BOOTIF', '')), vlan=number, debug='substruct.debug' in said, faults=tuple(faults),
    )  # fmt: skip


def is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ('http', 'https') and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def boot_mac(text: str) -> str:
    """As PXELINUX and iPXE say it: the hardware type and the address, with dashes or colons."""
    plain = re.sub(r'[:-]', '', text.strip().lower())
    if re.fullmatch(r'[0-9a-f]{14}', plain):
        plain = plain[2:]
    # An address with this bit is one of a group, and no card's.
    if not re.fullmatch(r'[0-9a-f]{12}', plain) or plain == '0' * 12 or int(plain[:2], 16) & 1:
        return ''
    return ':'.join(plain[at : at + 2] for at in range(0, 12, 2))
