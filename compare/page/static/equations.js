"use strict";

/* A page of equations: choose a row of the batch, a step and an equation; diagram and rows show their values. */

const PARTS = { right: "reference", difference: "difference" };

const CHOICES = ["row", "step", "mode"];

/** The rows of the mistakes, in their order; none on a page of what is right. */
const FAULTS = DATA.faults ?? [];

const state = { row: 0, step: 0, mode: "as_run", selected: FAULTS[0] ?? "" };

/** Return the columns of a quantity in the chosen row of the batch; where rows are not apart, there is one for all. */
function columns(one, part) {
  const grid = one[part] ?? (part === "right" ? one.actual : []);
  return grid[state.row < grid.length ? state.row : 0] ?? [];
}

/** Return the magnitude drawn in full colour: the largest of the reference, or of the differences. */
function scale(one, part) {
  const numbers = columns(one, part === "actual" && one.right ? "right" : part)
    .flat()
    .filter((value) => typeof value === "number");
  return Math.max(...numbers.map(Math.abs), 0) || 1;
}

/** Colour a cell. Gradients differ by orders of magnitude from step to step, so they are shown by the cube root. */
function paint(cell, value, largest, backward) {
  const share = typeof value === "number" ? Math.min(Math.abs(value) / largest, 1) ** (backward ? 1 / 3 : 1) : 1;
  cell.style.setProperty("--v", share.toFixed(2));
  cell.classList.toggle("negative", value < 0);
}

/** Return a quantity's values at the chosen step; all of them where it has no steps. */
function valuesNow(one, part = "actual") {
  const all = columns(one, part);
  if (!one.steps.length) return all.flat();
  return all[one.steps.indexOf(state.step)] ?? [];
}

const fedBack = (label) => state.mode === "fed_back" && Object.hasOwn(DATA.fed_back, label);

const quantity = (label) => (fedBack(label) ? DATA.fed_back : DATA.quantities)[label];

function paintStrip(table) {
  const one = quantity(table.dataset.label);
  const part = table.dataset.part;
  table.parentElement.hidden = part !== "actual" && !one[part];
  const grid = columns(one, part);
  const largest = scale(one, part);
  for (const [unit, line] of [...table.rows].entries()) {
    for (const [column, cell] of [...line.cells].entries()) {
      const value = grid[column]?.[unit] ?? 0;
      cell.textContent = digits(value, 5);
      paint(cell, value, largest, one.backward);
      cell.classList.toggle("now", one.steps[column] === state.step);
    }
  }
}

/* A row is painted when it is seen: a large page has thousands of cells. */
const stale = new Set();
const seen = new Set();

function paintRow(row) {
  if (!stale.delete(row)) return;
  for (const table of row.querySelectorAll("table.strip")) paintStrip(table);
}

const watching = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) {
        seen.add(target);
        paintRow(target);
      } else seen.delete(target);
    }
  },
  { rootMargin: "300px" },
);

function paintStrips() {
  for (const row of document.querySelectorAll(".row")) stale.add(row);
  for (const row of seen) paintRow(row);
}

function paintDiagram() {
  const chosen = Object.values(DATA.quantities).filter((one) => one.id && one.id === state.selected);
  const selected = new Set(chosen.map((one) => one.whole));
  for (const named of document.querySelectorAll(".diagram .named")) {
    const one = quantity(named.dataset.label);
    const values = valuesNow(one);
    const largest = scale(one, "actual");
    for (const [unit, cell] of [...named.querySelectorAll("[data-cell]")].entries()) {
      paint(cell, values[unit] ?? 0, largest, one.backward);
    }
    named.setAttribute("aria-current", selected.has(quantity(named.dataset.label).whole));
  }
}

/** Write the numbers of the selected equation at the chosen step next to its strips: a table for each quantity. */
function writeNumbers() {
  for (const old of document.querySelectorAll(".numbers table")) old.remove();
  const place = document.getElementById(state.selected)?.querySelector(".numbers");
  if (!place) return;
  for (const label of Object.keys(DATA.quantities)) {
    const one = quantity(label);
    const single = one.steps.length || columns(one, "actual").length === 1;
    if (one.id === state.selected && single) place.append(tableOf(label, one));
  }
}

