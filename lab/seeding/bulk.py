"""Rows into tables by COPY, in batches.

COPY goes past Model.save() and its signals, so whoever adds rows fills in what those would have filled in.  What is not
given takes the default of the model's field; a column that has none is an error, so a newer NetBox cannot be seeded
half by mistake.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, models
from django.db.models.fields import NOT_PROVIDED

from lab.seeding.catalogue import REFERENCE

# NULL, TRUE and FALSE in COPY's text format (PostgreSQL documentation, COPY, "Text Format").
NULL, TRUE, FALSE = r'\N', 't', 'f'

_ESCAPES = str.maketrans({'\\': r'\\', '\t': r'\t', '\n': r'\n', '\r': r'\r'})


def text(value: str) -> str:
    """A text that may hold what COPY takes for itself."""
    return value.translate(_ESCAPES)


def document(value: object) -> str:
    """A JSON value."""
    return text(json.dumps(value))


def array(values: Iterable[object]) -> str:
    """An array of values that need no quoting: addresses, names, numbers."""
    return '{' + ','.join(map(str, values)) + '}'


def moment(value: datetime | None) -> str:
    return NULL if value is None else value.isoformat(sep=' ')


class Sheet:
    """Rows of one model on their way into its table.

    `varying` are the columns that `add` takes, in that order, each already in COPY's text format; `constant` are those
    with one value for all rows.
    """

    def __init__(self, model: type[models.Model], varying: str = '', **constant: str) -> None:
        self.model = model
        self.written = 0
        columns = varying.split()
        fields = {field.attname: field for field in model._meta.concrete_fields}
        unknown = {*columns, *constant} - fields.keys()
        if unknown:
            raise TypeError(f'{model._meta.label} has no columns {sorted(unknown)}')
        key = model._meta.pk.attname
        self._has_id = key == 'id' and isinstance(fields['id'], models.AutoField)
        values = [*(['id'] if self._has_id else []), *columns]
        rest = {
            name: constant[name] if name in constant else _default(field)
            for name, field in fields.items()
            if name not in values
        }
        names = [fields[name].column for name in (*values, *rest)]
        self._statement = f'COPY "{model._meta.db_table}" ({", ".join(f'"{name}"' for name in names)}) FROM STDIN'
        fixed = [value.replace('%', '%%') for value in rest.values()]
        self._form = '\t'.join(['%s'] * len(values) + fixed) + '\n'
        self._rows: list[str] = []
        self.first = self._next = 0

    def open(self) -> None:
        """From here on primary keys are handed out here and not by the sequence, from its next number on."""
        if self._has_id:
            with connection.cursor() as cursor:
                cursor.execute('SELECT nextval(pg_get_serial_sequence(%s, %s))', [self.model._meta.db_table, 'id'])
                self.first = self._next = int(cursor.fetchone()[0])

    def key(self) -> int:
        """A primary key for a row that is `put` later, because other rows have to name it first."""
        key = self._next
        self._next += 1
        return key

    def add(self, *values: object) -> int:
        """One more row; its primary key."""
        if not self._has_id:
            self._rows.append(self._form % values)
            return 0
        key = self._next
        self._next += 1
        self._rows.append(self._form % (key, *values))
        return key

    def put(self, key: int, *values: object) -> None:
        """The row of a primary key that `key` gave."""
        self._rows.append(self._form % (key, *values))

    def __len__(self) -> int:
        return len(self._rows)

    def flush(self) -> None:
        if not self._rows:
            return
        with connection.cursor() as cursor, cursor.copy(self._statement) as copy:
            copy.write(''.join(self._rows))
        self.written += len(self._rows)
        self._rows = []

    def finish(self) -> None:
        """Writes what is left, and lets the sequence go on after the last row."""
        self.flush()
        if self._has_id:
            with connection.cursor() as cursor:
                cursor.execute(
                    'SELECT setval(pg_get_serial_sequence(%s, %s), %s, %s)',
                    [self.model._meta.db_table, 'id', max(self._next - 1, 1), self._next > 1],
                )


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A column that names rows of another table, and the trigger by which PostgreSQL checks it."""

    table: str
    trigger: str
    column: str
    to_table: str
    to_column: str


