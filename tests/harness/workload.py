"""A random, reproducible load of several clients on PostgreSQL.

What it does is what replication finds hard: key changes, rows without a key, unchanged TOAST values,
savepoints rolled back in part, whole rollbacks, large transactions, two-phase commit, parent and child
tables, DDL between, and transfers whose sum stays the same at every commit.

    load = Workload(database, seed=7, clients=4)
    load.create_tables()
    load.start()
    ... kill things ...
    load.stop()
    load.check_journal(target.connect())
"""

import random
import threading
import time
from collections import Counter

import psycopg2

ACCOUNTS = 200
OPENING_BALANCE = 1000

TABLES = ["account", "item", "line", "journal", "heap", "shape"]

SCHEMA = f"""
CREATE SCHEMA wl;
CREATE TABLE wl.account (id int PRIMARY KEY, balance bigint NOT NULL, note text, big text);
ALTER TABLE wl.account ALTER COLUMN big SET STORAGE EXTERNAL;
CREATE TABLE wl.item (id bigint PRIMARY KEY, code text NOT NULL UNIQUE, qty int, price numeric(14,4), ratio float8,
    at timestamptz, day date, tags text[], doc jsonb, raw bytea, big text);
ALTER TABLE wl.item ALTER COLUMN big SET STORAGE EXTERNAL;
CREATE TABLE wl.line (item_id bigint NOT NULL REFERENCES wl.item, n int NOT NULL, txt text, PRIMARY KEY (item_id, n));
-- append-only, without any key: a row more or less than the source has cannot hide
CREATE TABLE wl.journal (client int NOT NULL, n bigint NOT NULL, at timestamptz NOT NULL, what text);
-- no key, but updates and deletes: the old row is the identity, and equal rows exist
CREATE TABLE wl.heap (a int, b text, c numeric);
ALTER TABLE wl.heap REPLICA IDENTITY FULL;
CREATE TABLE wl.shape (id bigserial PRIMARY KEY, v int);
INSERT INTO wl.account SELECT i, {OPENING_BALANCE}, 'opened', repeat(md5(i::text), 300)
    FROM generate_series(1, {ACCOUNTS}) i;
INSERT INTO wl.item SELECT i, 'code-' || i, i % 7, i / 3.0, i / 7.0, now(), current_date, ARRAY['a', NULL, 'c"d'],
    jsonb_build_object('i', i), decode(md5(i::text), 'hex'), repeat(md5(i::text), 200) FROM generate_series(1, 300) i;
INSERT INTO wl.heap SELECT i % 20, CASE WHEN i % 5 > 0 THEN 'b' || i % 3 END, i FROM generate_series(1, 100) i;
"""

# operation -> weight
OPERATIONS = {"transfer": 30, "insert": 20, "update": 20, "update_toast": 6, "change_key": 8, "delete": 8, "heap": 10,
              "savepoints": 10, "rolled_back": 6, "order": 10, "bulk": 1}


class Rollback(Exception):
    """An operation wants its transaction rolled back."""


