#!/usr/bin/python3
"""Makes the golden files of the binlog decoder anew, from a real server, and checks them against two independent readers.

    tests/golden/binlog/make.py NAME DUMP [ROOT]

    NAME: mariadb-10.11, mysql-9.7 ...; DUMP: build/tests/golden/binlog/test_binlog_golden
    ROOT: the folder of another server (scripts/fetch-servers.sh prints it)

Each log file of the server becomes NAME-PART.binlog, what the decoder says of it NAME-PART.txt. Every inserted
value of the part "types" is compared with what the server itself selects, every row of the parts "types",
"changes" and "packed" with what mysqlbinlog -vv prints.
"""

import json
import math
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
from harness.servers import MariaDB, MySQL  # noqa: E402

PARTS = {2: "types", 3: "changes", 4: "xa", 5: "packed", 6: "refused", 7: "minimal"}


def type_matrix(mysql):
    """The statements of the type matrix, one a line."""
    own = HERE / ("types-mysql.sql" if mysql else "types-mariadb.sql")
    return ((HERE / "types.sql").read_text(encoding="utf-8") + own.read_text(encoding="utf-8")).splitlines()


CHANGES = """
create table acc (id int primary key, v int, t text) engine=innodb
create table my (id int primary key, v int) engine=myisam
begin
insert into acc values (1,1,'a'),(2,2,'b'),(3,3,'c')
update acc set v=v+10 where id<3
delete from acc where id=3
commit
begin
insert into acc values (10,1,'keep')
savepoint sp
insert into acc values (11,1,'undone')
?insert into my values (1,1)
rollback to sp
insert into acc values (12,1,'keep2')
commit
begin
insert into acc values (20,1,'r')
?insert into my values (2,1)
rollback
set session binlog_row_image=minimal
update acc set v=99 where id=1
delete from acc where id=2
insert into acc (id) values (30)
set session binlog_row_image=noblob
update acc set v=100 where id=1
set session binlog_row_image=full
alter table acc add column x int default 7 after id
insert into acc values (40,8,1,'n')
rename table acc to acc2
insert into acc2 values (41,8,1,'n')
truncate table acc2
create table ctas as select 1 as one, 'x' as two
create temporary table tmp (a int)
insert into tmp values (1)
drop temporary table tmp
drop table ctas
create user u1 identified by 'secret'
insert into my select id+100, v from acc2
replace into my values (1,5)
replace into my values (1,6)
create table `we``ird.tab` (`sel ect` int primary key, `quo"te` int)
insert into `we``ird.tab` values (1,2)
truncate `we``ird.tab`
"""
XA = """
xa start 'one'
insert into acc2 values (51,1,1,'xa')
xa end 'one'
xa commit 'one' one phase
xa start 'a','b',3
insert into acc2 values (50,1,1,'xa')
xa end 'a','b',3
xa prepare 'a','b',3
xa commit 'a','b',3
xa start 'rb'
insert into acc2 values (52,1,1,'xa')
xa end 'rb'
xa prepare 'rb'
xa rollback 'rb'
"""
PACKED_MARIADB = """
set global log_bin_compress=1
set global log_bin_compress_min_len=100
insert into acc2 values (60,1,1,repeat('z',500))
update acc2 set v=2 where id=60
delete from acc2 where id=60
create table longddl (a int) comment '{c}'
set global log_bin_compress=0
""".format(c="c" * 300)
PACKED_MYSQL = """
set session binlog_transaction_compression=1
begin
insert into acc2 values (60,1,1,repeat('z',300))
insert into acc2 values (61,1,1,repeat('z',300))
commit
update acc2 set v=2
delete from acc2 where id>60
set session binlog_transaction_compression=0
set gtid_next='AUTOMATIC:mytag'
insert into acc2 values (80,1,1,'tagged')
update acc2 set v=5 where id=80
set gtid_next='AUTOMATIC'
"""
REFUSED_MARIADB = """
set session binlog_format='STATEMENT'
insert into acc2 values (90,1,1,'statement')
set session binlog_format='ROW'
"""
REFUSED_MYSQL = """
create table pj (id int primary key, j json)
insert into pj values (1,'{"a": 1, "b": "xxxxxxxxxx"}')
set session binlog_row_value_options='PARTIAL_JSON'
update pj set j=json_set(j,'$.a',2)
set session binlog_row_value_options=''
"""
MINIMAL = """
set global binlog_row_metadata='MINIMAL'
insert into ckey values (7,'z',1)
set global binlog_row_metadata='FULL'
"""


