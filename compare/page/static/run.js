"use strict";

/* The curves of a run: read a step off, and zoom into some steps. All plots show the same steps. */

const FIRST = 0; // the left and the right end of the axis when all steps are shown
const LAST = DATA.steps.at(-1) + 1;
const NARROWEST = Math.min(4, LAST); // in steps

const slider = document.getElementById("step");
const plots = [...document.querySelectorAll(".plot svg")];
const [WIDTH] = plots[0].getAttribute("viewBox").split(" ").slice(2).map(Number);

let from = FIRST;
let to = LAST;

/** Where a step lies in the units of a plot. */
const place = (step) => (WIDTH * (step - from)) / (to - from);

/** The step, not a whole number, under a pointer. */
function stepUnder(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return from + ((to - from) * (event.clientX - box.left)) / box.width;
}

/** The index of the step of the page that is nearest. */
function nearest(step) {
  let [low, high] = [0, DATA.steps.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (DATA.steps[middle] < step) low = middle;
    else high = middle;
  }
  return step - DATA.steps[low] < DATA.steps[high] - step ? low : high;
}

/** Whole numbers that divide an axis into at most six parts. */
function ticks(low, high) {
  const power = 10 ** Math.floor(Math.log10((high - low) / 6));
  const step = Math.max(
    1,
    [1, 2, 5, 10].map((k) => k * power).find((size) => (high - low) / size <= 6),
  );
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) found.push(tick);
  return found;
}

/** Show the steps between two ends, as far as there are any. */
function show(low, high) {
  const middle = (low + high) / 2;
  const wide = Math.min(Math.max(high - low, NARROWEST), LAST - FIRST);
  from = Math.min(Math.max(middle - wide / 2, FIRST), LAST - wide);
  to = from + wide;
  const scale = (LAST - FIRST) / wide;
  const labels = ticks(from, to).map((tick) => [tick.toLocaleString("en"), place(tick) / WIDTH]);
  for (const svg of plots) {
    svg.querySelector(".zoomed").setAttribute("transform", `scale(${scale} 1) translate(${(-WIDTH * from) / LAST} 0)`);
    svg.parentNode
      .querySelector(".x-axis")
      .replaceChildren(...labels.map(([label, share]) => element("span", { style: `left: ${100 * share}%` }, label)));
  }
  const all = wide === LAST - FIRST;
  document.getElementById("range").textContent = all
    ? ""
    : `steps ${Math.max(1, Math.ceil(from)).toLocaleString("en")} to ${Math.floor(Math.min(to, LAST - 1)).toLocaleString("en")}`;
  document.getElementById("all").disabled = all;
  document.getElementById("out").disabled = all;
  document.getElementById("in").disabled = wide <= NARROWEST;
  read(Number(slider.value));
}

/** Show fewer or more steps, with one of them in its place. */
function zoom(factor, around) {
  show(around - (around - from) / factor, around + (to - around) / factor);
}

/** Write out the values of a step, by its index. */
function read(index) {
  const step = DATA.steps[index];
  slider.value = index;
  document.getElementById("at").textContent = step.toLocaleString("en");
  const words = [`step ${step}`];
  for (const cell of document.querySelectorAll("[data-series]")) {
    cell.textContent = digits(DATA.series[cell.dataset.series][index]);
    words.push(`${cell.dataset.series.replace("_", " ")} ${cell.textContent}`);
  }
  slider.setAttribute("aria-valuetext", words[0]);
  document.getElementById("reading").textContent = words.join(", ");
  for (const svg of plots) svg.querySelector(".cursor").setAttribute("transform", `translate(${place(step)} 0)`);
}

/** Read a step off, and move the window to it. */
function follow(index) {
  const step = DATA.steps[index];
  const shift = Math.min(step - from, 0) || Math.max(step - to, 0);
  read(index);
  if (shift) show(from + shift, to + shift);
}

/** Mark what a drag across the plots would zoom into. */
function select(start, end) {
  for (const svg of plots) {
    const mark = svg.querySelector(".selection");
    mark.setAttribute("x", place(Math.min(start, end)));
    mark.setAttribute("width", Math.abs(place(end) - place(start)));
  }
}

for (const svg of plots) {
  let start = null; // the step where a drag began
  svg.addEventListener("pointerdown", (event) => {
    start = stepUnder(event);
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (start === null) read(nearest(stepUnder(event)));
    else select(start, stepUnder(event));
  });
  svg.addEventListener("pointerup", (event) => {
    if (start === null) return; // the drag began elsewhere
    const [low, high] = [start, stepUnder(event)].sort((a, b) => a - b);
    start = null;
    select(0, 0);
    read(nearest(high));
    if (place(high) - place(low) > WIDTH / 100) show(low, high);
  });
  svg.addEventListener("pointercancel", () => {
    start = null;
    select(0, 0);
  });
  svg.addEventListener("dblclick", () => show(FIRST, LAST));
  svg.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return; // the page scrolls
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.25 : 0.8, stepUnder(event));
    },
    { passive: false },
  );
}

const atCursor = () => DATA.steps[Number(slider.value)];
const actions = {
  "+": () => zoom(2, atCursor()),
  "-": () => zoom(0.5, atCursor()),
  0: () => show(FIRST, LAST),
};

slider.addEventListener("input", () => follow(Number(slider.value)));
slider.addEventListener("keydown", (event) => actions[event.key]?.());
document.getElementById("in").addEventListener("click", actions["+"]);
document.getElementById("out").addEventListener("click", actions["-"]);
document.getElementById("all").addEventListener("click", actions[0]);
show(FIRST, LAST);
