"""The machines that wait for somebody: what each is, where it showed itself, what it may be, which rule fits.

Read for a page of machines at once, in a fixed number of queries.  What a machine may be is only hinted at here: its
own page weighs each candidate (`matching`).
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import Any

from django.db.models import Count, Q
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from . import matching, rules
from .facts import Facts, plain
from .keeping import current_of


@dataclass(slots=True)
class Entry:
    """What is known of a machine; `facts` is None where none were reported, or the user may not view them.

    `candidates` are pairs of an object that it may be and the reason; `hidden` says that there is one that the user may
    not view.  `rule` is the discovery rule that applies, `name` what it would call the machine.
    """

    machine: Any
    facts: Facts | None = None
    address: str = ''
    subnet: Any = None
    boot_server: Any = None
    neighbour: str = ''
    candidates: list[tuple[Any, str]] = field(default_factory=list)
    hidden: bool = False
    rule: Any = None
    rule_hidden: bool = False
    name: str = ''


def entries(machines: Collection[Any], user: Any) -> dict[int, Entry]:
    """The entries of some discovered machines, by the id of the machine."""
    facts_of = current_of(machines, user)
    found = {
        machine.pk: Entry(machine, facts_of[machine.pk][1].facts if machine.pk in facts_of else None)
        for machine in machines
    }
    _places(found, user)
    _rules(found, user)
    _candidates(found, user)
    return found


def _places(found: dict[int, Entry], user: Any) -> None:
    from ..models import BootServer, Subnet

    for entry in found.values():
        facts = entry.facts
        if facts is None:
            continue
        entry.address = next(_addresses(facts), '')
        port = next((each for each in facts.ports if each.boot and each.lldp), None) or next(
            (each for each in facts.ports if each.lldp), None
        )
        if port is not None and port.lldp is not None:
            names = (port.lldp.chassis_name or port.lldp.chassis_id, port.lldp.port_id or port.lldp.port_description)
            entry.neighbour = ' '.join(filter(None, names))
    wanted = Q()
    for address in {entry.address for entry in found.values() if entry.address}:
        wanted |= Q(prefix__prefix__net_contains_or_equals=str(ip_interface(address).ip))
    subnets = []
    if wanted:
        subnets = sorted(
            Subnet.objects.restrict(user, 'view').filter(wanted).select_related('prefix'),
            key=lambda each: -each.prefix.prefix.prefixlen,
        )
    servers: dict[int, int] = {}
    for key, entry in found.items():
        around = [each for each in subnets if entry.address and _holds(each, entry.address)]
        entry.subnet = around[0] if around else None
        server = entry.machine.boot_server_id or next(
            (each.boot_server_id for each in around if each.boot_server_id), None
        )
        if server is not None:
            servers[key] = server
    seen = BootServer.objects.restrict(user, 'view').in_bulk(list(set(servers.values()))) if servers else {}
    for key, server in servers.items():
        found[key].boot_server = seen.get(server)


def _addresses(facts: Facts) -> Any:
    boot = facts.boot_port
    for port in [boot] if boot is not None and boot.addresses else facts.interfaces:
        for address in port.addresses:
            host = ip_interface(address).ip
            if not host.is_link_local and not host.is_loopback:
                yield address


def _holds(subnet: Any, address: str) -> bool:
    from netaddr import IPAddress

    return IPAddress(str(ip_interface(address).ip)) in subnet.prefix.prefix


def _rules(found: dict[int, Entry], user: Any) -> None:
    from ..models import DiscoveryRule

    enabled = list(
        DiscoveryRule.objects.filter(enabled=True).annotate(taken=Count('machines')).order_by('priority', 'name')
    )
    if not enabled:
        return
    visible = set(DiscoveryRule.objects.restrict(user, 'view').filter(enabled=True).values_list('pk', flat=True))
    for entry in found.values():
        if entry.facts is None:
            continue
        seen = plain(entry.facts)
        rule = next(
            (
                each
                for each in enabled
                if rules.matches(each.condition, seen) and (each.limit is None or each.taken < each.limit)
            ),
            None,
        )
        if rule is None:
            continue
        if rule.pk not in visible:
            entry.rule_hidden = True
            continue
        entry.rule = rule
        try:
            entry.name = rules.host_name(rule, seen)
        except rules.RuleError:
            entry.name = ''


def _candidates(found: dict[int, Entry], user: Any) -> None:
    """By serial number, MAC address and UUID, for all machines at once."""
    known = {key: matching.Identifiers.of(entry.machine, entry.facts) for key, entry in found.items() if entry.facts}
    serials = {serial.lower() for each in known.values() for serial in each.serials}
    macs = {mac for each in known.values() for mac in each.macs}
    for kind in matching.RELATIONS:
        _of_kind(kind, found, known, serials, macs, user)


def _of_kind(
    kind: str, found: dict[int, Entry], known: dict[int, matching.Identifiers], serials: set[str], macs: set[str],
    user: Any,
) -> None:  # fmt: skip
    from ..models import Machine

    model = Machine._meta.get_field(kind).related_model
    by_serial: dict[str, set[int]] = {}
    if serials:
        rows = model.objects.annotate(lower=Lower('serial')).filter(lower__in=serials).values_list('lower', 'pk')
        for serial, key in rows:
            by_serial.setdefault(serial, set()).add(key)
    by_mac: dict[str, set[int]] = {}
    for key, theirs in matching.holders(kind, macs).items():
        for mac in theirs:
            by_mac.setdefault(mac, set()).add(key)
    if not by_serial and not by_mac:
        return
    keys = set().union(*by_serial.values(), *by_mac.values())
    visible = model.objects.restrict(user, 'view').in_bulk(list(keys))
    for machine, each in known.items():
        reasons: dict[int, str] = {}
        for mac in each.macs:
            for key in by_mac.get(mac, ()):
                reasons[key] = _('It has a port with the MAC address {mac}.').format(mac=mac)
        for serial in each.serials:
            for key in by_serial.get(serial.lower(), ()):
                reasons[key] = _('It has the same serial number.')
        for key, reason in sorted(reasons.items()):
            if key in visible:
                found[machine].candidates.append((visible[key], reason))
            else:
                found[machine].hidden = True
