"""Pages of BMCs."""

from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.object_actions import AddObject, BulkDelete, BulkEdit, BulkExport, BulkImport
from netbox.ui import layout
from netbox.ui.breadcrumbs import Breadcrumb
from netbox.ui.panels import CommentsPanel
from netbox.views import generic
from utilities.views import register_model_view

from .. import filtersets, forms, panels, tables
from ..models import BMC
from .base import TeachesMixin

__all__ = (
    'BMCBulkDeleteView',
    'BMCBulkEditView',
    'BMCBulkImportView',
    'BMCDeleteView',
    'BMCEditView',
    'BMCListView',
    'BMCView',
)

BMCS = BMC.objects.select_related('machine__device__device_type', 'machine__virtual_machine')


@register_model_view(BMC, 'list', path='', detail=False)
class BMCListView(TeachesMixin, generic.ObjectListView):
    queryset = BMC.objects.all()
    filterset = filtersets.BMCFilterSet
    filterset_form = forms.BMCFilterForm
    table = tables.BMCTable
    empty_text = _('No BMCs yet. Add one for each machine whose power a boot server is to switch.')
    actions = (AddObject, BulkImport, BulkExport, BulkEdit, BulkDelete)


@register_model_view(BMC)
class BMCView(generic.ObjectView):
    queryset = BMCS
    template_name = 'generic/object.html'
    layout = layout.SimpleLayout(
        breadcrumbs=[Breadcrumb('machine')],
        left_panels=[panels.BMCPanel(), TagsPanel()],
        right_panels=[CustomFieldsPanel(), CommentsPanel()],
    )


@register_model_view(BMC, 'add', detail=False)
@register_model_view(BMC, 'edit')
class BMCEditView(generic.ObjectEditView):
    queryset = BMCS
    form = forms.BMCForm


@register_model_view(BMC, 'delete')
class BMCDeleteView(generic.ObjectDeleteView):
    queryset = BMCS


@register_model_view(BMC, 'bulk_import', path='import', detail=False)
class BMCBulkImportView(generic.BulkImportView):
    queryset = BMC.objects.all()
    model_form = forms.BMCImportForm


@register_model_view(BMC, 'bulk_edit', path='edit', detail=False)
class BMCBulkEditView(generic.BulkEditView):
    queryset = BMC.objects.all()
    filterset = filtersets.BMCFilterSet
    table = tables.BMCTable
    form = forms.BMCBulkEditForm


@register_model_view(BMC, 'bulk_delete', path='delete', detail=False)
class BMCBulkDeleteView(generic.BulkDeleteView):
    queryset = BMC.objects.all()
    filterset = filtersets.BMCFilterSet
    table = tables.BMCTable
