"""Profiles: what a machine is to become, and the templates that make it so."""

import jsonschema
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from dcim.choices import DeviceStatusChoices
from netbox.models import NetBoxModel, PrimaryModel
from netbox.plugins import get_plugin_config

from ..choices import ArtifactKindChoices, BuiltAddressChoices, BuiltDNSNameChoices, HandoffChoices
from ..validators import validate_object

__all__ = ('Profile', 'ProfileTemplate')

# What holds where neither a profile nor any above it says anything; the limits are settings of the plugin.
DEFAULTS = {
    'built_address': BuiltAddressChoices.ADDRESS_BOOT_INTERFACE,
    'built_dns_name': BuiltDNSNameChoices.NAME_KEEP,
}
LIMITS = ('pending_limit', 'stall_limit')


def is_set(value):
    """Whether a profile says something itself; 0 is something."""
    return bool(value) or value == 0


class Profile(PrimaryModel):
    """Boot image, templates and parameters.  What a profile leaves empty it inherits from its parent."""

    name = models.CharField(_('name'), max_length=100, unique=True)
    slug = models.SlugField(_('slug'), max_length=100, unique=True)
    parent = models.ForeignKey(
        'self',
        on_delete=models.PROTECT,
        related_name='children',
        null=True,
        blank=True,
        verbose_name=_('parent'),
        help_text=_('Boot image, templates, parameters and the rest are inherited from here where they are not set.'),
    )
    boot_image = models.ForeignKey(
        'BootImage',
        on_delete=models.PROTECT,
        related_name='profiles',
        null=True,
        blank=True,
        verbose_name=_('boot image'),
    )
    parameters = models.JSONField(
        _('parameters'),
        default=dict,
        blank=True,
        validators=[validate_object],
        help_text=_('A JSON object. Config contexts and the machine’s own parameters override it.'),
    )
    parameter_schema = models.JSONField(
        _('parameter schema'),
        null=True,
        blank=True,
        help_text=_('JSON schema that the merged parameters of a machine must satisfy before it is built.'),
    )
    disk_layout = models.JSONField(
        _('disk layout'),
        default=dict,
        blank=True,
        validators=[validate_object],
        help_text=_('A JSON object that the templates read, for example {"disk": "/dev/sda", "scheme": "lvm"}.'),
    )
    handoff = models.CharField(
        _('configuration hand-off'),
        max_length=50,
        choices=HandoffChoices,
        blank=True,
        help_text=_('Who takes over when the operating system stands.'),
    )
    built_status = models.CharField(
        _('status when built'),
        max_length=50,
        choices=DeviceStatusChoices,
        blank=True,
        help_text=_('Status that the device is given when a build is complete; unchanged if empty.'),
    )
    built_address = models.CharField(
        _('primary address when built'),
        max_length=50,
        choices=BuiltAddressChoices,
        blank=True,
        help_text=_(
            'For devices that have no primary address. Unless something else is set: that of the boot interface.'
        ),
    )
    built_dns_name = models.CharField(
        _('DNS name when built'),
        max_length=50,
        choices=BuiltDNSNameChoices,
        blank=True,
        help_text=_('For primary addresses that have no DNS name. Unless something else is set: nothing.'),
    )
    pending_limit = models.PositiveIntegerField(
        _('pending limit'),
        null=True,
        blank=True,
        help_text=_(
            'Minutes that a build waits for its machine before it counts as stalled. 0: for ever. If empty: that of '
            'the parent, else the setting of the plugin.'
        ),
    )
    stall_limit = models.PositiveIntegerField(
        _('stall limit'),
        null=True,
        blank=True,
        help_text=_(
            'Minutes without news of a build under way before it counts as stalled. 0: for ever. If empty: that of '
            'the parent, else the setting of the plugin.'
        ),
    )

    clone_fields = (
        'parent', 'boot_image', 'parameters', 'parameter_schema', 'disk_layout', 'handoff', 'built_status',
        'built_address', 'built_dns_name', 'pending_limit', 'stall_limit',
    )  # fmt: skip

    class Meta:
        ordering = ('name',)
        verbose_name = _('profile')
        verbose_name_plural = _('profiles')

    def __str__(self):
        return self.name

    def clean(self):
        super().clean()
        above = self.parent
        while above is not None:
            if above.pk == self.pk:
                raise ValidationError({'parent': _('A profile cannot inherit from itself or from one below it.')})
            above = above.parent
        if self.parameter_schema is not None:
            try:
                jsonschema.validators.validator_for(
                    self.parameter_schema, default=jsonschema.Draft202012Validator
                ).check_schema(self.parameter_schema)
            except (jsonschema.SchemaError, AttributeError, TypeError) as error:
                raise ValidationError(
                    {'parameter_schema': _('This is no JSON schema: %(error)s')
                     % {'error': getattr(error, 'message', error)}}
                ) from error  # fmt: skip

    def get_handoff_color(self):
        return HandoffChoices.colors.get(self.handoff)

    def get_built_status_color(self):
        return DeviceStatusChoices.colors.get(self.built_status)

    def get_built_address_color(self):
        return BuiltAddressChoices.colors.get(self.built_address)

    def get_built_dns_name_color(self):
        return BuiltDNSNameChoices.colors.get(self.built_dns_name)

    @property
    def chain(self):
        """This profile and those it inherits from, nearest first."""
        found = [self]
        while (above := found[-1].parent) is not None:
            if above in found:
                raise ValueError(f'Profile {self.name}: its parents form a loop; change the parent of one of them.')
            found.append(above)
        return found

    def owner_of(self, name):
        """The nearest profile of the chain that sets a field; None if none does."""
        return next((profile for profile in self.chain if is_set(getattr(profile, name))), None)

    def effective(self, name):
        """The value of a field, inherited or not; else what holds where nobody says anything (None if nothing does)."""
        owner = self.owner_of(name)
        if owner is not None:
            return getattr(owner, name)
        return get_plugin_config('netbox_substruct', name) if name in LIMITS else DEFAULTS.get(name)


