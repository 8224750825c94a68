"""Substruct's own objects: boot servers, subnets, zones, images, profiles, machines, and what has happened to them.

Builds that have ended are written as rows that say the same as `lifecycle` would have made of them; the few that are
under way are really requested through `lifecycle`, so that they hold what their templates render.
"""

import hashlib
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from extras.models import ConfigTemplate

from lab.seeding.bulk import FALSE, NULL, TRUE, Book, array, document, moment, text
from lab.seeding.catalogue import DOMAIN, REFERENCE, ROLES, SERVERS
from lab.seeding.hardware import Computer
from lab.seeding.inventory import Inventory
from lab.seeding.plan import Plan
from netbox_substruct import models as substruct
from netbox_substruct.lifecycle.errors import LifecycleError

DEBIAN = 'http://deb.debian.org/debian/dists/{}/main/installer-amd64/current/images/netboot/debian-installer/amd64/{}'
ARGUMENTS = 'auto=true priority=critical url={{ urls.artifact.preseed }} interface=auto'
PROFILE_OF_ROLE = {role.slug: role.profile for role in ROLES if role.profile}
HISTORY = 200  # built machines whose build is still in the history; failed ones all have theirs
UNDER_WAY = 4

# Templates of boot images by method and kind: the file in the packaged library, and what stands in for it while the
# library does not have it.
TEMPLATES = {
    ('installer', 'ipxe'): ('ipxe/install.ipxe', """\
#!ipxe
# {{ machine.hostname }}
kernel {{ urls.kernel }} {{ boot_image.arguments }}
{% for url in urls.initrds %}
initrd {{ url }}
{% endfor %}
boot
"""),
    ('installer', 'preseed'): ('debian/preseed.cfg', """\
d-i netcfg/get_hostname string {{ machine.hostname }}
d-i time/zone string {{ parameters.time_zone }}
"""),
    ('disk-image', 'ipxe'): ('ipxe/disk-image.ipxe', """\
#!ipxe
# {{ machine.hostname }}
imgfetch {{ urls.disk_image }}
boot
"""),
}  # fmt: skip

# What a build says on its way: after so many seconds, kind, progress, message.
STORY = (
    (0, 'requested', None, 'Requested'),
    (46, 'loader-fetched', None, 'snponly.efi'),
    (48, 'script-fetched', None, 'boot.ipxe'),
    (61, 'kernel-fetched', None, 'linux, initrd.gz'),
    (83, 'config-fetched', None, 'preseed.cfg'),
    (150, 'progress', 30, 'Partitioning'),
    (240, 'progress', 55, 'Installing the base system'),
    (410, 'progress', 85, 'Installing packages'),
    (520, 'finishing', 95, 'The disk is written'),
    (560, 'finished', 100, 'Finished'),
)
FAILURE = (
    (265, 'failed', None, 'No mirror could be reached'),
    (
        'main-menu: WARNING: Configuring "base-installer" failed with error code 1\n'
        'base-installer: error: exiting on error base-installer/no_codename'
    ),
)


