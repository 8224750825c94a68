"""What each role needs: the table of docs/permissions.md as data, and the groups and permissions made of it.

`netbox substruct_permissions` writes it down.  A role may be bound to sites: then every grant that depends on a place
is given the constraints that say so.  What belongs to no place (profiles, boot images, zones) is seen by all.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

OWN = 'netbox_substruct'

# From a model to the slug of its site, each way that there is.  A model that is not named here belongs to no site.
SITES: dict[str, tuple[str, ...]] = {
    'netbox_substruct.machine': ('device__site__slug', 'virtual_machine__site__slug'),
    'netbox_substruct.build': ('machine__device__site__slug', 'machine__virtual_machine__site__slug'),
    'netbox_substruct.buildartifact': (
        'build__machine__device__site__slug',
        'build__machine__virtual_machine__site__slug',
    ),
    'netbox_substruct.buildevent': (
        'build__machine__device__site__slug',
        'build__machine__virtual_machine__site__slug',
    ),
    'netbox_substruct.factset': ('machine__device__site__slug', 'machine__virtual_machine__site__slug'),
    'netbox_substruct.bmc': ('machine__device__site__slug', 'machine__virtual_machine__site__slug'),
    'netbox_substruct.task': ('machine__device__site__slug', 'machine__virtual_machine__site__slug'),
    'netbox_substruct.wavemember': ('machine__device__site__slug', 'machine__virtual_machine__site__slug'),
    'netbox_substruct.bootserver': ('sites__slug',),
    'netbox_substruct.subnet': ('prefix___site__slug',),
    'dcim.site': ('slug',),
    'dcim.device': ('site__slug',),
    'dcim.rack': ('site__slug',),
    'dcim.interface': ('device__site__slug',),
    'dcim.inventoryitem': ('device__site__slug',),
    'dcim.cable': ('terminations___site__slug',),
    'dcim.macaddress': ('interface__device__site__slug', 'vminterface__virtual_machine__site__slug'),
    'ipam.ipaddress': ('interface__device__site__slug', 'vminterface__virtual_machine__site__slug'),
    'ipam.prefix': ('_site__slug',),
    'ipam.vlan': ('site__slug',),
    'virtualization.virtualmachine': ('site__slug',),
    'virtualization.vminterface': ('virtual_machine__site__slug',),
}
# A wave has no place of its own but those of its machines; who makes one has it before it has any.
WAVE = f'{OWN}.wave'


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions on models.  `title` names the permission; it is unique within its role."""

    title: str
    actions: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    title: str
    description: str
    grants: tuple[Grant, ...]
    # Whether it makes sense to bind it to sites.
    of_sites: bool = True


@dataclass(frozen=True, slots=True)
class Permission:
    """An object permission as NetBox keeps it: `models` as in "dcim.device"."""

    name: str
    description: str
    actions: tuple[str, ...]
    models: tuple[str, ...]
    constraints: Any = None


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    description: str
    permissions: tuple[Permission, ...] = field(default=())


def _own(*names: str) -> tuple[str, ...]:
    return tuple(f'{OWN}.{name}' for name in names)


SETTINGS = _own('bootserver', 'subnet', 'zone', 'bootimage', 'profile', 'profiletemplate', 'discoveryrule')
WORK = _own('machine', 'build', 'buildevent', 'bmc', 'task', 'wave', 'wavemember')
PLACES = (
    'dcim.site', 'dcim.rack', 'dcim.device', 'dcim.interface', 'dcim.macaddress', 'ipam.prefix', 'ipam.ipaddress',
    'ipam.vlan', 'virtualization.virtualmachine', 'virtualization.vminterface',
)  # fmt: skip
CATALOGUE = ('dcim.devicerole', 'dcim.devicetype', 'dcim.manufacturer', 'dcim.platform', 'ipam.iprange')

_LOOKING = (
    Grant('see settings', ('view',), SETTINGS),
    Grant('see machines and builds', ('view',), WORK),
    Grant('see devices and addresses', ('view',), PLACES),
    Grant('see types, roles and ranges', ('view',), CATALOGUE),
)
_ALL = tuple(dict.fromkeys((*SETTINGS, *WORK, *_own('factset', 'buildartifact'))))

