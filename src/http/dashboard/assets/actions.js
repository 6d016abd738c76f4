// What can be asked of the service, and what it said: each answer stays until it is closed or the next one comes.

import { lasting } from "./times.js";

const find = (id) => document.getElementById(id);
const many = (count, one, several) => `${count.toLocaleString("en")} ${count === 1 ? one : several}`;

// What each button asks for, and the answer in words.
const ACTIONS = {
  trigger: {
    path: "/api/v1/sync/trigger",
    words: ({ pass_id }) => `Pass ${pass_id} has started; its outcome comes here.`,
    then: ({ pass_id }) => (awaitedPass = pass_id),
  },
  check: {
    path: "/api/v1/connectivity/check",
    words: ({ isConnected, lastError, trouble }) =>
      isConnected
        ? trouble
          ? `The Client System answers, but ${trouble}.`
          : "The Client System answers."
        : `The Client System cannot be reached: ${lastError ?? "no connection came about"}.`,
    fails: ({ isConnected, trouble }) => !isConnected || trouble,
  },
  heartbeat: { path: "/api/v1/heartbeat", words: () => "The Client System took the heartbeat." },
  download: {
    path: "/api/v1/config/download",
    words: ({ configured, deactivated }) =>
      `The configuration is downloaded: ${many(configured, "meter", "meters")}` +
      (deactivated ? `, ${many(deactivated, "meter", "meters")} no longer in it.` : "."),
  },
  stop: {
    path: "/api/v1/sync/stop",
    words: ({ changed }) =>
      changed ? "Uploading is stopped; all readings are kept." : "Uploading was stopped already.",
  },
  start: {
    path: "/api/v1/sync/start",
    words: ({ changed }) => (changed ? "Uploading is started." : "Uploading was started already."),
  },
};

let awaitedPass = null;
// A short pass may end before the answer that names it has come.
let lastPass = null;
let refresh = () => {};

function show(words, tone) {
  find("outcome").dataset.tone = tone;
  find("outcome-close").hidden = false;
  // Emptied first, so that the same words are read out a second time.
  find("outcome-words").textContent = "";
  requestAnimationFrame(() => (find("outcome-words").textContent = words));
}

function closeOutcome() {
  delete find("outcome").dataset.tone;
  find("outcome-words").textContent = "";
  find("outcome-close").hidden = true;
}

const asSentence = (words) => `${words[0].toUpperCase()}${words.slice(1).replace(/[.]$/, "")}.`;

// Asks, and gives the answer back, or throws with the service's own words.
async function ask(method, path) {
  let response;
  try {
    response = await fetch(path, { method });
  } catch {
    throw new Error("The service does not answer, so nothing was done as far as can be told.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(asSentence(answer.detail ?? answer.title ?? response.statusText));
  return answer;
}

// A button that waits for its answer says so, and takes no second press meanwhile.
async function whileBusy(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } catch (error) {
    show(error.message, "bad");
  } finally {
    button.removeAttribute("aria-disabled");
    refresh("now");
  }
}

async function act(button) {
  const action = ACTIONS[button.dataset.action];
  await whileBusy(button, async () => {
    const answer = await ask("POST", action.path);
    action.then?.(answer);
    show(action.words(answer), action.fails?.(answer) ? "bad" : "good");
    if (lastPass !== null) passEnded(lastPass);
  });
}

const DECISIONS = {
  requeue: {
    title: "Re-queue this reading?",
    words: (name) => `${name} returns to the queue and is uploaded with the next pass.`,
    doubtful: (name) =>
      `The Client System left open whether it has stored ${name}. Uploaded again, it may be there twice.`,
    button: "Re-queue",
    ask: (id, doubtful) => ["POST", `/api/v1/quarantine/${id}/requeue${doubtful ? "?accept_double=true" : ""}`],
    done: (name) => `${name} is back in the queue.`,
  },
  discard: {
    title: "Discard this reading for good?",
    words: (name) => `${name} is removed and never uploaded. This cannot be undone; the audit keeps a trace of it.`,
    doubtful: (name) =>
      `${name} is removed here and never uploaded again; the Client System may have it already. This cannot be undone; the audit keeps a trace of it.`,
    button: "Discard",
    ask: (id) => ["DELETE", `/api/v1/quarantine/${id}`],
    done: (name) => `${name} is discarded.`,
  },
};

let confirmed = () => {};

function askForConfirmation(button) {
  const { decision, id, reading } = button.dataset;
  const doubtful = button.dataset.doubtful === "true";
  const { title, words, doubtful: doubts, button: name } = DECISIONS[decision];
  const needsConsent = doubtful && decision === "requeue";
  find("confirm-title").textContent = title;
  find("confirm-words").textContent = (doubtful ? doubts : words)(reading);
  find("confirm-double").hidden = !needsConsent;
  find("confirm-accept").checked = false;
  find("confirm-yes").textContent = name;
  find("confirm-yes").className = decision === "discard" ? "danger" : "primary";
  find("confirm-yes").disabled = needsConsent;
  confirmed = () => decide(decision, id, reading, doubtful);
  find("confirm").showModal();
  find("confirm-no").focus();
}

async function decide(decision, id, name, doubtful) {
  find("confirm").close();
  await whileBusy(find("confirm-yes"), async () => {
    await ask(...DECISIONS[decision].ask(id, doubtful));
    show(DECISIONS[decision].done(name), "good");
  });
  await refresh("quarantine");
  // The button that was pressed is gone with its row.
  find("quarantine-title").focus();
}

// Tells how the pass ended that was asked for here.
export function passEnded(report) {
  lastPass = report;
  if (report.id !== awaitedPass) return;
  awaitedPass = null;
  const took = (Date.parse(report.finished_at) - Date.parse(report.started_at)) / 1000;
  const uploaded = `${many(report.delivered, "reading", "readings")} uploaded in ${took < 1 ? "less than 1 s" : lasting(took)}`;
  const aside = report.quarantined ? `, ${report.quarantined} set aside` : "";
  const { kind, words, until } = report.end;
  const why = kind === "drained" ? "" : `, then it ended: ${kind.replace("_", " ")}${words ? ` (${words})` : until ? ` until ${until}` : ""}`;
  show(`Pass ${report.id}: ${uploaded}${aside}${why}.`, kind === "drained" ? "good" : "bad");
}

// The button says what it would do.
export function showSwitch(isRunning) {
  const button = find("switch");
  // Whoever may look only has no buttons.
  if (!button) return;
  button.dataset.action = isRunning ? "stop" : "start";
  const name = isRunning ? "Stop uploading" : "Start uploading";
  if (button.textContent !== name) button.textContent = name;
}

// Listens to the buttons; `refreshPart` fetches a part of the page anew.
export function keepActions(refreshPart) {
  refresh = refreshPart;
  document.addEventListener("click", ({ target }) => {
    const action = target.closest("[data-action]");
    const decision = target.closest("[data-decision]");
    if (action) act(action);
    if (decision) askForConfirmation(decision);
  });
  find("confirm-no").addEventListener("click", () => find("confirm").close());
  find("confirm-yes").addEventListener("click", () => confirmed());
  find("confirm-accept").addEventListener("change", ({ target }) => (find("confirm-yes").disabled = !target.checked));
  find("outcome-close").addEventListener("click", closeOutcome);
}
