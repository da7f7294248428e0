"""Whoever reads the target while changes are applied sees a state that the source once had."""

import threading

import pytest

from harness.replication import assert_equal, drain, task_config
from harness.workload import Workload


class Observer(threading.Thread):
    """Reads in one snapshot after the other until told to stop; keeps the first wrong thing it saw."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self.connection = database.connect(autocommit=False)
        self.connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        self.stopping = threading.Event()
        self.looks, self.wrong = 0, None

    def look(self, cursor):
        cursor.execute("SELECT sum(balance) FROM wl.account")
        total = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM wl.line l WHERE NOT EXISTS (SELECT FROM wl.item i WHERE i.id = l.item_id)")
        orphans = cursor.fetchone()[0]
        cursor.execute("SELECT client FROM wl.journal GROUP BY client HAVING count(*) <> max(n)")
        gaps = cursor.fetchall()
        return total, orphans, gaps

    def run(self):
        with self.connection.cursor() as cursor:
            while not self.stopping.is_set() and self.wrong is None:
                total, orphans, gaps = self.look(cursor)
                if (int(total), orphans, gaps) != (200 * 1000, 0, []):
                    self.wrong = (total, orphans, gaps)
                self.connection.rollback()
                self.looks += 1

    def finish(self):
        self.stopping.set()
        self.join(30)
        self.connection.close()
        assert self.wrong is None, f"(sum of balances, orphans, gaps) = {self.wrong}"
        assert self.looks > 20, f"the observer looked only {self.looks} times"


@pytest.mark.time_limit(300)
def test_no_state_is_seen_that_the_source_did_not_have(source, target, tailrace):
    load = Workload(source, seed=21, clients=4).create_tables()
    config = task_config(source.url, target.url, workers=6)
    drain(tailrace, config)
    load.run(1500)  # a backlog, so that groups run in parallel
    observer = Observer(target)
    observer.start()
    tailrace.start("run", config=config)
    load.run(1500)
    tailrace.wait_log("streaming from")
    assert tailrace.stop() == 0, tailrace.stderr
    drain(tailrace, config)
    observer.finish()
    assert_equal(source, target, Workload.tables)
