"""The differences that are meant. Each bears the heading under which docs/debezium-differences.md says why."""

from .compare import Rule


def whole_numbers(theirs, ours):
    return isinstance(theirs, int) and isinstance(ours, int) and theirs > 0 and ours > 0


def close_in_us(theirs, ours):
    return whole_numbers(theirs, ours) and abs(theirs - ours) < 600_000_000


ANYWHERE = [
    Rule("The program's own version", r".*\.source\.version"),
    Rule("The clock", r".*/value(\.payload)?\.ts_(ms|us|ns)", whole_numbers),
]

POSTGRES_RULES = [
    *ANYWHERE,
    Rule("Where and when a snapshot was taken", r".*/snapshot/r/value(\.payload)?\.source\.(ts_(ms|us|ns)|lsn|txId)", whole_numbers),
    Rule("Where and when a snapshot was taken", r".*/snapshot/r/value(\.payload)?\.source\.(sequence)"),
]
MYSQL_RULES = [
    *ANYWHERE,
]
