"""Brings up the network: which card, which address, is the boot server there.  This configures the machine's
interfaces.

The card that the machine booted from comes first, and is asked for minutes, since a switch may take that long to let
anything through (spanning tree, LACP); the others are tried too once it has given no address for a while.  The first
one over which the boot server answers is used.
"""

import ipaddress
import os
import re
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import web
from .arguments import Arguments
from .lldp import Listener
from .tools import ToolError, run

SYS = Path('/sys/class/net')
RUN = Path('/run/prospector')
# Seconds that the card which was booted from is alone, and after which tagged VLANs are tried too.
ALONE, UNTAGGED = 15.0, 40.0
# Seconds after which IPv6 is taken where DHCP for IPv4 is silent.
ONLY_IPV6 = 8.0
# Seconds between two looks whether there is a new lease.
LOOKS = 2.0
_VLAN_CONFIG = '9e23d768-d2f3-4366-9fc3-3a7aba864374'


@dataclass(frozen=True)
class Card:
    name: str
    mac: str


@dataclass(frozen=True)
class Line:
    """The network as it is used: `interface` has `address`; `mac` is that of its card."""

    interface: str
    mac: str
    address: str
    vlan: int | None = None


def cards(sys: Path = SYS) -> list[Card]:
    """Ethernet cards (ARP hardware type 1) that are devices, in the kernel's order."""
    found = []
    for path in sys.iterdir() if sys.exists() else ():
        try:
            if (path / 'device').exists() and (path / 'type').read_text().strip() == '1':
                found.append(Card(path.name, (path / 'address').read_text().strip().lower()))
        except OSError:
            continue  # it has just gone
    return sorted(
        found, key=lambda card: [int(part) if part.isdigit() else part for part in re.split(r'(\d+)', card.name)]
    )


def carrier(name: str) -> bool:
    try:
        return (SYS / name / 'carrier').read_text().strip() == '1'
    except OSError:
        return False  # it is down


def firmware_vlans(mac: str, variables: Path = Path('/sys/firmware/efi/efivars')) -> list[int]:
    """VLANs that were set up for a card in UEFI: a variable that is named by its MAC address (EDK II, MnpVlan.c)."""
    try:
        data = (variables / f'{mac.replace(":", "").upper()}-{_VLAN_CONFIG}').read_bytes()[4:]
    except OSError:
        return []
    numbers = [number & 0xFFF for (number,) in struct.iter_unpack('<H', data[: len(data) & ~1])]
    return [number for number in numbers if 1 <= number <= 4094]


