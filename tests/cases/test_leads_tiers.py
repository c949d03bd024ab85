from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foregate.cases.leads import conditions, tiers
from foregate.cases.leads.conditions import ConditionNotSqlError, ConditionRefusedError, parse
from foregate.cases.leads.reachability import KindsMixedError
from foregate.cases.leads.tiers import (
    NameTakenError,
    TierDeclarationWrongError,
    TiersUnreadableError,
    UnreachableTierError,
    case_expression,
    read,
)
from foregate.cases.leads.wording import WordsWrongError

STANDARD = '[standard]\nname = "STANDARD"\npromised_rate = 0.033\n'


def tier(name: str, when: str, quota: int = 300, words: str = "-") -> str:
    texts = f"name = '{name}'\nwords = '''{words}'''\nwhen = '''{when}'''\n"
    return f"[[tier]]\n{texts}promised_rate = 0.1\nquota = {quota}\n"


def exclusion(name: str, when: str) -> str:
    return f'[[exclusion]]\nname = "{name}"\nwords = "-"\nwhen = "{when}"\n'


def facts(*predicates: str) -> str:
    return f"[facts]\nalways = [{', '.join(repr(one) for one in predicates)}]\n"


def unreachable(*parts: str) -> str:
    with pytest.raises(UnreachableTierError) as caught:
        read("".join(parts) + STANDARD)
    return str(caught.value)


def test_a_file_is_loaded_with_all_that_it_declares(tmp_path: Path) -> None:
    path = tmp_path / "tiers.toml"
    path.write_text(
        facts("firm_reps >= 20 or firm_net_change = 0")
        + tier("T1", "Tenure_Months between 12 and 36 and not is_wirehouse", words="{tenure_months} at {firm_name}")
        + exclusion("wirehouse", "is_wirehouse")
        + STANDARD
    )
    rules = tiers.load(path)
    assert [one.name for one in rules.tier] == ["T1"]
    assert tiers.columns(rules) == {"tenure_months", "is_wirehouse", "firm_name", "firm_reps", "firm_net_change"}
    assert tiers.exclusion_expressions(rules) == {"excluded_wirehouse": "COALESCE((is_wirehouse), FALSE)"}
    assert list(tiers.violation_expressions(rules)) == ["firm_reps >= 20 or firm_net_change = 0"]
    assert tiers.undecided(rules) == []


def test_a_file_that_is_not_there_or_not_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TiersUnreadableError, match=r"tiers.toml: found .*No such file"):
        tiers.load(tmp_path / "tiers.toml")
    with pytest.raises(TiersUnreadableError, match="wanted TOML"):
        read("[[tier]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (tier("T1", "a").replace("quota = 300", ""), "tier T1, key quota: found no such key, wanted a value"),
        (tier("T1", "a", quota=-1), "tier T1, key quota: found -1, wanted input should be greater than or equal to 0"),
        (tier("T1", "a").replace("0.1", "12"), "tier T1, key promised_rate: found 12"),
        (tier("T1", "a").replace("300", '"300"'), "tier T1, key quota: found '300'"),
        (tier("T1", "a") + "color = 1\n", "tier T1, key color: found an unknown key"),
        (tier("T 1", "a"), "tier T 1, key name: found 'T 1'"),
        ('[facts]\nalways = "a"\n' + tier("T1", "a"), r"\[facts\], key always: found 'a'"),
        ("", "key tier: found no such key"),
    ],
)
def test_a_wrong_declaration_names_file_tier_key_found_and_wanted(text: str, message: str) -> None:
    with pytest.raises(TierDeclarationWrongError, match="tiers.toml, " + message):
        read(text + STANDARD)


@pytest.mark.parametrize(
    "text",
    [
        tier("T1", "a") + tier("t1", "b"),
        tier("STANDARD", "a"),
        tier("T1", "a") + exclusion("T1", "b"),
        tier("T1", "a") + exclusion("firm_cap", "b"),
    ],
)
def test_a_name_is_taken_once(text: str) -> None:
    with pytest.raises(NameTakenError):
        read(text + STANDARD)


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("a in (select 1)", "subquery"),
        ("exists(select 1)", "subquery"),
        ("a = any(select 1)", "subquery"),
        ("count(*) > 3", "aggregate"),
        ("median(a) > 3", "aggregate"),
        ("geomean(a) > 3", "no such function"),
        ("sum(a) over () > 3", "reads other rows"),
        ("row_number() over () = 1", "reads other rows"),
        ("d < current_date", "when or where"),
        ("d < now()", "when or where"),
        ("d < today()", "when or where"),
        ("age(d) > interval 3 year", "counts from today"),
        ("random() < 0.5", "when or where"),
        ("uuid() = a", "when or where"),
        ("nextval('s') = a", "when or where"),
        ("unnest([a]) = 1", "several rows"),
        ("columns(*) > 1", "names no column"),
        ("a > $x", "placeholder"),
        ("leads.a > 1", "without its table"),
        ("a; b", "more than one"),
        ("a > 1 as b", "more than one"),
        ("a + 1", "not a condition"),
        ("3", "not a condition"),
        ("1 = 1", "reads no column"),
        ("no_such_function(a)", "no such function"),
    ],
)
def test_a_condition_that_looks_beyond_the_row_is_refused_with_the_reason(condition: str, reason: str) -> None:
    with pytest.raises(ConditionRefusedError, match=reason):
        parse(condition, "tiers.toml, tier T1, key when")


