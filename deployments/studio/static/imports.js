// Sends files one after the other, shows how far each is, and has the server say in words what became of it.
"use strict";

const waiting = [];
let busy = false;

function enqueue(form, files) {
  const captured = form.querySelector("[type=datetime-local]")?.value;
  for (const file of files) {
    const row = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
    row.querySelector(".name").textContent = file.name;
    document.getElementById("uploads").append(row);
    const task = { form, file, row, captured };
    say(task, form.dataset.waiting);
    row.querySelector(".cancel").addEventListener("click", () => cancel(task));
    if (file.size > Number(form.dataset.limit)) end(task, form.dataset.large, true);
    else waiting.push(task);
  }
  next();
}

function say(task, words, bad = false) {
  const status = task.row.querySelector(".status");
  status.textContent = words;
  status.classList.toggle("error", bad);
}

function end(task, words, bad = false) {
  task.row.querySelector("progress").remove();
  task.row.querySelector(".cancel").remove();
  say(task, words, bad);
}

function cancel(task) {
  const place = waiting.indexOf(task);
  if (place >= 0) {
    waiting.splice(place, 1);
    end(task, task.form.dataset.cancelled);
  } else task.request?.abort();
}

function next() {
  if (busy || !waiting.length) return;
  busy = true;
  const task = waiting.shift();
  const words = task.form.dataset;
  const request = (task.request = new XMLHttpRequest());
  const progress = task.row.querySelector("progress");
  const done = () => {
    busy = false;
    next();
  };
  request.open("POST", words.url);
  for (const [name, value] of Object.entries(window.studio.headers())) request.setRequestHeader(name, value);
  request.upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) return;
    const part = Math.floor((100 * event.loaded) / event.total);
    progress.value = part;
    say(task, `${words.sending} ${part} %`);
  });
  request.upload.addEventListener("load", () => {
    // From here on the server reads, and what it finishes is stored: there is nothing left to cancel.
    progress.removeAttribute("value");
    task.row.querySelector(".cancel").hidden = true;
    say(task, words.reading);
  });
  request.addEventListener("load", async () => {
    const well = request.status < 400;
    end(task, well ? words.done : words.refused, !well);
    await window.htmx.ajax("POST", "/studio/imports/report", {
      target: task.row.querySelector(".report"),
      swap: "innerHTML",
      values: { answer: request.responseText },
    });
    if (well) document.body.dispatchEvent(new CustomEvent("imported"));
    done();
  });
  request.addEventListener("error", () => (end(task, words.lost, true), done()));
  request.addEventListener("abort", () => (end(task, words.cancelled), done()));
  say(task, `${words.sending} 0 %`);
  if (words.raw) {
    request.setRequestHeader("content-type", words.raw);
    request.send(task.file);
    return;
  }
  const body = new FormData();
  if (task.captured) body.append("captured_at", new Date(task.captured).toISOString());
  body.append("file", task.file);
  request.send(body);
}

for (const form of document.querySelectorAll("#upload, #ga4")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = form.querySelector("[type=file]");
    if (input.files.length) enqueue(form, [...input.files]);
    else input.focus();
    form.reset();
  });
}

const drop = document.querySelector(".drop");
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  enqueue(drop.closest("form"), [...event.dataTransfer.files]);
});
