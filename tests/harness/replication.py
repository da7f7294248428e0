"""One task from one PostgreSQL database to another, as the tests run it again and again."""

from .compare import equal_by_content


def task_config(source, target, **options):
    """The configuration of a task that loads and follows; options override, None removes."""
    config = {"task": "test", "mode": "full-load-and-cdc", "source": {"url": source}, "target": {"url": target},
              "state": "state", "workers": 4, "tables": {"include": ["wl.%"]}}
    config.update(options)
    return {key: value for key, value in config.items() if value is not None}


def drain(tailrace, config, timeout=120):
    """Runs the task until all that the source has committed by now is applied; it must end by itself with 0."""
    result = tailrace.run("run", config={**config, "stop": "drained"}, timeout=timeout)
    assert result.status == 0, result
    return result


def assert_equal(source, target, tables):
    with source.connect() as left, target.connect() as right:
        equal_by_content(left, right, tables)
