"""`bin/lab rack`: the virtual rack on the command line."""

import argparse
import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.errors import LabError
from lab.rack.servers import KINDS
from lab.rack.spec import GIB, Disk, Nic

if TYPE_CHECKING:
    from lab.cli import Commands
    from lab.rack.machine import Machine
    from lab.rack.rack import Rack

DESCRIPTION = """\
Virtual machines that boot over the network for real: a bridge in a network namespace with a DHCP server, a DNS server
and the sidecar, which follow the lab's NetBox, and QEMU machines with BIOS or UEFI.  docs/rack.md tells the rest."""


def the_rack() -> 'Rack':
    from lab.rack.rack import Rack
    from lab.stack import Lab

    return Rack(Lab())


def where_to_look(rack: 'Rack') -> str:
    doors = rack.doors
    return f"""
  NetBox      {rack.lab.url}plugins/substruct/   (bin/lab status tells how to sign in)
  sidecar     curl 'http://127.0.0.1:{doors.boot}/boot.ipxe?mac=<MAC address>'
              http://127.0.0.1:{doors.manage}/healthz, /metrics, /status; its settings: {rack.settings}
  machines    bin/lab rack add <name> [--uefi]; bin/lab rack power <name> on; bin/lab rack console <name> -f
  stop        bin/lab rack down
"""


def up(arguments: argparse.Namespace) -> int:
    rack = the_rack()
    prospector: Path | Literal[False] | None = False if arguments.no_prospector else arguments.prospector
    rack.up(dhcp=arguments.dhcp or '', prospector=prospector, bare=arguments.bare)
    if arguments.bare:
        return 0
    rack.settled()
    print(where_to_look(rack))
    return 0


def down(_arguments: argparse.Namespace) -> int:
    the_rack().down()
    return 0


def status(_arguments: argparse.Namespace) -> int:
    rack = the_rack()
    if not rack.exists:
        print('There is no rack; bin/lab rack up makes one.')
        return 3
    well = True
    if rack.options.bare:
        print('  a bare rack: machines, and nobody who answers them')
    else:
        print(f'  DHCP by {rack.options.dhcp}, DNS by bind, prospector {rack.options.prospector or "none"}')
    for one in rack.status():
        state = 'well' if one.well else 'does not answer' if one.pid else 'stopped'
        print(f'  {one.name.removeprefix("rack-"):<20}{state:<17}{f"pid {one.pid}" if one.pid else ""}')
        well = well and one.well
    for machine in rack.machines():
        spec, said = machine.spec, _power(machine)
        print(f'  {machine.name:<20}{said:<17}{spec.firmware} ({spec.client}), {machine.mac}, {spec.memory} MiB')
    if not rack.options.bare:
        print(where_to_look(rack))
    return 0 if well else 3


def _power(machine: 'Machine') -> str:
    try:
        found = machine.power.status()
    except LabError:
        return 'not minded'
    return f'{found.power} for {time.time() - found.since:.0f} s'


def add(arguments: argparse.Namespace) -> int:
    rack = the_rack()
    macs = arguments.mac or [''] * arguments.nics
    machine = rack.machine(
        arguments.machine,
        firmware='uefi' if arguments.uefi else 'bios',
        client=arguments.client or '',
        **({'uuid': arguments.uuid} if arguments.uuid else {}),
        **({'serial': arguments.serial} if arguments.serial is not None else {}),
        nics=tuple(Nic(mac) for mac in macs),
        boots_from=arguments.boots_from,
        disks=tuple(Disk(int(size * GIB)) for size in arguments.disk or [8.0]),
        memory=arguments.memory,
        cpus=arguments.cpus,
    )
    spec = machine.spec
    print(f'{spec.name}: {spec.firmware}, {machine.mac}, UUID {spec.uuid}, serial number {spec.serial}')
    if arguments.register:
        found = machine.register('' if arguments.register == '-' else arguments.register)
        print(f'NetBox knows it: {rack.lab.url}plugins/substruct/machines/{found.id}/')
    if arguments.on:
        machine.power.on()
    return 0


def remove(arguments: argparse.Namespace) -> int:
    the_rack().remove(arguments.machine)
    return 0


def power(arguments: argparse.Namespace) -> int:
    machine = the_rack().existing(arguments.machine)
    actions: dict[str, Callable[[], object]] = {
        'on': machine.power.on, 'off': machine.power.off, 'soft': machine.power.soft, 'cycle': machine.power.cycle,
        'reset': machine.power.reset, 'status': machine.power.status,
    }  # fmt: skip
    if arguments.next:
        machine.power.next_boot(arguments.next)
    actions[arguments.action]()
    for key, value in asdict(machine.power.status()).items():
        if key == 'since':
            value = datetime.fromtimestamp(value).astimezone().isoformat(timespec='seconds')
        if value != '':
            print(f'  {key:<14}{value}')
    return 0


