"use strict";

/* The page to play with: it trains the network of answer_network.js, and draws what it learns. */

const BITS = 8;
const RATE = 0.1;
const LAST = 10000; // problems on the axis
const [WIDTH, HEIGHT] = [1000, 320];

const byId = (id) => document.getElementById(id);
const chosen = () => Object.fromEntries(SWITCHES.map((name) => [name, byId(name).checked]));
const bitsOf = (number) => Array.from({ length: BITS }, (_, t) => (number >> t) & 1);

let network,
  problems,
  curve,
  nextCount,
  running = false,
  sample;

/** A problem as the author draws it: a from 1 to 128, b from 1 to 127. */
function problem(random) {
  const [a, b] = [1 + Math.floor(random() * 128), 1 + Math.floor(random() * 127)];
  return { a: bitsOf(a), b: bitsOf(b), y: bitsOf(a + b) };
}

/** Start over with the seed and the units that are chosen. */
function restart() {
  network = newNetwork(Number(byId("units").value), Number(byId("seed").value));
  sample = Array.from({ length: 60 }, () => problem(network.random));
  [problems, curve, nextCount] = [0, [], 0];
  byId("curve").replaceChildren();
  count();
}

/** Train on one problem with the gradient that is chosen. */
function learn() {
  const { a, b, y } = problem(network.random);
  descend(network, backward(network, trace(network, a, b), a, b, y, chosen()), RATE);
  problems += 1;
}

/** Count the sums that are right, measure the gradient, and draw both. */
function count() {
  const right = sumsRight(network, byId("round").checked);
  curve.push([problems, right / 4 ** (BITS - 1)]);
  nextCount = problems + Math.max(50, Math.floor(problems / 8));
  byId("problems").textContent = problems.toLocaleString("en");
  byId("right").textContent = `${((100 * right) / 4 ** (BITS - 1)).toFixed(2)} %`;
  const [published, real] = [chosen(), {}].map((mistakes) => total(mistakes));
  byId("cosine").textContent = cosine(published, real).toFixed(3);
  const points = curve.map(([n, share]) => `${(WIDTH * n) / Math.max(LAST, problems)},${HEIGHT * (1 - share)}`);
  byId("curve").replaceChildren(element("polyline", { points: points.join(" ") }));
  showCarry();
}

/** The gradient summed over the sample. */
function total(mistakes) {
  const sum = { ih: new Float64Array(network.ih.length), hh: new Float64Array(network.hh.length) };
  for (const { a, b, y } of sample) {
    const gradient = backward(network, trace(network, a, b), a, b, y, mistakes);
    for (const name of ["ih", "hh"]) gradient[name].forEach((value, k) => (sum[name][k] += value));
  }
  return sum;
}

/** Show the unit that goes most with the carry while the network adds 93 and 46. */
function showCarry() {
  const { unit, correlation } = carryingUnit(network, sample);
  const [a, b] = [93, 46].map(bitsOf);
  const steps = trace(network, a, b);
  let carry = 0;
  const columns = steps.map(({ h, logit }, t) => {
    carry = (a[t] + b[t] + carry) >> 1;
    return [a[t], b[t], logit > 0 || (byId("round").checked && logit === 0) ? 1 : 0, carry, h[unit].toFixed(2)];
  });
  const rows = ["a", "b", "answer", "carry", `h of unit ${unit}`].map((name, row) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      ...columns.map((column) => element("td", {}, String(column[row]))).reverse(),
    ),
  );
  byId("carry").replaceChildren(...rows);
  byId("unit").textContent = `Unit ${unit} goes most with the carry: correlation ${correlation.toFixed(3)}.`;
}

/** Train for a few milliseconds, count when it is time to, and go on with the next frame. */
function frame() {
  if (!running) return;
  const end = performance.now() + 25;
  while (performance.now() < end && problems < nextCount) learn();
  if (problems >= nextCount) count();
  requestAnimationFrame(frame);
}

/** Train, or stop. */
function toggle() {
  running = !running;
  byId("run").textContent = running ? "Stop" : "Train";
  if (running) requestAnimationFrame(frame);
  else count();
}

byId("run").addEventListener("click", toggle);
byId("restart").addEventListener("click", restart);
for (const id of ["units", "seed"]) byId(id).addEventListener("change", restart);
for (const id of [...SWITCHES, "round"]) byId(id).addEventListener("change", count);
for (const [id, on] of [
  ["all", true],
  ["none", false],
]) {
  byId(id).addEventListener("click", () => {
    for (const name of [...SWITCHES, "round"]) byId(name).checked = on;
    count();
  });
}
restart();
