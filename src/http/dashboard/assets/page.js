// Makes the page live. The service renders; this script hears that something has changed, and puts the new parts in the
// place of the old ones without disturbing what stays.

import { keepActions, passEnded, showSwitch } from "./actions.js";
import { drawCharts, keepCharts } from "./charts.js";
import { clock, keepTrue, learnClock, localise } from "./times.js";

const find = (id) => document.getElementById(id);
// Between two looks of the same kind at least.
const PACE = 1_000;
const LISTS_EVERY = 60_000;
// Also while all is quiet: a connection may be dead without a word.
const PULSE = 15_000;
const TIMEOUT = 10_000;
// Where no events come, it is asked.
const ASKED_EVERY = 2_000;
const LISTENED_AGAIN_AFTER = 10_000;

// Makes one node what another is, and touches only what differs, so that focus and selection stay.
function become(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const differs = old.nodeName !== fresh.nodeName || old.childNodes.length !== fresh.childNodes.length;
  if (differs && !old.id) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // What the viewer has opened stays open.
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (differs) {
    old.replaceChildren(...fresh.childNodes);
    return;
  }
  const others = [...fresh.childNodes];
  [...old.childNodes].forEach((child, at) => become(child, others[at]));
}

let state = find("verdict").dataset.title;

// Says aloud what matters, once: a new state, not every new number.
function announce() {
  const verdict = find("verdict");
  const { tone, title, running } = verdict.dataset;
  document.title = title;
  document.querySelector("link[rel=icon]").href = `/assets/${tone}.svg`;
  showSwitch(running === "true");
  if (title === state) return;
  state = title;
  find("spoken").textContent =
    `${verdict.querySelector(".state").textContent}: ${verdict.querySelector(".reason").textContent}`;
  setTimeout(drawCharts, PACE);
}

let lostSince = null;

function showLost(isLost) {
  if (isLost === (lostSince !== null)) return;
  lostSince = isLost ? new Date() : null;
  document.documentElement.classList.toggle("stale", isLost);
  if (isLost) find("freshness").textContent = "Not live.";
  find("lost").textContent = isLost
    ? `The service has not answered since ${clock(lostSince)}. What stands below is as of then; this page tries again by itself.`
    : "";
}

function place(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  localise(parsed);
  for (const fresh of parsed.querySelectorAll("[data-part]")) {
    const old = find(fresh.id);
    if (old) become(old, document.importNode(fresh, true));
  }
}

async function load(part) {
  try {
    const response = await fetch(`/parts/${part}.html${location.search}`, { signal: AbortSignal.timeout(TIMEOUT) });
    // The session is over: what comes in the place of the page is the way to another one.
    if (response.status === 401) return location.reload();
    if (!response.ok) return;
    learnClock(response);
    place(await response.text());
    showLost(false);
  } catch {
    showLost(true);
    return;
  }
  if (part === "now") announce();
  find("freshness").textContent = `Live, as of ${clock(new Date())}.`;
}

// Looks that are asked for while one is under way become one more after it.
function paced(work) {
  let running = null;
  let again = false;
  return () => {
    if (running) {
      again = true;
      return running;
    }
    running = (async () => {
      do {
        again = false;
        await work();
        if (again) await new Promise((resolve) => setTimeout(resolve, PACE));
      } while (again);
      running = null;
    })();
    return running;
  };
}

const looks = {
  now: paced(() => load("now")),
  meters: paced(() => load("meters")),
  quarantine: paced(() => load("quarantine")),
  settings: paced(() => load("settings")),
};
const refresh = (part) => looks[part]();

// Rows are not moved under the hands of whoever decides on one of them.
function refreshUnlessInUse(part) {
  const inUse = find("confirm").open || find(part).querySelector(".buttons")?.closest("table")?.contains(document.activeElement);
  if (!inUse) refresh(part);
}

let quarantined = null;

function hearStatus({ data }) {
  refresh("now");
  const { queue } = JSON.parse(data);
  if (quarantined !== null && quarantined !== queue.quarantined) refreshUnlessInUse("quarantine");
  quarantined = queue.quarantined;
}

function hearPassEnd({ data }) {
  passEnded(JSON.parse(data));
  refresh("now");
  refreshUnlessInUse("quarantine");
}

// A browser tries again by itself where the connection breaks, but not where it is refused.
function listen() {
  const events = new EventSource("/api/v1/events?status=true");
  events.addEventListener("status", hearStatus);
  events.addEventListener("pass-finished", hearPassEnd);
  for (const name of ["state-change", "pass-started", "actor-restarted", "missed"]) {
    events.addEventListener(name, () => refresh("now"));
  }
  let asking = null;
  events.addEventListener("open", () => {
    clearInterval(asking);
    asking = null;
    refresh("now");
  });
  events.addEventListener("error", () => {
    asking ??= setInterval(() => refresh("now"), ASKED_EVERY);
    refresh("now");
    if (events.readyState !== EventSource.CLOSED) return;
    setTimeout(() => {
      clearInterval(asking);
      listen();
    }, LISTENED_AGAIN_AFTER);
  });
}

function turnPage(event) {
  const link = event.target.closest("a[data-view]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.replaceState(null, "", link.href);
  const section = link.closest("section");
  refresh(section.id);
  section.querySelector("h2").focus();
}

document.documentElement.classList.add("live");
localise(document);
keepTrue();
keepActions(refresh);
document.addEventListener("click", turnPage);
keepCharts();
listen();
setInterval(() => refresh("now"), PULSE);
setInterval(() => {
  refreshUnlessInUse("meters");
  refreshUnlessInUse("quarantine");
  refresh("settings");
}, LISTS_EVERY);
