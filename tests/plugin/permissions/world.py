"""Two sites with all that Substruct knows of their machines, and what both share.

Everything of a site has the site's word in it: names, serial numbers, facts, artifacts, logs, parameters, answers.  So
a page that shows the word of a site shows something of that site.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone
from netaddr import IPNetwork

from core.models import ObjectType
from dcim.models import Cable, Device, DeviceRole, DeviceType, Interface, MACAddress, Manufacturer, Rack, Site
from extras.models import ConfigTemplate, ExportTemplate, JournalEntry, Tag
from ipam.models import IPAddress, IPRange, Prefix
from netbox.search.backends import search_backend
from users.models import Group, User
from virtualization.models import Cluster, ClusterType, VirtualMachine

from netbox_substruct import roles
from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.models import (
    BMC,
    BootImage,
    BootServer,
    Build,
    BuildToken,
    DiscoveryRule,
    FactSet,
    Machine,
    Profile,
    ProfileTemplate,
    Subnet,
    Task,
    Wave,
    WaveMember,
    Zone,
)

OWN, OTHER = 'alfaword', 'zuluword'
IPXE = '#!ipxe\necho {{ machine.name }} {{ parameters.secret | default("none") }}\nboot\n'


@dataclass
class Place:
    """One site."""

    word: str
    site: Site
    boot_server: BootServer
    machines: list[Machine] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


@dataclass
class World:
    own: Place
    other: Place
    shared: BootServer
    profile: Profile
    wave: Wave  # with machines of both
    export: dict[type, ExportTemplate] = field(default_factory=dict)


def a_world() -> World:
    profile = settings()
    own, other = a_place(OWN, 10, profile), a_place(OTHER, 66, profile)
    shared = BootServer.objects.create(name='shared', base_url='http://192.0.2.1:8080')
    shared.sites.set([own.site, other.site])
    BootServer.objects.filter(pk=shared.pk).update(
        last_heartbeat=timezone.now(),
        services=[{'name': 'dhcp', 'backend': 'kea', 'state': 'ok', 'existing': 4}],
        out_of_step=[problem for place in (own, other) for problem in _problems(place)],
    )
    wave = Wave.objects.create(name='everywhere', profile=profile)
    for place in (own, other):
        for machine in place.machines:
            WaveMember.objects.create(wave=wave, machine=machine, reason=f'because of {place.word}')
    Machine.objects.create(discovered_name=f'found-{OTHER}', serial=f'SN-NEW-{OTHER}', boot_mac='02:66:00:00:00:99')
    world = World(own, other, BootServer.objects.get(pk=shared.pk), profile, wave)
    search_backend.cache(Machine.objects.all())
    search_backend.cache(Build.objects.all())
    search_backend.cache(BMC.objects.all())
    search_backend.cache(BootServer.objects.all())
    return world


def settings() -> Profile:
    image = BootImage.objects.create(
        name='debian-13',
        kernel_url='http://mirror.example.com/linux',
        initrds=[{'source': 'http://mirror.example.com/initrd.gz'}],
    )
    profile = Profile.objects.create(name='Debian', slug='debian', boot_image=image)
    template = ConfigTemplate.objects.create(name='Install', template_code=IPXE)
    ProfileTemplate.objects.create(profile=profile, kind='ipxe', config_template=template)
    Zone.objects.create(name='example.com')
    DiscoveryRule.objects.create(name='All servers', profile=profile)
    Tag.objects.create(name='rack-a', slug='rack-a')
    return profile


def _problems(place: Place) -> list[dict[str, Any]]:
    machine = place.machines[0]
    return [
        {'service': 'dhcp', 'what': 'machine', 'id': machine.pk, 'name': machine.name, 'severity': 'error',
         'message': f'{machine.name} cannot be served', 'remedy': f'look at {place.word}'},
        {'service': 'dns', 'what': 'build', 'id': machine.builds.first().pk, 'name': '', 'severity': 'warning',
         'message': f'build of {machine.name}', 'remedy': None},
    ]  # fmt: skip


def a_place(word: str, octet: int, profile: Profile) -> Place:
    site = Site.objects.create(name=f'Site {word}', slug=word)
    rack = Rack.objects.create(name=f'Rack {word}', site=site)
    manufacturer, _ = Manufacturer.objects.get_or_create(name='Acme', slug='acme')
    device_type, _ = DeviceType.objects.get_or_create(manufacturer=manufacturer, model='S1', slug='s1')
    role, _ = DeviceRole.objects.get_or_create(name='Server', slug='server')
    prefix = Prefix.objects.create(prefix=f'10.{octet}.0.0/24', scope=site)
    lease = IPRange.objects.create(
        start_address=IPNetwork(f'10.{octet}.0.100/24'), end_address=IPNetwork(f'10.{octet}.0.200/24')
    )
    boot_server = BootServer.objects.create(name=f'boot-{word}', base_url=f'http://10.{octet}.0.2:8080')
    boot_server.sites.set([site])
    boot_server.prefixes.set([prefix])
    Subnet.objects.create(
        prefix=prefix, boot_server=boot_server, dhcp_enabled=True, lease_range=lease, domain=f'{word}.example.com'
    )
    place = Place(word, site, boot_server, marks=[word, f'10.{octet}.', f'02:{octet}:'])
    for number in (1, 2):
        device = Device.objects.create(
            name=f'srv-{number}-{word}', site=site, rack=rack, position=number * 2, face='front',
            device_type=device_type, role=role, status='planned', serial=f'SN-{number}-{word}',
        )  # fmt: skip
        port = Interface.objects.create(device=device, name='eno1', type='1000base-t')
        mac = MACAddress.objects.create(mac_address=f'02:{octet}:00:00:00:0{number}', assigned_object=port)
        port.primary_mac_address = mac
        port.save()
        address = IPAddress.objects.create(address=f'10.{octet}.0.1{number}/24', assigned_object=port)
        device.primary_ip4 = address
        device.save()
        place.machines.append(machines.register(device, profile=profile))
    cluster_type, _ = ClusterType.objects.get_or_create(name='KVM', slug='kvm')
    cluster = Cluster.objects.create(name=f'Cluster {word}', type=cluster_type, scope=site)
    guest = VirtualMachine.objects.create(name=f'vm-{word}', cluster=cluster, site=site, status='planned')
    place.machines.append(machines.register(guest, profile=profile))
    Cable(
        a_terminations=[Interface.objects.get(device__name=f'srv-1-{word}', name='eno1')],
        b_terminations=[Interface.objects.create(
            device=Device.objects.get(name=f'srv-2-{word}'), name='eno2', type='1000base-t'
        )],
    ).save()  # fmt: skip
    for machine in place.machines:
        _history(place, machine)
    wave = Wave.objects.create(name=f'wave-{word}', profile=profile)
    for machine in place.machines:
        WaveMember.objects.create(wave=wave, machine=machine, reason=f'because of {word}')
    BootServer.objects.filter(pk=boot_server.pk).update(
        last_heartbeat=timezone.now(),
        out_of_step=_problems(place),
        services=[{'name': 'dhcp', 'state': 'ok', 'message': word}],
    )
    return place


def _history(place: Place, machine: Machine) -> None:
    word = place.word
    machine.parameters = {'secret': f'parameter-{word}'}
    machine.serial = f'SN-SMBIOS-{machine.pk}-{word}'
    machine.comments = f'comment {word}'
    machine.save()
    BMC.objects.create(
        machine=machine,
        protocol='ipmi',
        address=f'{place.marks[1]}9.{machine.pk % 250}',
        credential=f'credential-{word}',
    )
    FactSet.objects.create(
        machine=machine, source='prospector', collected=timezone.now() - timedelta(hours=1),
        data={'system': {'manufacturer': 'Acme', 'product': f'product-{word}', 'serial': f'fact-{word}'},
              'interfaces': [{'name': 'eno1', 'mac': f'{place.marks[2]}00:00:00:{machine.pk % 90 + 10}',
                              'lldp': {'chassis_name': f'switch-{word}', 'port_id': 'Ethernet1'}}]},
    )  # fmt: skip
    failed = builds.request(machine, description=f'asked for {word}')
    place.tokens.append(BuildToken.objects.get(build_id=failed.pk).token)
    builds.record(failed, 'failed', message=f'error {word}', log=f'log {word}')
    under_way = builds.request(Machine.objects.get(pk=machine.pk))
    place.tokens.append(BuildToken.objects.get(build_id=under_way.pk).token)
    Task.objects.create(
        boot_server=place.boot_server, kind='power', machine=machine, parameters={'action': 'cycle'},
        answer={'said': f'answer {word}'}, error=f'error {word}',
    )  # fmt: skip
    JournalEntry.objects.create(assigned_object=machine, comments=f'journal {word}')


def a_user_in(name: str, group: roles.Group) -> User:
    """A user with what the group of a role gives, made as the command makes it."""
    roles.write(group)
    user = User.objects.create_user(name)
    user.groups.add(Group.objects.get(name=group.name))
    return user


def export_templates(models: list[type]) -> dict[type, ExportTemplate]:
    """For each model a template that tries to follow every relation of its objects."""
    found = {}
    for model in models:
        template = ExportTemplate.objects.create(
            name=f'all of {model._meta.model_name}',
            template_code='{% for obj in queryset %}{{ obj }} {{ obj.pk }}\n{% endfor %}',
        )
        template.object_types.add(ObjectType.objects.get_for_model(model))
        found[model] = template
    return found
