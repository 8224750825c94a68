"""Pages of profiles and their templates."""

from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.object_actions import AddObject, BulkDelete, BulkEdit, BulkExport, BulkImport
from netbox.ui import actions, layout
from netbox.ui.breadcrumbs import Breadcrumb, filtered_list_url
from netbox.ui.panels import CommentsPanel, JSONPanel, ObjectsTablePanel, RelatedObjectsPanel
from netbox.views import generic
from utilities.query import count_related
from utilities.views import GetRelatedModelsMixin, register_model_view

from .. import filtersets, forms, panels, tables
from ..models import Machine, Profile, ProfileTemplate
from ..seen import CountsSeen
from .base import ClearsToDefaultMixin, TeachesMixin

__all__ = (
    'ProfileBulkDeleteView',
    'ProfileBulkEditView',
    'ProfileBulkImportView',
    'ProfileBulkRenameView',
    'ProfileDeleteView',
    'ProfileEditView',
    'ProfileListView',
    'ProfileTemplateBulkDeleteView',
    'ProfileTemplateBulkEditView',
    'ProfileTemplateBulkImportView',
    'ProfileTemplateDeleteView',
    'ProfileTemplateEditView',
    'ProfileTemplateListView',
    'ProfileTemplateView',
    'ProfileView',
)


@register_model_view(Profile, 'list', path='', detail=False)
class ProfileListView(CountsSeen, TeachesMixin, generic.ObjectListView):
    seen_counts = {'machine_count': (Machine, 'profile')}
    queryset = Profile.objects.annotate(machine_count=count_related(Machine, 'profile'))
    filterset = filtersets.ProfileFilterSet
    filterset_form = forms.ProfileFilterForm
    table = tables.ProfileTable
    empty_text = _('No profiles yet. Add a boot image first, then a profile that says what machines become.')


@register_model_view(Profile)
class ProfileView(GetRelatedModelsMixin, generic.ObjectView):
    queryset = Profile.objects.all()
    template_name = 'generic/object.html'
    layout = layout.SimpleLayout(
        breadcrumbs=[
            Breadcrumb(
                lambda profile: profile.chain[:0:-1],
                url=filtered_list_url('plugins:netbox_substruct:profile_list', 'parent_id'),
            ),
        ],
        left_panels=[
            panels.ProfilePanel(),
            panels.ProfileEffectivePanel(),
            panels.ProfileChainPanel(),
            panels.ProfileTemplatesPanel(),
            TagsPanel(),
            CustomFieldsPanel(),
            CommentsPanel(),
        ],
        right_panels=[
            JSONPanel('parameters', title=_('Parameters')),
            JSONPanel('parameter_schema', title=_('Parameter Schema')),
            JSONPanel('disk_layout', title=_('Disk Layout')),
            RelatedObjectsPanel(),
        ],
        bottom_panels=[
            ObjectsTablePanel(
                model='netbox_substruct.ProfileTemplate',
                title=_('Templates of This Profile'),
                filters={'profile_id': lambda ctx: ctx['object'].pk},
                exclude_columns=['profile', 'boot_image'],
                actions=[
                    actions.AddObject(
                        'netbox_substruct.ProfileTemplate', url_params={'profile': lambda ctx: ctx['object'].pk}
                    ),
                ],
            ),
            ObjectsTablePanel(
                model='netbox_substruct.Profile',
                title=_('Child Profiles'),
                filters={'parent_id': lambda ctx: ctx['object'].pk},
                exclude_columns=['parent'],
                actions=[
                    actions.AddObject('netbox_substruct.Profile', url_params={'parent': lambda ctx: ctx['object'].pk}),
                ],
            ),
            ObjectsTablePanel(
                model='netbox_substruct.Machine',
                filters={'profile_id': lambda ctx: ctx['object'].pk},
                exclude_columns=['profile'],
            ),
            ObjectsTablePanel(
                model='netbox_substruct.Build',
                title=_('Last Builds'),
                filters={'profile_id': lambda ctx: ctx['object'].pk},
                exclude_columns=['profile'],
            ),
        ],
    )

    def get_extra_context(self, request, instance):
        return {'related_models': self.get_related_models(request, instance)}


