"""Dry runs of discovery rules: on the page of a rule, and in its form before it is saved."""

from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import PermissionDenied
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.generic import View

from netbox.context import current_request
from netbox.views import generic
from utilities.views import ViewTab, register_model_view

from .. import forms
from ..discovery import trying
from ..models import DiscoveryRule

__all__ = ('DiscoveryRuleDryRunView', 'DiscoveryRuleTryView', 'may_try')


def may_try(user):
    """Whether a user may view any facts of machines."""
    return user.has_perms(('netbox_substruct.view_machine', 'netbox_substruct.view_factset'))


def _visible(rule):
    request = current_request.get()
    return request is not None and may_try(request.user)


@register_model_view(DiscoveryRule, 'dry_run', path='dry-run')
class DiscoveryRuleDryRunView(generic.ObjectView):
    queryset = DiscoveryRule.objects.all()
    template_name = 'netbox_substruct/discoveryrule_dry_run.html'
    actions = ()
    additional_permissions = ('netbox_substruct.view_machine', 'netbox_substruct.view_factset')
    tab = ViewTab(label=_('Dry Run'), visible=_visible, weight=500)

    def get_extra_context(self, request, instance):
        return {'trial': trying.dry_run(instance, request.user)}


class DiscoveryRuleTryView(LoginRequiredMixin, View):
    """What the rule in the form would take: POST what the form sends; `pk` is that of a rule that is being changed."""

    def post(self, request, pk=None):
        user = request.user
        if not may_try(user):
            raise PermissionDenied
        if pk is None:
            if not user.has_perm('netbox_substruct.add_discoveryrule'):
                raise PermissionDenied
        elif not DiscoveryRule.objects.restrict(user, 'change').filter(pk=pk).exists():
            raise PermissionDenied
        form = forms.TryRuleForm(request.POST)
        trial = trying.dry_run(form.rule(pk), user) if form.is_valid() else None
        return render(request, 'netbox_substruct/inc/trial.html', {'trial': trial, 'form': form})
