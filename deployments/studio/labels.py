"""The codes of the API in words: what a reading, a rule, a source or a part of a score is called on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipelines.policy import load_rules

Words = Mapping[str, str]


class Known(dict[str, str]):
    """Words by code; a code that nobody put into words is shown as it is."""

    def __missing__(self, code: str) -> str:
        return code


def labels(_: Callable[[str], str]) -> dict[str, Words]:
    """The words of each kind of code in the language of `_`; an unknown code stands for itself."""
    return {kind: Known(words) for kind, words in _kinds(_).items()}


def rule_messages(_: Callable[[str], str], language: str) -> Words:
    """What each rule means in the reader's language, whatever language the text is in; a code without one is absent."""
    of_x = {name: rule.message["es" if language == "es" else "en"] for name, rule in load_rules().items()}
    return of_x | {
        "too_long": _("Longer than X lets the account post."),
        "beyond_fold": _("X hides this behind “Show more”: say the point before."),
        "forbidden_character": _("X refuses this character."),
        "many_hashtags": _("One or two hashtags are easier to read."),
        "many_mentions": _("Many mentions look like spam."),
        "many_links": _("Several links compete for the same click."),
        "many_emoji": _("Many emoji are hard to read, also for screen readers."),
        "leading_mention": _("A post that starts with a handle is a reply."),
        "shouting": _("Words in capitals read as shouting."),
        "repeated_punctuation": _("One mark is enough."),
        "repeated_word": _("The same word twice in a row."),
        "private_email": _("Everybody will see this address."),
        "private_phone": _("Everybody will see this number."),
        "private_card": _("The number of a card: never post it."),
        "private_account": _("The number of a bank account: sure that everybody shall see it?"),
        "private_id": _("A number that identifies a person: never post it."),
    }


def _kinds(_: Callable[[str], str]) -> dict[str, dict[str, str]]:
    return {
        "language": {"en": _("English"), "es": _("Spanish"), "und": _("language not told")},
        "sentiment": {"negative": _("negative"), "neutral": _("neutral"), "positive": _("positive")},
        "component": {"transformer": _("encoder"), "vader": "VADER", "textblob": "TextBlob"},
        "emotion": {
            "joy": _("joy"),
            "anger": _("anger"),
            "sadness": _("sadness"),
            "fear": _("fear"),
            "surprise": _("surprise"),
            "optimism": _("optimism"),
            "disgust": _("disgust"),
            "neutral": _("neutral"),
        },
        "intent": {
            "announce": _("announces"),
            "promote": _("promotes"),
            "ask": _("asks"),
            "inform": _("informs"),
            "opinion": _("gives an opinion"),
            "story": _("tells a story"),
            "help": _("helps"),
            "greeting": _("greets"),
            "other": _("something else"),
        },
        "sensitivity": {
            "none": _("nothing sensitive"),
            "sober": _("sober news"),
            "hate": _("hate"),
            "threat": _("threat"),
            "fraud": _("fraud"),
        },
        "risk": {"irony": _("irony"), "offensive": _("offence")},
        "entity": {
            "PERSON": _("person"),
            "ORG": _("organisation"),
            "LOC": _("place"),
            "NAME": _("name"),
            "URL": _("link"),
            "MENTION": _("mention"),
            "HASHTAG": _("hashtag"),
            "CASHTAG": _("cashtag"),
            "EMOJI": _("emoji"),
            "MONEY": _("money"),
            "PERCENT": _("percentage"),
            "DATE": _("date"),
            "TIME": _("time"),
            "QUANTITY": _("quantity"),
        },
        "severity": {"info": _("note"), "warning": _("warning"), "error": _("problem")},
        "source": {
            "edit": _("Your text, put right"),
            "edit_lines": _("Your text, in lines"),
            "edit_thread": _("Your text, as a thread"),
            "template": _("Your sentences, laid out"),
            "lm": _("Language model"),
        },
        "evidence": {
            "published": _("published research"),
            "own_data": _("your own posts"),
            "convention": _("good practice"),
        },
        "contribution": {
            "words": _("choice of words"),
            "length": _("length"),
            "hashtags": _("hashtags"),
            "mentions": _("mentions"),
            "links": _("links"),
            "questions": _("questions"),
            "exclamations": _("exclamation marks"),
            "numbers": _("numbers"),
            "emoji": _("emoji"),
            "lines": _("line breaks"),
            "quotes": _("quotation marks"),
            "colon": _("colons"),
            "shouting": _("capitals"),
            "pleas": _("asking for reactions"),
            "substance": _("whether it says something"),
            "hour": _("hour of the day"),
            "weekday": _("day of the week"),
            "recent": _("your recent posts"),
            "similar": _("your similar posts"),
            "habits": _("what works for you"),
            "calibration": _("your earlier outcomes"),
            "clipped": _("limits of the scale"),
        },
        "objective": {
            "awareness": _("be known"),
            "engagement": _("get reactions"),
            "clicks": _("get clicks"),
            "sales": _("sell"),
            "signups": _("get sign-ups"),
            "community": _("bring people together"),
        },
        "tone": {
            "neutral": _("neutral"),
            "friendly": _("friendly"),
            "bold": _("bold"),
            "witty": _("witty"),
            "formal": _("formal"),
        },
        "degraded": {
            "query_analyzer": _("The analysis of the text is missing: that part did not answer."),
            "sentiment": _("Sentiment, emotion and intent are missing: that part did not answer."),
            "sentiment.transformer": _("Sentiment comes from word lists alone: the encoder did not answer."),
            "generator": _("Nothing was written: that part did not answer."),
            "generator.lm": _("The language model did not answer in time: its candidates are missing."),
            "viral_predictor": _("The score is missing: that part did not answer."),
            "store": _("This answer could not be stored."),
            "cache": _("The cache did not answer; nothing is lost."),
        },
        "supported": {
            "sentiment": _("sentiment"),
            "emotion": _("emotion"),
            "intent": _("intent"),
            "sensitivity": _("sensitivity"),
            "irony": _("irony"),
            "offensive": _("offence"),
            "names": _("names"),
            "keywords": _("keywords"),
        },
    }
