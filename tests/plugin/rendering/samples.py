"""A machine as templates see it, made without a database."""

import copy
import json
from ipaddress import ip_interface
from typing import Any

import msgspec

from netbox_substruct import template_library
from netbox_substruct.bundles import Bundle, Template, render
from netbox_substruct.context import schema


def address(text: str, **values: Any) -> schema.Address:
    interface = ip_interface(text)
    return schema.Address(
        **{
            'address': text,
            'ip': str(interface.ip),
            'family': interface.version,
            'prefix_length': interface.network.prefixlen,
            'network': str(interface.network),
            'netmask': str(interface.netmask),
            'broadcast': str(interface.network.broadcast_address),
            'gateway': '',
            'name_servers': (),
            'ntp_servers': (),
            'domain': '',
            'dns_name': '',
            'assignment': 'static',
            'primary': True,
            'vrf': '',
            **values,
        }
    )


def context(**changes: Any) -> dict[str, Any]:
    """A plain context; `changes` are merged into it, with names such as machine__name for what lies deeper."""
    from netbox_substruct.context import disks, to_plain

    ip4 = address(
        '10.1.2.5/24', gateway='10.1.2.1', name_servers=('10.1.0.53', '10.1.1.53'), ntp_servers=('10.1.0.123',),
        domain='dc1.example.com',
    )  # fmt: skip
    file = schema.File(name='linux', path='files/' + 'ab' * 32, sha256='ab' * 32)
    found = to_plain(
        schema.Context(
            schema_version=schema.SCHEMA_VERSION,
            machine=schema.Machine(
                id=7, name='web01', kind='device', hostname='web01', fqdn='web01.dc1.example.com',
                domain='dc1.example.com', uuid='', serial='S123', asset_tag='', architecture='x86_64', firmware='uefi',
                boot_mac='52:54:00:12:34:56', local_boot='exit',
                site=schema.Site(name='Berlin', slug='berlin', time_zone='Europe/Berlin'), location='', rack='R1',
                position=12.0, role=schema.Named(name='Web', slug='web'),
                device_type=schema.DeviceType(manufacturer='Dell', model='R640', slug='r640'), cluster='',
                platform=None, tenant=None, status='planned', tags=('blue',), custom_fields={'cost': 5},
            ),
            interfaces=(
                schema.Interface(
                    name='eno1', os_name='eno1', type='1000base-t', label='', description='', enabled=True,
                    mac='52:54:00:12:34:56', mtu=None, mgmt_only=False, lag='', members=(), parent='', bridge='',
                    mode='', untagged_vlan=None, tagged_vlans=(), addresses=(ip4,),
                ),
            ),
            network=schema.Network(
                interface='eno1', ip4=ip4, ip6=None, gateway=ip4.gateway, name_servers=ip4.name_servers,
                ntp_servers=ip4.ntp_servers, domain=ip4.domain,
            ),
            disks=schema.Disks(found=(), chosen=('/dev/sda',), only=False, problem=''),
            profile=schema.Profile(
                name='Debian', slug='debian', chain=('Debian',), handoff='none', built_status='',
                disk_layout={'disk': '/dev/sda'},
            ),
            boot_image=schema.BootImage(
                name='Debian 12', platform=None, architecture='x86_64', method='installer',
                arguments='auto=true url={{ urls.artifact.preseed | default("") }}', kernel=file, initrds=(file,),
                disk_image=file,
            ),
            parameters={},
            build=None,
        )
    )  # fmt: skip
    found = copy.deepcopy(found)
    for name, value in changes.items():
        place = found
        *above, last = name.split('__')
        for part in above:
            place = place[part]
        place[last] = value
    # As `context.assemble` does it: what the layout means is looked up among the disks that were found.
    reported = msgspec.convert(found['disks']['found'], tuple[schema.Disk, ...])
    found['disks'] = json.loads(
        json.dumps(msgspec.to_builtins(disks.choose(found['profile']['disk_layout'], reported)))
    )
    return found


def template(text: str, kind: str = 'script', name: str = 'T', **includes: str) -> Template:
    return Template(kind, name, text, includes)


def packaged(path: str, kind: str = 'ipxe') -> Template:
    return Template(
        kind, template_library.template_name(path), template_library.files()[path], template_library.snippets()
    )


def one(bundle: Bundle) -> str:
    """The content of the only artifact of a bundle without errors."""
    assert not bundle.errors, '\n'.join(map(str, bundle.errors))
    (artifact,) = bundle.artifacts
    return artifact.content


def rendered(text: str, **changes: Any) -> str:
    return one(render(context(**changes), [template(text)]))


def refused(text: str, seconds: float | None = None, **changes: Any) -> Any:
    """The only error of a template that must not render."""
    bundle = render(context(**changes), [template(text)], seconds=seconds)
    assert not bundle.artifacts, bundle.artifacts[0].content[:200]
    (error,) = bundle.errors
    return error
