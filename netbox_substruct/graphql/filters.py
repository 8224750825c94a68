"""What lists in the GraphQL API can be narrowed by."""

from typing import Any
from uuid import UUID

import strawberry_django
from strawberry.scalars import ID
from strawberry_django import BaseFilterLookup, DatetimeFilterLookup, FilterLookup, StrFilterLookup, TimeFilterLookup

from netbox.graphql.filter_lookups import IntegerLookup, JSONFilter, StringArrayLookup
from netbox.graphql.filters import NetBoxModelFilter, PrimaryModelFilter, register_filter

from .. import models
from .enums import (
    ArchitectureEnum,
    ArtifactKindEnum,
    BMCProtocolEnum,
    BootMethodEnum,
    BootServerStatusEnum,
    BuildEventKindEnum,
    BuildStateEnum,
    BuiltAddressEnum,
    BuiltDNSNameEnum,
    FactSourceEnum,
    FirmwareEnum,
    HandoffEnum,
    LocalBootEnum,
    MachineStateEnum,
    NextBootEnum,
    TaskKindEnum,
    TaskStateEnum,
    WaveMemberStateEnum,
    WaveStateEnum,
    ZoneUpdateMethodEnum,
)
from .lazily import filter_of

__all__ = (
    'BMCFilter',
    'BootImageFilter',
    'BootServerFilter',
    'BuildArtifactFilter',
    'BuildEventFilter',
    'BuildFilter',
    'DiscoveryRuleFilter',
    'FactSetFilter',
    'MachineFilter',
    'ProfileFilter',
    'ProfileTemplateFilter',
    'SubnetFilter',
    'TaskFilter',
    'WaveFilter',
    'WaveMemberFilter',
    'ZoneFilter',
)

# Related objects; what they are is looked up when all is there.
BootImage = filter_of('BootImage')
BootServer = filter_of('BootServer')
Build = filter_of('Build')
DiscoveryRule = filter_of('DiscoveryRule')
Machine = filter_of('Machine')
Profile = filter_of('Profile')
Wave = filter_of('Wave')
Device = filter_of('Device', 'dcim')
DeviceRole = filter_of('DeviceRole', 'dcim')
DeviceType = filter_of('DeviceType', 'dcim')
Platform = filter_of('Platform', 'dcim')
Site = filter_of('Site', 'dcim')
ConfigTemplate = filter_of('ConfigTemplate', 'extras')
IPRange = filter_of('IPRange', 'ipam')
Prefix = filter_of('Prefix', 'ipam')
User = filter_of('User', 'users')
VirtualMachine = filter_of('VirtualMachine', 'virtualization')


def ours(model: Any) -> Any:
    return register_filter(model, name=f'Substruct{model.__name__}Filter', lookups=True)


@ours(models.BootServer)
class BootServerFilter(PrimaryModelFilter):
    name: StrFilterLookup | None = strawberry_django.filter_field()
    status: BaseFilterLookup[BootServerStatusEnum] | None = strawberry_django.filter_field()
    base_url: StrFilterLookup | None = strawberry_django.filter_field()
    sites: Site | None = strawberry_django.filter_field()
    prefixes: Prefix | None = strawberry_django.filter_field()
    version: StrFilterLookup | None = strawberry_django.filter_field()
    last_heartbeat: DatetimeFilterLookup | None = strawberry_django.filter_field()
    heard_since: DatetimeFilterLookup | None = strawberry_django.filter_field()
    lost: DatetimeFilterLookup | None = strawberry_django.filter_field()
    drifted: DatetimeFilterLookup | None = strawberry_django.filter_field()


@ours(models.Subnet)
class SubnetFilter(PrimaryModelFilter):
    prefix: Prefix | None = strawberry_django.filter_field()
    prefix_id: ID | None = strawberry_django.filter_field()
    boot_server: BootServer | None = strawberry_django.filter_field()
    boot_server_id: ID | None = strawberry_django.filter_field()
    gateway: StrFilterLookup | None = strawberry_django.filter_field()
    name_servers: StringArrayLookup | None = strawberry_django.filter_field()
    ntp_servers: StringArrayLookup | None = strawberry_django.filter_field()
    domain: StrFilterLookup | None = strawberry_django.filter_field()
    lease_range: IPRange | None = strawberry_django.filter_field()
    lease_range_id: ID | None = strawberry_django.filter_field()
    lease_time: IntegerLookup | None = strawberry_django.filter_field()
    dhcp_options: JSONFilter | None = strawberry_django.filter_field()
    dhcp_enabled: FilterLookup[bool] | None = strawberry_django.filter_field()
    discovery_enabled: FilterLookup[bool] | None = strawberry_django.filter_field()


