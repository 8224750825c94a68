"""NetBox for gunicorn, with its static files: in the lab no other web server stands in front."""

from django.conf import settings
from whitenoise import WhiteNoise

from netbox.wsgi import application as netbox

application = WhiteNoise(netbox, root=settings.STATIC_ROOT, prefix='static/', max_age=300)