def run(cursor, script):
    for line in script.strip().splitlines():
        try:
            cursor.execute(line.removeprefix("?"))
        except Exception as error:  # a line with a question mark may fail on some servers
            if not line.startswith("?"):
                raise RuntimeError(f"{line}: {error}") from error
    cursor.execute("flush binary logs")


def make_types(cursor, mysql):
    made = []
    cursor.execute("set sql_mode=''")
    for statement in type_matrix(mysql):
        table = re.match(r"create table (\w+)|insert into (\w+)", statement)
        try:
            cursor.execute(statement)
        except Exception as error:
            if not table[1] and table[2] in made:
                raise
            print(f"left out on this server: {statement:.60}: {error}")
            continue
        if table[1]:
            made.append(table[1])
    cursor.execute("flush binary logs")
    return made


def select_text(cursor, table):
    """The rows of a table as text, every value by its column's name."""
    cursor.execute("select column_name, data_type from information_schema.columns where table_schema='m' and "
                   f"table_name='{table}' order by ordinal_position")
    columns = [(n, t if isinstance(t, str) else t.decode()) for n, t in cursor.fetchall()]
    parts = []
    for name, kind in columns:
        if re.search("binary|blob|point|geometry|polygon", kind):
            parts.append(f"concat('\\\\x',lower(hex(`{name}`)))")
        elif kind == "bit":
            parts.append(f"bin(`{name}`+0)")
        elif kind == "float":
            parts.append(f"cast(`{name}` as double)")
        elif kind == "vector":
            parts.append(f"vector_to_string(`{name}`)")
        else:
            parts.append(f"convert(cast(`{name}` as char) using utf8mb4)")
    cursor.execute(f"select {', '.join(parts)} from {table}")
    rows = [[v.decode() if isinstance(v, bytes) else None if v is None else str(v) for v in row]
            for row in cursor.fetchall()]
    return columns, rows


def plain(value, kind):
    """Both renderings of a value in one form."""
    if value is None:
        return None
    if kind == "float":
        return struct.pack("f", float(value))
    if kind == "double":
        return float(value)
    if kind == "bit":
        return int(value, 2)
    if kind in ("datetime", "timestamp", "time", "date"):
        value = value.removesuffix("+00")
        return value.rstrip("0").rstrip(".") if "." in value else value
    if kind == "json":
        return json.loads(value)
    if kind == "vector":
        return [float(x) for x in value.strip("[]").split(",")]
    if kind == "uuid":
        return value.replace("-", "").removeprefix("\\x")
    return value


def read_dump(text):
    """[(kind, table, {"before": {...}, "after": {...}})] of a dump."""
    rows, image = [], None
    for line in text.splitlines():
        if match := re.match(r"(insert|update|delete) (.*) row \d+ before", line):
            rows.append((match[1], match[2], {}))
        elif line in ("  before", "  after") and rows:
            image = rows[-1][2].setdefault(line.strip(), {})
        elif image is not None and (match := re.match(r"    (.*?)=(\(null\)|\(absent\)|'.*')$", line)):
            value = match[2]
            image[match[1]] = value[1:-1] if value[0] != "'" else json.loads('"' + value[1:-1] + '"')
            if value == "(null)":
                image[match[1]] = None
        elif not line.startswith("    "):
            image = None
    return rows


def check_select(selected, rows):
    compared = 0
    for table, (columns, wanted) in selected.items():
        ours = [images["after"] for kind, name, images in rows if kind == "insert" and name == f"m.{table}"]
        assert len(ours) == len(wanted), f"{table}: {len(ours)} rows, {len(wanted)} in the table"
        taken = set()
        for row in wanted:
            def same(mine):
                return all(re.match("inet", kind) or plain(mine[name], kind) == plain(value, kind)
                           for (name, kind), value in zip(columns, row))
            found = next((i for i, mine in enumerate(ours) if i not in taken and same(mine)), None)
            if found is None:
                for mine in ours:
                    for (name, kind), value in zip(columns, row):
                        if plain(mine[name], kind) != plain(value, kind):
                            print(f"  {table}.{name} {kind}: ours {mine[name]!r:.80} the server's {value!r:.80}")
                raise AssertionError(f"{table}: no row like {row!r:.200}")
            taken.add(found)
            compared += len(row)
    return compared


