"""What rules the addresses of a prefix, which boot servers serve it, and why nothing is served where nothing is.

`reasons` is pure; `ruling_of` reads what it needs in a fixed number of queries.  Pages show both (`prefix_content`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.utils.translation import gettext as _

from .choices import BootServerStatusChoices
from .feed.queries import subnet_rows
from .feed.scope import Coverage
from .feed.subnets import Resolved, network, resolve_chain


@dataclass(frozen=True, slots=True)
class Server:
    """A boot server that serves the prefix.  `heard`: lately; None: it never was."""

    id: int
    status: str
    heard: bool | None
    dhcp: str = ''  # the state of its service, '' if it reports none


@dataclass(frozen=True, slots=True)
class Ruling:
    """`resolved` is the subnet of the prefix, or of the nearest prefix above that has one; None without any.

    `own`: it is the prefix's own.  `origins` are the ids of all subnets that set something.
    """

    resolved: Resolved | None
    own: bool
    servers: Sequence[Server] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why no machine gets an answer here, and what to do about it."""

    key: str
    words: str
    remedy: str


def reasons(ruling: Ruling) -> list[Reason]:
    """Every reason why DHCP answers nobody in the prefix, the first thing to mend first; none if somebody answers."""
    found: list[Reason] = []
    resolved = ruling.resolved
    if resolved is None:
        return [
            Reason(
                'no-subnet',
                _('Neither this prefix nor one above it has a subnet.'),
                _('Add a subnet, and say which boot server serves it.'),
            )
        ]
    if not resolved.values['dhcp_enabled']:
        found.append(
            Reason(
                'dhcp-off',
                _('DHCP is off.')
                if 'dhcp_enabled' in resolved.origins
                else _('DHCP is off: no subnet here or above says anything, and then it is.'),
                _('Turn DHCP on in the subnet.'),
            )
        )
    if not ruling.servers:
        found.append(
            Reason(
                'no-server',
                _('No boot server serves it: none is named, and none covers this prefix or its site.'),
                _('Name a boot server in the subnet, or add the prefix or the site to one.'),
            )
        )
        return found
    able = [server for server in ruling.servers if _unable(server) is None]
    if not able:
        found.extend(reason for server in ruling.servers if (reason := _unable(server)) is not None)
    return found


def _unable(server: Server) -> Reason | None:
    if server.status == BootServerStatusChoices.STATUS_OFFLINE:
        return Reason('offline', _('Its boot server is set to offline.'), _('Set it to active when it is to serve.'))
    if server.heard is None:
        return Reason(
            'never-heard',
            _('Its boot server was never heard of.'),
            _('Start its sidecar with the address of this NetBox and a token.'),
        )
    if not server.heard:
        # It serves from its own disk without NetBox; but nobody knows.
        return Reason(
            'not-heard',
            _('Its boot server was not heard of lately; whether it answers is not known.'),
            _('Look at the sidecar: “substruct-sidecar status” says how it is.'),
        )
    if server.dhcp in ('down', 'off'):
        return Reason(
            'dhcp-service',
            _('DHCP is not running on its boot server.'),
            _('Read on the page of the boot server what it reports.'),
        )
    return None


def ruling_of(prefix: Any, subnet_id: int | None = None) -> Ruling:
    """What rules a Prefix.  `subnet_id` names its own subnet, where NetBox has the same prefix more than once."""
    from .models import BootServer

    with connections['default'].cursor() as cursor:
        rows = subnet_rows(
            cursor,
            'p.prefix >>= %s::inet AND p.vrf_id IS NOT DISTINCT FROM %s',
            [str(prefix.prefix), prefix.vrf_id],
        )
    chain = sorted(rows, key=lambda row: (row.id != subnet_id, -row.network.prefixlen))
    if not chain:
        return Ruling(None, own=False)
    resolved = resolve_chain(chain)
    own = chain[0].network == network(str(prefix.prefix))
    if (named := resolved.values['boot_server_id']) is not None:
        serving = list(BootServer.objects.filter(pk=named))
    else:
        serving = [
            each
            for each in BootServer.objects.prefetch_related('sites', 'prefixes').order_by('name')
            if _coverage(each).serves(resolved)
        ]
    return Ruling(resolved, own=own, servers=[_server(each) for each in serving])


def _coverage(boot_server: Any) -> Coverage:
    return Coverage(
        boot_server.pk,
        frozenset(site.pk for site in boot_server.sites.all()),
        tuple((prefix.vrf_id, network(str(prefix.prefix))) for prefix in boot_server.prefixes.all()),
    )


def _server(boot_server: Any) -> Server:
    services: Iterable[dict[str, Any]] = boot_server.services
    return Server(
        id=boot_server.pk,
        status=boot_server.status,
        heard=None if boot_server.last_heartbeat is None else not boot_server.is_late,
        dhcp=next((str(each.get('state', '')) for each in services if each.get('name') == 'dhcp'), ''),
    )
