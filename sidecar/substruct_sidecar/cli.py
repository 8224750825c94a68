"""The command line: `substruct-sidecar run | check | plan | apply | status | show <machine> |
preflight <machine> | prospector build`.

Exit codes: 0 all is well; 1 something is not, and the output says what; 2 the command line is wrong; 78 the settings
cannot be used.
"""

import argparse
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import log
from .database import WrongVersion
from .settings import Settings, SettingsError, load
from .version import __version__

EX_CONFIG = 78


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.command == 'prospector':
        return _prospector(arguments)
    try:
        settings = load(arguments.config)
    except SettingsError as error:
        print(f'substruct-sidecar: {error}', file=sys.stderr)
        return EX_CONFIG
    log.configure(settings.log, arguments.command if arguments.command != 'process' else arguments.name)
    command: Callable[[Settings, argparse.Namespace], int] = arguments.run
    try:
        return command(settings, arguments)
    except SettingsError as error:
        print(f'substruct-sidecar: {error}', file=sys.stderr)
        return EX_CONFIG
    except WrongVersion as error:
        print(f'substruct-sidecar: {error}', file=sys.stderr)
        return 1
    except (sqlite3.Error, PermissionError) as error:
        print(
            f'substruct-sidecar: What is kept in {settings.state_folder} cannot be used ({error}). Is the disk full, '
            f'or the folder another user’s? docs/sidecar.md says how to begin anew.',
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='substruct-sidecar',
        description='The agent of Substruct: makes DHCP, DNS, boot files and machines what NetBox says they should be.',
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    parser.add_argument(
        '--config',
        type=Path,
        metavar='FILE',
        help='the settings (default: the variable SUBSTRUCT_CONFIG, or /etc/substruct/sidecar.toml)',
    )
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')

    def add(name: str, run: Callable[[Settings, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=text, description=text)
        found.set_defaults(run=run)
        return found

    add('run', _run, 'serve machines and keep all services in step, until stopped')
    add('check', _check, 'test every part (NetBox, servers, folders, ports, clock) and say what to do')
    plan = add('plan', _plan, 'show as a difference what would be changed; changes nothing')
    plan.add_argument('service', nargs='*', help='dhcp, dns, files, or state (what NetBox says); default: all')
    plan.add_argument('--full', action='store_true', help='every change, however many there are')
    apply = add('apply', _apply, 'carry out the plans now, or accept one that was refused')
    apply.add_argument('service', nargs='*', help='dhcp, dns, files, or state (what NetBox says); default: all')
    apply.add_argument('--accept', metavar='FINGERPRINT', help='allow the refused plan of this fingerprint')
    status = add('status', _status, 'how the running sidecar is')
    status.add_argument('--json', action='store_true', help='for programs')
    show = add(
        'show', _show, 'everything that is known of one machine: what it boots and why, its addresses, its names'
    )
    show.add_argument('machine', help='name, MAC address, IP address, UUID, serial number or id')
    show.add_argument('--json', action='store_true', help='for programs')
    preflight = add('preflight', _preflight, 'whether one machine would boot from here, step by step; changes nothing')
    preflight.add_argument('machine', help='name, MAC address, IP address, UUID, serial number or id')
    preflight.add_argument('--json', action='store_true', help='for programs')
    text = 'build the small Linux that machines are discovered and written with, or show what is there'
    prospector = commands.add_parser('prospector', help=text, description=text)
    verbs = prospector.add_subparsers(dest='verb', required=True, metavar='build|show')
    for verb, words in (('build', 'make it out of packages'), ('show', 'what is there: versions, sizes, packages')):
        found = verbs.add_parser(verb, help=words, description=words)
        found.add_argument('--arch', default='x86_64', help='as the kernel names it: x86_64 (default), aarch64')
        found.add_argument('--output', type=Path, metavar='DIR', help='where it stands (default: paths.prospector)')
        if verb == 'build':
            found.add_argument('--recipe', type=Path, metavar='FILE', help='instead of the built-in one')
            found.add_argument('--cache', type=Path, metavar='DIR', help='where packages are kept between builds')
        else:
            found.add_argument('--json', action='store_true', help='for programs')
            found.add_argument('--packages', action='store_true', help='every package with its version')
    process = commands.add_parser('process')  # what `run` starts; not for people
    process.set_defaults(run=_process)
    process.add_argument('name', choices=('agent', 'http', 'tftp'))
    return parser


# Imports stand in the functions: `status` must not wait for a web server to be loaded.


def _prospector(arguments: argparse.Namespace) -> int:
    """It needs no settings where it is said where the image stands: it may be built on another host."""
    from .prospector import commands

    output: Path | None = arguments.output
    if output is None:
        try:
            output = load(arguments.config).prospector_folder
        except SettingsError as error:
            print(f'substruct-sidecar: {error}\nWithout settings, name a folder with --output.', file=sys.stderr)
            return EX_CONFIG
    if arguments.verb == 'show':
        return commands.show(output, arguments.arch, as_json=arguments.json, packages=arguments.packages)
    return commands.build(output, arguments.arch, arguments.recipe, arguments.cache)


def _run(settings: Settings, arguments: argparse.Namespace) -> int:
    from .supervisor import run

    return run(settings, arguments.config)


def _process(settings: Settings, arguments: argparse.Namespace) -> int:
    if arguments.name == 'agent':
        from .assembly import run_agent

        return run_agent(settings)
    if arguments.name == 'http':
        from .boot.http import main as run_http

        return run_http(settings)
    from .boot.tftp import main as run_tftp

    return run_tftp(settings)


def _check(settings: Settings, arguments: argparse.Namespace) -> int:
    from .checking import check

    return check(settings)


def _plan(settings: Settings, arguments: argparse.Namespace) -> int:
    from .commands import plan

    return plan(settings, arguments.service, everything=arguments.full)


def _apply(settings: Settings, arguments: argparse.Namespace) -> int:
    from .commands import apply

    return apply(settings, arguments.service, arguments.accept)


def _status(settings: Settings, arguments: argparse.Namespace) -> int:
    from .commands import status

    return status(settings, as_json=arguments.json)


def _show(settings: Settings, arguments: argparse.Namespace) -> int:
    from .showing import show

    return show(settings, arguments.machine, as_json=arguments.json)


def _preflight(settings: Settings, arguments: argparse.Namespace) -> int:
    from .preflight import command

    return command(settings, arguments.machine, as_json=arguments.json)