@ours(models.Zone)
class ZoneFilter(PrimaryModelFilter):
    name: StrFilterLookup | None = strawberry_django.filter_field()
    boot_server: BootServer | None = strawberry_django.filter_field()
    boot_server_id: ID | None = strawberry_django.filter_field()
    update_method: BaseFilterLookup[ZoneUpdateMethodEnum] | None = strawberry_django.filter_field()
    server: StrFilterLookup | None = strawberry_django.filter_field()
    credential: StrFilterLookup | None = strawberry_django.filter_field()
    name_servers: StringArrayLookup | None = strawberry_django.filter_field()
    ttl: IntegerLookup | None = strawberry_django.filter_field()
    soa_mname: StrFilterLookup | None = strawberry_django.filter_field()
    soa_rname: StrFilterLookup | None = strawberry_django.filter_field()
    soa_refresh: IntegerLookup | None = strawberry_django.filter_field()
    soa_retry: IntegerLookup | None = strawberry_django.filter_field()
    soa_expire: IntegerLookup | None = strawberry_django.filter_field()
    soa_minimum: IntegerLookup | None = strawberry_django.filter_field()


@ours(models.BootImage)
class BootImageFilter(PrimaryModelFilter):
    name: StrFilterLookup | None = strawberry_django.filter_field()
    platform: Platform | None = strawberry_django.filter_field()
    platform_id: ID | None = strawberry_django.filter_field()
    architecture: BaseFilterLookup[ArchitectureEnum] | None = strawberry_django.filter_field()
    method: BaseFilterLookup[BootMethodEnum] | None = strawberry_django.filter_field()
    kernel_url: StrFilterLookup | None = strawberry_django.filter_field()
    kernel_sha256: StrFilterLookup | None = strawberry_django.filter_field()
    arguments: StrFilterLookup | None = strawberry_django.filter_field()
    disk_image_url: StrFilterLookup | None = strawberry_django.filter_field()
    disk_image_sha256: StrFilterLookup | None = strawberry_django.filter_field()
    profiles: Profile | None = strawberry_django.filter_field()


@ours(models.Profile)
class ProfileFilter(PrimaryModelFilter):
    name: StrFilterLookup | None = strawberry_django.filter_field()
    slug: StrFilterLookup | None = strawberry_django.filter_field()
    parent: Profile | None = strawberry_django.filter_field()
    parent_id: ID | None = strawberry_django.filter_field()
    boot_image: BootImage | None = strawberry_django.filter_field()
    boot_image_id: ID | None = strawberry_django.filter_field()
    parameters: JSONFilter | None = strawberry_django.filter_field()
    disk_layout: JSONFilter | None = strawberry_django.filter_field()
    handoff: BaseFilterLookup[HandoffEnum] | None = strawberry_django.filter_field()
    built_status: StrFilterLookup | None = strawberry_django.filter_field()
    built_address: BaseFilterLookup[BuiltAddressEnum] | None = strawberry_django.filter_field()
    built_dns_name: BaseFilterLookup[BuiltDNSNameEnum] | None = strawberry_django.filter_field()
    pending_limit: IntegerLookup | None = strawberry_django.filter_field()
    stall_limit: IntegerLookup | None = strawberry_django.filter_field()


@ours(models.ProfileTemplate)
class ProfileTemplateFilter(NetBoxModelFilter):
    profile: Profile | None = strawberry_django.filter_field()
    profile_id: ID | None = strawberry_django.filter_field()
    boot_image: BootImage | None = strawberry_django.filter_field()
    boot_image_id: ID | None = strawberry_django.filter_field()
    kind: BaseFilterLookup[ArtifactKindEnum] | None = strawberry_django.filter_field()
    config_template: ConfigTemplate | None = strawberry_django.filter_field()
    config_template_id: ID | None = strawberry_django.filter_field()


