"""What receivers of events are told: event rules' conditions, webhooks, scripts and notifications all see this.

The shapes are a promise (docs/events.md, docs/events-schema.json): fields are added, never renamed or removed, while
`schema_version` stays.  They name what a receiver needs and nothing else.  No tokens, no facts, no parameters, no logs:
whoever gets a webhook has no permissions in NetBox that could be asked.
"""

from datetime import datetime
from typing import Any

import msgspec
from django.urls import reverse
from django.utils import timezone

SCHEMA_VERSION = 1


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all that is told."""


class Named(Part, frozen=True, kw_only=True):
    id: int
    name: str
    slug: str


class Machine(Part, frozen=True, kw_only=True):
    """`device` or `virtual_machine` is the id of what it is in NetBox; both are null while it is discovered."""

    id: int
    name: str
    url: str
    display_url: str
    state: str
    device: int | None
    virtual_machine: int | None
    site: Named | None
    tenant: Named | None
    serial: str
    uuid: str | None


class Build(Part, frozen=True, kw_only=True):
    """`error` says why a build failed or stalled.  Times are the machine's; `requested_by` is a user's name."""

    id: int
    url: str
    display_url: str
    state: str
    profile: Named | None
    progress: int | None
    requested_by: str | None
    description: str
    started: datetime | None
    finished: datetime | None
    error: str


class Wave(Part, frozen=True, kw_only=True):
    """Many machines built a few at a time; none of them is named, for not everybody sees them all.

    `profile` is null where each machine becomes what its own says; `reason`: why it is paused, has stopped or ended.
    """

    id: int
    name: str
    url: str
    display_url: str
    state: str
    reason: str
    profile: Named | None
    at_once: int
    canaries: int
    max_failures: int
    requested_by: str | None
    description: str
    started: datetime | None
    finished: datetime | None


class Problem(Part, frozen=True, kw_only=True):
    service: str
    message: str


class BootServer(Part, frozen=True, kw_only=True):
    """`lost` and `drifted`: since when, or null.  `problems` are the errors that it last reported, twenty at most."""

    id: int
    name: str
    url: str
    display_url: str
    status: str
    base_url: str
    last_heartbeat: datetime | None
    lost: datetime | None
    drifted: datetime | None
    problems: list[Problem]


class Event(Part, frozen=True, kw_only=True):
    """`id`, `url`, `display_url` and `display` are those of the object that the event is about; `time` is NetBox's."""

    schema_version: int
    event: str
    time: datetime
    id: int
    url: str
    display_url: str
    display: str


class MachineEvent(Event, frozen=True, kw_only=True):
    """substruct_machine_…"""

    machine: Machine


class BuildEvent(Event, frozen=True, kw_only=True):
    """substruct_build_…"""

    machine: Machine
    build: Build


class WaveEvent(Event, frozen=True, kw_only=True):
    """substruct_wave_…"""

    wave: Wave


class BootServerEvent(Event, frozen=True, kw_only=True):
    """substruct_boot_server_…"""

    boot_server: BootServer


class RefusedEvent(Event, frozen=True, kw_only=True):
    """substruct_build_refused: what an event rule's "start a build" did not do, and why.

    It is about the object that the rule was told of: a device, a virtual machine or a machine.  `code` is for programs.
    """

    object_type: str
    machine: Machine | None
    rule: str
    reason: str
    code: str


MOST_PROBLEMS = 20


def of(instance: Any, event_type: str, time: datetime | None = None) -> dict[str, Any] | None:
    """The payload of an event about an object, in plain values; None for models that have none of their own."""
    common = {
        'schema_version': SCHEMA_VERSION, 'event': event_type, 'time': time or timezone.now(), 'id': instance.pk,
    }  # fmt: skip
    event: Event
    match instance._meta.label_lower:
        case 'netbox_substruct.machine':
            machine = _machine(instance)
            event = MachineEvent(
                **common, url=machine.url, display_url=machine.display_url, display=machine.name, machine=machine
            )
        case 'netbox_substruct.build':
            build = _build(instance)
            machine = _machine(instance.machine)
            event = BuildEvent(
                **common, url=build.url, display_url=build.display_url, display=f'{machine.name} #{build.id}',
                machine=machine, build=build,
            )  # fmt: skip
        case 'netbox_substruct.wave':
            wave = _wave(instance)
            event = WaveEvent(
                **common, url=wave.url, display_url=wave.display_url, display=wave.name, wave=wave
            )  # fmt: skip
        case 'netbox_substruct.bootserver':
            boot_server = _boot_server(instance)
            event = BootServerEvent(
                **common, url=boot_server.url, display_url=boot_server.display_url, display=boot_server.name,
                boot_server=boot_server,
            )  # fmt: skip
        case _:
            return None
    plain: dict[str, Any] = msgspec.to_builtins(event)
    return plain


