"""Pages of facts."""

from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.object_actions import AddObject, BulkDelete, BulkExport, BulkImport, DeleteObject
from netbox.ui import layout
from netbox.ui.breadcrumbs import Breadcrumb
from netbox.views import generic
from utilities.views import register_model_view

from .. import filtersets, forms, panels, tables
from ..models import FactSet
from .base import TeachesMixin

__all__ = (
    'FactSetAddView',
    'FactSetBulkDeleteView',
    'FactSetBulkImportView',
    'FactSetDeleteView',
    'FactSetListView',
    'FactSetView',
)

FACT_SETS = FactSet.objects.select_related('machine__device__device_type', 'machine__virtual_machine')


@register_model_view(FactSet, 'list', path='', detail=False)
class FactSetListView(TeachesMixin, generic.ObjectListView):
    queryset = FactSet.objects.all()
    filterset = filtersets.FactSetFilterSet
    filterset_form = forms.FactSetFilterForm
    table = tables.FactSetTable
    empty_text = _('No facts yet. Machines report theirs when they are discovered.')
    actions = (AddObject, BulkImport, BulkExport, BulkDelete)


@register_model_view(FactSet)
class FactSetView(generic.ObjectView):
    queryset = FACT_SETS
    template_name = 'generic/object.html'
    actions = (DeleteObject,)
    layout = layout.SimpleLayout(
        breadcrumbs=[Breadcrumb('machine')],
        left_panels=[
            panels.FactSetPanel(),
            panels.RecordPanel(
                _('Facts are what the machine said at that time. They are not edited; newer ones stand beside them.')
            ),
        ],
        right_panels=[CustomFieldsPanel(), TagsPanel()],
        bottom_panels=[panels.FactsPanel()],
    )


@register_model_view(FactSet, 'add', detail=False)
class FactSetAddView(generic.ObjectEditView):
    queryset = FactSet.objects.all()
    form = forms.FactSetForm


@register_model_view(FactSet, 'delete')
class FactSetDeleteView(generic.ObjectDeleteView):
    queryset = FACT_SETS


@register_model_view(FactSet, 'bulk_import', path='import', detail=False)
class FactSetBulkImportView(generic.BulkImportView):
    queryset = FactSet.objects.all()
    model_form = forms.FactSetImportForm


@register_model_view(FactSet, 'bulk_delete', path='delete', detail=False)
class FactSetBulkDeleteView(generic.BulkDeleteView):
    queryset = FactSet.objects.all()
    filterset = filtersets.FactSetFilterSet
    table = tables.FactSetTable
