"""A random, reproducible load of several clients on MySQL or MariaDB: what workload.py is for PostgreSQL.

Key changes, rows without a key, savepoints rolled back in part, whole rollbacks, large transactions and large rows,
parent and child tables, TRUNCATE between, and transfers whose sum stays the same at every commit.
"""

import random
import threading
from collections import Counter

import pymysql

ACCOUNTS = 100
OPENING_BALANCE = 1000

TABLES = ["account", "item", "line", "journal", "heap", "scratch", "shape"]

SCHEMA = [
    "CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL, note varchar(100))",
    "CREATE TABLE item (id bigint unsigned PRIMARY KEY, code varchar(60) NOT NULL, qty int, price decimal(14,4), ratio double,"
    " at datetime(6), day date, txt text, latin varchar(40) CHARACTER SET latin1, kind enum('a','it''s','zoë'), raw varbinary(40),"
    " big longblob)",
    "CREATE TABLE line (item_id bigint unsigned NOT NULL, n int NOT NULL, txt varchar(100), PRIMARY KEY (item_id, n),"
    " FOREIGN KEY (item_id) REFERENCES item (id))",
    # append-only, without any key: a row more or less than the source has cannot hide
    "CREATE TABLE journal (client int NOT NULL, n bigint NOT NULL, at datetime(6) NOT NULL, what varchar(40))",
    # no key, but updates and deletes, and equal rows
    "CREATE TABLE heap (a int, b varchar(20), c decimal(10,2))",
    "CREATE TABLE scratch (id int PRIMARY KEY AUTO_INCREMENT, v int)",
    # its columns come and go
    "CREATE TABLE shape (id bigint PRIMARY KEY AUTO_INCREMENT, v int)",
]

# operation -> weight
OPERATIONS = {"transfer": 30, "insert": 20, "update": 20, "change_key": 8, "delete": 8, "heap": 10, "savepoints": 10,
              "rolled_back": 6, "order": 10, "scratch": 4, "bulk": 1, "large_row": 1}

# changed since read (MariaDB from 11.6 on), deadlock, lock wait, duplicate key, and the two foreign key errors: what concurrent clients must expect
EXPECTED = {1020, 1213, 1205, 1062, 1451, 1452}

# the server is not there, is starting or ending, or has cut the connection
LOST = {1040, 1053, 1080, 1152, 1927, 2002, 2003, 2006, 2013, 2055, 3169}


class Rollback(Exception):
    """An operation wants its transaction rolled back."""


class MysqlWorkload:
    """The load on one database. Start and stop from one thread; the clients are threads of their own."""

    def __init__(self, database, seed=1, clients=3, pause=0.0, bulk_rows=2000, large_row=1 << 20, ddl=False):
        self.database, self.seed, self.clients, self.pause, self.ddl = database, seed, clients, pause, ddl
        self.bulk_rows, self.large_row = bulk_rows, large_row
        self.counts = Counter()
        self.failures = []
        self.goal = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = []
        self._entries = [0] * clients

    @property
    def commits(self):
        return self.counts["commits"]

    def create_tables(self):
        with self.database.connect() as connection, connection.cursor() as cursor:
            for statement in SCHEMA:
                cursor.execute(statement)
            cursor.executemany("INSERT INTO account VALUES (%s, %s, 'opened')",
                               [(i, OPENING_BALANCE) for i in range(1, ACCOUNTS + 1)])
            cursor.executemany("INSERT INTO item (id, code, qty, at) VALUES (%s, %s, %s, now(6))",
                               [(i, f"code-{i}", i % 7) for i in range(1, 201)])
            cursor.executemany("INSERT INTO heap VALUES (%s, %s, %s)",
                               [(i % 20, f"b{i % 3}" if i % 5 else None, i) for i in range(100)])
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

    def join(self, timeout=120):
        for thread in self._threads:
            thread.join(timeout)
            assert not thread.is_alive(), f"{thread.name} did not end within {timeout} s"
        assert not self.failures, f"the workload failed: {self.failures[:3]}"
        return self

    def run(self, commits):
        """Runs until so many more transactions are committed."""
        self.goal = self.commits + commits
        self.start().join()
        self.goal = None
        return self

    def done(self):
        return self._stop.is_set() or (self.goal is not None and self.commits >= self.goal)

    def count(self, *names):
        with self._lock:
            self.counts.update(names)

    def fail(self, error):
        with self._lock:
            self.failures.append(repr(error))
        self._stop.set()


