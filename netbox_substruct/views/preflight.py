"""The page of a machine's preflight, and the part of it that other pages take up.

GET shows what is known; POST asks the boot servers.  As part of another page (htmx) only the steps are given, which
fetch themselves anew while an answer is still to come.
"""

from django.contrib.auth.mixins import AccessMixin
from django.db.models import Q
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.generic import View

from netbox.context import current_request
from utilities.views import ViewTab, register_model_view

from .. import preflight
from ..models import Build, Machine, Profile

__all__ = ('BuildPreflightView', 'MachinePreflightView', 'may_look')

ACTIONS = ('preview', 'build')


def may_look(user, machine) -> bool:
    """Whether a user may preview or build a machine."""
    return any(user.has_perm(f'netbox_substruct.{action}_machine', machine) for action in ACTIONS)


def _visible(machine):
    request = current_request.get()
    return request is not None and may_look(request.user, machine)


def lookable(queryset, user):
    """The machines that a user may preview or build."""
    found = Q()
    for action in ACTIONS:
        found |= Q(pk__in=Machine.objects.restrict(user, action).values('pk'))
    return queryset.filter(found)


@register_model_view(Machine, 'preflight')
class MachinePreflightView(AccessMixin, View):
    queryset = Machine.objects.select_related('device__site', 'virtual_machine__site', 'profile', 'boot_server')
    template_name = 'netbox_substruct/machine_preflight.html'
    tab = ViewTab(label=_('Preflight'), visible=_visible, weight=750)

    def dispatch(self, request, *args, **kwargs):
        if not request.user.is_authenticated:
            return self.handle_no_permission()
        self.machine = self.chosen(request, **kwargs)
        return super().dispatch(request, *args, **kwargs)

    def chosen(self, request, pk):
        return get_object_or_404(lookable(self.queryset, request.user), pk=pk)

    def profile(self, value):
        """The profile that a build form has chosen, if it is another than the machine's own."""
        if not (value or '').isdecimal():
            return None
        return Profile.objects.restrict(self.request.user, 'view').filter(pk=int(value)).first()

    def get(self, request, **kwargs):
        return self.page(request, self.profile(request.GET.get('profile')))

    def post(self, request, **kwargs):
        profile = self.profile(request.POST.get('profile'))
        preflight.ask(self.machine, user=request.user, profile=profile)
        if request.headers.get('HX-Request'):
            return self.page(request, profile)
        return redirect(reverse('plugins:netbox_substruct:machine_preflight', args=[self.machine.pk]))

    def page(self, request, profile):
        if request.headers.get('HX-Request'):
            return self.part(request, profile)
        return render(request, self.template_name, {**self.context(request, profile), 'tab': self.tab})

    def part(self, request, profile):
        return render(request, 'netbox_substruct/inc/preflight.html', self.context(request, profile))

    def context(self, request, profile):
        return {
            'object': self.machine,
            'machine': self.machine,
            'profile': profile,
            'report': preflight.look(self.machine, user=request.user, profile=profile),
        }


@register_model_view(Build, 'preflight', path='preflight', detail=False)
class BuildPreflightView(MachinePreflightView):
    """The part that the form for requesting a build takes up: of the machine that is chosen there."""

    tab = None
    http_method_names = ('get', 'head', 'options')

    def chosen(self, request, **kwargs):
        value = request.GET.get('machine', '')
        found = lookable(self.queryset, request.user)
        return found.filter(pk=int(value)).first() if value.isdecimal() and len(value) < 19 else None

    def page(self, request, profile):
        if self.machine is None:
            return render(request, 'netbox_substruct/inc/preflight_choose.html')
        return self.part(request, profile)
