"""What every test run needs: where NetBox is used, its database and Redis are started before and stopped after.

Tests of the sidecar, the lab and the packaging do without NetBox, and are not kept waiting for it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import confined
from lab.errors import LabError
from lab.progress import Progress
from lab.testbed import Testbed, own_folder

HERE = Path(__file__).parent
WITHOUT_NETBOX = [
    HERE / name for name in ('e2e', 'lab', 'packaging', 'sidecar', 'fuzz', 'benchmarks/test_tftp.py')
]  # tests/e2e asks the NetBox of a lab

testbed = pytest.StashKey[Testbed]()


def uses_netbox(config: pytest.Config) -> bool:
    """Whether any path on the command line may hold tests that use NetBox."""
    paths = [Path(config.invocation_params.dir, argument.split('::')[0]).resolve() for argument in config.args]
    return not paths or not all(any(path.is_relative_to(other) for other in WITHOUT_NETBOX) for path in paths)


def pytest_configure(config: pytest.Config) -> None:
    if (programs := confined.folder()) is not None and str(programs) not in os.environ['PATH'].split(os.pathsep):
        os.environ['PATH'] = f'{programs}{os.pathsep}{os.environ["PATH"]}'
    if not uses_netbox(config):
        return
    os.environ['DJANGO_SETTINGS_MODULE'] = 'netbox.settings'
    os.environ['NETBOX_CONFIGURATION'] = 'tests.netbox_configuration'
    is_worker = hasattr(config, 'workerinput')
    if not is_worker and not config.option.collectonly:
        start_testbed(config)
    # The controller of a parallel run collects nothing, so it needs no NetBox.
    if is_worker or not config.getoption('numprocesses', None):
        from django.conf import settings

        # pytest-django calls django.setup() in its own hook, after this one, when the settings have been loaded.
        assert settings.DATABASES


def start_testbed(config: pytest.Config) -> None:
    bed = Testbed(Progress())
    try:
        bed.start()
    except LabError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[testbed] = bed
    os.environ.update(bed.environment())


def pytest_unconfigure(config: pytest.Config) -> None:
    bed = config.stash.get(testbed, None)
    if bed is not None:
        bed.stop()


@pytest.fixture(scope='session')
def django_db_setup(request: pytest.FixtureRequest) -> Iterator[None]:
    """Replaces pytest-django's: each process gets a copy of a migrated database, in a fraction of a second.

    Django would run all migrations again on the copy, only to find that there is nothing to do.
    """
    from django.db import connection

    from lab.places import Places
    from lab.postgresql import Cluster

    worker = os.environ.get('PYTEST_XDIST_WORKER', 'main')
    name = f'{os.environ["SUBSTRUCT_TEST_DATABASE"]}_{worker}'
    cluster = Cluster(Places(Path(os.environ['SUBSTRUCT_TEST_RUN'])))
    cluster.drop(name)
    cluster.create(name, os.environ['SUBSTRUCT_TEST_TEMPLATE'])
    connection.close()
    connection.settings_dict['NAME'] = name
    yield
    connection.close()
    cluster.drop(name)


@pytest.fixture(scope='module')
def reachable_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can walk to when root runs the tests; pytest's own are for root alone."""
    with own_folder() as folder:
        yield folder
