"""Parts of the overview as widgets of NetBox's dashboard.  Importing this module registers them."""

from django import forms
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from extras.dashboard.utils import register_widget
from extras.dashboard.widgets import DashboardWidget, WidgetConfigForm
from utilities.querydict import dict_to_querydict

from .choices import MachineStateChoices

__all__ = ('BootServersWidget', 'BuildsNowWidget', 'FailuresWidget', 'MachineStatesWidget')


class _FilterForm(WidgetConfigForm):
    """What NetBox's own widgets offer too: filters, as the list of the model has them in its address."""

    model = ''

    filters = forms.JSONField(
        required=False,
        label=_('Filters'),
        help_text=_('What is left out: a JSON object of filters as in the address of the list, for example '
                    '{"site_id": [1, 2]}.'),
    )  # fmt: skip

    def clean_filters(self):
        filters = self.cleaned_data['filters']
        if not filters:
            return None
        if not isinstance(filters, dict):
            raise forms.ValidationError(_('This is no JSON object: {"site_id": [1, 2]} would be one.'))
        from .panels.overview import FILTERSETS

        filterset = next(found for model, found in FILTERSETS.items() if model._meta.model_name == self.model)
        if unknown := sorted(set(filters) - set(filterset.base_filters)):
            raise forms.ValidationError(_('There is no such filter: {names}.').format(names=', '.join(unknown)))
        found = filterset(dict_to_querydict(filters))
        if not found.is_valid():
            raise forms.ValidationError([
                f'{name}: {error}' for name, errors in found.errors.items() for error in errors
            ])  # fmt: skip
        return filters


class _RowsForm(_FilterForm):
    rows = forms.IntegerField(
        required=False, min_value=1, max_value=100, label=_('Rows'), help_text=_('At most so many; if empty, 10.')
    )


class _Widget(DashboardWidget):
    template = ''

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # The dashboard is kept as JSON, which takes no text that is translated later.
        self.title = str(self.title)

    def part(self, user, filters):
        """The context of the template; None where the user may not view its model."""
        raise NotImplementedError

    def render(self, request):
        # Whoever configured a widget by hand may have written anything.
        filters = self.config.get('filters')
        filters = dict_to_querydict(filters) if isinstance(filters, dict) and filters else QueryDict()
        part = self.part(request.user, filters)
        if part is None:
            return render_to_string('netbox_substruct/overview/not_permitted.html')
        return render_to_string(f'netbox_substruct/overview/{self.template}.html', {'part': part}, request=request)

    @property
    def rows(self):
        rows = self.config.get('rows')
        return rows if isinstance(rows, int) and 0 < rows <= 100 else 10


@register_widget
class MachineStatesWidget(_Widget):
    default_title = _('Machines by State')
    description = _('How many machines are discovered, registered, building, built, failed or retired.')
    template = 'states'
    width = 3
    height = 4

    class ConfigForm(_FilterForm):
        model = 'machine'
        states = forms.MultipleChoiceField(
            choices=MachineStateChoices, required=False, label=_('States'), help_text=_('If none: all.')
        )

    def part(self, user, filters):
        from .panels.overview import states_part

        return states_part(user, filters, states=self.config.get('states'))


@register_widget
class BuildsNowWidget(_Widget):
    default_title = _('Builds Now')
    description = _('The builds that are pending or under way, with how far they are; it moves by itself.')
    template = 'now'
    width = 6
    height = 4

    class ConfigForm(_RowsForm):
        model = 'build'

    def part(self, user, filters):
        from .panels.overview import now_part

        return now_part(user, filters, self.rows, key=str(self.id))


@register_widget
class FailuresWidget(_Widget):
    default_title = _('Failed Builds to Look At')
    description = _('Builds that failed or stalled, and that no newer build has answered.')
    template = 'failures'
    width = 6
    height = 4

    class ConfigForm(_RowsForm):
        model = 'build'

    def part(self, user, filters):
        from .panels.overview import failures_part

        return failures_part(user, filters, self.rows)


@register_widget
class BootServersWidget(_Widget):
    default_title = _('Boot Servers')
    description = _('Which boot servers are lost, out of step or well.')
    template = 'boot_servers'
    width = 4
    height = 4

    class ConfigForm(_FilterForm):
        model = 'bootserver'
        only_bad = forms.BooleanField(
            required=False, label=_('Only those with problems'), help_text=_('Leave out those that are in step.')
        )

    def part(self, user, filters):
        from .panels.overview import boot_servers_part

        return boot_servers_part(user, filters, only_bad=self.config.get('only_bad') is True)
