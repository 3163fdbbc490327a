"""The committed model, on sentences and posts that nobody trained on."""

import json
import time
import zlib
from pathlib import Path

import pytest

from pipelines.editing.accents import restored
from training.accents import FOLDS, MEASURED, measured

BRIEFS = Path(__file__).parents[3] / "shared" / "data" / "briefs"


@pytest.mark.parametrize(
    "text",
    [
        "Hoy abrimos a las 8.",
        "Solo tallas 36 a 38.",
        "El envío es gratis si compras más de 30 euros.",
        "Si te gusta el pan, esta es tu casa.",
        "Cuando llueve no salimos.",
        "Como siempre, el que llega antes elige mesa.",
        "Se busca camarero para esta terraza.",
        "Creo que esta semana no abre.",
        "Publico esto porque nadie responde.",
        "Los viernes trabajo desde casa.",
        "Mira lo que llego a cocinar un domingo.",
    ],
)
def test_a_text_that_is_right_stays(text):
    assert restored(text) == text


@pytest.mark.parametrize(
    ("hasty", "careful"),
    [
        ("no entiendo como seguimos", "no entiendo cómo seguimos"),
        ("te llegara el enlace un dia antes", "te llegará el enlace un día antes"),
        ("nos costo 5 meses", "nos costó 5 meses"),
        ("¿Que herramienta usan para esto?", "¿Qué herramienta usan para esto?"),
        ("una hoja de calculo", "una hoja de cálculo"),
        ("Envio gratis", "Envío gratis"),
        ("una verguenza barbara", "una vergüenza bárbara"),
        ("Perdonad el lio", "Perdonad el lío"),
        ("si cuidais la huerta", "si cuidáis la huerta"),
        ("microcreditos", "microcréditos"),
        ("no se por que", "no sé por qué"),
        ("socio numero 1", "socio número 1"),
        ("la web esta caida", "la web está caída"),
        ("o es cosa mia", "o es cosa mía"),
        ("no le puso su mama", "no le puso su mamá"),
        ("cuando mi abuela decia eso se referia a mi padre", "cuando mi abuela decía eso se refería a mi padre"),
        ("se duerme el bebe", "se duerme el bebé"),
        ("dice q el sabado tb abren", "dice que el sábado también abren"),
        ("muevete, que llegamos tarde", "muévete, que llegamos tarde"),
    ],
)
def test_the_accents_of_hasty_texts_come_back(hasty, careful):
    assert restored(hasty) == careful


def test_a_text_takes_two_milliseconds_at_most():
    text = "no se por que el sabado la web estaba caida, ayer nos paso lo mismo y hoy ya esta bien"
    restored(text)
    rounds = []
    for _ in range(50):
        began = time.process_time()
        for _ in range(20):
            restored(text)
        rounds.append((time.process_time() - began) / 20)
    assert min(rounds) < 0.002  # the best round: others share the processor


@pytest.mark.skipif(not BRIEFS.exists(), reason="needs ../shared/data/briefs")
def test_unseen_posts_come_back_right_and_right_ones_stay():
    lines = [line for path in sorted(BRIEFS.glob("es_*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    entries = [json.loads(line) for line in lines]
    unseen = [
        post for entry in entries if zlib.crc32(entry["brief"].encode()) % FOLDS == MEASURED for post in entry["posts"]
    ]
    figures = measured(unseen)
    assert figures.precision >= 0.985
    assert figures.unchanged >= 0.99
    assert figures.exact >= 0.7