def test_a_condition_that_is_not_sql_is_refused() -> None:
    with pytest.raises(ConditionNotSqlError, match="tiers.toml, tier T1, key when: found 'a between and'"):
        read(tier("T1", "a between and") + STANDARD)


def test_the_list_of_unstable_functions_is_duckdbs_own() -> None:
    with duckdb.connect() as engine:
        rows = engine.execute(
            "SELECT function_name FROM duckdb_functions() WHERE function_type = 'scalar' AND stability <> 'CONSISTENT'"
        ).fetchall()
    missed = {name for (name,) in rows if not name.startswith("current_")} - conditions.NOT_OF_THE_ROW
    assert missed == set()


@pytest.mark.parametrize("words", ["{", "{a.b}", "{a!r}", "{0}", "{}", "{a:zz}", "{a[0]}"])
def test_words_are_columns_in_text(words: str) -> None:
    with pytest.raises(WordsWrongError, match="tier T1, key words"):
        read(tier("T1", "a", words=words) + STANDARD)


def test_a_narrative_says_unknown_for_what_is_missing() -> None:
    rules = read(tier("T1", "a", words="{Months} at {firm}, lost {share:.0%}, {{x}}") + STANDARD)
    said = tiers.narrative(rules.tier[0], {"MONTHS": 14.0, "firm": " ", "share": 0.25})
    assert said == "14 at unknown, lost 25%, {x}"


# --- reachability


def test_the_impossible_tier_of_the_seed_is_found_by_its_fact() -> None:
    said = unreachable(
        facts("firm_reps >= 20 or firm_net_change = 0"), tier("T1B", "firm_reps <= 10 and firm_net_change <= -3")
    )
    assert "tier T1B" in said
    assert "the fact 'firm_reps >= 20 or firm_net_change = 0'" in said
    assert read(tier("T1B", "firm_reps <= 10 and firm_net_change <= -3") + STANDARD)


def test_a_tier_covered_by_earlier_ones_is_found_and_only_those_are_named() -> None:
    said = unreachable(
        tier("IDLE", "z = 3"), tier("LOW", "a < 5"), tier("HIGH", "a >= 5"), tier("MIDDLE", "a between 3 and 7")
    )
    assert "taken by tier LOW and tier HIGH" in said
    assert "IDLE" not in said


@pytest.mark.parametrize(
    ("first", "second", "is_reachable"),
    [
        ("a <= 10", "a > 10", True),
        ("a <= 10", "a >= 10", True),
        ("a <= 10", "a = 10", False),
        ("a < 10", "a = 10", True),
        ("a is not null", "a > 3", False),
        ("a > 3 or a <= 3", "a is null", True),
        ("not (a > 3)", "a <= 3", False),
        ("not (a in (1, 2))", "a = 3", False),
        ("a in (1, null)", "a = 3", True),
        ("a in (1, 2, 3)", "a in (2, 3)", False),
        ("a <> 3", "a = 3", True),
        ("a between 1 and 5", "a > 1 and a < 5", False),
        ("5 > a", "a < 4", False),
        ("s like 'x%'", "s like 'x%' and a > 3", False),
        ("s like 'x%'", "s not like 'x%'", True),
        ("s not like 'x%'", "not (s like 'x%')", False),
        ("s = 'a'", "s in ('a', 'b')", True),
        ("s < 'm' or s >= 'm'", "s = 'z'", False),
        ("b", "b = true", False),
        ("b", "b is not true", True),
        ("b is not true", "not b", False),
        ("b is true or b is false", "b is null", True),
        ("d >= date '2025-01-01'", "d >= '2025-02-01'::date", False),
        ("upper(s) = 'A'", "upper(s) in ('A')", False),
        ("s = 'A'", "s = 'a'", True),
        ("a is distinct from 3", "a is null", False),
        ("a = null", "a = 3", True),
        ("true", "a = 3", False),
    ],
)
def test_boundaries_nulls_and_opaque_conditions(first: str, second: str, is_reachable: bool) -> None:
    text = tier("FIRST", first) + tier("SECOND", second) + STANDARD
    if first == "a = null":  # the first is then the unreachable one
        assert "contradicts itself" in unreachable(text.removesuffix(STANDARD))
    elif is_reachable:
        assert read(text)
    else:
        assert "SECOND" in unreachable(text.removesuffix(STANDARD))


