"""Routes of the REST API: the same slugs as the pages have."""

from netbox.api.routers import NetBoxRouter

from . import views  # noqa: F401  (used once view sets are registered below)

app_name = 'netbox_substruct-api'

router = NetBoxRouter()

urlpatterns = router.urls
