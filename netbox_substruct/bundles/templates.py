"""Which templates a machine has, and what they may include.  Reads the models; rendering them is `rendering`.

The templates of the profile chain come first, nearest wins for each kind; then those of the boot image; and where
nobody names an iPXE script, the library's own for the method of the boot image.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jinja2

from .. import template_library
from ..choices import ArtifactKindChoices, BootMethodChoices
from .rendering import Template
from .sandbox import referenced

DEFAULT_IPXE: Mapping[str, str] = {
    BootMethodChoices.METHOD_INSTALLER: 'ipxe/install.ipxe',
    BootMethodChoices.METHOD_LIVE: 'ipxe/live.ipxe',
    BootMethodChoices.METHOD_DISK_IMAGE: 'ipxe/disk-image.ipxe',
    BootMethodChoices.METHOD_CHAIN: 'ipxe/chain.ipxe',
    BootMethodChoices.METHOD_SCRIPT: 'ipxe/script.ipxe',
}


def of_profile(chain: list[Any], boot_image: Any) -> list[Template]:
    """The templates for a profile chain (nearest first) and its boot image, one for each kind."""
    from ..models import ProfileTemplate

    order = {profile.pk: number for number, profile in enumerate(chain)}
    rows = ProfileTemplate.objects.filter(profile__in=chain)
    if boot_image is not None:
        rows = rows | ProfileTemplate.objects.filter(boot_image=boot_image)
    found: dict[str, Any] = {}
    for row in sorted(
        rows.select_related('config_template'), key=lambda row: order.get(row.profile_id, len(order)), reverse=True
    ):
        found[row.kind] = row.config_template
    templates = [_template(kind, config_template) for kind, config_template in found.items()]
    if boot_image is not None and ArtifactKindChoices.KIND_IPXE not in found:
        path = DEFAULT_IPXE[boot_image.method]
        templates.append(
            Template(
                ArtifactKindChoices.KIND_IPXE,
                template_library.template_name(path),
                template_library.files()[path],
                template_library.snippets(),
            )
        )
    return templates


def _template(kind: str, config_template: Any) -> Template:
    return Template(
        kind,
        config_template.name,
        config_template.template_code,
        {**template_library.snippets(), **_same_source(config_template)},
    )


def _same_source(config_template: Any) -> dict[str, str]:
    """The files that a template of a user's own data source includes, and those that they include, by path."""
    from core.models import DataFile

    found: dict[str, str] = {}
    if not config_template.data_source_id:
        return found
    waiting = _names(config_template.template_code)
    asked: set[str] = set()
    while waiting := waiting - asked:
        asked |= waiting
        fresh = {
            file.path: file.data_as_string or ''
            for file in DataFile.objects.filter(source=config_template.data_source_id, path__in=waiting)
        }
        found.update(fresh)
        waiting = set().union(*map(_names, fresh.values()))
    return found


def _names(text: str) -> set[str]:
    """The templates that a text includes by a fixed name; none if it is no Jinja2, which rendering will say."""
    try:
        return referenced(text)
    except jinja2.TemplateError:
        return set()


def standard(paths: Iterable[str]) -> list[Template]:
    """Templates of the library by path, as iPXE scripts."""
    return [
        Template(ArtifactKindChoices.KIND_IPXE, template_library.template_name(path), template_library.files()[path],
                 template_library.snippets())
        for path in paths
    ]  # fmt: skip
