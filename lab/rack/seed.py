"""What NetBox has to know of the rack, through its REST API: the network, the boot server and its account, machines.

Everything is looked up before it is made, so it may be done again at any time.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.accounts import random_text
from lab.errors import LabError
from lab.files import write_atomically
from lab.rack.holder import NETWORK, SERVER
from lab.rack.servers import DOMAIN, REVERSE
from lab.rack.spec import Spec

BOOT_SERVER, ACCOUNT = 'rack', 'rack-sidecar'
BASE_URL = f'http://{SERVER}:8080'
LEASES = ('172.30.0.100/24', '172.30.0.199/24')
LEASE_TIME = 600


@dataclass(frozen=True)
class Token:
    id: int
    text: str


def get_or_create(endpoint: Any, key: dict[str, Any], **values: Any) -> Any:
    """The one object that the filter `key` finds, else a new one with `values`.  What people changed stays."""
    return next(iter(endpoint.filter(**key)), None) or endpoint.create(**values)


def network(api: Any) -> int:
    """The site, the prefix with its subnet, the zones and the boot server.  Gives the boot server's id."""
    substruct, site = api.plugins.substruct, _site(api)
    prefix = get_or_create(
        api.ipam.prefixes, {'prefix': NETWORK}, prefix=NETWORK, status='active', scope_type='dcim.site',
        scope_id=site.id, description='The virtual rack',
    )  # fmt: skip
    first, last = LEASES
    leases = get_or_create(
        api.ipam.ip_ranges, {'start_address': first}, start_address=first, end_address=last, status='active',
        description='Machines of the rack without an address of their own',
    )  # fmt: skip
    server = get_or_create(
        substruct.boot_servers, {'name': BOOT_SERVER}, name=BOOT_SERVER, base_url=BASE_URL, prefixes=[prefix.id],
        sites=[site.id],  # machines that are registered without an address are its too
    )  # fmt: skip
    get_or_create(
        substruct.subnets, {'prefix_id': prefix.id}, prefix=prefix.id, boot_server=server.id, gateway=SERVER,
        name_servers=[SERVER], domain=DOMAIN, lease_range=leases.id, lease_time=LEASE_TIME, dhcp_enabled=True,
        discovery_enabled=True,
    )  # fmt: skip
    for zone in (DOMAIN, REVERSE):
        get_or_create(substruct.zones, {'name': zone}, name=zone, boot_server=server.id, update_method='rfc2136')
    return int(server.id)


def _site(api: Any) -> Any:
    return get_or_create(
        api.dcim.sites, {'slug': 'virtual-rack'}, name='Virtual rack', slug='virtual-rack', status='active'
    )


def account(api: Any, path: Path) -> str:
    """The token of the sidecar's user, who may do nothing but be this boot server.  It is kept in a file."""
    try:
        kept = Token(**json.loads(path.read_text()))
        if api.users.tokens.get(kept.id) is not None:
            return kept.text
    except (FileNotFoundError, ValueError, TypeError):
        pass
    # Nobody signs in with the password; NetBox wants a good one all the same.
    user = get_or_create(
        api.users.users, {'username': ACCOUNT}, username=ACCOUNT, password=f'{random_text(30)}aA1!', is_active=True
    )
    name = f'The sidecar of the boot server {BOOT_SERVER}'
    get_or_create(
        api.users.permissions, {'name': name}, name=name, object_types=['netbox_substruct.bootserver'],
        actions=['view', 'feed'], users=[user.id], constraints={'name': BOOT_SERVER}, enabled=True,
    )  # fmt: skip
    made = api.users.tokens.create(user=user.id, version=2, description=name)
    text = made.token if made.token.startswith('nbt_') else f'nbt_{made.key}.{made.token}'
    write_atomically(path, json.dumps(asdict(Token(made.id, text))))
    return text


def register(api: Any, spec: Spec, address: str = '', **values: Any) -> Any:
    """A machine that NetBox knows: its device with interfaces and MAC addresses, and Substruct's machine over it.

    `address` is that of the card that boots.  `values` are further fields of the machine: profile, parameters, ….
    """
    maker = get_or_create(api.dcim.manufacturers, {'slug': 'substruct'}, name='Substruct', slug='substruct')
    role = get_or_create(api.dcim.device_roles, {'slug': 'server'}, name='Server', slug='server', color='2196f3')
    kind = get_or_create(
        api.dcim.device_types, {'slug': 'virtual-rack'}, model='Virtual rack', slug='virtual-rack', u_height=1,
        manufacturer=maker.id,
    )  # fmt: skip
    site = _site(api)
    device = get_or_create(
        api.dcim.devices, {'name': spec.name, 'site_id': site.id}, name=spec.name, site=site.id, role=role.id,
        device_type=kind.id, serial=spec.serial or '', status='planned',
    )  # fmt: skip
    for number, nic in enumerate(spec.nics):
        name = f'eth{number}'
        port = get_or_create(
            api.dcim.interfaces, {'device_id': device.id, 'name': name}, device=device.id, name=name, type='1000base-t'
        )
        holder = {'assigned_object_type': 'dcim.interface', 'assigned_object_id': port.id}
        hardware = get_or_create(api.dcim.mac_addresses, {'interface_id': port.id}, mac_address=nic.mac, **holder)
        port.update({'primary_mac_address': hardware.id})
        if address and number == spec.boots_from:
            ip = get_or_create(
                api.ipam.ip_addresses, {'interface_id': port.id}, address=f'{address}/24',
                dns_name=f'{spec.name}.{DOMAIN}', **holder,
            )  # fmt: skip
            device.update({'primary_ip4': ip.id})
    machines = api.plugins.substruct.machines
    wanted = {'uuid': spec.uuid, 'architecture': 'x86_64', 'firmware': spec.firmware, **values}
    found = next(iter(machines.filter(device_id=device.id)), None)
    if found is None:
        return machines.create(device=device.id, boot_mac=spec.mac, **wanted)
    found.update(wanted)
    return found


def find(api: Any, spec: Spec) -> Any:
    """Substruct's machine of that UUID, serial number or MAC address; None if NetBox does not know it."""
    machines = api.plugins.substruct.machines
    for key in ({'uuid': spec.uuid}, {'serial': spec.serial}, {'mac_address': spec.mac}, {'boot_mac': spec.mac}):
        if not next(iter(key.values())):
            continue
        found = list(machines.filter(**key))
        if len(found) > 1:
            raise LabError(f'NetBox has {len(found)} machines with {key}')
        if found:
            return found[0]
    return None
