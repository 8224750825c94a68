"""Pages of builds, their artifacts and their events."""

from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.object_actions import BulkDelete, BulkEdit, BulkExport, DeleteObject, EditObject
from netbox.ui import layout
from netbox.ui.breadcrumbs import Breadcrumb
from netbox.ui.panels import CommentsPanel, PluginContentPanel
from netbox.views import generic
from netbox.views.generic.base import BaseObjectView
from utilities.exceptions import AbortRequest
from utilities.permissions import get_permission_for_model
from utilities.views import register_model_view

from .. import filtersets, forms, panels, tables
from ..models import Build, BuildArtifact, BuildEvent
from .base import TeachesMixin
from .buttons import OF_BUILD, ImportBuilds, RequestBuild

__all__ = (
    'BuildAddView',
    'BuildArtifactBulkDeleteView',
    'BuildArtifactDeleteView',
    'BuildArtifactDownloadView',
    'BuildArtifactListView',
    'BuildArtifactView',
    'BuildBulkDeleteView',
    'BuildBulkEditView',
    'BuildBulkImportView',
    'BuildDeleteView',
    'BuildEditView',
    'BuildEventBulkDeleteView',
    'BuildEventDeleteView',
    'BuildEventListView',
    'BuildEventView',
    'BuildListView',
    'BuildView',
)

BUILDS = Build.objects.select_related('machine__device__device_type', 'machine__virtual_machine')
BUILD_OBJECTS = ('build__machine__device__device_type', 'build__machine__virtual_machine')


class BuildsMachines:
    """For pages that request builds: "build" on machines decides, and which machines the form checks."""

    def get_required_permission(self):
        return 'netbox_substruct.build_machine'

    def has_permission(self):
        return self.request.user.has_perm(self.get_required_permission())


@register_model_view(Build, 'list', path='', detail=False)
class BuildListView(TeachesMixin, generic.ObjectListView):
    queryset = Build.objects.defer('request')
    filterset = filtersets.BuildFilterSet
    filterset_form = forms.BuildFilterForm
    table = tables.BuildTable
    empty_text = _('No builds yet. Request one from the page of a machine.')
    actions = (RequestBuild, ImportBuilds, BulkExport, BulkEdit, BulkDelete)


@register_model_view(Build)
class BuildView(generic.ObjectView):
    queryset = BUILDS
    template_name = 'generic/object.html'
    # What can be done about it stands beside its state, and moves with it.
    actions = (EditObject, DeleteObject)
    layout = layout.Layout(
        layout.Row(
            layout.Column(
                panels.BuildLivePanel(OF_BUILD), panels.BuildLogPanel(), PluginContentPanel('left_page'), width=7
            ),
            layout.Column(
                panels.BuildPanel(),
                panels.ArtifactsServedPanel(),
                CustomFieldsPanel(),
                TagsPanel(),
                CommentsPanel(),
                PluginContentPanel('right_page'),
            ),
        ),
        layout.Row(layout.Column(panels.BuildRequestPanel(), PluginContentPanel('full_width_page'))),
        breadcrumbs=[Breadcrumb('machine')],
    )


@register_model_view(Build, 'add', detail=False)
class BuildAddView(BuildsMachines, generic.ObjectEditView):
    queryset = Build.objects.all()
    form = forms.BuildRequestForm
    template_name = 'netbox_substruct/build_request.html'

    def alter_object(self, obj, request, url_args, url_kwargs):
        obj.requested_by = request.user
        return obj


@register_model_view(Build, 'edit')
class BuildEditView(generic.ObjectEditView):
    queryset = BUILDS
    form = forms.BuildForm


@register_model_view(Build, 'delete')
class BuildDeleteView(generic.ObjectDeleteView):
    queryset = BUILDS


@register_model_view(Build, 'bulk_import', path='import', detail=False)
class BuildBulkImportView(BuildsMachines, generic.BulkImportView):
    queryset = Build.objects.all()
    model_form = forms.BuildImportForm

    def _save_object(self, model_form, request, parent_idx):
        try:
            return super()._save_object(model_form, request, parent_idx)
        except AbortRequest as error:
            # So that the reason stands with the record that it belongs to.
            raise ValidationError(self._compile_form_errors({'__all__': [error.message]}, index=parent_idx)) from error

    def save_object(self, object_form, request):
        if object_form.instance.pk is None:
            object_form.instance.requested_by = request.user
        return super().save_object(object_form, request)