/** Make the table of a quantity's numbers at the chosen step: a line for each unit. */
function tableOf(label, one) {
  const lists = ["actual", "right", "difference"]
    .filter((part) => one[part])
    .map((part) => ({ part, title: part === "actual" ? label : PARTS[part], values: valuesNow(one, part) }));
  const head = lists.map(({ title }) => element("th", { scope: "col" }, title));
  const lines = Array.from({ length: Math.max(...lists.map(({ values }) => values.length)) }, (_, unit) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, String(unit)),
      ...lists.map(({ part, values }) =>
        element("td", { "data-numbers": label, "data-part": part }, unit in values ? digits(values[unit], 5) : ""),
      ),
    ),
  );
  return element(
    "table",
    {},
    element("caption", {}, one.steps.length ? `at step ${state.step}` : ""),
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "unit"), ...head)),
    element("tbody", {}, ...lines),
  );
}

/** Return the worst of the judgements of some quantities in the chosen run. */
function worst(chosen) {
  const order = Object.keys(DATA.judgements);
  const found = Object.entries(DATA.quantities).filter(([, one]) => chosen(one));
  return order[Math.max(0, ...found.map(([label]) => order.indexOf(DATA.judged[state.mode][label])))];
}

/** Mark rows, names and arrows as right, wrong, or wrong in consequence. An arrow is what the value it leads to is. */
function judge() {
  if (!DATA.judged) return;
  for (const row of document.querySelectorAll(".row")) {
    const chosen = (one) => one.id === row.id;
    row.dataset.judgement = worst(chosen);
    row.querySelector(".judgement").textContent = DATA.judgements[row.dataset.judgement];
    const errors = Object.keys(DATA.quantities).filter((label) => chosen(DATA.quantities[label]));
    const largest = Math.max(0, ...errors.flatMap((label) => quantity(label).errors.map(Number)));
    row.querySelector("[data-error]").textContent = digits(largest, 2);
    row.querySelector("[data-run]").textContent = DATA.modes[state.mode];
  }
  for (const named of document.querySelectorAll(".diagram .named")) {
    const { whole } = DATA.quantities[named.dataset.label];
    named.dataset.judgement = worst((one) => one.whole === whole);
  }
  for (const edge of document.querySelectorAll(".edge")) {
    const [source, target] = edge.dataset.edge.split(" ");
    const way = edge.classList.contains("backward") ? "backward" : "forward";
    const node = way === "backward" ? source : target;
    const names = document.querySelectorAll(`.node[data-node="${CSS.escape(node)}"] .named.${way}`);
    const order = Object.keys(DATA.judgements);
    edge.dataset.judgement = order[Math.max(0, ...[...names].map((one) => order.indexOf(one.dataset.judgement)))];
  }
}

/** Return the row that the address names, if any. */
function chosenRow() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return ""; // no address of this page
  }
}

function select() {
  const id = chosenRow();
  if (document.getElementById(id)?.classList.contains("row")) state.selected = id;
  for (const row of document.querySelectorAll(".row")) row.classList.toggle("selected", row.id === state.selected);
  paintDiagram();
  writeNumbers();
}

function paintSum() {
  const sum = DATA.sums?.[state.row];
  if (!sum) return;
  for (const cell of document.querySelectorAll("[data-bits]")) {
    const column = cell.cellIndex - 1;
    const bit = sum.bits[cell.dataset.bits][column];
    cell.textContent = bit;
    cell.classList.toggle("one", bit === 1);
    cell.classList.toggle("wrong", cell.dataset.bits === "network" && bit !== sum.bits.sum[column]);
  }
  const largest = Math.max(...DATA.sums.flatMap(({ memory }) => memory.map(Math.abs))) || 1;
  for (const [column, cell] of document.querySelectorAll("[data-memory]").entries()) {
    cell.textContent = digits(sum.memory[column], 2);
    paint(cell, sum.memory[column], largest, false);
  }
  for (const [column, cell] of document.querySelectorAll("[data-reach]").entries()) {
    cell.textContent = digits(sum.reach[column], 1);
  }
}