class Book:
    """All sheets.  They are flushed in the order in which they were made, which is the order of their foreign keys."""

    def __init__(self) -> None:
        self.sheets: list[Sheet] = []
        self._unchecked: list[ForeignKey] = []

    def sheet(self, model: type[models.Model], varying: str = '', **constant: str) -> Sheet:
        made = Sheet(model, varying, **constant)
        self.sheets.append(made)
        return made

    def open(self) -> None:
        """Begins: others may read what is in the tables, and wait to write, until the transaction ends.

        Foreign keys are checked at the end, all rows at once, because that takes a tenth of the time that PostgreSQL
        needs to look up each by itself.  Whoever may not switch these checks off (only a superuser may) has them made
        with each COPY: deferred, their queue would be held in memory.
        """
        tables = ', '.join(f'"{table}"' for table in self._tables)
        with connection.cursor() as cursor:
            cursor.execute('SET CONSTRAINTS ALL IMMEDIATE')
            cursor.execute(f'LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE')
            cursor.execute('SET LOCAL synchronous_commit = off')
            # Plans are kept for the session and made while the tables are empty, when reading them whole looks cheap.
            cursor.execute('SET LOCAL enable_seqscan = off')
            cursor.execute("SELECT current_setting('is_superuser') = 'on'")
            self._unchecked = self._foreign_keys() if cursor.fetchone()[0] else []
            for key in self._unchecked:
                cursor.execute(f'ALTER TABLE "{key.table}" DISABLE TRIGGER "{key.trigger}"')
        for sheet in self.sheets:
            sheet.open()

    @property
    def _tables(self) -> list[str]:
        return list(dict.fromkeys(sheet.model._meta.db_table for sheet in self.sheets))

    def _foreign_keys(self) -> list['ForeignKey']:
        """The checks that PostgreSQL makes when a row comes into one of the tables."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT DISTINCT t.relname, g.tgname, a.attname, r.relname, b.attname
                FROM pg_constraint c
                    JOIN pg_class t ON t.oid = c.conrelid
                    JOIN pg_class r ON r.oid = c.confrelid
                    JOIN pg_trigger g ON g.tgconstraint = c.oid AND g.tgrelid = c.conrelid
                    JOIN pg_proc p ON p.oid = g.tgfoid AND p.proname = 'RI_FKey_check_ins'
                    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
                    JOIN pg_attribute b ON b.attrelid = r.oid AND b.attnum = c.confkey[1]
                WHERE c.contype = 'f' AND cardinality(c.conkey) = 1
                    AND t.oid = ANY(%s::regclass[])
                ORDER BY 1, 2
                """,
                [[f'"{table}"' for table in self._tables]],
            )
            return [ForeignKey(*row) for row in cursor.fetchall()]

    def _check(self) -> None:
        """Makes up for the checks that were switched off, and switches them on again."""
        first = {sheet.model._meta.db_table: sheet.first for sheet in self.sheets if sheet.first}
        with connection.cursor() as cursor:
            for key in self._unchecked:
                cursor.execute(
                    f'SELECT count(*), min(t."{key.column}"::text) FROM "{key.table}" AS t '  # noqa: S608
                    f'WHERE t."{key.column}" IS NOT NULL {"AND t.id >= %s" if key.table in first else ""} '
                    f'AND NOT EXISTS (SELECT FROM "{key.to_table}" AS r WHERE r."{key.to_column}" = t."{key.column}")',
                    [first[key.table]] if key.table in first else [],
                )
                wrong, example = cursor.fetchone()
                if wrong:
                    raise IntegrityError(
                        f'{wrong} rows of {key.table} name a {key.to_table} that is not there, such as '
                        f'{key.column}={example}: the order or the numbers of the seeder are wrong'
                    )
                cursor.execute(f'ALTER TABLE "{key.table}" ENABLE TRIGGER "{key.trigger}"')
        self._unchecked = []

    def flush(self, at: int = 0) -> None:
        """Writes everything once there are at least so many rows."""
        if sum(map(len, self.sheets)) >= at:
            for sheet in self.sheets:
                sheet.flush()

    def finish(self) -> None:
        """Ends; what comes after it in the transaction works as usual."""
        for sheet in self.sheets:
            sheet.finish()
        with connection.cursor() as cursor:
            cursor.execute('SET LOCAL enable_seqscan = on')
        self._check()
        with connection.cursor() as cursor:
            cursor.execute('SET CONSTRAINTS ALL DEFERRED')

    def analyze(self) -> None:
        """Statistics now rather than whenever autovacuum comes round: without them the first pages are slow."""
        tables = ', '.join(dict.fromkeys(f'"{sheet.model._meta.db_table}"' for sheet in self.sheets if sheet.written))
        with connection.cursor() as cursor:
            cursor.execute(f'ANALYZE {tables}')


def _default(field: Any) -> str:
    """What Model() would have put into a column, in COPY's text format."""
    if getattr(field, 'auto_now', False) or getattr(field, 'auto_now_add', False):
        return moment(REFERENCE)
    if field.default is NOT_PROVIDED:
        if field.null:
            return NULL
        if field.empty_strings_allowed and (field.blank or getattr(field, 'db_returning', False)):
            return ''
        raise TypeError(f'{field.model._meta.label}.{field.attname} has no default: give it a value')
    value = field.get_default()
    if value is None:
        return NULL
    if isinstance(field, models.JSONField):
        return document(value)
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, list):
        if value:
            raise TypeError(f'{field.model._meta.label}.{field.attname} has a list as its default: give it a value')
        return '{}'
    return text(str(value))
