"""Runs inside NetBox (`python -m lab.prepare migrate accounts static`): what a start must do to the database and files.

One process does all that is due, because starting NetBox costs seconds.
"""

import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

from lab.accounts import Accounts
from lab.files import write_atomically
from lab.netbox import SETTINGS_VARIABLE


def migrate() -> None:
    from django.core.management import call_command

    call_command('migrate', interactive=False)


def accounts() -> None:
    from users.models import Token, User

    kept = Accounts.kept(Path(os.environ[SETTINGS_VARIABLE]).with_name('accounts.json'))
    user, _ = User.objects.get_or_create(username=kept.username)
    user.is_superuser = user.is_active = True
    user.set_password(kept.password)
    user.save()
    Token.objects.filter(key=kept.token_key).delete()
    token = Token(user=user, key=kept.token_key, token=kept.token_secret, description='The lab')
    token.save()


def static() -> None:
    from django.core.management import call_command

    call_command('collectstatic', interactive=False, clear=True, verbosity=0)


def sidecar() -> None:
    """The sidecar's user with its one permission, its token, and the boot server that it is."""
    from django.contrib.contenttypes.models import ContentType

    from users.models import ObjectPermission, Token, User

    from lab import sidecar as sidecars
    from netbox_substruct.models import BootServer

    folder = Path(os.environ[SETTINGS_VARIABLE]).with_name('sidecar')
    path = folder / 'account.json'
    kept = sidecars.kept_account(path)
    server = (
        BootServer.objects.filter(name=kept.boot_server).first()
        or BootServer.objects.order_by('pk').first()
        or BootServer.objects.create(name='lab', base_url='http://127.0.0.1:8080')
    )
    user, _ = User.objects.get_or_create(username=kept.username, defaults={'is_active': True})
    permission, _ = ObjectPermission.objects.update_or_create(
        name='The sidecar of the lab',
        defaults={'actions': ['view', 'feed'], 'constraints': {'name': server.name}},
    )
    permission.object_types.set([ContentType.objects.get_for_model(BootServer)])
    permission.users.set([user])
    Token.objects.filter(key=kept.token_key).delete()
    Token(user=user, key=kept.token_key, token=kept.token_secret, description='The sidecar of the lab').save()
    write_atomically(path, json.dumps(asdict(replace(kept, boot_server=server.name)), indent=2) + '\n')


TASKS = {'migrate': migrate, 'accounts': accounts, 'static': static, 'sidecar': sidecar}


def main() -> None:
    import django

    django.setup()
    for name in sys.argv[1:]:
        print(f'{name}:', flush=True)
        TASKS[name]()


if __name__ == '__main__':
    main()
