"""Who has no key sees nothing, and a session ends where it should."""

from tests.browser.conftest import Open
from tests.serve.conftest import Cluster, key_of


def test_a_stranger_is_led_to_the_sign_in_page_and_a_wrong_key_opens_nothing(open_page: Open) -> None:
    page = open_page("/studio/experiments", signed_in=False, refusals=(401,))
    assert page.url.endswith("/sign-in?next=/studio/experiments")
    page.fill("#key", "not-a-key-of-anybody")
    with page.expect_response(lambda response: response.request.method == "POST") as answered:
        page.press("#key", "Enter")
    assert answered.value.status == 401
    assert "belongs to no account" in page.inner_text("[role=alert]")
    assert page.context.cookies() == []


def test_the_key_stands_in_no_address_page_or_script_and_the_cookie_is_out_of_their_reach(
    open_page: Open, studio: Cluster, account: str
) -> None:
    key = key_of(account)
    page = open_page("/")
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("murmuration_session", True, "Lax")
    assert key not in page.content()
    assert key not in page.url
    assert key not in cookie["value"]
    assert page.evaluate("document.cookie") == ""
    assert key not in studio.log.read_text()


def test_a_request_of_the_session_without_its_token_changes_nothing(open_page: Open) -> None:
    page = open_page("/", refusals=(403,))
    statuses = page.evaluate(
        """async () => {
            const put = (more) => fetch("/account", {method: "PUT", body: "{}",
                headers: {"content-type": "application/json", ...more}}).then((answer) => answer.status);
            return [await put({}), await put({"x-csrf-token": "0"}), await put(window.studio.headers())];
        }"""
    )
    assert statuses == [403, 403, 200]
