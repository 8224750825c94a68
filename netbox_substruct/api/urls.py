"""Routes of the REST API: the same slugs as the pages have."""

from django.urls import path

from netbox.api.routers import NetBoxRouter

from . import views

app_name = 'netbox_substruct-api'

router = NetBoxRouter()
router.register('boot-servers', views.BootServerViewSet)
router.register('subnets', views.SubnetViewSet)
router.register('zones', views.ZoneViewSet)
router.register('boot-images', views.BootImageViewSet)
router.register('profiles', views.ProfileViewSet)
router.register('profile-templates', views.ProfileTemplateViewSet)
router.register('machines', views.MachineViewSet)
router.register('builds', views.BuildViewSet)
router.register('build-artifacts', views.BuildArtifactViewSet)
router.register('build-events', views.BuildEventViewSet)
router.register('fact-sets', views.FactSetViewSet)
router.register('bmcs', views.BMCViewSet)
router.register('tasks', views.TaskViewSet)
router.register('waves', views.WaveViewSet)
router.register('wave-members', views.WaveMemberViewSet)
router.register('discovery-rules', views.DiscoveryRuleViewSet)

urlpatterns = [path('overview/', views.OverviewView.as_view(), name='overview'), *router.urls]
