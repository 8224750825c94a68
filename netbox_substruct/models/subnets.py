"""Subnets: what DHCP and discovery need to know of a prefix beyond what NetBox knows already."""

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from netaddr import IPNetwork

from netbox.models import PrimaryModel

from ..validators import validate_addresses, validate_dhcp_options, validate_dns_name

__all__ = ('Subnet',)


class Subnet(PrimaryModel):
    """The provisioning side of one prefix.

    A value that is not set is inherited from the subnet of the nearest prefix above that sets it (`feed.subnets`).
    """

    prefix = models.OneToOneField(
        'ipam.Prefix', on_delete=models.CASCADE, related_name='substruct_subnet', verbose_name=_('prefix')
    )
    boot_server = models.ForeignKey(
        'BootServer',
        on_delete=models.SET_NULL,
        related_name='subnets',
        null=True,
        blank=True,
        verbose_name=_('boot server'),
        help_text=_(
            'Only this boot server serves the subnet. If empty: inherited, else all whose prefixes or sites cover it.'
        ),
    )
    gateway = models.GenericIPAddressField(
        _('gateway'), null=True, blank=True, help_text=_('The router that DHCP hands out; inside the prefix.')
    )
    name_servers = ArrayField(
        models.GenericIPAddressField(),
        default=list,
        blank=True,
        verbose_name=_('name servers'),
        validators=[validate_addresses],
        help_text=_('Addresses, in the order in which machines ask them.'),
    )
    ntp_servers = ArrayField(
        models.GenericIPAddressField(),
        default=list,
        blank=True,
        verbose_name=_('NTP servers'),
        validators=[validate_addresses],
    )
    domain = models.CharField(
        _('domain'),
        max_length=253,
        blank=True,
        validators=[validate_dns_name],
        help_text=_('The domain of the machines here, for example dc1.example.com'),
    )
    lease_range = models.ForeignKey(
        'ipam.IPRange',
        on_delete=models.SET_NULL,
        related_name='substruct_subnets',
        null=True,
        blank=True,
        verbose_name=_('lease range'),
        help_text=_('Addresses for machines that have none of their own yet.'),
    )
    lease_time = models.PositiveIntegerField(
        _('lease time'), null=True, blank=True, help_text=_('Seconds; 3600 if nothing is set or inherited.')
    )
    dhcp_options = models.JSONField(
        _('DHCP options'),
        default=dict,
        blank=True,
        validators=[validate_dhcp_options],
        help_text=_(
            'Further options by number or name, for example {"tftp-server-name": "10.0.0.2"}; merged with '
            'inherited ones.'
        ),
    )
    dhcp_enabled = models.BooleanField(
        _('DHCP'), null=True, blank=True, help_text=_('Answer DHCP requests here. If unset: inherited, else off.')
    )
    discovery_enabled = models.BooleanField(
        _('discovery'),
        null=True,
        blank=True,
        help_text=_('Unknown machines boot the prospector. If unset: inherited, else off.'),
    )

    clone_fields = (
        'boot_server', 'name_servers', 'ntp_servers', 'domain', 'lease_time', 'dhcp_options', 'dhcp_enabled',
        'discovery_enabled',
    )  # fmt: skip
    prerequisite_models = ('ipam.Prefix',)

    class Meta:
        ordering = ('prefix',)
        verbose_name = _('subnet')
        verbose_name_plural = _('subnets')

    def __str__(self):
        return str(self.prefix) if self.prefix_id else ''

    def clean(self):
        super().clean()
        if not self.prefix_id:
            return
        # Text where the prefix was made in this process and not read from the database.
        network = IPNetwork(str(self.prefix.prefix))
        if self.gateway and self.gateway not in network:
            raise ValidationError(
                {'gateway': _('The gateway %(gateway)s is not inside %(prefix)s.')
                 % {'gateway': self.gateway, 'prefix': network}}
            )  # fmt: skip
        lease_range = self.lease_range
        if lease_range and (
            lease_range.vrf_id != self.prefix.vrf_id
            or IPNetwork(str(lease_range.start_address)).ip not in network
            or IPNetwork(str(lease_range.end_address)).ip not in network
        ):
            raise ValidationError(
                {'lease_range': _('The range %(range)s is not inside %(prefix)s of the same VRF.')
                 % {'range': lease_range, 'prefix': network}}
            )  # fmt: skip
        if self.lease_time is not None and self.lease_time < 60:
            raise ValidationError({'lease_time': _('A lease of less than a minute cannot be renewed in time.')})
