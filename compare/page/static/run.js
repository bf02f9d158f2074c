"use strict";

/* The curves of a run: read a step off, zoom into some steps, and lay another run over it. All plots show the same steps. */

const FIRST = 0; // the left end of the axis when all steps are shown
const HUGE = 1e300; // from here on no number is drawn, as on the axes that Python lays out
const MOST_TICKS = 6;

const slider = document.getElementById("step");
const plots = [...document.querySelectorAll(".plot svg")];
const [WIDTH, HEIGHT] = plots[0].getAttribute("viewBox").split(" ").slice(2).map(Number);

/** The other run, with steps and series as DATA has them; null if there is none. */
let other = null;

let from = FIRST;
let to = DATA.steps.at(-1) + 1;

/** The right end of the axis when all steps are shown, and the fewest steps that are. */
const last = () => Math.max(DATA.steps.at(-1), other ? other.steps.at(-1) : 0) + 1;
const narrowest = () => Math.min(4, last());

/** Where a step lies in the units of a plot. */
const place = (step) => (WIDTH * (step - from)) / (to - from);

/** The step, not a whole number, under a pointer. */
function stepUnder(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return from + ((to - from) * (event.clientX - box.left)) / box.width;
}

/** The index of the step of the page that is nearest. */
function nearest(step, steps = DATA.steps) {
  let [low, high] = [0, steps.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle;
    else high = middle;
  }
  return step - steps[low] < steps[high] - step ? low : high;
}

/** Round numbers that divide an axis into at most six parts. */
function ticks(low, high, least = 0) {
  const power = 10 ** Math.floor(Math.log10((high - low) / MOST_TICKS));
  const step = Math.max(
    least,
    [1, 2, 5, 10].map((k) => k * power).find((size) => (high - low) / size <= MOST_TICKS),
  );
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
  return found;
}

const drawable = (value) => typeof value === "number" && value > 0 && value < HUGE;

/** The indices of the steps that are shown of a run, and of one more on either side. */
function windowOf({ steps }) {
  const [low, high] = [nearest(from, steps), nearest(to, steps)];
  return [Math.max(low - 1, 0), Math.min(high + 1, steps.length - 1)];
}

/** The exponents of the lower and the upper end of a plot's axis, which holds what is shown of its curves. */
function ends(svg) {
  const values = svg.dataset.limit ? [Number(svg.dataset.limit)] : [];
  for (const run of [DATA, other].filter(Boolean)) {
    for (const { name } of curves(svg)) {
      const shown = (run.series[name] ?? []).filter((_, k) => run.steps[k] >= from && run.steps[k] <= to);
      values.push(...shown.filter(drawable));
    }
  }
  const exponents = values.map(Math.log10);
  const [low, high] = exponents.length ? [Math.min(...exponents), Math.max(...exponents)] : [-1, 0];
  const margin = high - low > 1e-3 ? 0.06 * (high - low) : 0.5;
  return [low - margin, high + margin];
}

/** The curves of a plot that are not hidden: their names and paths. */
function curves(svg) {
  const paths = [...svg.querySelectorAll(".zoomed path:not(.other)")];
  return paths.map((path) => ({ name: path.dataset.name, path })).filter(({ path }) => path.checkVisibility());
}

/** Powers of ten; on a shorter axis also 2 and 5 times these, and on a very short one any round numbers. */
function logTicks(low, high) {
  const powers = [];
  for (let k = Math.ceil(low); k <= high; k++) powers.push(k);
  const every = Math.ceil(powers.length / MOST_TICKS) || 1;
  const tens = powers.filter((_, k) => k % every === 0).map((k) => 10 ** k);
  if (tens.length > 2) return tens;
  const numbers = [];
  for (let k = Math.floor(low); k <= high; k++) numbers.push(10 ** k, 2 * 10 ** k, 5 * 10 ** k);
  const within = numbers.filter((n) => Math.log10(n) >= low && Math.log10(n) <= high);
  return within.length > 1 ? within : ticks(10 ** low, 10 ** high);
}

/** A path through the values that are shown of a curve, with a gap where one cannot be drawn; or dots. */
function pathOf(run, name, height, dots) {
  const words = [];
  const [first, end] = windowOf(run);
  let pen = "M";
  for (let k = first; k <= end; k++) {
    const value = run.series[name][k];
    if (drawable(value)) {
      words.push(`${pen}${place(run.steps[k]).toFixed(2)} ${height(value).toFixed(1)}`);
      if (dots || pen === "M") words.push("h0"); // a single point would not be drawn
    }
    pen = dots || !drawable(value) ? "M" : "L";
  }
  return words.join("");
}

