"""What pages and the REST API show of a machine before it is built: its parameters with their sources, its preview, and
which templates its profile takes.

It puts the answers of `parameters` and `bundles` into the few plain values that are shown, and nothing else.
"""

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _


@dataclass(frozen=True, slots=True)
class Said:
    """A value that another one overrides, and who said it."""

    source: Any
    value: Any


@dataclass(frozen=True, slots=True)
class ParameterLine:
    path: str
    value: Any
    source: Any
    overridden: list[Said] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ParameterView:
    values: dict[str, Any]
    entries: list[ParameterLine]
    errors: list[str]


@dataclass(frozen=True, slots=True)
class PreviewView:
    artifacts: list[Any]
    errors: list[Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no preview: what was wrong, where, and for which machine."""

    message: str
    machine: str = ''
    template: str = ''
    line: int | None = None


def parameters_of(machine: Any) -> ParameterView:
    """The merged parameters of a machine, where each comes from, and what its profile's schema says against them."""
    from . import parameters

    resolved = parameters.resolve(machine)
    errors: list[str] = []
    if machine.profile is None:
        errors.append(_('{machine} has no profile; choose one first.').format(machine=machine))
    else:
        try:
            parameters.check(resolved, machine.profile)
        except parameters.ParameterError as error:
            errors = [str(violation) for violation in error.violations]
    return ParameterView(
        values=resolved.values,
        entries=[
            ParameterLine(
                path=entry.name,
                value=entry.value,
                source=entry.source,
                overridden=[Said(source, value) for source, value in entry.overridden],
            )
            for entry in resolved.entries
        ],
        errors=errors,
    )


def preview_of(machine: Any) -> PreviewView:
    """Every artifact of a machine as it would be served now, and why others cannot be made."""
    from . import bundles
    from .lifecycle.errors import LifecycleError

    if machine.profile is None:
        why = _('{machine} has no profile; choose one first.').format(machine=machine)
        return PreviewView([], [Problem(why, str(machine))])
    try:
        bundle = bundles.preview(machine)
    except LifecycleError as error:
        return PreviewView([], [Problem(line, str(machine)) for line in str(error).splitlines()])
    return PreviewView(list(bundle.artifacts), list(bundle.errors))


def templates_of(profile: Any, user: Any) -> list[tuple[Any, Any]]:
    """The template of each kind that a build would use, with the profile or boot image that has it.

    The profile's own, else that of the nearest parent, else the boot image's; of those that the user may view.
    """
    from .models import ProfileTemplate

    chain = profile.chain
    owners = [('profile', each) for each in chain]
    owners += [('boot_image', each.boot_image) for each in [p for p in chain if p.boot_image_id][:1]]
    templates = ProfileTemplate.objects.restrict(user, 'view').select_related('config_template')
    found: dict[str, tuple[Any, Any]] = {}
    for leads_to, owner in owners:
        for template in templates.filter(**{leads_to: owner}):
            found.setdefault(template.kind, (template, owner))
    return sorted(found.values(), key=lambda pair: str(pair[0].get_kind_display()))
