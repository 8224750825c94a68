"""`substruct-sidecar show <machine>`: everything that is known of one machine here, out of the state on disk."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec

from . import status as board
from .claims import plain_address, token_key
from .desired import Machine
from .identity import clean_mac, clean_serial, clean_uuid, swapped_uuid
from .log import printable
from .outbox import Outbox
from .settings import Settings
from .state import State, View


def show(settings: Settings, wanted: str, *, as_json: bool) -> int:
    path = settings.state_folder / 'state.db'
    if not path.exists():
        print(f'There is no desired state in {settings.state_folder} yet.', file=sys.stderr)
        return 1
    with (
        closing(Outbox(settings.state_folder / 'outbox.db')) as outbox,
        closing(State(path)) as state,
        state.view(outbox.finished()) as view,
    ):
        ids = find(view, wanted)
        if not ids:
            print(f'No machine is known here by "{wanted}" (name, MAC or IP address, UUID, serial number, id).')
            return 1
        for key in ids:
            machine = view.object('machine', key)
            if machine is None:
                continue
            if as_json:
                found = msgspec.to_builtins(machine)
                if machine.build is not None:
                    found['build']['token'] = None
                sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + '\n')
            else:
                for line in lines(settings, view, outbox, machine):
                    print(printable(line))
        if len(ids) > 1:
            print(f'{len(ids)} machines claim "{wanted}".')
    return 0


def find(view: View, wanted: str) -> list[int]:
    """The ids of the machines that this may mean."""
    if wanted.isascii() and wanted.isdigit() and view.object('machine', int(wanted)) is not None:
        return [int(wanted)]
    for kind, value in _identifiers(wanted):
        if found := view.meant_by(kind, value):
            return found
    if found := view.at_address(plain_address(wanted)):
        return found
    folded = wanted.casefold()
    return [
        machine.id
        for machine in view.machines()
        if folded in (machine.name.casefold(), machine.hostname.casefold(), machine.fqdn.casefold())
    ]


def _identifiers(wanted: str) -> Iterator[tuple[str, str]]:
    if mac := clean_mac(wanted):
        yield 'mac', mac
    if uuid := clean_uuid(wanted):
        yield 'uuid', uuid
        yield 'uuid', swapped_uuid(uuid)
    if serial := clean_serial(wanted):
        yield 'serial', serial


def lines(settings: Settings, view: View, outbox: Outbox, machine: Machine) -> Iterator[str]:
    what = (
        f'device #{machine.device}' if machine.device
        else f'virtual machine #{machine.virtual_machine}' if machine.virtual_machine
        else 'discovered'
    )  # fmt: skip
    yield f'{machine.name}  (machine #{machine.id}, {what})'
    yield f'  state       {machine.state}, {machine.architecture}, firmware {machine.firmware or "unknown"}'
    yield f'  boots       {machine.boot.action}: {machine.boot.reason}'
    yield f'  calls itself {machine.fqdn}'
    yield f'  identity    UUID {machine.uuid or "unknown"}, serial {machine.serial or "unknown"}'
    if machine.build is not None:
        yield f'  build       #{machine.build.id} {machine.build.state}, profile {machine.build.profile or "none"}'
        if outcome := outbox.outcome(token_key(machine.build.token)):
            yield f'              has ended here: {outcome}'
        elif outbox.boots_its_disk(token_key(machine.build.token)):
            yield '              goes on from its own disk'
        for artifact in machine.build.artifacts:
            yield f'              {artifact.kind}: {artifact.name} sha256 {artifact.sha256[:12]}…'
    for interface in machine.interfaces:
        macs = ', '.join(interface.macs) or 'no MAC address'
        yield f'  {interface.name:<11} {macs}{"" if interface.enabled else " (disabled)"}'
        for address in interface.addresses:
            subnet: Any = view.object('subnet', address.subnet) if address.subnet is not None else None
            where = f'in {subnet.prefix}' if subnet is not None else 'in no subnet that is served here'
            yield f'              {address.address} {where}{", primary" if address.primary else ""}'
    found = board.read(settings.run_folder)
    for problem in found.problems if found else ():
        if problem.what == 'machine' and problem.id == machine.id:
            yield f'  !           [{problem.service}] {problem.message} {problem.remedy}'
    waiting = [entry.message for entry in outbox.waiting(10_000) if _concerns(entry.message, machine)]
    for message in waiting:
        yield f'  to tell     {message.type} {message.kind or message.action} (NetBox does not have it yet)'


def _concerns(message: Any, machine: Machine) -> bool:
    return message.machine == machine.id or (machine.build is not None and message.build == machine.build.id)
