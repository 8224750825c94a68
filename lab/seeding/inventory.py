"""NetBox's own objects: from regions to cables.

Everything that NetBox's save() methods and signals would have cached on the way is filled in here: natural names, site,
location and rack of components, scopes, depths and children of prefixes, counters, both ends of cables and their paths,
rendered config contexts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.contrib.contenttypes.models import ContentType

from dcim import models as dcim
from extras import models as extras
from ipam import models as ipam
from tenancy import models as tenancy
from utilities.data import deepmerge
from virtualization import models as virtualization

from lab.seeding import catalogue
from lab.seeding.bulk import FALSE, NULL, TRUE, Book, document, moment
from lab.seeding.catalogue import DOMAIN, HYPERVISOR, MODELS, REFERENCE, Role
from lab.seeding.hardware import (
    BUILT,
    FIRST_HOST,
    RETIRED,
    VID_OOB,
    VID_SERVERS,
    Computer,
    End,
    MACs,
    OutOfBand,
    Place,
    Serials,
    Server,
    SiteKeys,
    Spine,
    TopOfRack,
    natural,
    state_of,
    status_of,
)
from lab.seeding.plan import ROWS_PER_HALL, Cluster, Plan, Rack, Site, row_name

LEASES = (200, 250)
VID_VMS = 1000
# Addresses of a site's services in the networks of its first rack.
SERVICES = {'boot': 5, 'ns1': 53, 'ns2': 54, 'ntp': 123}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A prefix that machines have addresses in."""

    prefix: int
    site: int
    gateway: str
    family: int
    lease_range: int | None


