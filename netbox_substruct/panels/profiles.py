"""Panels on the pages of profiles and their templates."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from netbox.plugins import get_plugin_config
from netbox.ui import attrs, panels

from .. import insight
from ..models import Profile
from ..models.profiles import DEFAULTS, LIMITS, is_set
from .base import RowsPanel, link

__all__ = (
    'ProfileChainPanel',
    'ProfileEffectivePanel',
    'ProfilePanel',
    'ProfileTemplatePanel',
    'ProfileTemplatesPanel',
)


class ProfilePanel(panels.ObjectAttributesPanel):
    name = attrs.TextAttr('name')
    slug = attrs.TextAttr('slug', style='font-monospace')
    parent = attrs.RelatedObjectAttr('parent', linkify=True)
    description = attrs.TextAttr('description')


class ProfileChainPanel(RowsPanel):
    """The profile and those that it inherits from, nearest first, with what each sets."""

    title = _('Inheritance')
    headings = (_('Profile'), _('Sets'))

    FIELDS = (
        'boot_image_id', 'parameters', 'parameter_schema', 'disk_layout', 'handoff', 'built_status', 'built_address',
        'built_dns_name', 'pending_limit', 'stall_limit',
    )  # fmt: skip

    def get_rows(self, obj, user):
        for profile in obj.chain:
            names = [
                str(profile._meta.get_field(name.removesuffix('_id')).verbose_name)
                for name in self.FIELDS
                if is_set(getattr(profile, name))
            ]
            yield link(profile, user) if profile != obj else str(profile), ', '.join(names)

    def should_render(self, context):
        return context['object'].parent_id is not None


class ProfileEffectivePanel(RowsPanel):
    """What a machine becomes, inherited or not."""

    title = _('What a Machine Becomes')
    headings = (_('Setting'), _('Value'), _('From'))

    def get_rows(self, obj, user):
        for name in ('boot_image', 'handoff', 'built_status', *DEFAULTS, *LIMITS):
            label = str(obj._meta.get_field(name).verbose_name)
            label = label[:1].upper() + label[1:]
            owner = obj.owner_of(name)
            if owner is None:
                yield label, self._default(name), None
                continue
            if name == 'boot_image':
                value = link(owner.boot_image, user)
            elif name in LIMITS:
                value = _minutes(getattr(owner, name))
            else:
                value = getattr(owner, f'get_{name}_display')()
            yield label, value, _('This profile') if owner == obj else link(owner, user)

    @staticmethod
    def _default(name):
        """What holds where no profile says anything."""
        if name in LIMITS:
            return _minutes(get_plugin_config('netbox_substruct', name))
        if name in DEFAULTS:
            field = Profile._meta.get_field(name)
            return dict(field.flatchoices)[DEFAULTS[name]]
        return None


def _minutes(value):
    if not value:
        return _('Never')
    return ngettext('After {count} minute', 'After {count} minutes', value).format(count=value)


class ProfileTemplatesPanel(RowsPanel):
    """The template of each kind that a build would use: the profile’s own, else its parents’, else the boot image’s."""

    title = _('Templates in Use')
    headings = (_('Kind'), _('Config template'), _('From'))
    empty_text = _('None: neither this profile nor its parents nor the boot image have a template.')

    def get_rows(self, obj, user):
        for template, owner in insight.templates_of(obj, user):
            yield (
                template.get_kind_display(),
                link(template.config_template, user),
                _('This profile') if owner == obj else link(owner, user),
            )


class ProfileTemplatePanel(panels.ObjectAttributesPanel):
    profile = attrs.RelatedObjectAttr('profile', linkify=True)
    boot_image = attrs.RelatedObjectAttr('boot_image', linkify=True)
    kind = attrs.ChoiceAttr('kind')
    config_template = attrs.RelatedObjectAttr('config_template', linkify=True)
