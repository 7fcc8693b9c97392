"use strict";
// Labelling by keyboard. An answer is kept in the browser until the server has acknowledged it, and the next products
// are loaded ahead, so that a key press shows the next one at once.
const page = document.getElementById("labelling");
const stage = document.getElementById("stage");
const csrf = document.body.dataset.csrf;
const filters = page.dataset.filters;
const KEPT = `shelfmark-pending:${document.body.dataset.annotator}`;
const AHEAD = 2;
const UNSAVED = 50; // answers that wait to be saved, until which products are loaded
const ahead = []; // cards loaded ahead: {item, form}
const twinned = new Set(); // products that were answered as somebody's near-duplicate
const passed = new Set(); // their items, where they had been loaded before that
let pending = JSON.parse(localStorage.getItem(KEPT) || "[]");
let shownAt = performance.now();
let fetching = false, sending = false, exhausted = false, wait = 1000;
let waiting = false; // whether the page says that it waits for a product
let undoing = null; // the request of an undo that the server has not acknowledged

const current = () => stage.querySelector("form.card");
const show = (id, text) => { const e = document.getElementById(id); e.textContent = text; if (id === "trouble") e.hidden = !text; };
const cause = (error) => error.status ? error.message.replace(/\.$/, "") : "the server does not answer";
const random = () => Array.from(crypto.getRandomValues(new Uint8Array(18)), (b) => b.toString(16).padStart(2, "0")).join("");
const items = () => [current(), ...ahead.map((card) => card.form)].filter(Boolean).map((form) => form.dataset.item);

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const form = template.content.querySelector("form.card");
  for (const image of form.querySelectorAll("img")) { image.loading = "eager"; new Image().src = image.src; }
  return form;
}

