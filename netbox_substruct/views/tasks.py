"""Pages of tasks."""

from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
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
from netbox.ui.panels import JSONPanel
from netbox.views import generic
from utilities.views import register_model_view

from .. import filtersets, forms, panels, tables
from ..models import Task
from .base import TeachesMixin
from .buttons import CancelTask, RetryTask

__all__ = (
    'TaskBulkDeleteView',
    'TaskBulkEditView',
    'TaskBulkImportView',
    'TaskDeleteView',
    'TaskEditView',
    'TaskListView',
    'TaskView',
)

TASKS = Task.objects.select_related(
    'machine__device__device_type', 'machine__virtual_machine', 'build__machine__device__device_type',
    'build__machine__virtual_machine',
)  # fmt: skip


@register_model_view(Task, 'list', path='', detail=False)
class TaskListView(TeachesMixin, generic.ObjectListView):
    queryset = Task.objects.all()
    filterset = filtersets.TaskFilterSet
    filterset_form = forms.TaskFilterForm
    table = tables.TaskTable
    empty_text = _('No tasks yet. They are the work that boot servers are given, such as switching power.')
    actions = (AddObject, BulkImport, BulkExport, BulkEdit, BulkDelete)


@register_model_view(Task)
class TaskView(generic.ObjectView):
    queryset = TASKS
    template_name = 'generic/object.html'
    actions = (CancelTask, RetryTask, CloneObject, EditObject, DeleteObject)
    layout = layout.SimpleLayout(
        left_panels=[panels.TaskPanel(), JSONPanel('parameters', title=_('Parameters')), TagsPanel()],
        right_panels=[
            panels.TaskOutcomePanel(),
            JSONPanel('answer', title=_('Answer')),
            CustomFieldsPanel(),
        ],
    )


@register_model_view(Task, 'add', detail=False)
@register_model_view(Task, 'edit')
class TaskEditView(generic.ObjectEditView):
    queryset = TASKS
    form = forms.TaskForm


@register_model_view(Task, 'delete')
class TaskDeleteView(generic.ObjectDeleteView):
    queryset = TASKS


@register_model_view(Task, 'bulk_import', path='import', detail=False)
class TaskBulkImportView(generic.BulkImportView):
    queryset = Task.objects.all()
    model_form = forms.TaskImportForm


@register_model_view(Task, 'bulk_edit', path='edit', detail=False)
class TaskBulkEditView(generic.BulkEditView):
    queryset = Task.objects.all()
    filterset = filtersets.TaskFilterSet
    table = tables.TaskTable
    form = forms.TaskBulkEditForm


@register_model_view(Task, 'bulk_delete', path='delete', detail=False)
class TaskBulkDeleteView(generic.BulkDeleteView):
    queryset = Task.objects.all()
    filterset = filtersets.TaskFilterSet
    table = tables.TaskTable
