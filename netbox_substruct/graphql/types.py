"""Objects of the GraphQL API.  BuildToken has no type: it is private to the feed.

A related object that the user may not see is null, so no single relation is declared as always there.
"""

from typing import Any

import strawberry
import strawberry_django
from django.core.exceptions import ObjectDoesNotExist
from strawberry.scalars import JSON
from strawberry.types import Info

from netbox.graphql.types import NetBoxObjectType, PrimaryObjectType, register_type

from .. import models
from ..reports import shown
from ..seen import may_change
from .filters import (
    BMCFilter,
    BootImageFilter,
    BootServerFilter,
    BuildArtifactFilter,
    BuildEventFilter,
    BuildFilter,
    DiscoveryRuleFilter,
    FactSetFilter,
    MachineFilter,
    ProfileFilter,
    ProfileTemplateFilter,
    SubnetFilter,
    TaskFilter,
    WaveFilter,
    WaveMemberFilter,
    ZoneFilter,
)
from .lazily import type_of

__all__ = (
    'BMCType',
    'BootImageType',
    'BootServerType',
    'BuildArtifactType',
    'BuildEventType',
    'BuildType',
    'DiscoveryRuleType',
    'FactSetType',
    'MachineType',
    'ProfileTemplateType',
    'ProfileType',
    'SubnetType',
    'TaskType',
    'WaveMemberType',
    'WaveType',
    'ZoneType',
)

# Related objects; what they are is looked up when all is there.
BMC = type_of('BMC')
BootImage = type_of('BootImage')
BootServer = type_of('BootServer')
Build = type_of('Build')
BuildArtifact = type_of('BuildArtifact')
BuildEvent = type_of('BuildEvent')
DiscoveryRule = type_of('DiscoveryRule')
FactSet = type_of('FactSet')
Machine = type_of('Machine')
Profile = type_of('Profile')
ProfileTemplate = type_of('ProfileTemplate')
Subnet = type_of('Subnet')
Task = type_of('Task')
Wave = type_of('Wave')
WaveMember = type_of('WaveMember')
Zone = type_of('Zone')
Device = type_of('Device', 'dcim')
DeviceRole = type_of('DeviceRole', 'dcim')
DeviceType = type_of('DeviceType', 'dcim')
Platform = type_of('Platform', 'dcim')
Site = type_of('Site', 'dcim')
ConfigTemplate = type_of('ConfigTemplate', 'extras')
IPRange = type_of('IPRange', 'ipam')
Prefix = type_of('Prefix', 'ipam')
User = type_of('User', 'users')
VirtualMachine = type_of('VirtualMachine', 'virtualization')


def ours(model: Any, filters: Any, **fields: Any) -> Any:
    """Registers a type of ours, with all fields of its model unless something else is said."""
    return register_type(
        model, name=f'Substruct{model.__name__}Type', filters=filters, pagination=True,
        **(fields or {'fields': '__all__'}),
    )  # fmt: skip


@strawberry.type
class DisplayMixin:
    """For models whose names are made of those of related objects, which the user may not be allowed to see."""

    @strawberry_django.field
    def display(self) -> str:
        try:
            return str(self)
        except ObjectDoesNotExist:
            return f'{self._meta.verbose_name} {self.pk}'


@ours(models.BootServer, BootServerFilter)
class BootServerType(PrimaryObjectType):
    sites: list[Site]
    prefixes: list[Prefix]
    subnets: list[Subnet]
    zones: list[Zone]
    machines: list[Machine]
    tasks: list[Task]

    @strawberry_django.field(only=['services'])
    def services(self, info: Info) -> JSON:
        return shown.services_for(self.services, whole=may_change(self, info.context.request.user))

    @strawberry_django.field(only=['out_of_step'])
    def out_of_step(self, info: Info) -> JSON:
        return shown.problems_for(self.out_of_step, info.context.request.user)


@ours(models.Subnet, SubnetFilter)
class SubnetType(DisplayMixin, PrimaryObjectType):
    prefix: Prefix | None
    boot_server: BootServer | None
    lease_range: IPRange | None
    gateway: str | None
    name_servers: list[str]
    ntp_servers: list[str]


@ours(models.Zone, ZoneFilter)
class ZoneType(PrimaryObjectType):
    boot_server: BootServer | None
    name_servers: list[str]


@ours(models.BootImage, BootImageFilter)
class BootImageType(PrimaryObjectType):
    platform: Platform | None
    profiles: list[Profile]
    templates: list[ProfileTemplate]


@ours(models.Profile, ProfileFilter)
class ProfileType(PrimaryObjectType):
    parent: Profile | None
    boot_image: BootImage | None
    children: list[Profile]
    templates: list[ProfileTemplate]
    machines: list[Machine]
    builds: list[Build]
    discovery_rules: list[DiscoveryRule]


@ours(models.ProfileTemplate, ProfileTemplateFilter)
class ProfileTemplateType(DisplayMixin, NetBoxObjectType):
    profile: Profile | None
    boot_image: BootImage | None
    config_template: ConfigTemplate | None


@ours(models.DiscoveryRule, DiscoveryRuleFilter)
class DiscoveryRuleType(PrimaryObjectType):
    role: DeviceRole | None
    device_type: DeviceType | None
    site: Site | None
    profile: Profile | None
    machines: list[Machine]


@ours(models.Machine, MachineFilter)
class MachineType(PrimaryObjectType):
    device: Device | None
    virtual_machine: VirtualMachine | None
    boot_mac: str | None
    boot_server: BootServer | None
    profile: Profile | None
    discovery_rule: DiscoveryRule | None
    bmc: BMC | None
    builds: list[Build]
    fact_sets: list[FactSet]
    tasks: list[Task]


# The frozen request holds the whole context; the REST API does not show it either.
@ours(models.Build, BuildFilter, exclude=['request'])
class BuildType(DisplayMixin, NetBoxObjectType):
    machine: Machine | None
    profile: Profile | None
    requested_by: User | None
    artifacts: list[BuildArtifact]
    events: list[BuildEvent]
    tasks: list[Task]


@ours(models.BuildArtifact, BuildArtifactFilter)
class BuildArtifactType(NetBoxObjectType):
    build: Build | None


@ours(models.BuildEvent, BuildEventFilter)
class BuildEventType(NetBoxObjectType):
    build: Build | None


@ours(models.FactSet, FactSetFilter)
class FactSetType(DisplayMixin, NetBoxObjectType):
    machine: Machine | None


@ours(models.BMC, BMCFilter)
class BMCType(DisplayMixin, PrimaryObjectType):
    machine: Machine | None
    address: str | None


@ours(models.Task, TaskFilter)
class TaskType(NetBoxObjectType):
    boot_server: BootServer | None
    machine: Machine | None
    build: Build | None


@ours(models.Wave, WaveFilter)
class WaveType(PrimaryObjectType):
    profile: Profile | None
    requested_by: User | None
    days: list[str]
    time_zone: str | None
    members: list[WaveMember]


@ours(models.WaveMember, WaveMemberFilter)
class WaveMemberType(DisplayMixin, NetBoxObjectType):
    wave: Wave | None
    machine: Machine | None
    build: Build | None
