// Shows sections.

import { $, h, list, name, text } from "./dom.js";
import { now, picture, state } from "./state.js";
import * as words from "./words.js";

const STAGES = { run: "running", paused: "paused", drain: "draining", detach: "detaching", none: "no run" };
const PARTS = [["done", "done"], ["in_flight", "in flight"], ["held", "held"], ["failed", "failed"], ["pending", "waiting"]];

export const actions = { open: () => {}, retry: () => {}, release: () => {}, go: () => {} };

const VIEWS = { jobs, stand, counts, money: figures, pace: figures, models, flight, queue, failures, held, fresh, trouble };

export function show(changed) {
  const views = new Set(Object.keys(changed).map((section) => VIEWS[section]).filter(Boolean));
  if ("stand" in changed || "counts" in changed) views.add(figures);
  if ("stand" in changed) [failures, held].forEach((view) => views.add(view));
  if ("counts" in changed || "models" in changed) [flight, queue].forEach((view) => views.add(view));
  // The first message holds only what is known at once.
  for (const view of views) if (state.sections.counts || view === jobs) view(state.sections);
}

// Brings up to date what time alone changes.
export function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    text(element, words.duration(now() - Number(element.dataset.since)));
  }
}

function jobs({ jobs }) {
  const items = jobs.map((job) => ({ id: job.key, ...job }));
  const make = (job) => h("li", {}, h("button", { type: "button", onclick: () => actions.go(job.id) }));
  list($("jobs"), items, make, (element, job) => {
    const button = element.firstElementChild;
    const part = job.total ? ` ${Math.floor((100 * job.done) / job.total)}%` : "";
    button.replaceChildren(name(job.name), h("span", { class: "muted" }, `${part}${job.running ? " running" : ""}`));
    button.title = job.manifest;
    button.setAttribute("aria-current", String(job.id === state.job));
  });
  const own = jobs.find((job) => job.key === state.job);
  if (own) {
    text($("name"), own.name);
    document.title = `${own.name} – batchup`;
  }
}

function stand({ stand }) {
  text($("stage"), STAGES[stand.stage]);
  $("stage").dataset.stage = stand.stage;
  const isOff = stand.stage === "none";
  text($("why"), isOff || stand.why === stand.stage ? "" : stand.why);
  text($("pause"), stand.stage === "paused" ? "Resume" : "Pause");
  for (const button of document.querySelectorAll("#top .tools button")) {
    button.setAttribute("aria-disabled", String(isOff));
    if (isOff) button.setAttribute("aria-describedby", "tools-why");
    else button.removeAttribute("aria-describedby");
  }
  text($("tools-why"), isOff ? stand.why : "");
  $("tools-why").hidden = !isOff;
}

function counts({ counts }) {
  const percent = counts.total ? Math.floor((100 * counts.done) / counts.total) : 0;
  const bar = $("bar");
  bar.setAttribute("aria-valuenow", String(percent));
  bar.setAttribute("aria-valuetext", `${counts.done} of ${counts.total} done, ${counts.failed} failed`);
  fill(bar, counts);
  const items = PARTS.filter(([key]) => key === "done" || counts[key]).map(([key, word]) => ({ id: key, key, word }));
  list($("legend"), items, ({ key }) => h("li", {}, h("span", { class: `dot ${key}` }), h("span")), (element, { key, word }) => {
    const of = key === "done" ? ` of ${words.number(counts.total)} (${percent}%)` : "";
    text(element.lastElementChild, `${words.number(counts[key])}${of} ${word}`);
  });
}

function fill(bar, numbers) {
  if (!bar.children.length) bar.append(...PARTS.map(([key]) => h("span", { class: key })));
  PARTS.forEach(([key], index) => {
    bar.children[index].style.flexGrow = String(numbers[key] ?? 0);
  });
}

function figures({ stand, counts, money, pace }) {
  if (!stand || !counts || !money || !pace) return;
  const spends = Number(money.charged) || Number(money.reserved) || Number(money.estimated) || money.budget !== null;
  const isOn = stand.stage !== "none";
  const rows = [
    ["Rate", isOn ? words.rate(pace.per_s) : ""],
    ["Left", isOn && pace.left_s !== null ? `about ${words.duration(pace.left_s)}` : ""],
    ["Running for", isOn && stand.began_at ? { since: stand.began_at } : ""],
    ["Last run began", !isOn && stand.began_at ? words.moment(stand.began_at) : ""],
    ["At a time", isOn ? atATime(stand) : ""],
    ["Rate limit", isOn ? stand.rate || "none" : ""],
    ["Told to wait", stand.refused ? `${words.number(stand.refused)} times` : ""],
    ["Charged", spends ? words.usd(money.charged) : ""],
    ["Reserved", spends ? words.usd(money.reserved) : ""],
    ["Estimated in all", spends ? words.usd(money.estimated) : ""],
    ["Budget", spends || isOn ? (money.budget === null ? "none" : words.usd(money.budget)) : ""],
    ["Left out", counts.skipped ? `${words.number(counts.skipped)} inputs` : ""],
    ["Orphaned", counts.orphaned ? `${words.number(counts.orphaned)} tasks` : ""],
  ];
  const items = rows.filter(([, value]) => value).map(([id, value]) => ({ id, value }));
  list($("figures"), items, ({ id }) => h("div", {}, h("dt", {}, id), h("dd")), (element, { value }) => {
    const place = element.lastElementChild;
    if (value.since) place.dataset.since = value.since;
    else text(place, value);
  });
  tick();
}

