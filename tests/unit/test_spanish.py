"""Spanish that was typed in haste: the accents, questions and names that grammar makes certain, and what it leaves."""

from __future__ import annotations

import pytest

from pipelines.editing.accents import restored
from pipelines.editing.polish import polish


@pytest.mark.parametrize(
    "text",
    [
        "porque me mudo a una isla y dejo el taller",
        "me caso en mayo y me levanto a las cinco",
        "si me jubilo antes cobro menos",
        "yo siempre pago con tarjeta",
        "hace meses que no termino un libro",
        "hablo con todos y cobro 20 la hora",
        "solo gente seria por favor",
        "formacion continua para gente sabia",
        "la revista publica mis fotos",
        "llame al 900 para reservar",
        "lleve este folleto a la tienda",
        "tengo una cocina donde",
        "para mi hermana y en mi casa",
        "aunque este barrio me gusta",
        "trae lo que quieras",
        "los carteles del bus",
    ],
)
def test_a_word_that_is_right_without_an_accent_gets_none(text: str) -> None:
    assert restored(text) == text.replace("formacion", "formación")


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("para mi los lunes no existen", "Para mí los lunes no existen."),
        ("a mi hermana un gato y a mi un cactus", "A mi hermana un gato y a mí un cactus."),
        ("me pregunto para que sirve este boton", "Me pregunto para qué sirve este botón."),
        ("me preguntó para que sirve este botón", "Me preguntó para qué sirve este botón."),
        ("no es que no quiera ir, es que no me invito nadie", "No es que no quiera ir, es que no me invitó nadie."),
        ("no entiendo por que suben el precio otra vez", "No entiendo por qué suben el precio otra vez."),
        (
            "compré una moto y le cambie la cadena en marzo",
            "Compré una moto y le cambié la cadena en marzo.",
        ),
        ("me quedo con la mesa aunque este vieja", "Me quedo con la mesa aunque esté vieja."),
        ("mi padre trabajo 30 años en la mina", "Mi padre trabajó 30 años en la mina."),
        ("mi abuela no cabe en si de alegria", "Mi abuela no cabe en sí de alegría."),
        ("esto es entre tu y yo", "Esto es entre tú y yo."),
        ("mi hija a ganado el torneo de ajedrez", "Mi hija ha ganado el torneo de ajedrez."),
        ("se a roto la caldera del colegio", "Se ha roto la caldera del colegio."),
        ("si no podes venir te devolvemos la seña", "Si no podés venir te devolvemos la seña."),
        ("la donacion de organos es anonima", "La donación de órganos es anónima."),
        ("vivo en lima y trabajo en cordoba", "Vivo en Lima y trabajo en Córdoba."),
        ("no es por presumir pero la tortilla me sale bien", "No es por presumir, pero la tortilla me sale bien."),
    ],
)
def test_what_grammar_makes_certain_is_mended(text: str, mended: str) -> None:
    assert polish(text, "es") == mended


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (
            "cual es la peor excusa que les han dado para no pagar, yo empiezo: mercurio retrogrado",
            "¿Cuál es la peor excusa que les han dado para no pagar? Yo empiezo: mercurio retrógrado.",
        ),
        (
            "los que tienen taller en casa como hacen para no trabajar a las 11 de la noche",
            "Los que tienen taller en casa, ¿cómo hacen para no trabajar a las 11 de la noche?",
        ),
        ("que libro les cambio la vida", "¿Qué libro les cambió la vida?"),
        ("alguien sabe si abren mañana", "¿Alguien sabe si abren mañana?"),
        ("ustedes como le hacen para ahorrar", "¿Ustedes cómo le hacen para ahorrar?"),
        ("saben de algun lugar para bailar", "¿Saben de algún lugar para bailar?"),
        ("prefieren playa o montaña", "¿Prefieren playa o montaña?"),
        ("che alguien tiene un plomero de confianza?", "Che, ¿alguien tiene un plomero de confianza?"),
        ("no llego el pedido, que hago?", "No llegó el pedido, ¿qué hago?"),
        ("cobran por todo, les parece justo?", "Cobran por todo, ¿les parece justo?"),
        ("xq no vienen al taller?", "¿Por qué no vienen al taller?"),
        ("q opinan de la portada", "¿Qué opinan de la portada?"),
        ("me subieron la renta, ustedes cuanto pagan?", "Me subieron la renta, ¿ustedes cuánto pagan?"),
        ("que planes teneis para el puente?", "¿Qué planes tenéis para el puente?"),
        ("cómo puede ser que el ascensor lleve roto un mes", "¿Cómo puede ser que el ascensor lleve roto un mes?"),
        ("cuánto dura la obra del puente", "¿Cuánto dura la obra del puente?"),
        ("dónde puedo aprender a coser en Vigo", "¿Dónde puedo aprender a coser en Vigo?"),
        ("quién me recomienda un taller en Lugo", "¿Quién me recomienda un taller en Lugo?"),
        ("qué hacéis hoy con esta lluvia", "¿Qué hacéis hoy con esta lluvia?"),
        ("cuánto te echo de menos, abuela", "Cuánto te echo de menos, abuela"),
    ],
)
def test_a_question_gets_its_marks(text: str, question: str) -> None:
    assert polish(text, "es") == question


@pytest.mark.parametrize(
    "text",
    [
        "alguien tiene que decirlo",
        "alguien sabe lo que pasa y no lo dice",
        "hay alguien que me debe 200 pesos",
        "como siempre llego tarde",
        "como dice mi abuela, el que espera desespera",
        "cuando llegue el tren avisamos",
        "donde comen dos comen tres",
        "que nadie se quede sin cenar",
        "que sepan que hay lugar",
        "ustedes como clientes merecen respeto",
        "los que madrugan saben que el pan sale a las 6",
        "cual es su nombre no importa",
        "prefieren el dinero o eso parece",
        "no es lo que dices sino como lo dices",
    ],
)
def test_a_statement_stays_a_statement(text: str) -> None:
    assert not {"¿", "?"} & set(polish(text, "es"))


@pytest.mark.parametrize("text", ["me quito los zapatos", "helado de lima", "un rosario de excusas", "chile verde"])
def test_a_city_that_is_a_word_as_well_keeps_its_small_letter(text: str) -> None:
    assert polish(text, "es").lower().rstrip(".") == text
    assert polish(text, "es")[1:].islower() or polish(text, "es")[1:].rstrip(".").islower()


@pytest.mark.parametrize(
    "text", ["vamos a helado los domingos", "de cerrado a abierto", "del dicho al hecho", "a pedido"]
)
def test_an_a_before_a_noun_is_no_verb(text: str) -> None:
    assert " ha " not in polish(text, "es")


@pytest.mark.parametrize(
    "text",
    [
        "cual es el mejor regalo, empiezo yo: un perro",
        "che vos sabes si abren?",
        "me pregunto por que nadie recicla, alguien sabe?",
        "los de cordoba como hacen para dormir la siesta",
    ],
)
def test_what_was_mended_stays(text: str) -> None:
    once = polish(text, "es")
    assert polish(once, "es") == once
