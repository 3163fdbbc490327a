// The place to write: the length while somebody types, drafts from buttons, and candidates as the writer sends them.
"use strict";

(() => {
  const form = document.getElementById("write");
  const draft = document.getElementById("draft");
  const limit = Number(form.dataset.limit);
  const length = document.getElementById("length");
  let writing = null;

  function count() {
    const used = studioCount.weightedLength(studioCount.normalized(draft.value));
    const left = limit - used;
    document.getElementById("used").value = used;
    document.getElementById("count").textContent = used;
    const words = left < 0 ? form.dataset.over : form.dataset.left;
    document.getElementById("left").textContent = words.replace("{n}", Math.abs(left));
    length.classList.toggle("over", left < 0);
  }

  // What was typed and chosen outlives the page, in this tab and for this account; signing out forgets it (studio.js).
  const kept = `murmuration.draft.${form.dataset.account}`;
  const choices = [...form.querySelectorAll("select, input[type=checkbox]")];

  function keep() {
    const chosen = choices.map((each) => (each.type === "checkbox" ? each.checked : each.value));
    sessionStorage.setItem(kept, JSON.stringify({ draft: draft.value, chosen }));
  }

  function restore() {
    const { draft: text, chosen = [] } = JSON.parse(sessionStorage.getItem(kept) ?? "{}");
    if (!draft.value && text) draft.value = text;
    choices.forEach((each, place) => {
      if (each.type === "checkbox") each.checked = chosen[place] === true;
      else if ([...each.options].some((option) => option.value === chosen[place])) each.value = chosen[place];
    });
  }

  // What stands below speaks of an earlier text: its edits would bring that text back.
  function outdate() {
    const stale = document.getElementById("stale");
    if (!stale) return;
    stale.hidden = false;
    for (const button of document.querySelectorAll(".advice [data-draft]")) button.disabled = true;
  }

  function write(text) {
    draft.value = text;
    draft.dispatchEvent(new Event("input", { bubbles: true }));
    draft.focus();
    draft.scrollIntoView({ block: "center" });
  }

  form.addEventListener("change", keep);
  draft.addEventListener("input", () => {
    count();
    keep();
    outdate();
    document.getElementById("draft-error").replaceChildren();
    draft.removeAttribute("aria-invalid");
  });
  draft.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-draft]");
    if (button) write(button.dataset.draft);
  });
  // A plan usually begins tomorrow: an empty day would only be in the way.
  document.addEventListener("toggle", (event) => {
    const at = event.target.querySelector?.("form[data-plan] input[name=at]");
    if (!at || at.value || !event.target.open) return;
    const tomorrow = new Date(Date.now() + 24 * 3600 * 1000);
    at.value = `${tomorrow.toLocaleDateString("sv")}T10:00`;
  }, true);

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id === "draft-error") refused();
    if (event.detail.target?.id !== "result") return;
    writing?.abort();
    // The button that was pressed is disabled meanwhile, and so loses the focus.
    if (document.activeElement === document.body) {
      const heading = document.querySelector("#candidates h2");
      heading?.setAttribute("tabindex", "-1");
      heading?.focus();
    }
    const asked = document.getElementById("asked");
    if (asked) stream(asked);
  });

  // An answer to an earlier text is none to this one.
  function refused() {
    draft.setAttribute("aria-invalid", "true");
    writing?.abort();
    const result = document.getElementById("result");
    if (result.querySelector(".answer")) result.replaceChildren();
  }

  async function stream(asked) {
    writing = new AbortController();
    const { signal } = writing;
    try {
      const answer = await fetch("/studio/write/stream", {
        method: "POST",
        body: new URLSearchParams(new FormData(asked)),
        headers: window.studio.headers(),
        signal,
      });
      if (!answer.ok) throw new Error(answer.status);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let pending = "", done = false;
      for (;;) {
        const { value, done: ended } = await reader.read();
        if (ended || signal.aborted) break;
        const events = (pending + value).split("\n\n");
        pending = events.pop();
        for (const event of events) done = show(event) || done;
      }
      if (!done && !signal.aborted) unanswered();
    } catch (error) {
      if (!signal.aborted) unanswered();
    }
  }

  // Whether the event was the last one.
  function show(event) {
    const lines = event.split("\n");
    const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
    const html = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
    if (name === "candidate") htmx.swap("#streamed", html, { swapStyle: "beforeend" });
    if (name === "done") {
      const ticked = picks().filter((each) => each.checked).map(textOf);
      htmx.swap("#candidates", html, { swapStyle: "innerHTML" });
      for (const each of picks()) each.checked = ticked.includes(textOf(each));
    }
    if (name === "problem") htmx.swap("#writing", html, { swapStyle: "innerHTML" });
    return name === "done" || name === "problem";
  }

  function picks() {
    return [...document.querySelectorAll("#candidates input[name=pick]")];
  }

  // A pick is name, template and text, a line each; the name has a place in it, which changes.
  function textOf(pick) {
    return pick.value.split("\n").slice(2).join("\n");
  }

  function unanswered() {
    const place = document.getElementById("writing");
    if (place) place.textContent = document.getElementById("result").dataset.unanswered;
  }

  restore();
  count();
  fetch(form.dataset.counting)
    .then((answer) => answer.json())
    .then((told) => {
      studioCount.learn(told);
      count();
    });
})();
