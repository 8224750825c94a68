"""The one thing about the plugin's wheel that cannot be declared in pyproject.toml.

The library of provisioning templates stands at the top of the repository, where people read and change it, and is
shipped inside the package as netbox_substruct/library/.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

TREE = Path(__file__).parent


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        # An editable installation reads ../templates itself.
        if not self.editable_mode:
            target = Path(self.build_lib, 'netbox_substruct', 'library')
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(TREE / 'templates', target)


setup(cmdclass={'build_py': BuildWithLibrary})
