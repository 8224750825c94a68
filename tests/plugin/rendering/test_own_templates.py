"""Users keep templates of their own in git, and point profiles at them."""

import subprocess
from pathlib import Path

import pytest

from core.models import DataSource
from extras.models import ConfigTemplate

from netbox_substruct import bundles
from netbox_substruct.models import ProfileTemplate
from tests.plugin.lifecycle.world import a_machine

pytestmark = pytest.mark.django_db


class Repository:
    """A git repository in a folder, written to as its users do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git('init', '--quiet', '--initial-branch=main')

    def git(self, *arguments: str) -> None:
        identity = ('-c', 'user.name=Test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false')
        subprocess.run(['git', *identity, *arguments], cwd=self.folder, check=True, capture_output=True)

    def commit(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.git('add', '.')
        self.git('commit', '--quiet', '--message', 'Templates')


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def source(repository: Repository) -> DataSource:
    repository.commit(finish='{% include "part" %} of {{ machine.name }}\n', part='one')
    source = DataSource.objects.create(name='Ours', type='git', source_url=str(repository.folder))
    source.sync()
    return source


@pytest.fixture
def machine(source: DataSource):
    machine = a_machine('srv-1')
    template = ConfigTemplate(name='Our finish', data_file=source.datafiles.get(path='finish'), auto_sync_enabled=True)
    template.clean()  # as the form does it: takes the text of the file
    template.save()
    ProfileTemplate.objects.create(profile=machine.profile, kind='finish', config_template=template)
    return machine


def finish(machine):
    bundle = bundles.preview(machine)
    assert not bundle.errors
    return bundle.get('finish').content


def test_a_template_out_of_git_is_rendered_with_what_it_includes(machine):
    assert finish(machine) == 'one of srv-1\n'


def test_it_follows_the_repository(machine, source, repository):
    repository.commit(finish='now {% include "part" %}: {{ machine.hostname }}\n', part='two')
    source.sync()
    assert finish(machine) == 'now two: srv-1\n'
