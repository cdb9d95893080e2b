// What is known of the job that is shown, and the way to the server.

const BASE = location.pathname;

export const state = { job: "", away: 0, isOver: false, sections: {}, heard: () => {}, lost: () => {} };

export const OVER = "The dashboard has ended; one that a run started ends with the run.";

let source;

// Seconds since 1970 by the server's clock.
export const now = () => Date.now() / 1000 + state.away;

export function watch(job) {
  source?.close();
  state.sections = {};
  source = new EventSource(`${BASE}events?job=${encodeURIComponent(job)}`);
  source.onmessage = (message) => {
    const { now: there, own, ...changed } = JSON.parse(message.data);
    state.away = there - Date.now() / 1000;
    state.job = job || own || state.job;
    if (changed.over) {
      state.isOver = true;
      source.close();
    }
    Object.assign(state.sections, changed);
    state.heard(changed);
  };
  source.onerror = () => state.lost(source.readyState === EventSource.CLOSED);
}

// Asks the run for something; returns what was wrong, or nothing.
export async function command(wish) {
  if (state.isOver) return OVER;
  try {
    const answer = await fetch(`${BASE}do`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ job: state.job, ...wish }),
    });
    return answer.ok ? (await answer.json()).error : await answer.text();
  } catch {
    return "The dashboard does not answer.";
  }
}

export async function story(task) {
  if (state.isOver) return [];
  try {
    const answer = await fetch(`${BASE}story/${state.job}/${task}`);
    return answer.ok ? await answer.json() : [];
  } catch {
    return [];
  }
}

export const picture = (size, task, side) => `${BASE}${size}/${state.job}/${task}/${side}`;
