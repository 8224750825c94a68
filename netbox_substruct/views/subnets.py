"""Pages of subnets."""

from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.object_actions import AddObject, BulkDelete, BulkEdit, BulkExport, BulkImport
from netbox.ui import layout
from netbox.ui.panels import CommentsPanel, ObjectsTablePanel
from netbox.views import generic
from utilities.views import register_model_view

from .. import filtersets, forms, panels, tables
from ..models import Subnet
from .base import ClearsToDefaultMixin, TeachesMixin

__all__ = (
    'SubnetBulkDeleteView',
    'SubnetBulkEditView',
    'SubnetBulkImportView',
    'SubnetDeleteView',
    'SubnetEditView',
    'SubnetListView',
    'SubnetView',
)


@register_model_view(Subnet, 'list', path='', detail=False)
class SubnetListView(TeachesMixin, generic.ObjectListView):
    queryset = Subnet.objects.select_related('prefix')
    filterset = filtersets.SubnetFilterSet
    filterset_form = forms.SubnetFilterForm
    table = tables.SubnetTable
    empty_text = _('No subnets yet. Add one for each prefix in which machines boot.')
    actions = (AddObject, BulkImport, BulkExport, BulkEdit, BulkDelete)


@register_model_view(Subnet)
class SubnetView(generic.ObjectView):
    queryset = Subnet.objects.all()
    template_name = 'generic/object.html'
    layout = layout.SimpleLayout(
        left_panels=[
            panels.SubnetPanel(),
            panels.SubnetPrefixPanel(),
            TagsPanel(),
            CustomFieldsPanel(),
            CommentsPanel(),
        ],
        right_panels=[
            panels.ReportedProblemsPanel('subnet'),
            panels.EffectiveSubnetPanel(),
        ],
        bottom_panels=[
            ObjectsTablePanel(
                model='netbox_substruct.Machine',
                title=_('Machines with an Address Here'),
                filters={'subnet_id': lambda ctx: ctx['object'].pk},
            ),
            ObjectsTablePanel(
                model='netbox_substruct.Subnet',
                title=_('Child Subnets'),
                filters={
                    'within': lambda ctx: ctx['object'].prefix.prefix,
                    'vrf_id': lambda ctx: ctx['object'].prefix.vrf_id or 'null',
                },
                exclude_columns=['vrf'],
            ),
        ],
    )


@register_model_view(Subnet, 'add', detail=False)
@register_model_view(Subnet, 'edit')
class SubnetEditView(generic.ObjectEditView):
    queryset = Subnet.objects.all()
    form = forms.SubnetForm


@register_model_view(Subnet, 'delete')
class SubnetDeleteView(generic.ObjectDeleteView):
    queryset = Subnet.objects.all()


@register_model_view(Subnet, 'bulk_import', path='import', detail=False)
class SubnetBulkImportView(generic.BulkImportView):
    queryset = Subnet.objects.all()
    model_form = forms.SubnetImportForm


@register_model_view(Subnet, 'bulk_edit', path='edit', detail=False)
class SubnetBulkEditView(ClearsToDefaultMixin, generic.BulkEditView):
    queryset = Subnet.objects.all()
    filterset = filtersets.SubnetFilterSet
    table = tables.SubnetTable
    form = forms.SubnetBulkEditForm


@register_model_view(Subnet, 'bulk_delete', path='delete', detail=False)
class SubnetBulkDeleteView(generic.BulkDeleteView):
    queryset = Subnet.objects.all()
    filterset = filtersets.SubnetFilterSet
    table = tables.SubnetTable
