// Videos in step: what is done to one of them, also by the browser's own menu or a keyboard's media keys, is done to all.
const APART_S = 0.04; // those that are further apart are brought together
const led = new WeakMap(); // film -> the moment to which another has led it

// A pause in between, or a file that is not there, refuses the promise, and that is no fault.
export const start = (film) => film.paused && film.play().catch(() => {});

export function lead(film, leader, apart = APART_S) {
  const to = Math.min(leader.currentTime, film.duration || 0);
  if (Math.abs(film.currentTime - to) <= apart) return;
  led.set(film, to);
  film.currentTime = to;
}

export function join(film, others) {
  film.addEventListener("play", () => others().forEach(start));
  // At its end a shorter one stops alone.
  film.addEventListener("pause", () => film.ended || others().forEach((one) => one.pause()));
  film.addEventListener("ratechange", () => others().forEach((one) => (one.playbackRate = film.playbackRate)));
  film.addEventListener("seeking", () => {
    const isLed = Math.abs((led.get(film) ?? -1) - film.currentTime) < 0.001;
    if (!isLed) others().forEach((one) => lead(one, film));
  });
}