class Workload:
    """The load on one database. Thread-safe counters; start and stop from one thread."""

    tables = [f"wl.{name}" for name in TABLES]

    def __init__(self, database, seed=1, clients=4, ddl=False, two_phase=False, bulk_rows=3000, max_commits=None,
                 pause=0.0, operations=None):
        self.database = database
        self.seed, self.clients, self.ddl, self.two_phase = seed, clients, ddl, two_phase
        self.bulk_rows, self.max_commits, self.pause = bulk_rows, max_commits, pause
        self.operations = dict(OPERATIONS if operations is None else operations)
        self.counts = Counter()       # commits, rollbacks, conflicts, reconnects, and each operation
        self.failures = []            # errors that no client expected
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = []

    @property
    def commits(self):
        return self.counts["commits"]

    def create_tables(self):
        self.database.sql(SCHEMA)
        return self

    def start(self):
        self._stop.clear()
        self._threads = [threading.Thread(target=_Client(self, number).run, name=f"client-{number}", daemon=True)
                         for number in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self, timeout=60):
        self._stop.set()
        return self.join(timeout)

    def join(self, timeout=300):
        """Waits for the clients to end by themselves (max_commits) or after stop."""
        for thread in self._threads:
            thread.join(timeout)
            assert not thread.is_alive(), f"{thread.name} did not end within {timeout} s"
        assert not self.failures, f"the workload failed: {self.failures[:3]}"
        return self

    def run(self, commits):
        """Runs until so many more transactions are committed."""
        self.max_commits = self.commits + commits
        return self.start().join()

    def done(self):
        return self._stop.is_set() or (self.max_commits is not None and self.commits >= self.max_commits)

    def count(self, *names):
        with self._lock:
            self.counts.update(names)

    def fail(self, error):
        with self._lock:
            self.failures.append(repr(error))
        self._stop.set()

    @staticmethod
    def check_sum(connection):
        """The invariant of the transfers: true in every state that the source ever had."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), coalesce(sum(balance), 0) FROM wl.account")
            found = cursor.fetchone()
        assert found == (ACCOUNTS, ACCOUNTS * OPENING_BALANCE), f"accounts and their sum: {found}"

    @staticmethod
    def check_journal(connection):
        """Every client's entries are numbered without a gap and without a double, in every committed state."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT client, count(*), count(DISTINCT n), min(n), max(n) FROM wl.journal GROUP BY client"
                           " HAVING count(*) <> count(DISTINCT n) OR min(n) <> 1 OR max(n) <> count(*)")
            wrong = cursor.fetchall()
        assert not wrong, f"journal: (client, rows, distinct, min, max) {wrong}"


