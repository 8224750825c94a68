"""Forms of builds and what is recorded of them."""

from django import forms
from django.utils.translation import gettext_lazy as _

from dcim.models import Site
from netbox.forms import (
    NetBoxModelBulkEditForm,
    NetBoxModelFilterSetForm,
    NetBoxModelForm,
    NetBoxModelImportForm,
)
from users.models import User
from utilities.exceptions import AbortRequest
from utilities.forms import BOOLEAN_WITH_BLANK_CHOICES
from utilities.forms.fields import (
    CommentField,
    CSVModelChoiceField,
    DynamicModelChoiceField,
    DynamicModelMultipleChoiceField,
    TagFilterField,
)
from utilities.forms.rendering import FieldSet

from ..changelog import explain
from ..choices import ArtifactKindChoices, BuildEventKindChoices, BuildStateChoices
from ..lifecycle import builds
from ..lifecycle.errors import LifecycleError
from ..models import Build, BuildArtifact, BuildEvent, Machine, Profile
from .machines import CSVMachineField

__all__ = (
    'BuildArtifactFilterForm',
    'BuildBulkEditForm',
    'BuildEventFilterForm',
    'BuildFilterForm',
    'BuildForm',
    'BuildImportForm',
    'BuildRequestForm',
)


class BuildForm(NetBoxModelForm):
    """What may be said of a build afterwards; what was asked and what happened is not changed by hand."""

    comments = CommentField()

    fieldsets = (FieldSet('description', 'tags', name=_('Build')),)

    class Meta:
        model = Build
        fields = ('description', 'comments', 'tags')


class RequestsBuild:
    """For forms that request a build through `lifecycle`, in the name of their instance's `requested_by`."""

    def clean(self):
        super().clean()
        if self.instance.pk:
            for name in ('machine', 'profile', 'override'):
                if name in self.fields:
                    self.add_error(name, _('What was asked of a build is frozen; cancel it and request another.'))
        return self.cleaned_data

    def save(self, commit=True):
        if self.instance.pk:
            return super().save(commit)
        data, user = self.cleaned_data, self.instance.requested_by
        machine = data['machine']
        if not Machine.objects.restrict(user, 'build').filter(pk=machine.pk).exists():
            raise AbortRequest(_('You have no permission to build {machine}.').format(machine=machine))
        try:
            build = builds.request(
                machine,
                user=user,
                profile=data.get('profile'),
                override=data.get('override', ''),
                description=data.get('description', ''),
            )
        except LifecycleError as error:
            raise AbortRequest(str(error)) from error
        explain(build, getattr(self.instance, '_changelog_message', ''))
        build.snapshot()
        build.comments = data.get('comments', '')
        build.custom_field_data = self.instance.custom_field_data
        build.save()
        if tags := data.get('tags'):
            build.tags.set(tags)
        return build


class BuildRequestForm(RequestsBuild, NetBoxModelForm):
    """A build to be requested."""

    machine = DynamicModelChoiceField(label=_('Machine'), queryset=Machine.objects.all(), selector=True)
    profile = DynamicModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        help_text=_('If empty: the profile that the machine has.'),
    )
    override = forms.CharField(
        label=_('Override'),
        required=False,
        help_text=_('The exact name of the machine, if it is active or protected: a build erases its disks.'),
    )
    comments = CommentField()

    fieldsets = (FieldSet('machine', 'profile', 'override', 'description', 'tags', name=_('Build')),)

    class Meta:
        model = Build
        fields = ('machine', 'profile', 'description', 'comments', 'tags')


class BuildImportForm(RequestsBuild, NetBoxModelImportForm):
    machine = CSVMachineField()
    profile = CSVModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        to_field_name='slug',
        help_text=_('Slug of the profile; if empty, the profile that the machine has'),
    )
    override = forms.CharField(
        label=_('Override'), required=False, help_text=_('The exact name of the machine, if it is active or protected')
    )

    class Meta:
        model = Build
        fields = ('machine', 'profile', 'override', 'description', 'comments', 'tags')


class BuildBulkEditForm(NetBoxModelBulkEditForm):
    description = forms.CharField(label=_('Description'), max_length=200, required=False)
    comments = CommentField()

    model = Build
    fieldsets = (FieldSet('description'),)
    nullable_fields = ('description', 'comments')


class BuildFilterForm(NetBoxModelFilterSetForm):
    model = Build
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('machine_id', 'profile_id', 'state', 'active', 'requested_by_id', 'site_id', name=_('Build')),
    )
    selector_fields = ('filter_id', 'q', 'machine_id', 'state')

    machine_id = DynamicModelMultipleChoiceField(label=_('Machine'), queryset=Machine.objects.all(), required=False)
    profile_id = DynamicModelMultipleChoiceField(label=_('Profile'), queryset=Profile.objects.all(), required=False)
    state = forms.MultipleChoiceField(label=_('State'), choices=BuildStateChoices, required=False)
    active = forms.NullBooleanField(
        label=_('Pending or under way'), required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES)
    )
    requested_by_id = DynamicModelMultipleChoiceField(
        label=_('Requested by'), queryset=User.objects.all(), required=False
    )
    site_id = DynamicModelMultipleChoiceField(label=_('Site'), queryset=Site.objects.all(), required=False)
    tag = TagFilterField(model)


class BuildArtifactFilterForm(NetBoxModelFilterSetForm):
    model = BuildArtifact
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('build_id', 'machine_id', 'kind', name=_('Artifact')),
    )

    build_id = DynamicModelMultipleChoiceField(label=_('Build'), queryset=Build.objects.all(), required=False)
    machine_id = DynamicModelMultipleChoiceField(label=_('Machine'), queryset=Machine.objects.all(), required=False)
    kind = forms.MultipleChoiceField(label=_('Kind'), choices=ArtifactKindChoices, required=False)
    tag = TagFilterField(model)


class BuildEventFilterForm(NetBoxModelFilterSetForm):
    model = BuildEvent
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('build_id', 'machine_id', 'kind', name=_('Event')),
    )

    build_id = DynamicModelMultipleChoiceField(label=_('Build'), queryset=Build.objects.all(), required=False)
    machine_id = DynamicModelMultipleChoiceField(label=_('Machine'), queryset=Machine.objects.all(), required=False)
    kind = forms.MultipleChoiceField(label=_('Kind'), choices=BuildEventKindChoices, required=False)
    tag = TagFilterField(model)
