"""From a list of machines, devices or virtual machines, or from a rack or a site, to a wave that builds them.

The page shows what was chosen, and why something cannot be built; nothing is made before it is sent back.
"""

from dataclasses import dataclass

from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dcim.models import Device
from dcim.views import DeviceListView
from netbox.views.generic.base import BaseMultiObjectView
from utilities.forms import restrict_form_fields
from utilities.permissions import get_permission_for_model
from utilities.views import GetReturnURLMixin, register_model_view
from virtualization.models import VirtualMachine
from virtualization.views import VirtualMachineListView

from .. import filtersets, forms
from ..lifecycle import guarding
from ..lifecycle import machines as machine_moves
from ..lifecycle.errors import LifecycleError
from ..models import Machine, Wave
from ..permitted import covered
from ..waves import choosing, moves
from .actions import link
from .base import moving
from .buttons import Selected, put_beneath

__all__ = ('DeviceBuildInWaveView', 'MachineBuildInWaveView', 'VirtualMachineBuildInWaveView')

NEEDED = ('netbox_substruct.build_machine', 'netbox_substruct.add_wave', 'netbox_substruct.add_wavemember')
# More are not shown on one page, and not put into a wave in one step.
MOST = 1000


class BuildInWave(Selected):
    """Beneath a list: build what is ticked in a wave."""

    name = 'bulk_substruct_wave'
    label = gettext_lazy('Build in a Wave')
    icon = 'waves'

    @classmethod
    def render(cls, context, obj, **kwargs):
        if not context['request'].user.has_perms(NEEDED):
            return ''
        return super().render(context, obj, **kwargs)

    permission = NEEDED[0]


@dataclass(frozen=True, slots=True)
class Line:
    """A machine that was chosen, or a device or virtual machine that is none yet (`field` names what it is).

    `guard` is why its name has to be typed, `obstacle` why it cannot be built at all; `typed` is what was typed, and
    `unprofiled` says that it has no profile of its own.
    """

    obj: object
    field: str
    state: str
    color: str
    ticked: bool
    guard: str = ''
    obstacle: str = ''
    typed: str = ''
    unprofiled: bool = False