/** Draw a plot: its vertical axis, its grid, and the curves of both runs. */
function draw(svg) {
  const [low, high] = ends(svg);
  const share = (value) => (Math.log10(value) - low) / (high - low);
  const height = (value) => HEIGHT * (1 - share(value));
  const frame = svg.parentNode;
  const numbers = logTicks(low, high);
  const labels = numbers.map((n) => element("span", { style: `bottom: ${100 * share(n)}%` }, digits(n)));
  frame.querySelector(".y-axis").replaceChildren(...labels);
  svg.querySelector(".grid").setAttribute("d", numbers.map((n) => `M0 ${height(n).toFixed(1)}h${WIDTH}`).join(""));
  if (svg.dataset.limit) {
    svg.querySelector(".limit").setAttribute("d", `M0 ${height(svg.dataset.limit).toFixed(1)}h${WIDTH}`);
    frame.querySelector(".limit-label").style.bottom = `${100 * share(svg.dataset.limit)}%`;
  }
  const group = svg.querySelector(".zoomed");
  for (const old of group.querySelectorAll(".other")) old.remove();
  for (const { name, path } of curves(svg)) {
    const dots = group.classList.contains("dots");
    path.setAttribute("d", pathOf(DATA, name, height, dots));
    if (other?.series[name]) {
      group.append(element("path", { class: `${name} other`, d: pathOf(other, name, height, false) }));
    }
  }
  const steps = ticks(from, to, 1).map((tick) => [tick.toLocaleString("en"), place(tick) / WIDTH]);
  frame
    .querySelector(".x-axis")
    .replaceChildren(...steps.map(([label, part]) => element("span", { style: `left: ${100 * part}%` }, label)));
}

/** Show the steps between two ends, as far as there are any. */
function show(low, high) {
  const middle = (low + high) / 2;
  const wide = Math.min(Math.max(high - low, narrowest()), last() - FIRST);
  from = Math.min(Math.max(middle - wide / 2, FIRST), last() - wide);
  to = from + wide;
  for (const svg of plots) draw(svg);
  const all = wide === last() - FIRST;
  document.getElementById("range").textContent = all
    ? ""
    : `steps ${Math.max(1, Math.ceil(from)).toLocaleString("en")} to ${Math.floor(Math.min(to, last() - 1)).toLocaleString("en")}`;
  document.getElementById("all").disabled = all;
  document.getElementById("out").disabled = all;
  document.getElementById("in").disabled = wide <= narrowest();
  read(Number(slider.value));
}

/** Show fewer or more steps, with one of them in its place. */
function zoom(factor, around) {
  show(around - (around - from) / factor, around + (to - around) / factor);
}

/** Write out the values of a step, by its index, and those of the other run at the step nearest to it. */
function read(index) {
  const step = DATA.steps[index];
  slider.value = index;
  document.getElementById("at").textContent = step.toLocaleString("en");
  const words = [`step ${step}`];
  for (const cell of document.querySelectorAll("[data-series]")) {
    const name = cell.dataset.series;
    cell.textContent = digits(DATA.series[name][index]);
    words.push(`${name.replace("_", " ")} ${cell.textContent}`);
    if (!other?.series[name]) continue;
    const theirs = digits(other.series[name][nearest(step, other.steps)]);
    cell.append(element("span", { class: "other" }, theirs));
    words.push(`in the other run ${theirs}`);
  }
  slider.setAttribute("aria-valuetext", words[0]);
  document.getElementById("reading").textContent = words.join(", ");
  for (const svg of plots) svg.querySelector(".cursor").setAttribute("transform", `translate(${place(step)} 0)`);
  remember(step);
}

let waiting = 0;

/** Write what is shown into the address, once it rests. */
function remember(step) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const shown = new URLSearchParams({ step });
    if (to - from < last() - FIRST) {
      shown.set("from", from.toFixed(1));
      shown.set("to", to.toFixed(1));
    }
    history.replaceState(null, "", `?${shown}${location.hash}`);
  }, 200);
}

/** Read a run's page, and lay its curves over those of this one. */
async function compare(file) {
  const their = new DOMParser().parseFromString(await file.text(), "text/html");
  const note = document.getElementById("compared");
  try {
    const { steps, series } = JSON.parse(their.getElementById("data").textContent);
    if (!steps.length || !series.drift) throw new TypeError("no steps");
    other = { steps, series };
    const text = (selector) => their.querySelector(selector).textContent.trim();
    note.textContent = `Dashed, and second: ${text("h1")}. ${text(".finding")}`;
  } catch {
    other = null;
    note.textContent = `${file.name}: expected the run.html of another run`;
  }
  show(FIRST, last());
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
    if (place(high) - place(low) > WIDTH / 100) {
      read(nearest(Math.floor(high))); // a step that the drag has left behind it
      show(low, high);
    } else read(nearest(high));
  });
  svg.addEventListener("pointercancel", () => {
    start = null;
    select(0, 0);
  });
  svg.addEventListener("dblclick", () => show(FIRST, last()));
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
  0: () => show(FIRST, last()),
};

slider.addEventListener("input", () => follow(Number(slider.value)));
slider.addEventListener("keydown", (event) => actions[event.key]?.());
document.getElementById("in").addEventListener("click", actions["+"]);
document.getElementById("out").addEventListener("click", actions["-"]);
document.getElementById("all").addEventListener("click", actions[0]);
document.getElementById("other").addEventListener("change", (event) => compare(event.target.files[0]));
for (const box of document.querySelectorAll(".plot input")) box.addEventListener("change", () => show(from, to));

const wanted = new URLSearchParams(location.search);
if (wanted.has("step")) slider.value = nearest(Number(wanted.get("step")));
if (wanted.has("from") && wanted.has("to")) show(Number(wanted.get("from")), Number(wanted.get("to")));
else show(FIRST, last());
