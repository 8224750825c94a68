"""Forms of profiles and their templates."""

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from dcim.choices import DeviceStatusChoices
from extras.models import ConfigTemplate
from netbox.forms import (
    NetBoxModelBulkEditForm,
    NetBoxModelFilterSetForm,
    NetBoxModelForm,
    NetBoxModelImportForm,
    PrimaryModelBulkEditForm,
    PrimaryModelFilterSetForm,
    PrimaryModelForm,
    PrimaryModelImportForm,
)
from utilities.forms import add_blank_choice
from utilities.forms.fields import (
    ChoiceField,
    CSVChoiceField,
    CSVModelChoiceField,
    DynamicModelChoiceField,
    DynamicModelMultipleChoiceField,
    JSONField,
    SlugField,
    TagFilterField,
)
from utilities.forms.rendering import FieldSet, TabbedGroups

from ..choices import ArtifactKindChoices, BuiltAddressChoices, BuiltDNSNameChoices, HandoffChoices
from ..models import BootImage, Profile, ProfileTemplate

__all__ = (
    'ProfileBulkEditForm',
    'ProfileFilterForm',
    'ProfileForm',
    'ProfileImportForm',
    'ProfileTemplateBulkEditForm',
    'ProfileTemplateFilterForm',
    'ProfileTemplateForm',
    'ProfileTemplateImportForm',
)


def _help(name):
    return Profile._meta.get_field(name).help_text


def _choice(name, choices, kind=ChoiceField):
    """A choice that a profile may leave to its parent, under the name and with the help of the model's field."""
    field = Profile._meta.get_field(name)
    choices = choices if kind is CSVChoiceField else add_blank_choice(choices)
    return kind(label=capfirst(field.verbose_name), choices=choices, required=False, help_text=field.help_text)


class ObjectFieldsMixin:
    """Takes an emptied JSON field for the empty object."""

    def clean_parameters(self):
        return self.cleaned_data['parameters'] or {}

    def clean_disk_layout(self):
        return self.cleaned_data['disk_layout'] or {}


class ProfileForm(ObjectFieldsMixin, PrimaryModelForm):
    slug = SlugField()
    parent = DynamicModelChoiceField(
        label=_('Parent'), queryset=Profile.objects.all(), required=False, help_text=_help('parent')
    )
    boot_image = DynamicModelChoiceField(
        label=_('Boot image'),
        queryset=BootImage.objects.all(),
        required=False,
        help_text=_('If empty: that of the parent.'),
    )
    handoff = _choice('handoff', HandoffChoices)
    built_status = _choice('built_status', DeviceStatusChoices)
    built_address = _choice('built_address', BuiltAddressChoices)
    built_dns_name = _choice('built_dns_name', BuiltDNSNameChoices)
    parameters = JSONField(label=_('Parameters'), required=False, help_text=_help('parameters'))
    parameter_schema = JSONField(label=_('Parameter schema'), required=False, help_text=_help('parameter_schema'))
    disk_layout = JSONField(label=_('Disk layout'), required=False, help_text=_help('disk_layout'))

    fieldsets = (
        FieldSet('name', 'slug', 'parent', 'description', 'tags', name=_('Profile')),
        FieldSet('boot_image', 'handoff', name=_('What the Machine Becomes')),
        FieldSet('built_status', 'built_address', 'built_dns_name', name=_('When It Is Built')),
        FieldSet('pending_limit', 'stall_limit', name=_('When Nothing Is Heard')),
        FieldSet('parameters', 'parameter_schema', 'disk_layout', name=_('Parameters')),
    )

    class Meta:
        model = Profile
        fields = (
            'name', 'slug', 'parent', 'boot_image', 'parameters', 'parameter_schema', 'disk_layout', 'handoff',
            'built_status', 'built_address', 'built_dns_name', 'pending_limit', 'stall_limit', 'description', 'owner',
            'comments', 'tags',
        )  # fmt: skip


class ProfileBulkEditForm(PrimaryModelBulkEditForm):
    parent = DynamicModelChoiceField(label=_('Parent'), queryset=Profile.objects.all(), required=False)
    boot_image = DynamicModelChoiceField(label=_('Boot image'), queryset=BootImage.objects.all(), required=False)
    handoff = _choice('handoff', HandoffChoices)
    built_status = _choice('built_status', DeviceStatusChoices)
    built_address = _choice('built_address', BuiltAddressChoices)
    built_dns_name = _choice('built_dns_name', BuiltDNSNameChoices)
    pending_limit = forms.IntegerField(
        label=_('Pending limit'), required=False, min_value=0, help_text=_help('pending_limit')
    )
    stall_limit = forms.IntegerField(
        label=_('Stall limit'), required=False, min_value=0, help_text=_help('stall_limit')
    )
    disk_layout = JSONField(label=_('Disk layout'), required=False, help_text=_help('disk_layout'))

    model = Profile
    fieldsets = (
        FieldSet(
            'parent', 'boot_image', 'handoff', 'built_status', 'built_address', 'built_dns_name', 'pending_limit',
            'stall_limit', 'disk_layout', 'description',
        ),
    )  # fmt: skip
    nullable_fields = (
        'parent', 'boot_image', 'handoff', 'built_status', 'built_address', 'built_dns_name', 'pending_limit',
        'stall_limit', 'disk_layout', 'description', 'comments',
    )  # fmt: skip


