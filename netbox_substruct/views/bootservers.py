"""Pages of boot servers."""

from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.ui import actions, layout
from netbox.ui.panels import CommentsPanel, ObjectsTablePanel, RelatedObjectsPanel
from netbox.views import generic
from utilities.query import count_related
from utilities.views import GetRelatedModelsMixin, register_model_view

from .. import filtersets, forms, panels, tables
from ..models import BootServer, Subnet, Zone
from ..panels.plans import WouldChangePanel
from ..seen import CountsSeen
from .base import TeachesMixin

__all__ = (
    'BootServerBulkDeleteView',
    'BootServerBulkEditView',
    'BootServerBulkImportView',
    'BootServerBulkRenameView',
    'BootServerDeleteView',
    'BootServerEditView',
    'BootServerListView',
    'BootServerView',
)


@register_model_view(BootServer, 'list', path='', detail=False)
class BootServerListView(CountsSeen, TeachesMixin, generic.ObjectListView):
    seen_counts = {'subnet_count': (Subnet, 'boot_server'), 'zone_count': (Zone, 'boot_server')}
    queryset = BootServer.objects.annotate(
        subnet_count=count_related(Subnet, 'boot_server'), zone_count=count_related(Zone, 'boot_server')
    )
    filterset = filtersets.BootServerFilterSet
    filterset_form = forms.BootServerFilterForm
    table = tables.BootServerTable
    empty_text = _('No boot servers yet. Add one for each sidecar that is to serve machines.')


@register_model_view(BootServer)
class BootServerView(GetRelatedModelsMixin, generic.ObjectView):
    queryset = BootServer.objects.all()
    template_name = 'generic/object.html'
    layout = layout.SimpleLayout(
        left_panels=[
            panels.BootServerPanel(),
            TagsPanel(),
            CustomFieldsPanel(),
            CommentsPanel(),
        ],
        right_panels=[
            panels.BootServerReportPanel(),
            RelatedObjectsPanel(),
        ],
        bottom_panels=[
            panels.ServicesPanel(),
            WouldChangePanel(),
            panels.OutOfStepPanel(),
            panels.FilesPanel(),
            ObjectsTablePanel(
                model='netbox_substruct.Subnet',
                filters={'boot_server_id': lambda ctx: ctx['object'].pk},
                exclude_columns=['boot_server'],
                actions=[
                    actions.AddObject(
                        'netbox_substruct.Subnet', url_params={'boot_server': lambda ctx: ctx['object'].pk}
                    ),
                ],
            ),
            ObjectsTablePanel(
                model='netbox_substruct.Zone',
                filters={'boot_server_id': lambda ctx: ctx['object'].pk},
                exclude_columns=['boot_server'],
                actions=[
                    actions.AddObject(
                        'netbox_substruct.Zone', url_params={'boot_server': lambda ctx: ctx['object'].pk}
                    ),
                ],
            ),
            ObjectsTablePanel(
                model='netbox_substruct.Task',
                filters={'boot_server_id': lambda ctx: ctx['object'].pk},
                exclude_columns=['boot_server'],
            ),
        ],
    )

    def get_extra_context(self, request, instance):
        return {'related_models': self.get_related_models(request, instance)}


@register_model_view(BootServer, 'add', detail=False)
@register_model_view(BootServer, 'edit')
class BootServerEditView(generic.ObjectEditView):
    queryset = BootServer.objects.all()
    form = forms.BootServerForm


@register_model_view(BootServer, 'delete')
class BootServerDeleteView(generic.ObjectDeleteView):
    queryset = BootServer.objects.all()


@register_model_view(BootServer, 'bulk_import', path='import', detail=False)
class BootServerBulkImportView(generic.BulkImportView):
    queryset = BootServer.objects.all()
    model_form = forms.BootServerImportForm


@register_model_view(BootServer, 'bulk_edit', path='edit', detail=False)
class BootServerBulkEditView(generic.BulkEditView):
    queryset = BootServer.objects.all()
    filterset = filtersets.BootServerFilterSet
    table = tables.BootServerTable
    form = forms.BootServerBulkEditForm


@register_model_view(BootServer, 'bulk_rename', path='rename', detail=False)
class BootServerBulkRenameView(generic.BulkRenameView):
    queryset = BootServer.objects.all()
    filterset = filtersets.BootServerFilterSet


@register_model_view(BootServer, 'bulk_delete', path='delete', detail=False)
class BootServerBulkDeleteView(generic.BulkDeleteView):
    queryset = BootServer.objects.all()
    filterset = filtersets.BootServerFilterSet
    table = tables.BootServerTable
