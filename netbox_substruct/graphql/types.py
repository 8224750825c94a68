"""Objects of the GraphQL API.  BuildToken has no type: it is private to the feed.

A related object that the user may not see is null, so no single relation is declared as always there.
"""

from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from dcim.graphql.types import DeviceRoleType, DeviceType, DeviceTypeType, PlatformType, SiteType
    from extras.graphql.types import ConfigTemplateType
    from ipam.graphql.types import IPRangeType, PrefixType
    from users.graphql.types import UserType
    from virtualization.graphql.types import VirtualMachineType

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


@strawberry.type
class DisplayMixin:
    """For models whose names are made of those of related objects, which the user may not be allowed to see."""

    @strawberry_django.field
    def display(self) -> str:
        try:
            return str(self)
        except ObjectDoesNotExist:
            return f'{self._meta.verbose_name} {self.pk}'


@register_type(
    models.BootServer,
    name='SubstructBootServerType',
    fields='__all__',
    filters=BootServerFilter,
    pagination=True,
)
class BootServerType(PrimaryObjectType):
    sites: list[Annotated['SiteType', strawberry.lazy('dcim.graphql.types')]]
    prefixes: list[Annotated['PrefixType', strawberry.lazy('ipam.graphql.types')]]
    subnets: list[Annotated['SubnetType', strawberry.lazy('netbox_substruct.graphql.types')]]
    zones: list[Annotated['ZoneType', strawberry.lazy('netbox_substruct.graphql.types')]]
    machines: list[Annotated['MachineType', strawberry.lazy('netbox_substruct.graphql.types')]]
    tasks: list[Annotated['TaskType', strawberry.lazy('netbox_substruct.graphql.types')]]

    @strawberry_django.field(only=['services'])
    def services(self, info: Info) -> JSON:
        return shown.services_for(self.services, whole=may_change(self, info.context.request.user))

    @strawberry_django.field(only=['out_of_step'])
    def out_of_step(self, info: Info) -> JSON:
        return shown.problems_for(self.out_of_step, info.context.request.user)