class ProfileImportForm(ObjectFieldsMixin, PrimaryModelImportForm):
    slug = SlugField()
    parent = CSVModelChoiceField(
        label=_('Parent'),
        queryset=Profile.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the profile that this one inherits from'),
    )
    boot_image = CSVModelChoiceField(
        label=_('Boot image'),
        queryset=BootImage.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the boot image'),
    )
    handoff = _choice('handoff', HandoffChoices, CSVChoiceField)
    built_status = _choice('built_status', DeviceStatusChoices, CSVChoiceField)
    built_address = _choice('built_address', BuiltAddressChoices, CSVChoiceField)
    built_dns_name = _choice('built_dns_name', BuiltDNSNameChoices, CSVChoiceField)
    parameters = JSONField(label=_('Parameters'), required=False, help_text=_('A JSON object'))
    parameter_schema = JSONField(label=_('Parameter schema'), required=False, help_text=_('A JSON schema'))
    disk_layout = JSONField(label=_('Disk layout'), required=False, help_text=_('A JSON object'))

    class Meta:
        model = Profile
        fields = (
            'name', 'slug', 'parent', 'boot_image', 'parameters', 'parameter_schema', 'disk_layout', 'handoff',
            'built_status', 'built_address', 'built_dns_name', 'pending_limit', 'stall_limit', 'description', 'owner',
            'comments', 'tags',
        )  # fmt: skip


class ProfileFilterForm(PrimaryModelFilterSetForm):
    model = Profile
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet(
            'name',
            'parent_id',
            'boot_image_id',
            'handoff',
            'built_status',
            'built_address',
            'built_dns_name',
            'pending_limit',
            'stall_limit',
            name=_('Attributes'),
        ),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )
    selector_fields = ('filter_id', 'q', 'parent_id', 'boot_image_id')

    name = forms.CharField(label=_('Name'), required=False)
    parent_id = DynamicModelMultipleChoiceField(
        label=_('Parent'), queryset=Profile.objects.all(), required=False, null_option='None'
    )
    boot_image_id = DynamicModelMultipleChoiceField(
        label=_('Boot image'), queryset=BootImage.objects.all(), required=False, null_option='None'
    )
    handoff = forms.MultipleChoiceField(label=_('Configuration hand-off'), choices=HandoffChoices, required=False)
    built_status = forms.MultipleChoiceField(label=_('Status when built'), choices=DeviceStatusChoices, required=False)
    built_address = forms.MultipleChoiceField(
        label=_('Primary address when built'), choices=BuiltAddressChoices, required=False
    )
    built_dns_name = forms.MultipleChoiceField(
        label=_('DNS name when built'), choices=BuiltDNSNameChoices, required=False
    )
    pending_limit = forms.IntegerField(label=_('Pending limit'), required=False, min_value=0)
    stall_limit = forms.IntegerField(label=_('Stall limit'), required=False, min_value=0)
    tag = TagFilterField(model)


class ProfileTemplateForm(NetBoxModelForm):
    profile = DynamicModelChoiceField(label=_('Profile'), queryset=Profile.objects.all(), required=False)
    boot_image = DynamicModelChoiceField(label=_('Boot image'), queryset=BootImage.objects.all(), required=False)
    kind = ChoiceField(label=_('Kind'), choices=add_blank_choice(ArtifactKindChoices))
    config_template = DynamicModelChoiceField(
        label=_('Config template'),
        queryset=ConfigTemplate.objects.all(),
        quick_add=True,
        help_text=_('Its text is rendered with the machine’s context, not with NetBox’s own.'),
    )

    fieldsets = (
        FieldSet(
            TabbedGroups(FieldSet('profile', name=_('Profile')), FieldSet('boot_image', name=_('Boot Image'))),
            'kind',
            'config_template',
            'tags',
            name=_('Profile Template'),
        ),
    )

    class Meta:
        model = ProfileTemplate
        fields = ('profile', 'boot_image', 'kind', 'config_template', 'tags')


class ProfileTemplateBulkEditForm(NetBoxModelBulkEditForm):
    kind = ChoiceField(label=_('Kind'), choices=add_blank_choice(ArtifactKindChoices), required=False)
    config_template = DynamicModelChoiceField(
        label=_('Config template'), queryset=ConfigTemplate.objects.all(), required=False
    )

    model = ProfileTemplate
    fieldsets = (FieldSet('kind', 'config_template'),)


class ProfileTemplateImportForm(NetBoxModelImportForm):
    profile = CSVModelChoiceField(
        label=_('Profile'),
        queryset=Profile.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the profile; leave empty for a boot image’s template'),
    )
    boot_image = CSVModelChoiceField(
        label=_('Boot image'),
        queryset=BootImage.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the boot image; leave empty for a profile’s template'),
    )
    kind = CSVChoiceField(label=_('Kind'), choices=ArtifactKindChoices, help_text=_('What the template renders to'))
    config_template = CSVModelChoiceField(
        label=_('Config template'),
        queryset=ConfigTemplate.objects.all(),
        to_field_name='name',
        help_text=_('Name of the config template'),
    )

    class Meta:
        model = ProfileTemplate
        fields = ('profile', 'boot_image', 'kind', 'config_template', 'tags')


class ProfileTemplateFilterForm(NetBoxModelFilterSetForm):
    model = ProfileTemplate
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('profile_id', 'boot_image_id', 'kind', 'config_template_id', name=_('Attributes')),
    )

    profile_id = DynamicModelMultipleChoiceField(
        label=_('Profile'), queryset=Profile.objects.all(), required=False, null_option='None'
    )
    boot_image_id = DynamicModelMultipleChoiceField(
        label=_('Boot image'), queryset=BootImage.objects.all(), required=False, null_option='None'
    )
    kind = forms.MultipleChoiceField(label=_('Kind'), choices=ArtifactKindChoices, required=False)
    config_template_id = DynamicModelMultipleChoiceField(
        label=_('Config template'), queryset=ConfigTemplate.objects.all(), required=False
    )
    tag = TagFilterField(model)
