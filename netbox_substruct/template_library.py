"""The library of provisioning templates: where its files are, and how they become objects of NetBox.

One data source, of the type that `data_backends` adds, holds the files; a config template is bound to each of them
(but to snippets, which other templates include), so that profiles name templates of the library and of the user's own
in one way.

`install` runs after every migration, thus on every upgrade.  What users changed is left alone:
  - a config template that was detached, bound elsewhere or deleted stays so; only files that are new get a new one
  - a template of a file that the library no longer has goes with it, unless it is in use: then it stays, with a note
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from django.db import transaction
from django.db.models import ProtectedError, RestrictedError
from django.utils.translation import gettext as _

BACKEND = 'substruct-library'
SOURCE_NAME = 'Substruct library'
PREFIX = 'Substruct: '
SNIPPETS = 'snippets/'
# What stands among the templates for people to read.
IGNORED = '*.md'


def folder() -> Path:
    """The folder of the templates: beside this module in an installed plugin, at the top of a source tree."""
    packaged = Path(__file__).parent / 'library'
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / 'templates'


@cache
def files() -> Mapping[str, str]:
    """The text of every template by its path, such as debian/preseed.cfg."""
    root = folder()
    return {
        str(path.relative_to(root)): path.read_text(encoding='utf-8')
        for path in sorted(root.rglob('*'))
        if path.is_file()
        and not path.match(IGNORED)
        and not any(part.startswith('.') for part in path.relative_to(root).parts)
    }


def snippets() -> Mapping[str, str]:
    """The templates that every other template may include."""
    return {path: text for path, text in files().items() if path.startswith(SNIPPETS)}


def template_name(path: str) -> str:
    """What the config template of a file is called: 'Substruct: debian/preseed' for debian/preseed.cfg."""
    return PREFIX + str(Path(path).with_suffix(''))


def install(force: bool = False) -> None:
    """Make the data source if it is missing, and bring it up to date if a file differs from what NetBox holds."""
    from core.models import DataSource

    # A rename by users is theirs to make: the type says which source it is.
    source = DataSource.objects.filter(type=BACKEND).order_by('pk').first()
    if source is None:
        source = DataSource(
            name=SOURCE_NAME,
            type=BACKEND,
            source_url='file:///',
            ignore_rules=IGNORED,
            description=_('The provisioning templates that Substruct brings; kept up to date when it is upgraded.'),
        )
        source.save()
    if force or (source.enabled and not _is_current(source)):
        with transaction.atomic():
            # A synchronisation that was interrupted would keep this one from running for ever.
            source.status = 'new'
            source.sync()


def _is_current(source) -> bool:
    import hashlib

    held = dict(source.datafiles.values_list('path', 'hash'))
    return held == {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files().items()}


def remember(sender, instance, **kwargs):
    """Before a data source is synchronised: note which files it has."""
    if instance.type == BACKEND:
        instance._substruct_paths = set(instance.datafiles.values_list('path', flat=True))


def bind(sender, instance, **kwargs):
    """After a data source was synchronised: a config template for each new file, none for files that are gone."""
    if instance.type != BACKEND:
        return
    known = getattr(instance, '_substruct_paths', None)
    if known is None:
        return
    with transaction.atomic():
        _drop_removed(instance)
        for data_file in instance.datafiles.exclude(path__in=known).exclude(path__startswith=SNIPPETS):
            _create(instance, data_file)


def restore() -> list[str]:
    """Make the config templates anew that are missing; their names."""
    from core.models import DataSource

    made = []
    install(force=True)
    source = DataSource.objects.filter(type=BACKEND).order_by('pk').first()
    for data_file in source.datafiles.exclude(path__startswith=SNIPPETS):
        if template := _create(source, data_file):
            made.append(template.name)
    return made


def _create(source, data_file):
    from extras.models import ConfigTemplate

    name = template_name(data_file.path)
    if (
        ConfigTemplate.objects.filter(data_source=source, data_path=data_file.path).exists()
        or ConfigTemplate.objects.filter(name=name).exists()
    ):
        return None
    template = ConfigTemplate(
        name=name,
        description=_description(data_file.data_as_string or ''),
        data_file=data_file,
        auto_sync_enabled=True,
        as_attachment=False,
    )
    template.clean()
    template.save()
    return template


def _description(text: str) -> str:
    """The first line of a template's opening comment."""
    first = text.partition('{#')[2].partition('#}')[0].strip().partition('\n')[0].strip()
    return first[:200]


def _drop_removed(source) -> None:
    from extras.models import ConfigTemplate

    for template in ConfigTemplate.objects.filter(data_source=source, data_file=None).exclude(data_path=''):
        try:
            with transaction.atomic():
                template.delete()
        except (ProtectedError, RestrictedError):
            note = _('No longer in the Substruct library; kept because it is in use.')
            ConfigTemplate.objects.filter(pk=template.pk).update(
                description=note, data_source=None, data_path='', auto_sync_enabled=False
            )


def connect() -> None:
    """Follow every synchronisation of the library, whoever starts it, and install it after migrations."""
    from django.apps import apps
    from django.db.models.signals import post_migrate

    from core.signals import post_sync, pre_sync

    pre_sync.connect(remember, dispatch_uid='netbox_substruct.library.remember')
    post_sync.connect(bind, dispatch_uid='netbox_substruct.library.bind')
    post_migrate.connect(
        _migrated, sender=apps.get_app_config('netbox_substruct'), dispatch_uid='netbox_substruct.library.install'
    )


def _migrated(sender, using, **kwargs) -> None:
    # `flush` sends this signal too, without a plan, and wants the tables empty; `migrate netbox_substruct zero` and
    # migrations of other databases have nothing to install into.
    if 'plan' not in kwargs or using != 'default':
        return
    from django.db import connections

    tables = set(connections[using].introspection.table_names())
    if {'core_datasource', 'core_datafile', 'extras_configtemplate', 'netbox_substruct_profiletemplate'} <= tables:
        install()
