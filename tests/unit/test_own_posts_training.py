"""Retraining on an account's own export: refused, left alone, or installed and better."""

import json
import random
from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.encoder import Encoder
from pipelines.records import Draft
from pipelines.viral_predictor.features import DRAFT, NEVER_REWARDED
from pipelines.viral_predictor.predictor import ViralPredictor
from pipelines.viral_predictor.wording import WordingModel
from tests.exports import FIRST, SCHEMA, evenings_and_questions, posts, sentence, write
from training.own_posts import Figures, blocks, main, read_export, retrain, split
from training.parquet import InputRefused

MODELS = Path(__file__).resolve().parents[2] / "models"
FIGURES = Figures(9, 9, (0.1, 0.3), (0.5, 0.6), (0.2, 0.2), (0.2, 0.1, 0.3), (0.0, -0.1, 0.1))


def run(*arguments: str | Path) -> int:
    """Return the exit status of the command."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("export") / "posts.parquet", posts(500, evenings_and_questions))


@pytest.fixture(scope="module")
def installed(planted: Path) -> Path:
    out = planted.parent / "deep" / "own"
    assert run("--data", planted, "--out", out) == 0
    return out


@pytest.mark.parametrize("content", [b"", b"PAR1", b"post_id,text\n1,a\n", b"\x00" * 10_000])
def test_a_file_that_is_no_parquet_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "posts.parquet").write_bytes(content)
    with pytest.raises(SystemExit, match=r"error: .*posts\.parquet"):
        main(["--data", str(tmp_path / "posts.parquet"), "--out", str(tmp_path / "own")])
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("name", ["missing.parquet", "."])
def test_a_place_without_an_export_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SystemExit, match="error: "):
        main(["--data", str(tmp_path / name), "--out", str(tmp_path / "own")])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(posts(3, lambda *_: 0.0), SCHEMA).drop_columns(["captured_at"])
    pq.write_table(table, tmp_path / "posts.parquet")
    with pytest.raises(SystemExit, match="no column `captured_at`"):
        main(["--data", str(tmp_path), "--out", str(tmp_path / "own")])


def test_the_bundled_model_is_never_overwritten(planted: Path) -> None:
    with pytest.raises(SystemExit, match="stays as it is"):
        main(["--data", str(planted), "--out", str(MODELS / "viral_predictor")])


def test_rows_that_teach_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    good, *bad = posts(12, lambda *_: 0.0)
    bad[0]["text"] = None
    bad[1]["text"] = "\u200b "
    bad[2]["likes"] = None
    bad[3]["retweets"] = -1
    bad[4]["kind"] = "reply"
    bad[5]["source"] = "x_api"
    bad[6]["captured_at"] = bad[6]["posted_at"] + timedelta(hours=23)
    bad[7]["posted_at"] = None
    bad[8]["posted_at"] = FIRST.replace(year=1999)
    bad[9]["captured_at"] = None
    bad[10]["text"] = "a" * 4_001
    archive, left_out = read_export(write(tmp_path / "posts.parquet", [good, *bad]))
    assert archive.texts == [good["text"]]
    assert left_out == Counter(
        {
            "rows without a text, or with one beyond 4,000 characters": 3,
            "rows whose likes or retweets are unknown or no counts": 2,
            "rows without a moment that can be": 3,
            "readings of replies and reposts": 1,
            "readings of the X API, which trains nothing unless --learn-from-api": 1,
            "posts whose last reading was taken within 24 h": 1,
        }
    )


def test_text_that_is_no_utf8_and_moments_beyond_the_calendar_lose_their_rows_alone(tmp_path: Path) -> None:
    rows = posts(3, lambda *_: 0.0)
    table = pa.Table.from_pylist(rows, SCHEMA)
    broken = pa.array([b"\xff\xfe", b"All is well.", b"All is well here."]).view(pa.string())
    far = pa.array([0, 2**62, int(FIRST.timestamp() * 1e6)], pa.int64()).view(pa.timestamp("us", "UTC"))
    table = table.set_column(SCHEMA.get_field_index("text"), "text", broken)
    table = table.set_column(SCHEMA.get_field_index("posted_at"), "posted_at", far)
    pq.write_table(table, tmp_path / "posts.parquet")
    archive, left_out = read_export(tmp_path)
    assert archive.texts == ["All is well here."]
    assert left_out.total() == 2


def test_an_export_that_pandas_rewrote_reads_the_same(tmp_path: Path, planted: Path) -> None:
    table = pq.read_table(planted)
    told = {name: table[name] for name in SCHEMA.names}
    told["likes"] = table["likes"].cast(pa.float64())
    told["posted_at"] = pa.array([moment.isoformat() for moment in table["posted_at"].to_pylist()])
    told["captured_at"] = table["captured_at"].cast(pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table(told), tmp_path / "posts.parquet")
    ours, theirs = read_export(planted)[0], read_export(tmp_path)[0]
    assert (ours.texts, ours.time_us.tolist(), ours.likes.tolist()) == (
        theirs.texts,
        theirs.time_us.tolist(),
        theirs.likes.tolist(),
    )


def test_of_a_post_the_latest_reading_counts_whatever_the_order(tmp_path: Path) -> None:
    (row,) = posts(1, lambda *_: 0.0)
    readings = [
        row | {"captured_at": row["posted_at"] + timedelta(days=days), "likes": likes}
        for days, likes in ((30, 300), (90, 900), (2, 20))
    ]
    later_api = row | {"captured_at": row["posted_at"] + timedelta(days=99), "likes": 999, "source": "x_api"}
    path = write(tmp_path / "posts.parquet", [*readings, later_api])
    assert read_export(path)[0].likes.tolist() == [900]
    assert read_export(path, learn_from_api=True)[0].likes.tolist() == [999]


def test_too_few_posts_say_how_many_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spanish = [
        row | {"text": "El museo abre sus puertas el lunes por la mañana."} for row in posts(100, lambda *_: 0.0)
    ]
    rows = [row | {"post_id": f"5{row['post_id']}"} for row in posts(280, lambda *_: 0.0)]
    write(tmp_path / "posts.parquet", spanish + rows)
    assert run("--data", tmp_path, "--out", tmp_path / "own") == 3
    said = capsys.readouterr().out
    assert "280 posts to learn from, 20 more are needed" in said
    assert "100 posts in another language" in said
    assert not (tmp_path / "own").exists()


def test_posts_of_one_day_cannot_be_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = posts(320, lambda *_: 0.0)
    for minute, row in enumerate(rows):
        row["posted_at"] = FIRST + timedelta(minutes=minute)
    assert run("--data", write(tmp_path / "posts.parquet", rows), "--out", tmp_path / "own") == 3
    assert "0 posts of the later fifth" in capsys.readouterr().out


@pytest.mark.parametrize("level", ["noise", "always the same"])
def test_where_nothing_is_to_be_learned_nothing_is_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: str
) -> None:
    rows = posts(400, lambda *_: 0.0, seed=3)
    if level != "noise":
        rows = [row | {"likes": 7, "retweets": 0} for row in rows]
    out = tmp_path / "own"
    out.mkdir()
    (out / "weights.npz").write_bytes(b"what an earlier run installed")
    assert run("--data", write(tmp_path / "posts.parquet", rows), "--out", out) == 3
    assert "not better than the bundled one beyond noise" in capsys.readouterr().out
    assert [path.name for path in out.iterdir()] == ["weights.npz"]
    assert (out / "weights.npz").read_bytes() == b"what an earlier run installed"


@pytest.mark.parametrize(
    "worse", [{"gain": (0.2, 0.0, 0.3)}, {"gain": (float("nan"),) * 3}, {"brier_gain": (0.001, -0.1, 0.1)}]
)
def test_no_gain_beyond_noise_and_no_worse_chances_are_installed(worse: dict[str, tuple[float, float, float]]) -> None:
    assert FIGURES.better
    assert not Figures(**(vars(FIGURES) | worse)).better


def test_what_the_readers_prefer_is_learned_and_scored(installed: Path) -> None:
    bundled, own = (ViralPredictor.load(folder) for folder in (MODELS / "viral_predictor", installed))
    morning, evening = FIRST.replace(hour=8), FIRST.replace(hour=20)

    def score(model: ViralPredictor, text: str, moment) -> float:
        return model.predict([Draft(text=text, posted_at=moment)])[0].viral_score

    for text in (sentence(random.Random(seed)) for seed in range(5)):
        assert score(own, f"{text}?", evening) > score(own, f"{text}?", morning) + 10
        assert score(own, f"{text}?", evening) > score(own, f"{text}.", evening) + 5
        assert abs(score(bundled, f"{text}?", evening) - score(bundled, f"{text}?", morning)) < 10


def test_metadata_and_card_tell_where_the_weights_come_from_and_no_text(installed: Path, planted: Path) -> None:
    metadata = json.loads((installed / "metadata.json").read_text())
    assert metadata["retrained_from"] == ViralPredictor.load(MODELS / "viral_predictor").version
    assert (metadata["data"]["posts"], metadata["data"]["learned"], metadata["data"]["later"]) == (500, 400, 100)
    assert metadata["scores"]["gain"][1] > 0
    said = (installed / "CARD.md").read_text() + (installed / "metadata.json").read_text()
    table = pq.read_table(planted, columns=["text", "post_id"])
    assert not [value for column in table.columns for value in column.to_pylist() if value in said]
    assert {path.name for path in installed.iterdir()} == {"weights.npz", "metadata.json", "CARD.md"}
    assert [path.name for path in installed.parent.iterdir()] == ["own"]


def test_equal_data_and_seed_give_equal_weights(installed: Path, planted: Path, tmp_path: Path) -> None:
    assert run("--data", planted.parent, "--out", tmp_path / "own") == 0
    assert (tmp_path / "own" / "weights.npz").read_bytes() == (installed / "weights.npz").read_bytes()


def test_a_second_run_takes_the_place_of_the_first(installed: Path, planted: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "left over").write_text("")
    assert run("--data", planted, "--out", own) == 0
    assert ViralPredictor.load(own).version == ViralPredictor.load(installed).version
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert not (own / "left over").exists()


def test_hashtags_and_pleas_are_never_rewarded_whatever_the_readers_like(tmp_path: Path) -> None:
    draw = random.Random(1)
    rows = posts(320, lambda *_: 0.0)
    for row in rows:
        if draw.random() < 0.5:
            row["text"] += "!!! #summer #sun What do you think?"
            row["likes"] *= 9
    archive, _ = read_export(write(tmp_path / "posts.parquet", rows))
    bundled = ViralPredictor.load(MODELS / "viral_predictor").weights
    moved = retrain(bundled, archive, np.arange(320))
    places = [place for place, name in enumerate(DRAFT) if name in NEVER_REWARDED]
    assert moved.wording[places].max() <= 0
    assert moved.wording[[*DRAFT].index("questions")] != bundled.wording[[*DRAFT].index("questions")]


def test_comparisons_stay_with_the_weights_that_they_were_measured_beside(installed: Path) -> None:
    encoder = Encoder.load(MODELS / "encoder")
    texts = ["The ferry is back.", "We sold the greenhouse on Monday."]
    bundled, own = (ViralPredictor.load(folder) for folder in (MODELS / "viral_predictor", installed))
    pairs = [(texts[0], texts[1])]
    expected = WordingModel.load(MODELS / "wording", encoder, bundled).margins(pairs)
    assert (WordingModel.load(MODELS / "wording", encoder, own).margins(pairs) == expected).all()
    assert not np.allclose(own.wording_points(texts), bundled.wording_points(texts))


def test_the_later_fifth_is_later_and_blocks_keep_neighbours_together() -> None:
    learned, later = split(np.arange(301))
    assert (len(learned), len(later), later[0]) == (240, 61, 240)
    drawn = blocks(60, np.random.default_rng(0))
    assert drawn.shape[1] == 60
    assert ((np.diff(drawn, axis=1) % 60) == 1).mean() > 0.7
    assert np.bincount(drawn.ravel(), minlength=60).std() < 0.1 * drawn.size / 60


def test_one_who_sends_another_file_than_an_export_hears_what_is_missing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "posts.parquet")
    with pytest.raises(InputRefused, match="no export of this product"):
        read_export(tmp_path)