ROLES: tuple[Role, ...] = (
    Role(
        'viewer',
        'viewer',
        'Sees machines, builds and what rules them. No facts, no artifacts, no preview.',
        _LOOKING,
    ),
    Role(
        'operator',
        'operator',
        'Registers, adopts, builds, cancels, powers; reads facts and artifacts.',
        (
            *_LOOKING,
            Grant('read facts and artifacts', ('view',), _own('factset', 'buildartifact')),
            Grant('register and build machines', ('add', 'change', 'build', 'preview'), _own('machine')),
            Grant('cancel builds', ('change', 'cancel'), _own('build')),
            Grant('power and other tasks', ('add', 'change'), _own('task')),
            Grant('build in waves', ('add', 'change', 'delete'), _own('wave', 'wavemember')),
            Grant(
                'adopt machines',
                ('add', 'change'),
                ('dcim.device', 'dcim.interface', 'dcim.macaddress', 'ipam.ipaddress', 'virtualization.virtualmachine',
                 'virtualization.vminterface'),
            ),
            Grant('record parts', ('view', 'add', 'change', 'delete'), ('dcim.inventoryitem',)),
        ),
    ),
    Role(
        'template-author',
        'template author',
        'Writes templates, profiles and boot images, and tries them in the preview of machines. Builds nothing.',
        (
            *_LOOKING,
            Grant('read artifacts', ('view',), _own('buildartifact')),
            Grant('preview machines', ('preview',), _own('machine')),
            Grant(
                'write profiles and templates',
                ('view', 'add', 'change', 'delete'),
                (*_own('bootimage', 'profile', 'profiletemplate'), 'extras.configtemplate'),
            ),
        ),
        of_sites=False,
    ),
    Role(
        'administrator',
        'administrator',
        'Everything of Substruct but the feed, which holds the tokens of builds.',
        (
            Grant('see devices and addresses', ('view',), PLACES),
            Grant('see types, roles and ranges', ('view',), CATALOGUE),
            Grant('everything', ('view', 'add', 'change', 'delete'), _ALL),
            Grant('build and preview machines', ('build', 'preview'), _own('machine')),
            Grant('cancel builds', ('cancel',), _own('build')),
            Grant(
                'adopt machines',
                ('add', 'change'),
                ('dcim.device', 'dcim.interface', 'dcim.macaddress', 'ipam.ipaddress', 'virtualization.virtualmachine',
                 'virtualization.vminterface'),
            ),
            Grant('record parts', ('view', 'add', 'change', 'delete'), ('dcim.inventoryitem',)),
            Grant('write templates', ('view', 'add', 'change', 'delete'), ('extras.configtemplate',)),
        ),
        of_sites=False,
    ),
)  # fmt: skip
BY_NAME = {role.name: role for role in ROLES}


def constraints(model: str, slugs: Sequence[str]) -> list[dict[str, Any]] | dict[str, Any] | None:
    """What limits a permission on a model to sites; None for models that belong to none."""
    if model == WAVE:
        members = [f'members__{path}' for path in SITES[f'{OWN}.wavemember']]
        return [
            {'requested_by': '$user'},
            {'requested_by': None, 'members': None},
            *({f'{path}__in': list(slugs)} for path in members),
        ]
    paths = SITES.get(model, ())
    found = [{f'{path}__in': list(slugs)} for path in paths]
    return (found if len(found) > 1 else found[0]) if found else None


def group(role: Role, sites: Sequence[tuple[str, str]] = ()) -> Group:
    """The group of a role; with `sites` (slug and name of each) one that is bound to them."""
    where = ', '.join(name for _, name in sites)
    name = f'Substruct {role.title}' + (f' ({where})' if sites else '')
    slugs = [slug for slug, _ in sites] if role.of_sites else []
    return Group(name, role.description, tuple(_permissions(name, role, slugs)))


def group_of_boot_server(name: str) -> Group:
    """The group for the account of one boot server: it reads its own feed and reports, and nothing else."""
    title = f'Substruct boot server ({name})'
    permission = Permission(
        f'{title}: feed', 'Reads the feed, and reports.', ('view', 'feed'), _own('bootserver'), {'name': name}
    )
    return Group(title, 'The account of one boot server: its own feed and reports.', (permission,))


def _permissions(name: str, role: Role, slugs: Sequence[str]) -> Iterator[Permission]:
    for grant in role.grants:
        for limit, models in _by_constraints(grant.models, slugs):
            what = f'{name}: {grant.title}'
            if limit is not None and len(_by_constraints(grant.models, slugs)) > 1:
                what += f', {", ".join(model.partition(".")[2] for model in models)}'
            yield Permission(what[:100], role.description, grant.actions, models, limit)


def _by_constraints(models: Iterable[str], slugs: Sequence[str]) -> list[tuple[Any, tuple[str, ...]]]:
    """Models gathered by what limits them: a permission has one set of constraints for all of its models."""
    gathered: list[tuple[Any, list[str]]] = []
    for model in models:
        limit = constraints(model, slugs) if slugs else None
        for known, same in gathered:
            if known == limit:
                same.append(model)
                break
        else:
            gathered.append((limit, [model]))
    return [(limit, tuple(same)) for limit, same in gathered]


def write(wanted: Group) -> list[str]:
    """Make a group and its permissions as they are wanted, in one transaction; gives a line for each that was not so.

    Permissions of the group that are not in the table are left alone: they are somebody's own.
    """
    from django.db import transaction

    from core.models import ObjectType
    from users.models import Group as NetBoxGroup
    from users.models import ObjectPermission

    said = []
    with transaction.atomic():
        found, made = NetBoxGroup.objects.get_or_create(name=wanted.name, defaults={'description': wanted.description})
        if made:
            said.append(f'group {wanted.name}: made')
        for permission in wanted.permissions:
            types = {ObjectType.objects.get_by_natural_key(*model.split('.')) for model in permission.models}
            values = {
                'description': permission.description[:200],
                'actions': list(permission.actions),
                'constraints': permission.constraints,
                'enabled': True,
            }
            present = ObjectPermission.objects.filter(name=permission.name).first()
            as_wanted = present is not None and all(getattr(present, name) == value for name, value in values.items())
            if as_wanted and set(present.object_types.values_list('pk', flat=True)) == {each.pk for each in types}:
                if not present.groups.filter(pk=found.pk).exists():
                    present.groups.add(found)
                    said.append(f'permission {permission.name}: given to the group')
                continue
            said.append(f'permission {permission.name}: {"made" if present is None else "set right"}')
            present = present or ObjectPermission(name=permission.name)
            for name, value in values.items():
                setattr(present, name, value)
            present.full_clean()
            present.save()
            present.object_types.set(types)
            present.groups.add(found)
    return said