def test_a_tier_with_a_quota_must_survive_the_exclusions() -> None:
    assert "exclusion wirehouse" in unreachable(tier("T1", "is_wirehouse"), exclusion("wirehouse", "is_wirehouse"))
    assert read(tier("T1", "is_wirehouse", quota=0) + exclusion("wirehouse", "is_wirehouse") + STANDARD)


def test_one_column_is_of_one_kind() -> None:
    with pytest.raises(KindsMixedError, match="column a.*a number in 'a > 3' and a text in 'a = '3''"):
        read(tier("T1", "a > 3") + tier("T2", "a = '3'") + STANDARD)


def test_a_proof_that_would_take_too_long_is_left_open_instead_of_claimed() -> None:
    wide = " and ".join(f"(a{i} = 1 or b{i} = 1)" for i in range(13))
    assert tiers.undecided(read(tier("T1", wide) + STANDARD)) == []
    rules = read(tier("T1", f"z = 3 or {wide}") + tier("T2", "a0 = 1") + STANDARD)
    assert tiers.undecided(rules) == ["T1"]
    assert tiers.prove(rules) == []


def test_twelve_overlapping_tiers_are_proven_at_once() -> None:
    text = "".join(
        tier(f"T{i}", f"a{i % 4} between {i} and {i + 6} and b{i % 3} >= {i} and (c > {i} or flag{i} or e is null)")
        for i in range(12)
    )
    assert tiers.undecided(read(text + STANDARD)) == []


NUMBERS = st.sampled_from(["1", "2", "3"])
ATOMS = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from("xy"), st.sampled_from(["<", "<=", "=", "<>", ">", ">="]), NUMBERS),
    st.builds("{} is null".format, st.sampled_from(["x", "y", "f", "s"])),
    st.builds("{} between {} and {}".format, st.sampled_from("xy"), NUMBERS, NUMBERS),
    st.builds("{} not in ({}, {})".format, st.sampled_from("xy"), NUMBERS, st.sampled_from(["2", "null"])),
    st.sampled_from(["f", "f is true", "f = false", "f is not true", "s in ('a', 'b')", "s < 'b'", "'a' = s"]),
    st.builds("{} is distinct from {}".format, st.sampled_from("xy"), NUMBERS),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=5,
)
# Every number that a condition can name, one between each two, one beyond each end, and NULL.
GRID = """
    SELECT * FROM (SELECT unnest([0.5, 1, 1.5, 2, 2.5, 3, 3.5, NULL]) AS x)
    CROSS JOIN (SELECT unnest([0.5, 1, 1.5, 2, 2.5, 3, 3.5, NULL]) AS y)
    CROSS JOIN (SELECT unnest([true, false, NULL]) AS f)
    CROSS JOIN (SELECT unnest(['A', 'a', 'aa', 'b', 'c', NULL]) AS s)
"""


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CONDITIONS, min_size=1, max_size=4), st.lists(CONDITIONS, max_size=1))
def test_the_proof_agrees_with_every_row_of_a_grid(whens: list[str], always: list[str]) -> None:
    rules = tiers.TierRules.model_validate(
        {
            "tier": [
                {"name": f"T{at}", "words": "-", "when": when, "promised_rate": 0.1, "quota": 1}
                for at, when in enumerate(whens)
            ],
            "standard": {"name": "STANDARD", "promised_rate": 0.03},
            "facts": {"always": always},
        }
    )
    broken = " OR ".join(tiers.violation_expressions(rules).values()) or "FALSE"
    with duckdb.connect() as engine:
        query = f"SELECT DISTINCT {case_expression(rules)} FROM ({GRID}) WHERE NOT ({broken})"
        reached = {name for (name,) in engine.execute(query).fetchall()}
    found = {name: finding.can_exist for name, finding in tiers.findings(rules).items()}
    assert None not in found.values()
    assert {name for name, can in found.items() if can} == reached - {"STANDARD"}
