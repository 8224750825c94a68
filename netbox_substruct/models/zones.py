"""DNS zones that a boot server keeps."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from netbox.models import PrimaryModel

from ..choices import ZoneUpdateMethodChoices
from ..validators import validate_credential_name, validate_dns_name, validate_mailbox

__all__ = ('Zone',)


class Zone(PrimaryModel):
    """A DNS zone, forward or reverse, and how its records reach a name server.

    Its records are not stored: they follow from the DNS names of IP addresses (`feed.reader`, `feed.scope.ZoneIndex`).
    The SOA values are those of RFC 1035 section 3.3.13; times are in seconds.
    """

    name = models.CharField(
        _('name'),
        max_length=253,
        unique=True,
        validators=[validate_dns_name],
        help_text=_('For example dc1.example.com, or 0.0.10.in-addr.arpa for a reverse zone'),
    )
    boot_server = models.ForeignKey(
        'BootServer',
        on_delete=models.SET_NULL,
        related_name='zones',
        null=True,
        blank=True,
        verbose_name=_('boot server'),
        help_text=_('The boot server that keeps the zone up to date; nothing is served while this is empty.'),
    )
    update_method = models.CharField(
        _('update method'),
        max_length=50,
        choices=ZoneUpdateMethodChoices,
        default=ZoneUpdateMethodChoices.METHOD_RFC2136,
    )
    server = models.CharField(
        _('server'),
        max_length=253,
        blank=True,
        help_text=_(
            'Name server or API that takes the updates, as host or host:port. If empty: the boot server’s own.'
        ),
    )
    credential = models.CharField(
        _('credential'),
        max_length=100,
        blank=True,
        validators=[validate_credential_name],
        help_text=_('Name of the TSIG or API key on the boot server. The key itself is never stored in NetBox.'),
    )
    name_servers = ArrayField(
        models.CharField(max_length=253, validators=[validate_dns_name]),
        default=list,
        blank=True,
        verbose_name=_('name servers'),
        help_text=_('Names for the zone’s NS records.'),
    )
    ttl = models.PositiveIntegerField(_('TTL'), default=3600, help_text=_('Seconds, for records without their own.'))
    soa_mname = models.CharField(
        _('primary name server'), max_length=253, blank=True, validators=[validate_dns_name], help_text=_('SOA MNAME')
    )
    soa_rname = models.CharField(
        _('responsible mailbox'),
        max_length=253,
        blank=True,
        validators=[validate_mailbox],
        help_text=_('SOA RNAME, for example hostmaster.example.com or hostmaster@example.com'),
    )
    soa_refresh = models.PositiveIntegerField(_('SOA refresh'), default=43200)
    soa_retry = models.PositiveIntegerField(_('SOA retry'), default=7200)
    soa_expire = models.PositiveIntegerField(_('SOA expire'), default=2419200)
    soa_minimum = models.PositiveIntegerField(
        _('SOA minimum'), default=3600, help_text=_('How long an answer "no such name" may be kept (RFC 2308).')
    )

    clone_fields = (
        'boot_server', 'update_method', 'server', 'credential', 'name_servers', 'ttl', 'soa_mname', 'soa_rname',
        'soa_refresh', 'soa_retry', 'soa_expire', 'soa_minimum',
    )  # fmt: skip

    class Meta:
        ordering = ('name',)
        verbose_name = _('zone')
        verbose_name_plural = _('zones')

    def __str__(self):
        return self.name

    def clean(self):
        # DNS names are compared without regard to case (RFC 1035 section 2.3.3): one spelling is stored.
        self.name = self.name.lower().rstrip('.')
        super().clean()

    def clean_fields(self, exclude=None):
        # Before the validators run, so that the usual way of writing a zone with its final dot is taken.
        if self.name:
            self.name = self.name.lower().rstrip('.')
        super().clean_fields(exclude=exclude)

    @property
    def is_reverse(self):
        return self.name.endswith(('.in-addr.arpa', '.ip6.arpa'))

    def get_update_method_color(self):
        return ZoneUpdateMethodChoices.colors.get(self.update_method)
