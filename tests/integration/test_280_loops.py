"""Two tasks that lead the same tables in opposite directions: who comes second is refused; what is no loop runs."""

import json

import pytest

from harness.replication import task_config
from harness.wait import wait_until

ENGINES = ("postgresql", "mariadb", "mysql")


def pairs(*quick):
    """All nine, those of `quick` in every run of the tests."""
    every = [(left, right) for left in ENGINES for right in ENGINES]
    return {"params": [pair if pair in quick else pytest.param(pair, marks=pytest.mark.matrix) for pair in every], "ids": "-".join}


class End:
    """One of the two: a server, and the database or schema `shop` on it with the tables a and b."""

    def __init__(self, server):
        self.server, self.postgres = server, server.kind == "pg"
        self.database = server.database() if self.postgres else None
        self.url = self.database.url if self.postgres else server.url()
        self.sql("CREATE SCHEMA shop")
        for table in "ab":
            self.sql(f"CREATE TABLE shop.{table} (id int PRIMARY KEY, v int)")

    def sql(self, query):
        return self.database.sql(query) if self.postgres else self.server.sql(query)

    def ids(self, table="a"):
        return [row[0] for row in self.sql(f"SELECT id FROM shop.{table} ORDER BY id")]

    def drop(self):
        if self.postgres:
            self.database.drop()
            return
        self.server.drop_database("shop")
        self.server.drop_database("tailrace")


def two_ends(request, engine_servers):
    ends = [End(engine_servers(engine, role)) for engine, role in zip(request.param, ("source", "target"))]
    yield ends
    for end in ends:
        end.drop()


of_a_pair = pytest.fixture(two_ends, name="ends", **pairs(("postgresql", "postgresql"), ("mariadb", "mariadb")))
of_one_pair = pytest.fixture(two_ends, name="two", **pairs(("mariadb", "postgresql")))


def task(name, source, target, tables="%"):
    return task_config(source.url, target.url, task=name, mode="cdc", tables={"include": [f"shop.{tables}"]})


def run(tailrace, config):
    tailrace.start("run", config=config).wait_log("streaming from")
    return tailrace


def carries(source, target, number, table="a"):
    source.sql(f"INSERT INTO shop.{table} VALUES ({number}, 0)")
    wait_until(lambda: number in target.ids(table), what=f"row {number} of {table}")


def refused(result):
    assert result.status == 1 and "a loop: task" in result.stderr and "shop.a, shop.b" in result.stderr and "tailrace drop" in result.stderr, result


def test_who_comes_second_is_refused(ends, make_tailrace):
    left, right = ends
    there, back = make_tailrace(), make_tailrace()
    run(there, task("there", left, right))
    carries(left, right, 1)
    refused(back.run("run", config=task("back", right, left)))
    report = json.loads(back.run("check", "--format", "json", config=task("back", right, left)).stdout)
    assert [finding["level"] for finding in report["findings"] if finding["id"] == "loop"] == ["error"], report
    carries(left, right, 2)
    assert there.stop() == 0 and left.ids() == [1, 2]
    # The way back after a cutover: what has ended is told of, and must not begin again.
    report = json.loads(back.run("check", "--format", "json", config=task("back", right, left)).stdout)
    assert [finding["level"] for finding in report["findings"] if finding["id"] == "loop"] == ["warning"], report
    run(back, task("back", right, left)).wait_log("warning.*there.*it is not at work now")
    carries(right, left, 3)
    refused(there.run("run", config=task("there", left, right)))
    carries(right, left, 4)
    # One that could not be seen at the start is when it moves.
    right.sql("UPDATE tailrace.checkpoint SET position = 'further' WHERE task = 'there'")
    assert back.wait_exit() == 1 and "a loop: task" in back.stderr, back.stderr


def test_tables_of_their_own(two, make_tailrace):
    left, right = two
    there, back = make_tailrace(), make_tailrace()
    run(there, task("there", left, right, "a"))
    run(back, task("back", right, left, "b"))
    for number in range(1, 3):
        carries(left, right, number)
        carries(right, left, number, "b")
    assert there.stop() == 0 and back.stop() == 0
    assert "loop" not in there.stderr + back.stderr and "not at work" not in back.stderr