def console(arguments: argparse.Namespace) -> int:
    from lab.rack.console import shown

    machine = the_rack().existing(arguments.machine)
    lines = machine.console.lines()
    for line in lines if arguments.lines == 0 else lines[-arguments.lines :]:
        print(shown(line))
    machine.console.skip()
    while arguments.follow:
        # The last line may still grow, and is shown when it has ended.
        for line in machine.console.new_lines():
            print(shown(line), flush=True)
        time.sleep(0.1)
    return 0


def screenshot(arguments: argparse.Namespace) -> int:
    print(the_rack().existing(arguments.machine).screenshot(arguments.file))
    return 0


def capture(arguments: argparse.Namespace) -> int:
    from lab.rack import packets

    rack = the_rack()
    with rack.capture(arguments.file), contextlib.suppress(KeyboardInterrupt):
        print('capturing; Ctrl-C ends it')
        time.sleep(arguments.seconds or 1e9)
    print(packets.shown(packets.summary(arguments.file)))
    return 0


def show_packets(arguments: argparse.Namespace) -> int:
    from lab.rack import packets

    print(packets.shown(packets.summary(arguments.file)))
    return 0


def run_inside(arguments: argparse.Namespace) -> int:
    rack = the_rack()
    # Marked, so that it does not keep the namespace when the rack goes.
    environment = {**os.environ, **rack.supervisor.marked('rack-run')}
    return subprocess.run(rack.namespace.command(arguments.words), env=environment).returncode


def register(commands: 'Commands') -> None:
    root = commands.add_parser(
        'rack', help='virtual machines that boot over the network', description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    inner = root.add_subparsers(title='commands', metavar='', required=True)

    def command(name: str, function: object, text: str, machine: bool = False) -> argparse.ArgumentParser:
        found = inner.add_parser(name, help=text, description=text)
        found.set_defaults(run=function)
        if machine:
            found.add_argument('machine')
        return found

    found = command('up', up, 'bring it up, with NetBox if that is not up, and mend what was killed')
    found.add_argument('--dhcp', choices=KINDS, help='which DHCP server (at first: kea)')
    found.add_argument('--prospector', type=Path, metavar='FOLDER', help='another discovery image than the own one')
    found.add_argument('--no-prospector', action='store_true', help='none: unknown machines then boot nothing')
    found.add_argument('--bare', action='store_true', help='only machines: no NetBox, no servers, no sidecar')
    command('down', down, 'end everything in it, and remove it with its machines and their disks')
    command('status', status, 'what runs in it; the exit code is 3 when not all is well')
    found = command('add', add, 'put a machine into it, switched off', machine=True)
    found.add_argument('--uefi', action='store_true', help='UEFI instead of BIOS')
    found.add_argument('--client', choices=('ipxe', 'plain', 'http'), help='how its network card boots')
    found.add_argument('--uuid', default='')
    found.add_argument('--serial')
    found.add_argument('--nics', type=int, default=1, help='how many network cards (default: 1)')
    found.add_argument('--mac', action='append', help='of each card, instead of --nics')
    found.add_argument('--boots-from', type=int, default=0, metavar='N', help='the card that boots, from 0')
    found.add_argument('--disk', type=float, action='append', metavar='GIB', help='its size (default: one of 8)')
    found.add_argument('--memory', type=int, default=1024, metavar='MIB')
    found.add_argument('--cpus', type=int, default=1)
    found.add_argument('--register', nargs='?', const='-', metavar='ADDRESS', help='make it known to NetBox')
    found.add_argument('--on', action='store_true', help='and switch it on')
    command('remove', remove, 'take a machine out, with its disks', machine=True)
    found = command('power', power, 'switch it, as a BMC does', machine=True)
    found.add_argument('action', choices=('on', 'off', 'soft', 'cycle', 'reset', 'status'), nargs='?', default='status')
    found.add_argument('--next', choices=('pxe', 'disk'), help='what it boots first, once')
    found = command('boot', power, 'switch it on', machine=True)
    found.set_defaults(action='on')
    found.add_argument('--next', choices=('pxe', 'disk'), help='what it boots first, once')
    found = command('console', console, 'what it has said on its serial console, with times', machine=True)
    found.add_argument('-f', '--follow', action='store_true', help='go on as it speaks')
    found.add_argument('-n', '--lines', type=int, default=0, help='only the last ones')
    found = command('screenshot', screenshot, 'its screen as a PNG file', machine=True)
    found.add_argument('file', type=Path)
    found = command('capture', capture, "every packet on the machines' cables into a pcap file, and in words")
    found.add_argument('file', type=Path)
    found.add_argument('--seconds', type=float, default=0.0, help='end by itself')
    found = command('packets', show_packets, 'a captured file in words')
    found.add_argument('file', type=Path)
    found = command('run', run_inside, 'a program inside the namespace: bin/lab rack run -- ip address')
    found.add_argument('words', nargs='+')
