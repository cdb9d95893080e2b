// The gallery: cards are made as they come near, so that ten thousand cost no more than a screenful.
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const cards = element("cards");
const viewer = element("viewer");
const ROWS = 10; // of a chunk
const MOST_PRINTED = 300;

let shown = []; // numbers of the items that pass the filters
let columns = 0;
let current = 0; // place of the card that Tab reaches

const several = data.models.length > 1;
const texts = data.items.map((item) => {
  const [model, params] = data.models[item.m];
  return `${data.folders[item.f]}/${item.n} ${model} ${params} ${item.e} ${item.x}`.toLowerCase();
});

function options(select, all, names) {
  select.replaceChildren(new Option(all, ""), ...names.map(([value, name]) => new Option(name, value)));
}

// A folder stands for all below it.
const folders = new Set();
for (const folder of data.folders) {
  const parts = folder.split("/");
  parts.forEach((_, end) => folders.add(parts.slice(0, end + 1).join("/")));
}
options(element("folder"), "all", [...folders].filter(Boolean).sort().map((name) => [name, name]));
options(element("model"), "all", data.models.map(([model, params], number) => [number, params ? `${model}, ${params}` : model]));

function filter() {
  const words = element("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const folder = element("folder").value;
  const model = element("model").value;
  const states = [...document.querySelectorAll("[name=state]:checked")].map((box) => Number(box.value));
  const inside = data.folders.map((name) => !folder || name === folder || name.startsWith(`${folder}/`));
  shown = [];
  data.items.forEach((item, number) => {
    if (!inside[item.f] || (model && item.m !== Number(model))) return;
    if (states.length && !states.includes(item.s)) return;
    if (words.every((word) => texts[number].includes(word))) shown.push(number);
  });
  order(element("order").value);
  const [some, all] = [shown.length, data.items.length].map((count) => count.toLocaleString("en"));
  element("told").textContent = some === all ? `${all} ${all === "1" ? "task" : "tasks"}` : `${some} of ${all} tasks`;
  current = 0;
  arrange();
}

function order(key) {
  if (key === "n") shown.sort((a, b) => (texts[a] < texts[b] ? -1 : 1));
  else if (key) shown.sort((a, b) => (data.items[b][key] ?? 0) - (data.items[a][key] ?? 0));
}

// Lay the chunks out, empty: each takes the room that its cards will.
function arrange() {
  columns = Math.max(1, getComputedStyle(cards).getPropertyValue("grid-template-columns").split(" ").length);
  watcher.disconnect();
  const size = columns * ROWS;
  const chunks = [];
  for (let first = 0; first < shown.length; first += size) {
    const chunk = document.createElement("ul");
    const count = Math.min(size, shown.length - first);
    chunk.className = "chunk";
    chunk.dataset.first = first;
    chunk.setAttribute("aria-label", `Tasks ${first + 1} to ${first + count}`);
    chunk.style.setProperty("--rows", Math.ceil(count / columns));
    chunks.push(chunk);
  }
  cards.replaceChildren(...chunks);
  chunks.forEach((chunk) => watcher.observe(chunk));
}

const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) fill(target);
  },
  { rootMargin: "1500px" },
);

function fill(chunk) {
  if (chunk.childElementCount) return;
  const first = Number(chunk.dataset.first);
  chunk.append(...shown.slice(first, first + columns * ROWS).map((number, place) => card(number, first + place)));
  watcher.unobserve(chunk);
}

const span = (className, text) => {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
};

function card(number, place) {
  const item = data.items[number];
  const button = document.createElement("button");
  button.type = "button";
  button.className = "card";
  button.dataset.place = place;
  button.tabIndex = place === current ? 0 : -1;
  button.append(frame(item), name(item), below(item));
  const entry = document.createElement("li");
  entry.append(button);
  return entry;
}

function frame(item) {
  const made = span("frame", "");
  if (item.t) {
    const image = new Image();
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = "";
    image.src = data.thumbs?.[item.t] ?? `${data.beside}${item.t}.webp`;
    made.append(image);
  } else made.append(span("none", "no picture"));
  if (item.v) made.append(span("video", "video"));
  return made;
}

function name(item) {
  const made = span("name", "");
  const text = document.createElement("bdi");
  text.textContent = item.n;
  made.append(text);
  made.title = item.n;
  return made;
}

function below(item) {
  const [model, params] = data.models[item.m];
  const state = data.states[item.s];
  const made = span("below", "");
  made.append(span(`state ${state.replace(" ", "-")}`, state));
  const text = state === "failed" ? item.e : several ? [model, params].filter(Boolean).join(", ") : params;
  if (text) made.append(span("how", text));
  return made;
}

// Give the card at `place` the focus, wherever it is.
function focus(place) {
  if (place < 0 || place >= shown.length) return;
  const chunk = cards.children[Math.floor(place / (columns * ROWS))];
  fill(chunk);
  cards.querySelector(".card[tabindex='0']")?.setAttribute("tabindex", "-1");
  const button = chunk.querySelector(`[data-place="${place}"]`);
  current = place;
  button.tabIndex = 0;
  button.focus();
  button.scrollIntoView({ block: "nearest" });
}

const MOVES = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: () => -columns, ArrowDown: () => columns };
cards.addEventListener("keydown", (event) => {
  const place = Number(event.target.dataset?.place);
  if (Number.isNaN(place) || event.altKey || event.ctrlKey || event.metaKey) return;
  if (MOVES[event.key]) focus(place + MOVES[event.key]());
  else if (event.key === "Home") focus(0);
  else if (event.key === "End") focus(shown.length - 1);
  else return;
  event.preventDefault();
});
cards.addEventListener("click", (event) => {
  const button = event.target.closest(".card");
  if (!button) return;
  current = Number(button.dataset.place);
  viewer.dispatchEvent(new CustomEvent("show", { detail: { list: shown, place: current } }));
});
viewer.addEventListener("left", (event) => focus(shown.indexOf(event.detail)));
element("filters").addEventListener("input", filter);
element("filters").addEventListener("submit", (event) => event.preventDefault());
for (const button of document.querySelectorAll("[data-find]")) {
  button.addEventListener("click", () => {
    element("filters").reset();
    element("find").value = button.dataset.find;
    filter();
    element("gallery").scrollIntoView();
    element("find").focus({ preventScroll: true });
  });
}
addEventListener("beforeprint", () => {
  for (const chunk of cards.children) if (Number(chunk.dataset.first) < MOST_PRINTED) fill(chunk);
  for (const image of cards.querySelectorAll("img")) image.loading = "eager";
});
new ResizeObserver(() => {
  const before = columns;
  columns = Math.max(1, getComputedStyle(cards).getPropertyValue("grid-template-columns").split(" ").length);
  if (before && before !== columns) arrange();
}).observe(cards);
filter();
