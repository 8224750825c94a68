"""Machines: computers that can network-boot."""

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from dcim.fields import MACAddressField
from netbox.models import PrimaryModel

from ..choices import (
    ArchitectureChoices,
    FirmwareChoices,
    LocalBootChoices,
    MachineStateChoices,
    NextBootChoices,
)
from ..lifecycle.states import BUILD_ACTIVE, BUILD_OPEN, machine_state
from ..validators import validate_object

__all__ = ('Machine',)


class Machine(PrimaryModel):
    """A physical or virtual computer: a NetBox device or virtual machine, or a discovered one that is neither yet.

    `state` and `next_boot` are moved by `lifecycle` alone.
    """

    device = models.OneToOneField(
        'dcim.Device',
        on_delete=models.CASCADE,
        related_name='substruct_machine',
        null=True,
        blank=True,
        verbose_name=_('device'),
    )
    virtual_machine = models.OneToOneField(
        'virtualization.VirtualMachine',
        on_delete=models.CASCADE,
        related_name='substruct_machine',
        null=True,
        blank=True,
        verbose_name=_('virtual machine'),
    )
    discovered_name = models.CharField(
        _('discovered name'),
        max_length=100,
        blank=True,
        help_text=_('What a machine is called that is neither device nor virtual machine yet.'),
    )
    uuid = models.UUIDField(
        _('UUID'), null=True, blank=True, db_index=True, help_text=_('SMBIOS UUID, as the firmware shows it.')
    )
    serial = models.CharField(
        _('serial number'),
        max_length=100,
        blank=True,
        db_index=True,
        help_text=_('As the firmware says it; if empty, the device’s serial number is used.'),
    )
    architecture = models.CharField(
        _('architecture'), max_length=50, choices=ArchitectureChoices, default=ArchitectureChoices.ARCH_X86_64
    )
    firmware = models.CharField(
        _('firmware'),
        max_length=50,
        choices=FirmwareChoices,
        blank=True,
        help_text=_('If empty: whatever the machine says when it boots.'),
    )
    boot_mac = MACAddressField(
        _('boot MAC address'),
        null=True,
        blank=True,
        help_text=_('The port that it boots from; if empty, every port with a MAC address may be it.'),
    )
    boot_server = models.ForeignKey(
        'BootServer',
        on_delete=models.SET_NULL,
        related_name='machines',
        null=True,
        blank=True,
        verbose_name=_('boot server'),
        help_text=_('If empty: the boot server follows from the addresses of the machine, else from its site.'),
    )
    profile = models.ForeignKey(
        'Profile',
        on_delete=models.PROTECT,
        related_name='machines',
        null=True,
        blank=True,
        verbose_name=_('profile'),
        help_text=_('What it becomes when it is built.'),
    )
    parameters = models.JSONField(
        _('parameters'),
        default=dict,
        blank=True,
        validators=[validate_object],
        help_text=_('A JSON object for this machine alone; overrides the profile’s and the config contexts.'),
    )
    local_boot = models.CharField(
        _('local boot'),
        max_length=50,
        choices=LocalBootChoices,
        default=LocalBootChoices.LOCAL_AUTO,
        help_text=_('How it reaches its own disk when there is nothing to do.'),
    )
    state = models.CharField(
        _('state'),
        max_length=50,
        choices=MachineStateChoices,
        default=MachineStateChoices.STATE_REGISTERED,
        editable=False,
    )
    next_boot = models.CharField(
        _('next boot'), max_length=50, choices=NextBootChoices, blank=True, default='', editable=False
    )
    last_seen = models.DateTimeField(_('last seen'), null=True, blank=True, editable=False)
    discovery_rule = models.ForeignKey(
        'DiscoveryRule',
        on_delete=models.SET_NULL,
        related_name='machines',
        null=True,
        blank=True,
        editable=False,
        verbose_name=_('discovery rule'),
        help_text=_('The rule that made it a device without asking anybody.'),
    )
    discovery_problem = models.TextField(_('problem of discovery'), blank=True, editable=False)

    clone_fields = ('architecture', 'firmware', 'boot_server', 'profile', 'parameters', 'local_boot')

    class Meta:
        ordering = ('pk',)
        verbose_name = _('machine')
        verbose_name_plural = _('machines')
        constraints = (
            models.CheckConstraint(
                condition=models.Q(device__isnull=True) | models.Q(virtual_machine__isnull=True),
                name='%(app_label)s_%(class)s_one_object',
                violation_error_message=_('A machine is a device or a virtual machine, not both.'),
            ),
        )
        indexes = (models.Index(fields=('boot_mac',)), models.Index(fields=('state',)))
        permissions = [
            ('build', 'Request a build of a machine, and ask for its next boot'),
            ('preview', 'Preview the artifacts of a machine, with its parameters'),
        ]

    def __str__(self):
        return self.name

    @property
    def name(self):
        """The name of the device or virtual machine; else what it was called when discovered; else its identifiers."""
        if self.object is not None:
            # Not str() alone: NetBox adds the asset tag of a device to its name there.
            return self.object.name or str(self.object)
        if self.discovered_name:
            return self.discovered_name
        for value in (self.serial, self.boot_mac, self.uuid):
            if value:
                return str(value)
        return f'Machine {self.pk}' if self.pk else 'Machine'

    @property
    def object(self):
        """The Device or VirtualMachine that this machine is, or None."""
        return self.device or self.virtual_machine

    @property
    def site(self):
        """The Site where the machine stands, or None when nobody has said."""
        return self.object.site if self.object is not None else None

    @property
    def active_build(self):
        """The Build that is pending or under way, or None."""
        return self.builds.filter(state__in=BUILD_ACTIVE).first()

    @property
    def open_build(self):
        """The newest Build, if news of it is still taken: it is pending, under way or stalled.  Else None."""
        build = self.builds.defer('request').order_by('-pk').first()
        return build if build is not None and build.state in BUILD_OPEN else None

    def clean(self):
        super().clean()
        if self.device_id and self.virtual_machine_id:
            raise ValidationError(_('A machine is a device or a virtual machine, not both.'))
        if not self._state.adding:
            was = Machine.objects.filter(pk=self.pk).values_list('device_id', 'virtual_machine_id').first()
            if was and any(was) and was != (self.device_id, self.virtual_machine_id):
                raise ValidationError(
                    _('A machine cannot become another device or virtual machine; delete it and register the other.')
                )
        if not (self.object or self.discovered_name or self.serial or self.boot_mac or self.uuid):
            raise ValidationError(_('Choose a device or virtual machine, or give a name, MAC address, serial or UUID.'))

    def save(self, *args, **kwargs):
        """Registered or discovered, as it is a device or virtual machine or not yet; and whoever listens is told."""
        from ..lifecycle import events

        adding, before = self._state.adding, self.state
        self.state = machine_state(self.state, known=bool(self.device_id or self.virtual_machine_id))
        super().save(*args, **kwargs)
        if not adding and before == MachineStateChoices.STATE_DISCOVERED and self.object is not None:
            events.emit(self, events.MACHINE_ADOPTED)
        if (adding or self.state != before) and (event_type := events.OF_MACHINE_STATE.get(self.state)):
            events.emit(self, event_type)

    def get_state_color(self):
        return MachineStateChoices.colors.get(self.state)

    def get_firmware_color(self):
        return FirmwareChoices.colors.get(self.firmware)

    def get_next_boot_color(self):
        return NextBootChoices.colors.get(self.next_boot)
