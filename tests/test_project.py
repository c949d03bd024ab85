"""Whatever is wrong with foregate.toml comes back as one error: file, key, found, wanted, next step."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from foregate.core.errors import ConfigurationError
from foregate.project import Project

GOOD = """\
name = "advisers"
as_of = 2025-10-31

[sources.leads]
file = "leads.parquet"
key = "person_id"
known = "created_on"

[leads]
"""
Read = Callable[[str], Project]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def written(text: str) -> Project:
        (tmp_path / "foregate.toml").write_text(text, encoding="utf-8")
        return Project(tmp_path)

    return written


def refused(read: Read, text: str) -> str:
    """Return the error's message from the file's name on, after checking what every message must and must not have."""
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    error = caught.value
    assert error.exit_code == 2
    assert all((error.where, error.found, error.wanted, error.then))
    assert error.then.endswith((".", "?"))
    said = str(error)
    for foreign in (
        "pydantic",
        "http",
        "Traceback",
        "Input should",
        "validation error",
        "datetime.",
        "instance of",
        "\n",
    ):
        assert foreign not in said
    return said[said.index("foregate.toml") :]


def swap(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_file_is_read(read: Read) -> None:
    project = read("\ufeff" + GOOD)  # as editors on Windows save it
    assert project.declared.sources["leads"].known == "created_on"
    assert project.day(None) == date(2025, 10, 31)
    assert project.day(date(2025, 1, 1)) == date(2025, 1, 1)


@pytest.mark.parametrize(
    ("text", "where", "meant"),
    [
        ('nmae = "x"\n' + GOOD, "nmae", "name"),
        (GOOD + "[warehose]\n", "warehose", "warehouse"),
        (GOOD + "[leads.maturity]\nshar = 0.9\n", "[leads.maturity] shar", "share"),
        (GOOD + "[leads.matrix.backfill]\nform = 'X'\n", "[leads.matrix.backfill] form", "from"),
        (GOOD + "[leads.gates.auc_roc]\natleast = 0.6\n", "[leads.gates.auc_roc] atleast", "at_least"),
        (swap("known =", "knwon ="), "[sources.leads] knwon", "known"),
        (swap("key =", "kye ="), "[sources.leads] kye", "key"),
        (swap("sources.leads", 'sources."a.b"').replace("key =", "kye ="), '[sources."a.b"] kye', "key"),
        (swap("sources.leads", "sources.columns").replace("known =", "knwon ="), "[sources.columns] knwon", "known"),
        (swap("sources.leads", "sources.key").replace("known =", "knwon ="), "[sources.key] knwon", "known"),
        (swap("[leads]", "[sources.leads.columns]\nx = {typ = 'INT'}"), "[sources.leads.columns.x] typ", "type"),
    ],
)
def test_a_misspelt_key_is_named_with_what_was_meant(read: Read, text: str, where: str, meant: str) -> None:
    said = refused(read, text)
    assert said.startswith(f"foregate.toml {where}: found an unknown key, wanted one of ")
    assert f"Did you mean {meant}?" in said


def test_an_unknown_key_that_resembles_nothing_is_to_be_removed(read: Read) -> None:
    assert refused(read, "zzz = 1\n" + GOOD).endswith("Remove it, or correct it.")


def test_several_faults_are_one_error_that_says_how_many_more(read: Read) -> None:
    said = refused(read, 'seed = "x"\nname = 3\n')
    assert said == "foregate.toml name: found 3, wanted text in quotes. Correct the value. 2 more to correct after it."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "a"\n', "sources: found nothing, wanted a table. Add it."),
        (swap('key = "person_id"\n', ""), "[sources.leads] key: found nothing, wanted a value. Add it."),
        (
            GOOD + '[leads.population]\nsource = "p"\n',
            "[leads.population] person: found nothing, wanted a value. Add it.",
        ),
    ],
)
def test_a_missing_key_is_named(read: Read, text: str, message: str) -> None:
    assert refused(read, text) == f"foregate.toml {message}"


DATE = "a date without quotes, like 2025-10-31"


@pytest.mark.parametrize(
    ("text", "where", "found", "wanted"),
    [
        ('seed = "x"\n' + GOOD, "seed", "'x'", "a whole number"),
        ('seed = "42"\n' + GOOD, "seed", "'42'", "a whole number"),
        ("seed = 1.5\n" + GOOD, "seed", "1.5", "a whole number"),
        ("seed = true\n" + GOOD, "seed", "true", "a whole number"),
        ("seed = -1\n" + GOOD, "seed", "-1", "at least 0"),
        (swap('"advisers"', "3"), "name", "3", "text in quotes"),
        (swap("advisers", "My Project"), "name", "'My Project'", "text that matches ^[a-z][a-z0-9_-]{0,62}$"),
        (swap("2025-10-31", '"2025-10-31"'), "as_of", "'2025-10-31'", DATE),
        (swap("2025-10-31", '"31.10.2025"'), "as_of", "'31.10.2025'", DATE),
        (swap("2025-10-31", "20251031"), "as_of", "20251031", DATE),
        (swap("2025-10-31", "12:00:00"), "as_of", "12:00:00", DATE),
        (swap("2025-10-31", "2025-10-31T12:00:00Z"), "as_of", "2025-10-31T12:00:00+00:00", DATE),
        (swap("2025-10-31", "2025-10-31T00:00:00"), "as_of", "2025-10-31T00:00:00", DATE),
        (GOOD + '[leads.dates]\ntrain_start = "soon"\n', "[leads.dates] train_start", "'soon'", DATE),
        (GOOD + "[warehouse]\nurl = 3\n", "[warehouse] url", "3", "text in quotes"),
        ('warehouse = "duckdb:///x"\n' + GOOD, "warehouse", "'duckdb:///x'", "a table"),
        (swap("[leads]", "[[leads]]"), "leads", "[{}]", "a table"),
        ('name = "a"\nsources = []\n', "sources", "[]", "a table"),
        ('name = "a"\nsources.leads = "x"\n', "[sources] leads", "'x'", "a table"),
        (swap("key =", 'unique = "x"\nkey ='), "[sources.leads] unique", "'x'", 'a list, like ["a", "b"]'),
        (swap("key =", "unique = ['x', 1]\nkey ="), "[sources.leads] unique, item 2", "1", "text in quotes"),
        (swap("key =", "fresh_days = -2\nkey ="), "[sources.leads] fresh_days", "-2", "at least 0"),
        (GOOD + "[leads.maturity]\nshare = 90\n", "[leads.maturity] share", "90", "less than 1.0"),
        (GOOD + "[leads.gates]\nauc_roc = 0.6\n", "[leads.gates] auc_roc", "0.6", "a table"),
        (GOOD + "[leads.gates.auc]\nat_least = 'x'\n", "[leads.gates.auc] at_least", "'x'", "a number"),
        (GOOD + "[leads.gates.auc]\nat_least = nan\n", "[leads.gates.auc] at_least", "nan", "a finite number"),
        (GOOD + "[leads.gates.auc]\nat_most = inf\n", "[leads.gates.auc] at_most", "inf", "a finite number"),
        (
            GOOD + '[leads.gates."a b"]\neffect = "warn"\n',
            '[leads.gates."a b"] effect',
            "'warn'",
            "'block', 'sign_off' or 'inform'",
        ),
    ],
)
def test_a_wrong_value_is_shown_with_what_was_wanted_in_its_place(
    read: Read, text: str, where: str, found: str, wanted: str
) -> None:
    assert refused(read, text) == f"foregate.toml {where}: found {found}, wanted {wanted}. Correct the value."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            swap("file =", 'table = "t"\nfile ='),
            "found a table with table, file, key, known, wanted exactly one of table, file, query.",
        ),
        (
            swap('file = "leads.parquet"\n', ""),
            "found a table with key, known, wanted exactly one of table, file, query.",
        ),
        (
            swap("known =", 'happened = "h"\nknown_after = "1 day"\nknown ='),
            "found a table with file, key, happened, known_after, known, wanted known or known_after, not both.",
        ),
        (
            swap('known = "created_on"', 'happened = "h"\nknown_after = "a while"'),
            'found known_after = "a while", wanted "115 days", "1 month" or "measured".',
        ),
        (
            swap('known = "created_on"', 'known_after = "3 days"'),
            "found known_after counts from `happened`, which is missing, wanted keys that fit together.",
        ),
        (
            swap("known =", "current_state = true\nknown ="),
            "found a current_state source has no known-at: it is refused for past leads, "
            "wanted keys that fit together.",
        ),
    ],
)
def test_a_source_that_contradicts_itself_is_named_as_a_table(read: Read, text: str, message: str) -> None:
    assert refused(read, text) == f"foregate.toml [sources.leads]: {message} Correct the value."


@pytest.mark.parametrize(
    ("text", "line", "shown"),
    [
        (GOOD + "x = \n", 10, "Invalid value in `x =`"),
        (swap("key =", "key"), 6, '`key "person_id"`'),
        (GOOD + 'name = "twice"\n[leads]\n', 11, "Cannot declare ('leads',) twice in `[leads]`"),
        (GOOD + '"', 10, '`"`'),
        (GOOD + "x = '''never closed\n\n", 11, "Expected"),
    ],
)
def test_text_that_is_no_toml_is_shown_with_its_line(read: Read, text: str, line: int, shown: str) -> None:
    said = refused(read, text)
    assert said.startswith(f"foregate.toml line {line}: found ")
    assert shown in said
    assert said.endswith("wanted TOML. Correct that line.")


def test_bytes_that_are_not_utf8_are_shown_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "foregate.toml").write_bytes(b'name = "a"\n# caf\xe9\n')
    with pytest.raises(
        ConfigurationError, match=r"foregate.toml line 2: found the byte 0xe9, wanted UTF-8 text\. Save"
    ):
        Project(tmp_path)


def test_a_folder_without_the_file_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"foregate.toml: found no such file, .* Run `foregate init`"):
        Project(tmp_path)
    (tmp_path / "foregate.toml").mkdir()
    with pytest.raises(ConfigurationError, match=r"foregate.toml: found is a directory, wanted a readable file"):
        Project(tmp_path)


def test_no_as_of_date_is_never_today(read: Read) -> None:
    project = read(swap("as_of = 2025-10-31\n", ""))
    with pytest.raises(ConfigurationError, match=r"as_of: found no as-of date.*give --as-of"):
        project.day(None)


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("table", ["ledger", "warehouse"])
def test_a_secret_that_is_not_set_is_named_with_its_key(
    read: Read, monkeypatch: pytest.MonkeyPatch, table: str, value: str | None
) -> None:
    monkeypatch.delenv("FOREGATE_TEST_SECRET", raising=False)
    if value is not None:
        monkeypatch.setenv("FOREGATE_TEST_SECRET", value)
    project = read(GOOD + f'[{table}]\nurl = "postgresql://sam:${{FOREGATE_TEST_SECRET}}@db/name"\n')
    url = getattr(project.declared, table).url
    with pytest.raises(ConfigurationError, match=rf"foregate.toml \[{table}\] url: found no environment variable FORE"):
        project.address(url)
    monkeypatch.setenv("FOREGATE_TEST_SECRET", "hush")
    assert project.address(url) == "postgresql://sam:hush@db/name"


def test_a_local_address_is_counted_from_the_project_and_another_scheme_is_not_local(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = read(GOOD)
    assert project.local("sqlite:///ledger.sqlite", "sqlite") == str(tmp_path / "ledger.sqlite")
    assert project.local(f"sqlite:///{tmp_path}/x/../y", "sqlite") == str(tmp_path / "y")
    monkeypatch.setenv("FOREGATE_TEST_SECRET", "sqlite:///ledger.sqlite")
    assert project.local("${FOREGATE_TEST_SECRET}", "sqlite") == str(tmp_path / "ledger.sqlite")
    for other in ("postgresql://db/name", "duckdb:///x", "sqlite://", "sqlite:/x", ""):
        assert project.local(other, "sqlite") is None
