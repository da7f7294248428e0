"""The differences that are meant. Each bears the heading under which docs/debezium-differences.md says why."""

from .compare import MISSING, Rule

VALUE = r"/value(\.payload)?"
ROW = VALUE + r"\.(before|after)"
FIELDS = r"/value\.schema\.fields\.(before|after)\.fields"


def whole_numbers(theirs, ours):
    return isinstance(theirs, int) and isinstance(ours, int) and theirs > 0 and ours > 0


def lost(theirs, _ours):
    return theirs is None or theirs is MISSING


def column(name, table="[a-z_]+", kind=r"(snapshot/r|stream/[a-z])"):
    """The paths of a column's values and of its schema."""
    where = rf"srv\.[a-z0-9_]+\.{table}/{kind}"
    return rf"{where}({ROW}|{FIELDS})\.({name})([.#\[].*)?"


ANYWHERE = [
    Rule("The program's own version", rf".*{VALUE}\.source\.version"),
    Rule("The clock", rf".*{VALUE}\.ts_(ms|us|ns)", whole_numbers),
    Rule("Where and when a snapshot was taken", rf".*/snapshot/r{VALUE}\.source\.(ts_(ms|us|ns)|lsn|pos)", whole_numbers),
]

POSTGRES_RULES = [
    *ANYWHERE,
    Rule("Where and when a snapshot was taken", rf".*/snapshot/r{VALUE}\.source\.sequence"),
    Rule("No transaction number in a snapshot", rf".*/snapshot/r{VALUE}\.source\.txId", lambda theirs, ours: ours is None),
    Rule("One id for a transaction", rf".*{VALUE}\.transaction\.id|srv\.transaction/.*(/key\.payload|/value\.payload)\.id",
         lambda theirs, ours: theirs.split(":")[0] == ours.split(":")[0]),
    Rule("The order of a transaction's tables", r"srv\.transaction/stream/END/value\.payload\.data_collections.*"),
    Rule("Messages outside of transactions", rf"srv\.message/stream/m{VALUE}\.source\.ts_(ms|us|ns)", whole_numbers),
    Rule("Partitioned tables", r"srv\.public\.parts(_1|_2)?/stream#records"),
    Rule("Generated columns", column("twice", "made", "snapshot/r"), lambda theirs, ours: ours is MISSING),
    Rule("Defaults that are expressions", column("n?c_text|n?c_varchar_10_", "functions")),
    Rule("Quotes in a default", column("n?c_text", "defaults"), lambda theirs, ours: theirs == "it" and ours == "it's"),
    Rule("NOT NULL and defaults alone", column("c", "shape", "stream/[cd]")),
    Rule("Numbers with a negative scale", column(r"c_numeric_5__2_", "odd")),
    Rule("Arrays that are lost", column(r"c_(money|interval|point|xml|varbit|name)__"), lost),
    Rule("Arrays that are lost", column(r"c_bit_3___", "odd")),
    Rule("Arrays of several dimensions", column(r"c_integer__", "odd"), lost),
    Rule("The fraction of timetz in arrays", column(r"c_timetz__"), lambda theirs, ours: lost(theirs, ours) or theirs == "10:34:56Z"),
    Rule("Large values that did not change", column(r"c_(numeric_6_2_|numeric|double_precision|ltree)__|b|u\[0\]", kind="stream/[cud]")),
    Rule("Nulls in arrays of an enum", column(r"c_mood__") + r"|.*c_mood__\.items\.optional"),
    Rule("The type name", column("c_name"), lambda theirs, ours: not theirs),
    Rule("Geometric types as text", column("c_(box|circle|line|lseg|path|polygon)")),
    Rule("Infinite dates, and dates before 1582", column("c_date|c_timestamp", "odd")),
]
BOTH_RULES = [
    *ANYWHERE,
]
MYSQL_RULES = {
    "mysql": [*BOTH_RULES],
    "mariadb": [*BOTH_RULES],
}