@register_model_view(Build, 'bulk_edit', path='edit', detail=False)
class BuildBulkEditView(generic.BulkEditView):
    queryset = Build.objects.all()
    filterset = filtersets.BuildFilterSet
    table = tables.BuildTable
    form = forms.BuildBulkEditForm


@register_model_view(Build, 'bulk_delete', path='delete', detail=False)
class BuildBulkDeleteView(generic.BulkDeleteView):
    queryset = Build.objects.all()
    filterset = filtersets.BuildFilterSet
    table = tables.BuildTable


#
# Artifacts
#


@register_model_view(BuildArtifact, 'list', path='', detail=False)
class BuildArtifactListView(generic.ObjectListView):
    queryset = BuildArtifact.objects.all()
    filterset = filtersets.BuildArtifactFilterSet
    filterset_form = forms.BuildArtifactFilterForm
    table = tables.BuildArtifactTable
    actions = (BulkExport, BulkDelete)


@register_model_view(BuildArtifact)
class BuildArtifactView(generic.ObjectView):
    queryset = BuildArtifact.objects.select_related(*BUILD_OBJECTS)
    template_name = 'netbox_substruct/buildartifact.html'
    actions = (DeleteObject,)
    layout = layout.SimpleLayout(
        breadcrumbs=[Breadcrumb('build.machine'), Breadcrumb('build')],
        left_panels=[
            panels.BuildArtifactPanel(),
            panels.RecordPanel(
                _('An artifact is what was served, byte for byte. It is not edited, so that it can be compared later.')
            ),
        ],
        right_panels=[CustomFieldsPanel(), TagsPanel()],
        bottom_panels=[panels.ArtifactContentPanel()],
    )


@register_model_view(BuildArtifact, 'download')
class BuildArtifactDownloadView(BaseObjectView):
    """The artifact as a file, byte for byte."""

    queryset = BuildArtifact.objects.all()

    def get_required_permission(self):
        return get_permission_for_model(BuildArtifact, 'view')

    def get(self, request, pk):
        artifact = self.get_object(pk=pk)
        response = HttpResponse(artifact.content.encode(), content_type='text/plain; charset=utf-8')
        response['Content-Disposition'] = content_disposition_header(as_attachment=True, filename=artifact.name)
        response['X-Content-Type-Options'] = 'nosniff'
        return response


@register_model_view(BuildArtifact, 'delete')
class BuildArtifactDeleteView(generic.ObjectDeleteView):
    queryset = BuildArtifact.objects.all()


@register_model_view(BuildArtifact, 'bulk_delete', path='delete', detail=False)
class BuildArtifactBulkDeleteView(generic.BulkDeleteView):
    queryset = BuildArtifact.objects.all()
    filterset = filtersets.BuildArtifactFilterSet
    table = tables.BuildArtifactTable


#
# Events
#


@register_model_view(BuildEvent, 'list', path='', detail=False)
class BuildEventListView(generic.ObjectListView):
    queryset = BuildEvent.objects.all()
    filterset = filtersets.BuildEventFilterSet
    filterset_form = forms.BuildEventFilterForm
    table = tables.BuildEventTable
    actions = (BulkExport, BulkDelete)


@register_model_view(BuildEvent)
class BuildEventView(generic.ObjectView):
    queryset = BuildEvent.objects.select_related(*BUILD_OBJECTS)
    template_name = 'generic/object.html'
    actions = (DeleteObject,)
    layout = layout.SimpleLayout(
        breadcrumbs=[Breadcrumb('build.machine'), Breadcrumb('build')],
        left_panels=[
            panels.BuildEventPanel(),
            panels.RecordPanel(
                _('An event is what was reported when it happened. It is not edited: timelines are to be trusted.')
            ),
        ],
        right_panels=[CustomFieldsPanel(), TagsPanel()],
        bottom_panels=[panels.EventLogPanel()],
    )


@register_model_view(BuildEvent, 'delete')
class BuildEventDeleteView(generic.ObjectDeleteView):
    queryset = BuildEvent.objects.all()


@register_model_view(BuildEvent, 'bulk_delete', path='delete', detail=False)
class BuildEventBulkDeleteView(generic.BulkDeleteView):
    queryset = BuildEvent.objects.all()
    filterset = filtersets.BuildEventFilterSet
    table = tables.BuildEventTable