class Inventory:
    """Writes NetBox's objects for a plan, and keeps the keys that the rest needs."""

    def __init__(self, plan: Plan, book: Book) -> None:
        self.plan, self.book = plan, book
        self.serial, self.mac = Serials(plan), MACs(plan)
        self.computers: list[Computer] = []
        self.leaves: list[Leaf] = []
        self.site_prefixes: dict[int, int] = {}
        self.site_prefixes6: dict[int, int] = {}
        self.site_keys: dict[int, SiteKeys] = {}
        self.root_prefix = 0
        self.devices_of_type: Counter[int] = Counter()
        self._asset = 0
        types = ContentType.objects.get_for_models(
            dcim.Device, dcim.Interface, dcim.Cable, dcim.Location, dcim.Site, virtualization.VirtualMachine,
            virtualization.VMInterface,
        )  # fmt: skip
        self.types = {model: str(kind.pk) for model, kind in types.items()}
        self._sheets()
        self._of_interface, self._of_cable = self.types[dcim.Interface], self.types[dcim.Cable]

    def _sheets(self) -> None:
        """In the order of their foreign keys."""
        sheet = self.book.sheet
        self.tags = sheet(extras.Tag, 'name slug color description')
        self.regions = sheet(dcim.Region, 'name slug parent_id')
        self.tenant_groups = sheet(tenancy.TenantGroup, 'name slug')
        self.tenants = sheet(tenancy.Tenant, 'name slug group_id')
        self.sites = sheet(
            dcim.Site, 'name slug region_id facility time_zone latitude longitude physical_address', status='active'
        )
        self.locations = sheet(dcim.Location, 'name slug site_id parent_id')
        self.rack_roles = sheet(dcim.RackRole, 'name slug color')
        self.racks = sheet(
            dcim.Rack, 'name facility_id site_id location_id role_id tenant_id serial', form_factor='4-post-cabinet'
        )
        self.manufacturers = sheet(dcim.Manufacturer, 'name slug')
        self.platforms = sheet(dcim.Platform, 'name slug parent_id manufacturer_id')
        self.device_types = sheet(
            dcim.DeviceType,
            'manufacturer_id model slug part_number u_height default_platform_id interface_template_count',
            airflow='front-to-rear',
        )
        self.interface_templates = sheet(
            dcim.InterfaceTemplate, 'name _name device_type_id type mgmt_only', label='', description=''
        )
        self.roles = sheet(dcim.DeviceRole, 'name slug color parent_id vm_role')
        self.contexts = sheet(extras.ConfigContext, 'name weight data')
        self.context_roles = sheet(extras.ConfigContext.roles.through, 'configcontext_id devicerole_id')
        self.context_sites = sheet(extras.ConfigContext.sites.through, 'configcontext_id site_id')
        self.cluster_types = sheet(virtualization.ClusterType, 'name slug')
        self.cluster_groups = sheet(virtualization.ClusterGroup, 'name slug')
        self.clusters = sheet(
            virtualization.Cluster, 'name type_id group_id scope_type_id scope_id _site_id _region_id'
        )
        self.rirs = sheet(ipam.RIR, 'name slug', is_private=TRUE)
        self.aggregates = sheet(ipam.Aggregate, 'prefix rir_id', date_added=moment(REFERENCE)[:10])
        self.vrfs = sheet(ipam.VRF, 'name rd')
        self.net_roles = sheet(ipam.Role, 'name slug')
        self.vlan_groups = sheet(
            ipam.VLANGroup, 'name slug scope_type_id scope_id', vid_ranges='{"[100,4000)"}', total_vlan_ids='3900'
        )
        self.vlans = sheet(ipam.VLAN, 'vid name site_id group_id role_id')
        self.prefixes = sheet(
            ipam.Prefix,
            'prefix status vrf_id vlan_id role_id scope_type_id scope_id _site_id _location_id _region_id _depth '
            '_children description',
        )
        self.ranges = sheet(ipam.IPRange, 'start_address end_address role_id', size=str(LEASES[1] - LEASES[0] + 1))
        self.addresses = sheet(
            ipam.IPAddress, 'address vrf_id tenant_id status assigned_object_type_id assigned_object_id dns_name'
        )
        self.macs = sheet(dcim.MACAddress, 'mac_address assigned_object_type_id assigned_object_id')
        self.cables = sheet(dcim.Cable, 'type status color', length='2.00', length_unit='m', _abs_length='2.0000')
        self.paths = sheet(dcim.CablePath, 'path is_active _nodes', is_complete=TRUE, is_split=FALSE)
        self.devices = sheet(
            dcim.Device,
            'name device_type_id role_id tenant_id platform_id serial asset_tag site_id location_id rack_id position '
            'status primary_ip4_id primary_ip6_id oob_ip_id cluster_id interface_count _config_context_data',
            face='front', airflow='front-to-rear',
        )  # fmt: skip
        self.interfaces = sheet(
            dcim.Interface,
            'device_id name _name type mgmt_only _site_id _location_id _rack_id cable_id cable_end _path_id mode '
            'untagged_vlan_id primary_mac_address_id lag_id description',
        )
        self.terminations = sheet(
            dcim.CableTermination, 'cable_id cable_end termination_id _device_id _rack_id _location_id _site_id',
            termination_type_id=self.types[dcim.Interface],
        )  # fmt: skip
        self.vms = sheet(
            virtualization.VirtualMachine,
            'name site_id cluster_id tenant_id platform_id status role_id primary_ip4_id vcpus memory disk serial '
            'interface_count _config_context_data',
        )
        self.vm_interfaces = sheet(
            virtualization.VMInterface, 'virtual_machine_id name _name primary_mac_address_id', mtu='1500'
        )
        self.tagged = sheet(extras.TaggedItem, 'content_type_id object_id tag_id')

    # ------------------------------------------------------------------ what all sites share

    def shared(self) -> None:
        self._organization()
        self._hardware()
        self._networks()
        self.book.flush()

    def _organization(self) -> None:
        self.tag = {tag.slug: self.tags.add(tag.name, tag.slug, tag.color, tag.description) for tag in catalogue.TAGS}
        used = [catalogue.CITIES[site.number - 1] for site in self.plan.sites]
        self.region: dict[tuple[str, ...], int] = {}
        for continent in dict.fromkeys(city.region[0] for city in used):
            self.region[continent,] = self.regions.add(continent, _slug(continent), NULL)
        for continent, country in dict.fromkeys(city.region for city in used):
            # A country may be called what its continent is not, and Singapore what its city is.
            self.region[continent, country] = self.regions.add(country, _slug(country), self.region[continent,])
        groups = {
            name: self.tenant_groups.add(name, _slug(name)) for name in dict.fromkeys(t[2] for t in catalogue.TENANTS)
        }
        self.tenant = [self.tenants.add(name, slug, groups[group]) for name, slug, group in catalogue.TENANTS]
        self.rack_role = {
            'servers': self.rack_roles.add('Servers', 'servers', '2196f3'),
            'network': self.rack_roles.add('Network', 'network', '607d8b'),
        }
        kind = self.cluster_types.add('KVM', 'kvm')
        group = self.cluster_groups.add('Production', 'production')
        self.cluster_kind = (kind, group)

    def _hardware(self) -> None:
        makers = dict.fromkeys(model.manufacturer for model in MODELS)
        self.manufacturer = {name: self.manufacturers.add(name, _slug(name)) for name in makers}
        self.platform: dict[str, int] = {}
        for platform in catalogue.PLATFORMS:
            self.platform[platform.slug] = self.platforms.add(
                platform.name, platform.slug, self.platform.get(platform.parent, NULL),
                self.manufacturer.get(platform.manufacturer, NULL),
            )  # fmt: skip
        of_maker = {'Arista': self.platform['arista-eos'], 'Juniper': self.platform['junos']}
        self.device_type: dict[str, int] = {}
        for model in MODELS:
            key = self.device_types.add(
                self.manufacturer[model.manufacturer], model.model, model.slug, model.part_number, model.height,
                of_maker.get(model.manufacturer, NULL), len(model.ports),
            )  # fmt: skip
            self.device_type[model.slug] = key
            for port in model.ports:
                self.interface_templates.add(
                    port.name, natural(port.name), key, port.kind, TRUE if port.mgmt_only else FALSE
                )
        self.role: dict[str, int] = {}
        for role in catalogue.ROLES:
            self.role[role.slug] = self.roles.add(
                role.name, role.slug, role.color, self.role.get(role.parent, NULL), TRUE if role.vm_role else FALSE
            )
        for context in catalogue.CONTEXTS:
            key = self.contexts.add(context.name, context.weight, document(context.data))
            if context.role:
                self.context_roles.add(key, self.role[context.role])

    def _networks(self) -> None:
        self.vrf = self.vrfs.add('out-of-band', '65000:100')
        self.net_role = {
            slug: self.net_roles.add(name, slug)
            for name, slug in (
                ('Servers', 'servers'), ('Virtual machines', 'virtual-machines'), ('Out-of-band', 'out-of-band'),
                ('Leases', 'leases'),
            )
        }  # fmt: skip
        self.aggregates.add('10.0.0.0/8', self.rirs.add('RFC 1918', 'rfc-1918'))
        self.aggregates.add('2001:db8::/32', self.rirs.add('RFC 3849', 'rfc-3849'))
        sites = self.plan.sites
        racks, clusters = sum(len(site.racks) for site in sites), sum(len(site.clusters) for site in sites)
        with_vms = sum(bool(site.clusters) for site in sites)
        dual = sum(rack.dual_stack for site in sites for rack in site.racks)
        children = len(sites) * 2 + with_vms + racks + clusters
        self.root_prefix = self._prefix('10.0.0.0/8', 0, children, 'container', description='All data centres')
        self._prefix('2001:db8::/32', 0, len(sites) + dual, 'container', description='All data centres')

    def _prefix(
        self, prefix: str, depth: int, children: int, status: str = 'active', *, vrf: object = NULL,
        vlan: object = NULL, role: object = NULL, site: SiteKeys | None = None, location: object = NULL,
        description: str = '',
    ) -> int:  # fmt: skip
        if site is None:
            scope: Sequence[object] = (NULL,) * 5
        elif location is NULL:
            scope = (self.types[dcim.Site], site.key, site.key, NULL, site.region)
        else:
            scope = (self.types[dcim.Location], location, site.key, location, site.region)
        return self.prefixes.add(prefix, status, vrf, vlan, role, *scope, depth, children, description)

    # ------------------------------------------------------------------ a site

    def site(self, site: Site) -> Iterator[int]:
        """Writes a site row by row; yields how many servers and virtual machines were written since the last time."""
        keys = self._site_keys(site)
        self._site_prefixes(site, keys)
        hall: object = NULL
        for number, row in enumerate(site.rows):
            if number % ROWS_PER_HALL == 0:
                room = number // ROWS_PER_HALL + 1
                hall = self.locations.add(f'Hall {room}', f'{keys.name}-hall-{room}', keys.key, NULL)
            yield self._row(keys, hall, number, row)
        for cluster in site.clusters:
            yield self._virtual_machines(keys, cluster)

    def _site_keys(self, site: Site) -> SiteKeys:
        city = catalogue.CITIES[site.number - 1]
        region = self.region[city.region]
        name = f'dc{site.number}'
        key = self.sites.add(
            f'DC{site.number} {city.name}', name, region, f'{city.name} {site.number}', city.time_zone, city.latitude,
            city.longitude, f'{10 + site.number} Cable Street, {city.name}',
        )  # fmt: skip
        context = self._context(site, key)
        clusters = [
            self.clusters.add(
                f'{name}-kvm{cluster.number + 1}', *self.cluster_kind, self.types[dcim.Site], key, key, region
            )
            for cluster in site.clusters
        ]
        vm_group = self.vlan_groups.add(
            f'{name} virtual machines', f'{name}-virtual-machines', self.types[dcim.Site], key
        ) if clusters else NULL  # fmt: skip
        made = SiteKeys(site, name, key, region, f'{name}.{DOMAIN}', clusters, vm_group, context)
        self.site_keys[site.number] = made
        return made

    def _context(self, site: Site, key: int) -> dict[str, str]:
        """A site's config context, and what NetBox would render for each role there."""
        data: dict[str, object] = {
            'dns_servers': self.service_addresses(site, 'ns1', 'ns2'),
            'dns_domain': f'dc{site.number}.{DOMAIN}',
            'ntp_servers': self.service_addresses(site, 'ntp'),
            'time_zone': catalogue.CITIES[site.number - 1].time_zone,
        }
        made = self.contexts.add(f'dc{site.number}', 2000, document(data))
        self.context_sites.add(made, key)
        contexts = [*catalogue.CONTEXTS, catalogue.Context('', 2000, data)]
        contexts.sort(key=lambda context: context.weight)
        rendered = {}
        for role in catalogue.ROLES:
            merged: dict[str, object] = {}
            for context in contexts:
                if context.role in ('', role.slug):
                    merged = deepmerge(merged, context.data)
            rendered[role.slug] = document(merged)
        return rendered

    @staticmethod
    def service_addresses(site: Site, *services: str) -> list[str]:
        return [f'{site.racks[0].net4}.{SERVICES[service]}' for service in services]

    @staticmethod
    def service_addresses6(site: Site, *services: str) -> list[str]:
        return [f'{site.racks[0].net6}::{SERVICES[service]:x}' for service in services]

    def _site_prefixes(self, site: Site, keys: SiteKeys) -> None:
        first, racks, clusters = 16 * site.number, len(site.racks), len(site.clusters)
        roles = self.net_role
        self.site_prefixes[site.number] = self._prefix(
            f'10.{first}.0.0/12', 1, 1 + racks + (1 + clusters if clusters else 0), 'container', site=keys,
            description=keys.name,
        )  # fmt: skip
        self._prefix(f'10.{first}.0.0/14', 2, racks, 'container', role=roles['servers'], site=keys)
        if clusters:
            role = roles['virtual-machines']
            self._prefix(f'10.{first + 8}.0.0/14', 2, clusters, 'container', role=role, site=keys)
        role = roles['out-of-band']
        self._prefix(f'10.{first + 12}.0.0/14', 0, racks, 'container', vrf=self.vrf, role=role, site=keys)
        dual = sum(rack.dual_stack for rack in site.racks)
        self.site_prefixes6[site.number] = self._prefix(
            f'2001:db8:{site.number:x}::/48', 1, dual, 'container', site=keys, description=keys.name
        )
        rack = site.racks[0]
        for service, host in SERVICES.items():
            for address in (f'{rack.net4}.{host}/24', f'{rack.net6}::{host:x}/64'):
                self.addresses.add(address, NULL, NULL, 'active', NULL, NULL, f'{service}.{keys.domain}')

    # ------------------------------------------------------------------ a row of racks

    def _row(self, site: SiteKeys, hall: object, number: int, racks: tuple[Rack, ...]) -> int:
        name = row_name(number)
        location = self.locations.add(f'Row {name}', f'{site.name}-row-{name.lower()}', site.key, hall)
        group = self.vlan_groups.add(
            f'{site.name} row {name}', f'{site.name}-row-{name.lower()}', self.types[dcim.Location], location
        )
        network = self.racks.add(
            f'{name}00', f'{site.name}-{name}00', site.key, location, self.rack_role['network'], NULL, ''
        )
        place = Place(site, location, network)
        spines = [Spine(self, place, racks[0], f'{site.name}-{name.lower()}-spine{k + 1}', k) for k in (0, 1)]
        for rack in racks:
            self._rack(site, location, group, rack, spines)
        for spine in spines:
            spine.write()
        return sum(len(rack.servers) for rack in racks)

    def _rack(self, site: SiteKeys, location: int, group: int, rack: Rack, spines: list[Spine]) -> None:
        chance = self.plan.chance('rack', site.name, rack.number)
        cluster: object
        if rack.hosts_virtual_machines and site.clusters:
            role, cluster = HYPERVISOR, site.clusters[rack.number // 8 % len(site.clusters)]
        else:
            shares = [role.share for role in catalogue.SERVER_ROLES]
            role, cluster = chance.choices(catalogue.SERVER_ROLES, shares)[0], NULL
        tenant = self.tenant[chance.randrange(len(self.tenant))]
        key = self.racks.add(
            rack.name, f'{site.name}-{rack.name}', site.key, location, self.rack_role['servers'], tenant,
            f'RK{site.site.number:02d}{rack.number:05d}',
        )  # fmt: skip
        place = Place(site, location, key)
        vlan, oob_vlan = (
            self.vlans.add(vid + rack.place, f'{rack.name.lower()}-{what}', site.key, group, self.net_role[what])
            for vid, what in ((VID_SERVERS, 'servers'), (VID_OOB, 'out-of-band'))
        )
        self._rack_prefixes(site, location, rack, vlan, oob_vlan)
        a, b = (TopOfRack(self, place, rack, side, vlan) for side in 'ab')
        oob = OutOfBand(self, place, rack, oob_vlan)
        if rack.place == 0:
            for number, spine in enumerate(spines):
                oob.connect(44 + number, spine)
        oob.connect(46, a)
        oob.connect(47, b)
        for port, spine in enumerate(spines):
            a.uplink(port, spine, 2 * rack.place)
            b.uplink(port, spine, 2 * rack.place + 1)
        # 39 units are free: at most 15 of 24 servers may take two of them.
        small = chance.choice(catalogue.SMALL_SERVERS)
        large = chance.choice(catalogue.LARGE_SERVERS)
        many = 15 if role.large else chance.choice((0, 6, 12))
        unit = 1
        for number, within_site in enumerate(rack.servers):
            model = large if number < many else small
            Server(self, place, rack, within_site, number, model, unit, role, tenant, cluster, a, b, oob).write()
            unit += model.height
        for switch in (a, b, oob):
            switch.write()

    def _rack_prefixes(self, site: SiteKeys, location: int, rack: Rack, vlan: int, oob_vlan: int) -> None:
        roles = self.net_role
        prefix = self._prefix(
            f'{rack.net4}.0/24', 3, 0, vlan=vlan, role=roles['servers'], site=site, location=location,
            description=f'Rack {rack.name}',
        )  # fmt: skip
        leases = self.ranges.add(f'{rack.net4}.{LEASES[0]}/24', f'{rack.net4}.{LEASES[1]}/24', roles['leases'])
        self.leaves.append(Leaf(prefix, site.site.number, f'{rack.net4}.1', 4, leases))
        self._prefix(
            f'{rack.oob(0)}/26', 1, 0, vrf=self.vrf, vlan=oob_vlan, role=roles['out-of-band'], site=site,
            location=location, description=f'Rack {rack.name}, out-of-band',
        )  # fmt: skip
        if rack.dual_stack:
            prefix = self._prefix(
                f'{rack.net6}::/64', 2, 0, vlan=vlan, role=roles['servers'], site=site, location=location,
                description=f'Rack {rack.name}',
            )  # fmt: skip
            self.leaves.append(Leaf(prefix, site.site.number, f'{rack.net6}::1', 6, None))

    # ------------------------------------------------------------------ parts that all devices share

    def asset_tag(self) -> str:
        self._asset += 1
        return f'AT{self._asset:06d}'

    def cable(self, a: End, b: End, kind: str, planned: bool = False) -> tuple[int, int, int]:
        """A cable with both terminations and both paths: its key, and the keys of the paths from a and from b."""
        status, active = ('planned', FALSE) if planned else ('connected', TRUE)
        cable = self.cables.add(kind, status, '2196f3' if kind == 'cat6' else '212121')
        node_a, node_b = f'{self._of_interface}:{a.interface}', f'{self._of_interface}:{b.interface}'
        node = f'{self._of_cable}:{cable}'
        from_a = self.paths.add(f'[["{node_a}"], ["{node}"], ["{node_b}"]]', active, f'{{{node_a},{node},{node_b}}}')
        from_b = self.paths.add(f'[["{node_b}"], ["{node}"], ["{node_a}"]]', active, f'{{{node_b},{node},{node_a}}}')
        for side, end in (('A', a), ('B', b)):
            self.terminations.add(cable, side, end.interface, end.device, end.rack, end.location, end.site)
        return cable, from_a, from_b

    def address(self, address: str, interface: int, name: str, *, vrf: object = NULL, tenant: object = NULL) -> int:
        return self.addresses.add(address, vrf, tenant, 'active', self._of_interface, interface, name)

    def hardware_address(self, oui: str, interface: int) -> tuple[int, str]:
        mac = self.mac(oui)
        return self.macs.add(mac, self._of_interface, interface), mac

    # ------------------------------------------------------------------ virtual machines

    def _virtual_machines(self, site: SiteKeys, cluster: Cluster) -> int:
        role = self.net_role['virtual-machines']
        vlan = self.vlans.add(
            VID_VMS + cluster.number, f'virtual-machines-{cluster.number + 1}', site.key, site.vm_group, role
        )
        prefix = self._prefix(
            f'{cluster.address(0)}/22', 3, 0, vlan=vlan, role=role, site=site,
            description=f'{site.name}-kvm{cluster.number + 1}',
        )  # fmt: skip
        # The last of the four /24s has the leases.
        first, last = (cluster.address(768 + host) for host in LEASES)
        leases = self.ranges.add(f'{first}/22', f'{last}/22', self.net_role['leases'])
        self.leaves.append(Leaf(prefix, site.site.number, cluster.address(1), 4, leases))
        chance = self.plan.chance('virtual machines', site.name, cluster.number)
        kind = self.types[virtualization.VMInterface]
        for number, within_site in enumerate(cluster.machines):
            counted = site.site.first_vm + within_site
            name = f'vm-{counted + 1:05d}'
            device_role = chance.choice(catalogue.VM_ROLES)
            state = state_of(counted + 50)
            tenant = chance.choice(self.tenant)
            vm, interface = self.vms.key(), self.vm_interfaces.key()
            mac = self.mac(catalogue.VM_OUI)
            mac_key = self.macs.add(mac, kind, interface)
            address = self.addresses.add(
                f'{cluster.address(FIRST_HOST + number)}/22', NULL, tenant, 'active', kind, interface,
                f'{name}.{site.domain}',
            )  # fmt: skip
            self.vm_interfaces.put(interface, vm, 'eth0', natural('eth0'), mac_key)
            size = chance.choice((1, 2, 4))
            self.vms.put(
                vm, name, site.key, site.clusters[cluster.number], tenant, self.platform_of(device_role, state),
                'active' if state == BUILT else status_of(state, counted), self.role[device_role.slug], address,
                size * 2, size * 4096, size * 40_000, '', 1, site.context[device_role.slug],
            )  # fmt: skip
            self.computers.append(
                Computer(None, vm, name, site.site.number, device_role.slug, state, '', mac, 'uefi', False, False)
            )
        return len(cluster.machines)

    def platform_of(self, role: Role, state: str) -> object:
        """Only what was built has an operating system."""
        if state in (BUILT, RETIRED):
            return self.platform[catalogue.PLATFORM_OF_PROFILE[role.profile]]
        return NULL

    # ------------------------------------------------------------------ at the end

    def finish(self) -> None:
        """What is counted only when everything stands."""
        for key, count in self.devices_of_type.items():
            dcim.DeviceType.objects.filter(pk=key).update(device_count=count)


def _slug(name: str) -> str:
    return name.lower().replace(' ', '-')
