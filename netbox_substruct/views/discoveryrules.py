"""Pages of discovery rules."""

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.ui import layout
from netbox.ui.panels import CommentsPanel, JSONPanel, ObjectsTablePanel
from netbox.views import generic
from utilities.views import register_model_view

from .. import filtersets, forms, panels, tables
from ..models import DiscoveryRule
from .base import ClearsToDefaultMixin, TeachesMixin
from .trying import may_try

__all__ = (
    'DiscoveryRuleBulkDeleteView',
    'DiscoveryRuleBulkEditView',
    'DiscoveryRuleBulkImportView',
    'DiscoveryRuleBulkRenameView',
    'DiscoveryRuleDeleteView',
    'DiscoveryRuleEditView',
    'DiscoveryRuleListView',
    'DiscoveryRuleView',
)


@register_model_view(DiscoveryRule, 'list', path='', detail=False)
class DiscoveryRuleListView(TeachesMixin, generic.ObjectListView):
    queryset = DiscoveryRule.objects.all()
    filterset = filtersets.DiscoveryRuleFilterSet
    filterset_form = forms.DiscoveryRuleFilterForm
    table = tables.DiscoveryRuleTable
    empty_text = _('No discovery rules yet. They say what unknown machines become that report themselves.')


@register_model_view(DiscoveryRule)
class DiscoveryRuleView(generic.ObjectView):
    queryset = DiscoveryRule.objects.all()
    template_name = 'generic/object.html'
    layout = layout.SimpleLayout(
        left_panels=[
            panels.DiscoveryRulePanel(),
            panels.DiscoveryRuleResultPanel(),
            TagsPanel(),
            CommentsPanel(),
        ],
        right_panels=[
            JSONPanel('condition', title=_('Condition')),
            CustomFieldsPanel(),
        ],
        bottom_panels=[
            ObjectsTablePanel(
                model='netbox_substruct.Machine',
                title=_('Machines That It Adopted'),
                filters={'discovery_rule_id': lambda context: context['object'].pk},
            ),
        ],
    )


@register_model_view(DiscoveryRule, 'add', detail=False)
@register_model_view(DiscoveryRule, 'edit')
class DiscoveryRuleEditView(generic.ObjectEditView):
    queryset = DiscoveryRule.objects.all()
    form = forms.DiscoveryRuleForm
    template_name = 'netbox_substruct/discoveryrule_edit.html'

    def get_extra_context(self, request, instance):
        """Where the form asks what the rule would take before it is saved."""
        if not may_try(request.user):
            return {}
        name = 'plugins:netbox_substruct:discoveryrule_try'
        return {'try_url': reverse(name, args=[instance.pk]) if instance.pk else reverse(f'{name}_new')}


@register_model_view(DiscoveryRule, 'delete')
class DiscoveryRuleDeleteView(generic.ObjectDeleteView):
    queryset = DiscoveryRule.objects.all()


@register_model_view(DiscoveryRule, 'bulk_import', path='import', detail=False)
class DiscoveryRuleBulkImportView(generic.BulkImportView):
    queryset = DiscoveryRule.objects.all()
    model_form = forms.DiscoveryRuleImportForm


@register_model_view(DiscoveryRule, 'bulk_edit', path='edit', detail=False)
class DiscoveryRuleBulkEditView(ClearsToDefaultMixin, generic.BulkEditView):
    queryset = DiscoveryRule.objects.all()
    filterset = filtersets.DiscoveryRuleFilterSet
    table = tables.DiscoveryRuleTable
    form = forms.DiscoveryRuleBulkEditForm


@register_model_view(DiscoveryRule, 'bulk_rename', path='rename', detail=False)
class DiscoveryRuleBulkRenameView(generic.BulkRenameView):
    queryset = DiscoveryRule.objects.all()
    filterset = filtersets.DiscoveryRuleFilterSet


@register_model_view(DiscoveryRule, 'bulk_delete', path='delete', detail=False)
class DiscoveryRuleBulkDeleteView(generic.BulkDeleteView):
    queryset = DiscoveryRule.objects.all()
    filterset = filtersets.DiscoveryRuleFilterSet
    table = tables.DiscoveryRuleTable