class ProfileTemplate(NetBoxModel):
    """Which config template makes which artifact, for a profile or for a boot image.

    A profile's own template wins over its parent's, and that over the boot image's.
    """

    profile = models.ForeignKey(
        'Profile', on_delete=models.CASCADE, related_name='templates', null=True, blank=True, verbose_name=_('profile')
    )
    boot_image = models.ForeignKey(
        'BootImage',
        on_delete=models.CASCADE,
        related_name='templates',
        null=True,
        blank=True,
        verbose_name=_('boot image'),
    )
    kind = models.CharField(_('kind'), max_length=50, choices=ArtifactKindChoices)
    config_template = models.ForeignKey(
        'extras.ConfigTemplate',
        on_delete=models.PROTECT,
        related_name='substruct_profile_templates',
        verbose_name=_('config template'),
    )

    clone_fields = ('profile', 'boot_image', 'kind')
    prerequisite_models = ('extras.ConfigTemplate',)

    class Meta:
        ordering = ('profile', 'boot_image', 'kind', 'pk')
        verbose_name = _('profile template')
        verbose_name_plural = _('profile templates')
        constraints = (
            models.UniqueConstraint(
                fields=('profile', 'kind'),
                name='%(app_label)s_%(class)s_unique_profile_kind',
                violation_error_message=_('The profile has a template of this kind already.'),
            ),
            models.UniqueConstraint(
                fields=('boot_image', 'kind'),
                name='%(app_label)s_%(class)s_unique_image_kind',
                violation_error_message=_('The boot image has a template of this kind already.'),
            ),
            models.CheckConstraint(
                condition=models.Q(profile__isnull=True) ^ models.Q(boot_image__isnull=True),
                name='%(app_label)s_%(class)s_one_owner',
                violation_error_message=_('Choose a profile or a boot image, and not both.'),
            ),
        )

    def __str__(self):
        return f'{self.profile or self.boot_image}: {self.get_kind_display()}'

    def clean(self):
        super().clean()
        if bool(self.profile_id) == bool(self.boot_image_id):
            raise ValidationError(_('Choose a profile or a boot image, and not both.'))

    def get_kind_color(self):
        return ArtifactKindChoices.colors.get(self.kind)