def refused(obj: Any, machine: Any, *, rule: str, reason: str, code: str, time: datetime) -> dict[str, Any]:
    """The payload of substruct_build_refused about a device, virtual machine or machine."""
    name = obj._meta.model_name
    kind = f'{obj._meta.app_label}-api:{name}-detail'
    if obj._meta.app_label == 'netbox_substruct':
        kind = f'plugins-api:{kind}'
    plain: dict[str, Any] = msgspec.to_builtins(
        RefusedEvent(
            schema_version=SCHEMA_VERSION, event='substruct_build_refused', time=time, id=obj.pk,
            url=reverse(kind, kwargs={'pk': obj.pk}), display_url=obj.get_absolute_url(), display=str(obj),
            object_type=obj._meta.label_lower, machine=_machine(machine) if machine is not None else None,
            rule=rule, reason=reason, code=code,
        )
    )  # fmt: skip
    return plain


def _machine(machine: Any) -> Machine:
    obj = machine.object
    return Machine(
        id=machine.pk, name=machine.name, **_urls(machine), state=machine.state, device=machine.device_id,
        virtual_machine=machine.virtual_machine_id, site=_named(machine.site),
        tenant=_named(obj.tenant if obj is not None else None), serial=machine.serial or getattr(obj, 'serial', ''),
        uuid=str(machine.uuid) if machine.uuid else None,
    )  # fmt: skip


def _build(build: Any) -> Build:
    return Build(
        id=build.pk, **_urls(build), state=build.state, profile=_named(build.profile), progress=build.progress,
        requested_by=_user(build.requested_by), description=build.description, started=build.started,
        finished=build.finished, error=build.error,
    )  # fmt: skip


def _wave(wave: Any) -> Wave:
    return Wave(
        id=wave.pk, name=wave.name, **_urls(wave), state=wave.state, reason=wave.reason, profile=_named(wave.profile),
        at_once=wave.at_once, canaries=wave.canaries, max_failures=wave.max_failures,
        requested_by=_user(wave.requested_by), description=wave.description, started=wave.started,
        finished=wave.finished,
    )  # fmt: skip


def _boot_server(boot_server: Any) -> BootServer:
    problems = [
        Problem(service=str(problem.get('service', '')), message=str(problem.get('message', ''))[:500])
        for problem in boot_server.out_of_step
        if problem.get('severity') == 'error'
    ]
    problems += [
        Problem(service=str(service.get('name', '')), message=str(service.get('message', ''))[:500])
        for service in boot_server.services
        if service.get('state') in ('degraded', 'down')
    ]
    return BootServer(
        id=boot_server.pk, name=boot_server.name, **_urls(boot_server), status=boot_server.status,
        base_url=boot_server.base_url, last_heartbeat=boot_server.last_heartbeat, lost=boot_server.lost,
        drifted=boot_server.drifted, problems=problems[:MOST_PROBLEMS],
    )  # fmt: skip


def _named(obj: Any) -> Named | None:
    return Named(id=obj.pk, name=obj.name, slug=obj.slug) if obj is not None else None


def _user(user: Any) -> str | None:
    return user.get_username() if user is not None else None


def _urls(obj: Any) -> dict[str, str]:
    """Without scheme and host: a job does not know under which name NetBox is reached."""
    name = obj._meta.model_name
    return {
        'url': reverse(f'plugins-api:netbox_substruct-api:{name}-detail', kwargs={'pk': obj.pk}),
        'display_url': obj.get_absolute_url(),
    }


SHAPES: tuple[tuple[str, type[Event]], ...] = (
    ('^substruct_machine_', MachineEvent),
    ('^substruct_build_(?!refused$)', BuildEvent),
    ('^substruct_build_refused$', RefusedEvent),
    ('^substruct_wave_', WaveEvent),
    ('^substruct_boot_server_', BootServerEvent),
)


def schema() -> dict[str, Any]:
    """The JSON schema of all payloads, by the event's name; docs/events-schema.json is this."""
    _, definitions = msgspec.json.schema_components([shape for _, shape in SHAPES], ref_template='#/$defs/{name}')
    return {
        '$schema': 'https://json-schema.org/draft/2020-12/schema',
        'title': 'Payload of Substruct’s events',
        'type': 'object',
        'required': ['event'],
        'allOf': [
            {
                'if': {'properties': {'event': {'type': 'string', 'pattern': pattern}}},
                'then': {'$ref': f'#/$defs/{shape.__name__}'},
            }
            for pattern, shape in SHAPES
        ],
        '$defs': definitions,
    }
