"""Enumerations of the GraphQL API.

GraphQL has one name space for all of NetBox and its plugins, so every name here and in the other modules begins with
Substruct.
"""

import strawberry

from .. import choices

__all__ = (
    'ArchitectureEnum',
    'ArtifactKindEnum',
    'BMCProtocolEnum',
    'BootMethodEnum',
    'BootServerStatusEnum',
    'BuildEventKindEnum',
    'BuildStateEnum',
    'BuiltAddressEnum',
    'BuiltDNSNameEnum',
    'FactSourceEnum',
    'FirmwareEnum',
    'HandoffEnum',
    'LocalBootEnum',
    'MachineStateEnum',
    'NextBootEnum',
    'TaskKindEnum',
    'TaskStateEnum',
    'WaveMemberStateEnum',
    'WaveStateEnum',
    'ZoneUpdateMethodEnum',
)


def _enum(choice_set, prefix):
    enum = choice_set.as_enum(prefix=prefix)
    return strawberry.enum(enum, name=f'Substruct{enum.__name__}')


BootServerStatusEnum = _enum(choices.BootServerStatusChoices, 'status')
ZoneUpdateMethodEnum = _enum(choices.ZoneUpdateMethodChoices, 'method')
ArchitectureEnum = _enum(choices.ArchitectureChoices, 'arch')
FirmwareEnum = _enum(choices.FirmwareChoices, 'firmware')
BootMethodEnum = _enum(choices.BootMethodChoices, 'method')
LocalBootEnum = _enum(choices.LocalBootChoices, 'local')
HandoffEnum = _enum(choices.HandoffChoices, 'handoff')
BuiltAddressEnum = _enum(choices.BuiltAddressChoices, 'address')
BuiltDNSNameEnum = _enum(choices.BuiltDNSNameChoices, 'name')
ArtifactKindEnum = _enum(choices.ArtifactKindChoices, 'kind')
MachineStateEnum = _enum(choices.MachineStateChoices, 'state')
NextBootEnum = _enum(choices.NextBootChoices, 'next')
BuildStateEnum = _enum(choices.BuildStateChoices, 'state')
BuildEventKindEnum = _enum(choices.BuildEventKindChoices, 'kind')
FactSourceEnum = _enum(choices.FactSourceChoices, 'source')
BMCProtocolEnum = _enum(choices.BMCProtocolChoices, 'protocol')
TaskKindEnum = _enum(choices.TaskKindChoices, 'kind')
TaskStateEnum = _enum(choices.TaskStateChoices, 'state')
WaveStateEnum = _enum(choices.WaveStateChoices, 'state')
WaveMemberStateEnum = _enum(choices.WaveMemberStateChoices, 'state')
