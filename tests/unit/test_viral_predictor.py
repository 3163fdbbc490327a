import json
import random
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import WeightsRefused
from pipelines.records import Draft, Post
from pipelines.viral_predictor.features import DRAFT, NEVER_REWARDED
from pipelines.viral_predictor.own_record import AUTHOR, percentiles, usable_posts
from pipelines.viral_predictor.predictor import ViralPredictor
from training.archives import neighbours, read, split
from training.viral_calibration import COVERED, RECENT, Crossed, author_gain, calibrate, quantile
from training.viral_evaluation import evaluate
from training.viral_figures import auc, calibration_error, pair_accuracy, spearman, winkler
from training.viral_predictor import fit, save, table, train

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
FILLER = ["we", "are", "at", "the", "office", "and", "see", "what", "they", "do", "about", "it", "today"]


def write_archive(path):
    """Posts in which "puppies" please everybody, "taxes" nobody, and "chess" only the fans of half of the authors."""
    draw = random.Random(7)
    rows = []
    for author in range(40):
        for day in range(90):
            topic = draw.choice(["puppies", "taxes", "chess", ""])
            liked = {"puppies": 40, "taxes": -40, "chess": 40 if author % 2 else -40, "": 0}[topic]
            text = " ".join([*draw.sample(FILLER, 6), topic, draw.choice(["", "#now"])])
            moment = NOON + timedelta(days=day, minutes=draw.randrange(1000))
            rows.append((f"author{author}", moment, text, 60 + liked + draw.randrange(20), draw.randrange(10)))
    columns = dict(zip(("author", "created_at", "text", "likes", "retweets"), zip(*rows, strict=True), strict=True))
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("viral_predictor")
    write_archive(folder / "posts.parquet")
    archive = read(folder / "posts.parquet")
    role = split(archive)
    weights = train([archive], [role["train"]], np.random.default_rng(0))
    metadata = save(weights, folder, 3, [archive], [role])
    return folder, archive, role, metadata


@pytest.fixture
def predictor(trained):
    return ViralPredictor.load(trained[0])


def history(n, liked="", age_days=2.0):
    """`n` posts of which those about `liked` did best."""
    return tuple(
        Post(
            text=f"we see {'chess' if i % 2 else 'office'} today",
            created_at=NOON - timedelta(days=age_days + i),
            likes=100 if liked and liked in ("chess" if i % 2 else "office") else 10,
            retweets=i % 5,
        )
        for i in range(n)
    )


def score(predictor, text, **context):
    return predictor.predict([Draft(text=text, **context)])[0]


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(WeightsRefused):
        ViralPredictor.load(tmp_path)


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"format": 1}, {"version": None, "sha256": None}])
def test_metadata_that_do_not_fit_the_weights_are_refused(trained, tmp_path, change):
    (tmp_path / "weights.npz").write_bytes((trained[0] / "weights.npz").read_bytes())
    metadata = json.loads((trained[0] / "metadata.json").read_text()) | change
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(WeightsRefused):
        ViralPredictor.load(tmp_path)


def test_metadata_that_are_no_json_are_refused(trained, tmp_path):
    (tmp_path / "weights.npz").write_bytes((trained[0] / "weights.npz").read_bytes())
    (tmp_path / "metadata.json").write_text("[")
    with pytest.raises(WeightsRefused):
        ViralPredictor.load(tmp_path)


def test_no_drafts_get_no_predictions(predictor):
    assert predictor.predict([]) == []


def test_without_record_and_moment_there_is_only_wording(predictor):
    prediction = score(predictor, "puppies today")
    assert prediction.subscores.author is None
    assert prediction.subscores.time is None
    assert prediction.evidence.own_posts == 0
    assert not set(prediction.contributions) & {*AUTHOR, "hour", "weekday"}


def test_the_record_counts_from_the_first_post_on_and_more_with_each(predictor):
    parts = [score(predictor, "chess", history=history(n, liked="chess")) for n in (0, 1, 12, 24, 25)]
    assert [part.evidence.own_posts for part in parts] == [0, 1, 12, 24, 25]
    author = [part.subscores.author for part in parts]
    assert author[0] is None
    assert abs(author[1]) < abs(author[2]) < abs(author[3])
    assert author[4] == pytest.approx(author[3], abs=3)


def test_posts_younger_than_a_day_are_not_counted(predictor):
    young = tuple(Post(text="chess", created_at=NOON - timedelta(hours=h), likes=9, retweets=0) for h in range(1, 24))
    draft = Draft(text="chess", posted_at=NOON, history=young + history(30))
    assert len(usable_posts(draft)) == 30
    assert predictor.predict([draft])[0].evidence.own_posts == 30


