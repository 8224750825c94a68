"""Baseboard management controllers: how a machine's power is reached."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from netbox.models import PrimaryModel

from ..choices import BMCProtocolChoices
from ..validators import validate_credential_name

__all__ = ('BMC',)


class BMC(PrimaryModel):
    """The controller of one machine.  Its password is the boot server's; here stands only the credential's name."""

    machine = models.OneToOneField('Machine', on_delete=models.CASCADE, related_name='bmc', verbose_name=_('machine'))
    protocol = models.CharField(
        _('protocol'), max_length=50, choices=BMCProtocolChoices, default=BMCProtocolChoices.PROTOCOL_REDFISH
    )
    address = models.GenericIPAddressField(
        _('address'), null=True, blank=True, help_text=_('If empty: the out-of-band IP address of the device.')
    )
    port = models.PositiveIntegerField(
        _('port'),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
        help_text=_('If empty: 623 for IPMI, 443 for Redfish.'),
    )
    credential = models.CharField(
        _('credential'),
        max_length=100,
        validators=[validate_credential_name],
        help_text=_('Name of the credential on the boot server. The password itself is never stored in NetBox.'),
    )

    clone_fields = ('protocol', 'port', 'credential')
    prerequisite_models = ('netbox_substruct.Machine',)

    class Meta:
        ordering = ('machine',)
        verbose_name = _('BMC')
        verbose_name_plural = _('BMCs')

    def __str__(self):
        return f'{self.machine} ({self.get_protocol_display()})'

    @property
    def effective_address(self):
        """The address to talk to, as text without prefix length, or None when nobody has said it."""
        if self.address:
            return self.address
        oob_ip = self.machine.device.oob_ip if self.machine.device else None
        return str(oob_ip.address.ip) if oob_ip else None

    def get_protocol_color(self):
        return BMCProtocolChoices.colors.get(self.protocol)
