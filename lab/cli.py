"""The lab's command line.

A module of this package adds commands of its own with `register(commands)`; MODULES names those that do.
"""

import argparse
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab import netbox
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.stack import Lab

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# Each has `register(commands)`, which adds parsers with set_defaults(run=function of the parsed arguments).
MODULES = ('lab.seed', 'lab.sidecar', 'lab.images.command', 'lab.rack.command', 'lab.demo.command')

DESCRIPTION = """\
A disposable NetBox with the plugin: private PostgreSQL and Redis, a worker and a web server,
all in one folder (.run in the tree, or SUBSTRUCT_RUN)."""


def the_lab() -> 'Lab':
    from lab.stack import Lab

    return Lab()


def where_to_look(lab: 'Lab') -> str:
    accounts = lab.accounts
    return f"""
  NetBox      {lab.url}
  plugin      {lab.url}plugins/substruct/
  sign in     {accounts.username} / {accounts.password}
  API         curl -H 'Authorization: Bearer {accounts.token}' {lab.url}api/plugins/substruct/
  kept in     {lab.places.run / 'accounts.json'}
  logs        bin/lab logs
  stop        bin/lab down      (bin/lab reset also forgets everything)
"""


def up(_arguments: argparse.Namespace) -> int:
    lab = the_lab()
    lab.up()
    print(where_to_look(lab))
    return 0


def down(_arguments: argparse.Namespace) -> int:
    the_lab().down()
    return 0


def restart(_arguments: argparse.Namespace) -> int:
    the_lab().down()
    return up(_arguments)


def reset(_arguments: argparse.Namespace) -> int:
    from lab import testbed

    lab = the_lab()
    testbed.clean(lab.places)
    lab.reset()
    print(f'{lab.places.run} is removed')
    return 0


def status(arguments: argparse.Namespace) -> int:
    lab = the_lab()
    services = lab.status()
    all_well = bool(services) and all(service.well for service in services)
    if arguments.json:
        answer = {
            'up': all_well,
            'url': lab.url if lab.port else None,
            'run': str(lab.places.run),
            'services': {service.name: {'pid': service.pid, 'well': service.well} for service in services},
        }
        print(json.dumps(answer, indent=2))
        return 0 if all_well else 3
    if not services:
        print(f'There is no lab in {lab.places.run}; bin/lab up makes one.')
        return 3
    for service in services:
        state = 'well' if service.well else 'does not answer' if service.pid else 'stopped'
        since = f'pid {service.pid}, for {service.seconds:.0f} s' if service.pid else ''
        print(f'  {service.name:<12}{state:<17}{since}')
    if all_well:
        print(where_to_look(lab))
    return 0 if all_well else 3


def manage(arguments: argparse.Namespace) -> int:
    lab = the_lab()
    if not lab.places.settings.exists():
        raise LabError('there is no lab yet; run  bin/lab up')
    return subprocess.run(netbox.manage_command(arguments.arguments or ['help']), env=lab.environment).returncode


def shell(arguments: argparse.Namespace) -> int:
    arguments.arguments = ['nbshell', *arguments.arguments]
    return manage(arguments)


def logs(arguments: argparse.Namespace) -> int:
    folder = the_lab().places.logs
    found = sorted(path for path in folder.glob('*.log') if arguments.service in (None, path.stem))
    if not found:
        there = ', '.join(sorted(path.stem for path in folder.glob('*.log'))) or 'none'
        raise LabError(f'there is no log of {arguments.service or "anything"} in {folder} (there are: {there})')
    command = ['tail', '-n', str(arguments.lines), *(['-F'] if arguments.follow else []), *map(str, found)]
    return subprocess.run(command).returncode


def template(_arguments: argparse.Namespace) -> int:
    from lab import template as templates
    from lab.progress import Progress

    print(templates.ensure(Progress()))
    return 0


def cache(arguments: argparse.Namespace) -> int:
    from lab import confined, prospector
    from lab import template as templates
    from lab.images import kept as images

    if arguments.empty:
        for part in (images, prospector, confined, templates):
            part.empty()
    for path, size in [*templates.kept(), *images.everything(), *prospector.everything()]:
        print(f'{size / 1e6:6.0f} MB  {path}')
    return 0


def has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # nor is its package there
        return False


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog='bin/lab', description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = root.add_subparsers(title='commands', metavar='', required=True)

    def add(name: str, function: object, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=function)
        return command

    add('up', up, 'start everything, repair what a kill left behind, and print where to look')
    add('down', down, 'stop everything; the data stay')
    add('restart', restart, 'down, then up')
    add('status', status, 'what runs; the exit code is 3 when not all is well').add_argument(
        '--json', action='store_true', help='for scripts'
    )
    add('reset', reset, 'stop everything and remove the run folder')
    add('shell', shell, "NetBox's Python shell; further arguments go to nbshell")
    add('manage', manage, 'any management command of NetBox, such as: manage showmigrations')
    command = add('logs', logs, 'the logs of all services or of one')
    command.add_argument('service', nargs='?', help='postgresql, redis, worker, web, prepare')
    command.add_argument('-f', '--follow', action='store_true', help='go on as they grow')
    command.add_argument('-n', '--lines', type=int, default=40, help='how many lines (default: %(default)s)')
    add('template', template, 'build the migrated database that lab and tests begin with, if it is not there')
    command = add('cache', cache, 'the migrated databases, the images and the prospector that are kept')
    command.add_argument('--empty', action='store_true', help='remove them; the next start takes minutes')
    for name in MODULES:
        if has_module(name):
            importlib.import_module(name).register(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    # What follows goes to NetBox or the sidecar as it is; argparse would take its options for its own.
    takes_all = bool(argv) and argv[0] in ('manage', 'shell', 'sidecar') and argv[1:] not in (['-h'], ['--help'])
    passed_on = argv[1:] if takes_all else []
    arguments = parser().parse_args(argv[: len(argv) - len(passed_on)])
    arguments.arguments = passed_on
    try:
        return int(arguments.run(arguments) or 0)
    except LabError as error:
        print(f'lab: {error}', file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
