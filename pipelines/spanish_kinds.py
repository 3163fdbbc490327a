"""What Spanish nouns name, as far as a tweet speaks of it in its own way; what the lists do not know has no kind."""

from __future__ import annotations

import regex

from pipelines.spanish_grammar import gender_and_number
from pipelines.spanish_words import word_set

# Nouns that say nothing by themselves.
GENERIC = word_set(
    "plazo plazos cosa cosas persona personas vez veces forma formas manera maneras tipo tipos parte partes razón "
    "razones semana semanas día días mes meses año años momento momentos hora horas minuto minutos segundo segundos "
    "fin lugar lugares mitad punto puntos caso casos descuento descuentos precio precios enlace enlaces link links "
    "bio perfil gente ganas resto cuenta serie lado total tema temas mayoría código favor ustedes amigo amigos amiga "
    "amigas señal mundo tiempo ejemplo tweet tuit tuits post posts hilo dm partir través pesar cabo duda dudas orden "
    "primavera verano otoño invierno noche tarde mañana hoy oportunidad tuyo opción opciones medio vida información "
    "detalles lista final principio cargo base registro inscripción inscripciones entrada entradas plaza plazas cupo "
    "cupos solicitud"
)
# Nouns that say something only with more words or in the author's own mouth.
VAGUE = word_set("tienda web envío equipo empresa página sitio marca negocio venta feria curso nota serie producto")
COUNTED = word_set(
    "taller curso app libro guía evento concierto festival tienda restaurante podcast blog newsletter webinar club "
    "proyecto producto servicio programa software plataforma herramienta colchón bicicleta mochila silla mesa lámpara "
    "vestido abrigo bolso reloj casa piso apartamento habitación ruta excursión viaje masaje plan receta canción "
    "disco película exposición obra novela charla clase sesión campaña aplicación consultoría agencia asesoría "
    "academia escuela clínica carrera mercado mercadillo feria panadería cafetería librería floristería máquina coche "
    "moto kit pack plantilla calendario agenda cuaderno juego videojuego sistema hotel crema jabón vela perfume "
    "encuentro masterclass retiro seminario congreso tour ebook álbum refugio huerto jardín gimnasio estudio "
    "documental cómic seguro lista tarjeta abono"
)
# What a noun is, as far as a tweet speaks of it in its own way; singular forms.
KINDS: dict[str, frozenset[str]] = {
    "evento": word_set(
        "taller noche curso concierto festival feria maratón carrera webinar charla exposición mercadillo encuentro "
        "congreso retiro masterclass sesión jornada campamento torneo fiesta gala ruta excursión seminario "
        "conferencia estreno espectáculo función recital cata tour degustación proyección foro "
        "presentación trueque quedada liga homenaje velada simposio "
        "desfile hackathon meetup inauguración concurso visita caminata voluntariado certamen"
    ),
    "producto": word_set(
        "zapatilla zapato ropa camiseta vestido abrigo bolso reloj joya anillo collar pendiente gafa lámpara silla "
        "mesa sofá colchón mueble cama almohada vela perfume crema jabón champú cosmética cosmético maquillaje café "
        "té chocolate vino cerveza queso aceite pan miel agua kombucha zumo jugo pastel tarta galleta helado pizza "
        "hamburguesa bicicleta coche moto patinete móvil teléfono portátil auricular cámara tablet televisor panel "
        "batería planta flor juguete puzle mochila maleta botella taza cuaderno agenda calendario kit caja cesta "
        "manta sábana cortina alfombra sartén cuchillo cafetera pintura cuadro cerámica bisutería calcetín bota "
        "sandalia sombrero chaqueta pantalón falda camisa traje bikini bañador pienso arena comedero infusión yogur "
        "fruta verdura mermelada empanada desayuno menú detergente champú gel sérum mascarilla tarjeta regalo "
        "electrodoméstico tomate croqueta plato paraguas mermelada"
    ),
    "servicio": word_set(
        "app clase aplicación software plataforma herramienta agencia seguro alquiler reparación asesoría consultoría "
        "hotel hostal tienda panadería cafetería restaurante gimnasio librería floristería peluquería clínica "
        "academia escuela gestoría estudio taxi mudanza envío banco programa crm tarifa hosting web chatbot coworking "
        "bar spa guardería residencia inmobiliaria lavandería mantenimiento catering fisioterapia terapia masaje "
        "hipoteca préstamo suscripción servicio mercado carnicería frutería heladería pastelería"
    ),
    "obra": word_set(
        "libro cuento novela cómic disco álbum película documental podcast episodio guía receta ebook newsletter "
        "revista informe blog vídeo video canción poema relato historia artículo estudio manual plantilla boletín "
        "serie obra entrevista hilo reportaje cortometraje videoclip playlist"
    )
    - {"estudio", "serie"},
    "asunto": word_set(
        "miedo síndrome ansiedad estrés error duelo insomnio "
        "salud marketing diseño trabajo teletrabajo productividad liderazgo inteligencia arte fotografía música "
        "nutrición yoga deporte fitness educación viaje lectura energía clima reciclaje ahorro finanza cine moda "
        "estilo innovación tecnología emprendimiento ciberseguridad estrategia cultura ecología sostenibilidad "
        "criptomoneda impuesto hábito alimentación crianza maternidad paternidad jardinería huerto meditación "
        "mindfulness running ciclismo senderismo escalada natación ajedrez filosofía psicología autoestima rutina "
        "bienestar descanso sueño igualdad diversidad inclusión movilidad turismo gastronomía cocina repostería "
        "periodismo escritura poesía programación ciencia astronomía robótica blockchain seo branding publicidad "
        "comunicación creatividad memoria inversión economía empleo formación aprendizaje accesibilidad privacidad "
        "democracia agricultura minimalismo maratón entrenamiento arquitectura interiorismo decoración"
    )
    - {"maratón"},
}
ABSTRACT_ENDINGS = regex.compile(r"(?:[dt]ad|ismo|[eu]za|anza|[ae]ncia|ing)$")
NOT_ABSTRACT = word_set(
    "ciudad agencia tienda residencia pizza mitad cantidad comunidad universidad parking camping branding entidad "
    "panza balanza danza fianza casting meeting listing novedad localidad finanza enseñanza audiencia licencia "
    "urgencia herencia taza cabeza cerveza pieza universidad navidad oportunidad variedad especialidad"
)
PEOPLE = regex.compile(
    r"(?:[dt]or(?:a|es|as)?|istas?|voluntari[oa]s?|donantes?|camarer[oa]s?|cociner[oa]s?|ayudantes?|gerentes?|becari[oa]s?"
    r"|ingenier[oa]s?|profes\p{L}+|enfermer[oa]s?|comerciales|personas?|chófer(?:es)?|chofer(?:es)?|panader[oa]s?|familias"
    r"|modelos?|músicos?|testers?|developers?|freelancers?|socios|socias|técnic[oa]s?|abogad[oa]s?|monitor(?:a|es|as)?"
    r"|participantes?|estudiantes?|beta|betatesters?|repartidor(?:a|es|as)?)$"
)


def kind_of(noun: str) -> str | None:
    """Return what a lower-case noun names, as far as the lists know: evento, producto, servicio, obra or asunto."""
    plural = gender_and_number(noun)[1]
    forms = {noun, noun[:-1], noun[:-2], noun[:-3] + "z", re_accented(noun[:-2])} if plural else {noun}
    kind = next((kind for kind, nouns in KINDS.items() if forms & nouns), None)
    return kind or ("asunto" if ABSTRACT_ENDINGS.search(noun) and noun not in NOT_ABSTRACT else None)


def re_accented(stem: str) -> str:
    """Return the singular of a plural in -ones, -enes, -eses with its accent back (camión of camion)."""
    return stem[:-2] + {"o": "ó", "a": "á", "i": "í", "e": "é"}.get(stem[-2:-1], stem[-2:-1]) + stem[-1:]
