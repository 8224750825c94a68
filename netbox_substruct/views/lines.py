"""Lines of changes (`discovery.changes`) as pages show them."""

from dataclasses import dataclass, field

from django.apps import apps
from django.urls import NoReverseMatch
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from utilities.permissions import get_permission_for_model

from ..discovery.changes import Known, New, Part, shown

__all__ = ('sections',)

SECTIONS = {
    'machine': _('Machine'),
    'device': _('Device'),
    'interfaces': _('Interfaces'),
    'addresses': _('Addresses'),
    'bmc': _('BMC'),
    'inventory': _('Inventory'),
    'cabling': _('Cabling'),
}
WORDS = {
    'create': (_('new'), 'green'),
    'update': (_('change'), 'blue'),
    'delete': (_('remove'), 'red'),
    'merge': (_('merge'), 'purple'),
}


@dataclass
class Row:
    """A line with everything that a template needs of it."""

    line: object
    checked: bool
    options: list = field(default_factory=list)
    mapped: str = ''
    port: str = ''  # the port of the machine whose interface can be chosen
    changes: list = field(default_factory=list)


def sections(lines, user, accepted=None, mapping=None):
    """The lines by section: pairs of a heading and its rows.

    `accepted` are the keys that were ticked, None before anybody did; `mapping` gives for a line's key its port,
    the interfaces that it may be, and what was chosen.
    """
    found = {}
    for line in lines:
        checked = line.accepted_by_default if accepted is None else line.required or line.key in accepted
        port, options, mapped = (mapping or {}).get(line.key, ('', [], ''))
        row = Row(line, checked and line.acceptable, options, mapped, port)
        for change in line.changes:
            word, color = WORDS[change.action]
            row.changes.append(
                {
                    'word': word,
                    'color': color,
                    'kind': apps.get_model(change.model)._meta.verbose_name,
                    'object': _value(change.object, user) if change.object is not None else '',
                    'fields': [
                        (each.label, _value(each.before, user), _value(each.after, user)) for each in change.fields
                    ],
                }
            )
        found.setdefault(line.section, []).append(row)
    return [(SECTIONS[name], found[name]) for name in SECTIONS if name in found]


def _value(value, user):
    """A value as text; a link to an object for those who may see it."""
    if isinstance(value, tuple):
        return format_html_join(', ', '{}', ((_value(each, user),) for each in value))
    if isinstance(value, Known):
        model = apps.get_model(value.model)
        obj = model(pk=value.id)
        if user.has_perm(get_permission_for_model(model, 'view')):
            try:
                return format_html('<a href="{}">{}</a>', obj.get_absolute_url(), value.name)
            except NoReverseMatch:
                pass
        return value.name
    if isinstance(value, New | Part):
        return format_html('<em>{}</em>', value.name)
    return shown(value)
