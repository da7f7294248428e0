"""A first start that is refused leaves nothing at the source: a slot that nobody reads would retain the log for ever."""

import pytest

from harness.replication import assert_equal, drain, task_config

LEFT = "SELECT (SELECT count(*) FROM pg_replication_slots WHERE database = current_database()) + (SELECT count(*) FROM pg_publication)"


@pytest.mark.parametrize("options, at_target", [
    ({}, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (7, 'not mine')"),
    pytest.param({}, "CREATE TABLE t (id int PRIMARY KEY)", marks=pytest.mark.matrix),
    pytest.param({"schema": "expect"}, "SELECT", marks=pytest.mark.matrix),
    ({"mode": "cdc", "start": "lsn:0/1"}, "SELECT"),
], ids=["rows", "columns", "no table", "position"])
def test_a_refused_first_start_takes_away_what_it_made(source, target, tailrace, options, at_target):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    target.sql(at_target)
    config = {**task_config(source.url, target.url, tables={"include": ["public.%"]}), **options}
    result = tailrace.run("run", config={**config, "stop": "drained"})
    assert result.status == 1 and "removed what was made for this start" in result.stderr, result
    assert source.one(LEFT) == 0
    if options.get("mode") == "cdc":
        return
    target.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, v text)")
    drain(tailrace, config)  # nothing of the refused start is in the way
    assert_equal(source, target, ["public.t"])


def test_what_was_there_before_a_refused_start_stays(source, target, tailrace):
    source.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION mine FOR TABLE t")
    source.one("SELECT pg_create_logical_replication_slot('given_' || current_database(), 'pgoutput')::text")
    config = task_config(source.url, target.url, tables={"include": ["public.%"]})
    config["source"] = {"url": source.url, "slot": "given_" + source.one("SELECT current_database()::text"), "publication": "mine"}
    result = tailrace.run("run", config={**config, "schema": "expect", "stop": "drained"})
    assert result.status == 1, result
    assert source.one(LEFT) == 2
    assert tailrace.run("drop", config=config).status == 0
