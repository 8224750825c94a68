"""Boot images: what is booted."""

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from netbox.models import PrimaryModel

from ..choices import ArchitectureChoices, BootMethodChoices
from ..validators import validate_initrds, validate_sha256, validate_source_url

__all__ = ('BootImage',)


class BootImage(PrimaryModel):
    """Kernel, initial RAM disks and arguments, or a disk image; each with its source and SHA-256."""

    name = models.CharField(_('name'), max_length=100, unique=True)
    platform = models.ForeignKey(
        'dcim.Platform',
        on_delete=models.PROTECT,
        related_name='substruct_boot_images',
        null=True,
        blank=True,
        verbose_name=_('platform'),
        help_text=_('The operating system that a machine has afterwards.'),
    )
    architecture = models.CharField(
        _('architecture'), max_length=50, choices=ArchitectureChoices, default=ArchitectureChoices.ARCH_X86_64
    )
    method = models.CharField(
        _('method'), max_length=50, choices=BootMethodChoices, default=BootMethodChoices.METHOD_INSTALLER
    )
    kernel_url = models.CharField(
        _('kernel URL'),
        max_length=500,
        blank=True,
        validators=[validate_source_url],
        help_text=_('The kernel, or for the method "chain load" the program to load.'),
    )
    kernel_sha256 = models.CharField(_('kernel SHA-256'), max_length=64, blank=True, validators=[validate_sha256])
    initrds = models.JSONField(
        _('initrds'),
        default=list,
        blank=True,
        validators=[validate_initrds],
        help_text=_('In order: [{"source": "http://…/initrd.gz", "sha256": "…"}]'),
    )
    arguments = models.TextField(
        _('kernel arguments'),
        blank=True,
        help_text=_('Jinja2, with the same context as the templates; new lines are taken as spaces.'),
    )
    disk_image_url = models.CharField(_('disk image URL'), max_length=500, blank=True, validators=[validate_source_url])
    disk_image_sha256 = models.CharField(
        _('disk image SHA-256'), max_length=64, blank=True, validators=[validate_sha256]
    )

    clone_fields = ('platform', 'architecture', 'method', 'initrds', 'arguments')

    class Meta:
        ordering = ('name',)
        verbose_name = _('boot image')
        verbose_name_plural = _('boot images')

    def __str__(self):
        return self.name

    def clean(self):
        super().clean()
        if self.method == BootMethodChoices.METHOD_DISK_IMAGE:
            if not self.disk_image_url:
                raise ValidationError({'disk_image_url': _('The method "disk image" needs the URL of the image.')})
        elif self.method != BootMethodChoices.METHOD_SCRIPT and not self.kernel_url:
            raise ValidationError(
                {'kernel_url': _('The method "%(method)s" needs the URL of the kernel or program to boot.')
                 % {'method': self.get_method_display()}}
            )  # fmt: skip
        if self.method == BootMethodChoices.METHOD_INSTALLER and not self.initrds:
            raise ValidationError({'initrds': _('An installer needs at least one initrd.')})

    def get_method_color(self):
        return BootMethodChoices.colors.get(self.method)

    @property
    def files(self):
        """Every file that a boot server has to hold: [{'role', 'url', 'sha256'}] with role kernel, initrd or disk."""
        found = []
        if self.kernel_url:
            found.append({'role': 'kernel', 'url': self.kernel_url, 'sha256': self.kernel_sha256 or None})
        for entry in self.initrds:
            found.append({'role': 'initrd', 'url': entry['source'], 'sha256': entry.get('sha256') or None})
        if self.disk_image_url:
            found.append({'role': 'disk', 'url': self.disk_image_url, 'sha256': self.disk_image_sha256 or None})
        return found
