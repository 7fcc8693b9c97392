"use strict";
// Walks among the neighbours by keyboard, and sends verdicts on two of them without leaving the page.
const asked = document.querySelector(".asked");
const csrf = document.body.dataset.csrf;
const picks = document.getElementById("picks");
const columns = [...document.querySelectorAll(".shelf")].map((shelf) => [...shelf.querySelectorAll(".walk")]).filter((some) => some.length);
const boxes = [...document.querySelectorAll("[name=pick]")];
const verdicts = document.getElementById("verdicts"), go = document.getElementById("compare-go");
const said = document.getElementById("said"), first = said?.textContent;
const random = () => Array.from(crypto.getRandomValues(new Uint8Array(18)), (b) => b.toString(16).padStart(2, "0")).join("");
let chosen = []; // boxes, in the order in which they were ticked
let request = random(), sending = false;

// The way here: what was looked at before, newest last.
const LENGTH = 10, PLACE = "shelfmark-trail";
function trail() {
  let way = [];
  try { way = JSON.parse(sessionStorage.getItem(PLACE) || "[]"); } catch { /* somebody else's */ }
  const image = asked.querySelector(".frame img")?.getAttribute("src") ?? null;
  const here = { id: asked.dataset.id, title: asked.dataset.title, image, to: location.pathname + location.search };
  const before = way.findIndex((one) => one.id === here.id);
  way = [...(before >= 0 ? way.slice(0, before) : way), here].slice(-LENGTH);
  sessionStorage.setItem(PLACE, JSON.stringify(way));
  if (way.length < 2) return;
  const nav = document.getElementById("trail");
  for (const one of way.slice(0, -1)) {
    const link = document.createElement("a");
    link.href = one.to; link.title = one.title;
    const picture = document.createElement(one.image ? "img" : "span");
    picture.className = one.image ? "thumb" : "tag";
    if (one.image) { picture.src = one.image; picture.alt = one.title; } else picture.textContent = one.title.slice(0, 20);
    link.append(picture);
    const arrow = document.createElement("span");
    arrow.textContent = "→"; arrow.ariaHidden = "true";
    nav.append(link, arrow);
  }
  const here_ = document.createElement("span");
  here_.textContent = "here";
  nav.append(here_);
  nav.hidden = false;
}

const tile = (element) => element.closest(".near-by");
const titleOf = (box) => tile(box).querySelector("b").textContent;
const idOf = (box) => tile(box).dataset.id;

function show() {
  for (const box of boxes) box.checked = chosen.includes(box);
  const two = chosen.length === 2;
  verdicts.hidden = !two;
  if (!two) { said.textContent = chosen.length ? `Compare “${titleOf(chosen[0])}” with …` : first; return; }
  said.textContent = "Which one is more like the product above?";
  chosen.forEach((box, i) => {
    const button = verdicts.querySelector(`[data-verdict=${"ab"[i]}]`), image = tile(box).querySelector("img");
    button.querySelector("span").textContent = titleOf(box);
    button.title = titleOf(box);
    const shown = button.querySelector("img");
    shown.hidden = !image;
    if (image) shown.src = image.src;
  });
}

function pick(box) {
  if (chosen.includes(box)) chosen = chosen.filter((one) => one !== box);
  else {
    // The same product by another method is no second product.
    chosen = chosen.filter((one) => idOf(one) !== idOf(box));
    chosen = [...chosen.slice(-1), box];
  }
  request = random();
  show();
}