function atATime(stand) {
  const takes = stand.allowed < stand.concurrency ? `, the account takes ${stand.allowed}` : "";
  return `${stand.concurrency}${takes}`;
}

function opener(item) {
  return h("button", { type: "button", class: "item", onclick: () => actions.open(item) }, name(item.input));
}

// One model needs no telling at every task.
const hasModels = () => (state.sections.models?.length ?? 0) > 1;

function flight({ flight, counts }) {
  const make = (item) =>
    h("li", {}, opener(item), h("span", { class: "time" }, h("progress", { max: 1, "aria-label": `Part of ${item.input} that is done` }), " ", h("span", { "data-since": item.at })), h("span", { class: "model" }));
  list($("flight"), flight, make, (element, item) => {
    const words = [hasModels() ? item.model : "", item.message].filter(Boolean).join(" · ");
    text(element.querySelector(".model"), words);
    element.querySelector(".model").hidden = !words;
    const progress = element.querySelector("progress");
    progress.value = item.part ?? 0;
    progress.hidden = !item.part;
    element.querySelector("[data-since]").dataset.since = item.at ?? now();
  });
  count("flight", counts?.in_flight);
  const more = (counts?.in_flight ?? 0) - flight.length;
  text($("flight-more"), more > 0 ? `and ${words.number(more)} more` : "");
  tick();
}

function count(section, size) {
  text($(`${section}-count`), size ? words.number(size) : "");
  const none = $(`${section}-none`);
  if (none) none.hidden = Boolean(size);
}

function queue({ queue, counts }) {
  const make = (item) => h("li", {}, opener(item), hasModels() ? h("span", { class: "model" }, item.model) : "");
  list($("queue"), queue, make);
  count("queue", counts?.pending);
  const more = (counts?.pending ?? 0) - queue.length;
  text($("queue-more"), more > 0 ? `and ${words.number(more)} more` : "");
}

function failures({ failures, counts }) {
  const make = (item) =>
    h("li", {}, opener(item), h("button", { type: "button", onclick: () => actions.retry(item) }, "Retry"),
      h("p", { class: "message" }, h("strong", {}, item.kind), " ", name(item.message)),
      h("p", { class: "muted wide" }, `${words.moment(item.at)} · ${item.model}`));
  list($("failures"), failures.map(fixed), make, able);
  $("failures-section").hidden = !failures.length;
  count("failures", counts?.failed);
}

function held({ held, counts }) {
  const make = (item) =>
    h("li", {}, opener(item), h("button", { type: "button", onclick: () => actions.release(item) }, item.price ? `Release for ${words.usd(item.price)}…` : "Release…"),
      h("p", { class: "message" }, name(item.message)),
      h("p", { class: "muted wide" }, `${words.moment(item.at)} · ${item.model}`));
  list($("held"), held.map((item) => fixed({ ...item, isHeld: true })), make, able);
  $("held-section").hidden = !held.length;
  count("held", counts?.held);
}

function able(element) {
  const isOff = state.sections.stand?.stage === "none";
  element.querySelector("button:not(.item)").setAttribute("aria-disabled", String(isOff));
}

// The elements of these do not change: what is new of a task is another.
const fixed = (item) => ({ ...item, task: item.task ?? item.id, id: `${item.id} ${item.at}` });

function fresh({ fresh }) {
  const make = (item) => {
    const pair = h("span", { class: "pair" }, side("before"), side("after"));
    const facts = [item.size, item.seconds ? words.duration(item.seconds) : "", hasModels() ? item.model : ""].filter(Boolean).join(" · ");
    return h("li", {}, h("button", { type: "button", class: "item", onclick: () => actions.open({ ...item, id: item.task, done: true }) },
      pair, h("span", { class: "caption" }, name(item.input), h("span", { class: "muted" }, ` ${facts}`))));
  };
  list($("fresh"), fresh.map(fixed), make, (element, item) => {
    for (const which of ["before", "after"]) reveal(element.querySelector(`.${which}`), item, which);
  });
  $("fresh-none").hidden = Boolean(fresh.length);
}

const side = (which) => h("span", { class: which }, h("i", {}, "…"), h("b", {}, which));

// Shows a thumbnail as soon as there is one: who waits for an answer keeps a connection, and a browser has few.
function reveal(element, item, which) {
  const stage = item[which];
  text(element.firstElementChild, { none: "no picture", ready: "" }[stage] ?? "…");
  if (stage !== "ready" || element.querySelector("img")) return;
  const source = picture("thumbnail", item.task, which === "before" ? "input" : "output");
  const image = h("img", { src: source, alt: "", onerror: () => image.remove() });
  element.insertBefore(image, element.lastElementChild);
}

function models({ models }) {
  const items = models.map((model) => ({ id: model.model, ...model }));
  list($("models"), items, (model) => h("li", {}, name(model.model), h("span", { class: "time" }), h("div", { class: "bar small", "aria-hidden": "true" })), (element, model) => {
    const failed = model.failed ? `, ${words.number(model.failed)} failed` : "";
    text(element.querySelector(".time"), `${words.number(model.done)} of ${words.number(model.total)} done${failed}`);
    const pending = model.total - model.done - model.failed - model.held - model.in_flight;
    fill(element.lastElementChild, { ...model, pending });
  });
  $("models-section").hidden = !models.length;
}

function trouble({ trouble }) {
  text($("trouble"), trouble);
  $("trouble").hidden = !trouble;
}
