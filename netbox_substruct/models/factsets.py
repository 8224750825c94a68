"""Facts: what machines say of themselves, by source."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from netbox.models import NetBoxModel

from ..choices import FactSourceChoices
from ..validators import validate_object

__all__ = ('FactSet',)


class FactSet(NetBoxModel):
    """What one source said of one machine at one time."""

    machine = models.ForeignKey(
        'Machine', on_delete=models.CASCADE, related_name='fact_sets', verbose_name=_('machine')
    )
    source = models.CharField(_('source'), max_length=50, choices=FactSourceChoices)
    collected = models.DateTimeField(_('collected'), default=timezone.now)
    format_version = models.PositiveSmallIntegerField(_('format version'), default=1)
    data = models.JSONField(_('facts'), default=dict, validators=[validate_object])

    prerequisite_models = ('netbox_substruct.Machine',)

    class Meta:
        ordering = ('-collected', '-pk')
        verbose_name = _('fact set')
        verbose_name_plural = _('fact sets')

    def __str__(self):
        return f'{self.machine}: {self.get_source_display()}'

    def serialize_object(self, exclude=None):
        # Facts are large and are kept by themselves; the changelog need not hold each of them a second time.
        return super().serialize_object(exclude=[*(exclude or []), 'data'])

    def get_source_color(self):
        return FactSourceChoices.colors.get(self.source)
