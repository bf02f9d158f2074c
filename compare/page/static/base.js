"use strict";

/* What all pages share: the data of the page, elements, numbers as text, and what scrolls sideways. */
/* exported DATA, element, digits */

document.documentElement.classList.add("scripted");

const DATA = JSON.parse(document.querySelector("script#data").textContent);

const SVG_NAMES = new Set(["svg", "g", "path", "rect", "circle", "line", "text", "title", "use", "polyline"]);

/**
 * Make an element. Attributes that are undefined or null are left out; a function is a listener. Children are nodes or
 * text, which is never read as markup.
 */
function element(name, attributes = {}, ...children) {
  const made = SVG_NAMES.has(name)
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Write a number in six significant digits, as Python's format "g" does. */
function digits(number, precision = 6) {
  if (typeof number !== "number") return String(number);
  if (number === 0) return "0";
  const [mantissa, exponent] = number.toExponential(precision - 1).split("e");
  const power = Number(exponent);
  const trim = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (power < -4 || power >= precision) {
    const sign = power < 0 ? "-" : "+";
    return `${trim(mantissa)}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return trim(number.toFixed(precision - 1 - power));
}

/* What scrolls sideways within itself can be reached by keyboard, as long as it does. */
const watched = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const scrolls = target.scrollWidth > target.clientWidth;
    if (scrolls) target.setAttribute("tabindex", "0");
    else target.removeAttribute("tabindex");
  }
});
for (const wide of document.querySelectorAll(".wide, pre")) watched.observe(wide);