class _Client:
    """One client: a thread with a connection and a random generator of its own."""

    def __init__(self, load, number):
        self.load, self.number = load, number
        self.random = random.Random(load.seed * 1009 + number)

    def run(self):
        try:
            while not self.load.done():
                try:
                    self.session()
                except (pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError) as error:
                    if isinstance(error, pymysql.err.OperationalError) and error.args[0] not in LOST:
                        raise
                    self.load.count("reconnects")
                    self.load._stop.wait(0.1)
        except Exception as error:  # pylint: disable=broad-except
            self.load.fail(error)

    def session(self):
        """One connection. Whether the last commit of the one before arrived is asked from the journal."""
        with self.load.database.connect(autocommit=False, connect_timeout=3) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT coalesce(max(n), 0) FROM journal WHERE client = %s", (self.number,))
                self.load._entries[self.number] = cursor.fetchone()[0]
            connection.rollback()
            while not self.load.done():
                self.step(connection)
                if self.load.pause:
                    self.load._stop.wait(self.random.random() * 2 * self.load.pause)

    def step(self, connection):
        names, weights = zip(*OPERATIONS.items())
        name = self.random.choices(names, weights)[0]
        if self.load.ddl and self.number == 0 and self.random.random() < 0.02:
            name = "ddl"
        try:
            with connection.cursor() as cursor:
                getattr(self, "do_" + name)(cursor)
                entry = self.load._entries[self.number] + 1
                cursor.execute("INSERT INTO journal VALUES (%s, %s, now(6), %s)", (self.number, entry, name))
            connection.commit()
        except Rollback:
            connection.rollback()
            self.load.count("rollbacks")
            return
        except pymysql.Error as error:
            if not error.args or error.args[0] not in EXPECTED:
                raise
            connection.rollback()
            self.load.count("conflicts")
            return
        self.load._entries[self.number] = entry
        self.load.count("commits", name)

    # ---- operations: each leaves its transaction open
    def text(self, length=12):
        return "".join(self.random.choice("abcdef ghij\n\t\\'\"äß漢🙂") for _ in range(length))

    def new_id(self):
        return self.random.randrange(10_000, 10_000_000_000)

    def some_item(self, cursor):
        cursor.execute("SELECT id FROM item WHERE id >= %s ORDER BY id LIMIT 1", (self.new_id() - 10_000,))
        row = cursor.fetchone()
        if row is None:
            raise Rollback
        return row[0]

    def do_transfer(self, cursor):
        giver, taker = sorted(self.random.sample(range(1, ACCOUNTS + 1), 2))
        amount = self.random.randrange(-50, 50)
        cursor.execute("UPDATE account SET balance = balance - %s WHERE id = %s", (amount, giver))
        cursor.execute("UPDATE account SET balance = balance + %s, note = %s WHERE id = %s", (amount, self.text(), taker))

    def do_insert(self, cursor):
        for _ in range(self.random.randrange(1, 6)):
            key = self.new_id()
            cursor.execute("INSERT INTO item VALUES (%s, %s, %s, %s, %s, now(6), curdate(), %s, %s, %s, %s, %s)",
                           (key, f"code-{key}", self.random.choice([None, 0, -5, 2**31 - 1]),
                            self.random.randrange(10**9) / 10**4, self.random.random(), self.random.choice([None, "", self.text(500)]),
                            self.random.choice([None, "caf\u00e9 \u20ac"]), self.random.choice([None, "a", "it's", "zoë"]),
                            self.random.randbytes(20), self.random.choice([None, b"", self.random.randbytes(3000)])))

    def do_update(self, cursor):
        cursor.execute("UPDATE item SET qty = %s, txt = %s, at = now(6) WHERE id = %s",
                       (self.random.randrange(1000), self.text(), self.some_item(cursor)))

    def do_change_key(self, cursor):
        old, new = self.some_item(cursor), self.new_id()
        cursor.execute("DELETE FROM line WHERE item_id = %s", (old,))
        cursor.execute("UPDATE item SET id = %s, code = %s WHERE id = %s", (new, f"moved-{new}", old))

    def do_delete(self, cursor):
        key = self.some_item(cursor)
        cursor.execute("DELETE FROM line WHERE item_id = %s", (key,))
        cursor.execute("DELETE FROM item WHERE id = %s", (key,))

    def do_heap(self, cursor):
        a = self.random.randrange(20)
        cursor.execute("INSERT INTO heap VALUES (%s, %s, %s), (%s, NULL, %s)", (a, f"b{a % 3}", a, a, a / 4))
        cursor.execute(self.random.choice(["UPDATE heap SET c = c + 1 WHERE a = %s LIMIT 1", "DELETE FROM heap WHERE a = %s LIMIT 1",
                                           "DELETE FROM heap WHERE a = %s LIMIT 3"]), (a,))

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
        """Parent and children in one transaction, and a child whose key changes."""
        key = self.new_id()
        cursor.execute("INSERT INTO item (id, code, qty) VALUES (%s, %s, 1)", (key, f"code-{key}"))
        for n in range(self.random.randrange(1, 5)):
            cursor.execute("INSERT INTO line VALUES (%s, %s, %s)", (key, n, self.text()))
        cursor.execute("UPDATE line SET n = n + 10, txt = %s WHERE item_id = %s AND n = 0", (self.text(), key))
        cursor.execute("INSERT INTO shape (v) VALUES (%s)", (self.random.randrange(100),))

    def do_scratch(self, cursor):
        """Rows come; one time in three all of them go first. TRUNCATE commits by itself."""
        if self.random.random() < 0.33:
            cursor.execute("TRUNCATE TABLE scratch")
        cursor.execute("INSERT INTO scratch (v) VALUES (%s), (%s)", (self.random.randrange(100), self.random.randrange(100)))

    def do_bulk(self, cursor):
        first = self.new_id() * 10_000
        rows = [(first + i, f"bulk-{i}", 1) for i in range(self.load.bulk_rows)]
        cursor.executemany("INSERT INTO item (id, code, qty) VALUES (%s, %s, %s)", rows)
        cursor.execute("SAVEPOINT gone")
        cursor.execute("UPDATE item SET qty = -1 WHERE id BETWEEN %s AND %s", (first, first + self.load.bulk_rows))
        if self.random.random() < 0.5:
            cursor.execute("ROLLBACK TO SAVEPOINT gone")
        cursor.execute("DELETE FROM item WHERE id BETWEEN %s AND %s AND id %% 3 > 0", (first, first + self.load.bulk_rows))

    def do_large_row(self, cursor):
        key = self.new_id()
        cursor.execute("INSERT INTO item (id, code, big) VALUES (%s, 'large', %s)", (key, self.random.randbytes(self.load.large_row)))

    def do_ddl(self, cursor):
        """A column comes, rows use it; later it gets another name, another type, or goes. Each statement commits by itself."""
        cursor.execute("SET SESSION lock_wait_timeout = 2")
        cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_schema = database() AND table_name = 'shape'"
                       " AND column_name LIKE 'extra%'")
        present = [name for (name,) in cursor.fetchall()]
        entry = self.load._entries[self.number] + 1
        if present and self.random.random() < 0.3:
            name = self.random.choice(present)
            cursor.execute(self.random.choice([f"ALTER TABLE shape RENAME COLUMN {name} TO extra{entry}r",
                                               f"ALTER TABLE shape COMMENT 'at {entry}', ADD INDEX i{entry} (v, id)",
                                               f"CREATE INDEX x{entry} ON shape (v)"]))
        elif len(present) >= 3:
            cursor.execute(f"ALTER TABLE shape DROP COLUMN {self.random.choice(present)}")
        else:
            kind = self.random.choice(["int", "varchar(20) DEFAULT 'd'", "decimal(12,3) NOT NULL DEFAULT 1.5", "datetime(3)", "json",
                                       "enum('x','y') DEFAULT 'y'"])
            cursor.execute(f"ALTER TABLE shape ADD COLUMN extra{entry} {kind}" + self.random.choice(["", " FIRST", " AFTER v"]))
        cursor.execute("INSERT INTO shape (v) VALUES (1), (2)")
