// What every page does: the session's token on requests, errors in words, the menu of narrow screens, copy buttons.
"use strict";

const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

// For requests of our own scripts; htmx's get the same header below.
function headers(more = {}) {
  return token ? { ...more, "x-csrf-token": token } : more;
}

function alertWith(text) {
  const place = document.getElementById("alert");
  place.textContent = text;
  place.hidden = !text;
}

document.addEventListener("htmx:configRequest", (event) => {
  if (token) event.detail.headers["x-csrf-token"] = token;
});
document.addEventListener("htmx:beforeRequest", () => alertWith(""));
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, () => alertWith(document.body.dataset.failed));
}

document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (event.detail.pathInfo.requestPath === "/studio/sign-out") sessionStorage.clear();
});

document.querySelector("button.menu")?.addEventListener("click", (event) => {
  const open = document.body.classList.toggle("open");
  event.currentTarget.setAttribute("aria-expanded", String(open));
});

// <button data-copy="text"> or <button data-copy-from="id of an element">, with data-copied: what it says then.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const text = button.dataset.copy ?? document.getElementById(button.dataset.copyFrom).textContent;
  await navigator.clipboard.writeText(text);
  const words = button.textContent;
  button.textContent = button.dataset.copied;
  setTimeout(() => (button.textContent = words), 1500);
});

window.studio = { headers, alertWith };
