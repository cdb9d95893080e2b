// The page: connects what is shown, what is asked, and the keys.

import { $, h } from "./dom.js";
import { ask, open, prepare, refused, release, retry, say } from "./dialogs.js";
import { OVER, command, state, watch } from "./state.js";
import { actions, show, tick } from "./view.js";

const KEYS = [
  ["p", "pause or resume", () => press("pause")],
  ["d", "drain: begin nothing more, and end", () => press("drain")],
  ["c", "change how many run at a time", () => press("concurrency")],
  ["r", "change the rate", () => press("rate")],
  ["b", "change the budget", () => press("budget")],
  ["j", "next task", () => step(1)],
  ["k", "task before", () => step(-1)],
  ["Enter", "open the task: its pictures and its story"],
  ["t", "retry the failed task that has the focus, or the last one", () => nearest("failures", retry)],
  ["l", "release the held task that has the focus, or the last one", () => nearest("held", release)],
  ["1 … 9", "switch to another job"],
  ["?", "show or hide these keys", () => help()],
  ["Esc", "close what is open"],
];

const press = (id) => $(id).click();

function step(by) {
  const items = [...document.querySelectorAll("main button.item")].filter((item) => item.offsetParent);
  if (!items.length) return;
  const at = items.indexOf(document.activeElement);
  const to = at < 0 ? (by > 0 ? 0 : items.length - 1) : (at + by + items.length) % items.length;
  items[to].focus();
}

function nearest(section, act) {
  const items = state.sections[section] ?? [];
  const element = document.activeElement?.closest(`#${section} > li`);
  const item = items.find((one) => element?.dataset.id.startsWith(one.id)) ?? items[0];
  if (item) act(item);
  else say(section === "held" ? "Nothing is held." : "Nothing has failed.");
}

function help() {
  if ($("help").open) $("help").close();
  else if (!document.querySelector("dialog[open]")) $("help").showModal();
}

function pressed(event) {
  // A dialog that has just closed may have the focus still.
  const isTyping = event.target.matches(":not(dialog:not([open]) *):is(input:not([type=checkbox], [type=range]))");
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping || !$("keys-on").checked) return;
  const found = KEYS.find(([key, , act]) => key === event.key && act);
  const isOpen = document.querySelector("dialog[open]");
  if (isOpen && event.key !== "?") return;
  if (found) {
    event.preventDefault();
    found[2]();
  } else if (/^[1-9]$/.test(event.key)) {
    const job = state.sections.jobs?.[Number(event.key) - 1];
    if (job) go(job.key);
  }
}

function go(job) {
  if (job === state.job || state.isOver) return;
  history.replaceState(null, "", `#${job}`);
  watch(job);
}

async function asked(wish, done) {
  const wrong = await command(wish);
  if (!wrong) say(done);
  return wrong;
}

// A button that needs a run says why it does nothing.
function button(id, act) {
  $(id).addEventListener("click", async () => {
    const why = refused();
    const wrong = why || (await act(state.sections.stand));
    if (wrong) say(wrong);
  });
}

button("pause", (stand) =>
  stand.stage === "paused"
    ? asked({ do: "resume" }, "The run goes on.")
    : asked({ do: "pause" }, "Nothing more is begun; what is in flight goes on."));
button("drain", () => {
  const text = "Nothing more is begun, what is in flight comes to its end, and then the run ends. Run again to go on.";
  ask({ title: "Drain the run?", text, yes: "Drain" }, () => asked({ do: "drain" }, "The run ends when what is in flight has."));
});
button("concurrency", (stand) => {
  const text = "What is in flight goes on; the number holds for what is begun from now on.";
  ask({ title: "How many at a time?", text, label: "Tasks", value: String(stand.concurrency), yes: "Change" }, (value) =>
    asked({ do: "concurrency", value }, `${value} at a time.`));
});
button("rate", (stand) => {
  const text = "At most so many submissions: 10/s, 120/min, 500/h. Empty for no limit.";
  ask({ title: "How fast?", text, label: "Rate", value: stand.rate, yes: "Change" }, (value) =>
    asked({ do: "rate", value }, value ? `At most ${value}.` : "No rate limit."));
});
button("budget", () => {
  const text = "What the whole job may cost, with all that was spent so far: 5 USD. Empty for no limit.";
  const { budget } = state.sections.money;
  ask({ title: "How much may it cost?", text, label: "Budget", value: budget === null ? "" : `${budget} USD`, yes: "Change" }, (value) =>
    asked({ do: "budget", value }, value ? `At most ${value}.` : "No budget."));
});

prepare();
Object.assign(actions, { open, retry, release, go });
$("keys").append(...KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]));
$("keys-on").checked = localStorage.getItem("keys") !== "off";
$("keys-on").addEventListener("change", () => localStorage.setItem("keys", $("keys-on").checked ? "on" : "off"));
$("help-button").addEventListener("click", help);
document.addEventListener("keydown", pressed);
state.heard = (changed) => {
  if ($("line").dataset.lost) {
    delete $("line").dataset.lost;
    say("");
  }
  show(changed);
  if (changed.over) say(OVER);
};
state.lost = (isOver) => {
  $("line").dataset.lost = "yes";
  say(isOver ? "The dashboard has another address by now: take the one that batchup printed last." : "The dashboard does not answer; trying again. One that a run started ends with the run.");
};
setInterval(tick, 1000);
watch(location.hash.slice(1));
