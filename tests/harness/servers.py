"""Private, short-lived database servers.

Each server has a folder of its own, a free port on 127.0.0.1 and a unix socket, and is gone when the test
run ends. The first start of a kind of server makes a template data folder; later ones copy it.

    with Postgres(options={"wal_level": "logical"}) as server:
        db = server.database()
        db.sql("CREATE TABLE t (id int PRIMARY KEY)")
        ... db.url ...
        server.kill9(); server.start()
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pymysql

from .process import Child, as_server_user, free_port, give_to_server_user, new_dir, run_dir
from .wait import wait_until


class ServerError(Exception):
    """A server did not start or stop; the message holds the end of its log."""


class Server:
    """What all servers share: a data folder from a template, start, stop, kill, restart."""

    kind = "server"
    start_timeout = 60
    death_signal = "KILL"

    def __init__(self, options=None, bin_dir=None, name=None):
        self.bin_dir = Path(bin_dir) if bin_dir else self.default_bin_dir()
        self.options = {**self.default_options(), **(options or {})}
        self.dir = new_dir(name or self.kind)
        self.data = self.dir / "data"
        self.sockets = self.dir / "s"
        self.log = self.dir / "log"
        self.port = free_port()
        self.child = None
        self._databases = itertools.count(1)
        self.open_databases = set()  # those that some test has
        self.sockets.mkdir()
        self._copy_template()
        give_to_server_user(self.dir)

    # -- what each kind of server says for itself
    def default_bin_dir(self):
        raise NotImplementedError

    def default_options(self):
        return {}

    def environment(self):
        return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def make_template(self, path):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def write_options(self):
        raise NotImplementedError

    def connect(self, database=None, **kwargs):
        raise NotImplementedError

    def url(self, database=None, **kwargs):
        raise NotImplementedError

    def create_database(self, name):
        raise NotImplementedError

    def drop_database(self, name):
        raise NotImplementedError

    # -- life
    def _copy_template(self):
        key = str(self.bin_dir).strip("/").replace("/", "_")
        template = run_dir() / "templates" / f"{self.kind}-{key}"
        if not template.exists():
            template.parent.mkdir(exist_ok=True)
            give_to_server_user(template.parent)
            self.make_template(template)
        subprocess.run(["cp", "-a", "--reflink=auto", str(template), str(self.data)], check=True)

    def run_tool(self, command):
        """Runs one of the server's tools to its end, as the server's user."""
        done = subprocess.run(as_server_user(command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=self.environment(), cwd="/", timeout=300, check=False)
        if done.returncode != 0:
            raise ServerError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, wait=True):
        """Starts the server and waits until it answers. On the very first start a taken port is replaced."""
        assert not self.running(), f"{self.kind} runs already"
        first = not self.log.exists()
        self.write_options()
        give_to_server_user(self.dir)
        self.child = Child(as_server_user(self.command(), self.death_signal), self.log, env=self.environment())
        if not wait:
            return self
        try:
            self.wait_ready()
        except ServerError:
            if not first or "ddress already in use" not in self.child.tail(100):
                raise
            self.port = free_port()
            return self.start()
        return self

    def wait_ready(self, timeout=None):
        problem = ["no try yet"]

        def answers():
            try:
                self.connect(connect_timeout=5).close()
                return True
            except (psycopg2.Error, pymysql.Error, OSError) as error:
                problem[0] = str(error).strip()
                return False

        wait_until(answers, timeout or self.start_timeout, give_up=self._check_alive,
                   what=lambda: f"{self.kind} on port {self.port}: {problem[0]}\n{self.child.tail()}")

    def _check_alive(self):
        if not self.child.running():
            raise ServerError(f"{self.kind} ended with {self.child.popen.returncode}:\n{self.child.tail()}")

    def running(self):
        return self.child is not None and self.child.running()

    def stop(self, stop_signal=signal.SIGTERM, timeout=60):
        """An orderly stop; killed when it takes longer than the timeout (seconds)."""
        if not self.running():
            return
        self.child.signal(stop_signal)
        try:
            self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            tail = self.child.tail()
            self.child.kill()
            raise ServerError(f"{self.kind} did not stop within {timeout} s:\n{tail}") from None

    def kill9(self):
        """SIGKILL to the server and all its processes, as when the machine's power goes (less the page cache)."""
        self.child.kill()

    def restart(self):
        self.stop()
        return self.start()

    def crash(self):
        """kill9, then start: the server recovers from its log."""
        self.kill9()
        return self.start()

    def remove(self):
        if self.running():
            self.kill9()
        if not os.environ.get("TAILRACE_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self if self.running() else self.start()

    def __exit__(self, *_):
        self.remove()

    # -- use
    def configure(self, **options):
        """Sets options (None removes one); they hold from the next start."""
        for name, value in options.items():
            if value is None:
                self.options.pop(name, None)
            else:
                self.options[name] = value

    def sql(self, query, params=None, database=None):
        """Runs one query and returns its rows (a list of tuples), or [] where it has none."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, params)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def clear_leftovers(self):
        """What outlives a database and would disturb the next test: nothing, for most servers."""

    def database(self, name=None):
        """Creates a database and returns it. What a failed test left at the server goes first, for names are shared."""
        name = name or f"db{next(self._databases)}"
        self.clear_leftovers()
        self.create_database(name)
        self.open_databases.add(name)
        return Database(self, name)


class Database:
    """One database of a server: its URL for the program, its connections for the test."""

    def __init__(self, server, name):
        self.server = server
        self.name = name

    @property
    def url(self):
        return self.server.url(self.name)

    def connect(self, **kwargs):
        return self.server.connect(self.name, **kwargs)

    def sql(self, query, params=None):
        return self.server.sql(query, params, database=self.name)

    def one(self, query, params=None):
        """The single value that a query returns."""
        return self.sql(query, params)[0][0]

    def drop(self):
        self.server.open_databases.discard(self.name)  # first: what this fails to remove is left over
        self.server.drop_database(self.name)


class Postgres(Server):
    kind = "pg"
    death_signal = "QUIT"  # an immediate shutdown: the children and the shared memory go too

    def default_bin_dir(self):
        return Path("/usr/lib/postgresql/15/bin")

    def default_options(self):
        # fsync is on: a test that does not kill the server may well turn it off (fast=True in the fixtures).
        return {"wal_level": "logical", "max_wal_senders": 16, "max_replication_slots": 16, "max_connections": 60,
                "shared_buffers": "32MB", "log_min_messages": "warning", "autovacuum_naptime": "1min"}

    @property
    def major(self):
        return int((self.data / "PG_VERSION").read_text(encoding="ascii"))

    def make_template(self, path):
        self.run_tool([self.bin_dir / "initdb", "-D", path, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8",
                       "-U", "postgres"])

    def write_options(self):
        lines = [f"{name} = '{_pg_setting(value)}'\n" for name, value in self.options.items()]
        (self.data / "tailrace.conf").write_text("".join(lines), encoding="utf-8")
        main = self.data / "postgresql.conf"
        if "tailrace.conf" not in main.read_text(encoding="utf-8"):
            with open(main, "a", encoding="utf-8") as conf:
                conf.write("include 'tailrace.conf'\n")

    def write_hba(self, *lines):
        """Replaces pg_hba.conf. The harness itself comes in over the unix socket, which stays open to it."""
        text = "\n".join(["local all postgres trust", *lines]) + "\n"
        (self.data / "pg_hba.conf").write_text(text, encoding="utf-8")
        if self.running():
            self.sql("SELECT pg_reload_conf()")

    def command(self):
        return [self.bin_dir / "postgres", "-D", self.data, "-p", self.port, "-k", self.sockets,
                "-c", "listen_addresses=127.0.0.1"]

    def stop(self, stop_signal=signal.SIGINT, timeout=60):
        """SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate, SIGTERM its smart one."""
        super().stop(stop_signal, timeout)

    def url(self, database=None, user="postgres", password=None, socket=False, **params):
        login = quote(user, safe="") + (":" + quote(password, safe="") if password is not None else "")
        host = "" if socket else f"127.0.0.1:{self.port}"
        if socket:
            params.update(host=str(self.sockets), port=self.port)
        query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())
        return f"postgresql://{login}@{host}/{quote(database or 'postgres', safe='')}{'?' + query if query else ''}"

    def connect(self, database=None, autocommit=True, **kwargs):
        kwargs.setdefault("connect_timeout", 10)
        kwargs.setdefault("user", "postgres")
        kwargs.setdefault("host", str(self.sockets))
        connection = psycopg2.connect(port=self.port, dbname=database or "postgres", **kwargs)
        connection.autocommit = autocommit
        return connection

    def psql(self, script, database=None):
        """Runs a script through psql (Debian's, for every major) and returns its output."""
        done = subprocess.run([pg_client("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.sockets), "-p",
                               str(self.port), "-U", "postgres", "-d", database or "postgres"], input=script, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise ServerError(f"psql: {done.stderr}")
        return done.stdout

    def create_database(self, name):
        self.sql(f'CREATE DATABASE "{name}"')

    def drop_database(self, name):
        """Drops a database with its connections and all that would keep it: slots, prepared transactions, subscriptions."""
        self.drop_holders(name)
        self.drop_slots(name)
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def drop_holders(self, database):
        """Rolls back the prepared transactions of a database and drops its subscriptions."""
        prepared = self.sql("SELECT gid FROM pg_prepared_xacts WHERE database = %s", (database,))
        subscriptions = self.sql("SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
                                 " WHERE d.datname = %s", (database,))
        for (gid,) in prepared:
            with contextlib.suppress(psycopg2.errors.UndefinedObject):
                self.sql("ROLLBACK PREPARED %s", (gid,), database=database)
        for (name,) in subscriptions:
            for statement in ("ALTER SUBSCRIPTION {} DISABLE", "ALTER SUBSCRIPTION {} SET (slot_name = NONE)", "DROP SUBSCRIPTION {}"):
                self.sql(statement.format('"' + name.replace('"', '""') + '"'), database=database)

    def clear_leftovers(self):
        """Slots, prepared transactions and subscriptions of databases that no test has any more."""
        held = self.sql("SELECT database FROM pg_replication_slots WHERE database IS NOT NULL UNION SELECT database FROM pg_prepared_xacts"
                        " UNION SELECT d.datname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid")
        for (database,) in held:
            if database not in self.open_databases and database.startswith("db"):
                self.drop_holders(database)
                self.drop_slots(database)

    def drop_slots(self, database):
        """Drops the slots of a database, ending the walsenders that hold them."""
        connection = self.connect()
        with contextlib.closing(connection), connection.cursor() as cursor:
            def try_to_drop():
                cursor.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                               " WHERE database = %s AND active_pid IS NOT NULL", (database,))
                cursor.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", (database,))
                for (slot,) in cursor.fetchall():
                    with contextlib.suppress(psycopg2.errors.ObjectInUse, psycopg2.errors.UndefinedObject):
                        cursor.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
                cursor.execute("SELECT count(*) = 0 FROM pg_replication_slots WHERE database = %s", (database,))
                return cursor.fetchone()[0]
            wait_until(try_to_drop, 30, f"the slots of {database} to be dropped")

    def wal_position(self):
        """The end of the WAL, as text."""
        return self.sql("SELECT pg_current_wal_flush_lsn()")[0][0]


class Standby(Postgres):
    """A streaming standby of a Postgres (15 or later) that runs; not yet started. It outlives its primary."""

    def __init__(self, primary, **options):
        self.primary = primary
        super().__init__(options={**primary.options, **options}, bin_dir=primary.bin_dir, name="standby")

    def _copy_template(self):
        """A base backup by hand, because not every set of server packages brings pg_basebackup."""
        primary = self.primary.connect()
        with contextlib.closing(primary), primary.cursor() as cursor:
            cursor.execute("SELECT pg_backup_start('standby', true)")
            subprocess.run(["cp", "-a", str(self.primary.data), str(self.data)], stderr=subprocess.DEVNULL, check=False)  # files come and go
            cursor.execute("SELECT labelfile FROM pg_backup_stop(false)")
            (self.data / "backup_label").write_text(cursor.fetchone()[0], encoding="utf-8")
        (self.data / "postmaster.pid").unlink()
        for slot in (self.data / "pg_replslot").iterdir():
            shutil.rmtree(slot)
        (self.data / "standby.signal").touch()
        with open(self.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write(f"primary_conninfo = 'host={self.primary.sockets} port={self.primary.port} user=postgres dbname=postgres'\n")

    def promote(self):
        self.sql("SELECT pg_promote(true)")


class MariaDB(Server):
    kind = "mariadb"
    scheme = "mariadb"

    def environment(self):
        """A folder for temporary files of its own: a server that starts deletes the temporary tables of others in a shared one."""
        folder = self.dir / "tmp"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)
        return {**super().environment(), "TMPDIR": str(folder)}

    def default_bin_dir(self):
        return Path("/usr")

    def default_options(self):
        return {"server-id": 1, "log-bin": "bin", "binlog-format": "ROW", "binlog-row-image": "FULL",
                "binlog-row-metadata": "FULL", "gtid-strict-mode": "ON", "sync-binlog": 1,
                "innodb-flush-log-at-trx-commit": 1, "innodb-buffer-pool-size": "32M", "performance-schema": "OFF"}

    def tool(self, *names):
        """The first of these programs that the server's folder has."""
        for folder in ("sbin", "bin", "scripts", "usr/sbin", "usr/bin"):
            for name in names:
                if (self.bin_dir / folder / name).exists():
                    return self.bin_dir / folder / name
        raise ServerError(f"none of {', '.join(names)} below {self.bin_dir}")

    def base(self):
        """--basedir, where the server's messages and scripts lie."""
        return self.bin_dir / "usr" if (self.bin_dir / "usr").is_dir() else self.bin_dir

    def make_template(self, path):
        self.run_tool([self.tool("mariadb-install-db", "mysql_install_db"), "--no-defaults", f"--basedir={self.base()}",
                       f"--datadir={path}", "--auth-root-authentication-method=normal", "--skip-test-db"])

    def write_options(self):
        lines = ["[mysqld]\n"] + [f"{name}={_my_setting(value)}\n" for name, value in self.options.items()]
        (self.dir / "my.cnf").write_text("".join(lines), encoding="utf-8")

    def command(self):
        return [self.tool("mariadbd", "mysqld"), f"--defaults-file={self.dir / 'my.cnf'}", f"--basedir={self.base()}",
                f"--datadir={self.data}", f"--socket={self.sockets / 'm'}", f"--port={self.port}",
                "--bind-address=127.0.0.1", f"--pid-file={self.dir / 'pid'}"]

    def url(self, database=None, user="root", password=None, **params):
        login = quote(user, safe="") + (":" + quote(password, safe="") if password is not None else "")
        query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())
        path = quote(database, safe="") if database else ""
        return f"{self.scheme}://{login}@127.0.0.1:{self.port}/{path}{'?' + query if query else ''}"

    def connect(self, database=None, autocommit=True, **kwargs):
        kwargs.setdefault("connect_timeout", 10)
        kwargs.setdefault("user", "root")
        kwargs.setdefault("charset", "utf8mb4")
        return pymysql.connect(unix_socket=str(self.sockets / "m"), database=database, autocommit=autocommit, **kwargs)

    def create_database(self, name):
        self.sql(f"CREATE DATABASE `{name}`")

    def drop_database(self, name):
        self.sql(f"DROP DATABASE IF EXISTS `{name}`")


class MySQL(MariaDB):
    """MySQL 8.4 and later, from a folder laid out like Debian's root (bin_dir/usr/sbin/mysqld)."""

    kind = "mysql"
    scheme = "mysql"

    def default_options(self):
        return {"server-id": 1, "log-bin": "bin", "binlog-row-image": "FULL", "binlog-row-metadata": "FULL",
                "gtid-mode": "ON", "enforce-gtid-consistency": "ON", "sync-binlog": 1,
                "innodb-flush-log-at-trx-commit": 1, "innodb-buffer-pool-size": "32M", "performance-schema": "OFF",
                "mysqlx": "OFF", "secure-file-priv": "NULL"}

    def layout(self):
        plugins = next(iter(sorted(self.base().glob("lib/mysql/plugin"))), self.base() / "lib/plugin")
        messages = next(iter(sorted(self.base().glob("share/mysql*"))), self.base() / "share")
        return [f"--basedir={self.base()}", f"--plugin-dir={plugins}", f"--lc-messages-dir={messages}"]

    def make_template(self, path):
        self.run_tool([self.tool("mysqld"), "--no-defaults", *self.layout(), f"--datadir={path}", "--secure-file-priv=NULL",
                       "--initialize-insecure"])
        (path / "auto.cnf").unlink(missing_ok=True)  # each server gets an identity of its own

    def command(self):
        return [self.tool("mysqld"), f"--defaults-file={self.dir / 'my.cnf'}", *self.layout(), f"--datadir={self.data}",
                f"--socket={self.sockets / 'm'}", f"--port={self.port}", "--bind-address=127.0.0.1",
                f"--pid-file={self.dir / 'pid'}"]


def pg_client(name):
    """A PostgreSQL client program: psql, pg_dump, pg_recvlogical."""
    path = Path("/usr/lib/postgresql/15/bin") / name
    return str(path) if path.exists() else name


def _pg_setting(value):
    text = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
    return str(text).replace("'", "''")


def _my_setting(value):
    return {True: "ON", False: "OFF"}[value] if isinstance(value, bool) else value
