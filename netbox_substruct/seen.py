"""Relations and counts as somebody may see them.

NetBox shows all that an object is related to, and counts it.  Boot servers and profiles are shared by several teams, so
of what hangs on them only that is shown and counted which the user may view: whoever may view one site learns nothing
of the others.
"""

from typing import Any

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from netbox.context import current_request

__all__ = ('CountsSeen', 'DependentsSeen', 'may_change', 'related')


def related(manager: Any) -> Any:
    """The objects of a many-to-many relation that the user of the present request may view; outside of one all.

    It costs one query for each relation and request, however many objects ask, and none for those who may view all.
    """
    request = current_request.get()
    if request is None:
        return manager.all()
    visible = manager.model.objects.restrict(request.user, 'view')
    if not visible.query.where:
        return manager.all()
    cache = request.__dict__.setdefault('_substruct_seen', {})
    key = (request.user.pk, manager.through)
    if key not in cache:
        used = manager.through.objects.values(manager.target_field_name)
        cache[key] = set(visible.filter(pk__in=used).values_list('pk', flat=True))
    return [obj for obj in manager.all() if obj.pk in cache[key]]


def may_change(boot_server: Any, user: Any) -> bool:
    """Whether a user may change a boot server: then all of what it reports may be read.  One query for each request."""
    model = type(boot_server)
    if user is None or not user.has_perm('netbox_substruct.change_bootserver'):
        return False
    allowed = model.objects.restrict(user, 'change')
    if not allowed.query.where:
        return True
    request = current_request.get()
    if request is None:
        return bool(allowed.filter(pk=boot_server.pk).exists())
    cache = request.__dict__.setdefault('_substruct_seen', {})
    if (key := (user.pk, 'change')) not in cache:
        cache[key] = set(allowed.values_list('pk', flat=True))
    return boot_server.pk in cache[key]


class CountsSeen:
    """For views, of pages and of the API: annotated counts become counts of what the user may view.

    `seen_counts` maps an annotation to the model that is counted and its field that leads here.
    """

    seen_counts: dict[str, tuple[Any, str]] = {}

    def get_queryset(self, *args: Any) -> Any:
        queryset = super().get_queryset(*args)  # type: ignore[misc]
        return queryset.annotate(
            **{
                name: _count(model, field, self.request.user)  # type: ignore[attr-defined]
                for name, (model, field) in self.seen_counts.items()
                if name in queryset.query.annotations
            }
        )


class DependentsSeen:
    """For pages that ask before they delete: of what goes too, that is named which the user may view."""

    def _get_dependent_objects(self, obj: Any) -> Any:
        found = super()._get_dependent_objects(obj)  # type: ignore[misc]
        return {model: _visible(model, objects, self.request.user) for model, objects in found.items()}  # type: ignore[attr-defined]


def _visible(model: Any, objects: Any, user: Any) -> Any:
    if not hasattr(model.objects, 'restrict') or not isinstance(objects, list):
        return objects
    keys = set(
        model.objects.restrict(user, 'view').filter(pk__in=[obj.pk for obj in objects]).values_list('pk', flat=True)
    )
    return [obj for obj in objects if obj.pk in keys]


def _count(model: Any, field: str, user: Any) -> Any:
    found = model.objects.restrict(user, 'view').filter(**{field: OuterRef('pk')}).order_by().values(field)
    return Coalesce(Subquery(found.annotate(c=Count('*')).values('c')), 0)
