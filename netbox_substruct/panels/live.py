"""What a page shows of a build while one watches it: state, stages, timeline and logs.  They move without reloading."""

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from netbox.ui import panels

from .. import timeline, watching
from ..choices import BuildEventKindChoices as Kind
from ..choices import BuildStateChoices as State
from ..lifecycle.retrying import RETRIED
from ..models import BuildEvent

__all__ = ('BuildLivePanel', 'BuildLogPanel', 'build_live', 'build_log')

# Colour is never the only sign.
ICONS = {
    State.STATE_PENDING: 'clock-outline',
    State.STATE_BOOTING: 'power',
    State.STATE_INSTALLING: 'progress-wrench',
    State.STATE_FINISHING: 'flag-outline',
    State.STATE_COMPLETE: 'check-circle-outline',
    State.STATE_FAILED: 'alert-circle-outline',
    State.STATE_CANCELLED: 'cancel',
    State.STATE_STALLED: 'timer-alert-outline',
}
HINTS = {
    State.STATE_PENDING: _('It waits for the machine. Switch it on, or restart it, and let it boot from the network.'),
    State.STATE_STALLED: _(
        'The machine boots its own disk. If it is heard of again, the build goes on; otherwise look at its console and '
        'try again.'
    ),
    State.STATE_CANCELLED: _('The machine boots its own disk.'),
}


def _url(name, build):
    return reverse(f'plugins:netbox_substruct:{name}', args=[build.pk])


def build_live(build, user, buttons=(), *, title=False):
    """What the live part of a page shows of a build; with `title` on the page of something else, so it says which."""
    now = timezone.now()
    events = None
    if user.has_perm('netbox_substruct.view_buildevent'):
        visible = BuildEvent.objects.restrict(user, 'view').filter(build=build)
        events = list(visible.order_by('pk').values_list('pk', 'kind', 'time'))
    last = events[-1][0] if events else None
    interval = watching.interval(build.state)
    kinds, colors, states = dict(Kind), Kind.colors, dict(State)
    found = timeline.of_build(build, user) if events else []
    since = now - build.created
    seen = watching.seen(build.state, build.progress, last, since)
    return {
        'object': build,
        'named': title,
        'icon': ICONS[build.state],
        'hint': HINTS.get(build.state, ''),
        'steps': [
            (stage, states[stage.state], timeline.span(stage.took) if stage.took is not None else '')
            for stage in watching.stages(
                [(kind, time) for _pk, kind, time in events], build.created, build.state, build.finished, now
            )
        ]
        if events is not None
        else [],
        'running': timeline.span(since) if build.is_active else '',
        'took': timeline.span(build.finished - build.created) if build.finished and not build.is_active else '',
        'silent': timeline.span(now - events[-1][2]) if events and build.is_active else '',
        'buttons': [(button, button.get_url(build)) for button in buttons if button.offered(user, build)],
        'interval': interval,
        'live_url': f'{_url("build_live", build)}?seen={seen}{"&of=machine" if title else ""}',
        'seen': seen,
        'changes_url': _url('build_changes', build) if build.state in RETRIED else '',
        'may_see_events': events is not None,
        'rows': [
            (
                row,
                kinds.get(row.event.kind, row.event.kind),
                colors.get(row.event.kind),
                timeline.span(row.after),
                timezone.localtime(row.event.time).strftime('%H:%M:%S') if row.count > 1 else '',
                reverse('plugins:netbox_substruct:buildevent', args=[row.event.id]),
            )
            for row in found
        ],
        'collapsed': any(row.count > 1 for row in found),
        'all_url': f'{reverse("plugins:netbox_substruct:buildevent_list")}?build_id={build.pk}',
    }


def build_log(build, user, after=0):
    """What the log shows of a build after an event; `last` is the one that is shown last."""
    parts, more = watching.logs(build, user, after)
    kinds = dict(Kind)
    last = parts[-1].event_id if parts else after
    return {
        'object': build,
        'parts': [
            (
                part,
                kinds.get(part.kind, part.kind),
                reverse('plugins:netbox_substruct:buildevent', args=[part.event_id]),
            )
            for part in parts
        ],
        'more': more and not after,
        'last': last,
        'interval': watching.interval(build.state),
        'log_url': f'{_url("build_log", build)}?after={last}',
        'all_url': f'{reverse("plugins:netbox_substruct:buildevent_list")}?build_id={build.pk}',
    }


class BuildLivePanel(panels.ObjectPanel):
    """State, stages and timeline.  `buttons` are what can be done about it, and change with its state."""

    template_name = 'netbox_substruct/inc/build_live.html'

    def __init__(self, buttons):
        super().__init__()
        self.buttons = buttons

    def get_context(self, context):
        ctx = super().get_context(context)
        return {**ctx, **build_live(ctx['object'], ctx['request'].user, self.buttons)}


class BuildLogPanel(panels.ObjectPanel):
    """What machine and installer wrote, in one place."""

    template_name = 'netbox_substruct/panels/build_log.html'
    title = _('Console and Installer Log')

    def should_render(self, context):
        return context['request'].user.has_perm('netbox_substruct.view_buildevent')

    def get_context(self, context):
        ctx = super().get_context(context)
        return {**ctx, **build_log(ctx['object'], ctx['request'].user)}