function put(form) {
  stage.replaceChildren(...(form ? [form] : []));
  // Nothing here may only mean that the next one is on its way.
  document.getElementById("done").hidden = Boolean(form) || !exhausted;
  document.getElementById("finder").hidden = !form || form.dataset.kind !== "exclusive";
  shownAt = performance.now();
  closeHits();
  const heading = form ? form.querySelector("h1") : document.querySelector("#done h1");
  if (form || exhausted) heading.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

async function call(url, options = {}) {
  const response = await fetch(url, { ...options, headers: { accept: "application/json", "x-csrf-token": csrf, ...options.headers } });
  if (!response.ok) {
    const text = await response.text();
    let why = text;
    try { why = JSON.parse(text).error ?? text; } catch { /* plain text */ }
    const error = new Error(why);
    error.status = response.status;
    error.after = 1000 * Math.min(Number(response.headers.get("retry-after")) || 0, 60);
    throw error;
  }
  return response.status === 204 ? null : response.json();
}

async function load() {
  if (fetching || exhausted || ahead.length >= AHEAD || pending.length >= UNSAVED) return;
  fetching = true;
  try {
    const held = [...new Set([...items(), ...pending.map((one) => one.item), ...passed])].join(",");
    const found = await call(`/label/next?${filters}&held=${held}`);
    if (found.item === null) exhausted = true;
    else if (!items().includes(String(found.item))) {
      const form = parse(found.html);
      if (twinned.has(form.dataset.product)) passed.add(String(found.item));
      else ahead.push({ item: String(found.item), form });
    }
    if (waiting) { waiting = false; show("trouble", ""); }
    if (!current() && (ahead.length || exhausted)) put(ahead.length ? ahead.shift().form : null);
  } catch (error) {
    if (!current() && !pending.length) { show("trouble", `No product can be shown yet: ${cause(error)}. Trying again.`); waiting = true; }
    setTimeout(load, Math.max(3000, error.after ?? 0));
  } finally { fetching = false; }
  if (!exhausted && ahead.length < AHEAD && (current() || passed.size)) load();
}

function progress(found) {
  if (!found) return;
  const words = { done: found.done, total: found.total, today: found.today, pace: found.pace ?? "–", agreement: found.agreement ?? "–" };
  for (const [name, value] of Object.entries(words)) page.querySelector(`[data-${name}]`).textContent = value;
  const meter = page.querySelector(".where progress");
  meter.max = found.total || 1; meter.value = found.done;
}

function keep() { localStorage.setItem(KEPT, JSON.stringify(pending)); }

async function send() {
  if (sending) return;
  sending = true;
  while (pending.length) {
    try {
      const found = await call("/label", { method: "POST", body: new URLSearchParams(pending[0].fields) });
      pending.shift(); keep(); load(); progress(found.progress); show("trouble", ""); wait = 1000;
      if (found.left.length) show("said", `${found.left.length} near-duplicates are with somebody else and were left out.`);
    } catch (error) {
      const count = `${pending.length} ${pending.length === 1 ? "answer is" : "answers are"} not saved yet`;
      if (error.status === 400) {
        show("trouble", `The server refused an answer: ${error.message}`); pending.shift(); keep(); continue;
      }
      if (error.status === 401 || error.status === 403) {
        show("trouble", `${count}, but kept in this browser: load the page again${error.status === 401 ? " and sign in" : ""}.`); break;
      }
      show("trouble", `${count}, but kept in this browser: ${cause(error)}. Trying again.`);
      await new Promise((done) => setTimeout(done, Math.max(wait, error.after ?? 0)));
      wait = Math.min(wait * 2, 10000);
    }
  }
  sending = false;
  exhausted = false;
  load();
}

function answer(form, name, value, said) {
  const fields = [...new FormData(form)].filter(([key]) => key !== "csrf" && !(key === name && name === "category"));
  fields.push([name, value], ["seconds", ((performance.now() - shownAt) / 1000).toFixed(1)]);
  const twins = new Set(fields.filter(([key]) => key === "also").map(([, product]) => product)), also = twins.size;
  // What was loaded ahead may be one of them.
  for (const product of twins) twinned.add(product);
  for (let i = ahead.length - 1; i >= 0; i--) if (twins.has(ahead[i].form.dataset.product)) ahead.splice(i, 1);
  pending.push({ item: form.dataset.item, fields }); keep();
  undoing = null;
  show("said", `${said}${also ? ` (and ${also} near-duplicates)` : ""}: ${form.dataset.title}`);
  put(ahead.length ? ahead.shift().form : null);
  send(); load();
}

async function undo() {
  while (pending.length && sending) await new Promise((done) => setTimeout(done, 30));
  if (pending.length) return;
  twinned.clear(); passed.clear();
  const body = new URLSearchParams(new FormData(document.getElementById("undo")));
  // Pressed again after a failure it is the same undo, which the server may have done already.
  undoing ??= random();
  body.set("request", undoing);
  try {
    const found = await call("/undo", { method: "POST", body });
    undoing = null; show("trouble", "");
    progress(found.progress);
    if (!found.html) { show("said", found.product ? `Undone: ${found.product}` : "Nothing to undo."); return; }
    if (current()) ahead.unshift({ item: current().dataset.item, form: current() });
    const place = ahead.findIndex((card) => card.item === String(found.item));
    if (place >= 0) ahead.splice(place, 1);
    put(parse(found.html));
    show("said", `Undone; asked again: ${current().dataset.title}`);
  } catch (error) { show("trouble", `Not undone: ${cause(error)}. Press U again in a few seconds.`); }
}

stage.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = event.submitter;
  if (button) answer(event.target, button.name, button.value, button.dataset.said);
});
document.getElementById("undo").addEventListener("submit", (event) => { event.preventDefault(); undo(); });

