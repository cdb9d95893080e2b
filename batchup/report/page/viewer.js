// The viewer: before and after at full size. The gallery sends it a "show" event with the tasks and a number.
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const dialog = element("viewer");
const stage = element("stage");
const money = (usd) => `${usd >= 0.1 ? usd.toFixed(2) : usd.toPrecision(2)} USD`;
const MOST_PANES = 12;

let list = []; // numbers of items, as the gallery shows them
let place = 0;
let sides = []; // all there is to see of one input: before, and each result
let mode = "slide";
let films = [];
let following = 0;

const make = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
};

const nameOf = (item) => {
  const [model, params] = data.models[item.m];
  return params ? `${model}, ${params}` : model;
};

function facts(item) {
  const parts = [];
  if (item.w) parts.push(`${item.w} × ${item.h}`);
  if (item.z) parts.push(item.z >= 1e6 ? `${(item.z / 1e6).toFixed(1)} MB` : `${Math.ceil(item.z / 1e3)} KB`);
  if (item.d) parts.push(`${item.d >= 10 ? Math.round(item.d) : item.d.toFixed(1)} s`);
  if (item.c) parts.push(money(item.c));
  if (item.u) parts.push("not the size that was expected");
  return parts.join(" · ");
}

function sidesOf(number) {
  const item = data.items[number];
  const related = data.items.filter((one) => one.g === item.g && (one.a || one === item));
  const after = related
    .filter((one) => one.a)
    .map((one) => ({ item: one, name: nameOf(one), about: facts(one), address: one.a, preview: one.ap }));
  const before = { item, name: "Before", about: "", address: item.b, preview: item.bp };
  return [before, ...after];
}

function show(number) {
  place = number;
  const item = data.items[list[place]];
  sides = sidesOf(list[place]);
  element("viewer-name").textContent = item.n;
  element("viewer-facts").textContent = [data.folders[item.f], data.states[item.s], nameOf(item), facts(item)].filter(Boolean).join(" · ");
  element("viewer-place").textContent = `${(place + 1).toLocaleString("en")} of ${list.length.toLocaleString("en")}`;
  // Not disabled: that would take the focus away from under a person's finger.
  element("previous").setAttribute("aria-disabled", place === 0);
  element("next").setAttribute("aria-disabled", place === list.length - 1);
  const message = element("viewer-message");
  message.hidden = !(item.e || item.x);
  message.textContent = [item.e, item.x].filter(Boolean).join(": ");
  offer(item);
  stage.fit();
  draw();
}

// Fill the choices that there are for this input.
function offer(item) {
  const own = Math.max(0, sides.findIndex((side) => side.address && side.address === item.a));
  for (const [id, chosen] of [["left", 0], ["right", own]]) {
    element(id).replaceChildren(...sides.map((side, number) => new Option(side.item.w && number ? `${side.name} (${side.item.w} × ${side.item.h})` : side.name, number, false, number === chosen)));
  }
  element("viewer-many").textContent = sides.length - 1 || "";
  const allowed = { slide: !item.v && own > 0, pair: own > 0, all: sides.length > 2 };
  for (const radio of dialog.querySelectorAll("[name=mode]")) radio.disabled = !allowed[radio.value];
  const shown = allowed[mode] ? mode : allowed.slide ? "slide" : "pair";
  for (const radio of dialog.querySelectorAll("[name=mode]")) radio.checked = radio.value === shown;
  element("modes").hidden = own === 0;
  dialog.querySelector(".film").hidden = !item.v;
}

const currentMode = () => dialog.querySelector("[name=mode]:checked").value;

function draw() {
  films = [];
  const focused = stage.contains(document.activeElement);
  const shown = currentMode();
  const [left, right] = ["left", "right"].map((id) => sides[element(id).value]);
  for (const label of dialog.querySelectorAll(".sides")) label.hidden = shown === "all" || sides.length < 3;
  stage.className = shown;
  if (sides.length === 1) stage.replaceChildren(pane(sides[0]));
  else if (shown === "slide") stage.replaceChildren(slider(left, right));
  else if (shown === "pair") stage.replaceChildren(pane(left), pane(right));
  else stage.replaceChildren(...sides.slice(0, MOST_PANES).map(pane));
  stage.fit();
  if (focused) begin();
  element("play").textContent = "Play";
  element("seek").value = 0;
}

// Put the focus where the keys do most.
function begin() {
  (stage.querySelector("img-comparison-slider") ?? element("close")).focus();
}

