"""Pages of zones."""

from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.ui import layout
from netbox.ui.panels import CommentsPanel
from netbox.views import generic
from utilities.views import register_model_view

from .. import filtersets, forms, panels, tables
from ..models import Zone
from .base import ClearsToDefaultMixin, TeachesMixin

__all__ = (
    'ZoneBulkDeleteView',
    'ZoneBulkEditView',
    'ZoneBulkImportView',
    'ZoneBulkRenameView',
    'ZoneDeleteView',
    'ZoneEditView',
    'ZoneListView',
    'ZoneView',
)


@register_model_view(Zone, 'list', path='', detail=False)
class ZoneListView(TeachesMixin, generic.ObjectListView):
    queryset = Zone.objects.all()
    filterset = filtersets.ZoneFilterSet
    filterset_form = forms.ZoneFilterForm
    table = tables.ZoneTable
    empty_text = _('No zones yet. Add those whose records boot servers are to keep.')


@register_model_view(Zone)
class ZoneView(generic.ObjectView):
    queryset = Zone.objects.all()
    template_name = 'generic/object.html'
    layout = layout.SimpleLayout(
        left_panels=[
            panels.ZonePanel(),
            panels.ZoneUpdatesPanel(),
            TagsPanel(),
            CommentsPanel(),
        ],
        right_panels=[
            panels.ReportedProblemsPanel('zone'),
            panels.ZoneSOAPanel(),
            CustomFieldsPanel(),
        ],
    )


@register_model_view(Zone, 'add', detail=False)
@register_model_view(Zone, 'edit')
class ZoneEditView(generic.ObjectEditView):
    queryset = Zone.objects.all()
    form = forms.ZoneForm


@register_model_view(Zone, 'delete')
class ZoneDeleteView(generic.ObjectDeleteView):
    queryset = Zone.objects.all()


@register_model_view(Zone, 'bulk_import', path='import', detail=False)
class ZoneBulkImportView(generic.BulkImportView):
    queryset = Zone.objects.all()
    model_form = forms.ZoneImportForm


@register_model_view(Zone, 'bulk_edit', path='edit', detail=False)
class ZoneBulkEditView(ClearsToDefaultMixin, generic.BulkEditView):
    queryset = Zone.objects.all()
    filterset = filtersets.ZoneFilterSet
    table = tables.ZoneTable
    form = forms.ZoneBulkEditForm


@register_model_view(Zone, 'bulk_rename', path='rename', detail=False)
class ZoneBulkRenameView(generic.BulkRenameView):
    queryset = Zone.objects.all()
    filterset = filtersets.ZoneFilterSet


@register_model_view(Zone, 'bulk_delete', path='delete', detail=False)
class ZoneBulkDeleteView(generic.BulkDeleteView):
    queryset = Zone.objects.all()
    filterset = filtersets.ZoneFilterSet
    table = tables.ZoneTable
