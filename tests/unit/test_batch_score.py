"""What batch scoring does with a file, without a cluster; tests/serve/test_batch_score_run.py runs all of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.records import Draft
from training.batch_score import (
    BATCH,
    PART_ROWS,
    RESULTS,
    assemble,
    load,
    main,
    part_path,
    plan,
    predict,
    rows_of,
    scored,
    write,
)
from training.parquet import InputRefused

MODELS = Path(__file__).resolve().parents[2] / "models"
NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
TEXT = "The library opens on Monday after two months of repairs."


@pytest.fixture(scope="module")
def predictor():
    return load(MODELS, MODELS / "viral_predictor")[0]


def table(**columns: Any) -> pa.Table:
    return pa.table(columns)


def saved(path: Path, **columns: Any) -> Path:
    pq.write_table(table(**columns), path)
    return path


def planned(source: Path, out: Path | None = None):
    return plan(source, out or source.parent / "out.parquet", "1", 10)


@pytest.mark.parametrize("content", [b"", b"text\nhello\n", b"PAR1" + b"\x00" * 100 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "posts.parquet").write_bytes(content)
    with pytest.raises(InputRefused, match=r"posts\.parquet cannot be read as Parquet"):
        planned(tmp_path / "posts.parquet")


def test_a_file_or_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for source, message in ((tmp_path / "none.parquet", "cannot be read"), (tmp_path, "holds no .parquet file")):
        with pytest.raises(InputRefused, match=message):
            planned(source)


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="no column `text`; it has tweet, id"):
        planned(saved(tmp_path / "in.parquet", tweet=["a"], id=[1]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": [1, 2]}, "`text` is int64"),
        ({"text": ["a"], "posted_at": [1.5]}, "`posted_at` is double"),
        ({"text": ["a"], "reason": ["b"]}, "a column `reason` already"),
    ],
)
def test_columns_of_another_kind_are_refused(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        planned(saved(tmp_path / "in.parquet", **columns))


def test_files_that_differ_are_no_one_input(tmp_path: Path) -> None:
    saved(tmp_path / "a.parquet", text=["a"])
    saved(tmp_path / "b.parquet", text=["a"], id=[1])
    with pytest.raises(InputRefused, match=r"b\.parquet has other columns"):
        planned(tmp_path)


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.parquet", text=["a"])
    with pytest.raises(InputRefused, match="is there already"):
        planned(source, source)
    with pytest.raises(SystemExit, match=r"error: .*nowhere is no folder"):
        main([str(source), str(tmp_path / "nowhere" / "out.parquet")])


def test_a_file_that_is_damaged_within_is_refused_with_its_rows(tmp_path: Path) -> None:
    path = saved(tmp_path / "in.parquet", text=[f"{TEXT} {number}" for number in range(5000)])
    content = bytearray(path.read_bytes())
    content[100:-2000] = b"\xff" * (len(content) - 2100)
    path.write_bytes(content)
    with pytest.raises(InputRefused, match=r"in\.parquet, rows 10 to 20"):
        rows_of(path, 10, 10)


def test_parts_cover_every_row_once_whatever_the_row_groups(tmp_path: Path) -> None:
    texts = [str(number) for number in range(103)]
    path = tmp_path / "in.parquet"
    pq.write_table(table(text=texts), path, row_group_size=7)
    parts = planned(tmp_path).parts
    assert [(first, rows) for _, first, rows in parts] == [(first, 10) for first in range(0, 100, 10)] + [(100, 3)]
    assert [text for _, first, rows in parts for text in rows_of(path, first, rows)["text"].to_pylist()] == texts


def test_rows_that_are_no_drafts_get_a_reason_and_cost_the_others_nothing(predictor) -> None:
    texts = [TEXT, None, "", "\u200b", "a" * 4_001, TEXT, "asdf asdf asdf asdf", "El museo abre sus puertas el lunes."]
    moments = [NOON, NOON, None, NOON, NOON, datetime(1999, 1, 1, tzinfo=UTC), NOON, None]
    rows = scored(table(text=texts, posted_at=moments), predictor).to_pylist()
    alone = predictor.predict([Draft(text=TEXT, posted_at=NOON)])[0]
    assert rows[0]["viral_score"] == alone.viral_score
    assert rows[0]["reason"] is None
    for row in rows[1:]:
        assert [row[name] for name in RESULTS.names[:4]] == [None] * 4
    reasons = [row["reason"] for row in rows]
    assert reasons[1].startswith("text: Input should be a valid string")
    assert reasons[4] == "text: String should have at most 4000 characters"
    assert reasons[5].startswith("posted_at: Value error, must lie between")
    assert reasons[6].startswith("No score: ")
    assert "`es`" in reasons[7]
    assert all(reasons[1:])


def test_text_that_is_no_utf8_and_moments_beyond_the_calendar_lose_their_rows_alone(predictor) -> None:
    text = pa.array([b"\xff\xfe", TEXT.encode(), TEXT.encode()]).view(pa.string())
    far = pa.array([0, 2**62, int(NOON.timestamp())], pa.int64()).view(pa.timestamp("s"))
    rows = scored(table(text=text, posted_at=far), predictor)
    assert rows["viral_score"].is_valid().to_pylist() == [False, False, True]
    assert [reason.split(":")[0] for reason in rows["reason"].to_pylist()[:2]] == ["text", "posted_at"]


def test_moments_without_a_zone_are_utc_and_may_be_text(predictor) -> None:
    told = [NOON.isoformat(), "2024-03-05T12:00:00", "2024-03-05T13:00:00+01:00", "yesterday", None]
    as_text = scored(table(text=[TEXT] * 5, posted_at=told), predictor)["viral_score"].to_pylist()
    naive = scored(table(text=[TEXT], posted_at=[NOON.replace(tzinfo=None)]), predictor)["viral_score"].to_pylist()
    later = scored(table(text=[TEXT], posted_at=[NOON + timedelta(hours=9)]), predictor)["viral_score"].to_pylist()
    assert as_text[:3] == [naive[0]] * 3
    assert naive != later
    assert as_text[3] is None
    assert as_text[4] is not None


def test_a_text_that_breaks_the_predictor_fails_alone() -> None:
    class Fragile:
        def predict(self, drafts: list[Draft]) -> list[Any]:
            if any("poison" in draft.text for draft in drafts):
                raise ZeroDivisionError
            return [draft.text for draft in drafts]

    texts = ["a", "b", "poison", "c", "d"]
    told = predict(Fragile(), [Draft(text=text) for text in texts])
    assert told == ["a", "b", "the predictor failed: ZeroDivisionError", "c", "d"]
    assert predict(Fragile(), []) == []


def test_other_columns_are_carried_along_and_the_result_names_its_model(predictor, tmp_path: Path) -> None:
    nested = pa.array([{"tags": ["a"]}, None])
    source = saved(tmp_path / "in.parquet", id=[7, 8], text=[TEXT, None], more=nested)
    made = plan(source, tmp_path / "out.parquet", predictor.version, 1)
    for number, part in enumerate(made.parts):
        write(scored(rows_of(Path(part[0]), *part[1:]), predictor), part_path(tmp_path, number))
    unscored = assemble([part_path(tmp_path, number) for number in range(2)], made.schema, tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert unscored == 1
    assert found.schema.metadata[b"model_version"] == predictor.version.encode()
    assert found.select(["id", "text", "more"]).to_pylist() == pq.read_table(source).to_pylist()
    assert not list(tmp_path.glob("*.tmp"))


def test_no_rows_make_an_empty_result(predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path / "in.parquet", text=pa.array([], pa.string()))
    main([str(source), str(tmp_path / "out.parquet")])
    assert pq.read_table(tmp_path / "out.parquet").column_names == ["text", *RESULTS.names]
    assert "0 posts" in capsys.readouterr().out


def test_parts_of_another_input_are_not_taken_over(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.parquet", text=["a"])
    (tmp_path / "out.parquet.parts").mkdir()
    (tmp_path / "out.parquet.parts" / "run.json").write_text("{}")
    with pytest.raises(SystemExit, match="parts of another input or model"):
        main([str(source), str(tmp_path / "out.parquet")])


def test_a_part_holds_whole_batches() -> None:
    assert PART_ROWS % BATCH == 0
