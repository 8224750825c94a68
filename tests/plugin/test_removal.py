"""Removing the plugin leaves NetBox as if it had never been there."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from core.models import DataSource, ObjectChange
from dcim.models import Device
from extras.models import ConfigTemplate, EventRule, JournalEntry, Tag, Webhook

from netbox_substruct import template_library
from netbox_substruct.feed import changes
from netbox_substruct.models import BootServer, Machine
from netbox_substruct.reports import webhooks
from tests.plugin.lifecycle.world import a_machine, a_user


def rows_about_the_plugin():
    """Every row of any table that refers to a content type of the plugin."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
            WHERE c.contype = 'f' AND c.confrelid = 'django_content_type'::regclass
            """
        )
        found = {}
        for table, column in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM {table} t JOIN django_content_type c ON c.id = t.{column} '
                "WHERE c.app_label = 'netbox_substruct'"
            )
            if count := cursor.fetchone()[0]:
                found[table] = count
        cursor.execute("SELECT count(*) FROM django_content_type WHERE app_label = 'netbox_substruct'")
        found['django_content_type'] = cursor.fetchone()[0]
        for what, sql in (
            ('functions', "SELECT count(*) FROM pg_proc WHERE starts_with(proname, 'netbox_substruct')"),
            ('triggers', "SELECT count(*) FROM pg_trigger WHERE starts_with(tgname, 'netbox_substruct')"),
            ('relations', "SELECT count(*) FROM pg_class WHERE starts_with(relname, 'netbox_substruct')"),
        ):
            cursor.execute(sql)
            found[what] = cursor.fetchone()[0]
    return {what: count for what, count in found.items() if count}


def test_it_asks_before_it_removes_anything(committed, monkeypatch):
    monkeypatch.setattr('builtins.input', lambda _prompt: 'no')
    with pytest.raises(CommandError, match='Nothing was removed'):
        call_command('substruct_remove')
    assert Machine.objects.count() == 0


def test_nothing_of_it_is_left_and_netbox_works_on(committed):
    from netbox_substruct.lifecycle import builds

    template_library.install(force=True)
    user = a_user()
    machine = a_machine()
    builds.request(machine, user=user)
    boot_server = BootServer.objects.create(name='boot-ber', base_url='http://10.1.0.2')
    webhooks.put(boot_server.pk, 'http://10.1.0.2/hook')
    machine.tags.add(Tag.objects.create(name='t', slug='t'))
    JournalEntry.objects.create(assigned_object=machine, comments='x', created_by=user)
    assert rows_about_the_plugin()['triggers'] == 3 * len(changes.TRACKED)
    assert ObjectChange.objects.filter(changed_object_type__app_label='netbox_substruct').exists()

    call_command('substruct_remove', yes=True, verbosity=0)

    assert rows_about_the_plugin() == {}
    assert not Webhook.objects.exists() and not EventRule.objects.exists()
    assert not DataSource.objects.exists() and not ConfigTemplate.objects.exists()
    device = Device.objects.get()
    device.name = 'still here'
    device.save()
    with connection.cursor() as cursor:  # as NetBox does without the plugin, whose models are still loaded here
        cursor.execute('DELETE FROM dcim_device WHERE id = %s', [device.pk])
