"""The overview: how provisioning is as a whole.  Every part shows what its visitor may see, and no more."""

from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import PermissionDenied
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.generic import View

from utilities.views import register_model_view

from ..choices import MachineStateChoices
from ..models import Machine
from ..panels import overview
from .actions import MachineMoveView

__all__ = ('MachineSetAsideView', 'OverviewNowView', 'OverviewView')


class OverviewView(LoginRequiredMixin, View):
    def get(self, request):
        user = request.user
        days = int(chosen) if (chosen := request.GET.get('days', '')) in map(str, overview.PERIODS) else 30
        parts = {
            'states': overview.states_part(user),
            'now': overview.now_part(user),
            'failures': overview.failures_part(user),
            'history': overview.history_part(user, days),
            'boot_servers': overview.boot_servers_part(user),
        }
        return render(request, 'netbox_substruct/overview.html', {**parts, 'nothing': not any(parts.values())})


class OverviewNowView(LoginRequiredMixin, View):
    """The builds under way, for pages that show them: `rows` at most, `key` for their ids; the rest are filters."""

    def get(self, request):
        filters = request.GET.copy()
        rows, key = filters.pop('rows', ['']), filters.pop('key', [''])
        limit = min(max(int(rows[-1]), 1), 100) if rows[-1].isdecimal() and len(rows[-1]) < 4 else 10
        key = ''.join(sign for sign in key[-1] if sign.isalnum() or sign == '-')[:64] or 'overview'
        if (part := overview.now_part(request.user, filters, limit, key)) is None:
            raise PermissionDenied
        return render(request, 'netbox_substruct/overview/now.html', {'part': part})


@register_model_view(Machine, 'set_aside', path='set-aside')
class MachineSetAsideView(MachineMoveView):
    """A failed build was looked after, and nothing is to be built for now."""

    state = MachineStateChoices.STATE_REGISTERED

    def describe(self, obj):
        return {
            'title': _('Set the failure of {machine} aside').format(machine=obj),
            'message': _(
                'It was looked after: the machine counts as registered again, boots its own disk, and can be built. '
                'The build stays in the history.'
            ),
            'button_label': _('Set aside'),
            'button_class': 'primary',
        }