// Search: a combobox over the taxonomy.
const search = document.getElementById("search"), hits = document.getElementById("hits");
let chosen = -1, asking = null;
search.setAttribute("role", "combobox");
for (const [name, value] of [["aria-autocomplete", "list"], ["aria-controls", "hits"], ["aria-expanded", "false"]]) search.setAttribute(name, value);
function closeHits() { hits.hidden = true; hits.replaceChildren(); chosen = -1; search.value = ""; search.setAttribute("aria-expanded", "false"); search.removeAttribute("aria-activedescendant"); }
function choose(index) {
  chosen = (index + hits.children.length) % hits.children.length;
  [...hits.children].forEach((hit, i) => hit.setAttribute("aria-selected", String(i === chosen)));
  search.setAttribute("aria-activedescendant", hits.children[chosen].id);
  hits.children[chosen].scrollIntoView({ block: "nearest" });
}
function take(index) {
  const hit = hits.children[index], form = current();
  if (hit && form) answer(form, "category", hit.dataset.id, hit.textContent);
}
search.addEventListener("input", async () => {
  asking?.abort(); asking = new AbortController();
  if (!search.value.trim()) { hits.hidden = true; hits.replaceChildren(); return; }
  const objective = current()?.dataset.objective ?? "";
  try {
    const found = await call(`/search?${new URLSearchParams({ q: search.value, objective })}`, { signal: asking.signal });
    hits.replaceChildren(...found.map((one, i) => {
      const hit = document.createElement("li");
      hit.id = `hit-${i}`; hit.role = "option"; hit.dataset.id = one.id; hit.textContent = one.path;
      hit.addEventListener("mousedown", (event) => { event.preventDefault(); take(i); });
      return hit;
    }));
    hits.hidden = !found.length;
    search.setAttribute("aria-expanded", String(found.length > 0));
    if (found.length) choose(0);
  } catch { /* another key came, or the server is away */ }
});
search.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (hits.children.length) choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    event.preventDefault();
  } else if (event.key === "Enter") { event.preventDefault(); take(chosen); }
  else if (event.key === "Escape") { closeHits(); current()?.querySelector("h1").focus(); }
});
search.addEventListener("blur", () => { hits.hidden = true; });
search.addEventListener("focus", () => { hits.hidden = !hits.children.length; });

const help = document.getElementById("help"), helpButton = document.getElementById("help-button");
helpButton.hidden = false;
helpButton.addEventListener("click", () => help.showModal());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const typing = event.target.closest("input:not([type=checkbox]), textarea");
  if (typing) { if (event.key === "Escape" && typing !== search) typing.blur(); return; }
  const key = event.key.toLowerCase(), form = current();
  if (event.repeat && key !== "tab") return;
  const button = [...page.querySelectorAll("button[data-key]")].find((one) => one.dataset.key === key && !one.disabled);
  if (key === "/" && form && !document.getElementById("finder").hidden) { search.focus(); event.preventDefault(); }
  else if (key === "?") { help.showModal(); event.preventDefault(); }
  else if (key === "d" && form) {
    const boxes = [...form.querySelectorAll("[name=also]")].filter((box) => !("labelled" in box.dataset));
    const all = boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = !all;
    show("said", all ? "Near-duplicates left out" : `${boxes.length} near-duplicates will get the same label`);
  } else if (key === "m" && form) {
    const note = form.querySelector(".note"); note.open = true; note.querySelector("textarea").focus(); event.preventDefault();
  } else if (button) { event.preventDefault(); button.form.requestSubmit(button); }
});

// Whoever still looks at a product keeps it.
setInterval(() => {
  if (items().length && !document.hidden) call("/hold", { method: "POST", body: new URLSearchParams({ held: items().join(",") }) }).catch(() => {});
}, 240000);
window.addEventListener("beforeunload", (event) => { if (pending.length) event.preventDefault(); });

// Loaded again while answers wait to be saved, the server asks about one of those products once more.
for (const { fields } of pending) for (const [name, value] of fields) if (name === "also") twinned.add(value);
if (current() && (pending.some((one) => one.item === current().dataset.item) || twinned.has(current().dataset.product))) put(null);
if (current()) { document.getElementById("finder").hidden = current().dataset.kind !== "exclusive"; current().querySelector("h1").focus(); }
send();
