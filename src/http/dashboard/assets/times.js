// Times as the viewer reads them: in the viewer's zone, and as ages that stay true while the page is open.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// How far the service's clock is ahead of the viewer's, in milliseconds: ages are those that the service would tell.
let ahead = 0;

const twoDigits = (number) => String(number).padStart(2, "0");
const serviceNow = () => Date.now() + ahead;

// A span in its two largest units, as the service writes it.
export function lasting(seconds) {
  const pair = (large, name, small, smaller) => {
    const rest = Math.floor((seconds % large) / small);
    return `${Math.floor(seconds / large)} ${name}${rest ? ` ${rest} ${smaller}` : ""}`;
  };
  if (seconds >= DAY) return pair(DAY, "d", HOUR, "h");
  if (seconds >= HOUR) return pair(HOUR, "h", MINUTE, "min");
  if (seconds >= MINUTE) return `${Math.floor(seconds / MINUTE)} min`;
  return `${Math.floor(seconds)} s`;
}

function day(time) {
  return `${time.getFullYear()}-${twoDigits(time.getMonth() + 1)}-${twoDigits(time.getDate())}`;
}

function timeOfDay(time) {
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits).join(":");
}

// The day is left out where it is today's.
export function clock(time) {
  const isToday = day(time) === day(new Date(serviceNow()));
  return isToday ? timeOfDay(time) : `${day(time)} ${timeOfDay(time)}`;
}

const forms = {
  clock: (time) => clock(time),
  ago: (_, age) => `${lasting(Math.max(age, 0))} ago`,
  since: (_, age) => lasting(Math.max(age, 0)),
  until: (_, age) => (age < -0.5 ? `in ${lasting(Math.ceil(-age))}` : "now"),
};

function write(element) {
  const time = new Date(element.dateTime);
  const age = (serviceNow() - time.getTime()) / 1000;
  const text = forms[element.dataset.form]?.(time, age);
  if (text !== undefined && element.textContent !== text) element.textContent = text;
}

// Writes all times below an element for the viewer.
export function localise(root) {
  for (const element of root.querySelectorAll("time[data-form]")) {
    const time = new Date(element.dateTime);
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    element.title = `${day(time)} ${timeOfDay(time)} (${zone})`;
    write(element);
  }
}

// Learns the service's clock from an answer of it, which is exact to a second.
export function learnClock(response) {
  const told = Date.parse(response.headers.get("date"));
  if (!Number.isNaN(told) && Math.abs(told - Date.now()) > 2_000) ahead = told - Date.now();
}

// Lets ages grow and countdowns run.
export function keepTrue() {
  setInterval(() => document.querySelectorAll("time[data-form]").forEach(write), 1_000);
}
