"""What the tests of the plugin's surface share.

NetBox’s test bases expect models of NetBox itself; the mixins here tell them where a plugin’s pages, API routes,
GraphQL fields, filter sets and query-count baselines are.  Put the mixin first in the list of bases.
"""

from pathlib import Path

from utilities.testing import query_counts

APP = 'netbox_substruct'

# Baselines stand beside the tests, not inside the package that users install.  Record them with UPDATE_QUERY_COUNTS=1,
# without -n.
_netbox_path = query_counts._baseline_path
query_counts._baseline_path = lambda app: (
    Path(__file__).with_name(query_counts.BASELINE_FILENAME) if app == APP else _netbox_path(app)
)


class PluginViews:
    """For ViewTestCases."""

    def _get_base_url(self):
        return f'plugins:{APP}:{self.model._meta.model_name}_{{}}'


class PluginAPI:
    """For APIViewTestCases; all GraphQL fields of the plugin begin with substruct_."""

    view_namespace = f'plugins-api:{APP}'

    @property
    def bulk_update_invalid_data(self):
        """What the bulk update of NetBox's bases is refused for; None where a model has no description."""
        fields = {field.name for field in self.model._meta.get_fields()}
        return {'description': 'x' * 500} if 'description' in fields else None

    def _get_graphql_base_name(self):
        return 'substruct_' + self.model._meta.verbose_name.lower().replace(' ', '_')


class PluginFilterSets:
    """For ChangeLoggedFilterSetTestMixin, which takes the app from the module that a test class says it stands in."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.__module__ = f'{APP}.filtersets'
