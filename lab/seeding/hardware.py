"""Switches and servers: a device with its ports, addresses, MAC addresses and cables.

What plugs into what is decided here; how rows are written is the business of `inventory`.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dcim import models as dcim
from utilities.ordering import naturalize_interface

from lab.seeding import catalogue
from lab.seeding.bulk import FALSE, NULL, TRUE
from lab.seeding.catalogue import MODELS, Model, Role
from lab.seeding.plan import Plan, Rack, Scrambled, Site

if TYPE_CHECKING:
    from lab.seeding.inventory import Inventory

TOP_A, TOP_B, OOB_UNIT = 42, 41, 40
SPINE_UNITS = (40, 38)
FIRST_HOST = 11  # the hosts before are the network's own: gateway, switches, services
SWITCH_HOSTS = {'a': 2, 'b': 3, 'oob': 4}
SPINE_HOSTS = (5, 6)
# The rack's VLANs, by its place in the row.
VID_SERVERS, VID_OOB = 100, 200

REGISTERED, BUILT, FAILED, RETIRED = 'registered', 'built', 'failed', 'retired'
# What NetBox says of a machine in each state; one that waits may be staged or only planned.
_STATUS = {BUILT: 'active', FAILED: 'failed', RETIRED: 'decommissioning'}


@dataclass(frozen=True, slots=True)
class Computer:
    """What Substruct has to know of a server or virtual machine that was written: keys and a few values."""

    device: int | None
    virtual_machine: int | None
    name: str
    site: int
    role: str
    state: str
    serial: str
    boot_mac: str
    firmware: str
    redfish: bool
    oob: bool


@cache
def natural(name: str) -> str:
    """`_name` of an interface."""
    return naturalize_interface(name, max_length=100)


def state_of(number: int) -> str:
    """The states of 100 machines in a row: 82 built, 13 registered, 3 failed, 2 retired, evenly spread."""
    slot = number * 37 % 100
    return REGISTERED if slot < 13 else FAILED if slot < 16 else RETIRED if slot < 18 else BUILT


def status_of(state: str, number: int) -> str:
    return _STATUS.get(state) or ('staged' if number % 3 else 'planned')


class Serials:
    """Serial numbers in the form of each model, each once."""

    def __init__(self, plan: Plan) -> None:
        self._numbers = {
            model.slug: Scrambled(plan.chance('serial', model.slug), 34**4 * 10**2, 7_368_787) for model in MODELS
        }

    def __call__(self, model: Model) -> str:
        number = next(self._numbers[model.slug])
        made = []
        for sign in reversed(model.serial):
            if sign == 'X':
                number, digit = divmod(number, 34)
                made.append('0123456789ABCDEFGHJKLMNPQRSTUVWXYZ'[digit])
            elif sign == '9':
                number, digit = divmod(number, 10)
                made.append(str(digit))
            else:
                made.append(sign)
        return ''.join(reversed(made))


class MACs:
    """MAC addresses under the makers' prefixes, each once."""

    def __init__(self, plan: Plan) -> None:
        ouis = {*(model.oui for model in MODELS), catalogue.VM_OUI}
        self._numbers = {oui: Scrambled(plan.chance('mac', oui), 1 << 24, 6_180_335) for oui in ouis}

    def __call__(self, oui: str) -> str:
        number = next(self._numbers[oui])
        return f'{oui}:{number >> 16:02X}:{number >> 8 & 255:02X}:{number & 255:02X}'


@dataclass(frozen=True)
class SiteKeys:
    """A site that was written."""

    site: Site
    name: str
    key: int
    region: int
    domain: str
    clusters: list[int]
    vm_group: object
    context: dict[str, str]


@dataclass(frozen=True)
class Place:
    """Where a device stands."""

    site: SiteKeys
    location: int
    rack: int


@dataclass(frozen=True, slots=True)
class End:
    """One end of a cable."""

    interface: int
    device: int
    rack: int
    location: int
    site: int


