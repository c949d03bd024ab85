"""The hotels' funnel forecast: bookings, kept bookings, arrivals, judged on origins nobody chose on."""

import shutil
from pathlib import Path

import pytest

from foregate.app.funnel import Funnel
from foregate.core.evidence import Evidence
from foregate.core.folds import State, VersionState

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "hotel_funnel"
DATA = ROOT.parent / "shared" / "data" / "hotel_bookings" / "hotel_bookings.csv.gz"
pytestmark = pytest.mark.skipif(not DATA.is_file(), reason=f"the hotels' bookings are not on this machine: no {DATA}")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> VersionState:
    """The example as it is, with fewer draws, beside the same data."""
    root = tmp_path_factory.mktemp("hotel")
    folder = root / "main" / "examples" / "hotel_funnel"
    shutil.copytree(EXAMPLE, folder)
    (root / "shared").symlink_to(ROOT.parent / "shared")
    file = folder / "foregate.toml"
    file.write_text(file.read_text().replace("score_days = 28", "score_days = 28\ndraws = 200"))
    return Funnel(folder, "ada").run()


def found(state: VersionState, label: str) -> Evidence:
    return next(e for e in state.measured() if e.label == label)


def test_every_phase_is_judged_and_nothing_blocks(state: VersionState) -> None:
    assert state.state in (State.AWAITS, State.PASSED, State.WARNED)
    assert "issue" in state.phases
    assert found(state, "incoherent_cells").value == 0
    assert found(state, "control_gap[booking]").value == 0


def test_what_is_chosen_beats_every_naive_one_on_the_open_origins(state: VersionState) -> None:
    for stage in ("booking", "kept"):
        told = {
            e.subject.split(" ")[1]: e.value for e in state.measured() if e.name == "loss_ratio" and stage in e.subject
        }
        chosen = found(state, f"chosen[{stage}]").words.split(":")[0]
        naive = {"zero", "mean_all", "mean_28", "mean_90", "seasonal_naive"}
        assert chosen not in naive
        assert told[chosen] < min(told[name] for name in naive)


def test_conversion_with_open_cohorts_beats_the_trailing_formula(state: VersionState) -> None:
    assert found(state, "loss_ratio[kept conversion]").value < found(state, "loss_ratio[kept trailing_rate]").value


def test_intervals_cover_what_came_on_the_sealed_origins(state: VersionState) -> None:
    for stage in ("booking", "kept", "arrived"):
        assert 0.90 < found(state, f"coverage_95[{stage} source day]").value < 0.99
        assert 0.40 < found(state, f"coverage_50[{stage} source day]").value < 0.60


def test_the_rate_of_the_last_weeks_is_below_the_matured_one(state: VersionState) -> None:
    for pair in ("booking to kept", "kept to arrived"):
        recent, matured = found(state, f"recent_rate[{pair}]"), found(state, f"conversion_rate[{pair}]")
        assert recent.high is not None
        assert matured.low is not None
        assert recent.high < matured.low
