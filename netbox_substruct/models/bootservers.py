"""Boot servers: one running sidecar each, with what it serves."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from netbox.models import PrimaryModel

from ..choices import BootServerStatusChoices
from ..validators import validate_base_url

__all__ = ('BootServer',)


class BootServer(PrimaryModel):
    """One running sidecar.

    It serves the subnets that name it, those inside its `prefixes`, and machines at its `sites` that have no address in
    a subnet yet (`feed.scope` has the rule).  The fields below `services` are what the sidecar last said of itself.
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
    applied_cursor = models.TextField(_('applied cursor'), blank=True, editable=False)
    out_of_step = models.JSONField(_('out of step'), default=list, blank=True, editable=False)

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

    @property
    def in_step(self):
        """Whether everything it serves is as it should be; None when it was never heard of."""
        return not self.out_of_step if self.last_heartbeat else None