class Switch:
    """A switch: its ports are written at the end, when it is known what is plugged in."""

    model: Model
    role: str
    access: str = NULL

    def __init__(self, inventory: 'Inventory', place: Place, name: str, unit: int, oob: str) -> None:
        self.inventory, self.place, self.name, self.unit, self.oob = inventory, place, name, unit, oob
        self.key = inventory.devices.key()
        keys = inventory.interfaces
        self.ports = {port.name: keys.key() for port in self.model.ports}
        self.plugged: dict[str, tuple[object, str, object]] = {}
        self.vlan: object = NULL
        self.virtual: list[tuple[int, str, str]] = []

    def end(self, port: str) -> End:
        return End(self.ports[port], self.key, self.place.rack, self.place.location, self.place.site.key)

    @property
    def management(self) -> str:
        return next(port.name for port in self.model.ports if port.mgmt_only)

    def plug(self, port: str, other: End, kind: str, planned: bool = False) -> tuple[int, int]:
        """Connects a port to the other end, which is side A; the cable, and the path from the other end."""
        cable, from_other, from_here = self.inventory.cable(other, self.end(port), kind, planned)
        self.plugged[port] = (cable, 'B', from_here)
        return cable, from_other

    def link(self, port: str, other: 'Switch', other_port: str, kind: str) -> None:
        cable, from_other = self.plug(port, other.end(other_port), kind)
        other.plugged[other_port] = (cable, 'A', from_other)

    def gateway(self, name: str, description: str) -> int:
        """A virtual interface that has the gateway's addresses."""
        interface = self.inventory.interfaces.key()
        self.virtual.append((interface, name, description))
        return interface

    def write(self) -> None:
        inventory, place, model = self.inventory, self.place, self.model
        site, location, rack = place.site.key, place.location, place.rack
        management = self.management
        domain = f'oob.{place.site.domain}'
        primary = inventory.address(
            f'{self.oob}/26', self.ports[management], f'{self.name}.{domain}', vrf=inventory.vrf
        )
        mac, _text = inventory.hardware_address(model.oui, self.ports[management])
        platform = inventory.platform['arista-eos' if model.manufacturer == 'Arista' else 'junos']
        kind = inventory.device_type[model.slug]
        inventory.devices_of_type[kind] += 1
        inventory.devices.put(
            self.key, self.name, kind, inventory.role[self.role], NULL, platform, inventory.serial(model),
            inventory.asset_tag(), site, location, rack, self.unit, 'active', primary, NULL, NULL, NULL,
            len(self.ports) + len(self.virtual), place.site.context[self.role],
        )  # fmt: skip
        put = inventory.interfaces.put
        free = (NULL, NULL, NULL)
        for port in model.ports:
            cable, side, path = self.plugged.get(port.name, free)
            access = self.access if not port.mgmt_only and port.kind != catalogue.Q100G else NULL
            put(
                self.ports[port.name], self.key, port.name, natural(port.name), port.kind,
                TRUE if port.mgmt_only else FALSE, site, location, rack, cable, side, path, access,
                NULL if access is NULL else self.vlan, mac if port.name == management else NULL, NULL, '',
            )  # fmt: skip
        for key, name, description in self.virtual:
            put(
                key, self.key, name, natural(name), 'virtual', FALSE, site, location, rack, NULL, NULL, NULL, NULL,
                NULL, NULL, NULL, description,
            )  # fmt: skip


class TopOfRack(Switch):
    """Ethernet1 to 48 go to servers, in the order in which they are plugged; the first of a pair is the gateway."""

    model, role, access = catalogue.TOP_OF_RACK, 'tor', 'access'

    def __init__(self, inventory: 'Inventory', place: Place, rack: Rack, side: str, vlan: int) -> None:
        name = f'{place.site.name}-{rack.name.lower()}-{side}'
        super().__init__(inventory, place, name, TOP_A if side == 'a' else TOP_B, rack.oob(SWITCH_HOSTS[side]))
        self.vlan = vlan
        self._used = 0
        if side == 'a':
            interface = self.gateway(f'Vlan{VID_SERVERS + rack.place}', 'Gateway of the rack')
            domain = f'{rack.name.lower()}.{place.site.domain}'
            inventory.address(f'{rack.net4}.1/24', interface, f'gw.{domain}')
            if rack.dual_stack:
                inventory.address(f'{rack.net6}::1/64', interface, f'gw.{domain}')

    def next_port(self) -> str:
        self._used += 1
        return f'Ethernet{self._used}'

    def uplink(self, number: int, spine: 'Spine', port: int) -> None:
        self.link(f'Ethernet{49 + number}/1', spine, f'Ethernet{port + 1}/1', 'smf-os2')


class OutOfBand(Switch):
    """ge-0/0/0 and on go to the servers' management controllers, 44 to 47 to the switches of the rack and the row."""

    model, role, access = catalogue.OUT_OF_BAND, 'oob', 'access'

    def __init__(self, inventory: 'Inventory', place: Place, rack: Rack, vlan: int) -> None:
        name = f'{place.site.name}-{rack.name.lower()}-oob'
        super().__init__(inventory, place, name, OOB_UNIT, rack.oob(SWITCH_HOSTS['oob']))
        self.vlan = vlan
        interface = self.gateway(f'irb.{VID_OOB + rack.place}', 'Gateway, out-of-band')
        name = f'gw-oob.{rack.name.lower()}.{place.site.domain}'
        inventory.address(f'{rack.oob(1)}/26', interface, name, vrf=inventory.vrf)

    def connect(self, port: int, other: Switch) -> None:
        self.link(f'ge-0/0/{port}', other, other.management, 'cat6')


