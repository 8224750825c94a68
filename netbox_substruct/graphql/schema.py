"""Queries of the GraphQL API."""

import strawberry
import strawberry_django

from .types import (
    BMCType,
    BootImageType,
    BootServerType,
    BuildArtifactType,
    BuildEventType,
    BuildType,
    DiscoveryRuleType,
    FactSetType,
    MachineType,
    ProfileTemplateType,
    ProfileType,
    SubnetType,
    TaskType,
    WaveMemberType,
    WaveType,
    ZoneType,
)


@strawberry.type(name='Query')
class SubstructQuery:
    substruct_boot_server: BootServerType = strawberry_django.field()
    substruct_boot_server_list: list[BootServerType] = strawberry_django.field()

    substruct_subnet: SubnetType = strawberry_django.field()
    substruct_subnet_list: list[SubnetType] = strawberry_django.field()

    substruct_zone: ZoneType = strawberry_django.field()
    substruct_zone_list: list[ZoneType] = strawberry_django.field()

    substruct_boot_image: BootImageType = strawberry_django.field()
    substruct_boot_image_list: list[BootImageType] = strawberry_django.field()

    substruct_profile: ProfileType = strawberry_django.field()
    substruct_profile_list: list[ProfileType] = strawberry_django.field()

    substruct_profile_template: ProfileTemplateType = strawberry_django.field()
    substruct_profile_template_list: list[ProfileTemplateType] = strawberry_django.field()

    substruct_discovery_rule: DiscoveryRuleType = strawberry_django.field()
    substruct_discovery_rule_list: list[DiscoveryRuleType] = strawberry_django.field()

    substruct_machine: MachineType = strawberry_django.field()
    substruct_machine_list: list[MachineType] = strawberry_django.field()

    substruct_build: BuildType = strawberry_django.field()
    substruct_build_list: list[BuildType] = strawberry_django.field()

    substruct_build_artifact: BuildArtifactType = strawberry_django.field()
    substruct_build_artifact_list: list[BuildArtifactType] = strawberry_django.field()

    substruct_build_event: BuildEventType = strawberry_django.field()
    substruct_build_event_list: list[BuildEventType] = strawberry_django.field()

    substruct_fact_set: FactSetType = strawberry_django.field()
    substruct_fact_set_list: list[FactSetType] = strawberry_django.field()

    substruct_bmc: BMCType = strawberry_django.field()
    substruct_bmc_list: list[BMCType] = strawberry_django.field()

    substruct_task: TaskType = strawberry_django.field()
    substruct_task_list: list[TaskType] = strawberry_django.field()

    substruct_wave: WaveType = strawberry_django.field()
    substruct_wave_list: list[WaveType] = strawberry_django.field()

    substruct_wave_member: WaveMemberType = strawberry_django.field()
    substruct_wave_member_list: list[WaveMemberType] = strawberry_django.field()


schema = [SubstructQuery]