// The picture or video itself, or why there is none.
function view(side) {
  const frame = make("div", "clip");
  const loading = make("p", "note", side.address ? "loading" : "There is no file of it on this machine.");
  frame.append(loading);
  if (!side.address) return frame;
  const film = side.item.v && !side.preview;
  const shown = make(film ? "video" : "img", "zooms");
  shown.addEventListener(film ? "loadeddata" : "load", () => loading.remove());
  shown.addEventListener("error", () => {
    shown.remove();
    loading.textContent = "The file is not where it was, or this browser cannot show it.";
    frame.append(make("p", "note path", decodeURIComponent(side.address)));
  });
  if (film) {
    Object.assign(shown, { muted: true, playsInline: true, preload: "auto", loop: false });
    shown.setAttribute("aria-label", side.name);
    films.push(shown);
    joined(shown);
  } else {
    shown.alt = side.name;
    shown.draggable = false;
  }
  shown.src = side.address;
  frame.append(shown);
  return frame;
}

function pane(side) {
  const figure = make("figure", "pane");
  const caption = make("figcaption", "", side.name);
  const about = [side.about, side.preview ? "a preview: no browser shows this format" : ""].filter(Boolean).join(" · ");
  if (about) caption.append(make("span", "", about));
  figure.append(view(side), caption);
  return figure;
}

function slider(left, right) {
  const made = make("img-comparison-slider", "pane");
  const [first, second] = [view(left), view(right)];
  first.slot = "first";
  second.slot = "second";
  const tags = [left, right].map((side, number) => make("span", `tag ${number ? "right" : "left"}`, side.name));
  first.append(tags[0]);
  second.append(tags[1]);
  for (const [name, value] of Object.entries({ role: "slider", "aria-label": `${left.name} at the left, ${right.name} at the right`, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 50 })) {
    made.setAttribute(name, value);
  }
  made.addEventListener("slide", () => made.setAttribute("aria-valuenow", Math.round(made.value)));
  const grip = make("span", "grip", "‹›");
  grip.slot = "handle";
  made.append(first, second, grip);
  return made;
}

function joined(film) {
  join(film, () => (films.includes(film) ? films.filter((one) => one !== film) : []));
  film.addEventListener("play", follow);
  film.addEventListener("seeking", () => film === films[0] && tellMoment());
}

function tellMoment() {
  const [leader] = films;
  element("seek").value = leader.duration ? leader.currentTime / leader.duration : 0;
}

// While they play, the first one leads.
function follow() {
  if (following || !films.length) return;
  following = requestAnimationFrame(() => {
    following = 0;
    const [leader, ...others] = films;
    if (!leader?.isConnected) return;
    tellMoment();
    const isOver = leader.paused || leader.ended;
    element("play").textContent = isOver ? "Play" : "Pause";
    if (isOver) return others.forEach((other) => other.pause());
    others.filter((other) => !other.seeking).forEach((other) => lead(other, leader));
    follow();
  });
}

function play() {
  const [leader] = films;
  if (!leader) return;
  if (leader.paused || leader.ended) start(leader);
  else leader.pause();
}

function actual() {
  const shown = [...stage.querySelectorAll(".zooms")].at(-1);
  const [width, height] = [shown?.naturalWidth || shown?.videoWidth, shown?.naturalHeight || shown?.videoHeight];
  if (!width) return;
  const fitted = Math.min(shown.clientWidth / width, shown.clientHeight / height);
  stage.zoomTo(1 / (fitted * devicePixelRatio));
}

function step(by) {
  const next = place + by;
  if (next >= 0 && next < list.length) show(next);
}

const KEYS = {
  n: () => step(1),
  PageDown: () => step(1),
  p: () => step(-1),
  PageUp: () => step(-1),
  "+": () => stage.zoomTo(stage.scale * 1.5),
  "=": () => stage.zoomTo(stage.scale * 1.5),
  "-": () => stage.zoomTo(stage.scale / 1.5),
  0: () => stage.fit(),
  1: actual,
};
const PAN = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };

dialog.addEventListener(
  "keydown",
  (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.shiftKey && PAN[event.key]) stage.pan(...PAN[event.key]);
    else if (KEYS[event.key] && !event.target.matches("select, #seek")) KEYS[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  },
  true, // before the slider, which takes every arrow for its own
);
dialog.addEventListener("close", () => {
  stage.replaceChildren(); // ends what loads and plays
  dialog.dispatchEvent(new CustomEvent("left", { detail: list[place] }));
});
dialog.addEventListener("show", (event) => {
  list = event.detail.list;
  dialog.showModal();
  show(event.detail.place);
  begin();
});
for (const radio of dialog.querySelectorAll("[name=mode]")) radio.addEventListener("change", () => ((mode = radio.value), draw()));
for (const id of ["left", "right"]) element(id).addEventListener("change", draw);
const press = { previous: KEYS.p, next: KEYS.n, close: () => dialog.close(), in: KEYS["+"], out: KEYS["-"], fit: KEYS[0], actual, play };
for (const [id, act] of Object.entries(press)) element(id).addEventListener("click", act);
element("seek").addEventListener("input", () => {
  if (films.length) films[0].currentTime = element("seek").value * (films[0].duration || 0);
});
stage.addEventListener("zoom", () => (element("scale").textContent = `${Math.round(stage.scale * 100)} %`));
