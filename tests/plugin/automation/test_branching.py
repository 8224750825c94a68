"""Branches of netbox-branching, in a NetBox that has it: a process and a database of their own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(importlib.util.find_spec('netbox_branching') is None, reason='netbox-branching is not installed')
def test_what_is_planned_in_a_branch_acts_when_it_is_merged():
    from lab.places import Places
    from lab.postgresql import Cluster

    cluster = Cluster(Places(Path(os.environ['SUBSTRUCT_TEST_RUN'])))
    name = f'{os.environ["SUBSTRUCT_TEST_DATABASE"]}_branching'
    cluster.drop(name)
    cluster.create(name, os.environ['SUBSTRUCT_TEST_TEMPLATE'])
    try:
        done = subprocess.run(
            [sys.executable, '-m', 'tests.plugin.automation.with_branching'],
            env={
                **os.environ,
                'DJANGO_SETTINGS_MODULE': 'netbox.settings',
                'NETBOX_CONFIGURATION': 'tests.netbox_branching_configuration',
                'SUBSTRUCT_TEST_BRANCHING_DATABASE': name,
            },
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        cluster.drop(name)
    assert done.returncode == 0 and 'all is well' in done.stdout, done.stderr[-4000:]
