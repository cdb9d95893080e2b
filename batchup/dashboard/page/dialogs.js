// What opens above the page: a task with its story, and questions.

import { $, h, name } from "./dom.js";
import { join, lead } from "./films.js";
import { OVER, command, picture, state, story } from "./state.js";
import { moment, usd } from "./words.js";

const APART_S = 0.1; // of films that play: their moments are told four times a second

export function say(text) {
  $("line").textContent = text;
}

export function prepare() {
  for (const dialog of document.querySelectorAll("dialog")) {
    for (const button of dialog.querySelectorAll(".close")) button.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
  $("task").addEventListener("close", () => $("compare").replaceChildren());
}

// Asks for something, and has *act* do it; the dialog stays open as long as that returns what was wrong.
export function ask({ title, text, label = "", value = "", yes }, act) {
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-label").textContent = label;
  $("ask-field").hidden = !label;
  $("ask-value").value = value;
  $("ask-yes").textContent = yes;
  $("ask-error").textContent = "";
  const dialog = $("ask");
  dialog.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    const wrong = await act($("ask-value").value.trim());
    if (wrong) $("ask-error").textContent = wrong;
    else dialog.close();
  };
  dialog.showModal();
  if (label) $("ask-value").select();
  else $("ask-yes").focus();
}

export const refused = () => (state.sections.stand?.stage === "none" ? state.sections.stand.why : "");

async function again(item, wish, done) {
  const wrong = await command({ ...wish, task: item.task ?? item.id, price: item.price ?? "" });
  if (!wrong) {
    say(done);
    $("task").close();
  }
  return wrong;
}

export async function retry(item) {
  const why = refused();
  if (why) return say(why);
  const act = () => again(item, { do: "retry" }, `${item.input} is tried again.`);
  if (item.price === "0") {
    const wrong = await act();
    return wrong && say(wrong);
  }
  const price = item.price ? `costs about ${usd(item.price)}` : "costs what nobody knows beforehand";
  const text = `If its result is not there any more it is submitted once more, which ${price}.`;
  ask({ title: `Retry ${item.input}?`, text, yes: "Retry" }, act);
}

export function release(item) {
  const why = refused();
  if (why) return say(why);
  const price = item.price ? `costs about ${usd(item.price)}` : "costs what nobody knows beforehand";
  const risk = item.risk ? ` The earlier submission may already have cost ${usd(item.risk)}.` : "";
  ask(
    { title: `Release ${item.input}?`, text: `It is submitted again, which ${price}.${risk}`, yes: item.price ? `Submit again for ${usd(item.price)}` : "Submit again" },
    () => again(item, { do: "release" }, `${item.input} is submitted again.`),
  );
}

export async function open(item) {
  const task = item.task ?? item.id;
  $("task-title").replaceChildren(name(item.input));
  $("task-advice").textContent = item.advice ?? "";
  $("compare").replaceChildren(...(item.done ? compared(item, task) : []));
  const tools = [];
  if (item.kind) tools.push(h("button", { type: "button", onclick: () => retry(item) }, "Retry"));
  else if (item.isHeld) tools.push(h("button", { type: "button", onclick: () => release(item) }, "Release…"));
  $("task-tools").replaceChildren(...tools);
  $("story").replaceChildren(h("li", {}, "…"));
  $("task").dataset.task = task;
  if (!$("task").open) $("task").showModal();
  const moments = await story(task);
  if ($("task").dataset.task !== task) return;
  const rows = moments.map((one) => h("li", {}, h("time", {}, moment(one.at)), name(one.text)));
  $("story").replaceChildren(...(rows.length ? rows : [h("li", {}, state.isOver ? OVER : "The ledger tells nothing of it.")]));
}

function compared(item, task) {
  const before = picture("whole", task, "input");
  const after = picture("whole", task, "output");
  if (item.media === "video") return [films(before, after)];
  const image = (source, word) => {
    const element = h("img", { src: source, alt: `${item.input}, ${word}`, class: word, onerror: () => element.remove() });
    return element;
  };
  const stage = h("div", { class: "stage" }, image(after, "after"), image(before, "before"));
  const slider = h("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "How much is shown of before" });
  const move = (at) => stage.style.setProperty("--at", `${at}%`);
  slider.addEventListener("input", () => move(slider.value));
  stage.addEventListener("pointermove", (event) => {
    const box = stage.getBoundingClientRect();
    slider.value = String((100 * (event.clientX - box.left)) / box.width);
    move(slider.value);
  });
  return [stage, h("div", { class: "slider" }, h("span", {}, "before"), slider, h("span", {}, "after"))];
}

// What is done to one of two videos is done to the other; the first one leads while they play.
function films(before, after) {
  const pair = [before, after].map((source) => h("video", { src: source, controls: true, muted: true, preload: "metadata" }));
  const [leader, follower] = pair;
  pair.forEach((film) => join(film, () => pair.filter((one) => one !== film)));
  leader.addEventListener("timeupdate", () => leader.paused || follower.seeking || lead(follower, leader, APART_S));
  return h("div", { class: "films" }, ...pair.map((film, number) => h("div", {}, ["before", "after"][number], film)));
}