class _Client:
    """One client: a thread with a connection and a random generator of its own."""

    def __init__(self, load, number):
        self.load, self.number = load, number
        self.random = random.Random(load.seed * 1009 + number)
        self.entry = None             # number of the last journal entry known to be committed
        self.connection = None
        self.columns = 0
        self.prepared = 0

    def run(self):
        try:
            while not self.load.done():
                self.step()
                if self.load.pause:
                    self.load._stop.wait(self.random.random() * 2 * self.load.pause)
        except Exception as error:  # pylint: disable=broad-except
            self.load.fail(error)
        finally:
            self.close()

    def step(self):
        try:
            if self.connection is None:
                self.connect()
            if self.load.ddl and self.number == 0 and self.random.random() < 0.02:
                self.transaction("ddl")
                return
            names, weights = zip(*self.load.operations.items())
            self.transaction(self.random.choices(names, weights)[0])
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            if isinstance(error, (psycopg2.errors.DeadlockDetected, psycopg2.errors.LockNotAvailable)):
                self.give_up("conflicts")
            else:
                self.lost()
        except (psycopg2.errors.UniqueViolation, psycopg2.errors.ForeignKeyViolation,
                psycopg2.errors.SerializationFailure):
            self.give_up("conflicts")

    def give_up(self, counter):
        self.connection.rollback()
        self.load.count(counter)

    def lost(self):
        """The server went away. Whether the last commit arrived is asked from the journal after reconnecting."""
        self.close()
        self.load.count("reconnects")
        self.load._stop.wait(0.1)

    def close(self):
        if self.connection is not None:
            try:
                self.connection.close()
            finally:
                self.connection = None

    def connect(self):
        connection = self.load.database.connect(autocommit=False, connect_timeout=2)
        with connection.cursor() as cursor:
            # a transaction left prepared by a lost connection would hold its locks for ever
            cursor.execute("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE %s AND database = current_database()",
                           (f"wl-{self.number}-%",))
            gids = [gid for (gid,) in cursor.fetchall()]
            connection.rollback()
            connection.autocommit = True
            for gid in gids:
                cursor.execute("ROLLBACK PREPARED %s", (gid,))
            connection.autocommit = False
            cursor.execute("SELECT coalesce(max(n), 0) FROM wl.journal WHERE client = %s", (self.number,))
            self.entry = cursor.fetchone()[0]
        connection.rollback()
        self.connection = connection

    def transaction(self, operation):
        with self.connection.cursor() as cursor:
            try:
                getattr(self, "do_" + operation)(cursor)
            except Rollback:
                self.connection.rollback()
                self.load.count("rollbacks", operation)
                return
            cursor.execute("INSERT INTO wl.journal VALUES (%s, %s, clock_timestamp(), %s)",
                           (self.number, self.entry + 1, operation))
            if self.load.two_phase and operation != "ddl" and self.random.random() < 0.2:
                if not self.prepare(cursor):
                    return
            else:
                self.connection.commit()
        self.entry += 1
        self.load.count("commits", operation)

    def prepare(self, cursor):
        """PREPARE TRANSACTION, then commit it (true) or, one time in four, roll it back (false)."""
        self.prepared += 1
        gid = f"wl-{self.number}-{self.prepared}-{time.monotonic_ns()}"
        cursor.execute("PREPARE TRANSACTION %s", (gid,))
        self.connection.rollback()    # psycopg2 still believes itself in a transaction
        self.connection.autocommit = True
        keep = self.random.random() < 0.75
        try:
            cursor.execute(("COMMIT" if keep else "ROLLBACK") + " PREPARED %s", (gid,))
        finally:
            if not self.connection.closed:
                self.connection.autocommit = False
        if not keep:
            self.load.count("rollbacks", "rolled back prepared")
        return keep

    # ---- operations: each leaves its transaction open
    def text(self, length=12):
        return "".join(self.random.choice("abcdef ghij\n\t\\'\"äß漢🙂") for _ in range(length))

    def new_id(self):
        return self.random.randrange(10_000, 10_000_000_000)

    def some_item(self, cursor):
        """The id of a random item, or a rollback where there is none."""
        cursor.execute("SELECT id FROM wl.item WHERE id >= %s ORDER BY id LIMIT 1", (self.new_id() - 10_000,))
        row = cursor.fetchone()
        if row is None:
            cursor.execute("SELECT min(id) FROM wl.item")
            row = cursor.fetchone()
        if row[0] is None:
            raise Rollback
        return row[0]

    def do_transfer(self, cursor):
        giver, taker = sorted(self.random.sample(range(1, ACCOUNTS + 1), 2))
        amount = self.random.randrange(-50, 50)
        cursor.execute("UPDATE wl.account SET balance = balance - %s WHERE id = %s", (amount, giver))
        cursor.execute("UPDATE wl.account SET balance = balance + %s, note = %s WHERE id = %s", (amount, self.text(), taker))

    def do_insert(self, cursor):
        for _ in range(self.random.randrange(1, 6)):
            key = self.new_id()
            tags = self.random.choice([None, [], ["x", None, self.text()]])
            cursor.execute("INSERT INTO wl.item VALUES"
                           " (%s, %s, %s, %s, %s, clock_timestamp(), current_date, %s::text[], %s, %s, %s)",
                           (key, f"code-{key}", self.random.choice([None, 0, -5, 2**31 - 1]),
                            self.random.randrange(10**9) / 10**4, self.random.random(), tags,
                            '{"k": [1, null, "v"]}', self.random.randbytes(20), self.random.choice([None, "", self.text(3000)])))

    def do_update(self, cursor):
        cursor.execute("UPDATE wl.item SET qty = %s, doc = %s WHERE id = %s",
                       (self.random.randrange(1000), f'{{"u": {self.random.randrange(1000)}}}', self.some_item(cursor)))

    def do_update_toast(self, cursor):
        cursor.execute("UPDATE wl.account SET big = %s WHERE id = %s",
                       (self.text(5000), self.random.randrange(1, ACCOUNTS + 1)))

    def do_change_key(self, cursor):
        old, new = self.some_item(cursor), self.new_id()
        cursor.execute("DELETE FROM wl.line WHERE item_id = %s", (old,))
        cursor.execute("UPDATE wl.item SET id = %s, code = %s WHERE id = %s",
                       (new, f"code-{new}" if self.random.random() < 0.5 else f"moved-{new}", old))

    def do_delete(self, cursor):
        key = self.some_item(cursor)
        cursor.execute("DELETE FROM wl.line WHERE item_id = %s", (key,))
        cursor.execute("DELETE FROM wl.item WHERE id = %s", (key,))

    def do_heap(self, cursor):
        a = self.random.randrange(20)
        # equal rows on purpose; and one of several equal rows changed by its ctid
        cursor.execute("INSERT INTO wl.heap VALUES (%s, %s, %s), (%s, NULL, %s)", (a, f"b{a % 3}", a, a, a / 4))
        statement, rows = self.random.choice([("UPDATE wl.heap SET c = c + 1", 1), ("DELETE FROM wl.heap", 1),
                                              ("DELETE FROM wl.heap", 3)])
        cursor.execute(f"{statement} WHERE ctid IN (SELECT ctid FROM wl.heap WHERE a = %s LIMIT {rows})", (a,))

    def do_savepoints(self, cursor):
        self.do_insert(cursor)
        cursor.execute("SAVEPOINT a")
        self.do_update(cursor)
        cursor.execute("SAVEPOINT b")
        self.do_insert(cursor)
        cursor.execute("ROLLBACK TO SAVEPOINT b" if self.random.random() < 0.5 else "RELEASE SAVEPOINT b")
        self.do_heap(cursor)
        cursor.execute("ROLLBACK TO SAVEPOINT a" if self.random.random() < 0.5 else "RELEASE SAVEPOINT a")
        self.do_transfer(cursor)

    def do_rolled_back(self, cursor):
        self.do_insert(cursor)
        self.do_transfer(cursor)
        raise Rollback

    def do_order(self, cursor):
        """Parent and children in one transaction, and children of an old parent changed."""
        key = self.new_id()
        cursor.execute("INSERT INTO wl.item (id, code, qty) VALUES (%s, %s, 1)", (key, f"code-{key}"))
        for n in range(self.random.randrange(1, 5)):
            cursor.execute("INSERT INTO wl.line VALUES (%s, %s, %s)", (key, n, self.text()))
        cursor.execute("UPDATE wl.line SET n = n + 10, txt = %s WHERE item_id = %s AND n = 0", (self.text(), key))
        cursor.execute("INSERT INTO wl.shape (v) VALUES (%s)", (self.random.randrange(100),))

    def do_bulk(self, cursor):
        """Enough rows to be streamed while open, part of them in a subtransaction that is rolled back."""
        first = self.new_id() * 10_000
        cursor.execute("INSERT INTO wl.item (id, code, qty) SELECT i, 'bulk-' || i, 1 FROM generate_series(%s, %s) i",
                       (first, first + self.load.bulk_rows - 1))
        cursor.execute("SAVEPOINT gone")
        cursor.execute("UPDATE wl.item SET qty = -1 WHERE id BETWEEN %s AND %s", (first, first + self.load.bulk_rows))
        if self.random.random() < 0.5:
            cursor.execute("ROLLBACK TO SAVEPOINT gone")
        cursor.execute("DELETE FROM wl.item WHERE id BETWEEN %s AND %s AND id %% 3 > 0",
                       (first, first + self.load.bulk_rows))

    def do_ddl(self, cursor):
        """A column comes, rows use it; later it goes."""
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        cursor.execute("SELECT attname FROM pg_attribute WHERE attrelid = 'wl.shape'::regclass AND attname LIKE 'extra%'"
                       " AND NOT attisdropped")
        present = [name for (name,) in cursor.fetchall()]
        if len(present) >= 3:
            cursor.execute(f'ALTER TABLE wl.shape DROP COLUMN "{self.random.choice(present)}"')
            # A row between this and the next column: together they could be a renaming, which is refused once the catalogue has forgotten both.
            cursor.execute("INSERT INTO wl.shape (v) VALUES (3)")
            return
        self.columns += 1
        name = f"extra{self.entry + 1}_{self.columns}"
        kind = self.random.choice(["int", "text DEFAULT 'd'", "numeric", "timestamptz", "jsonb"])
        cursor.execute(f'ALTER TABLE wl.shape ADD COLUMN "{name}" {kind}')
        cursor.execute("INSERT INTO wl.shape (v) VALUES (1), (2)")
