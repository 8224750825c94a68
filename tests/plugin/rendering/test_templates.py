"""The library's templates: what they make is read by the tools that read it, and no hostile value becomes a
statement."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netbox_substruct import template_library
from netbox_substruct.bundles import Template, markers, render, templates
from tests.formats import debconf

from .samples import address, context, one, packaged

DOCS = Path(__file__).parents[3] / 'docs'
FULL = {
    'locale': 'de_DE.UTF-8',
    'keyboard': 'de',
    'mirror': {'host': 'mirror.example.com', 'proxy': 'http://proxy:3128', 'security': 'security.example.com'},
    'tasks': ['standard'],
    'packages': ['vim', 'sudo'],
    'root': {'password_hash': '$y$j9T$abc$def', 'ssh_keys': ['ssh-ed25519 AAAA root@x']},
    'users': [{'name': 'ada', 'full_name': "Ada O'Neil", 'password_hash': '$6$a$b', 'ssh_keys': ['ssh-ed25519 A'],
               'groups': ['adm'], 'sudo': True}, {'name': 'bob'}],
    'kernel_options': ['console=ttyS0,115200n8'],
    'late_commands': ["echo 'a b' >/etc/x", 'systemctl enable x || true'],
}  # fmt: skip


def preseed(**changes):
    return render(context(**changes), [packaged('debian/preseed.cfg', 'preseed')])


def selections(content):
    """A preseed file as debconf-set-selections(1) reads it: {question: (type, value)}."""
    found = {}
    for line in content.replace('\\\n', '').split('\n'):
        if not line.strip() or line.startswith('#'):
            continue
        match = re.fullmatch(r'\s*(\S+)\s+(\S+)\s+(\S+)(?:\s(.*))?', line)
        assert match, line
        owner, question, kind, value = match.groups()
        assert owner in ('d-i', 'tasksel', 'popularity-contest'), line
        assert question not in found, line
        found[question] = kind, (value or '').strip()
    return found


def statements(script):
    """The lines of an iPXE script, each as its words."""
    assert script.startswith('#!ipxe\n')
    return [line.split() for line in script.split('\n') if line.strip() and not line.startswith('#')]


# ---------------------------------------------------------------- Debian


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'parameters': FULL},
        {'profile__disk_layout': {'disk': 'only', 'scheme': 'regular', 'recipe': 'home'}},
        {'profile__disk_layout': {'disk': ['/dev/sda', '/dev/sdb'], 'recipe': 'root ::\n 1000 2000 -1 ext4\n .'}},
        {'profile__disk_layout': {'disk': '/dev/vda', 'scheme': 'crypto', 'crypto_secret': 'luks/web'}},
        {'network__ip4': None, 'machine__site': None, 'machine__firmware': 'bios', 'machine__domain': ''},
        {'parameters': {'root': {'password_secret': 'web/root'}}},
    ],
)
def test_debconf_takes_the_preseed(changes, tmp_path):
    content = one(preseed(**changes))
    file = tmp_path / 'preseed.cfg'
    file.write_text(content)
    assert debconf(file) == (0, '', '')
    selections(content)


def test_the_preseed_says_what_netbox_says():
    found = selections(one(preseed(parameters=FULL)))
    assert found['netcfg/get_ipaddress'] == ('string', '10.1.2.5')
    assert found['netcfg/get_netmask'] == ('string', '255.255.255.0')
    assert found['netcfg/get_gateway'] == ('string', '10.1.2.1')
    assert found['netcfg/get_nameservers'] == ('string', '10.1.0.53 10.1.1.53')
    assert found['netcfg/get_hostname'] == ('string', 'web01')
    assert found['netcfg/get_domain'] == ('string', 'dc1.example.com')
    assert found['time/zone'] == ('string', 'Europe/Berlin')
    assert found['clock-setup/ntp-server'] == ('string', '10.1.0.123')
    assert found['partman-auto/disk'] == ('string', '/dev/sda')
    assert found['passwd/root-password-crypted'] == ('password', '$y$j9T$abc$def')
    assert found['pkgsel/include'] == ('string', 'vim sudo')
    early, late = found['preseed/early_command'][1], found['preseed/late_command'][1]
    assert '/progress' in early and early.endswith('kill-all-dhcp; netcfg')
    assert '/done' in late.rsplit(';', 4)[0] or '/done' in late
    assert "useradd -m -s /bin/bash -c '" in late


def test_the_shell_takes_the_commands_of_the_preseed():
    found = selections(one(preseed(parameters=FULL, profile__disk_layout={'disk': 'only'})))
    for question in ('preseed/early_command', 'preseed/late_command', 'partman/early_command'):
        subprocess.run(['sh', '-n', '-c', found[question][1]], check=True)
    inner = [part[3] for part in commands_in_target(found['preseed/late_command'][1])]
    assert "echo 'a b' >/etc/x" in inner
    for command in inner:
        subprocess.run(['sh', '-n', '-c', command], check=True)


@pytest.mark.parametrize('disks', [[], ['/dev/sda', '/dev/sdb']])
def test_an_installer_that_finds_not_just_one_disk_never_takes_one(tmp_path, disks):
    command = selections(one(preseed(profile__disk_layout={'disk': 'only'})))['partman/early_command'][1]
    programs = {
        'list-devices': f'echo {" ".join(disks)}', 'wget': ':', 'debconf-set': f'echo "$@" >>{tmp_path}/taken',
        # Days go by; then somebody switches it off.
        'sleep': f'echo >>{tmp_path}/slept; [ $(wc -l <{tmp_path}/slept) -lt 100 ] || kill -9 $PPID',
    }  # fmt: skip
    for name, text in programs.items():
        (tmp_path / name).write_text(f'#!/bin/sh\n{text}\n')
        (tmp_path / name).chmod(0o755)
    ran = subprocess.run(['sh', '-c', command], check=False, env={'PATH': f'{tmp_path}:/usr/bin:/bin'})
    assert ran.returncode == -9
    assert not (tmp_path / 'taken').exists()


def test_the_end_is_reported_until_it_is_heard(tmp_path):
    """Else a boot server that was restarted just then would install the machine again."""
    late = selections(one(preseed()))['preseed/late_command'][1]
    wget = f'echo >>{tmp_path}/asked; [ $(wc -l <{tmp_path}/asked) -ge 200 ]'
    for name, text in {'wget': wget, 'sleep': ':'}.items():
        (tmp_path / name).write_text(f'#!/bin/sh\n{text}\n')
        (tmp_path / name).chmod(0o755)
    subprocess.run(['sh', '-c', late], check=True, env={'PATH': f'{tmp_path}:/usr/bin:/bin'})
    assert (tmp_path / 'asked').read_text().count('\n') == 200


def commands_in_target(late):
    """The commands `in-target sh -c …` of a late_command, each as its words."""
    words, found = shlex.split(late.replace(';', ' ; ') if "'" not in late else late), []
    while 'in-target' in words:
        position = words.index('in-target')
        found.append([word.removesuffix(';') for word in words[position : position + 4]])
        words = words[position + 1 :]
    return found


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'profile__disk_layout': {}}, 'names no disk'),
        ({'profile__disk_layout': {'disk': []}}, 'names no disk'),
        ({'profile__disk_layout': {'disk': 'sda'}}, 'no device below /dev/'),
        ({'profile__disk_layout': {'disk': '/dev/sda /dev/sdb'}}, 'no device below /dev/'),
        ({'profile__disk_layout': {'disk': '/dev/sda', 'scheme': 'zfs'}}, 'scheme'),
        ({'profile__disk_layout': {'disk': '/dev/sda', 'scheme': 'crypto'}}, 'crypto_secret'),
        ({'parameters': {'root': {'password_hash': 'hunter2'}}}, 'crypt(3)'),
        ({'parameters': {'users': [{'name': 'ada', 'password_hash': 'hunter2'}]}}, 'crypt(3)'),
        ({'parameters': {'users': [{'name': '-rf /'}]}}, 'user name'),
        ({'parameters': {'network': {'method': 'magic'}}}, 'network.method'),
        ({'parameters': {'network': {'method': 'static'}}, 'network__ip4': None}, 'no primary IPv4 address'),
    ],
)  # fmt: skip
def test_what_is_unsafe_or_missing_is_refused_in_words(changes, said):
    bundle = preseed(**changes)
    assert not bundle.artifacts
    (error,) = bundle.errors
    assert said in error.message
    assert error.line
    assert error.machine == 'web01'


def test_without_an_address_of_its_own_the_machine_uses_dhcp():
    found = selections(one(preseed(network__ip4=None)))
    assert 'netcfg/get_ipaddress' not in found
    assert 'netcfg' not in found['preseed/early_command'][1]


# ---------------------------------------------------------------- iPXE


def of_machine(path, **changes):
    """A script of the library for a machine, for which there is a template of the kind "script" too."""
    bundle = render(context(**changes), [packaged(path), Template('script', 'S', 'x')])
    assert not bundle.errors
    return bundle.get('ipxe').content


@pytest.mark.parametrize('path', sorted(path for path in template_library.files() if path.startswith('ipxe/')))
def test_scripts_have_the_structure_of_ipxe_scripts(path):
    script = of_machine(path)
    lines = statements(script)
    labels = {words[0][1:] for words in lines if words[0].startswith(':')}
    targets = {words[words.index('goto') + 1] for words in lines if 'goto' in words}
    assert targets <= labels
    known = {'echo', 'imgfree', 'kernel', 'initrd', 'boot', 'sleep', 'chain', 'goto', 'sanboot', 'exit', 'iseq'}
    known |= {'shell'}
    assert {words[0] for words in lines if not words[0].startswith(':')} <= known
    assert markers.MARKER.sub('', script).count('@@') == 0


def test_the_installer_gets_kernel_initrd_and_arguments():
    file = context()['boot_image']['kernel']
    bundle = render(
        context(boot_image__initrds=[file, dict(file, path='files/second')], parameters={'kernel_arguments': ['a=b c',
        'quiet']}), [packaged('ipxe/install.ipxe'), Template('preseed', 'P', 'x')],
    )  # fmt: skip
    lines = statements(bundle.get('ipxe').content)
    kernel = next(words for words in lines if words[0] == 'kernel')
    base = markers.BASE_URL
    assert kernel[3] == f'{base}/files/{"ab" * 32}'
    # The installer takes the port that the machine boots from, whatever it is called.
    assert kernel[4:8] == ['initrd=initrd0', 'initrd=initrd1', 'BOOTIF=01-${netX/mac:hexhyp}', 'auto=true']
    assert kernel[8] == f'url={base}/build/{markers.TOKEN}/preseed.cfg'
    assert kernel[9:] == ['"a=b', 'c"', 'quiet', '||', 'goto', 'failed']
    assert [words[2:4] for words in lines if words[0] == 'initrd'] == [
        ['initrd0', f'{base}/files/{"ab" * 32}'], ['initrd1', f'{base}/files/second']
    ]  # fmt: skip


def test_the_local_disk_is_booted_as_the_firmware_does_it():
    for method, expected in {
        'sanboot': ['sanboot --no-describe --drive 0x80 || exit 1'],
        'exit': ['exit 1'],
        'grub': ['exit 1'],
        '': ['iseq ${platform} efi && exit 1 ||', 'sanboot --no-describe --drive 0x80 || exit 1'],
    }.items():
        script = one(render(context(machine__local_boot=method), [packaged('ipxe/local.ipxe')]))
        assert script.strip().split('\n')[2:] == expected


def test_a_disk_image_is_written_to_a_disk_that_was_named():
    changes = {'boot_image__kernel': None, 'boot_image__initrds': [], 'boot_image__method': 'disk-image'}
    script = one(render(context(**changes), [packaged('ipxe/disk-image.ipxe')]))
    kernel = next(words for words in statements(script) if words[0] == 'kernel')
    assert f'substruct.image={markers.BASE_URL}/files/{"ab" * 32}' in kernel
    assert f'substruct.build={markers.BASE_URL}/build/{markers.TOKEN}/' in kernel
    assert 'substruct.disk=/dev/sda' in kernel
    bundle = render(context(profile__disk_layout={}, **changes), [packaged('ipxe/disk-image.ipxe')])
    assert 'none is safe to guess' in bundle.errors[0].message


def test_a_script_is_run_by_the_prospector_and_has_to_be_there():
    changes = {
        'boot_image__kernel': None, 'boot_image__initrds': [], 'boot_image__disk_image': None,
        'boot_image__arguments': '', 'boot_image__method': 'script',
    }  # fmt: skip
    kernel = next(words for words in statements(of_machine('ipxe/script.ipxe', **changes)) if words[0] == 'kernel')
    base = markers.BASE_URL
    assert kernel[3:] == [
        f'{base}/prospector/x86_64/vmlinuz', 'initrd=initrd0', 'substruct.mode=script', f'substruct.url={base}',
        f'substruct.build={base}/build/{markers.TOKEN}/', 'BOOTIF=01-${netX/mac:hexhyp}', '||', 'goto', 'failed',
    ]  # fmt: skip
    bundle = render(context(**changes), [packaged('ipxe/script.ipxe')])
    assert 'there is no script to run' in bundle.errors[0].message


def test_what_could_not_be_loaded_asks_anew_what_is_to_be_done():
    """The build may have ended meanwhile, and its token with it."""
    for path in ('ipxe/install.ipxe', 'ipxe/disk-image.ipxe'):
        chain = next(words for words in statements(of_machine(path)) if words[0] == 'chain')
        assert chain[3].startswith(f'{markers.BASE_URL}/boot.ipxe?mac=${{netX/mac:hexhyp}}&')


# ---------------------------------------------------------------- hostile values

HOSTILE = st.one_of(
    st.sampled_from([
        'x\nreboot', 'x\r\nd-i evil/question string 1', '|| reboot', 'a && shell', '; reboot', '${net0/mac}', '#{x}',
        '{{ 7 * 7 }}', '{% include "x" %}', "'; reboot; '", '"; reboot; "', '`reboot`', '$(reboot)', '\\', 'x\\', '# x',
        '--flag', '\x00', '\x1b[2J', '\u202egnp', '@@substruct:token@@', '@@substruct:secret:root@@',
        '../../etc/passwd', 'x' * 70000,
    ]),
    st.text(max_size=40),
    st.text(alphabet='\'"`$\\{}#;&|<>() \t\n\r\0@%:/', max_size=20),
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(HOSTILE)
def test_a_hostile_value_changes_no_other_line_of_a_script(value):
    for path in sorted(path for path in template_library.files() if path.startswith('ipxe/')):
        plain = statements(of_machine(path))
        bundle = render(
            context(machine__name=value, boot_image__name=value, machine__hostname=value, profile__name=value,
                    machine__custom_fields={'x': value}), [packaged(path), Template('script', 'S', 'x')],
        )  # fmt: skip
        if bundle.errors:
            continue
        found = statements(bundle.get('ipxe').content)
        # Only what is shown may differ.
        assert [words for words in found if words[0] != 'echo'] == [words for words in plain if words[0] != 'echo']
        assert len(found) == len(plain)
        for words in found:
            if words[0] == 'echo':
                assert not {'||', '&&', ';'} & set(words)
                assert '${' not in ' '.join(words)
                assert not any(word.startswith(('#', '-')) for word in words[1:])


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(HOSTILE)
def test_a_hostile_value_changes_no_other_answer_of_a_preseed(value):
    plain = selections(one(preseed()))
    for changes, answer in (
        ({'machine__name': value}, None),
        ({'machine__domain': value}, 'netcfg/get_domain'),
        ({'parameters': {'locale': value}}, 'debian-installer/locale'),
        ({'parameters': {'mirror': {'host': value}}}, 'mirror/http/hostname'),
        ({'parameters': {'packages': [value]}}, 'pkgsel/include'),
        ({'profile__name': value}, None),
        ({'parameters': {'late_commands': [value]}}, 'preseed/late_command'),
        ({'parameters': {'users': [{'name': 'ada', 'full_name': value}]}}, 'preseed/late_command'),
        ({'parameters': {'root': {'ssh_keys': [value]}}}, 'preseed/late_command'),
    ):
        bundle = preseed(**changes)
        if bundle.errors:
            continue
        found = selections(bundle.artifacts[0].content)
        assert {key: found[key] for key in found if key != answer} == {
            key: plain[key] for key in plain if key != answer
        }
        assert markers.secrets_in(bundle.artifacts[0].content) == []
        if answer == 'preseed/late_command':
            subprocess.run(['sh', '-n', '-c', found[answer][1]], check=True)


@pytest.mark.parametrize(
    'parameters',
    [
        {'root': {'ssh_keys': ['ssh-ed25519 AAAA\nssh-ed25519 BBBB']}},
        {'users': [{'name': 'ada', 'full_name': 'A\nB'}]},
        {'late_commands': ['touch /x\ntouch /y']},
    ],
)
def test_a_line_break_in_a_command_is_refused_and_not_cut_in_two(parameters):
    (error,) = preseed(parameters=parameters).errors
    assert 'holds a line break' in error.message


def test_a_key_reaches_the_file_as_it_is(tmp_path):
    key = 'ssh-ed25519 AAAA it\'s $(x) `y` "z" %s \\n'
    # A file that was pasted ends with a line break.
    late = selections(one(preseed(parameters={'root': {'ssh_keys': [f'{key}\n']}})))['preseed/late_command'][1]
    home, programs = tmp_path / 'home', tmp_path / 'bin'
    for folder in (home, programs):
        folder.mkdir()
    for name, text in {'in-target': 'exec "$@"', 'install': f'mkdir -p {home}/.ssh', 'chown': ':'}.items():
        (programs / name).write_text(f'#!/bin/sh\n{text}\n')
        (programs / name).chmod(0o755)
    # All but the report at its end.
    script = late[: late.index('n=0;')].replace('/root', str(home))
    subprocess.run(['sh', '-ec', script], check=True, env={'PATH': f'{programs}:/usr/bin:/bin'})
    assert (home / '.ssh' / 'authorized_keys').read_text() == key + '\n'


# ---------------------------------------------------------------- the library as a whole


@pytest.mark.parametrize('path', sorted(template_library.files()))
def test_every_template_says_what_it_is_for(path):
    assert template_library.files()[path].startswith('{# ')
    name = template_library.template_name(path)
    assert path.startswith('snippets/') or name in (DOCS / 'templates.md').read_text()


def test_every_method_of_a_boot_image_has_its_script():
    from netbox_substruct.choices import BootMethodChoices

    assert set(templates.DEFAULT_IPXE) == set(BootMethodChoices.values())
    assert set(templates.DEFAULT_IPXE.values()) <= set(template_library.files())


def test_ipv6_only_machines_install_over_dhcp():
    six = address('2001:db8::5/64')
    from msgspec import to_builtins

    assert 'netcfg/get_ipaddress' not in one(preseed(network__ip4=None, network__ip6=to_builtins(six)))