class Provisioning:
    def __init__(self, plan: Plan, book: Book, inventory: Inventory) -> None:
        self.plan, self.book, self.inventory = plan, book, inventory
        self.notes: list[str] = []
        sheet = book.sheet
        self.templates = sheet(ConfigTemplate, 'name description template_code', environment_params='{}')
        self.servers = sheet(
            substruct.BootServer, 'name base_url services version last_heartbeat', status='active', applied_cursor=''
        )
        self.server_sites = sheet(substruct.BootServer.sites.through, 'bootserver_id site_id')
        self.server_prefixes = sheet(substruct.BootServer.prefixes.through, 'bootserver_id prefix_id')
        self.subnets = sheet(
            substruct.Subnet,
            'prefix_id boot_server_id gateway name_servers ntp_servers domain lease_range_id lease_time dhcp_options '
            'dhcp_enabled discovery_enabled description',
        )
        self.zones = sheet(
            substruct.Zone, 'name boot_server_id name_servers soa_mname soa_rname', update_method='rfc2136',
            credential='tsig/substruct',
        )  # fmt: skip
        self.images = sheet(
            substruct.BootImage,
            'name platform_id method kernel_url initrds arguments disk_image_url description',
        )
        self.profiles = sheet(
            substruct.Profile,
            'name slug parent_id boot_image_id parameters parameter_schema disk_layout handoff built_status '
            'description',
        )
        self.profile_templates = sheet(substruct.ProfileTemplate, 'profile_id boot_image_id kind config_template_id')
        self.rules = sheet(
            substruct.DiscoveryRule,
            'name priority condition host_name_template role_id device_type_id profile_id enabled limit',
        )
        self.machines = sheet(
            substruct.Machine,
            'device_id virtual_machine_id uuid serial firmware boot_mac boot_server_id profile_id parameters state '
            'last_seen',
        )
        self.bmcs = sheet(substruct.BMC, 'machine_id protocol credential')
        self.facts = sheet(substruct.FactSet, 'machine_id source collected data')
        self.builds = sheet(
            substruct.Build, 'machine_id profile_id state progress started finished error request created'
        )
        self.artifacts = sheet(substruct.BuildArtifact, 'build_id kind name content sha256 template_name')
        self.events = sheet(substruct.BuildEvent, 'build_id time kind message progress log')
        self.tasks = sheet(
            substruct.Task, 'boot_server_id kind machine_id parameters state attempts claimed finished answer error'
        )

    def write(self) -> None:
        self._boot_servers()
        self._subnets()
        self._zones()
        self._profiles()
        self._machines()
        self._discovered()
        self._tasks()
        self.book.flush()

    # ------------------------------------------------------------------ what is served

    def _boot_servers(self) -> None:
        services = [
            {'name': 'files', 'backend': 'http', 'state': 'ok'},
            {'name': 'dhcp', 'backend': 'kea', 'state': 'ok'},
            {'name': 'dns', 'backend': 'rfc2136', 'state': 'ok'},
        ]
        self.boot_server: dict[int, int] = {}
        for number, site in self.inventory.site_keys.items():
            address = self.inventory.service_addresses(site.site, 'boot')[0]
            key = self.servers.add(
                f'boot-{site.name}', f'http://{address}:8080', document(services), '0.1.0', moment(REFERENCE)
            )
            self.boot_server[number] = key
            self.server_sites.add(key, site.key)
            self.server_prefixes.add(key, self.inventory.site_prefixes[number])

    def _subnets(self) -> None:
        add = self.subnets.add
        unset = ('{}', '{}', '', NULL, NULL, '{}', NULL, NULL)
        add(
            self.inventory.root_prefix, NULL, NULL, '{}', '{}', DOMAIN, NULL, 3600, '{}', FALSE, FALSE,
            'Everything that sites do not say themselves',
        )  # fmt: skip
        for number, site in self.inventory.site_keys.items():
            server = self.boot_server[number]
            for prefix, addresses, dhcp in (
                (self.inventory.site_prefixes[number], self.inventory.service_addresses, TRUE),
                (self.inventory.site_prefixes6[number], self.inventory.service_addresses6, NULL),
            ):
                add(
                    prefix, server, NULL, array(addresses(site.site, 'ns1', 'ns2')),
                    array(addresses(site.site, 'ntp')), site.domain, NULL, NULL, '{}', dhcp, NULL, site.name,
                )  # fmt: skip
        discovering: set[int] = set()
        for leaf in self.inventory.leaves:
            # One subnet of every site takes in machines that nobody knows yet.
            discovers = leaf.family == 4 and leaf.site not in discovering
            if discovers:
                discovering.add(leaf.site)
            values = list(unset)
            values[3] = NULL if leaf.lease_range is None else str(leaf.lease_range)
            values[7] = TRUE if discovers else NULL
            add(leaf.prefix, NULL, leaf.gateway, *values, '')

    def _zones(self) -> None:
        for number, site in self.inventory.site_keys.items():
            names = [f'ns1.{site.domain}', f'ns2.{site.domain}']
            octets = {
                *(int(rack.net4.split('.')[1]) for rack in site.site.racks),
                *(int(rack.oob(0).split('.')[1]) for rack in site.site.racks),
                *(int(cluster.address(0).split('.')[1]) for cluster in site.site.clusters),
            }
            for zone in (
                site.domain,
                *(f'{octet}.10.in-addr.arpa' for octet in sorted(octets)),
                '.'.join(reversed(f'{number:04x}')) + '.8.b.d.0.1.0.0.2.ip6.arpa',
            ):
                self.zones.add(zone, self.boot_server[number], array(names), names[0], f'hostmaster.{DOMAIN}')

    # ------------------------------------------------------------------ what machines become

    def _profiles(self) -> None:
        platform = self.inventory.platform
        installer = {}
        for slug, codename in (('debian-12', 'bookworm'), ('debian-13', 'trixie')):
            installer[slug] = self.images.add(
                f'{slug}-installer', platform[slug], 'installer', DEBIAN.format(codename, 'linux'),
                document([{'source': DEBIAN.format(codename, 'initrd.gz')}]), ARGUMENTS, '',
                f'The Debian installer, {codename}',
            )  # fmt: skip
        disk = self.images.add(
            'debian-12-disk-image', platform['debian-12'], 'disk-image', '', '[]', '',
            'https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-generic-amd64.raw',
            'Written to the disk as it is; cloud-init does the rest',
        )  # fmt: skip
        schema = {
            '$schema': 'https://json-schema.org/draft/2020-12/schema',
            'type': 'object',
            'required': ['time_zone'],
            'properties': {
                'time_zone': {'type': 'string'},
                'packages': {'type': 'array', 'items': {'type': 'string'}},
                'hugepages': {'type': 'integer', 'minimum': 0},
            },
        }
        none: tuple[object, ...] = ('{}', NULL, '{}', '', '')
        add = self.profiles.add
        base = add(
            'Linux', 'linux', NULL, NULL,
            document({'time_zone': 'Etc/UTC', 'locale': 'en_US.UTF-8', 'keyboard': 'us'}), document(schema),
            document({'disk': '/dev/nvme0n1', 'scheme': 'lvm'}), '', 'active', 'What all machines have in common',
        )  # fmt: skip
        debian12 = add('Debian 12', 'debian-12', base, installer['debian-12'], *none, 'Installed by preseed')
        debian13 = add('Debian 13', 'debian-13', base, installer['debian-13'], *none, 'Installed by preseed')
        self.profile = {
            'debian-12': debian12,
            'debian-13': debian13,
            'hypervisor': add(
                'Hypervisor', 'hypervisor', debian12, NULL,
                document({'packages': ['qemu-system-x86', 'libvirt-daemon-system'], 'hugepages': 512}), NULL,
                document({'disk': '/dev/sda', 'scheme': 'regular'}), 'ansible', '', 'KVM',
            ),
            'kubernetes': add(
                'Kubernetes node', 'kubernetes', debian13, NULL, document({'packages': ['containerd']}), NULL, '{}',
                'salt', '', '',
            ),
            'cloud-image': add('Cloud image', 'cloud-image', base, disk, *none, 'A disk image and cloud-init'),
        }  # fmt: skip
        self._templates({'installer': list(installer.values()), 'disk-image': [disk]})
        roles, types = self.inventory.role, self.inventory.device_type
        for name, priority, condition, host, role, model, profile, enabled, limit in (
            ('Dell for the web', 10, {'system.manufacturer': 'Dell*', 'memory.total_gib': [128, 256]},
             'web-{{ system.serial | lower }}', 'web', 'dell-poweredge-r650', 'debian-12', TRUE, 20),
            ('HPE for computing', 20, {'system.manufacturer': 'HPE'}, 'cmp-{{ system.serial | lower }}', 'compute',
             '', 'cloud-image', TRUE, NULL),
            ('Anything else', 1000, {}, 'new-{{ system.serial | lower }}', 'server', '', '', FALSE, NULL),
        ):  # fmt: skip
            self.rules.add(
                name, priority, document(condition), host, roles[role], types.get(model, NULL),
                self.profile.get(profile, NULL), enabled, limit,
            )  # fmt: skip

    def _templates(self, images: dict[str, list[int]]) -> None:
        """Each boot image gets its templates: the packaged library's, or those of the lab where it has none."""
        library = dict(ConfigTemplate.objects.exclude(data_path='').values_list('data_path', 'pk'))
        for (method, kind), (path, code) in TEMPLATES.items():
            key = library.get(path)
            if key is None:
                name = f'Lab: {path.partition(".")[0]}'
                key = self.templates.add(
                    name, 'Only an example; the packaged library has none of this kind', text(code)
                )
            for image in images[method]:
                self.profile_templates.add(NULL, image, kind, key)

    # ------------------------------------------------------------------ machines and their history

    def _machines(self) -> None:
        failed = built = 0
        every = max(1, len(self.inventory.computers) // HISTORY)
        for number, computer in enumerate(self.inventory.computers):
            chance = self.plan.chance('machine', computer.name)
            profile = self.profile.get(PROFILE_OF_ROLE.get(computer.role, ''), NULL)
            seen: object = NULL
            if computer.state != 'registered':
                seen = moment(REFERENCE - timedelta(seconds=chance.randrange(60, 40 * 86400)))
            key = self.machines.add(
                NULL if computer.device is None else computer.device,
                NULL if computer.virtual_machine is None else computer.virtual_machine,
                UUID(int=chance.getrandbits(128), version=4), computer.serial, computer.firmware, computer.boot_mac,
                NULL, profile, document({'time_zone': 'Europe/Berlin'}) if number % 97 == 5 else '{}', computer.state,
                seen,
            )  # fmt: skip
            if computer.oob:
                protocol = 'redfish' if computer.redfish else 'ipmi'
                self.bmcs.add(key, protocol, f'bmc/{protocol}')
            if computer.state == 'failed':
                failed += 1
                self._build(computer, key, profile, True)
            elif computer.state == 'built' and number % every == 0:
                built += 1
                self._build(computer, key, profile, False)
            self.book.flush(at=50_000)

    def _build(self, computer: Computer, machine: int, profile: object, failed: bool) -> None:
        chance = self.plan.chance('build', computer.name)
        asked = REFERENCE - timedelta(seconds=chance.randrange(3600, 60 * 86400))
        story = [line for line in STORY if not failed or line[0] < FAILURE[0][0]]
        if failed:
            story.append(FAILURE[0])
        began, ended = asked + timedelta(seconds=story[1][0]), asked + timedelta(seconds=story[-1][0])
        progress = max((line[2] for line in story if line[2] is not None), default=0)
        request = {'machine_state': 'registered', 'override': '', 'context': {'machine': {'name': computer.name}}}
        build = self.builds.add(
            machine, profile, 'failed' if failed else 'complete', progress, moment(began), moment(ended),
            FAILURE[0][3] if failed else '', document(request), moment(asked),
        )  # fmt: skip
        for seconds, kind, percent, message in story:
            self.events.add(
                build, moment(asked + timedelta(seconds=seconds)), kind, message.format(address='an address'),
                NULL if percent is None else percent, text(FAILURE[1]) if kind == 'failed' else '',
            )  # fmt: skip
        for kind, name, content in (
            ('ipxe', 'boot.ipxe', f'#!ipxe\n# {computer.name}\nkernel linux auto=true priority=critical\nboot\n'),
            ('preseed', 'preseed.cfg', f'd-i netcfg/get_hostname string {computer.name}\n'),
        ):
            digest = hashlib.sha256(content.encode()).hexdigest()
            self.artifacts.add(build, kind, name, text(content), digest, '')

    def _discovered(self) -> None:
        models = SERVERS
        sites = list(self.inventory.site_keys)
        for number in range(self.plan.discovered):
            chance = self.plan.chance('discovered', number)
            model, site = models[chance.randrange(len(models))], sites[number % len(sites)]
            serial = self.inventory.serial(model)
            macs = [self.inventory.mac(model.oui) for _port in model.nics]
            identity = UUID(int=chance.getrandbits(128), version=4)
            seen = REFERENCE - timedelta(seconds=chance.randrange(30, 86400))
            key = self.machines.add(
                NULL, NULL, identity, serial, model.firmware, macs[0], self.boot_server[site], NULL, '{}',
                'discovered', moment(seen),
            )  # fmt: skip
            facts = {
                'system': {
                    'manufacturer': model.manufacturer, 'product': model.model, 'serial': serial, 'uuid': str(identity),
                    'architecture': 'x86_64', 'firmware': model.firmware,
                },
                'cpu': {'model': 'Intel(R) Xeon(R) Gold 6338', 'sockets': 2, 'cores': 64, 'threads': 128},
                'memory': {'total_gib': chance.choice((128, 256, 512))},
                'disks': [
                    {'name': f'nvme{disk}n1', 'size_bytes': 1_920_383_410_176, 'model': 'SAMSUNG MZQL21T9HCJR-00A07'}
                    for disk in range(chance.choice((2, 4)))
                ],
                'interfaces': [
                    {'name': port.name, 'mac': mac, 'link': position < 2}
                    for position, (port, mac) in enumerate(zip(model.nics, macs, strict=True))
                ],
            }  # fmt: skip
            self.facts.add(key, 'prospector', moment(seen), document(facts))

    def _tasks(self) -> None:
        servers = list(self.boot_server.values())
        image = {'boot_image': 'debian-12-installer'}
        first = self.machines.first
        for server in servers:
            self.tasks.add(
                server, 'fetch-image', NULL, document(image), 'done', 1, moment(REFERENCE - timedelta(hours=5)),
                moment(REFERENCE - timedelta(hours=5) + timedelta(seconds=42)), document({'bytes': 44_118_016}), '',
            )  # fmt: skip
        if self.plan.registered_servers:
            claimed = REFERENCE - timedelta(hours=1)
            self.tasks.add(
                servers[0], 'power', first, document({'action': 'cycle'}), 'done', 1, moment(claimed),
                moment(claimed + timedelta(seconds=3)), document({'power': 'on'}), '',
            )  # fmt: skip
            self.tasks.add(
                servers[0], 'power', first, document({'action': 'status'}), 'failed', 3, moment(claimed),
                moment(claimed + timedelta(seconds=90)), '{}', 'The controller did not answer',
            )  # fmt: skip

    # ------------------------------------------------------------------ what is going on

    def under_way(self) -> int:
        """A few builds of registered machines, really requested, one at each step of its way; how many."""
        found = substruct.Machine.objects.filter(
            pk__gte=self.machines.first, state='registered', device__isnull=False, profile__isnull=False
        ).exclude(device__tags__slug='protected')
        waiting = list(found.exclude(device__status='active').order_by('pk')[1 : 1 + UNDER_WAY])
        if len(waiting) < UNDER_WAY:
            return 0
        try:
            from netbox_substruct.lifecycle import builds

            for step, machine in zip((0, 2, 6, 9), waiting, strict=True):
                build = builds.request(machine)
                begun = timezone.now() - timedelta(seconds=STORY[step][0])
                # Requested when its story begins, so that its timeline is in order.
                substruct.Build.objects.filter(pk=build.pk).update(created=begun)
                build.events.update(time=begun)
                for seconds, kind, progress, form in STORY[1:step]:
                    time, message = begun + timedelta(seconds=seconds), form.format(address='an address')
                    builds.record(build, kind, message=message, progress=progress, time=time)
        except (LifecycleError, ImportError, AttributeError) as error:
            self.notes.append(f'not all builds are under way: {error}')
        return substruct.Build.objects.filter(finished=None).count()
