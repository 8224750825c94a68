"""What differs between a build and an earlier one of its machine, as far as a user may see it.

It reads the two and hands them to `comparing`, for pages and the REST API alike.
"""

from dataclasses import dataclass
from typing import Any

from .choices import BuildStateChoices
from .comparing import Artifact, ArtifactChange, ValueChange, artifacts, values


@dataclass(frozen=True, slots=True)
class Differing:
    """`before` is the build compared with; None where there is none that the user may see.

    `artifacts` and `values` are None where the user may not see them.
    """

    build: Any
    before: Any
    artifacts: list[ArtifactChange] | None
    values: list[ValueChange] | None


def last_good(build: Any, user: Any) -> Any:
    """The newest complete build of the same machine before this one, or None."""
    return _visible(build, user).filter(state=BuildStateChoices.STATE_COMPLETE, pk__lt=build.pk).first()


def of(build: Any, user: Any, against: int | None = None) -> Differing:
    """Compared with the build `against` of the same machine; with the last good one if that is not given."""
    from .models import BuildArtifact, Machine

    before = last_good(build, user) if against is None else _visible(build, user).filter(pk=against).first()
    if before is None:
        return Differing(build, None, None, None)
    served = None
    if user.has_perm('netbox_substruct.view_buildartifact'):
        visible = BuildArtifact.objects.restrict(user, 'view')
        served = artifacts(*(
            [
                Artifact(each.kind, each.name, each.content, each.sha256, each.pk)
                for each in visible.filter(build=one).order_by('kind')
            ]
            for one in (before, build)
        ))  # fmt: skip
    made_from = None
    if Machine.objects.restrict(user, 'preview').filter(pk=build.machine_id).exists():
        made_from = values(before.request.get('context', {}), build.request.get('context', {}))
    return Differing(build, before, served, made_from)


def _visible(build: Any, user: Any) -> Any:
    from .models import Build

    return Build.objects.restrict(user, 'view').filter(machine_id=build.machine_id).exclude(pk=build.pk).order_by('-pk')
