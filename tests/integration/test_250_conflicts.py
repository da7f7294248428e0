"""The target disagrees with a change: what each policy makes of it, under parallel apply, next to changes that fit."""

import pytest

from harness.replication import assert_equal, drain, task_config

TABLES = ["plain", "twice", "fleeting", "moved", "wandered", "gone", "deleted", "clash"]


@pytest.fixture
def config(source, target):
    return task_config(source.url, target.url, tables={"include": ["public.%"]}, workers=4)


@pytest.fixture
def disturbed(source, target, tailrace, config):
    """Loaded; then the target is changed behind the task's back, and the source in ways that meet that."""
    for name in TABLES:
        source.sql(f"CREATE TABLE {name} (id int PRIMARY KEY, v text, u int UNIQUE); INSERT INTO {name} SELECT i, 'old', -i FROM generate_series(1, 20) i")
    source.sql("CREATE TABLE toasted (id int PRIMARY KEY, v int, big text); ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL;"
               "INSERT INTO toasted SELECT i, 0, repeat(md5(i::text), 300) FROM generate_series(1, 5) i")
    drain(tailrace, config)
    target.sql("INSERT INTO plain VALUES (50, 'stray', 50); INSERT INTO twice VALUES (50, 'stray', 50); INSERT INTO fleeting VALUES (50, 'stray', 50);"
               "INSERT INTO moved VALUES (50, 'stray', 50); INSERT INTO wandered VALUES (51, 'stray', 51); INSERT INTO clash VALUES (99, 'stray', 7);"
               "DELETE FROM gone WHERE id = 3; DELETE FROM deleted WHERE id = 3")
    source.sql("UPDATE plain SET v = 'fits' WHERE id < 10")
    source.sql("INSERT INTO plain VALUES (50, 'new', 50)")
    source.sql("BEGIN; INSERT INTO twice VALUES (50, 'new', 50); UPDATE twice SET v = 'newer' WHERE id = 50; INSERT INTO twice VALUES (60, 'fits', 60); COMMIT")
    source.sql("BEGIN; INSERT INTO fleeting VALUES (50, 'new', 50); UPDATE fleeting SET id = 52 WHERE id = 50; DELETE FROM fleeting WHERE id = 52; COMMIT")
    source.sql("BEGIN; UPDATE moved SET id = 50 WHERE id = 1; UPDATE moved SET v = 'after' WHERE id = 50; COMMIT")
    source.sql("BEGIN; INSERT INTO wandered VALUES (51, 'new', 51); UPDATE wandered SET id = 52 WHERE id = 51; COMMIT")
    source.sql("UPDATE gone SET v = 'changed' WHERE id = 3; UPDATE gone SET v = 'fits' WHERE id = 4")
    source.sql("DELETE FROM deleted WHERE id IN (3, 4)")
    return tailrace


def conflicts(result, table, what):
    return [line for line in result.stderr.splitlines() if f"public.{table}: " in line and f" {what}: " in line]


def test_overwrite_makes_the_rows_equal(source, target, disturbed, config):
    result = drain(disturbed, {**config, "on_conflict": "overwrite"})
    assert_equal(source, target, [f"public.{name}" for name in TABLES if name != "clash"])
    for table, key in (("plain", "id=50"), ("twice", "id=50"), ("fleeting", "id=50"), ("moved", "id=1"), ("wandered", "id=51"), ("gone", "id=3"), ("deleted", "id=3")):
        found = conflicts(result, table, "overwritten")
        assert len(found) == 1 and f"row with {key} at " in found[0], result
    assert "7 conflicts" in result.stderr.splitlines()[-1], result


def test_skip_leaves_what_is_there(target, disturbed, config):
    result = drain(disturbed, {**config, "on_conflict": "skip"})
    assert target.one("SELECT v FROM plain WHERE id = 50") == "stray"
    assert target.sql("SELECT id, v FROM moved WHERE id IN (1, 50) ORDER BY 1") == [(1, "old"), (50, "stray")]
    assert target.one("SELECT count(*) FROM twice WHERE id = 60") == 1
    assert target.one("SELECT count(*) FROM gone WHERE id = 3") == 0 and target.one("SELECT v FROM gone WHERE id = 4") == "fits"
    assert target.one("SELECT count(*) FROM deleted WHERE id IN (3, 4)") == 0
    for table in ("plain", "twice", "fleeting", "moved", "wandered", "gone", "deleted"):
        # the row that was to move keeps its unique value, which its next change was to bring to the other row
        assert len(conflicts(result, table, "skipped")) == (2 if table == "moved" else 1), result


def test_a_row_whose_update_is_skipped_stays(source, target, disturbed, config):
    """The unique value that it was to get is another row's at the target."""
    source.sql("UPDATE clash SET u = 7, v = 'wanted' WHERE id = 7; UPDATE clash SET v = 'fits' WHERE id = 8")
    result = drain(disturbed, {**config, "on_conflict": "skip"})
    assert target.sql("SELECT * FROM clash WHERE id IN (7, 8, 99) ORDER BY 1") == [(7, "old", -7), (8, "fits", -8), (99, "stray", 7)]
    assert len(conflicts(result, "clash", "skipped")) == 1, result


def test_a_value_that_did_not_come_is_not_invented(source, target, disturbed, config):
    """An update without the unchanged TOAST column cannot become a row."""
    target.sql("DELETE FROM toasted WHERE id = 3")
    source.sql("UPDATE toasted SET v = v + 1")
    result = disturbed.run("run", config={**config, "on_conflict": "overwrite", "stop": "drained"})
    assert result.status == 1 and "public.toasted" in result.stderr and "id=3" in result.stderr, result
    assert target.one("SELECT count(*) FROM toasted WHERE v = 1") == 0
    result = drain(disturbed, {**config, "on_conflict": "skip"})
    assert len(conflicts(result, "toasted", "skipped")) == 1, result
    assert target.sql("SELECT id, v, length(big) FROM toasted ORDER BY 1") == [(n, 1, 9600) for n in (1, 2, 4, 5)]
