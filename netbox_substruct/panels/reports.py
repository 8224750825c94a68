"""What boot servers report, on pages: how they and their services are, and what is wrong with what they serve."""

from datetime import datetime, timedelta

from django.apps import apps
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.timesince import timesince
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from netbox.ui import panels

from ..models import BootServer
from ..reports import shown
from ..reports.heartbeats import heard_lately
from .base import RowsPanel, link, monospace

__all__ = ('BootServerReportPanel', 'FilesPanel', 'OutOfStepPanel', 'ReportedProblemsPanel', 'ServicesPanel')

SERVICE_STATES = {
    'ok': (_('OK'), 'green'),
    'degraded': (_('Degraded'), 'orange'),
    'down': (_('Down'), 'red'),
    'off': (_('Off'), 'gray'),
}
SEVERITIES = {'error': (_('Error'), 'red'), 'warning': (_('Warning'), 'orange')}
FILE_COLORS = {'present': 'green', 'fetching': 'blue', 'waiting': 'gray', 'failed': 'red'}
SERVICE_NAMES = {
    'dhcp': 'DHCP', 'dns': 'DNS', 'files': _('Boot files'), 'http': 'HTTP', 'tftp': 'TFTP', 'power': _('Power'),
}  # fmt: skip


def badge(text, color):
    return format_html('<span class="badge text-bg-{}">{}</span>', color, text)


