"""What a user may read of what a boot server reports.

A boot server serves machines of several sites, and its problems name them: each is shown to those who may view what it
is about.  That there are others is not hidden, so that nobody thinks a boot server to be well that is not.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.utils.translation import gettext as _

from ..feed import dns

# What problems are about, as the feed names it.
MODELS = {
    'machine': 'netbox_substruct.Machine',
    'subnet': 'netbox_substruct.Subnet',
    'zone': 'netbox_substruct.Zone',
    'boot-image': 'netbox_substruct.BootImage',
    'task': 'netbox_substruct.Task',
    'build': 'netbox_substruct.Build',
    'record': 'ipam.IPAddress',
}

type Problem = dict[str, Any]
type Found = Mapping[tuple[str, int], Any]


def objects(problems: Iterable[Problem], user: Any) -> tuple[Found, frozenset[str]]:
    """{(what, id): object} of those that the user may view, and the kinds of which the user may view all.

    A query for each kind.
    """
    wanted: dict[str, set[int]] = {}
    for problem in problems:
        if problem.get('what') in MODELS and isinstance(problem.get('id'), int):
            wanted.setdefault(problem['what'], set()).add(problem['id'])
    found: dict[tuple[str, int], Any] = {}
    whole = set()
    for what, ids in wanted.items():
        visible = apps.get_model(MODELS[what]).objects.restrict(user, 'view')
        if not visible.query.where:
            whole.add(what)
        for instance in visible.filter(pk__in=ids):
            found[what, instance.pk] = instance
    # Records of netbox_dns have its ids with a minus sign.
    if (theirs := [-key for key in wanted.get('record', ()) if key < 0]) and dns.installed():
        visible = apps.get_model(dns.APP, 'Record').objects.restrict(user, 'view')
        for instance in visible.filter(pk__in=theirs):
            found['record', -instance.pk] = instance
    return found, frozenset(whole)


def problems_for(problems: Iterable[Problem], user: Any) -> list[Problem]:
    """The problems in their order; of those about something that the user may not view only how bad they are."""
    problems = list(problems)
    return readable(problems, *objects(problems, user))


def readable(problems: Iterable[Problem], found: Found, whole: frozenset[str]) -> list[Problem]:
    """As `problems_for`, with what `objects` found for them."""
    return [
        problem if _about(problem) is None or _about(problem) in found or problem['what'] in whole else _hidden(problem)
        for problem in problems
    ]


def services_for(services: Iterable[dict[str, Any]], *, whole: bool) -> list[dict[str, Any]]:
    """What a boot server says of its services.  What they would change, line by line, is for those who may see the
    `whole`: its lines are about machines of all sites, and do not say which."""
    return [
        service if whole else {name: value for name, value in service.items() if name != 'difference'}
        for service in services
    ]


def _about(problem: Problem) -> tuple[str, int] | None:
    """What a problem is about; None if that is no object of NetBox, as where a service as a whole has failed."""
    what, key = problem.get('what'), problem.get('id')
    return (what, key) if isinstance(what, str) and what in MODELS and isinstance(key, int) else None


def _hidden(problem: Problem) -> Problem:
    return {
        'service': problem.get('service', ''),
        'what': problem['what'],
        'id': None,
        'name': '',
        'message': _('It is about something that you may not view.'),
        'remedy': '',
        'severity': problem.get('severity', 'error'),
    }