class Network:
    def __init__(self, arguments: Arguments, say: Callable[[str], None], again: Callable[[str, str], None]) -> None:
        self._arguments = arguments
        self._say = say
        self._again = again
        self._asking: dict[str, subprocess.Popen[bytes]] = {}
        self._asking6: dict[str, subprocess.Popen[bytes]] = {}
        self._owner: dict[str, tuple[Card, int | None]] = {}
        self._told_lease: set[str] = set()
        self._tried: dict[str, float] = {}
        self._links: dict[str, bool] = {}
        self._began = time.monotonic()
        self._kept = ''
        self.listener = Listener(self._heard)

    def _heard(self, interface: str, neighbour: object) -> None:
        from .lldp import Neighbour

        assert isinstance(neighbour, Neighbour)
        name = neighbour.chassis_name or neighbour.chassis_id
        self._say(f'{interface} is connected to {name}, port {neighbour.port_id}')

    # ------------------------------------------------------------------ finding the way

    def connect(self, reachable: Callable[[], None]) -> Line:
        """Try until the boot server answers: `reachable` raises WebError as long as it does not."""
        RUN.mkdir(parents=True, exist_ok=True)
        self._began = time.monotonic()
        self._kept = ''
        up: set[str] = set()
        while True:
            found = self._ordered(cards())
            for card in found:
                if card.name not in up:
                    up.add(card.name)
                    self._command('ip', 'link', 'set', card.name, 'up')
                    self.listener.start(card.name, card.mac)
            self._tell_links(found)
            self._ask(found)
            if (line := self._usable(reachable)) is not None:
                self._keep(line)
                return line
            self._tell_waiting(found)
            time.sleep(0.1)

    def _ordered(self, found: list[Card]) -> list[Card]:
        return sorted(found, key=lambda card: card.mac != self._arguments.boot_mac)

    def _tell_links(self, found: list[Card]) -> None:
        for card in found:
            now = carrier(card.name)
            if now != self._links.get(card.name):
                self._links[card.name] = now
                booted = ', which it booted from' if card.mac == self._arguments.boot_mac else ''
                self._say(f'{card.name} ({card.mac}{booted}): the link is {"up" if now else "down"}')

    def _ask(self, found: list[Card]) -> None:
        """Start to ask for addresses wherever it is time to."""
        waited = time.monotonic() - self._began
        booted = [card for card in found if card.mac == self._arguments.boot_mac and carrier(card.name)]
        for card in booted if booted and waited < ALONE else found:
            if not carrier(card.name):
                continue
            if self._arguments.vlan is not None:
                self._ask_vlan(card, self._arguments.vlan)
                continue
            self._ask_on(card.name, card, None)
            # The address of a whole minute's silence may be on another VLAN.
            neighbour = self.listener.neighbours.get(card.name)
            known = [*firmware_vlans(card.mac), *(neighbour.tagged[:8] if neighbour else ())]
            if waited > UNTAGGED:
                for number in known:
                    self._ask_vlan(card, number)

    def _ask_vlan(self, card: Card, number: int) -> None:
        name = f'{card.name[:10]}.{number}'
        if name in self._asking:
            self._ask_on(name, card, number)
            return
        self._say(f'{card.name}: asking on the tagged VLAN {number}')
        self._command('modprobe', '-q', '8021q')
        self._command('ip', 'link', 'add', 'link', card.name, 'name', name, 'type', 'vlan', 'id', str(number))
        self._command('ip', 'link', 'set', name, 'up')
        self._ask_on(name, card, number)

    def _ask_on(self, name: str, card: Card, vlan: int | None) -> None:
        if name in self._asking and self._asking[name].poll() is None:
            return
        if name not in self._asking:
            self._say(f'{name}: asking for an address by DHCP')
        self._owner[name] = (card, vlan)
        self._asking[name] = subprocess.Popen(
            ['busybox', 'udhcpc', '-f', '-i', name, '-s', '/usr/lib/prospector/lease', '-t', '8', '-T', '1', '-A', '2',
             '-O', 'mtu', '-O', 'staticroutes', '-O', 'search', '-V', 'substruct-prospector'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _usable(self, reachable: Callable[[], None]) -> Line | None:
        for name, (card, vlan) in list(self._owner.items()):
            lease = read_lease(RUN / f'lease.{name}')
            if lease is not None:
                if name not in self._told_lease:
                    self._told_lease.add(name)
                    via = f', router {lease["router"]}' if lease.get('router') else ''
                    self._say(f'{name}: has the address {lease["ip"]}{via}')
                if self._due(name):
                    self._route(name, lease)
                    if self._answers(name, reachable):
                        return Line(name, card.mac, lease['ip'], vlan)
            elif time.monotonic() - self._began > ONLY_IPV6 and (address := self._ipv6(name)):
                if name not in self._told_lease:
                    self._told_lease.add(name)
                    self._say(f'{name}: has the address {address}, and none of IPv4')
                if self._due(name) and self._answers(name, reachable):
                    return Line(name, card.mac, address, vlan)
        return None

    def _due(self, name: str) -> bool:
        now = time.monotonic()
        if now - self._tried.get(name, -10.0) < 2.0:
            return False
        self._tried[name] = now
        return True

    def _answers(self, name: str, reachable: Callable[[], None]) -> bool:
        try:
            reachable()
        except web.WebError as error:
            self._again(f'server {name}', f'{name}: the boot server {self._arguments.url} is not reached: {error}')
            return False
        finally:
            self._tried[name] = time.monotonic()
        return True

    def _tell_waiting(self, found: list[Card]) -> None:
        waited = time.monotonic() - self._began
        if not found:
            if waited > 3.0:
                self._again('network', 'There is no network card with a driver; waiting for one')
        elif not any(carrier(card.name) for card in found):
            if waited > 3.0:
                self._again(
                    'network', 'No network card has a link; is a cable plugged in, and the switch port on? Waiting'
                )
        elif waited > 10.0 and not self._told_lease:
            names = ', '.join(self._asking)
            self._again(
                'network', f'No DHCP server has answered on {names} yet; still asking (a switch port may need a minute)'
            )
            for name in list(self._asking):
                if not self._ipv6(name):
                    self._ask_ipv6(name)

    # ------------------------------------------------------------------ IPv6

    @staticmethod
    def _ipv6(name: str) -> str:
        """A usable IPv6 address of an interface, '' if it has none (proc(5), /proc/net/if_inet6)."""
        try:
            lines = Path('/proc/net/if_inet6').read_text().splitlines()
        except OSError:
            return ''
        for line in lines:
            digits, _, _, scope, flags, interface = line.split()
            # Global, and neither tentative nor known to be a duplicate.
            if interface == name and scope == '00' and not int(flags, 16) & 0x48:
                return str(ipaddress.ip_address(bytes.fromhex(digits)))
        return ''

    def _ask_ipv6(self, name: str) -> None:
        asking = self._asking6.get(name)
        if (asking and asking.poll() is None) or not Path('/usr/sbin/dhclient').exists():
            return
        if asking is None:
            self._say(f'{name}: asking for an address by DHCP for IPv6 too')
        self._asking6[name] = subprocess.Popen(
            ['dhclient', '-6', '-d', '-q', '-cf', '/dev/null', '-lf', f'/run/prospector/lease6.{name}',
             '-pf', '/dev/null', '-sf', '/usr/lib/prospector/lease6', name],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    # ------------------------------------------------------------------ routes and names

    def _route(self, name: str, lease: Mapping[str, str]) -> None:
        for command in route_commands(name, lease):
            self._command(*command)
        try:
            Path('/etc/resolv.conf').write_text(resolver(lease))
        except OSError as error:
            self._say(f'/etc/resolv.conf cannot be written: {error.strerror}')

    def _keep(self, line: Line) -> None:
        """Let go of all other interfaces: two ways into one network confuse both."""
        for name, process in (*self._asking.items(), *self._asking6.items()):
            if name != line.interface:
                process.kill()
                process.wait()
        for name in self._asking:
            if name != line.interface:
                self._command('ip', 'address', 'flush', 'dev', name, 'scope', 'global')
                (RUN / f'lease.{name}').unlink(missing_ok=True)
                self._told_lease.discard(name)
        self._kept = line.interface
        threading.Thread(target=self._tend, args=(line.interface,), daemon=True).start()

    def _tend(self, name: str) -> None:
        """A lease that ran out while no DHCP server was there takes the routes with it, and the next one comes without
        them."""
        path = RUN / f'lease.{name}'
        known: tuple[int, int] | None = None
        while self._kept == name:
            time.sleep(LOOKS)
            now = _mark(path)
            if now is not None and now != known and (lease := read_lease(path)) is not None:
                self._route(name, lease)
            known = now

    def _command(self, *command: str) -> None:
        try:
            run(command, 10.0)
        except ToolError as error:
            self._again(' '.join(command), str(error))


def _mark(path: Path) -> tuple[int, int] | None:
    """Another one where the file was written again; None without it."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def read_lease(path: Path) -> dict[str, str] | None:
    """What a DHCP server gave, by udhcpc's names; None where there is none."""
    try:
        lines = path.read_text('utf-8', 'replace').splitlines()
    except OSError:
        return None
    found = dict(line.split('=', 1) for line in lines if '=' in line)
    return found if _address(found.get('ip', '')) else None


def route_commands(name: str, lease: Mapping[str, str]) -> list[tuple[str, ...]]:
    """The routes of a lease; classless static routes (RFC 3442) are instead of a router."""
    commands: list[tuple[str, ...]] = []
    static = lease.get('staticroutes', '').split()
    for target, via in zip(static[::2], static[1::2], strict=False):
        if _address(via) and re.fullmatch(r'[0-9.]+/\d{1,2}', target):
            way = ('via', via) if via != '0.0.0.0' else ()  # noqa: S104
            commands.append(('ip', 'route', 'replace', target, *way, 'dev', name))
    if not commands:
        for number, router in enumerate(word for word in lease.get('router', '').split() if _address(word)):
            commands.append(
                ('ip', 'route', 'replace', 'default', 'via', router, 'dev', name, 'metric', str(10 + number), 'onlink')
            )
    return commands


def resolver(lease: Mapping[str, str]) -> str:
    """resolv.conf(5).  What a DHCP server says is data: only addresses and names get in."""
    servers = [word for word in lease.get('dns', '').split() if _address(word)]
    words = f'{lease.get("search", "")} {lease.get("domain", "")}'.split()
    names = [word for word in words if re.fullmatch(r'[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9.])?', word)]
    lines = [f'nameserver {server}\n' for server in servers[:3]]
    if names:
        lines.append(f'search {" ".join(dict.fromkeys(names))}\n')
    return ''.join(lines)


def _address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def set_clock(date: float | None, say: Callable[[str], None]) -> None:
    """Take the boot server's time where the machine's own is off by more than a minute."""
    if date is None or abs(date - time.time()) < 60.0:
        return
    before = time.strftime('%Y-%m-%d %H:%M', time.gmtime())
    try:
        time.clock_settime(time.CLOCK_REALTIME, date)
    except OSError as error:
        say(f'The clock is wrong ({before} UTC), and cannot be set: {error.strerror}')
        return
    say(f'The clock said {before} UTC; it is {time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())}, says the boot server')
    os.environ.setdefault('TZ', 'UTC')
