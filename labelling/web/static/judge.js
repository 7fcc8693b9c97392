"use strict";
// Verdicts by keyboard; without this script the buttons do the same.
const form = document.getElementById("trio");
let given = false;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || given) return;
  const key = event.key.toLowerCase();
  const one = [...document.querySelectorAll("[data-key]")].find((found) => found.dataset.key.split(" ").includes(key));
  if (!one) return;
  event.preventDefault();
  if (one.form) one.form.requestSubmit(one);
  else location.assign(one.href);
});
// A second press while the next page loads is no answer to it.
form?.addEventListener("submit", (event) => { if (given) event.preventDefault(); given = true; });
window.addEventListener("pageshow", () => { given = false; });
