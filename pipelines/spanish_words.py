"""Small lists and patterns by which Spanish grammar is told without a tagger; what they do not know stays unknown."""

from __future__ import annotations

import regex


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text that stand between spaces."""
    return frozenset(text.split())


# Gender and number of a determiner.
DETERMINERS: dict[str, tuple[str | None, bool]] = {
    "el": ("m", False), "la": ("f", False), "los": ("m", True), "las": ("f", True),
    "un": ("m", False), "una": ("f", False), "unos": ("m", True), "unas": ("f", True),
    "mi": (None, False), "mis": (None, True), "tu": (None, False), "tus": (None, True),
    "su": (None, False), "sus": (None, True), "este": ("m", False), "esta": ("f", False),
    "estos": ("m", True), "estas": ("f", True), "ese": ("m", False), "esa": ("f", False),
    "esos": ("m", True), "esas": ("f", True), "nuestro": ("m", False), "nuestra": ("f", False),
    "nuestros": ("m", True), "nuestras": ("f", True), "vuestro": ("m", False), "vuestra": ("f", False),
    "vuestros": ("m", True), "vuestras": ("f", True), "otro": ("m", False), "otra": ("f", False),
    "otros": ("m", True), "otras": ("f", True), "muchos": ("m", True), "muchas": ("f", True),
    "varios": ("m", True), "varias": ("f", True), "algunos": ("m", True), "algunas": ("f", True),
    "al": ("m", False), "del": ("m", False), "cada": (None, False),
}  # fmt: skip
# What the author may say of what is theirs, and a tweet for them may repeat.
OWN = word_set("mi mis nuestro nuestra nuestros nuestras")
ARTICLES = {("m", False): "el", ("f", False): "la", ("m", True): "los", ("f", True): "las"}
BEFORE_NOUN = word_set(
    "nuevo nueva nuevos nuevas gran grandes buen buena buenos buenas mejor mejores primer primera segunda primeros "
    "primeras último última últimos últimas próximo próxima próximos próximas pequeño pequeña pequeños pequeñas "
    "propio propia propios propias mal mala malos malas único única únicos únicas"
)
PREPOSITIONS = word_set(
    "a al ante bajo con contra de del desde durante en entre hacia hasta mediante para por según sin sobre tras"
)
# What may join a noun to the next; the second row only in a headline.
LINKS = word_set("de del para con sin sobre contra")
HEADLINE_LINKS = word_set("en a al")
NEGATIONS = word_set("no ni nunca jamás nada nadie ningún ninguno ninguna tampoco sin")
FUNCTION_WORDS = (
    PREPOSITIONS
    | NEGATIONS
    | DETERMINERS.keys()
    | word_set(
        "y e o u pero sino que qué si sí cuando cuándo como cómo porque pues donde dónde quien quién quienes quiénes "
        "cual cuál cuáles cuales cuánto cuánta cuántos cuántas yo tú él ella ello nosotros nosotras vosotros ustedes "
        "usted ellos ellas me te se nos os le les lo mí ti esto eso aquello todo toda todos todas mucho mucha poco "
        "poca pocos pocas más menos muy ya aún todavía siempre hoy ayer mañana aquí allí acá ahí ahora luego después "
        "antes pronto también solo sólo bien mal así casi tan tanto además aunque mientras vez algo alguien algún "
        "alguna cualquier ambos mismo misma tal cuyo rt igual vía via gracias hola por favor"
    )
)
VERBS = word_set(
    "es son era eran fue fueron será serán sea soy somos está están estamos estoy estaba estará hay había habrá ha "
    "han he hemos tiene tienen tengo tenemos tienes tuvo hace hacen hacemos hago haces puede pueden podemos puedes "
    "puedo quiere quieren quieres queremos quiero llega llegan llegó vuelve vuelven volvemos empieza empiezan "
    "empezamos comienza comienzan abre abren cierra cierran necesita necesitas necesitan necesito necesitamos busca "
    "buscas buscan busco va van vas voy vamos sabe sabes sé sabemos saben conoce conoces ofrece ofrecen ofrezco "
    "presenta presentan presento lanza lanzan lanzo permite permiten incluye incluyen mejoran reduce reducen ahorra "
    "ahorran ahorras cuesta cuestan vale valen sale salen salimos creemos cree creen crees creo piensa piensan "
    "piensas pienso gusta gustan encanta encantan importa importan funciona funcionan sigue siguen queda quedan trae "
    "traen da dan doy pone ponen ponemos dice dicen cambia cambian crece crecen merece merecen vive viven vives vivo "
    "pasa pasan lleva llevan llevo viene vienen venimos usa usan usas uso elige eligen eliges hizo dio dijo vio "
    "empecé terminé aprendí publiqué lancé cumple cumplen cumplo vende venden vendo regala regalan celebra celebran "
    "organiza organizan acaba acaban termina terminan ayuda ayudan cuida cuidan convierte convierten crea crean sirve "
    "sirven falta faltan duele duelen aprendes cocinas trabajas trabaja trabajan viaja viajan viajas debería deberían "
    "deberías ilusiona apoya apoyan protege protegen recibe reciben recoge recogen estrena estrenan inaugura "
    "inauguran anuncia anuncian participa participan enseña enseñan explica explican cuenta escribo hablo habla "
    "hablan hablamos leo leyendo prefieres prefiero prefieren recomiendas recomiendo escuchas lees compras haría "
    "harías pagarías sabías conocías empiezas ves sientes gana ganan entrena entrenan cocina cocinan mejora cambió "
    "llegaron cuestas recuerdas pueda"
)
IMPERATIVES = word_set(
    "descubre conoce aprende ven haz prueba compra reserva visita regístrate inscríbete apúntate únete suscríbete "
    "mira lee escucha descarga consigue aprovecha participa síguenos sígueme cuéntanos escríbenos entra pide elige "
    "disfruta celebra crea empieza mejora ahorra cuida regala dona ayuda ayúdanos comparte pregunta llévate encuentra "
    "recuerda ten pon di sal comprueba viaja vive estrena gana solicita contrata contáctanos llama llámanos "
    "acompáñanos transforma evita deja dale vota apoya adopta hazte protege invierte organiza toma sube anímate "
    "imagina vente dime díganos dinos conozca descubra aproveche visite reserve regístrese inscríbase solicite "
    "consulte lea"
)
# After these stands what the tweet is about, also without a determiner.
PRESENTING = word_set(
    "lanzamos presentamos abrimos estrenamos inauguramos publicamos organizamos celebramos anunciamos ofrecemos "
    "vendemos buscamos tenemos hacemos creamos diseñamos fabricamos preparamos regalamos sorteamos damos lanzo "
    "presento publico vendo ofrezco busco lanza presenta lanzar presentar promocionar anunciar vender publicar "
    "promover llega llegan vuelve vuelven hay descubre conoce prueba compra reserva estrena visita descarga escucha "
    "lee aprende necesitamos quiero alquila alquilan vende venden adopta dona recogemos impartimos doy hago escribo "
    "inaugura estrena cultivamos servimos cocinamos horneamos restauramos alquilamos instalamos reparamos dirijo "
    "enseño enseñamos tuitear tuit conozca descubra visite reserve describir celebrar fomentar estrenar dar impulsar "
    "busca buscan empezamos comenzamos iniciamos montamos incorporamos recibimos abro"
)
NOT_INFINITIVES = word_set(
    "taller mujer lugar hogar bar mar par celular altar azar alquiler placer deber poder militar familiar escolar "
    "popular solar similar ayer carácter chofer máster master newsletter banner flyer twitter influencer bestseller "
    "center server webinar radar collar pilar manjar tour bienestar lunar circular particular espectacular regular "
    "singular peculiar titular auxiliar bazar hangar paladar malestar developer designer freelancer container burger "
    "scooter roller poster primer cualquier tercer ser haber crochet atardecer amanecer telar cantar andar jaguar "
    "ejemplar molar dispensar vascular muscular modular auricular escáner gamer streamer manager teaser"
)
FEMININE = word_set(
    "mano foto moto flor labor señal sal miel piel cárcel imagen imágenes órdenes orden razón sazón postal catedral "
    "sucursal luz paz voz raíz cruz nariz noche tarde clase llave calle gente mente leche carne nube nave base frase "
    "fase fuente muerte suerte parte sede red serie superficie especie web app apps newsletter startup ong pyme pymes "
    "mujer sangre torre salud ley fe sed pared vez hambre sangre nieve col crisis tesis dosis hipótesis síntesis agua "
    "piel vejez niñez sartén crin tribu pastelería skin tablet laptop wifi api playlist masterclass clave liebre "
    "lumbre corriente pendiente patente variante vacante comunidad constituyente radio tele disco bici peli gripe "
    "higiene nube sierra cumbre costumbre hélice índole simiente certidumbre merced virtud actriz matriz lombriz "
    "perdiz"
) - {"disco", "pendiente", "vez"}
MASCULINE = word_set(
    "día mapa planeta sofá programa problema tema sistema idioma clima diploma drama poema síntoma esquema lema "
    "emblema dilema aroma enigma teorema panorama crucigrama diagrama café té cine baile postre aceite parque "
    "chocolate deporte informe nombre hombre padre viaje coche restaurante guante software hardware marketing podcast "
    "email correo blog test club bar pan plan tren jabón pez juez ajedrez arroz maíz lápiz pie país mes gas bus "
    "autobús campus virus bonus análisis énfasis éxtasis oasis brunch yogur show festival álbum cóctel vermut chef "
    "kit pack set stand stock yoga pilates crossfit running coaching cupcake smoothie bolso balance alcance avance "
    "enlace aire ambiente cliente puente diente bosque traje peaje queso vinagre instrumento desayuno cohete envase "
    "cable combustible inmueble mueble muebles sueldo disfraz maquillaje cumpleaños jueves paraguas lavavajillas "
    "streaming ebook audiolibro árbol mármol alcohol control gol sol rol fútbol béisbol tenis golf surf esquí taxi "
    "bikini kiwi menú champú bambú iglú tabú perfume cachorro webinar taller chat bot chatbot dron móvil portátil fin "
    "jazz rock rap folk pop vlog reel ticket bosque coche baile cheque embarque empaque alambre enjambre cómic "
    "plástico clic diseño reloj boj mensaje equipaje pasaporte transporte aporte corte norte arte remate tomate "
    "debate combate rescate empate disparate helecho sofá picnic hotel hostal outlet marketplace ecommerce crm saas "
    "pasta"
) - {"pasta"}
# Feminine nouns that open with a stressed a take `el` and `un` in the singular.
STRESSED_A = word_set("agua aula área arma alma ala hambre hacha águila ancla ave ama ansia asma habla hada alga")
SINGULAR_IN_S = word_set(
    "crisis análisis tesis dosis campus virus bonus autobús bus gas mes país paraguas cumpleaños lunes martes jueves "
    "énfasis éxtasis oasis tenis pilates lavavajillas hipótesis síntesis express exprés pies fitness business cactus "
    "estrés interés inglés francés portugués japonés mindfulness atlas chasis wellness"
)
FEMININE_ENDINGS = regex.compile(
    r"(?:[csx]i[óo]n(?:es)?|[dt]ad(?:es)?|tud(?:es)?|umbres?|itis|triz|trices|ezas?|ie|ies)$"
)
MASCULINE_ENDINGS = regex.compile(
    r"(?:ajes?|[^s]?or(?:es)?|[áéíó]n|[^csx][aeo]nes|ismos?|mientos?|ing|ware|al(?:es)?|[ei]l(?:es)?|ar(?:es)?|er(?:es)?"
    r"|eos?|ete|etes|ate|ates)$"
)
FINITE_ENDINGS = regex.compile(
    r"^(?:[^áéíóú]*[aei]mos|\p{L}{2,}(?:[^aeiou]|[aiu])ó|\p{L}+(?:aron|ieron|aban|[aei]r(?:á|án|ás|é)|[aei]remos|(?:[ai]|[dlb])ría[ns]?)"
    r"|\p{L}+(?:áis|éis|aste)|\p{L}*[áéí]\p{L}*(?:te|nos|me))$"
)
NOT_FINITE = word_set(
    "ramos tramos gramos extremos kilogramos programamos reclamos contraste límite trámite élite cómplice síndrome "
    "dominó telegramas racimos ánimos baste lubricantes teorema contrastes detrás sofá atrás además están adónde "
    "jamón vagón límites trámites mármoles dinamos hermanos ánimo veranos alamos"
)
ADJECTIVE_ENDINGS = regex.compile(
    r"(?:[aiu]d[oa]s?|[áéíóú]\p{L}{1,3}ic[oa]s?|[áéíóú]\p{L}*ic[oa]s?|os[oa]s?|iv[oa]s?|ari[oa]s?|er[oa]s?|an[oa]s?"
    r"|al(?:es)?|bles?|ntes?|[dts]or(?:a|es|as)?|istas?|[^m]il(?:es)?|eñ[oa]s?|íac[oa]s?|óg[oa]s?|ónom[oa]s?)$"
)
ADJECTIVES = word_set(
    "verde verdes libre libres grande grandes fuerte fuertes dulce dulces joven jóvenes online gratis exprés premium "
    "pro vip bio vegan eco extra familiar familiares escolar escolares solar solares popular populares particular "
    "particulares circular regular modular auricular espectacular espectaculares similar nuevo nueva nuevos nuevas "
    "femenino femenina femeninos femeninas masculino masculina masculinos marino marina latino latina latinos latinas "
    "argentino argentina andino andina canino canina felino felina submarino feliz felices eficaz eficaces veloz "
    "capaz francés francesa franceses inglés inglesa japonés japonesa portugués portuguesa holandés frío fría fríos "
    "frías vacío vacía tardío europeo europea europeos europeas mediterráneo mediterránea contemporáneo contemporánea "
    "contemporáneos profundo profunda interno interna internos externo externa moderno moderna modernos modernas "
    "eterno materna materno nocturno nocturna diurno común comunes fresco fresca frescos frescas seco seca secos "
    "secas rico rica sano sana sanos sanas lento lenta rápido rápida rápidos rápidas mixto mixta abierto abierta "
    "abiertos abiertas directo directa gratuito gratuita gratuitos gratuitas perfecto perfecta completo completa "
    "completos completas correcto hecho hecha hechos hechas roto cubierto escrito blanco blanca negro negra rojo roja "
    "azul azules rosa gris amarillo amarilla largo larga corto corta alto alta bajo baja ligero ligera barato barata "
    "baratos baratas caro caros íntegra crudo cruda puro pura viejo vieja extraordinario duro dura tierno tierna "
    "antiguo antigua antiguos antiguas justo justa segundo remoto remota remotos remotas híbrido híbrida infantil "
    "infantiles bonito bonita bonitos bonitas casero casera caseros caseras distinto distinta doble intenso intensa "
    "suave suaves reciente breve breves sostenible útil útiles móvil fácil fáciles low-cost freelance plegable "
    "autónomo inclusivo inclusiva cítrico hidráulica zero real reales mayor mayores menor menores simple simples "
    "superior cálido cálida húmedo sólido sólida líquido líquida líquidos humano humana pequeño"
)
NO_ADJECTIVES = word_set(
    "archivo calendario horario diario "
    "cuida olvida convida queda ayuda cultiva activa motiva deriva espera supera genera opera libera lidera gana "
    "enseña diseña sueña señal hospital portal miente siente cuente mil abril sales vales mejora mercado helado "
    "dinero verano mano mañana semana ventana manera cartera carrera cada nada verdad ganas tercero enero febrero "
    "calendario horario salario canal final sueldo ciudad pescado vestido tejido sonido pedido cuidado resultado "
    "estado lado contenido sentido partido marido cliente ambiente gente mente restaurante estudiante directora "
    "profesora autora doctora profesor doctor director autor motor color vecinos artistas turistas periodistas "
    "deportistas hermanos ancianos veranos planos pianos manos perros humanos ciudadanos niños compañeros empleados "
    "mercados abogados visitantes participantes estudiantes clientes habitantes principiantes ingredientes diaria "
    "aumento inviertas posible termina participa diseñadores programadores creadores desarrolladores padres "
    "emprendedores lectores actores servicios accesorios mensual suscripción adultos mochileros jugadores "
    "trabajadores consumidores profesores dinamizadores corredores refugiados jubilados voluntarios usuarios "
    "propietarios secretos pasado vale cabida cuesta merece cocinera camiseras panadera panadero panaderos banquero "
    "banco hijos seguidores"
)
LOAN = regex.compile(r"(?:ing|[bcdfghjkmpqtvx])$|[kw]|sh|th|ee|oo|ck", regex.IGNORECASE)
TOKEN = regex.compile(r"\p{L}[\p{L}\p{M}\p{N}'\u2019\-&]*|\p{N}\S*")
WORD = regex.compile(r"[^\p{N}]+")
CLAUSE_END = regex.compile(r"[.!?¡¿…:;,()\[\]{}<>|\"“”«»\u2014\u2013*_~\p{Emoji_Presentation}]+|\s[-/]\s")
QUOTED = regex.compile(r"[\"“«][^\"”»]*[\"”»]")
SENTENCE_END = regex.compile(r"[.!?…]+\s")
INFINITIVE = regex.compile(r"[^áéíóú\W]+[aei]r|[^áéíóú\W]{3,}[aei]r(?:l[aeo]s?|se|te|me)|\p{L}+ír", regex.IGNORECASE)
NO_DENIAL = regex.compile(
    r"\bno (?:te |lo |la |se |os )*(?:pierdas?|pierdan|dudes?|olvides?|pierda|olvide|esperes?|solo|sólo)\b"
)
DAY = r"(?:lunes|martes|miércoles|jueves|viernes|sábado|domingo)"
MONTH = r"(?:enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre)"
_HOUR = r"(?:,? a las? \d{1,2}(?:[:.]\d\d)?(?: ?h(?:oras)?\b)?)"
TIME = regex.compile(
    r"(?<!\p{L})(?:(?:a partir del |(?:desde |hasta )?(?:el |este ))(?:próximo )?"
    rf"(?:{DAY}(?: que viene| próximo)?(?: \d{{1,2}}(?: de {MONTH})?)?|\d{{1,2}} de {MONTH}(?: de \d{{4}})?)"
    rf"(?: por la (?:mañana|tarde|noche))?{_HOUR}?"
    r"|(?:desde |a partir de )?(?:la próxima semana|la semana que viene|el próximo mes|el mes que viene|este mes"
    r"|esta (?:semana|tarde|noche|primavera)|este (?:fin de semana|verano|otoño|invierno))"
    rf"{_HOUR}?|todos los (?:{DAY}|sábados|domingos)"
    rf"|en (?:{MONTH}|primavera|verano|otoño|invierno)|(?:hoy|mañana){_HOUR}?)(?!\p{{L}})",
    regex.IGNORECASE,
)
SEASONS = word_set("descuento mundo vida noche verano invierno otoño primavera regalo día mañana entrada entradas")
MANNERS = word_set("urgencia experiencia gusto cariño ilusión motivo ganas alegría orgullo calma éxito")
ANNOUNCING = word_set(
    "lanzamos presentamos abrimos estrenamos inauguramos publicamos organizamos celebramos ofrecemos vendemos "
    "empezamos sorteamos regalamos lanzo presento publico abro vendo ofrezco estreno organizo iniciamos comenzamos "
    "impartimos recogemos adoptamos ampliamos renovamos recuperamos preparamos fabricamos diseñamos creamos empieza "
    "comienza arranca llega vuelve regresa reabre"
)
FAMILIAR = regex.compile(
    r"tu|tus|te|ti|contigo|(?:prefier|quier|tien|pued|hac|sab|crees|conoc|necesit|busc|viv|sient|pien?s|organiz|cocin|trabaj"
    r"|viaj|compr|le|us|elig|prefer|empiez|escuch|recomiend|ahorr|llev|aprend|sueñ|celebr)[ae]s"
)
SEEKING = word_set("buscamos busco busca buscan necesitamos necesito")
FIRST_PERSON = word_set("mi mis yo lanzo presento publico vendo ofrezco busco escribo quiero creo abro doy")
OFFER = regex.compile(
    r"\d{1,2} ?% de descuento(?: en (?:\p{L}+ ){0,3}\p{L}+(?=$|[,;:(]| (?:con|hasta|para)\b))?"
    r"|\b(?:envío gratis|entrada (?:libre|gratuita))\b",
    regex.IGNORECASE,
)
# Also verbs, but after a determiner or at the head of a list they are nouns.
HOMONYMS = word_set(
    "compras compra oferta reserva visita prueba ayuda cocina mejora descarga escucha cambio uso pregunta cuenta "
    "entrada vista cuidado marca busca trabajo viaje regalo vida vino pago cambio diseño lanzamiento crea dona toma "
    "sorteo pasa"
)
# Words and phrases that mean the same and stand in the same place, both ways.
SYNONYMS: list[tuple[str, str]] = regex.findall(
    "([^=;]+)=([^;]+)",
    "la próxima semana=la semana que viene;todos los días=cada día;tras el=después del;"
    "durante el=a lo largo del;porque=ya que;así que=por eso;empieza=comienza;empiezan=comienzan;"
    "empezamos=arrancamos;empezará=comenzará;terminará=finalizará;amplía=extiende;sigue=continúa;"
    "siguen=continúan;seguimos=continuamos;logra=consigue;logramos=conseguimos;creo que=pienso que;todavía=aún;"
    "quizás=tal vez;en vez de=en lugar de;al menos=como mínimo;por fin=al fin;de nuevo=otra vez;"
    "a veces=en ocasiones;los que=quienes;más rápido=más deprisa;presentamos=damos a conocer;"
    "presenta=da a conocer;se celebra=tiene lugar;se celebrará=tendrá lugar;nunca=jamás;casi=prácticamente;"
    "ponemos en marcha=arrancamos;cuesta=vale;cuestan=valen;solicite=pida;obtener=conseguir;varios=algunos;"
    "junto a=al lado de;mediante=a través de;alrededor de=en torno a;enseñamos=mostramos;contamos=explicamos;"
    "llega tarde=se retrasa;llegan tarde=se retrasan;descanse en paz=que en paz descanse;"
    "abrimos matrícula=ya está abierta la matrícula;abrimos inscripciones=ya están abiertas las inscripciones;"
    "también por la tarde=por la tarde también;",
)