def test_what_people_like_scores_higher(predictor):
    assert score(predictor, "puppies today").viral_score > score(predictor, "taxes today").viral_score + 20


def test_an_author_whose_chess_posts_did_well_is_told_so(predictor):
    fan = score(predictor, "chess today", history=history(60, liked="chess"))
    other = score(predictor, "chess today", history=history(60, liked="office"))
    assert fan.contributions["similar"] > 0 > other.contributions["similar"]
    assert fan.viral_score > other.viral_score + 10


def test_the_order_of_the_history_does_not_matter(predictor):
    posts = history(40, liked="chess")
    assert score(predictor, "chess", history=posts) == score(predictor, "chess", history=posts[::-1])


def test_an_author_without_any_engagement_gets_a_prediction(predictor):
    silent = tuple(Post(text="hello", created_at=NOON - timedelta(days=i), likes=0, retweets=0) for i in range(50))
    assert 0 <= score(predictor, "hello", history=silent).viral_score <= 100


def test_equal_histories_that_were_parsed_twice_are_one(predictor):
    drafts = [Draft(text="chess", history=history(60, liked="chess")) for _ in range(3)]
    assert len({id(draft.history) for draft in drafts}) == 3
    records, _ = predictor.records(drafts)
    assert records[0] is records[1] is records[2]


def test_another_author_changes_nothing_about_the_wording(predictor):
    fan, other = (score(predictor, "chess", history=history(60, liked=liked)) for liked in ("chess", "office"))
    assert fan.subscores.wording == other.subscores.wording
    assert fan.subscores.author != other.subscores.author


def test_equal_histories_in_one_batch_do_not_mix(predictor):
    drafts = [Draft(text="chess", history=history(60, liked=liked)) for liked in ("chess", "office", "chess")]
    together = predictor.predict(drafts)
    assert together == [predictor.predict([draft])[0] for draft in drafts]
    assert together[0] == together[2] != together[1]


def test_a_score_beyond_the_scale_is_clipped_in_the_open(trained):
    weights = replace(ViralPredictor.load(trained[0]).weights, base=np.asarray(300.0))
    prediction = score(ViralPredictor(weights, "high"), "taxes")
    assert prediction.viral_score == 100
    assert prediction.contributions["clipped"] < 0
    assert prediction.base + sum(prediction.contributions.values()) == pytest.approx(100, abs=0.2)


def test_what_must_not_be_rewarded_is_not(predictor):
    assert (predictor.weights.wording[[list(DRAFT).index(name) for name in NEVER_REWARDED]] <= 0).all()


def test_training_twice_gives_the_same_weights(trained):
    _, archive, role, _ = trained
    posts = table([archive], [neighbours(archive, role["train"])])
    first, again = (fit(posts) for _ in range(2))
    assert again.words.tobytes() == first.words.tobytes()


def test_the_parts_of_a_split_share_no_author_that_they_must_not_share(trained):
    _, archive, role, _ = trained
    authors = {name: set(archive.author[rows].tolist()) for name, rows in role.items()}
    assert not (authors["train"] | authors["time"]) & authors["authors"]
    assert archive.time_us[role["train"]].max() < archive.time_us[role["time"]].min()


def test_a_post_is_ranked_among_posts_older_than_a_day_only(trained):
    _, archive, role, _ = trained
    for row in role["time"][::50]:
        draft = archive.drafts([int(row)])[0]
        assert 25 <= len(draft.history) <= 100
        assert max(post.created_at for post in draft.history) <= draft.posted_at - timedelta(hours=24)
        assert usable_posts(draft) == list(draft.history)


