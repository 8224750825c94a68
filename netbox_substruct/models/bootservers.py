"""Boot servers: one running sidecar each, with what it serves."""

from datetime import timedelta

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from netbox.models import PrimaryModel

from ..choices import BootServerStatusChoices
from ..validators import validate_base_url

__all__ = ('BootServer',)

# A sidecar reports every half minute; one of which this long was heard nothing is late.
LATE_AFTER = timedelta(minutes=2)
# What a boot server says of itself, written by `reports` alone: not by forms, and not into the changelog.
REPORTED = (
    'services', 'version', 'last_heartbeat', 'heard_since', 'applied_cursor', 'out_of_step', 'instances', 'files',
    'webhook_id', 'event_rule_id', 'lost', 'drifted',
)  # fmt: skip


class BootServer(PrimaryModel):
    """One running sidecar.

    It serves the subnets that name it, those inside its `prefixes`, and machines at its `sites` that have no address in
    a subnet yet (`feed.scope` has the rule).  The fields from `services` on are what the sidecar last said of itself
    (`reports.messages` has their shapes), and the webhook that wakes it.
    """

    name = models.CharField(_('name'), max_length=100, unique=True)
    status = models.CharField(
        _('status'),
        max_length=50,
        choices=BootServerStatusChoices,
        default=BootServerStatusChoices.STATUS_ACTIVE,
        help_text=_('What you intend. An offline boot server gets no new tasks.'),
    )
    base_url = models.CharField(
        _('base URL'),
        max_length=200,
        validators=[validate_base_url],
        help_text=_('Where machines reach it over HTTP, for example http://10.0.0.2:8080'),
    )
    sites = models.ManyToManyField(
        'dcim.Site',
        related_name='substruct_boot_servers',
        blank=True,
        verbose_name=_('sites'),
        help_text=_('Serves subnets and machines at these sites.'),
    )
    prefixes = models.ManyToManyField(
        'ipam.Prefix',
        related_name='substruct_boot_servers',
        blank=True,
        verbose_name=_('prefixes'),
        help_text=_('Serves every subnet inside these prefixes.'),
    )

    services = models.JSONField(_('services'), default=list, blank=True, editable=False)
    version = models.CharField(_('version'), max_length=50, blank=True, editable=False)
    last_heartbeat = models.DateTimeField(_('last heartbeat'), null=True, blank=True, editable=False)
    heard_since = models.DateTimeField(
        _('heard since'),
        null=True,
        blank=True,
        editable=False,
        help_text=_('Since when it has been heard of without a gap.'),
    )
    applied_cursor = models.TextField(_('applied cursor'), blank=True, editable=False)
    out_of_step = models.JSONField(_('out of step'), default=list, blank=True, editable=False)
    instances = models.JSONField(
        _('instances'),
        default=list,
        blank=True,
        editable=False,
        help_text=_('The sidecars that reported under this name in the last minutes; there should be one.'),
    )
    files = models.JSONField(_('files'), default=list, blank=True, editable=False)
    # No relations that Django knows of: an export template could follow one to the webhook's secret.  The foreign keys
    # stand in the database (migration 0004), and forget what was deleted.
    webhook_id = models.BigIntegerField(null=True, blank=True, editable=False)
    event_rule_id = models.BigIntegerField(null=True, blank=True, editable=False)

    lost = models.DateTimeField(
        _('lost'),
        null=True,
        blank=True,
        editable=False,
        help_text=_('When it was told that nothing is heard of it any more; empty while it is heard.'),
    )
    drifted = models.DateTimeField(
        _('drifted'),
        null=True,
        blank=True,
        editable=False,
        help_text=_('When it was told that what it serves is out of step; empty while it is in step.'),
    )

    clone_fields = ('status', 'sites', 'prefixes')

    class Meta:
        ordering = ('name',)
        verbose_name = _('boot server')
        verbose_name_plural = _('boot servers')
        permissions = [('feed', 'Read the feed of a boot server, with build tokens')]

    def __str__(self):
        return self.name

    def get_status_color(self):
        return BootServerStatusChoices.colors.get(self.status)

    def save(self, *args, **kwargs):
        # Whoever changes a boot server has read it a while ago; what it reported since then must stay.
        if not self._state.adding and kwargs.get('update_fields') is None and not kwargs.get('force_insert'):
            kwargs['update_fields'] = [
                field.name
                for field in self._meta.concrete_fields
                if not field.primary_key and field.name not in REPORTED
            ]
        super().save(*args, **kwargs)

    def serialize_object(self, exclude=None):
        # It is no change that somebody made.
        return super().serialize_object(exclude=[*(exclude or []), *REPORTED])

    @property
    def in_step(self):
        """Whether everything it serves is as it should be; None while nothing is heard of it.

        Warnings leave it in step; `in_step_condition` says the same to the database.
        """
        if self.last_heartbeat is None or self.is_late:
            return None
        return not any(problem.get('severity') == 'error' for problem in self.out_of_step) and not any(
            service.get('state') in ('degraded', 'down') for service in self.services
        )

    @staticmethod
    def in_step_condition():
        out = models.Q(out_of_step__contains=[{'severity': 'error'}])
        for state in ('degraded', 'down'):
            out |= models.Q(services__contains=[{'state': state}])
        return ~out

    @property
    def is_late(self):
        """Whether it should have been heard of meanwhile."""
        return self.last_heartbeat is not None and timezone.now() - self.last_heartbeat > LATE_AFTER
