"""Pages of waves and their members, and what is done with waves."""

from django.shortcuts import render
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.object_actions import (
    AddObject,
    BulkDelete,
    BulkEdit,
    BulkExport,
    BulkImport,
    CloneObject,
    DeleteObject,
    EditObject,
)
from netbox.ui import layout
from netbox.ui import panels as netbox_panels
from netbox.ui.breadcrumbs import Breadcrumb
from netbox.views import generic
from netbox.views.generic.base import BaseObjectView
from utilities.permissions import get_permission_for_model
from utilities.views import register_model_view

from .. import filtersets, forms, panels, tables
from ..choices import WaveMemberStateChoices
from ..models import Wave, WaveMember
from ..seen import DependentsSeen
from ..waves import moves
from .actions import ActionView, link
from .base import ClearsToDefaultMixin, TeachesMixin

__all__ = (
    'WaveBulkDeleteView',
    'WaveBulkEditView',
    'WaveBulkImportView',
    'WaveDeleteView',
    'WaveEditView',
    'WaveListView',
    'WaveLiveView',
    'WaveMemberBulkDeleteView',
    'WaveMemberBulkEditView',
    'WaveMemberBulkImportView',
    'WaveMemberDeleteView',
    'WaveMemberEditView',
    'WaveMemberListView',
    'WaveMemberView',
    'WavePauseView',
    'WaveResumeView',
    'WaveRetryView',
    'WaveStartView',
    'WaveStopView',
    'WaveView',
)

WAVES = Wave.objects.select_related('profile', 'requested_by')
MEMBERS = WaveMember.objects.select_related(
    'wave', 'machine__device__device_type', 'machine__virtual_machine', 'build__machine__device__device_type',
    'build__machine__virtual_machine',
).defer('build__request')  # fmt: skip


class Button:
    """One of the buttons in the live part of a wave's page, offered where the move behind it is possible."""

    def __init__(self, name, label, icon, color):
        self.name, self.label, self.icon, self.color = name, label, icon, color
        self.url = f'plugins:netbox_substruct:wave_{name}'

    def offered(self, user, wave):
        if wave.state not in moves.FROM[self.name] or not user.has_perm('netbox_substruct.change_wave', wave):
            return False
        if self.name in ('start', 'resume', 'retry') and not user.has_perm('netbox_substruct.build_machine'):
            return False
        if self.name == 'start':
            return wave.members.exists()
        if self.name == 'retry':
            return wave.members.filter(state__in=moves.ENDED_BADLY).exists()
        if self.name == 'resume':
            waiting = (WaveMemberStateChoices.STATE_WAITING, WaveMemberStateChoices.STATE_LEFT_OUT)
            return wave.members.filter(state__in=waiting).exists()
        return True


BUTTONS = (
    Button('start', _('Start'), 'play', 'green'),
    Button('pause', _('Pause'), 'pause', 'yellow'),
    Button('resume', _('Resume'), 'play', 'green'),
    Button('retry', _('Retry the failed'), 'restart', 'blue'),
    Button('stop', _('Stop'), 'stop', 'red'),
)


@register_model_view(Wave, 'list', path='', detail=False)
class WaveListView(TeachesMixin, generic.ObjectListView):
    queryset = WAVES
    filterset = filtersets.WaveFilterSet
    filterset_form = forms.WaveFilterForm
    table = tables.WaveTable
    empty_text = _('No waves yet. Tick machines or devices in their lists and choose “Build in a Wave”.')
    actions = (AddObject, BulkImport, BulkExport, BulkEdit, BulkDelete)