def test_the_figures_of_a_learnable_world_are_good_and_the_card_states_them(trained, tmp_path):
    folder, archive, _, _ = trained
    for name in ("weights.npz", "metadata.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    evaluate(tmp_path, [archive])
    measured = json.loads((tmp_path / "metadata.json").read_text())["scores"]["posts"]["authors"]
    assert measured["auc"]["score"][0] > measured["auc"]["no_record"][0] > 0.7
    assert measured["pairs"]["score"][0] > 0.7
    assert measured["shares"]["0.25"]["score"][0] > measured["pairs"]["score"][0]
    assert 0.65 < measured["coverage"][0] < 0.95
    assert measured["winkler"][0] < measured["winkler_constant"][0]
    assert measured["auc"]["majority"] == measured["pairs"]["majority"] == 0.5
    assert f"{measured['auc']['score'][0]:.3f}" in (tmp_path / "CARD.md").read_text()


def test_a_post_is_compared_with_its_neighbours_of_the_same_author(trained):
    _, archive, role, _ = trained
    rows = role["train"]
    found = neighbours(archive, rows)
    row = int(rows[len(rows) // 2])
    near = [other for other in rows.tolist() if archive.author[other] == archive.author[row] and other != row]
    near = [other for other in near if abs(other - row) <= 50]
    engagement = archive.engagement
    better = [(engagement[row] > engagement[o]) + 0.5 * (engagement[row] == engagement[o]) for o in near]
    assert found[row] == pytest.approx(np.mean(better))
    assert np.isnan(found[role["authors"]]).all()


def test_the_median_is_beaten_by_being_above_it(trained):
    _, archive, role, _ = trained
    rows = role["time"][:20]
    medians = [np.median([post.engagement for post in draft.history]) for draft in archive.drafts(rows.tolist())]
    assert archive.beats(rows).tolist() == (archive.engagement[rows] > np.array(medians)).tolist()


def test_ranges_cover_what_they_promise_where_the_spread_depends_on_the_record():
    draw = np.random.default_rng(0)
    evidence = np.column_stack([np.zeros(20_000), draw.uniform(0.5, 2.0, 20_000), np.ones((20_000, 2))])
    alone = draw.uniform(30.0, 70.0, 20_000)
    outcome = np.clip(alone + 10.0 * evidence[:, 1] * draw.standard_normal(20_000), 0.0, 100.0)
    half = 10_000
    parts = (alone, np.zeros((20_000, 3)), evidence, outcome, outcome > 50.0, np.zeros((20_000, 4)))
    calibration = calibrate(Crossed(*(part[:half] for part in parts)), np.zeros(3))
    known = np.column_stack([np.ones(half), (alone[half:] - 50.0) / 10.0, evidence[half:]])
    low, high = known @ calibration[1, 1], known @ calibration[1, 2]
    inside = (low <= outcome[half:]) & (outcome[half:] <= high)
    wide = evidence[half:, 1] > 1.25
    assert inside.mean() == pytest.approx(COVERED, abs=0.02)
    assert inside[wide].mean() == pytest.approx(inside[~wide].mean(), abs=0.04)


def test_author_terms_get_the_factors_that_tell_pairs_apart():
    draw = np.random.default_rng(0)
    apart = 10.0 * draw.standard_normal((20_000, 4))
    worth = apart @ [1.0, RECENT, 0.5, 2.0] + 10.0 * draw.logistic(size=20_000)
    assert author_gain(apart * np.sign(worth)[:, None]) == pytest.approx([RECENT, 0.5, 2.0], abs=0.15)


def test_a_quantile_of_one_column_is_the_empirical_one():
    outcome = np.random.default_rng(0).uniform(0.0, 100.0, 5_000)
    assert quantile(np.ones((5_000, 1)), outcome, 0.9)[0] == pytest.approx(np.quantile(outcome, 0.9), abs=1.0)


def test_figures_agree_with_counting_by_hand():
    assert auc(np.array([True, False, True, False]), np.array([3.0, 1.0, 2.0, 2.0])) == 0.875
    assert np.isnan(auc(np.array([True, True]), np.array([1.0, 2.0])))
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0])) == pytest.approx(1)
    assert np.isnan(spearman(np.array([1.0, 2.0]), np.array([5.0, 5.0])))
    pairs = np.array([[0, 1], [2, 1], [0, 2]])
    assert pair_accuracy(np.array([3.0, 1.0, 1.5]), np.array([9.0, 5.0, 1.0]), pairs) == pytest.approx(2 / 3)
    assert pair_accuracy(np.array([3.0, 1.0, 1.5]), np.array([9.0, 5.0, 1.0]), pairs, 0.4) == 1.0
    assert winkler(np.array([5.0, 50.0]), np.array([10.0, 10.0]), np.array([90.0, 90.0])).tolist() == [130.0, 80.0]
    assert calibration_error(np.array([True] * 20), np.full(20, 0.75)) == pytest.approx(0.25)


def test_ties_count_half_in_a_percentile():
    assert percentiles(np.array([0.0, 1.0, 9.0]), np.array([1.0, 1.0, 5.0, 7.0])).tolist() == [0, 0.25, 1]


def test_importing_the_predictor_imports_no_training_library():
    code = "import sys, pipelines.viral_predictor.predictor; "
    code += "print({'torch', 'transformers', 'pandas', 'sklearn'} & {*sys.modules})"
    root = Path(__file__).parents[2]
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root).stdout
    assert told.strip() == "set()"
