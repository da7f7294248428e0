"""A full load of 1 GB with its indexes and foreign keys: beside pgcopydb clone, and pg_dump piped to psql."""

import shutil
import subprocess

from lab import Process, Run, Skip, Wrong, checksum, expect_equal, new_dir, pg_client, server_cpu, tailrace

TABLES = ["public.customer", "public.document", "public.sale", "public.sale_line"]

SCHEMA = """
CREATE TABLE customer (id int, email text NOT NULL, name text, joined timestamptz, doc jsonb);
CREATE TABLE document (id bigint, title text, body text, tags text[]);
CREATE TABLE sale (id bigint, customer_id int NOT NULL, at timestamptz NOT NULL, status text, total numeric(12,2));
CREATE TABLE sale_line (sale_id bigint, line int, product int NOT NULL, price numeric(12,2), note text);
INSERT INTO customer SELECT i, 'c' || i || '@example.org', md5(i::text), timestamptz '2020-01-01Z' + i * interval '1 min',
    jsonb_build_object('n', i, 'h', md5(i::text)) FROM generate_series(1, 4000 * {scale}) i;
INSERT INTO document SELECT i, 'Title ' || i, md5(i::text) || repeat(md5((i + 1)::text) || ' ', 30), ARRAY['a' || i % 10, 'b']
    FROM generate_series(1, 2000 * {scale}) i;
INSERT INTO sale SELECT i, 1 + i::bigint * 7919 % (4000 * {scale}), timestamptz '2023-01-01Z' + i * interval '3 s',
    (ARRAY['open', 'paid', 'sent'])[1 + i % 3], (i % 99991) / 7.0 FROM generate_series(1, 20000 * {scale}) i;
INSERT INTO sale_line SELECT 1 + i / 2, i % 2, i % 50021, (i % 99991) / 9.0, md5(i::text)
    FROM generate_series(0, 40000 * {scale} - 1) i;
ALTER TABLE customer ADD PRIMARY KEY (id), ADD UNIQUE (email);
ALTER TABLE document ADD PRIMARY KEY (id);
ALTER TABLE sale ADD PRIMARY KEY (id), ADD FOREIGN KEY (customer_id) REFERENCES customer;
ALTER TABLE sale_line ADD PRIMARY KEY (sale_id, line), ADD FOREIGN KEY (sale_id) REFERENCES sale;
CREATE INDEX ON sale (customer_id, at);
CREATE INDEX ON sale (at);
CREATE INDEX ON sale_line (product);
CREATE INDEX ON document (title);
"""


class Load:
    name, goal = "load", {"pgcopydb": 1.1, "pg_dump": 1.1}
    title = "full load with indexes and foreign keys; peers: pgcopydb clone with 4 + 4 jobs, pg_dump | psql"
    peers = ["pgcopydb", "pg_dump"]
    warm_up = False

    def prepare(self, lab):
        self.lab = lab
        self.source = lab.source.database("load")
        self.source.sql(SCHEMA.format(scale=lab.size(130, 5)))
        self.source.sql("VACUUM ANALYZE")
        lab.source.sql("CHECKPOINT")
        self.wanted = checksum(self.source, TABLES)
        self.objects = self.count_objects(self.source)
        size = self.source.one("SELECT sum(pg_table_size(c::regclass)) FROM unnest(%s) c", (TABLES,))
        self.title = f"full load of {float(size) / 1e9:.2f} GB" + self.title[len("full load"):]

    @staticmethod
    def count_objects(database):
        return database.sql("SELECT (SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'), (SELECT count(*) FROM"
                            " pg_constraint WHERE connamespace = 'public'::regnamespace AND convalidated)")[0]

    def check_peer(self, side):
        if side == "pgcopydb":
            install_pgcopydb()

    def run(self, side):
        target = self.lab.target.database()
        self.lab.target.sql("CHECKPOINT")
        before = server_cpu(self.lab.source), server_cpu(self.lab.target)
        process = getattr(self, "by_" + side)(target)
        wall = process.wait(900)
        result = Run(wall, sum(rows for rows, _ in self.wanted.values()), process.cpu,
                     server_cpu(self.lab.source) - before[0], server_cpu(self.lab.target) - before[1], process.rss)
        expect_equal(self.wanted, checksum(target, TABLES), side)
        if self.count_objects(target) != self.objects:
            raise Wrong(f"{side}: indexes and constraints are {self.count_objects(target)}, not {self.objects}")
        target.drop()
        return result

    def by_tailrace(self, target):
        return tailrace(self.source.url, target.url, mode="full-load", tables="public.%")

    def by_pgcopydb(self, target):
        folder = new_dir("pgcopydb")
        path = f"{pg_client('psql').rsplit('/', 1)[0]}:/usr/bin:/bin"
        return Process(["pgcopydb", "clone", "--source", self.source.url, "--target", target.url, "--dir", folder / "work",
                        "--table-jobs", 4, "--index-jobs", 4, "--no-owner"],
                       cwd=folder, env={"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8"})

    def by_pg_dump(self, target):
        script = '"$1" "$3" | "$2" -X -q -v ON_ERROR_STOP=1 -d "$4"'
        return Process(["bash", "-o", "pipefail", "-c", script, "pipe", pg_client("pg_dump"), pg_client("psql"),
                        self.source.url, target.url])


def install_pgcopydb():
    """From the distribution when it is missing; a peer that cannot be had is left out with the reason."""
    if shutil.which("pgcopydb"):
        return
    done = subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "pgcopydb"], capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL)
    if not shutil.which("pgcopydb"):
        raise Skip("pgcopydb cannot be installed: " + (done.stderr.strip().splitlines() or ["no reason given"])[-1])
