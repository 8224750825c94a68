"""Panels on the pages of waves and their members."""

from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from netbox.ui import attrs, panels
from utilities.string import humanize_duration

from ..choices import WaveMemberStateChoices as MemberState
from ..choices import WaveStateChoices as State
from ..choices import WeekdayChoices
from ..waves import summary

__all__ = ('WaveMemberPanel', 'WavePanel', 'WaveProgressPanel', 'WaveWindowPanel', 'wave_progress')

# State, what it is called at a glance, and its icon: colour is never the only sign.
GLANCE = (
    (MemberState.STATE_DONE, _('Done'), 'check-circle-outline'),
    (MemberState.STATE_BUILDING, _('Under way'), 'progress-wrench'),
    (MemberState.STATE_WAITING, _('Waiting'), 'clock-outline'),
    (MemberState.STATE_FAILED, _('Failed'), 'alert-circle-outline'),
    (MemberState.STATE_CANCELLED, _('Cancelled'), 'cancel'),
    (MemberState.STATE_LEFT_OUT, _('Left out'), 'minus-circle-outline'),
)
ICONS = {state: icon for state, _words, icon in GLANCE}
# What may be empty is only shown when it is not.
RARE = frozenset({MemberState.STATE_CANCELLED, MemberState.STATE_LEFT_OUT})
WAVE_ICONS = {
    State.STATE_PLANNED: 'calendar-clock',
    State.STATE_RUNNING: 'play-circle-outline',
    State.STATE_PAUSED: 'pause-circle-outline',
    State.STATE_STOPPED: 'stop-circle-outline',
    State.STATE_COMPLETE: 'check-circle-outline',
}


def wave_progress(wave, user, buttons=()):
    """What the live part of a wave's page shows."""
    known = summary.progress(wave, user)
    rows = summary.rows(wave, user)
    colors = MemberState.colors
    may_add = user.has_perm('netbox_substruct.add_wavemember')
    members_url = f'{reverse("plugins:netbox_substruct:wavemember_list")}?wave_id={wave.pk}'
    return {
        'object': wave,
        'icon': WAVE_ICONS.get(wave.state),
        'progress': known,
        'glance': [
            {
                'state': state,
                'label': label,
                'icon': icon,
                'color': colors.get(state),
                'count': known.counts[state],
                'share': round(known.share(state), 2),
                'url': f'{members_url}&state={state}',
                'in_bar': state not in (MemberState.STATE_WAITING, MemberState.STATE_LEFT_OUT),
            }
            for state, label, icon in GLANCE
            if known.counts[state] or state not in RARE
        ],
        'rows': [(row, ICONS[row.member.state], humanize_duration(row.duration)) for row in rows],
        'hidden': known.total - len(rows),
        'members_url': members_url,
        # Of single objects their own pages decide.
        'may': {
            name: user.has_perm(f'netbox_substruct.{permission}')
            for name, permission in (
                ('machine', 'view_machine'),
                ('build', 'view_build'),
                ('edit', 'change_wavemember'),
            )
        },
        'add_url': _add_url(wave) if wave.state != State.STATE_RUNNING and may_add else '',
        'buttons': buttons,
        'lively': wave.state in (State.STATE_RUNNING, State.STATE_PAUSED) or bool(known.counts['building']),
        'live_url': reverse('plugins:netbox_substruct:wave_live', args=[wave.pk]),
    }


def _add_url(wave):
    query = urlencode({'wave': wave.pk, 'return_url': wave.get_absolute_url()})
    return f'{reverse("plugins:netbox_substruct:wavemember_add")}?{query}'


class WaveProgressPanel(panels.ObjectPanel):
    """How far it has come, why it waits, and its machines; moves without reloading."""

    template_name = 'netbox_substruct/panels/wave.html'

    def __init__(self, buttons):
        super().__init__()
        self.buttons = buttons

    def get_context(self, context):
        ctx = super().get_context(context)
        wave, user = ctx['object'], ctx['request'].user
        return {
            **ctx,
            'title': '',
            **wave_progress(wave, user, [button for button in self.buttons if button.offered(user, wave)]),
        }


class WavePanel(panels.ObjectAttributesPanel):
    profile = attrs.RelatedObjectAttr('profile', label=_('Profile'), linkify=True)
    at_once = attrs.NumericAttr('at_once', label=_('At once'))
    canaries = attrs.NumericAttr('canaries', label=_('Canaries'))
    max_failures = attrs.NumericAttr('max_failures', label=_('Failures allowed'))
    requested_by = attrs.RelatedObjectAttr('requested_by', label=_('Requested by'), linkify=True)
    description = attrs.TextAttr('description', label=_('Description'))


class WaveWindowPanel(panels.ObjectPanel):
    """When builds may be begun."""

    template_name = 'netbox_substruct/panels/wave_window.html'
    title = _('Maintenance Window')

    def get_context(self, context):
        ctx = super().get_context(context)
        wave = ctx['object']
        days = dict(WeekdayChoices)
        return {
            **ctx,
            'limited': wave.window.limited,
            'days': ', '.join(str(days[day]) for day in days if day in wave.days) or _('Every day'),
            'zone': wave.window.zone,
        }


class WaveMemberPanel(panels.ObjectAttributesPanel):
    wave = attrs.RelatedObjectAttr('wave', label=_('Wave'), linkify=True)
    machine = attrs.RelatedObjectAttr('machine', label=_('Machine'), linkify=True)
    order = attrs.NumericAttr('order', label=_('Order'))
    override = attrs.TextAttr('override', label=_('Override'))
    state = attrs.ChoiceAttr('state', label=_('State'))
    reason = attrs.TextAttr('reason', label=_('Reason'))
    build = attrs.RelatedObjectAttr('build', label=_('Build'), linkify=True)
    attempts = attrs.NumericAttr('attempts', label=_('Attempts'))
    excused = attrs.BooleanAttr('excused', label=_('Excused'))