@register_model_view(Wave)
class WaveView(generic.ObjectView):
    queryset = WAVES
    template_name = 'generic/object.html'
    actions = (CloneObject, EditObject, DeleteObject)
    layout = layout.Layout(
        layout.Row(layout.Column(panels.WaveProgressPanel(BUTTONS))),
        layout.Row(
            layout.Column(
                panels.WavePanel(), netbox_panels.CommentsPanel(), netbox_panels.PluginContentPanel('left_page')
            ),
            layout.Column(
                panels.WaveWindowPanel(),
                CustomFieldsPanel(),
                TagsPanel(),
                netbox_panels.PluginContentPanel('right_page'),
            ),
        ),
        layout.Row(layout.Column(netbox_panels.PluginContentPanel('full_width_page'))),
    )


@register_model_view(Wave, 'live')
class WaveLiveView(BaseObjectView):
    """The part of a wave's page that moves."""

    queryset = WAVES

    def get_required_permission(self):
        return get_permission_for_model(Wave, 'view')

    def get(self, request, pk):
        wave = self.get_object(pk=pk)
        buttons = [button for button in BUTTONS if button.offered(request.user, wave)]
        return render(request, 'netbox_substruct/inc/wave_live.html', panels.wave_progress(wave, request.user, buttons))


@register_model_view(Wave, 'add', detail=False)
@register_model_view(Wave, 'edit')
class WaveEditView(generic.ObjectEditView):
    queryset = WAVES
    form = forms.WaveForm


@register_model_view(Wave, 'delete')
class WaveDeleteView(DependentsSeen, generic.ObjectDeleteView):
    queryset = WAVES


@register_model_view(Wave, 'bulk_import', path='import', detail=False)
class WaveBulkImportView(generic.BulkImportView):
    queryset = WAVES
    model_form = forms.WaveImportForm


@register_model_view(Wave, 'bulk_edit', path='edit', detail=False)
class WaveBulkEditView(ClearsToDefaultMixin, generic.BulkEditView):
    queryset = WAVES
    filterset = filtersets.WaveFilterSet
    table = tables.WaveTable
    form = forms.WaveBulkEditForm


@register_model_view(Wave, 'bulk_delete', path='delete', detail=False)
class WaveBulkDeleteView(generic.BulkDeleteView):
    queryset = WAVES
    filterset = filtersets.WaveFilterSet
    table = tables.WaveTable


#
# What is done with waves
#


def visible(user, wave):
    return WaveMember.objects.restrict(user, 'view').filter(wave=wave)


class WaveActionView(ActionView):
    queryset = WAVES
    action = 'change'
    title = ''
    message = ''
    button_label = ''

    def describe(self, obj):
        return {
            'title': self.title.format(wave=obj),
            'message': self.message,
            'button_label': self.button_label,
            'button_class': self.button_class,
        }


@register_model_view(Wave, 'start')
class WaveStartView(WaveActionView):
    form = forms.StartWaveForm
    title = _('Start wave {wave}')
    button_label = _('Start')
    button_class = 'danger'

    def form_kwargs(self, obj):
        return {'wave': obj}

    def describe(self, obj):
        count = visible(self.request.user, obj).exclude(state=WaveMemberStateChoices.STATE_LEFT_OUT).count()
        return {
            **super().describe(obj),
            'message': ngettext(
                '{count} machine is installed anew, by your permission. Everything on its disks is erased.',
                'Up to {count} machines are installed anew, by your permission. Everything on their disks is erased.',
                count,
            ).format(count=count),
        }

    def act(self, request, obj, data):
        return moves.start(obj, user=request.user)

    def done(self, obj):
        return format_html(_('Started wave {}'), link(obj))


@register_model_view(Wave, 'pause')
class WavePauseView(WaveActionView):
    title = _('Pause wave {wave}')
    message = _('No more builds are begun until somebody resumes it. Those under way go on.')
    button_label = _('Pause')

    def act(self, request, obj, data):
        return moves.pause(obj, user=request.user)

    def done(self, obj):
        return format_html(_('Paused wave {}'), link(obj))


