"""How the SQLite files are opened."""

import os
import threading
from pathlib import Path

from substruct_sidecar import database


def test_processes_that_open_a_new_file_at_once_all_can_use_it(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    together = threading.Barrier(8)

    def open_it(path: Path) -> None:
        together.wait(30)
        try:
            connection = database.connect(path)
        except BaseException as error:
            errors.append(error)
            return
        try:
            database.prepare(connection, path, 1, 'CREATE TABLE a (b TEXT);\nCREATE TABLE c (d TEXT);\n')
            connection.execute("INSERT INTO a VALUES ('x')")
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    for number in range(30):
        threads = [threading.Thread(target=open_it, args=(tmp_path / f'{number}.db',)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []


def test_a_new_file_is_for_its_owner_and_group_alone(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        connection = database.connect(tmp_path / 'a.db')
        database.prepare(connection, tmp_path / 'a.db', 1, 'CREATE TABLE a (b TEXT);\n')
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        connection.close()
    finally:
        os.umask(umask)
    assert modes == {'a.db': 0o640, 'a.db-wal': 0o640, 'a.db-shm': 0o640}
