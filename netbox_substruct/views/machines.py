"""Pages of machines."""

from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.context import current_request
from netbox.object_actions import (
    AddObject,
    BulkDelete,
    BulkEdit,
    BulkExport,
    BulkImport,
    CloneObject,
    DeleteObject,
    EditObject,
)
from netbox.ui import layout
from netbox.ui.actions import AddObject as AddFromPanel
from netbox.ui.panels import CommentsPanel, JSONPanel, ObjectsTablePanel
from netbox.views import generic
from utilities.views import ViewTab, register_model_view

from .. import filtersets, forms, insight, panels, tables
from ..choices import ArtifactKindChoices
from ..models import Build, Machine
from .base import TeachesMixin
from .buttons import (
    AdoptMachine,
    AskNextBoot,
    BuildMachine,
    BuildSelected,
    CancelBuild,
    RegisterMachine,
    RetireMachine,
)
from .choosing import BuildInWave

__all__ = (
    'MachineBuildsView',
    'MachineBulkDeleteView',
    'MachineBulkEditView',
    'MachineBulkImportView',
    'MachineDeleteView',
    'MachineEditView',
    'MachineListView',
    'MachineParametersView',
    'MachinePreviewView',
    'MachineView',
)

# A machine's name is its device's or virtual machine's, so both are wanted wherever machines are shown.
MACHINES = Machine.objects.select_related('device__site', 'device__device_type', 'virtual_machine__site')


@register_model_view(Machine, 'list', path='', detail=False)
class MachineListView(TeachesMixin, generic.ObjectListView):
    queryset = Machine.objects.all()
    filterset = filtersets.MachineFilterSet
    filterset_form = forms.MachineFilterForm
    table = tables.MachineTable
    empty_text = _('No machines yet. Register devices or virtual machines from their own pages or lists.')
    actions = (AddObject, BulkImport, BulkExport, BuildSelected, BuildInWave, BulkEdit, BulkDelete)


@register_model_view(Machine)
class MachineView(generic.ObjectView):
    queryset = MACHINES
    template_name = 'generic/object.html'
    actions = (
        AdoptMachine, BuildMachine, CancelBuild, AskNextBoot, RegisterMachine, RetireMachine, CloneObject, EditObject,
        DeleteObject,
    )  # fmt: skip
    layout = layout.SimpleLayout(
        left_panels=[
            panels.NextStepPanel(brief=True),
            panels.MachinePanel(),
            panels.MachineHardwarePanel(),
            CustomFieldsPanel(),
            TagsPanel(),
            CommentsPanel(),
        ],
        right_panels=[
            panels.ReportedProblemsPanel('machine'),
            panels.DiscoveryPanel(),
            panels.BootsNowPanel(),
            panels.BMCOfMachinePanel(),
            panels.FoundPanel(),
            JSONPanel('parameters', title=_('Own Parameters')),
        ],
        bottom_panels=[
            ObjectsTablePanel(
                model='netbox_substruct.Build',
                filters={'machine_id': lambda context: context['object'].pk},
                exclude_columns=['machine'],
            ),
            panels.DevicePortsPanel(),
            panels.VirtualPortsPanel(),
            ObjectsTablePanel(
                model='netbox_substruct.FactSet',
                filters={'machine_id': lambda context: context['object'].pk},
                exclude_columns=['machine'],
            ),
            ObjectsTablePanel(
                model='netbox_substruct.Task',
                filters={'machine_id': lambda context: context['object'].pk},
                exclude_columns=['machine'],
                actions=[
                    AddFromPanel('netbox_substruct.Task', url_params={'machine': lambda context: context['object'].pk}),
                ],
            ),
        ],
    )


@register_model_view(Machine, 'add', detail=False)
@register_model_view(Machine, 'edit')
class MachineEditView(generic.ObjectEditView):
    queryset = MACHINES
    form = forms.MachineForm


@register_model_view(Machine, 'delete')
class MachineDeleteView(generic.ObjectDeleteView):
    queryset = MACHINES


@register_model_view(Machine, 'bulk_import', path='import', detail=False)
class MachineBulkImportView(generic.BulkImportView):
    queryset = Machine.objects.all()
    model_form = forms.MachineImportForm


@register_model_view(Machine, 'bulk_edit', path='edit', detail=False)
class MachineBulkEditView(generic.BulkEditView):
    queryset = Machine.objects.all()
    filterset = filtersets.MachineFilterSet
    table = tables.MachineTable
    form = forms.MachineBulkEditForm


@register_model_view(Machine, 'bulk_delete', path='delete', detail=False)
class MachineBulkDeleteView(generic.BulkDeleteView):
    queryset = Machine.objects.all()
    filterset = filtersets.MachineFilterSet
    table = tables.MachineTable


#
# Tabs
#


@register_model_view(Machine, 'builds')
class MachineBuildsView(generic.ObjectChildrenView):
    queryset = MACHINES
    child_model = Build
    table = tables.BuildTable
    filterset = filtersets.BuildFilterSet
    filterset_form = forms.BuildFilterForm
    actions = (BulkEdit, BulkDelete)
    tab = ViewTab(
        label=_('Builds'),
        badge=lambda machine: machine.builds.count(),
        permission='netbox_substruct.view_build',
        weight=500,
        hide_if_empty=True,
    )

    def get_children(self, request, parent):
        return Build.objects.restrict(request.user, 'view').filter(machine=parent).defer('request')


def _may_preview(machine):
    request = current_request.get()
    return request is not None and request.user.has_perm('netbox_substruct.preview_machine', machine)


class InsightView(generic.ObjectView):
    """A tab that shows what templates would see, or make: it takes the permission to preview."""

    queryset = MACHINES
    actions = ()

    def get_required_permission(self):
        return 'netbox_substruct.preview_machine'


@register_model_view(Machine, 'parameters')
class MachineParametersView(InsightView):
    template_name = 'netbox_substruct/machine_parameters.html'
    tab = ViewTab(
        label=_('Parameters'), visible=_may_preview, permission='netbox_substruct.preview_machine', weight=600
    )

    def get_extra_context(self, request, instance):
        return {'parameters': insight.parameters_of(instance)}


@register_model_view(Machine, 'preview')
class MachinePreviewView(InsightView):
    template_name = 'netbox_substruct/machine_preview.html'
    tab = ViewTab(label=_('Preview'), visible=_may_preview, permission='netbox_substruct.preview_machine', weight=700)

    def get_extra_context(self, request, instance):
        return {'preview': insight.preview_of(instance), 'kinds': dict(ArtifactKindChoices)}
