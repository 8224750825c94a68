"""A panel that NetBox has not: a small table of values that are no objects of a model."""

from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

from netbox.ui import panels
from utilities.permissions import get_permission_for_model

__all__ = ('RowsPanel', 'link', 'monospace', 'yes_no')

YES = mark_safe('<i class="mdi mdi-check-bold text-success" title="Yes"></i>')
NO = mark_safe('<i class="mdi mdi-close-thick text-danger" title="No"></i>')


def yes_no(value):
    """A check mark or a cross."""
    return YES if value else NO


def monospace(value):
    """A value in the type face of code, a list with an item to a line."""
    if isinstance(value, list | tuple):
        return format_html_join(mark_safe('<br>'), '<span class="font-monospace">{}</span>', ((v,) for v in value))
    return format_html('<span class="font-monospace text-break">{}</span>', value)


def link(obj, user):
    """The name of an object; a link to it for those who may see it."""
    if user is not None and user.has_perm(get_permission_for_model(obj, 'view'), obj):
        return format_html('<a href="{}">{}</a>', obj.get_absolute_url(), obj)
    return str(obj)


class RowsPanel(panels.ObjectPanel):
    """A table of `headings` whose rows `get_rows` gives; cells are text, or HTML that is marked as safe."""

    template_name = 'netbox_substruct/panels/rows.html'
    headings = ()
    empty_text = _('None')

    def get_rows(self, obj, user):
        raise NotImplementedError

    def get_context(self, context):
        context_data = super().get_context(context)
        request = context_data['request']
        return {
            **context_data,
            'headings': self.headings,
            'rows': list(self.get_rows(context_data['object'], request.user if request else None)),
            'empty_text': self.empty_text,
        }
