// Proposes the browser's own time zone to an account that is still on UTC.
"use strict";

(() => {
  const form = document.getElementById("browser-zone");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!form || !zone?.includes("/") || zone === "Etc/UTC") return;
  form.querySelector("strong").textContent = zone.replaceAll("_", " ");
  form.elements.time_zone.value = zone;
  form.hidden = false;
})();
