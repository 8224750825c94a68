"""Pages of boot images."""

from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.ui import actions, layout
from netbox.ui.panels import CommentsPanel, ObjectsTablePanel, RelatedObjectsPanel, TextCodePanel
from netbox.views import generic
from utilities.query import count_related
from utilities.views import GetRelatedModelsMixin, register_model_view

from .. import filtersets, forms, panels, tables
from ..models import BootImage, Profile
from ..seen import CountsSeen
from .base import TeachesMixin

__all__ = (
    'BootImageBulkDeleteView',
    'BootImageBulkEditView',
    'BootImageBulkImportView',
    'BootImageBulkRenameView',
    'BootImageDeleteView',
    'BootImageEditView',
    'BootImageListView',
    'BootImageView',
)


@register_model_view(BootImage, 'list', path='', detail=False)
class BootImageListView(CountsSeen, TeachesMixin, generic.ObjectListView):
    seen_counts = {'profile_count': (Profile, 'boot_image')}
    queryset = BootImage.objects.annotate(profile_count=count_related(Profile, 'boot_image'))
    filterset = filtersets.BootImageFilterSet
    filterset_form = forms.BootImageFilterForm
    table = tables.BootImageTable
    empty_text = _('No boot images yet. Add the kernel and initrd of an installer, or a disk image.')


@register_model_view(BootImage)
class BootImageView(GetRelatedModelsMixin, generic.ObjectView):
    queryset = BootImage.objects.all()
    template_name = 'generic/object.html'
    layout = layout.SimpleLayout(
        left_panels=[
            panels.BootImagePanel(),
            TextCodePanel('arguments', title=_('Kernel Arguments')),
            TagsPanel(),
            CustomFieldsPanel(),
            CommentsPanel(),
        ],
        right_panels=[
            panels.ReportedProblemsPanel('boot-image'),
            panels.BootImageFilesPanel(),
            RelatedObjectsPanel(),
        ],
        bottom_panels=[
            ObjectsTablePanel(
                model='netbox_substruct.ProfileTemplate',
                title=_('Templates'),
                filters={'boot_image_id': lambda ctx: ctx['object'].pk},
                exclude_columns=['profile', 'boot_image'],
                actions=[
                    actions.AddObject(
                        'netbox_substruct.ProfileTemplate', url_params={'boot_image': lambda ctx: ctx['object'].pk}
                    ),
                ],
            ),
            ObjectsTablePanel(
                model='netbox_substruct.Profile',
                filters={'boot_image_id': lambda ctx: ctx['object'].pk},
                exclude_columns=['boot_image'],
                actions=[
                    actions.AddObject(
                        'netbox_substruct.Profile', url_params={'boot_image': lambda ctx: ctx['object'].pk}
                    ),
                ],
            ),
        ],
    )

    def get_extra_context(self, request, instance):
        return {'related_models': self.get_related_models(request, instance)}


@register_model_view(BootImage, 'add', detail=False)
@register_model_view(BootImage, 'edit')
class BootImageEditView(generic.ObjectEditView):
    queryset = BootImage.objects.all()
    form = forms.BootImageForm


@register_model_view(BootImage, 'delete')
class BootImageDeleteView(generic.ObjectDeleteView):
    queryset = BootImage.objects.all()


@register_model_view(BootImage, 'bulk_import', path='import', detail=False)
class BootImageBulkImportView(generic.BulkImportView):
    queryset = BootImage.objects.all()
    model_form = forms.BootImageImportForm


@register_model_view(BootImage, 'bulk_edit', path='edit', detail=False)
class BootImageBulkEditView(generic.BulkEditView):
    queryset = BootImage.objects.all()
    filterset = filtersets.BootImageFilterSet
    table = tables.BootImageTable
    form = forms.BootImageBulkEditForm


@register_model_view(BootImage, 'bulk_rename', path='rename', detail=False)
class BootImageBulkRenameView(generic.BulkRenameView):
    queryset = BootImage.objects.all()
    filterset = filtersets.BootImageFilterSet


@register_model_view(BootImage, 'bulk_delete', path='delete', detail=False)
class BootImageBulkDeleteView(generic.BulkDeleteView):
    queryset = BootImage.objects.all()
    filterset = filtersets.BootImageFilterSet
    table = tables.BootImageTable