@register_model_view(Wave, 'resume')
class WaveResumeView(WaveActionView):
    title = _('Resume wave {wave}')
    message = _(
        'It goes on with the machines that wait, by your permission: everything on their disks is erased. What had '
        'failed when it was stopped is not counted any more.'
    )
    button_label = _('Resume')
    button_class = 'danger'

    def act(self, request, obj, data):
        return moves.resume(obj, user=request.user)

    def done(self, obj):
        return format_html(_('Resumed wave {}'), link(obj))


@register_model_view(Wave, 'stop')
class WaveStopView(WaveActionView):
    form = forms.StopWaveForm
    title = _('Stop wave {wave}')
    message = _('No more builds are begun. What has not been built stays as it is.')
    button_label = _('Stop')
    button_class = 'danger'

    def act(self, request, obj, data):
        return moves.stop(obj, cancel_builds=data['cancel_builds'], user=request.user)

    def done(self, obj):
        return format_html(_('Stopped wave {}'), link(obj))


@register_model_view(Wave, 'retry')
class WaveRetryView(WaveActionView):
    title = _('Retry the failed of wave {wave}')
    button_label = _('Retry')
    button_class = 'danger'

    def describe(self, obj):
        count = visible(self.request.user, obj).filter(state__in=moves.ENDED_BADLY).count()
        return {
            **super().describe(obj),
            'message': ngettext(
                '{count} machine that failed or was cancelled is built once more, by your permission, and the wave '
                'goes on with those that wait. Everything on their disks is erased.',
                '{count} machines that failed or were cancelled are built once more, by your permission, and the wave '
                'goes on with those that wait. Everything on their disks is erased.',
                count,
            ).format(count=count),
        }

    def act(self, request, obj, data):
        return moves.retry(obj, user=request.user)

    def done(self, obj):
        return format_html(_('Wave {} tries again what had failed'), link(obj))


#
# Members
#


@register_model_view(WaveMember, 'list', path='', detail=False)
class WaveMemberListView(TeachesMixin, generic.ObjectListView):
    queryset = WaveMember.objects.all()
    filterset = filtersets.WaveMemberFilterSet
    filterset_form = forms.WaveMemberFilterForm
    table = tables.WaveMemberTable
    empty_text = _('No members yet. They are the machines of waves.')
    actions = (AddObject, BulkImport, BulkExport, BulkEdit, BulkDelete)


@register_model_view(WaveMember)
class WaveMemberView(generic.ObjectView):
    queryset = MEMBERS
    template_name = 'generic/object.html'
    actions = (EditObject, DeleteObject)
    layout = layout.SimpleLayout(
        breadcrumbs=[Breadcrumb('wave')],
        left_panels=[panels.WaveMemberPanel()],
        right_panels=[CustomFieldsPanel(), TagsPanel()],
    )


@register_model_view(WaveMember, 'add', detail=False)
@register_model_view(WaveMember, 'edit')
class WaveMemberEditView(generic.ObjectEditView):
    queryset = MEMBERS
    form = forms.WaveMemberForm


@register_model_view(WaveMember, 'delete')
class WaveMemberDeleteView(generic.ObjectDeleteView):
    queryset = MEMBERS


@register_model_view(WaveMember, 'bulk_import', path='import', detail=False)
class WaveMemberBulkImportView(generic.BulkImportView):
    queryset = WaveMember.objects.all()
    model_form = forms.WaveMemberImportForm


@register_model_view(WaveMember, 'bulk_edit', path='edit', detail=False)
class WaveMemberBulkEditView(generic.BulkEditView):
    queryset = WaveMember.objects.all()
    filterset = filtersets.WaveMemberFilterSet
    table = tables.WaveMemberTable
    form = forms.WaveMemberBulkEditForm


@register_model_view(WaveMember, 'bulk_delete', path='delete', detail=False)
class WaveMemberBulkDeleteView(generic.BulkDeleteView):
    queryset = WaveMember.objects.all()
    filterset = filtersets.WaveMemberFilterSet
    table = tables.WaveMemberTable
