"""Settings that cannot be used are an error that names file, key and remedy; the environment wins over the file."""

from pathlib import Path

import pytest

from substruct_sidecar.reference import reference
from substruct_sidecar.secrets import SecretError, Secrets
from substruct_sidecar.settings import SettingsError, load
from substruct_sidecar.settings_checks import endpoint

GOOD = '[netbox]\nurl = "https://netbox.example.com"\nboot_server = "boot-ber"\ntoken_file = "/etc/substruct/token"\n'


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'sidecar.toml'

    def write(text):
        path.write_text(text)
        return path

    return write


def test_what_is_not_said_has_a_default(file):
    settings = load(file(GOOD), {})
    assert settings.netbox.poll_interval == 30
    assert settings.dhcp.backend == 'none'
    assert str(settings.files_folder) == '/var/lib/substruct/files'


def test_the_environment_wins_over_the_file_and_may_do_without_it(file):
    variables = {
        'SUBSTRUCT_NETBOX_URL': 'https://other.example.com',
        'SUBSTRUCT_NETBOX_POLL_INTERVAL': '5',
        'SUBSTRUCT_BOOT_HTTP': '["127.0.0.1:80"]',
        'SUBSTRUCT_DHCP_KEA_SOCKET4': '/run/kea/4.sock',
        'SUBSTRUCT_BOOT_TFTP_SINGLE_PORT': 'true',
    }
    settings = load(file(GOOD), variables)
    assert settings.netbox.url == 'https://other.example.com'
    assert settings.netbox.poll_interval == 5
    assert settings.boot.http == ['127.0.0.1:80']
    assert settings.boot.tftp_single_port
    assert settings.dhcp.kea.socket4 == '/run/kea/4.sock'
    alone = load(None, {**variables, 'SUBSTRUCT_NETBOX_BOOT_SERVER': 'b', 'SUBSTRUCT_CONFIG': str(file(''))})
    assert alone.netbox.boot_server == 'b'


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('', r'sidecar.toml: there is no \[netbox\] section'),
        ('[netbox]\nurl = "https://n"', r'netbox.boot_server: is missing. Set it there, or as SUBSTRUCT_NETBOX_BOOT'),
        (GOOD + 'pol_interval = 3', r'sidecar.toml: netbox.pol_interval: there is no such setting'),
        (GOOD + 'poll_interval = "soon"', r'sidecar.toml: netbox.poll_interval: Expected `float`, got `str`'),
        (GOOD + 'poll_interval = 0', r'netbox.poll_interval: is not between 0 and'),
        (GOOD + '[dhcp]\nbackend = "keo"', r"dhcp.backend: Invalid enum value 'keo'"),
        (GOOD + '[boot]\nhttp = ["::1:80"]', r'boot.http: .*brackets'),
        (GOOD + '[boot]\nhttp = ["localhost:80"]', r'"localhost" is no IP address'),
        (GOOD + '[boot]\nbase_url = "10.0.0.1"', r'boot.base_url: "10.0.0.1" is no URL'),
        (GOOD + '[[boot.advertise]]\nprefix = "10.0.0.1/24"\nurl = "http://a"', r'advertise\[0\].prefix: .*host bits'),
        (GOOD + '[safety]\nremoved = 20', r'safety.removed: is a share'),
        (GOOD + f'[paths]\nrun = "/{"x" * 102}"', r'paths.run: is too long for the name of a socket'),
        (GOOD + '[paths]\nstate = "var"', r'paths.state: "var" is no absolute path'),
        (GOOD + '[paths]\nfiles = "boot"', r'paths.files: "boot" is no absolute path'),
        (GOOD + '[paths]\nprospector = "p"', r'paths.prospector: "p" is no absolute path'),
        (GOOD + "[dns.zonefile]\ndirectory = '/etc/bind/x\"; };'", r'dns.zonefile.directory: has characters in it'),
        (GOOD + '[dns.zonefile]\ndirectory = "zones"', r'dns.zonefile.directory: "zones" is no absolute path'),
        (GOOD + '[dns.rfc2136]\nmarker = "no label"', r'dns.rfc2136.marker: "no label" is no label'),
        (GOOD + '[dns.rfc2136]\ntimeout = 0', r'dns.rfc2136.timeout: is not between 0 and'),
        (GOOD + '[dns.powerdns]\nurl = "pdns:8081"', r'dns.powerdns.url: "pdns:8081" is no URL'),
        ('[netbox', r'sidecar.toml: is not TOML: Expected .*table'),
        (GOOD.replace('https://', 'https://user:pass@'), r'netbox.url: holds a user name'),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_file_its_key_and_what_to_do(file, text, says):
    with pytest.raises(SettingsError, match=says):
        load(file(text), {})


def test_all_faults_are_told_at_once(file):
    with pytest.raises(SettingsError) as error:
        load(file(GOOD + '[safety]\nremoved = 20\nchanged = -1'), {})
    assert 'safety.removed' in str(error.value)
    assert 'safety.changed' in str(error.value)


def test_a_fault_in_a_variable_names_the_variable(file):
    with pytest.raises(SettingsError, match=r'SUBSTRUCT_NETBOX_TIMEOUT: netbox.timeout: Expected `float`'):
        load(file(GOOD), {'SUBSTRUCT_NETBOX_TIMEOUT': 'long'})


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r'gone.toml: cannot be read \(No such file'):
        load(tmp_path / 'gone.toml', {})


@pytest.mark.parametrize(
    ('text', 'found'), [('0.0.0.0:69', ('0.0.0.0', 69)), ('[::1]:69', ('::1', 69)), (':69', ('::', 69))]
)
def test_endpoints(text, found):
    assert endpoint(text) == found


def test_a_secret_comes_from_the_environment_or_a_file(tmp_path):
    (tmp_path / 'dns').mkdir()
    (tmp_path / 'dns' / 'key').write_text('from file\n')
    assert Secrets(tmp_path, {}).get('dns/key') == 'from file'
    assert Secrets(tmp_path, {'SUBSTRUCT_SECRET_DNS_KEY': 'from variable'}).get('dns/key') == 'from variable'


@pytest.mark.parametrize('name', ['../etc/passwd', '/etc/passwd', 'a/../../b', '', 'a\0b', 'x' * 200])
def test_a_secret_outside_the_folder_cannot_be_named(tmp_path, name):
    with pytest.raises(SecretError, match='no name of a secret'):
        Secrets(tmp_path, {}).get(name)


def test_a_secret_that_is_not_there_says_where_to_put_it(tmp_path):
    with pytest.raises(SecretError, match=r'no secret "dns/key": put it into the file .* SUBSTRUCT_SECRET_DNS_KEY'):
        Secrets(tmp_path, {}).get('dns/key')


def test_the_manual_has_every_setting():
    """Write it anew with: python -m substruct_sidecar.reference > docs/sidecar-settings.txt"""
    kept = Path(__file__).parents[2] / 'docs' / 'sidecar-settings.txt'
    assert kept.read_text() == reference()


def test_the_example_can_be_loaded():
    settings = load(Path(__file__).parents[2] / 'sidecar' / 'examples' / 'sidecar.toml', {})
    assert settings.dhcp.backend == 'kea'