@ours(models.DiscoveryRule)
class DiscoveryRuleFilter(PrimaryModelFilter):
    name: StrFilterLookup | None = strawberry_django.filter_field()
    enabled: FilterLookup[bool] | None = strawberry_django.filter_field()
    priority: IntegerLookup | None = strawberry_django.filter_field()
    condition: JSONFilter | None = strawberry_django.filter_field()
    host_name_template: StrFilterLookup | None = strawberry_django.filter_field()
    role: DeviceRole | None = strawberry_django.filter_field()
    role_id: ID | None = strawberry_django.filter_field()
    device_type: DeviceType | None = strawberry_django.filter_field()
    device_type_id: ID | None = strawberry_django.filter_field()
    site: Site | None = strawberry_django.filter_field()
    site_id: ID | None = strawberry_django.filter_field()
    profile: Profile | None = strawberry_django.filter_field()
    profile_id: ID | None = strawberry_django.filter_field()
    limit: IntegerLookup | None = strawberry_django.filter_field()
    adopt_at_once: FilterLookup[bool] | None = strawberry_django.filter_field()
    build_at_once: FilterLookup[bool] | None = strawberry_django.filter_field()


@ours(models.Machine)
class MachineFilter(PrimaryModelFilter):
    device: Device | None = strawberry_django.filter_field()
    device_id: ID | None = strawberry_django.filter_field()
    virtual_machine: VirtualMachine | None = strawberry_django.filter_field()
    virtual_machine_id: ID | None = strawberry_django.filter_field()
    discovered_name: StrFilterLookup | None = strawberry_django.filter_field()
    uuid: BaseFilterLookup[UUID] | None = strawberry_django.filter_field()
    serial: StrFilterLookup | None = strawberry_django.filter_field()
    architecture: BaseFilterLookup[ArchitectureEnum] | None = strawberry_django.filter_field()
    firmware: BaseFilterLookup[FirmwareEnum] | None = strawberry_django.filter_field()
    boot_mac: StrFilterLookup | None = strawberry_django.filter_field()
    boot_server: BootServer | None = strawberry_django.filter_field()
    boot_server_id: ID | None = strawberry_django.filter_field()
    profile: Profile | None = strawberry_django.filter_field()
    profile_id: ID | None = strawberry_django.filter_field()
    parameters: JSONFilter | None = strawberry_django.filter_field()
    local_boot: BaseFilterLookup[LocalBootEnum] | None = strawberry_django.filter_field()
    state: BaseFilterLookup[MachineStateEnum] | None = strawberry_django.filter_field()
    next_boot: BaseFilterLookup[NextBootEnum] | None = strawberry_django.filter_field()
    last_seen: DatetimeFilterLookup | None = strawberry_django.filter_field()
    discovery_rule: DiscoveryRule | None = strawberry_django.filter_field()
    discovery_rule_id: ID | None = strawberry_django.filter_field()
    discovery_problem: StrFilterLookup | None = strawberry_django.filter_field()


@ours(models.Build)
class BuildFilter(NetBoxModelFilter):
    machine: Machine | None = strawberry_django.filter_field()
    machine_id: ID | None = strawberry_django.filter_field()
    profile: Profile | None = strawberry_django.filter_field()
    profile_id: ID | None = strawberry_django.filter_field()
    state: BaseFilterLookup[BuildStateEnum] | None = strawberry_django.filter_field()
    progress: IntegerLookup | None = strawberry_django.filter_field()
    requested_by: User | None = strawberry_django.filter_field()
    requested_by_id: ID | None = strawberry_django.filter_field()
    started: DatetimeFilterLookup | None = strawberry_django.filter_field()
    finished: DatetimeFilterLookup | None = strawberry_django.filter_field()
    error: StrFilterLookup | None = strawberry_django.filter_field()
    description: StrFilterLookup | None = strawberry_django.filter_field()


@ours(models.BuildArtifact)
class BuildArtifactFilter(NetBoxModelFilter):
    build: Build | None = strawberry_django.filter_field()
    build_id: ID | None = strawberry_django.filter_field()
    kind: BaseFilterLookup[ArtifactKindEnum] | None = strawberry_django.filter_field()
    name: StrFilterLookup | None = strawberry_django.filter_field()
    sha256: StrFilterLookup | None = strawberry_django.filter_field()
    template_name: StrFilterLookup | None = strawberry_django.filter_field()


@ours(models.BuildEvent)
class BuildEventFilter(NetBoxModelFilter):
    build: Build | None = strawberry_django.filter_field()
    build_id: ID | None = strawberry_django.filter_field()
    time: DatetimeFilterLookup | None = strawberry_django.filter_field()
    kind: BaseFilterLookup[BuildEventKindEnum] | None = strawberry_django.filter_field()
    message: StrFilterLookup | None = strawberry_django.filter_field()
    progress: IntegerLookup | None = strawberry_django.filter_field()
    key: StrFilterLookup | None = strawberry_django.filter_field()