@register_model_view(Profile, 'add', detail=False)
@register_model_view(Profile, 'edit')
class ProfileEditView(generic.ObjectEditView):
    queryset = Profile.objects.all()
    form = forms.ProfileForm


@register_model_view(Profile, 'delete')
class ProfileDeleteView(generic.ObjectDeleteView):
    queryset = Profile.objects.all()


@register_model_view(Profile, 'bulk_import', path='import', detail=False)
class ProfileBulkImportView(generic.BulkImportView):
    queryset = Profile.objects.all()
    model_form = forms.ProfileImportForm


@register_model_view(Profile, 'bulk_edit', path='edit', detail=False)
class ProfileBulkEditView(ClearsToDefaultMixin, generic.BulkEditView):
    queryset = Profile.objects.all()
    filterset = filtersets.ProfileFilterSet
    table = tables.ProfileTable
    form = forms.ProfileBulkEditForm


@register_model_view(Profile, 'bulk_rename', path='rename', detail=False)
class ProfileBulkRenameView(generic.BulkRenameView):
    queryset = Profile.objects.all()
    filterset = filtersets.ProfileFilterSet


@register_model_view(Profile, 'bulk_delete', path='delete', detail=False)
class ProfileBulkDeleteView(generic.BulkDeleteView):
    queryset = Profile.objects.all()
    filterset = filtersets.ProfileFilterSet
    table = tables.ProfileTable


@register_model_view(ProfileTemplate, 'list', path='', detail=False)
class ProfileTemplateListView(generic.ObjectListView):
    queryset = ProfileTemplate.objects.all()
    filterset = filtersets.ProfileTemplateFilterSet
    filterset_form = forms.ProfileTemplateFilterForm
    table = tables.ProfileTemplateTable
    actions = (AddObject, BulkImport, BulkExport, BulkEdit, BulkDelete)


@register_model_view(ProfileTemplate)
class ProfileTemplateView(generic.ObjectView):
    queryset = ProfileTemplate.objects.all()
    template_name = 'generic/object.html'
    layout = layout.SimpleLayout(
        left_panels=[
            panels.ProfileTemplatePanel(),
            TagsPanel(),
        ],
        right_panels=[
            CustomFieldsPanel(),
        ],
    )


@register_model_view(ProfileTemplate, 'add', detail=False)
@register_model_view(ProfileTemplate, 'edit')
class ProfileTemplateEditView(generic.ObjectEditView):
    queryset = ProfileTemplate.objects.all()
    form = forms.ProfileTemplateForm


@register_model_view(ProfileTemplate, 'delete')
class ProfileTemplateDeleteView(generic.ObjectDeleteView):
    queryset = ProfileTemplate.objects.all()


@register_model_view(ProfileTemplate, 'bulk_import', path='import', detail=False)
class ProfileTemplateBulkImportView(generic.BulkImportView):
    queryset = ProfileTemplate.objects.all()
    model_form = forms.ProfileTemplateImportForm


@register_model_view(ProfileTemplate, 'bulk_edit', path='edit', detail=False)
class ProfileTemplateBulkEditView(generic.BulkEditView):
    queryset = ProfileTemplate.objects.all()
    filterset = filtersets.ProfileTemplateFilterSet
    table = tables.ProfileTemplateTable
    form = forms.ProfileTemplateBulkEditForm


@register_model_view(ProfileTemplate, 'bulk_delete', path='delete', detail=False)
class ProfileTemplateBulkDeleteView(generic.BulkDeleteView):
    queryset = ProfileTemplate.objects.all()
    filterset = filtersets.ProfileTemplateFilterSet
    table = tables.ProfileTemplateTable
