"""A context and templates become artifacts.

`rendering` is the pure part: plain data and templates in, a bundle out.  `templates` reads which templates a machine
has. `kinds`, `markers` and `quoting` are what the boot server, the templates and the tests hold each other to.
"""

from typing import Any

from .kinds import KINDS
from .rendering import Artifact, Bundle, RenderError, Template, render

__all__ = ('KINDS', 'Artifact', 'Bundle', 'RenderError', 'Template', 'assemble', 'preview', 'render')


def preview(machine: Any, profile: Any = None) -> Bundle:
    """The bundle as it would be served if a build were requested now; its errors say what is in the way.

    Raises NotReady if there is no profile to preview.
    """
    return _bundle(machine, profile, None)


def assemble(machine: Any, profile: Any, build: Any) -> Bundle:
    """The bundle of a build.  Raises NotReady with every reason, one in each line."""
    from ..lifecycle.errors import NotReady

    bundle = _bundle(machine, profile, build.pk)
    if bundle.errors:
        raise NotReady('\n'.join(map(str, bundle.errors)))
    return bundle


def _bundle(machine: Any, profile: Any, build_id: int | None) -> Bundle:
    """The one way from a machine to its artifacts."""
    from django.utils.translation import gettext as _

    from .. import context, parameters
    from ..context.reading import boot_image_of
    from ..lifecycle.errors import NotReady
    from . import templates

    profile = profile or machine.profile
    if profile is None:
        raise NotReady(_('{machine} has no profile; choose one first.').format(machine=machine))
    chain = profile.chain
    resolved = parameters.resolve(machine, profile)
    image = boot_image_of(chain)
    plain = context.to_plain(context.assemble(machine, profile, build_id, resolved))
    bundle = render(plain, templates.of_profile(chain, image))

    errors = []
    if image is None:
        message = _('The profile {profile} and those above it name no boot image; choose one.').format(profile=profile)
        errors.append(RenderError('', str(profile), None, str(machine), message))
    elif not _runs(machine.architecture, image.architecture):
        message = _('The boot image {image} is for {architecture}, and the machine is {other}.').format(
            image=image, architecture=image.architecture, other=machine.architecture
        )
        errors.append(RenderError('', str(profile), None, str(machine), message))
    try:
        parameters.check(resolved, profile)
    except parameters.ParameterError as error:
        errors += [
            RenderError('', f'parameters: {found.schema}', None, str(machine), str(found)) for found in error.violations
        ]
    return Bundle(bundle.artifacts, (*errors, *bundle.errors), bundle.context)


def _runs(machine: str, image: str) -> bool:
    """Whether a machine of one architecture can boot an image of another."""
    return machine == image or (machine, image) == ('x86_64', 'i386')
