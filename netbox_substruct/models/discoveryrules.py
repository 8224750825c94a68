"""Discovery rules: which machines that report themselves become what."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from netbox.models import PrimaryModel

from ..validators import validate_condition

__all__ = ('DiscoveryRule',)


class DiscoveryRule(PrimaryModel):
    """The first enabled rule by priority whose condition a discovered machine's facts satisfy is taken.

    It gives the defaults for adopting the machine, and, where it says so, adopts it by itself: whoever may change rules
    decides what is made and built.
    """

    name = models.CharField(_('name'), max_length=100, unique=True)
    enabled = models.BooleanField(_('enabled'), default=True)
    priority = models.PositiveSmallIntegerField(
        _('priority'), default=100, help_text=_('The rule with the lowest number is tried first.')
    )
    condition = models.JSONField(
        _('condition'),
        default=dict,
        blank=True,
        validators=[validate_condition],
        help_text=_(
            'All must match: {"system.manufacturer": "Dell*", "memory.total_gib": [64, 128]}. Empty: every machine.'
        ),
    )
    host_name_template = models.CharField(
        _('host name template'),
        max_length=200,
        blank=True,
        help_text=_('Jinja2 over the facts, for example srv-{{ system.serial | lower }}'),
    )
    role = models.ForeignKey(
        'dcim.DeviceRole', on_delete=models.SET_NULL, related_name='+', null=True, blank=True, verbose_name=_('role')
    )
    device_type = models.ForeignKey(
        'dcim.DeviceType',
        on_delete=models.SET_NULL,
        related_name='+',
        null=True,
        blank=True,
        verbose_name=_('device type'),
        help_text=_('If empty: found by manufacturer and model.'),
    )
    site = models.ForeignKey(
        'dcim.Site',
        on_delete=models.SET_NULL,
        related_name='+',
        null=True,
        blank=True,
        verbose_name=_('site'),
        help_text=_('If empty: the site of the subnet in which the machine appeared.'),
    )
    profile = models.ForeignKey(
        'Profile',
        on_delete=models.SET_NULL,
        related_name='discovery_rules',
        null=True,
        blank=True,
        verbose_name=_('profile'),
    )
    limit = models.PositiveIntegerField(
        _('limit'), null=True, blank=True, help_text=_('The rule rests once it has taken so many machines.')
    )
    adopt_at_once = models.BooleanField(
        _('adopt at once'), default=False, help_text=_('Make the machine a device without asking anybody.')
    )
    build_at_once = models.BooleanField(
        _('build at once'),
        default=False,
        help_text=_('Adopt and build the machine without asking anybody. Erases its disks.'),
    )

    clone_fields = ('enabled', 'priority', 'condition', 'host_name_template', 'role', 'device_type', 'site', 'profile')

    class Meta:
        ordering = ('priority', 'name')
        verbose_name = _('discovery rule')
        verbose_name_plural = _('discovery rules')

    def __str__(self):
        return self.name
