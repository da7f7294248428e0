"""Every difference that is accepted has its reason in the documentation."""

from pathlib import Path

from differential.rules import FIXTURES_MYSQL, FIXTURES_POSTGRES, MYSQL_RULES, POSTGRES_RULES, WILD_MYSQL, WILD_POSTGRES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/debezium-differences.md"


def test_every_rule_is_explained():
    headings = {line.lstrip("# ").strip() for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("#")}
    rules = [*POSTGRES_RULES, *FIXTURES_POSTGRES, *FIXTURES_MYSQL, *WILD_POSTGRES, *MYSQL_RULES["mysql"], *MYSQL_RULES["mariadb"], *WILD_MYSQL["mysql"], *WILD_MYSQL["mariadb"]]
    assert {rule.name for rule in rules} <= headings
