"""A small data centre in which every page of the plugin has something to show, the awkward cases too.

Long names, empty values, a build that failed with its log, one that is under way, a preview with errors, parameters
that override others, a boot server that is out of step, subnets that inherit, and people who may do less.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from netaddr import IPNetwork

from core.models import ObjectType
from dcim.models import Device, DeviceRole, DeviceType, Interface, MACAddress, Manufacturer, Platform, Site
from extras.models import ConfigContext, ConfigTemplate
from ipam.models import IPAddress, IPRange, Prefix
from users.models import ObjectPermission, User
from virtualization.models import Cluster, ClusterType, VirtualMachine

from netbox_substruct import models as substruct
from netbox_substruct.lifecycle import builds, machines
from netbox_substruct.waves import moves

PASSWORD = 'Substruct-1-browser'
LONG = 'storage-node-0042-with-a-rather-long-name.rack-17.row-c.hall-2.dc-frankfurt-main.example.com'[:64]
IPXE = '#!ipxe\n# {{ machine.hostname }}\nkernel {{ urls.kernel }} {{ boot_image.arguments }}\nboot\n'
PRESEED = 'd-i netcfg/get_hostname string {{ machine.hostname }}\nd-i time/zone string {{ parameters.time_zone }}\n'
BROKEN = '#!ipxe\necho {{ parameters.nobody_said_this }}\nboot\n'
LOG = 'main-menu: INFO: Menu item selected\n' * 20 + 'base-installer: error: exiting on error no_codename\n'
BADKEY = 'ns1.example.com refuses the key tsig/main (BADKEY).'
FACTS = {
    'system': {
        'manufacturer': 'Acme',
        'product': 'S1',
        'serial': 'SN-1',
        'uuid': '0' * 8 + '-0000' * 3 + '-' + '0' * 12,
    },
    'memory': {'total_gib': 64},
    'interfaces': [{'name': 'eno1', 'mac': '02:00:00:00:00:01', 'link': True}],
}


def _report(server, image, *, failed, broken, subnet, zone):
    """What a boot server says that has something to say of everything."""
    now = timezone.now()

    def moment(minutes):
        return (now - timedelta(minutes=minutes)).isoformat()

    def instance(number):
        return {'instance': f'{server.name}-{number}a7f', 'version': '0.1.0', 'last_heard': moment(0),
                'started': moment(4000)}  # fmt: skip

    def service(name, backend, state='ok', message='', existing=0, planned=(0, 0, 0), cannot=(), applied=5):
        return {
            'name': name, 'backend': backend, 'state': state, 'message': message, 'existing': existing,
            'planned': dict(zip(('add', 'change', 'remove'), planned, strict=True)), 'last_plan': moment(0),
            'last_apply': moment(applied), 'cannot': list(cannot),
        }  # fmt: skip

    def problem(service, what, obj, message, remedy='', severity='error'):
        return {'service': service, 'what': what, 'id': obj.pk if obj else 0, 'name': str(obj) if obj else service,
                'message': message, 'remedy': remedy, 'severity': severity}  # fmt: skip

    kernel, initrd = image.files[0], image.files[1]
    substruct.BootServer.objects.filter(pk=server.pk).update(
        last_heartbeat=now,
        instances=[instance(1), instance(2)],
        services=[
            service('dhcp', 'kea', existing=1204, planned=(3, 1, 0), cannot=[
                'Kea 2.2 has no commands for single hosts without its paid hook: a change is a new configuration.',
                'Options of single hosts inside a shared network are those of the subnet.',
            ]),
            service('dns', 'rfc2136', 'degraded', BADKEY, 310, (0, 0, 12)),
            service('files', 'http', existing=8),
            service('tftp', 'substruct', 'down', 'Port 69 is taken by dnsmasq (pid 811).', applied=600),
            service('power', 'ipmi', 'off'),
        ],
        out_of_step=[
            problem('dhcp', 'machine', failed, 'It has the MAC address of web-1 (02:00:00:00:00:aa), which keeps it.',
                    'Give one of them another MAC address.'),
            problem('dhcp', 'machine', broken, 'Its name is no host name: it has an underscore.', severity='warning'),
            problem('dhcp', 'subnet', subnet, 'The lease range ends outside of the prefix.', 'Shorten the range.'),
            problem('dns', 'zone', zone, BADKEY,
                    'Check the key on both sides: substruct-sidecar check dns.'),
            problem('files', 'boot-image', image, 'The initrd has no SHA-256: unchecked.', severity='warning'),
            problem('tftp', 'service', None, 'Nobody can load over TFTP.', 'Stop dnsmasq, or set another address.'),
        ],
        files=[
            {'source': kernel['url'], 'sha256': kernel['sha256'], 'state': 'present', 'bytes': 8_100_000,
             'total': 8_100_000, 'error': '', 'time': moment(60)},
            {'source': initrd['url'], 'sha256': None, 'state': 'fetching', 'bytes': 12_000_000, 'total': 43_000_000,
             'error': '', 'time': moment(0)},
            {'source': 'http://deb.example.com/images/debian-13-with-a-rather-long-name.raw.zst', 'sha256': 'b' * 64,
             'state': 'failed', 'bytes': 0, 'total': None, 'error': 'The SHA-256 is c3ab8ff1…, not bbbbbbbb….',
             'time': moment(2)},
        ],
    )  # fmt: skip


@dataclass
class World:
    device: Device  # active, not registered, with everything that a build needs
    registered: Device
    virtual_machine: VirtualMachine
    profile: substruct.Profile
    of_model: dict[str, object]  # model name → the object whose pages are opened
    further: dict[str, list[object]]  # model name → objects whose detail pages are opened as well
    broken: substruct.Machine  # its preview has errors
    admin: User
    viewer: User  # may view everything and do nothing


def a_data_centre(name: str = 'Frankfurt') -> World:
    slug = name.lower()
    admin = User.objects.create_superuser(f'{slug}-admin', password=PASSWORD)
    site = Site.objects.create(name=name, slug=slug)
    device_type = DeviceType.objects.create(
        manufacturer=Manufacturer.objects.create(name=f'{name} Acme', slug=f'{slug}-acme'),
        model='S1',
        slug=f'{slug}-s1',
    )
    role = DeviceRole.objects.create(name=f'{name} server', slug=f'{slug}-server', color='2196f3')
    platform = Platform.objects.create(name=f'{name} Debian 13', slug=f'{slug}-debian-13')

    def device(device_name, status='planned'):
        made = Device.objects.create(
            name=device_name,
            site=site,
            device_type=device_type,
            role=role,
            status=status,
            serial=f'SN-{device_name}'[:50],
        )
        port = Interface.objects.create(device=made, name='eno1', type='1000base-t')
        mac = MACAddress.objects.create(
            mac_address=f'02:00:00:00:{site.pk % 256:02x}:{made.pk % 256:02x}', assigned_object=port
        )
        port.primary_mac_address = mac
        port.save()
        address = IPAddress.objects.create(
            address=IPNetwork(f'10.8.1.{10 + Device.objects.filter(site=site).count()}/24'), assigned_object=port
        )
        made.primary_ip4 = address
        made.save()
        return made

    image = substruct.BootImage.objects.create(
        name=f'{name} Debian 13 installer', platform=platform, kernel_url='http://deb.example.com/debian/dists/trixie/linux',
        kernel_sha256='a' * 64, initrds=[{'source': 'http://deb.example.com/debian/dists/trixie/initrd.gz'}],
        arguments='auto=true priority=critical hostname={{ machine.hostname }}',
    )  # fmt: skip
    ipxe, preseed, broken_template = (
        ConfigTemplate.objects.create(name=f'{name} {kind}', template_code=code)
        for kind, code in (('iPXE', IPXE), ('preseed', PRESEED), ('broken', BROKEN))
    )
    for kind, template in (('ipxe', ipxe), ('preseed', preseed)):
        template_of_image = substruct.ProfileTemplate.objects.create(
            boot_image=image, kind=kind, config_template=template
        )
    base = substruct.Profile.objects.create(
        name=f'{name} base', slug=f'{slug}-base', boot_image=image, parameters={'time_zone': 'Etc/UTC', 'owner': 'ops'},
        handoff='salt',
    )  # fmt: skip
    profile = substruct.Profile.objects.create(
        name=f'{name} web', slug=f'{slug}-web', parent=base, parameters={'owner': 'web', 'disk': {'scheme': 'lvm'}},
        parameter_schema={'type': 'object', 'required': ['time_zone']}, built_status='active',
        disk_layout={'disk': '/dev/sda', 'scheme': 'lvm'}, description='Debian 13 for web servers',
    )  # fmt: skip
    broken_profile = substruct.Profile.objects.create(
        name=f'{name} broken', slug=f'{slug}-broken', parent=base,
        parameter_schema={'type': 'object', 'required': ['raid']},
    )  # fmt: skip
    substruct.ProfileTemplate.objects.create(profile=broken_profile, kind='ipxe', config_template=broken_template)
    context = ConfigContext.objects.create(
        name=f'{name} site', data={'time_zone': 'Europe/Berlin', 'owner': 'frankfurt'}
    )
    context.sites.add(site)

    server = substruct.BootServer.objects.create(
        name=f'{slug}-boot', base_url='http://10.8.1.2:8080', version='0.1.0', last_heartbeat=timezone.now(),
        applied_cursor='0307b09a96513cab.2166.2166.', description='Rack 17, behind the leaf switches',
    )  # fmt: skip
    server.sites.add(site)
    silent = substruct.BootServer.objects.create(name=f'{slug}-boot-new', base_url='http://10.8.1.3:8080')
    above = Prefix.objects.create(prefix=IPNetwork('10.8.0.0/16'), scope=site)
    prefix = Prefix.objects.create(prefix=IPNetwork('10.8.1.0/24'), scope=site)
    bare = Prefix.objects.create(prefix=IPNetwork('10.8.2.0/24'), scope=site)
    server.prefixes.add(above)
    substruct.Subnet.objects.create(
        prefix=above, boot_server=server, name_servers=['10.8.0.53', '10.8.1.53'], ntp_servers=['10.8.0.123'],
        domain=f'{slug}.example.com', dhcp_enabled=True, dhcp_options={'tftp-server-name': '10.8.1.2'},
    )  # fmt: skip
    leases = IPRange.objects.create(start_address=IPNetwork('10.8.1.200/24'), end_address=IPNetwork('10.8.1.250/24'))
    subnet = substruct.Subnet.objects.create(
        prefix=prefix, gateway='10.8.1.1', lease_range=leases, lease_time=900, discovery_enabled=True
    )
    bare_subnet = substruct.Subnet.objects.create(prefix=bare)
    zone = substruct.Zone.objects.create(
        name=f'{slug}.example.com', boot_server=server, credential='tsig/main', name_servers=['ns1.example.com'],
        soa_mname='ns1.example.com', soa_rname='hostmaster@example.com',
    )  # fmt: skip
    reverse = substruct.Zone.objects.create(name='8.10.in-addr.arpa')
    late = substruct.BootServer.objects.create(
        name=f'{slug}-boot-late', base_url='http://10.8.1.4:8080', version='0.1.0',
        last_heartbeat=timezone.now() - timedelta(hours=3),
        services=[{'name': 'dhcp', 'backend': 'isc', 'state': 'ok'}],
    )  # fmt: skip

    def machine(obj, profile, **fields):
        made = machines.register(obj, profile=profile, user=admin)
        substruct.Machine.objects.filter(pk=made.pk).update(**fields)
        made.refresh_from_db()
        return made

    registered = device('web-1')
    under_way = machine(
        registered, profile, firmware='uefi', boot_mac='02:00:00:00:00:aa', parameters={'owner': 'web-1 alone'},
        uuid='0a0b0c0d-0000-4000-8000-0123456789ab', last_seen=timezone.now(), serial='SN-web-1',
    )  # fmt: skip
    build = builds.request(under_way, user=admin, description='First installation')
    requested = timezone.now() - timedelta(minutes=10)
    substruct.Build.objects.filter(pk=build.pk).update(created=requested)
    build.events.update(time=requested)
    for minutes, kind, progress, message in (
        (9, 'address-offered', None, 'Offered 10.8.1.11'),
        (8, 'loader-fetched', None, 'ipxe.efi'),
        (7, 'kernel-fetched', None, 'linux, initrd.gz'),
        (6, 'config-fetched', None, 'preseed.cfg'),
        (2, 'progress', 55, 'Installing the base system'),
    ):
        builds.record(build, kind, message=message, progress=progress, time=timezone.now() - timedelta(minutes=minutes))
    failed = machine(device(LONG), profile, firmware='bios')
    failed_build = builds.request(failed, user=admin)
    builds.record(failed_build, 'config-fetched', message='preseed.cfg')
    event = builds.record(failed_build, 'failed', message='No mirror could be reached', log=LOG)
    broken = machine(device('db-1'), broken_profile)
    _report(server, image, failed=failed, broken=broken, subnet=subnet, zone=zone)
    cluster = Cluster.objects.create(name=name, type=ClusterType.objects.create(name=f'{name} KVM', slug=f'{slug}-kvm'))
    virtual_machine = VirtualMachine.objects.create(name='vm-1', cluster=cluster, site=site, status='planned')
    idle = machine(virtual_machine, None)
    done = machine(device('app-1'), profile, firmware='uefi')
    builds.record(builds.request(done, user=admin), 'finished', message='Finished')
    discovered = substruct.Machine.objects.create(serial='7CZX-99', boot_mac='02:00:00:00:00:bb', state='discovered')
    retired = machine(device('old-1', 'offline'), None, state='retired')

    rule = substruct.DiscoveryRule.objects.create(
        name=f'{name} Acme S1', condition={'system.manufacturer': 'Acme*', 'memory.total_gib': [64, 128]},
        host_name_template='srv-{{ system.serial | lower }}', role=role, device_type=device_type, site=site,
        profile=profile, limit=10,
    )  # fmt: skip
    facts = substruct.FactSet.objects.create(machine=discovered, source='prospector', data=FACTS)
    bmc = substruct.BMC.objects.create(
        machine=under_way, protocol='redfish', address='10.8.9.11', credential='bmc/frankfurt'
    )
    bare_bmc = substruct.BMC.objects.create(machine=failed, protocol='ipmi', credential='bmc/frankfurt')
    task = substruct.Task.objects.create(
        boot_server=server, kind='power', machine=under_way, parameters={'action': 'cycle'}
    )
    failed_task = substruct.Task.objects.create(
        boot_server=server, kind='power', machine=failed, parameters={'action': 'cycle'}, state='failed', attempts=3,
        error='ipmitool: Unable to establish IPMI v2 / RMCP+ session', finished=timezone.now(),
    )  # fmt: skip

    wave = substruct.Wave.objects.create(
        name=f'{name} rack 17', at_once=2, days=['sat', 'sun'], daily_from='22:00', daily_until='05:00',
        not_after=timezone.now() + timedelta(days=30), description='New kernels for the web servers',
    )  # fmt: skip
    members = moves.add(wave, [done, failed, broken, idle, retired])
    empty_wave = substruct.Wave.objects.create(name=f'{name} later')

    viewer = User.objects.create_user(f'{slug}-viewer', password=PASSWORD)
    permission = ObjectPermission.objects.create(name=f'{name}: view', actions=['view'])
    permission.users.add(viewer)
    permission.object_types.set(
        ObjectType.objects.filter(app_label__in=('netbox_substruct', 'dcim', 'ipam', 'virtualization', 'extras'))
    )
    target = device('target-1', 'active')
    return World(
        device=target,
        registered=registered,
        virtual_machine=virtual_machine,
        profile=profile,
        of_model={
            'bmc': bmc,
            'bootimage': image,
            'bootserver': server,
            'build': build,
            'buildartifact': build.artifacts.first(),
            'buildevent': event,
            'discoveryrule': rule,
            'factset': facts,
            'machine': under_way,
            'profile': profile,
            'profiletemplate': template_of_image,
            'subnet': subnet,
            'task': failed_task,
            'wave': wave,
            'wavemember': members[0],
            'zone': zone,
        },
        further={
            'bmc': [bare_bmc],
            'bootserver': [silent, late],
            'build': [failed_build],
            'machine': [failed, broken, idle, done, discovered, retired],
            'profile': [base, broken_profile],
            'subnet': [bare_subnet],
            'task': [task],
            'wave': [empty_wave],
            'wavemember': members[1:],
            'zone': [reverse],
        },
        broken=broken,
        admin=admin,
        viewer=viewer,
    )
