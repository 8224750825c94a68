"""What is chosen when a discovered machine is adopted, and what is chosen where nobody says otherwise."""

from typing import Annotated, Any, Literal

import msgspec
from django.utils.translation import gettext as _
from msgspec import Meta

from dcim.choices import DeviceStatusChoices

from ..context.naming import label
from . import places, rules
from .facts import Facts, plain
from .keeping import current

type Id = Annotated[int, Meta(ge=1, le=2**63 - 1)] | None


class Choices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody chose; objects by their id.

    `device` or `virtual_machine` is one that NetBox has and that the machine is; else a new one of this `kind` is made.
    Without `device_type` it is found by manufacturer and product, and made if `make_device_type`.  `primary_ip`: none,
    the next free one of the prefix that it booted in, or the one that it was found with.  `bmc_credential` is the name
    under which boot servers keep the BMC's password.  `interfaces` maps names of ports to names of interfaces, to "+"
    (a new one) or "-" (leave it out).
    """

    kind: Literal['device', 'virtual-machine'] = 'device'
    device: Id = None
    virtual_machine: Id = None
    name: Annotated[str, Meta(max_length=64)] = ''
    status: str = ''
    device_type: Id = None
    make_device_type: bool = True
    role: Id = None
    site: Id = None
    location: Id = None
    rack: Id = None
    position: float | None = None
    face: Literal['', 'front', 'rear'] = ''
    cluster: Id = None
    tenant: Id = None
    platform: Id = None
    profile: Id = None
    primary_ip: Literal['none', 'next', 'found'] = 'none'
    bmc_credential: Annotated[str, Meta(max_length=100)] = ''
    interfaces: dict[str, str] = {}


# Where each choice of an object is looked up.
MODELS = {
    'device': 'dcim.device', 'virtual_machine': 'virtualization.virtualmachine', 'device_type': 'dcim.devicetype',
    'role': 'dcim.devicerole', 'site': 'dcim.site', 'location': 'dcim.location', 'rack': 'dcim.rack',
    'cluster': 'virtualization.cluster', 'tenant': 'tenancy.tenant', 'platform': 'dcim.platform',
    'profile': 'netbox_substruct.profile',
}  # fmt: skip


def defaults(machine: Any, rule: Any = None) -> tuple[Choices, list[str]]:
    """What is chosen where nobody says otherwise, by the rule (the one that applies) and the facts; with what is odd
    about it."""
    facts = current(machine)[1].facts
    known_facts = plain(facts)
    rule = rule or rules.rule_for(known_facts)
    notes: list[str] = []
    name = ''
    if rule is not None:
        notes.append(_('The discovery rule {rule} applies.').format(rule=rule))
        try:
            name = rules.host_name(rule, known_facts)
        except rules.RuleError as error:
            notes.append(str(error))
    place = places.boot_place(facts)
    site = getattr(rule, 'site_id', None) or (place.site.pk if place is not None and place.site is not None else None)
    return (
        Choices(
            kind='virtual-machine' if facts.system.virtual and _has_clusters() else 'device',
            name=name or _plain_name(facts),
            status=DeviceStatusChoices.STATUS_PLANNED,
            device_type=getattr(rule, 'device_type_id', None),
            role=getattr(rule, 'role_id', None),
            site=site,
            profile=getattr(rule, 'profile_id', None) or machine.profile_id,
        ),
        notes,
    )


def _has_clusters() -> bool:
    """Whether virtual machines are kept in this NetBox at all."""
    from virtualization.models import Cluster

    return bool(Cluster.objects.exists())


def _plain_name(facts: Facts) -> str:
    """A host name that nobody chose: the serial number, else the MAC address of a port."""
    return label(facts.serial or '') or next((f'machine-{mac.replace(":", "")}' for mac in facts.macs), '')
