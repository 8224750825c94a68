"""NetBox for gunicorn, with its static files: in the lab no other web server stands in front."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from whitenoise import WhiteNoise

from netbox.wsgi import application as netbox

from lab.netbox import LAB_HEADER, SETTINGS_VARIABLE
from lab.places import short_hash

_files = WhiteNoise(netbox, root=settings.STATIC_ROOT, prefix='static/', max_age=300)
_which = (LAB_HEADER, short_hash(os.environ[SETTINGS_VARIABLE]))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Every answer says which lab it is from: another program may have taken the port."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        return start_response(status, [*headers, _which], *rest)

    answer: Iterable[bytes] = _files(environ, start)
    return answer
