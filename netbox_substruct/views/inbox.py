"""The discovery inbox: the machines that wait for somebody, and many of them adopted after one review."""

from django.db.models import F
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from netbox.object_actions import ObjectAction
from netbox.views import generic
from netbox.views.generic.base import BaseMultiObjectView
from utilities.forms import restrict_form_fields
from utilities.permissions import get_permission_for_model
from utilities.views import GetReturnURLMixin, register_model_view

from .. import filtersets, forms, tables
from ..choices import MachineStateChoices
from ..discovery import many
from ..models import Machine
from .base import TeachesMixin
from .buttons import Selected

__all__ = ('InboxView', 'MachineBulkAdoptView')

NAMED = 'name:'


class AdoptSelected(Selected):
    name = 'bulk_adopt'
    label = _('Adopt Selected')
    permission = 'netbox_substruct.change_machine'
    permissions_required = frozenset(('change',))
    icon = 'server-plus'


class RuleButton(ObjectAction):
    """Leads to the rules, which adopt without anybody."""

    name = 'list'
    label = _('Discovery Rules')
    template_name = 'netbox_substruct/inbox/rules_button.html'

    @classmethod
    def render(cls, context, obj, **kwargs):
        if not context['request'].user.has_perm('netbox_substruct.view_discoveryrule'):
            return ''
        return super().render(context, obj, **kwargs)

    @classmethod
    def get_url(cls, obj):
        return reverse('plugins:netbox_substruct:discoveryrule_list')


@register_model_view(Machine, 'inbox', path='inbox', detail=False)
class InboxView(TeachesMixin, generic.ObjectListView):
    queryset = Machine.objects.filter(state=MachineStateChoices.STATE_DISCOVERED).order_by(
        F('last_seen').desc(nulls_last=True), '-pk'
    )
    filterset = filtersets.MachineFilterSet
    filterset_form = forms.MachineFilterForm
    table = tables.InboxTable
    template_name = 'netbox_substruct/inbox/list.html'
    actions = (RuleButton, AdoptSelected)
    empty_text = _(
        'Nothing waits. A machine that NetBox does not know appears here minutes after it boots from the network, '
        'where discovery is switched on in the subnet and the boot server has the prospector.'
    )


@register_model_view(Machine, 'bulk_adopt', path='adopt', detail=False)
class MachineBulkAdoptView(GetReturnURLMixin, BaseMultiObjectView):
    """POST: what each would become; with `_confirm` it is done, each by itself, and how it went is shown."""

    queryset = Machine.objects.select_related('device', 'virtual_machine', 'profile')

    def get_required_permission(self):
        return get_permission_for_model(Machine, 'change')

    def get_return_url(self, request, obj=None):
        if request.POST.get('return_url') or request.GET.get('return_url'):
            return super().get_return_url(request, obj)
        return reverse('plugins:netbox_substruct:machine_inbox')

    def get(self, request):
        return redirect(self.get_return_url(request))

    def post(self, request):
        waiting = self.queryset.filter(state=MachineStateChoices.STATE_DISCOVERED)
        if request.POST.get('_all'):
            keys = filtersets.MachineFilterSet(request.GET, waiting, request=request).qs.values_list('pk', flat=True)
        else:
            keys = [key for key in request.POST.getlist('pk') if key.isdecimal() and len(key) < 19]
        found = list(waiting.filter(pk__in=list(keys)).order_by('pk')[: many.MOST + 1])
        reviewed = '_review' in request.POST or '_confirm' in request.POST
        form = forms.AdoptManyForm(request.POST if reviewed else None)
        restrict_form_fields(form, request.user)
        names = {
            machine.pk: request.POST[f'{NAMED}{machine.pk}'].strip()
            for machine in found
            if f'{NAMED}{machine.pk}' in request.POST
        }
        planned = many.plan(found[: many.MOST], request.user, shared=form.shared() if reviewed else {}, names=names)
        context = {
            'most': many.MOST,
            'too_many': len(found) > many.MOST,
            'return_url': self.get_return_url(request),
            'named': NAMED,
        }
        if '_confirm' in request.POST and form.is_valid():
            confirmed = {
                int(key.removeprefix('digest:')): value
                for key, value in request.POST.items()
                if key.startswith('digest:') and key.removeprefix('digest:').isdecimal()
            }
            done = list(
                many.carry_out([each for each in planned if each.machine.pk in confirmed], confirmed, request.user)
            )
            adopted = [each for each in done if each.object is not None]
            refused = [each for each in done if each.object is None]
            return render(
                request,
                'netbox_substruct/inbox/done.html',
                {**context, 'done': done, 'adopted': adopted, 'refused': refused},
            )
        ready = [each for each in planned if each.digest]
        return render(
            request,
            'netbox_substruct/inbox/review.html',
            {**context, 'form': form, 'planned': planned, 'ready': ready, 'left_out': len(planned) - len(ready)},
        )
