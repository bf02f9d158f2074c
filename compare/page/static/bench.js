"use strict";

/* Show the cases that the reader chooses: at first those like the first one, of every size. */

const form = document.querySelector("form");
const cases = [...document.querySelectorAll("tbody")];

function filter() {
  const chosen = [...new FormData(form)].filter(([, value]) => value);
  for (const one of cases) one.hidden = chosen.some(([name, value]) => one.dataset[name] !== value);
  for (const section of document.querySelectorAll("main section")) {
    section.hidden = [...section.querySelectorAll("tbody")].every((one) => one.hidden);
  }
  const count = cases.filter((one) => !one.hidden).length;
  document.getElementById("shown").textContent = count
    ? `${count} of ${cases.length} cases`
    : "nothing was measured for this choice";
}

for (const select of form.querySelectorAll("select")) {
  if (select.name !== "size") select.value = cases[0].dataset[select.name];
}
form.addEventListener("input", filter);
filter();