@register_type(
    models.Subnet,
    name='SubstructSubnetType',
    fields='__all__',
    filters=SubnetFilter,
    pagination=True,
)
class SubnetType(DisplayMixin, PrimaryObjectType):
    prefix: Annotated['PrefixType', strawberry.lazy('ipam.graphql.types')] | None
    boot_server: Annotated['BootServerType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    lease_range: Annotated['IPRangeType', strawberry.lazy('ipam.graphql.types')] | None
    gateway: str | None
    name_servers: list[str]
    ntp_servers: list[str]


@register_type(
    models.Zone,
    name='SubstructZoneType',
    fields='__all__',
    filters=ZoneFilter,
    pagination=True,
)
class ZoneType(PrimaryObjectType):
    boot_server: Annotated['BootServerType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    name_servers: list[str]


@register_type(
    models.BootImage,
    name='SubstructBootImageType',
    fields='__all__',
    filters=BootImageFilter,
    pagination=True,
)
class BootImageType(PrimaryObjectType):
    platform: Annotated['PlatformType', strawberry.lazy('dcim.graphql.types')] | None
    profiles: list[Annotated['ProfileType', strawberry.lazy('netbox_substruct.graphql.types')]]
    templates: list[Annotated['ProfileTemplateType', strawberry.lazy('netbox_substruct.graphql.types')]]


@register_type(
    models.Profile,
    name='SubstructProfileType',
    fields='__all__',
    filters=ProfileFilter,
    pagination=True,
)
class ProfileType(PrimaryObjectType):
    parent: Annotated['ProfileType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    boot_image: Annotated['BootImageType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    children: list[Annotated['ProfileType', strawberry.lazy('netbox_substruct.graphql.types')]]
    templates: list[Annotated['ProfileTemplateType', strawberry.lazy('netbox_substruct.graphql.types')]]
    machines: list[Annotated['MachineType', strawberry.lazy('netbox_substruct.graphql.types')]]
    builds: list[Annotated['BuildType', strawberry.lazy('netbox_substruct.graphql.types')]]
    discovery_rules: list[Annotated['DiscoveryRuleType', strawberry.lazy('netbox_substruct.graphql.types')]]


@register_type(
    models.ProfileTemplate,
    name='SubstructProfileTemplateType',
    fields='__all__',
    filters=ProfileTemplateFilter,
    pagination=True,
)
class ProfileTemplateType(DisplayMixin, NetBoxObjectType):
    profile: Annotated['ProfileType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    boot_image: Annotated['BootImageType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    config_template: Annotated['ConfigTemplateType', strawberry.lazy('extras.graphql.types')] | None


@register_type(
    models.DiscoveryRule,
    name='SubstructDiscoveryRuleType',
    fields='__all__',
    filters=DiscoveryRuleFilter,
    pagination=True,
)
class DiscoveryRuleType(PrimaryObjectType):
    role: Annotated['DeviceRoleType', strawberry.lazy('dcim.graphql.types')] | None
    device_type: Annotated['DeviceTypeType', strawberry.lazy('dcim.graphql.types')] | None
    site: Annotated['SiteType', strawberry.lazy('dcim.graphql.types')] | None
    profile: Annotated['ProfileType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    machines: list[Annotated['MachineType', strawberry.lazy('netbox_substruct.graphql.types')]]


@register_type(
    models.Machine,
    name='SubstructMachineType',
    fields='__all__',
    filters=MachineFilter,
    pagination=True,
)
class MachineType(PrimaryObjectType):
    device: Annotated['DeviceType', strawberry.lazy('dcim.graphql.types')] | None
    virtual_machine: Annotated['VirtualMachineType', strawberry.lazy('virtualization.graphql.types')] | None
    boot_mac: str | None
    boot_server: Annotated['BootServerType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    profile: Annotated['ProfileType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    discovery_rule: Annotated['DiscoveryRuleType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    bmc: Annotated['BMCType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    builds: list[Annotated['BuildType', strawberry.lazy('netbox_substruct.graphql.types')]]
    fact_sets: list[Annotated['FactSetType', strawberry.lazy('netbox_substruct.graphql.types')]]
    tasks: list[Annotated['TaskType', strawberry.lazy('netbox_substruct.graphql.types')]]


@register_type(
    models.Build,
    name='SubstructBuildType',
    # The frozen request holds the whole context; the REST API does not show it either.
    exclude=['request'],
    filters=BuildFilter,
    pagination=True,
)
class BuildType(DisplayMixin, NetBoxObjectType):
    machine: Annotated['MachineType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    profile: Annotated['ProfileType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    requested_by: Annotated['UserType', strawberry.lazy('users.graphql.types')] | None
    artifacts: list[Annotated['BuildArtifactType', strawberry.lazy('netbox_substruct.graphql.types')]]
    events: list[Annotated['BuildEventType', strawberry.lazy('netbox_substruct.graphql.types')]]
    tasks: list[Annotated['TaskType', strawberry.lazy('netbox_substruct.graphql.types')]]


@register_type(
    models.BuildArtifact,
    name='SubstructBuildArtifactType',
    fields='__all__',
    filters=BuildArtifactFilter,
    pagination=True,
)
class BuildArtifactType(NetBoxObjectType):
    build: Annotated['BuildType', strawberry.lazy('netbox_substruct.graphql.types')] | None


@register_type(
    models.BuildEvent,
    name='SubstructBuildEventType',
    fields='__all__',
    filters=BuildEventFilter,
    pagination=True,
)
class BuildEventType(NetBoxObjectType):
    build: Annotated['BuildType', strawberry.lazy('netbox_substruct.graphql.types')] | None


@register_type(
    models.FactSet,
    name='SubstructFactSetType',
    fields='__all__',
    filters=FactSetFilter,
    pagination=True,
)
class FactSetType(DisplayMixin, NetBoxObjectType):
    machine: Annotated['MachineType', strawberry.lazy('netbox_substruct.graphql.types')] | None


@register_type(
    models.BMC,
    name='SubstructBMCType',
    fields='__all__',
    filters=BMCFilter,
    pagination=True,
)
class BMCType(DisplayMixin, PrimaryObjectType):
    machine: Annotated['MachineType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    address: str | None


@register_type(
    models.Task,
    name='SubstructTaskType',
    fields='__all__',
    filters=TaskFilter,
    pagination=True,
)
class TaskType(NetBoxObjectType):
    boot_server: Annotated['BootServerType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    machine: Annotated['MachineType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    build: Annotated['BuildType', strawberry.lazy('netbox_substruct.graphql.types')] | None


@register_type(
    models.Wave,
    name='SubstructWaveType',
    fields='__all__',
    filters=WaveFilter,
    pagination=True,
)
class WaveType(PrimaryObjectType):
    profile: Annotated['ProfileType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    requested_by: Annotated['UserType', strawberry.lazy('users.graphql.types')] | None
    days: list[str]
    time_zone: str | None
    members: list[Annotated['WaveMemberType', strawberry.lazy('netbox_substruct.graphql.types')]]


@register_type(
    models.WaveMember,
    name='SubstructWaveMemberType',
    fields='__all__',
    filters=WaveMemberFilter,
    pagination=True,
)
class WaveMemberType(DisplayMixin, NetBoxObjectType):
    wave: Annotated['WaveType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    machine: Annotated['MachineType', strawberry.lazy('netbox_substruct.graphql.types')] | None
    build: Annotated['BuildType', strawberry.lazy('netbox_substruct.graphql.types')] | None
