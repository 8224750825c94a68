"""Forms of boot images."""

from django import forms
from django.utils.translation import gettext_lazy as _

from dcim.models import Platform
from netbox.forms import (
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
    TagFilterField,
)
from utilities.forms.rendering import FieldSet

from ..choices import ArchitectureChoices, BootMethodChoices
from ..models import BootImage

__all__ = ('BootImageBulkEditForm', 'BootImageFilterForm', 'BootImageForm', 'BootImageImportForm')


def _help(name):
    return BootImage._meta.get_field(name).help_text


class BootImageForm(PrimaryModelForm):
    platform = DynamicModelChoiceField(
        label=_('Platform'),
        queryset=Platform.objects.all(),
        required=False,
        quick_add=True,
        help_text=_help('platform'),
    )
    architecture = ChoiceField(
        label=_('Architecture'), choices=ArchitectureChoices, initial=ArchitectureChoices.ARCH_X86_64
    )
    method = ChoiceField(label=_('Method'), choices=BootMethodChoices, initial=BootMethodChoices.METHOD_INSTALLER)
    initrds = JSONField(label=_('Initrds'), required=False, help_text=_help('initrds'))

    fieldsets = (
        FieldSet('name', 'platform', 'architecture', 'method', 'description', 'tags', name=_('Boot Image')),
        FieldSet('kernel_url', 'kernel_sha256', 'initrds', 'arguments', name=_('Kernel')),
        FieldSet('disk_image_url', 'disk_image_sha256', name=_('Disk Image')),
    )

    class Meta:
        model = BootImage
        fields = (
            'name', 'platform', 'architecture', 'method', 'kernel_url', 'kernel_sha256', 'initrds', 'arguments',
            'disk_image_url', 'disk_image_sha256', 'description', 'owner', 'comments', 'tags',
        )  # fmt: skip
        widgets = {'arguments': forms.Textarea(attrs={'rows': 3, 'class': 'font-monospace'})}

    def clean_initrds(self):
        return self.cleaned_data['initrds'] or []


class BootImageBulkEditForm(PrimaryModelBulkEditForm):
    platform = DynamicModelChoiceField(label=_('Platform'), queryset=Platform.objects.all(), required=False)
    architecture = ChoiceField(label=_('Architecture'), choices=add_blank_choice(ArchitectureChoices), required=False)
    method = ChoiceField(label=_('Method'), choices=add_blank_choice(BootMethodChoices), required=False)
    arguments = forms.CharField(
        label=_('Kernel arguments'),
        required=False,
        widget=forms.Textarea(attrs={'rows': 3, 'class': 'font-monospace'}),
        help_text=_help('arguments'),
    )

    model = BootImage
    fieldsets = (FieldSet('platform', 'architecture', 'method', 'arguments', 'description'),)
    nullable_fields = ('platform', 'arguments', 'description', 'comments')


class BootImageImportForm(PrimaryModelImportForm):
    platform = CSVModelChoiceField(
        label=_('Platform'),
        queryset=Platform.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the operating system that a machine has afterwards'),
    )
    architecture = CSVChoiceField(
        label=_('Architecture'), choices=ArchitectureChoices, required=False, help_text=_('CPU architecture')
    )
    method = CSVChoiceField(
        label=_('Method'), choices=BootMethodChoices, required=False, help_text=_('How it becomes a running system')
    )
    initrds = JSONField(label=_('Initrds'), required=False, help_text=_help('initrds'))

    class Meta:
        model = BootImage
        fields = (
            'name', 'platform', 'architecture', 'method', 'kernel_url', 'kernel_sha256', 'initrds', 'arguments',
            'disk_image_url', 'disk_image_sha256', 'description', 'owner', 'comments', 'tags',
        )  # fmt: skip

    def clean_initrds(self):
        return self.cleaned_data['initrds'] or []


class BootImageFilterForm(PrimaryModelFilterSetForm):
    model = BootImage
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('name', 'platform_id', 'architecture', 'method', name=_('Attributes')),
        FieldSet('kernel_url', 'disk_image_url', name=_('Files')),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )
    selector_fields = ('filter_id', 'q', 'platform_id', 'architecture')

    name = forms.CharField(label=_('Name'), required=False)
    platform_id = DynamicModelMultipleChoiceField(
        label=_('Platform'), queryset=Platform.objects.all(), required=False, null_option='None'
    )
    architecture = forms.MultipleChoiceField(label=_('Architecture'), choices=ArchitectureChoices, required=False)
    method = forms.MultipleChoiceField(label=_('Method'), choices=BootMethodChoices, required=False)
    kernel_url = forms.CharField(label=_('Kernel URL'), required=False)
    disk_image_url = forms.CharField(label=_('Disk image URL'), required=False)
    tag = TagFilterField(model)