class BuildInWaveView(GetReturnURLMixin, BaseMultiObjectView):
    template_name = 'netbox_substruct/wave_choose.html'
    field = ''  # of Machine
    action = 'view'
    additional_permissions = NEEDED

    def get_required_permission(self):
        return get_permission_for_model(self.queryset.model, self.action)

    def chosen(self, request):
        """Machines, and devices or virtual machines that are none yet."""
        pks = self.ticked(request)
        objects = self.queryset.filter(pk__in=pks)
        found = Machine.objects.restrict(request.user, 'build').filter(**{f'{self.field}__in': objects})
        known = Machine.objects.filter(**{f'{self.field}__in': objects}).values(self.field)
        return found, list(objects.exclude(pk__in=known)[:MOST])

    def ticked(self, request):
        if request.POST.get('_all'):
            return self.filterset(request.GET, self.queryset.values_list('pk', flat=True), request=request).qs
        return [int(pk) for pk in request.POST.getlist('pk') if pk.isdigit()]

    def get(self, request):
        return redirect(self.get_return_url(request))

    def post(self, request):
        if '_confirm' in request.POST:
            return self.make(request)
        found, others = self.chosen(request)
        return self.page(request, found, others, self.form(request))

    def form(self, request, data=None, initial=None):
        form = forms.ChooseWaveForm(
            data, initial=initial, may_start=request.user.has_perm('netbox_substruct.change_wave')
        )
        restrict_form_fields(form, request.user)
        return form

    def page(self, request, found, others, form):
        sent = '_confirm' in request.POST
        found = list(
            found.select_related(*choosing.RELATED, 'device__device_type')
            .order_by('device__name', 'virtual_machine__name', 'discovered_name', 'pk')
            .distinct()[: MOST + 1]
        )
        if not found and not others:
            messages.warning(request, _('None of these can be built by you.'))
            return redirect(self.get_return_url(request))
        if len(found) + len(others) > MOST:
            messages.warning(request, _('At most {count} machines are put into a wave in one step.').format(count=MOST))
            return redirect(self.get_return_url(request))
        guards = guarding.guards(found)
        typed = {machine.pk: request.POST.get(f'override_{machine.pk}', '') for machine in found}
        # What can be put right on this page is no obstacle: a missing profile, and a name that is asked for.
        obstacles = choosing.obstacles(found, profiled=True, overrides={machine.pk: machine.name for machine in found})
        ticked = set(request.POST.getlist('machine')) if sent else None
        lines = [
            Line(
                machine, 'machine', machine.get_state_display(), machine.get_state_color(),
                ticked=str(machine.pk) in ticked if ticked is not None else machine.pk not in obstacles,
                guard=guards.get(machine.pk, ''), obstacle=obstacles.get(machine.pk, ''), typed=typed[machine.pk],
                unprofiled=machine.profile_id is None,
            )
            for machine in found
        ]  # fmt: skip
        registering = request.user.has_perm('netbox_substruct.add_machine')
        lines += [
            Line(
                obj, field_of(obj), obj.get_status_display(), obj.get_status_color(),
                ticked=registering and (not sent or str(obj.pk) in request.POST.getlist(field_of(obj))),
                obstacle='' if registering else _('It is not registered for provisioning.'),
            )
            for obj in others
        ]  # fmt: skip
        return render(
            request,
            self.template_name,
            {
                'lines': lines,
                'form': form,
                'model': Wave,
                'return_url': self.get_return_url(request),
                'target': reverse('plugins:netbox_substruct:machine_bulk_substruct_wave'),
            },
        )

    def make(self, request):
        """What was sent back: the wave with its machines, started if that was asked for; all of it or nothing."""
        user = request.user
        found = Machine.objects.restrict(user, 'build').filter(pk__in=numbers(request, 'machine'))
        others = [
            obj
            for model in (Device, VirtualMachine)
            for obj in model.objects.restrict(user, 'view').filter(pk__in=numbers(request, field_of(model)))
        ]
        form = self.form(request, request.POST)
        shown = Machine.objects.restrict(user, 'build').filter(pk__in=numbers(request, 'shown', 'machine'))
        if not found and not others:
            form.add_error(None, _('Choose at least one machine.'))
        overrides = {}
        for machine in found.select_related(*choosing.RELATED):
            typed = request.POST.get(f'override_{machine.pk}', '').strip()
            if typed and typed != machine.name:
                form.add_error(None, _('{typed} is not the name of {machine}.').format(typed=typed, machine=machine))
            overrides[machine.pk] = typed
        if form.is_valid():
            try:
                with moving(self, Wave):
                    wave = self.save(user, form, found, others, overrides)
            except LifecycleError as error:
                form.add_error(None, str(error))
            else:
                count = wave.members.count()
                messages.success(
                    request,
                    format_html(
                        ngettext('Wave {} has {} machine', 'Wave {} has {} machines', count), link(wave), count
                    ),
                )
                return redirect(wave)
        return self.page(request, shown, others, form)

    def save(self, user, form, found, others, overrides):
        wave = form.wave()
        wave.save()
        ordered = list(found.order_by('device__name', 'virtual_machine__name', 'discovered_name', 'pk'))
        if others:
            if not user.has_perm('netbox_substruct.add_machine'):
                raise LifecycleError(_('You have no permission to register machines.'))
            new = [machine_moves.register(obj, user=user) for obj in others]
            covered(user, 'add', new)
            ordered += new
        covered(user, 'add', [wave])
        covered(user, 'add', moves.add(wave, ordered, overrides=overrides, user=user))
        if form.cleaned_data.get('start'):
            covered(user, 'change', [wave])
            moves.start(wave, user=user)
        return wave


def numbers(request, *names):
    return [int(pk) for name in names for pk in request.POST.getlist(name) if pk.isdigit()]


def field_of(obj):
    return 'device' if obj._meta.model_name == 'device' else 'virtual_machine'


@register_model_view(Machine, 'bulk_substruct_wave', path='wave', detail=False)
class MachineBuildInWaveView(BuildInWaveView):
    queryset = Machine.objects.all()
    filterset = filtersets.MachineFilterSet
    action = 'build'

    def chosen(self, request):
        return self.queryset.filter(pk__in=self.ticked(request)), []

    def get(self, request):
        """From a rack or a site: all machines that the filters of the list of machines find."""
        if not request.GET:
            return redirect(self.get_return_url(request))
        found = self.filterset(request.GET, self.queryset, request=request).qs
        return self.page(request, found, [], self.form(request, initial={'name': request.GET.get('wave', '')}))


@register_model_view(Device, 'bulk_substruct_wave', path='substruct-wave', detail=False)
class DeviceBuildInWaveView(BuildInWaveView):
    queryset = Device.objects.all()
    filterset = DeviceListView.filterset
    field = 'device'


@register_model_view(VirtualMachine, 'bulk_substruct_wave', path='substruct-wave', detail=False)
class VirtualMachineBuildInWaveView(BuildInWaveView):
    queryset = VirtualMachine.objects.all()
    filterset = VirtualMachineListView.filterset
    field = 'virtual_machine'


for view in (DeviceListView, VirtualMachineListView):
    put_beneath(view, BuildInWave)
