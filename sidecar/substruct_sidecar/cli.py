"""The command line of the sidecar."""

import argparse
from collections.abc import Sequence

from .version import __version__

NOTHING_YET = (
    'This version of the sidecar serves nothing yet: it carries no DHCP, DNS or boot service. '
    'Only --version and --help do something.'
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog='substruct-sidecar',
        description='The agent of Substruct, which provisions machines the way NetBox says.',
        epilog=NOTHING_YET,
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    parser.parse_args(argv)
    parser.exit(2, f'{parser.prog}: {NOTHING_YET}\n')
