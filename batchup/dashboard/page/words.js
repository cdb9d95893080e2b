// Numbers with their units, as people read them.

const NUMBER = new Intl.NumberFormat("en");

export const number = (value) => NUMBER.format(value);

export function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  let rest = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (parts.length || count) parts.push(count ? `${count}${unit}` : "");
    if (parts.length === 2) break;
  }
  return parts.join("") || "0s";
}

export function rate(perSecond) {
  if (!perSecond) return "–";
  const units = [["s", 1], ["min", 60], ["h", 3600]];
  const [unit, size] = units.find(([, one]) => perSecond * one >= 1) ?? units[2];
  const value = perSecond * size;
  return `${value >= 10 ? number(Math.round(value)) : value.toFixed(1)}/${unit}`;
}

export function usd(amount) {
  const value = Number(amount);
  if (value === 0 || Math.abs(value) >= 0.1) return `${value.toFixed(2)} USD`;
  return `${value.toPrecision(2)} USD`;
}

export function moment(seconds) {
  const at = new Date(seconds * 1000);
  const today = at.toDateString() === new Date().toDateString();
  const time = at.toLocaleTimeString("en-GB");
  return today ? time : `${at.toLocaleDateString("en-CA")} ${time}`;
}