async function vote(verdict, words) {
  if (chosen.length !== 2 || sending) return;
  sending = true;
  const [a, b] = chosen, method = (box) => box.closest(".shelf").dataset.method;
  const fields = { query: asked.dataset.id, a: idOf(a), b: idOf(b), verdict, a_method: method(a), b_method: method(b), request };
  try {
    const response = await fetch("/judge", {
      method: "POST", body: new URLSearchParams(fields), headers: { accept: "application/json", "x-csrf-token": csrf },
    });
    if (!response.ok) {
      const text = await response.text();
      let why = text;
      try { why = JSON.parse(text).error; } catch { /* plain text */ }
      said.textContent = why;
      return;
    }
    const found = await response.json();
    chosen = []; request = random(); show();
    said.textContent = `Kept: ${words}. Judged by you: ${found.judged}.`;
  } catch {
    said.textContent = "Not kept yet: the server does not answer. Try again.";
  } finally { sending = false; }
}

function move(key) {
  const at = columns.findIndex((some) => some.includes(tile(document.activeElement ?? document.body)?.querySelector(".walk")));
  if (at < 0) { columns[0]?.[0].focus(); return; }
  const row = columns[at].indexOf(tile(document.activeElement).querySelector(".walk"));
  const side = { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0, down = { ArrowUp: -1, ArrowDown: 1 }[key] ?? 0;
  const column = columns[Math.min(Math.max(at + side, 0), columns.length - 1)];
  const next = column[Math.min(Math.max(row + down, 0), column.length - 1)];
  next.focus();
  tile(next).scrollIntoView({ block: "nearest", inline: "nearest" });
}

// A product that several methods found is marked in all columns.
function mark(element) {
  const id = element && tile(element)?.dataset.id;
  for (const one of document.querySelectorAll(".near-by")) one.classList.toggle("same", Boolean(id) && one.dataset.id === id);
}

const category = document.getElementById("category"), list = document.getElementById("categories");
let asking = null;
category.addEventListener("input", async () => {
  asking?.abort(); asking = new AbortController();
  try {
    const response = await fetch(`/similar/categories?${new URLSearchParams({ q: category.value })}`, { signal: asking.signal });
    const found = await response.json();
    list.replaceChildren(...found.map((path) => { const option = document.createElement("option"); option.value = path; return option; }));
  } catch { /* another key came, or the server is away */ }
});
// One of those that were offered is meant as it stands.
category.addEventListener("change", () => { if ([...list.options].some((one) => one.value === category.value)) category.form.requestSubmit(); });

const help = document.getElementById("help"), helpButton = document.getElementById("help-button");
if (picks && helpButton) {
  go.hidden = true; helpButton.hidden = false;
  helpButton.addEventListener("click", () => help.showModal());
  picks.addEventListener("change", (event) => { if (event.target.name === "pick") { event.target.checked = !event.target.checked; pick(event.target); } });
  verdicts.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) vote(button.dataset.verdict, button.dataset.verdict.length > 1 ? button.dataset.verdict : `“${button.title}” is more alike`);
  });
  for (const name of ["mouseover", "focusin"]) picks.addEventListener(name, (event) => mark(event.target));
  picks.addEventListener("mouseleave", () => mark(document.activeElement));
  // Boxes that the browser ticked again when it came back.
  window.addEventListener("pageshow", () => { chosen = []; show(); });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (typing) { if (event.key === "Escape") typing.blur(); return; }
  const here = document.activeElement && tile(document.activeElement);
  // Up and down scroll the page until somebody is among the neighbours.
  if (event.key.startsWith("Arrow") && columns.length && (here || /Left|Right/.test(event.key))) { move(event.key); event.preventDefault(); return; }
  if (event.repeat) return;
  const key = event.key.toLowerCase();
  const button = !verdicts?.hidden && [...(verdicts?.querySelectorAll("[data-key]") ?? [])].find((one) => one.dataset.key === key);
  if (event.key === " " && here && document.activeElement.classList.contains("walk")) { pick(here.querySelector("[name=pick]")); event.preventDefault(); }
  else if (event.key === "Escape" && chosen.length) { chosen = []; show(); }
  else if (key === "/") { category.focus(); category.select(); event.preventDefault(); }
  else if (key === "?") { help.showModal(); event.preventDefault(); }
  else if (button) { button.click(); event.preventDefault(); }
});

trail();