def ago(value):
    """How long ago a time was, with the time itself for who points at it; None where it is none."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value
    if time is None:
        return None
    if timezone.now() - time < timedelta(minutes=1):
        words = _t('just now')
    else:
        words = _t('{since} ago').format(since=timesince(time, depth=1))
    return format_html('<span class="text-nowrap" title="{}">{}</span>', time.isoformat(' ', 'seconds'), words)


def lines(values):
    return format_html_join(mark_safe('<br>'), '{}', ((value,) for value in values if value not in (None, '')))


def named(name):
    return SERVICE_NAMES.get(name, name)


def words_of(problem):
    """What is wrong, and below it what to do."""
    remedy = problem.get('remedy')
    return format_html(
        '<span class="text-break">{}</span>{}',
        problem.get('message', ''),
        format_html('<div class="text-secondary">{}</div>', remedy) if remedy else '',
    )


def severity_of(problem):
    return badge(*SEVERITIES.get(problem.get('severity'), SEVERITIES['error']))


class BootServerReportPanel(panels.ObjectPanel):
    """What a boot server last said of itself, and whether that still counts."""

    title = _('Reported by the Boot Server')
    template_name = 'netbox_substruct/panels/report.html'

    def get_context(self, context):
        context_data = super().get_context(context)
        boot_server = context_data['object']
        webhook = None
        if boot_server.webhook_id is not None:
            webhook = apps.get_model('extras.Webhook').objects.filter(pk=boot_server.webhook_id).first()
        request = context_data['request']
        return {
            **context_data,
            'instances': [(each.instance, each.version, ago(each.started)) for each in heard_lately(boot_server)],
            'heard': ago(boot_server.last_heartbeat),
            'waking': link(webhook, request.user if request else None) if webhook else None,
        }


class ServicesPanel(RowsPanel):
    title = _('Services')
    headings = (_('Service'), _('State'), _('There now'), _('To do'), _('Last applied'), _('Notes'))

    def get_rows(self, obj, user):
        for service in obj.services:
            label, color = SERVICE_STATES.get(service.get('state'), (service.get('state'), 'gray'))
            planned = service.get('planned') or {}
            cannot = service.get('cannot') or []
            notes = lines([service.get('message')])
            if cannot:
                notes += format_html(
                    '<details class="text-secondary"><summary>{}</summary><ul class="mb-0">{}</ul></details>',
                    _t('What {backend} cannot do ({count})').format(
                        backend=service.get('backend') or service['name'], count=len(cannot)
                    ),
                    format_html_join('', '<li>{}</li>', ((sentence,) for sentence in cannot)),
                )
            yield (
                format_html(
                    '<span class="text-nowrap">{}</span> <span class="text-secondary">{}</span>',
                    named(service.get('name')), service.get('backend') or '',
                ),
                badge(label, color),
                service.get('existing'),
                self.to_do(planned),
                ago(service.get('last_apply')),
                notes or None,
            )  # fmt: skip

    @staticmethod
    def to_do(planned):
        """What the service is going to change; a dash where there is nothing."""
        parts = [
            (color, sign, planned[name])
            for name, sign, color in (('add', '+', 'green'), ('change', '~', 'yellow'), ('remove', '−', 'red'))
            if planned.get(name)
        ]
        if not parts:
            return None
        return format_html(
            '<span class="text-nowrap" title="{}">{}</span>',
            _t('to add, to change, to remove'),
            format_html_join(' ', '<span class="text-{}">{}{}</span>', parts),
        )

    def should_render(self, context):
        return bool(context['object'].services)


class OutOfStepPanel(RowsPanel):
    """What the boot server could not make as NetBox wants it; errors first."""

    title = _('Problems')
    headings = (_('Severity'), _('Service'), _('Object'), _('What is wrong, and what to do'))

    def get_rows(self, obj, user):
        found, whole = shown.objects(obj.out_of_step, user)
        problems = shown.readable(obj.out_of_step, found, whole)
        for problem in sorted(problems, key=lambda problem: problem.get('severity', 'error') != 'error'):
            about = found.get((problem.get('what'), problem.get('id')))
            name = problem.get('name') or (f'{problem.get("what")} #{problem.get("id")}' if problem.get('id') else None)
            yield (
                severity_of(problem),
                named(problem.get('service')),
                link(about, user) if about is not None else name,
                words_of(problem),
            )

    def should_render(self, context):
        return bool(context['object'].out_of_step)


class ReportedProblemsPanel(RowsPanel):
    """What boot servers report about one object, which the feed calls `what`."""

    title = _('Problems Reported by Boot Servers')
    headings = (_('Severity'), _('Service'), _('What is wrong, and what to do'), _('Boot server'))

    def __init__(self, what, **kwargs):
        super().__init__(**kwargs)
        self.what = what

    def get_rows(self, obj, user):
        mine = {'what': self.what, 'id': obj.pk}
        for boot_server in BootServer.objects.filter(out_of_step__contains=[mine]).order_by('name'):
            name = link(boot_server, user)
            for problem in boot_server.out_of_step:
                if problem.get('what') == self.what and problem.get('id') == obj.pk:
                    said = lines([name, ago(boot_server.last_heartbeat) if boot_server.is_late else None])
                    yield severity_of(problem), named(problem.get('service')), words_of(problem), said

    def should_render(self, context):
        return bool(context['rows'])


def progress_of(file):
    """The state of a file that a boot server fetches, with how far it is or why it failed."""
    state, size, total = file.get('state', ''), file.get('bytes') or 0, file.get('total')
    parts = [badge(state, FILE_COLORS.get(state, 'gray'))]
    if total and size < total:
        parts.append(_t('{percent} % of {total}').format(percent=100 * size // total, total=filesizeformat(total)))
    elif size:
        parts.append(filesizeformat(size))
    text = format_html_join(' ', '<span class="text-nowrap">{}</span>', ((part,) for part in parts))
    if file.get('error'):
        text += format_html('<div class="text-danger text-break">{}</div>', file['error'])
    return text


class FilesPanel(RowsPanel):
    """Boot files that the boot server holds or fetches."""

    title = _('Boot Files')
    headings = (_('File'), _('State'), _('Reported'))

    def get_rows(self, obj, user):
        failed_first = {'failed': 0, 'fetching': 1, 'waiting': 2}
        for file in sorted(obj.files, key=lambda file: failed_first.get(file.get('state'), 3)):
            yield monospace(file['source']), progress_of(file), ago(file.get('time'))

    def should_render(self, context):
        return bool(context['object'].files)
