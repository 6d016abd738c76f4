// Charts in the viewer's zone and at the width that there is, drawn anew as time goes on.

const REDRAWN_EVERY = 60_000;
const NARROWEST = 320;
const WIDEST = 1_920;

const figures = () => [...document.querySelectorAll("figure[data-chart]")];
const currentSpan = () => document.querySelector("[data-hours][aria-current]")?.dataset.hours ?? "24";

function address(figure) {
  const room = Math.floor(figure.querySelector(".canvas").clientWidth);
  const query = new URLSearchParams({
    hours: currentSpan(),
    width: Math.min(Math.max(room, NARROWEST), WIDEST),
    offset_minutes: -new Date().getTimezoneOffset(),
  });
  return `/charts/${figure.dataset.chart}.svg?${query}`;
}

async function draw(figure) {
  const response = await fetch(address(figure));
  if (!response.ok) {
    figure.querySelector(".summary").textContent = "cannot be read at the moment";
    return;
  }
  const parsed = new DOMParser().parseFromString(await response.text(), "image/svg+xml");
  const drawing = document.importNode(parsed.documentElement, true);
  figure.querySelector(".summary").textContent = drawing.querySelector("desc").textContent;
  figure.querySelector(".canvas").replaceChildren(drawing);
}

// Draws all charts; that the service is away is told elsewhere.
export async function drawCharts() {
  await Promise.allSettled(figures().map(draw));
}

function chooseSpan(event) {
  const chosen = event.target.closest("[data-hours]");
  if (!chosen || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  for (const link of document.querySelectorAll("[data-hours]")) link.removeAttribute("aria-current");
  chosen.setAttribute("aria-current", "true");
  history.replaceState(null, "", chosen.href);
  drawCharts();
}

function drawnWidths() {
  return figures().map((figure) => figure.querySelector(".canvas").clientWidth).join();
}

// Keeps the charts as they should be.
export function keepCharts() {
  document.querySelector(".spans").addEventListener("click", chooseSpan);
  let widths = drawnWidths();
  let pause;
  addEventListener("resize", () => {
    clearTimeout(pause);
    pause = setTimeout(() => {
      if (widths === drawnWidths()) return;
      widths = drawnWidths();
      drawCharts();
    }, 300);
  });
  setInterval(drawCharts, REDRAWN_EVERY);
  return drawCharts();
}