function press(name) {
  for (const button of document.querySelectorAll(`button[data-${name}]`)) {
    button.setAttribute("aria-pressed", button.dataset[name] === String(state[name]));
  }
}

/** Write what is chosen into the address, so that it can be handed on. */
function remember() {
  const buttons = document.querySelectorAll('button[aria-pressed="true"]');
  const chosen = new URLSearchParams([...buttons].flatMap((button) => Object.entries(button.dataset)));
  history.replaceState(null, "", `?${chosen}${location.hash}`);
}

/** Press the buttons that the address names. */
function recall() {
  for (const [name, value] of new URLSearchParams(location.search)) {
    const button = CHOICES.includes(name) && document.querySelector(`button[data-${name}="${CSS.escape(value)}"]`);
    if (button) choose(button);
  }
}

/** Go to the next mistake, or back to the one before. */
function go(by) {
  const now = FAULTS.indexOf(state.selected);
  if (FAULTS.length) location.hash = encodeURIComponent(FAULTS[(now + by + FAULTS.length) % FAULTS.length]);
}

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
}

function show() {
  for (const name of CHOICES) press(name);
  paintSum();
  judge();
  paintStrips();
  paintDiagram();
  writeNumbers();
}

/** Say what a cell of a strip holds. */
function read(table, unit, column) {
  for (const cell of document.querySelectorAll("td.read")) cell.classList.remove("read");
  const cell = table.rows[unit]?.cells[column];
  if (!cell) return;
  paintRow(table.closest(".row"));
  cell.classList.add("read");
  table.at = [unit, column];
  const one = quantity(table.dataset.label);
  const place = one.steps.length ? `step ${one.steps[column]}, unit ${unit}` : `[${column}, ${unit}]`;
  const error = table.dataset.part === "actual" && one.steps.length ? one.errors[column] : undefined;
  const also = error === undefined ? "" : `; relative error at this step ${digits(error, 2)}`;
  const where = table.closest(".row").querySelector(".reading");
  where.textContent = `${table.dataset.label}, ${place}: ${cell.textContent}${also}`;
}

function follow(event) {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const move = moves[event.key];
  const table = event.target;
  if (!move || !table.matches("table.strip")) return;
  event.preventDefault();
  const [unit, column] = table.at ?? [0, 0];
  const within = (value, count) => Math.max(0, Math.min(count - 1, value));
  read(table, within(unit + move[0], table.rows.length), within(column + move[1], table.rows[0].cells.length));
}

function choose(button) {
  for (const name of CHOICES) {
    if (name in button.dataset) state[name] = name === "mode" ? button.dataset[name] : Number(button.dataset[name]);
  }
}

for (const button of document.querySelectorAll('button[aria-pressed="true"]')) choose(button);
recall();
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.copy) copy(button);
  if (button?.dataset.go) go(Number(button.dataset.go));
  if (!button?.hasAttribute("aria-pressed")) return;
  choose(button);
  show();
  remember();
});
document.addEventListener("pointerover", (event) => {
  const cell = event.target.closest?.("table.strip td");
  if (cell) read(cell.closest("table"), cell.parentElement.rowIndex, cell.cellIndex);
});
document.addEventListener("focusin", (event) => {
  if (event.target.matches("table.strip")) read(event.target, ...(event.target.at ?? [0, 0]));
});
document.addEventListener("keydown", follow);
document.addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (plain && (event.key === "n" || event.key === "p")) go(event.key === "n" ? 1 : -1);
});
addEventListener("beforeprint", () => [...stale].forEach(paintRow));
addEventListener("hashchange", select);
show();
select();
for (const row of document.querySelectorAll(".row")) watching.observe(row);