@ours(models.FactSet)
class FactSetFilter(NetBoxModelFilter):
    machine: Machine | None = strawberry_django.filter_field()
    machine_id: ID | None = strawberry_django.filter_field()
    source: BaseFilterLookup[FactSourceEnum] | None = strawberry_django.filter_field()
    collected: DatetimeFilterLookup | None = strawberry_django.filter_field()
    format_version: IntegerLookup | None = strawberry_django.filter_field()
    data: JSONFilter | None = strawberry_django.filter_field()


@ours(models.BMC)
class BMCFilter(PrimaryModelFilter):
    machine: Machine | None = strawberry_django.filter_field()
    machine_id: ID | None = strawberry_django.filter_field()
    protocol: BaseFilterLookup[BMCProtocolEnum] | None = strawberry_django.filter_field()
    address: StrFilterLookup | None = strawberry_django.filter_field()
    port: IntegerLookup | None = strawberry_django.filter_field()
    credential: StrFilterLookup | None = strawberry_django.filter_field()


@ours(models.Task)
class TaskFilter(NetBoxModelFilter):
    boot_server: BootServer | None = strawberry_django.filter_field()
    boot_server_id: ID | None = strawberry_django.filter_field()
    kind: BaseFilterLookup[TaskKindEnum] | None = strawberry_django.filter_field()
    machine: Machine | None = strawberry_django.filter_field()
    machine_id: ID | None = strawberry_django.filter_field()
    build: Build | None = strawberry_django.filter_field()
    build_id: ID | None = strawberry_django.filter_field()
    state: BaseFilterLookup[TaskStateEnum] | None = strawberry_django.filter_field()
    attempts: IntegerLookup | None = strawberry_django.filter_field()
    not_before: DatetimeFilterLookup | None = strawberry_django.filter_field()
    claimed: DatetimeFilterLookup | None = strawberry_django.filter_field()
    finished: DatetimeFilterLookup | None = strawberry_django.filter_field()
    error: StrFilterLookup | None = strawberry_django.filter_field()


@ours(models.Wave)
class WaveFilter(PrimaryModelFilter):
    name: StrFilterLookup | None = strawberry_django.filter_field()
    profile: Profile | None = strawberry_django.filter_field()
    profile_id: ID | None = strawberry_django.filter_field()
    at_once: IntegerLookup | None = strawberry_django.filter_field()
    canaries: IntegerLookup | None = strawberry_django.filter_field()
    max_failures: IntegerLookup | None = strawberry_django.filter_field()
    not_before: DatetimeFilterLookup | None = strawberry_django.filter_field()
    not_after: DatetimeFilterLookup | None = strawberry_django.filter_field()
    daily_from: TimeFilterLookup | None = strawberry_django.filter_field()
    daily_until: TimeFilterLookup | None = strawberry_django.filter_field()
    days: StringArrayLookup | None = strawberry_django.filter_field()
    time_zone: StrFilterLookup | None = strawberry_django.filter_field()
    reserve: IntegerLookup | None = strawberry_django.filter_field()
    state: BaseFilterLookup[WaveStateEnum] | None = strawberry_django.filter_field()
    reason: StrFilterLookup | None = strawberry_django.filter_field()
    requested_by: User | None = strawberry_django.filter_field()
    requested_by_id: ID | None = strawberry_django.filter_field()
    started: DatetimeFilterLookup | None = strawberry_django.filter_field()
    finished: DatetimeFilterLookup | None = strawberry_django.filter_field()


@ours(models.WaveMember)
class WaveMemberFilter(NetBoxModelFilter):
    wave: Wave | None = strawberry_django.filter_field()
    wave_id: ID | None = strawberry_django.filter_field()
    machine: Machine | None = strawberry_django.filter_field()
    machine_id: ID | None = strawberry_django.filter_field()
    build: Build | None = strawberry_django.filter_field()
    build_id: ID | None = strawberry_django.filter_field()
    order: IntegerLookup | None = strawberry_django.filter_field()
    override: StrFilterLookup | None = strawberry_django.filter_field()
    state: BaseFilterLookup[WaveMemberStateEnum] | None = strawberry_django.filter_field()
    reason: StrFilterLookup | None = strawberry_django.filter_field()
    attempts: IntegerLookup | None = strawberry_django.filter_field()
    excused: FilterLookup[bool] | None = strawberry_django.filter_field()
