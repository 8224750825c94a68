"""The data backend that holds the library of templates which the plugin brings."""

from contextlib import contextmanager

from django.utils.translation import gettext_lazy as _

from netbox.data_backends import DataBackend

from . import template_library


class LibraryBackend(DataBackend):
    """The packaged templates.  The URL of the data source means nothing: there is one library."""

    name = template_library.BACKEND
    label = _('Substruct library')
    is_local = True

    @contextmanager
    def fetch(self):
        yield str(template_library.folder())


backends = [LibraryBackend]
