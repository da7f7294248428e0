"""What a user or a server gets wrong: a clear message, the right exit code, the position unmoved, within seconds."""

import contextlib

import pytest

from harness.replication import drain, task_config


def _refused(tailrace, status, words, *args, **kwargs):
    result = tailrace.run(*args, timeout=30, **kwargs)
    assert result.status == status, result
    for word in words:
        assert word in result.stderr, result
    return result


def test_unknown_option_suggests_the_near_one(source, target, tailrace):
    config = task_config(source.url, target.url)
    config["wrokers"] = 2
    _refused(tailrace, 2, ["wrokers", "workers"], "run", config=config)


@pytest.mark.parametrize("key,value", [("workers", "many"), ("memory", "12 bananas"), ("mode", "sometimes"), ("workers", 0)])
def test_wrong_type_names_the_key(source, target, tailrace, key, value):
    _refused(tailrace, 2, [key, "task.yaml"], "run", config=task_config(source.url, target.url, **{key: value}))


def test_unreadable_file(tailrace):
    _refused(tailrace, 2, ["nowhere.yaml"], "run", "nowhere.yaml")


def test_unknown_scheme(source, tailrace):
    _refused(tailrace, 2, ["gopher"], "run", config=task_config(source.url, "gopher://x"))


def test_wrong_password_ends_at_once(make_postgres, target, tailrace):
    server = make_postgres()
    server.sql("CREATE ROLE repl LOGIN REPLICATION PASSWORD 'right'")
    server.write_hba("host all repl 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 trust", "local all all trust")
    server.sql("SELECT pg_reload_conf()")
    url = server.url("postgres", user="repl", password="wrong")
    result = _refused(tailrace, 1, ["password authentication failed"], "run", config=task_config(url, target.url))
    assert "wrong" not in result.stderr.replace("wrong password", "")


def test_wrong_wal_level(make_postgres, target, tailrace):
    server = make_postgres(wal_level="replica")
    server.sql("CREATE TABLE t (id int PRIMARY KEY)")
    _refused(tailrace, 1, ["wal_level"], "run", config=task_config(server.url("postgres"), target.url, tables={"include": ["public.%"]}))


def test_exhausted_slots(make_postgres, target, tailrace):
    server = make_postgres(max_replication_slots=1)
    server.sql("CREATE TABLE t (id int PRIMARY KEY)")
    server.sql("SELECT pg_create_logical_replication_slot('taken', 'pgoutput')")
    _refused(tailrace, 1, ["max_replication_slots"], "run",
             config=task_config(server.url("postgres"), target.url, tables={"include": ["public.%"]}))


def test_missing_privilege(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    source.sql("DROP ROLE IF EXISTS nobody_here")
    source.sql("CREATE ROLE nobody_here LOGIN")
    try:
        url = source.url.replace("postgres@", "nobody_here@")
        _refused(tailrace, 1, ["permission denied", "CREATE PUBLICATION"], "run", config=task_config(url, target.url, tables={"include": ["public.%"]}))
    finally:
        source.sql("DROP ROLE nobody_here")


def test_a_lost_slot_is_refused_and_never_made_again(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    source.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()")
    _refused(tailrace, 1, ["slot"], "run", config={**config, "stop": "drained"})
    assert source.one("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == 0


def test_a_slot_that_was_made_anew_is_refused(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    name = source.one("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")
    source.sql("SELECT pg_drop_replication_slot(%s)", (name,))
    source.sql("INSERT INTO t VALUES (1)")
    source.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (name,))
    _refused(tailrace, 1, ["slot"], "run", config={**config, "stop": "drained"})


def test_a_target_that_was_replaced_is_refused(source, target_server, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    first, second = target_server.database(), target_server.database()
    config = task_config(source.url, first.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    _refused(tailrace, 1, ["no checkpoint"], "run", config={**config, "target": {"url": second.url}, "stop": "drained"})
    first.drop(), second.drop()


def test_another_source_under_the_same_name_is_refused(source_server, make_postgres, target, tailrace):
    source = source_server.database()
    other = make_postgres()
    for server in (source, other):
        server.sql("CREATE TABLE t (id int PRIMARY KEY)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    _refused(tailrace, 1, ["another"], "run", config={**config, "source": {"url": other.url("postgres")}, "stop": "drained"})
    source.drop()


def test_rows_at_the_target_stop_the_load(source, target, tailrace):
    for database in (source, target):
        database.sql("CREATE TABLE t (id int PRIMARY KEY)")
    target.sql("INSERT INTO t VALUES (7)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    _refused(tailrace, 1, ["public.t", "on_existing"], "run", config={**config, "stop": "drained"})
    drain(tailrace, {**config, "on_existing": "truncate"})
    assert target.one("SELECT count(*) FROM t") == 0


def test_a_second_process_is_refused(source, target, make_tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    first = make_tailrace()
    config = task_config(source.url, target.url, tables={"include": ["public.%"]}, state=str(first.dir / "state"))
    first.start("run", config=config)
    first.wait_log("streaming from")
    _refused(make_tailrace(), 1, ["belongs to another"], "run", config=config)
    assert first.stop() == 0


def test_a_missing_row_at_the_target_stops_by_default(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2)")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    drain(tailrace, config)
    target.sql("DELETE FROM t WHERE id = 2")
    with contextlib.closing(source.connect(autocommit=False)) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE t SET v = 5 WHERE id = 1; UPDATE t SET v = 3 WHERE id = 2; INSERT INTO t VALUES (9, 9)")
        cursor.execute("SELECT pg_current_wal_insert_lsn()")
        within = cursor.fetchone()[0]
        connection.commit()
    _refused(tailrace, 1, ["public.t", "on_conflict"], "run", config={**config, "stop": "drained"})
    # the server's own records before the transaction may have been passed
    assert target.one("SELECT position::pg_lsn <= %s FROM tailrace.checkpoint", (within,))
    assert target.sql("SELECT id, v FROM t") == [(1, 1)]
    result = drain(tailrace, {**config, "on_conflict": "skip"})
    assert "public.t" in result.stderr
    assert sorted(target.sql("SELECT id, v FROM t")) == [(1, 5), (9, 9)]


def test_check_names_what_would_hurt_with_its_cure(make_postgres, target, tailrace):
    server = make_postgres(wal_level="replica")
    server.sql("CREATE TABLE nokey (v int)")
    result = tailrace.run("check", config=task_config(server.url("postgres"), target.url, tables={"include": ["public.%"]}))
    assert result.status == 3, result
    assert "ALTER SYSTEM SET wal_level" in result.stdout, result
    assert "nokey" in result.stdout, result