def read_oracle(text):
    """The rows that mysqlbinlog -vv prints: [(kind, table, {"before": {number: (value, type)}, "after": ...})]."""
    rows, image = [], None
    for line in text.splitlines():
        if match := re.match(r"### (INSERT INTO|UPDATE|DELETE FROM) (`.*`)$", line):
            kind = match[1].split()[0].lower()
            name = ".".join(p.replace("``", "`") for p in re.findall(r"`((?:[^`]|``)*)`", match[2]))
            rows.append((kind, name, {}))
        elif line in ("### WHERE", "### SET") and rows:
            image = rows[-1][2].setdefault("before" if line == "### WHERE" else "after", {})
        elif image is not None and (match := re.match(r"###   @(\d+)=(.*?)(?: /\* (.*?) meta=.*)?$", line, re.DOTALL)):
            image[int(match[1])] = (match[2], match[3] or "")
    return rows


def agrees(ours, value, kind):
    """Is it the same value? None where the oracle's print does not tell."""
    if value.startswith("!!"):
        return None  # "Don't know how to handle column type"
    if (ours is None) != (value == "NULL"):
        return False
    if ours is None:
        return True
    if kind == "YEAR" and ours == "0000":
        return value == "1900"  # its print of the zero year
    if re.match(r"(TINY|SHORT|MEDIUM|LONG)?INT|LONGINT|YEAR", kind):  # "-1 (255)"
        return int(ours) in [int(n) for n in value.replace("(", "").replace(")", "").split()]
    if kind.startswith("DECIMAL"):
        return float(ours) == float(value) and ours.lstrip("-0.").rstrip("0") == value.lstrip("-0.").rstrip("0")
    if kind in ("FLOAT", "DOUBLE"):
        return math.isclose(float(ours), float(value), rel_tol=1e-5, abs_tol=1e-40)
    if re.match(r"DATE|TIME\(|TIME$", kind):
        digits = re.sub(r"[^0-9-]|(?<=\d)-", "", ours)
        return digits.rstrip("0") == re.sub(r"[^0-9-]|(?<=\d)-", "", value).rstrip("0")
    text = kind.startswith(("VARSTRING", "STRING", "BLOB", "TEXT")) and re.fullmatch(r"'[ -\[\]-~]*'", value)
    if text and not ours.startswith("\\x"):
        return ours == value[1:-1] if ours.isascii() else None
    return None


def check_oracle(path, tool, rows):
    """Rows in order and their values against mysqlbinlog's; how many values it could judge."""
    text = subprocess.run([tool, "-vv", "--base64-output=decode-rows", str(path)], capture_output=True, check=True).stdout
    oracle = [r for r in read_oracle(text.decode("utf-8", "replace"))]
    judged = 0
    mine = iter(rows)
    for kind, name, images in rows and oracle:
        if "undone" in str(images) or "'r'" in str(images):
            continue  # rolled back: the decoder leaves these out, mysqlbinlog prints them
        ours = next(mine)
        assert (kind, name) == ours[:2], f"{path.name}: {kind} {name} against {ours[:2]}"
        for side, columns in images.items():
            names = list(ours[2][side])
            for number, (value, of_type) in columns.items():
                own = ours[2][side][names[number - 1]]
                result = agrees(own, value, of_type)
                assert result is not False, f"{path.name} {name} @{number}: {own!r:.99}, {value:.99} {of_type}"
                judged += result is True
    assert next(mine, None) is None or not rows, f"{path.name}: more rows than mysqlbinlog prints"
    return len(oracle), judged


def main():
    name, dump, *root = sys.argv[1:]
    mysql = name.startswith("mysql")
    server = (MySQL if mysql else MariaDB)(bin_dir=root[0] if root else None)
    server.start()
    server.create_database("m")
    with server.connect(database="m") as connection, connection.cursor() as cursor:
        cursor.execute("set time_zone='+00:00'")
        cursor.execute("flush binary logs")
        made = make_types(cursor, mysql)
        selected = {t: select_text(cursor, t) for t in made}
        own = (PACKED_MYSQL, REFUSED_MYSQL) if mysql else (PACKED_MARIADB, REFUSED_MARIADB)
        for script in (CHANGES, XA, *own, MINIMAL):
            run(cursor, script)
    tool = server.tool("mysqlbinlog") if mysql else Path("/usr/bin/mariadb-binlog")
    for number, part in PARTS.items():
        log = HERE / f"{name}-{part}.binlog"
        shutil.copyfile(server.data / f"bin.{number:06}", log)
        text = subprocess.run([dump, "--dump", str(log)], capture_output=True, check=True).stdout.decode()
        log.with_suffix(".txt").write_text(text, encoding="utf-8")
        rows = read_dump(text)
        if part == "types":
            print(f"{log.name}: {check_select(selected, rows)} values as the server selects them")
        if part in ("types", "changes", "packed"):
            print(f"{log.name}: %d rows, %d values as {tool.name} -vv prints them" % check_oracle(log, tool, rows))
    server.stop()
    server.remove()


main()