class Spine(Switch):
    model, role = catalogue.SPINE, 'spine'

    def __init__(self, inventory: 'Inventory', place: Place, rack: Rack, name: str, number: int) -> None:
        super().__init__(inventory, place, name, SPINE_UNITS[number], rack.oob(SPINE_HOSTS[number]))


@dataclass(slots=True)
class Server:
    """One server with its ports, addresses and cables.  `within_site` and `number` (in its rack) count from 0."""

    inventory: 'Inventory'
    place: Place
    rack: Rack
    within_site: int
    number: int
    model: Model
    unit: int
    role: Role
    tenant: int
    cluster: object
    a: TopOfRack
    b: TopOfRack
    oob: OutOfBand

    def write(self) -> None:
        inventory, place, model = self.inventory, self.place, self.model
        site, location, rack = place.site.key, place.location, place.rack
        counted = place.site.site.first_server + self.within_site
        registered = inventory.plan.is_registered(counted)
        state = state_of(counted) if registered else REGISTERED
        status = status_of(state, counted)
        planned = status == 'planned'
        name = f'srv-{counted + 1:05d}'
        device = inventory.devices.key()
        keys = {port.name: inventory.interfaces.key() for port in model.ports}
        # Every other server whose model has a pair of fast ports joins them.
        bond = inventory.interfaces.key() if model.bond and counted % 2 == 0 else None
        macs = {port: inventory.hardware_address(model.oui, key) for port, key in keys.items()}
        put = inventory.interfaces.put
        count = 0
        for port in model.ports:
            if port.mgmt_only:
                switch: Switch = self.oob
                to, cable_type = f'ge-0/0/{self.number}', 'cat6'
            else:
                # In turn to the one and the other of the rack's pair.
                switch = top = self.b if count % 2 else self.a
                to, cable_type = top.next_port(), 'dac-passive' if port.kind == catalogue.S25G else 'cat6'
                count += 1
            key = keys[port.name]
            cable, path = switch.plug(to, End(key, device, rack, location, site), cable_type, planned)
            put(
                key, device, port.name, natural(port.name), port.kind, TRUE if port.mgmt_only else FALSE, site,
                location, rack, cable, 'A', path, NULL, NULL, macs[port.name][0],
                bond if bond and port.name in model.bond else NULL, '',
            )  # fmt: skip
        if bond:
            put(
                bond, device, 'bond0', natural('bond0'), 'lag', FALSE, site, location, rack, NULL, NULL, NULL, NULL,
                NULL, NULL, NULL, 'LACP to both top-of-rack switches',
            )  # fmt: skip
        # A machine boots from the first member of its bond (switches let it in before LACP is up), else from its
        # first port.
        boots = model.bond[0] if bond else model.nics[0].name
        carrier = bond or keys[boots]
        host = FIRST_HOST + self.number
        full_name = f'{name}.{place.site.domain}'
        primary4 = inventory.address(f'{self.rack.net4}.{host}/24', carrier, full_name, tenant=self.tenant)
        primary6: object = NULL
        if self.rack.dual_stack:
            primary6 = inventory.address(f'{self.rack.net6}::{host:x}/64', carrier, full_name, tenant=self.tenant)
        oob_ip = inventory.address(
            f'{self.rack.oob(host)}/26', keys[model.bmc], f'{name}.oob.{place.site.domain}', vrf=inventory.vrf
        )
        serial = inventory.serial(model)
        kind_of = inventory.device_type[model.slug]
        inventory.devices_of_type[kind_of] += 1
        inventory.devices.put(
            device, name, kind_of, inventory.role[self.role.slug], self.tenant,
            inventory.platform_of(self.role, state), serial, inventory.asset_tag(), site, location, rack, self.unit,
            status, primary4, primary6, oob_ip, self.cluster, len(keys) + bool(bond),
            place.site.context[self.role.slug],
        )  # fmt: skip
        if (self.role.slug == 'database' and counted % 5 == 0) or counted % 199 == 0:
            inventory.tagged.add(inventory.types[dcim.Device], device, inventory.tag['protected'])
        if counted % 50 == 7:
            inventory.tagged.add(inventory.types[dcim.Device], device, inventory.tag['canary'])
        if registered:
            inventory.computers.append(
                Computer(
                    device, None, name, place.site.site.number, self.role.slug, state, serial, macs[boots][1],
                    model.firmware, model.redfish, True,
                )
            )  # fmt: skip
