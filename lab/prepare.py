"""Runs inside NetBox (`python -m lab.prepare migrate accounts static`): what a start must do to the database and files.

One process does all that is due, because starting NetBox costs seconds.
"""

import os
import sys
from pathlib import Path

from lab.accounts import Accounts
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


TASKS = {'migrate': migrate, 'accounts': accounts, 'static': static}


def main() -> None:
    import django

    django.setup()
    for name in sys.argv[1:]:
        print(f'{name}:', flush=True)
        TASKS[name]()


if __name__ == '__main__':
    main()
