"""English slots: the right topic, article, number and sentence, or no slot at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.english import KIND_SLOTS, SLOTS, slots
from pipelines.english_sentences import gerund
from pipelines.english_words import article, kind_of, plural_of
from pipelines.records import Brief
from pipelines.text.tweets import Entity, entities


def filled(query: str, *keywords: str) -> dict[str, str]:
    return slots(Brief(query=query, language="en", keywords=keywords, entities=entities(query)))


@pytest.mark.parametrize(
    "query",
    [
        "😀",
        "https://example.com/offer",
        "@somebody",
        "2026",
        "not available in stores",
        "never again",
        "this week",
        "",
        "just do it",
        "{topic} | {?}",
    ],
)
def test_where_the_query_is_about_nothing_there_is_no_topic(query: str) -> None:
    assert not filled(query).keys() & {"the_topic", "a_topic", "about", "topics", "action"}


@pytest.mark.parametrize(
    ("query", "topic"),
    [
        ("AI tools for small businesses", "AI tools for small businesses"),
        ("We launch our new eco-friendly running shoes next week.", "eco-friendly running shoes"),
        ("meal prep, healthy snacks, budget recipes", "meal prep"),
        ("how to choose a mattress", "mattress"),
        ("how do I clean suede boots?", "suede boots"),
        ("Does your team still use spreadsheets for payroll?", "spreadsheets for payroll"),
        ("Is remote work killing company culture?", "remote work"),
        ("Our bakery opens on Saturday at 9am.", "bakery"),
        ("Introducing Flowdesk 2.0: invoices in seconds.", "Flowdesk"),
        ("PostgreSQL 18 is out", "PostgreSQL"),
        ("iPhone cases", "iPhone cases"),
        ("wedding photographer Austin", "wedding photographer"),
        ("best noise cancelling headphones", "noise cancelling headphones"),
        ("5 tips for better sleep", "tips for better sleep"),
        ("Black Friday deals on headphones", "Black Friday deals on headphones"),
        ("Small Business Accounting Software", "small business accounting software"),
        ("SUMMER SALE UP TO 50% OFF", "summer sale"),
        ("Tickets for our jazz night are on sale now", "jazz night"),
        ("we opened a new bike repair shop in Leeds, come say hi", "bike repair shop"),
        ("Adopt a rescue dog", "rescue dog"),
        ("women's running group", "women's running group"),
        ("I just published my first novel. It took me 6 years.", "novel"),
        ("Why do cats love boxes?", "boxes"),
        ("used cars", "used cars"),
    ],
)
def test_the_topic_is_one_noun_phrase_of_the_query(query: str, topic: str) -> None:
    assert filled(query)["topic"] == topic


def test_a_topic_of_a_negated_clause_is_none() -> None:
    assert "closing" not in filled("We are not closing our shop.").get("topic", "")
    assert "shop" not in filled("We are not closing our shop.").get("topic", "")


@pytest.mark.parametrize(
    ("query", "the_topic"),
    [
        ("We launch our new shoes next week.", "our new shoes"),
        ("I just published my first novel.", "my novel"),
        ("The city museum reopens in June.", "the city museum"),
        ("local farmers market", "the local farmers market"),
        ("online yoga classes", "online yoga classes"),
        ("running shoes", "running shoes"),
        ("remote work", "remote work"),
        ("Flowdesk", "Flowdesk"),
        ("history of jazz", "the history of jazz"),
        ("coffee subscription", None),
        ("how to choose a mattress", None),
        ("Is our company culture broken?", "company culture"),
    ],
)
def test_the_determiner_is_the_querys_own_or_a_sure_one(query: str, the_topic: str | None) -> None:
    assert filled(query).get("the_topic") == the_topic


@pytest.mark.parametrize(
    ("query", "a_topic"),
    [
        ("mattress", "a mattress"),
        ("annual charity run", "an annual charity run"),
        ("open source database", "an open source database"),
        ("electric bikes", "electric bikes"),
        ("remote work", "remote work"),
        ("second-hand furniture", "second-hand furniture"),
        ("API rate limiting", "API rate limiting"),
        ("employee onboarding checklist", "an employee onboarding checklist"),
        ("used cars", "used cars"),
        ("children's book", "a children's book"),
        ("Flowdesk", None),
        ("perception", None),
    ],
)
def test_only_a_singular_count_noun_takes_an_article(query: str, a_topic: str | None) -> None:
    assert filled(query).get("a_topic") == a_topic


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("hour", "an"), ("honest review", "an"), ("heirloom", "an"), ("herb garden", "an"), ("house", "a"),
        ("hotel", "a"), ("user", "a"), ("unique gift", "a"), ("university", "a"), ("uniform", "a"), ("unicorn", "a"),
        ("European tour", "a"), ("one-page guide", "a"), ("umbrella", "an"), ("uninsured driver", "an"),
        ("unimportant detail", "an"), ("urban garden", "an"), ("utility bill", "a"), ("FAQ", "an"), ("MBA", "an"),
        ("API", "an"), ("AI tool", "an"), ("UX designer", "a"), ("NGO", "an"), ("SEO audit", "an"), ("CRM", "a"),
        ("NASA photo", "a"), ("e-bike", "an"), ("X-ray", "an"), ("T-shirt", "a"), ("iPhone case", "an"),
        ("SaaS tool", "a"),
    ],
)  # fmt: skip
def test_the_article_follows_the_sound(phrase: str, expected: str) -> None:
    assert article(phrase) == expected


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("shoes", "plural"), ("people", "plural"), ("headphones", "plural"), ("APIs", "plural"), ("webinars", "plural"),
        ("classes", "plural"), ("children", "plural"), ("class", "count"), ("business", "count"), ("webinar", "count"),
        ("meeting", "count"), ("subscription", "count"), ("coffee", "mass"), ("news", "mass"), ("software", "mass"),
        ("parenting", "mass"), ("awareness", "mass"), ("AI", "mass"), ("API", "unknown"), ("happening", "mass"),
    ],
)  # fmt: skip
def test_number_and_countability_come_from_lists_and_endings(head: str, kind: str) -> None:
    assert kind_of(head, name=False) == kind


@pytest.mark.parametrize(
    ("query", "agreement"),
    [
        ("electric bikes", ("are", "have", "were", "they", "them", "these")),
        ("coffee subscription", ("is", "has", "was", "it", "it", "this")),
        ("remote work", ("is", "has", "was", "it", "it", "this")),
        ("Maria Lopez", ("is", "has", "was", None, None, None)),
    ],
)
def test_verbs_and_pronouns_agree_and_nobody_is_called_it(query: str, agreement: tuple[str | None, ...]) -> None:
    found = filled(query)
    assert tuple(map(found.get, ("is", "has", "was", "it", "them", "this"))) == agreement


@pytest.mark.parametrize(
    ("query", "action"),
    [
        ("how to choose a mattress", "choose a mattress"),
        ("How do I clean suede boots?", "clean suede boots"),
        ("What's the best way to learn Spanish?", "learn Spanish"),
        ("how can I reduce my screen time", "reduce your screen time"),
        ("Save energy at home", "save energy at home"),
        ("Adopt a rescue dog", "adopt a rescue dog"),
        ("Join us on Friday", None),
        ("Book a table", None),
        ("remote work", None),
        ("how to get all of the things done before the end of the week", None),
        ("how to never lose keys", None),
    ],
)
def test_an_action_is_a_bare_verb_phrase(query: str, action: str | None) -> None:
    assert filled(query).get("action") == action


@pytest.mark.parametrize(
    ("verb", "form"),
    [("choose", "choosing"), ("plan", "planning"), ("clean", "cleaning"), ("see", "seeing"), ("tie", "tying"),
     ("fix", "fixing"), ("begin", "beginning"), ("build", "building")],
)  # fmt: skip
def test_a_gerund_is_spelled_right(verb: str, form: str) -> None:
    assert gerund(verb) == form


@pytest.mark.parametrize(
    ("query", "fact"),
    [
        ("It is here. Pre-orders open on Monday!", "Pre-orders open on Monday."),
        ("Look at this! Entry is free for children.", "Entry is free for children."),
        ("We just shipped dark mode after three years of people asking", "We just shipped dark mode."),
        ("Our waterproof backpack is back after selling out twice", "Our waterproof backpack is back."),
        ("Heads up: we do not ship on Sundays.", "We do not ship on Sundays."),
        ("Rents in our three areas rose 2.1% this quarter, the smallest rise.", "Rents in our three areas rose 2.1%."),
        ("Bring your old jeans and recycle the rest", "Bring your old jeans & recycle the rest."),
        ("I read 400 restaurant menus so you don't have to.", "I read 400 restaurant menus so you do not have to."),
        ("The pier is closed due to the high winds of today", "The pier is closed because of the high winds of today."),
        ("Our new menu is live. Come by!", "Our new menu is live."),
        ("It is here. Look!", None),
        ("Shoes are not for sale.", "Shoes are not for sale."),
        ("Is entry free for children?", None),
        ("Because the boiler broke.", None),
        ("They are the best of all.", None),
        ("Thank you!", None),
        ("which flavor should we bring back?", None),
        ("how to choose a mattress", None),
    ],
)
def test_a_fact_is_a_short_whole_statement(query: str, fact: str | None) -> None:
    assert filled(query).get("fact") == fact


@pytest.mark.parametrize(
    ("query", "headline"),
    [
        ("vegan bakery berlin opening", "Vegan bakery Berlin opening."),
        ("handmade ceramic mugs restock friday", "Handmade ceramic mugs restock Friday."),
        ("free webinar payroll small business", "Free webinar: payroll small business."),
        ("toddler screen time honest thoughts", "Toddler screen time: honest thoughts."),
        ("gluten free wedding cakes yorkshire", "Gluten free wedding cakes, Yorkshire."),
        ("last minute ski lodge deal february", "Last minute ski lodge deal, February."),
        ("early access to our new meal planning app", "Our new meal planning app: early access."),
        ("the mural that local kids painted on our wall", "The mural local kids painted on our wall."),
        ("gift cards for people who leave everything to us", "Gift cards for people that leave everything to us."),
    ],
)
def test_a_list_of_keywords_and_a_title_are_used_whole_in_their_order(query: str, headline: str) -> None:
    assert filled(query)["fact"] == headline


@pytest.mark.parametrize(
    ("query", "question"),
    [
        ("What are you reading?", "What are you reading?"),
        ("tabs or spaces and why are you wrong?", "Tabs or spaces? Why are you wrong?"),
        ("Should we answer a bad review in public or by message?", None),
        (
            "Do you know where your coffee beans come from?",
            "Do you know, by the way, where your coffee beans come from?",
        ),
        ("what do you wish you'd known before your first baby?", None),
        (
            "What should parents know before choosing a secondary school?",
            "What should parents know, in your view, before choosing a secondary school?",
        ),
        ("Are you a morning runner or an evening runner?", "Morning runner or evening runner?"),
        ("Which loaf should we bring back this winter?", "This winter: which loaf should we bring back?"),
        ("What was the first concert you ever went to?", "What was the first concert you went to?"),
        ("Is the four day week coming to restaurants?", "Is the four day week, honestly, coming to restaurants?"),
        ("what people actually keep in their gym bag", "What do people keep in their gym bag?"),
        ("We sell shoes.", None),
    ],
)
def test_the_authors_question_is_asked_as_it_is_or_left_out_where_it_cannot_be_turned_safely(
    query: str, question: str | None
) -> None:
    assert filled(query).get("question") == question


@pytest.mark.parametrize(
    ("query", "wonder"),
    [
        ("hot take: most meetings should be a shared document", "Should most meetings be a shared document?"),
        ("Hot take: the best part of any trip is the supermarket.", "Is the best part of any trip the supermarket?"),
        ("arguing about whether a hot dog is a sandwich", "Is a hot dog a sandwich?"),
        ("The museum is open.", None),
    ],
)
def test_an_opinion_can_be_asked_as_a_question(query: str, wonder: str | None) -> None:
    assert filled(query).get("wonder") == wonder


@pytest.mark.parametrize(
    "query",
    [
        "Our food bank is low on tinned fruit, long life milk and cereal.",
        "Our website will be down for maintenance tonight from 11pm to 2am.",
        "Can't decide between oat and almond? Our barista can.",
        "Away from home. What a night.",
        "Why we moved our whole team to a four day week",
        "{{7*7}} ${7*7}",
        "We love `rm` and <b>shoes</b>.",
    ],
)
def test_what_says_too_little_or_something_else_when_cut_is_no_fact(query: str) -> None:
    assert "fact" not in filled(query)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("Our food bank is low on tinned fruit, long life milk and cereal.", "Our food bank."),
        ("<script>alert(1)</script> New running shoes", "New running shoes."),
        ("Sign ups for our autumn half marathon open on Monday", "Our autumn half marathon."),
        ("They burned it.", None),
    ],
)
def test_a_noun_phrase_as_it_is_written_is_the_last_resort(query: str, title: str | None) -> None:
    assert filled(query).get("title") == title


@pytest.mark.parametrize(
    ("query", "fact"),
    [
        ("tweet about our new vegan dog treats", "Our new vegan dog treats."),
        ("what should we post for the launch of our new ice cream flavors", None),
        ("Poll time! Which is it?", None),
    ],
)
def test_an_order_to_the_tool_is_no_part_of_a_tweet(query: str, fact: str | None) -> None:
    assert filled(query).get("fact") == fact


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("The pool is closed until June.", "notice"),
        ("We are hiring a baker.", "vacancy"),
        ("Thank you to everyone who came!", "thanks"),
        ("Found: a blue scarf in the foyer.", "lost"),
        ("Annual plans are $60 instead of $96.", "offer"),
        ("Our workshop starts on Monday.", "occasion"),
        ("I failed my driving test.", "story"),
        ("We named our new robot Gerald.", "news"),
        ("Show us your desk!", "share"),
        ("Stop copying numbers by hand.", "call"),
    ],
)
def test_a_statement_is_filed_under_its_kind_alone(query: str, kind: str) -> None:
    found = filled(query)
    assert {name for name in KIND_SLOTS if name in found and "_line" not in name} == {kind}


def test_whoever_is_private_is_nothing_to_ask_strangers_about() -> None:
    assert not filled("my dad").keys() & {"ours", "about", "topics"}


@pytest.mark.parametrize(
    ("query", "when"),
    [
        ("We launch our new shoes next week.", "next week"),
        ("Join our free webinar this Thursday", "this Thursday"),
        ("Our annual charity run closes on Friday", None),
        ("Our new shop opened on Monday", None),
        ("Thanks for joining our webinar on Monday", None),
        ("Meet us on Monday or on Friday at our workshop", None),
    ],
)
def test_a_moment_is_in_the_future_of_what_is_announced(query: str, when: str | None) -> None:
    assert filled(query).get("when") == when


@pytest.mark.parametrize(
    ("query", "amount", "label", "slot", "value"),
    [
        ("SUMMER SALE UP TO 50% OFF", "50%", "PERCENT", "discount", "up to 50% off"),
        ("Get 20% off all candles", "20%", "PERCENT", "discount", "20% off"),
        ("Our revenue grew by 50% this year", "50%", "PERCENT", "discount", None),
        ("We raised $40,000 for the shelter", "$40,000", "MONEY", "price", None),
        ("Fresh bread for $3", "$3", "MONEY", "price", "$3"),
    ],
)
def test_an_offer_is_taken_as_the_query_says_it(
    query: str, amount: str, label: str, slot: str, value: str | None
) -> None:
    start = query.index(amount)
    entity = Entity(amount, label, start, start + len(amount))
    assert slots(Brief(query=query, language="en", keywords=(), entities=(entity,))).get(slot) == value


def test_whoever_says_i_is_not_written_as_we() -> None:
    assert filled("I just published my first novel.")["We_are"] == "I am"
    assert filled("We opened a shop, and I am proud.")["We_are"] == "We are"


def test_kinds_are_named_in_the_plural() -> None:
    assert filled("coffee subscription")["topics"] == "coffee subscriptions"
    assert plural_of("bakery") == "bakeries"
    assert filled("remote work")["topics"] == "remote work"


@given(query=st.text(max_size=200), keywords=st.lists(st.text(max_size=40), max_size=3))
@settings(max_examples=200, deadline=None)
def test_whatever_the_query_is_slots_are_known_and_not_empty(query: str, keywords: list[str]) -> None:
    found = slots(Brief(query=query, language="en", keywords=tuple(keywords), entities=entities(query)))
    assert found.keys() <= SLOTS
    assert all(value.strip() == value != "" for value in found.values())
    assert len(found.get("topic", "").split()) <= 5