@pytest.mark.matrix
def test_a_task_onto_itself(two, tailrace):
    result = tailrace.run("run", config=task("round", two[0], two[0]))
    assert result.status == 1 and "the target is the source" in result.stderr, result


def test_what_may_not_be_read_is_told(source, target, make_tailrace):
    """Whoever may not look at what tasks tell of themselves hears that."""
    for database in (source, target):
        database.sql("CREATE TABLE a (id int PRIMARY KEY)")
    there, back = make_tailrace(), make_tailrace()
    there.start("run", config=task_config(source.url, target.url, mode="cdc", tables={"include": ["public.%"]})).wait_log("streaming from")
    target.sql("CREATE ROLE unseeing LOGIN REPLICATION")
    target.sql(f'GRANT CREATE ON DATABASE "{target.name}" TO unseeing')
    try:
        target.sql("ALTER TABLE a OWNER TO unseeing")
        url = target.server.url(target.name, user="unseeing")
        config = task_config(url, source.url, task="back", mode="cdc", tables={"include": ["public.%"]})
        report = json.loads(back.run("check", "--format", "json", config=config).stdout)
        assert ["GRANT USAGE ON SCHEMA tailrace" in finding["sql"] for finding in report["findings"] if finding["id"] == "loop-hidden"] == [True], report
        back.start("run", config=config).wait_log("warning.*a task that leads back .* would not be noticed")
        assert back.stop() == 0 and there.stop() == 0
        back.run("drop", config=config)
    finally:
        target.sql("DROP OWNED BY unseeing")
        target.sql("DROP ROLE unseeing")


def test_an_account_that_may_not_tell_is_told_so(source, target, make_tailrace):
    """A schema of before, which only its owner may add to: the task runs all the same."""
    for database in (source, target):
        database.sql("CREATE TABLE a (id int PRIMARY KEY)")
    first, second = make_tailrace(), make_tailrace()
    config = task_config(source.url, target.url, task="first", mode="cdc", tables={"include": ["public.%"]})
    first.start("run", config=config).wait_log("streaming from")
    assert first.stop() == 0
    target.sql("CREATE ROLE poor LOGIN")
    try:
        target.sql("GRANT USAGE ON SCHEMA tailrace TO poor; GRANT ALL ON tailrace.checkpoint, tailrace.table_cut, tailrace.relation_shape, a TO poor")
        config = {**config, "task": "second", "target": {"url": target.server.url(target.name, user="poor")}}
        second.start("run", config=config).wait_log("warning.*cannot be told at the target.*GRANT SELECT, INSERT")
        second.wait_log("streaming from")
        source.sql("INSERT INTO a VALUES (1)")
        wait_until(lambda: target.sql("SELECT id FROM a") == [(1,)], what="the row")
        assert second.stop() == 0
    finally:
        target.sql("DROP OWNED BY poor")
        target.sql("DROP ROLE poor")


@pytest.mark.matrix
@pytest.mark.parametrize("engine", ["mariadb", "mysql"])
def test_what_may_not_be_seen_is_told_by_the_log(source, engine, engine_servers, make_tailrace):
    """MySQL does not even say that there is something to read; but its log names it."""
    server = engine_servers(engine, "target")
    source.sql("CREATE SCHEMA shop; CREATE TABLE shop.a (id int PRIMARY KEY)")
    there, back = make_tailrace(), make_tailrace()
    server.sql("CREATE DATABASE shop")
    server.sql("CREATE USER unseeing@localhost")
    try:
        server.sql("GRANT SELECT, LOCK TABLES ON shop.* TO unseeing@localhost")
        server.sql("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO unseeing@localhost")
        there.start("run", config=task_config(source.url, server.url(), tables={"include": ["shop.%"]})).wait_log("streaming from")
        config = task_config(server.url(user="unseeing"), source.url, task="back", mode="cdc", tables={"include": ["shop.b"]})
        back.start("run", config=config).wait_log("streaming from")
        source.sql("INSERT INTO shop.a VALUES (1)")
        back.wait_log(r"warning.*another task writes to this source.*GRANT SELECT ON tailrace\.\*")
        assert back.stop() == 0 and there.stop() == 0
    finally:
        server.sql("DROP USER unseeing@localhost")
        server.drop_database("shop")
        server.drop_database("tailrace")
