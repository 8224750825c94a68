"""Routes of the pages."""

from django.urls import include, path
from django.views.generic import RedirectView

from utilities.urls import get_model_urls

from . import views  # importing it registers the views of models

MODELS = {
    'boot-servers': 'bootserver',
    'subnets': 'subnet',
    'zones': 'zone',
    'boot-images': 'bootimage',
    'profiles': 'profile',
    'profile-templates': 'profiletemplate',
    'machines': 'machine',
    'builds': 'build',
    'waves': 'wave',
    'wave-members': 'wavemember',
    'build-artifacts': 'buildartifact',
    'build-events': 'buildevent',
    'fact-sets': 'factset',
    'discovery-rules': 'discoveryrule',
    'bmcs': 'bmc',
    'tasks': 'task',
}

app_name = 'netbox_substruct'
urlpatterns = (
    # The plugin's own address leads to what people come for.
    path('', RedirectView.as_view(pattern_name='plugins:netbox_substruct:overview'), name='home'),
    path('overview/', views.OverviewView.as_view(), name='overview'),
    path('overview/now/', views.OverviewNowView.as_view(), name='overview_now'),
    path('discovery-rules/try/', views.DiscoveryRuleTryView.as_view(), name='discoveryrule_try_new'),
    path('discovery-rules/<int:pk>/try/', views.DiscoveryRuleTryView.as_view(), name='discoveryrule_try'),
    *(
        path(prefix, include(get_model_urls('netbox_substruct', model, detail=detail)))
        for slug, model in MODELS.items()
        for prefix, detail in ((f'{slug}/', False), (f'{slug}/<int:pk>/', True))
    ),
)
