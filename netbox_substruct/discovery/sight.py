"""What somebody may see of NetBox: discovery looks at all of it, and names only what whoever reads may view."""

from typing import Any

from django.utils.translation import gettext as _


class Sight:
    """With a `user`, what that user may view; without one everything."""

    def __init__(self, user: Any = None) -> None:
        self.user = user

    def has(self, obj: Any) -> bool:
        """Whether an object may be named.  A component (an interface) is seen with what it is a part of."""
        if self.user is None or obj is None:
            return True
        whole = getattr(obj, 'parent_object', obj)
        return bool(type(whole).objects.restrict(self.user, 'view').filter(pk=whole.pk).exists())

    def name(self, obj: Any) -> str:
        """What an object is called, a component after what it is a part of."""
        if not self.has(obj):
            return str(_('something that you may not view'))
        whole = getattr(obj, 'parent_object', None)
        return f'{whole} {obj}' if whole is not None else str(obj)

    def rows(self, queryset: Any) -> Any:
        """Those of the objects that may be viewed."""
        return queryset if self.user is None else queryset.restrict(self.user, 'view')


EVERYTHING = Sight()
