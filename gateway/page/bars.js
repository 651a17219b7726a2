// @ts-check
/** Numbers drawn to scale; each says its value in words too. */

import { el } from "./dom.js";
import { isNumber, measured, percent, plain, within } from "./numbers.js";

/**
 * Probabilities, the highest first.
 * @param {[string, unknown][]} found label and probability, 0..1
 * @param {string} predicted the label that leads
 * @param {{label: string, at_least: number}[]} alerts whose thresholds are marked
 */
export function bars(found, predicted, alerts) {
  const sorted = [...found].sort(([, one], [, other]) => within(other) - within(one));
  const rows = sorted.map(([label, share]) => {
    const alert = alerts.find((each) => each.label === label);
    const kind = alert ? "bar-row alerted" : label === predicted ? "bar-row leading" : "bar-row";
    return el(
      "li",
      { class: kind },
      el("span", { class: "bar-label" }, label),
      track(label, share, percent(share), alert?.at_least),
      el("span", { class: "bar-number", "aria-hidden": "true" }, percent(share)),
    );
  });
  return el("ul", { class: "bars" }, ...rows);
}

/**
 * One number from 0 to 1.
 * @param {string} label @param {unknown} share @param {string} number @param {string} meaning of its ends
 */
export const meter = (label, share, number, meaning) =>
  el(
    "div",
    { class: "bar-row single" },
    el("span", { class: "bar-label" }, label),
    track(label, share, `${number}, where ${meaning}`),
    el("span", { class: "bar-number", "aria-hidden": "true" }, number),
    el("span", { class: "bar-ends hint", "aria-hidden": "true" }, meaning),
  );

/** @param {string} label @param {unknown} share @param {string} text @param {number} [mark] */
function track(label, share, text, mark) {
  const value = within(share);
  return el(
    "span",
    {
      class: "track",
      role: "meter",
      "aria-label": label,
      "aria-valuemin": 0,
      "aria-valuemax": 1,
      "aria-valuenow": Number(value).toFixed(6), // a screen reader knows no exponents
      "aria-valuetext": text,
    },
    el("span", { class: "fill", vars: { share: value } }),
    isNumber(mark) && el("span", { class: "mark", vars: { share: within(mark) } }),
  );
}

/**
 * A regression's number with its interval on an axis that holds both.
 * @param {number} value @param {unknown} interval [low, high] or nothing @param {unknown} level 0..1 @param {string} unit
 */
export function scale(value, interval, level, unit) {
  const known = Array.isArray(interval) && interval.length === 2 && interval.every(isNumber);
  const [low, high] = known ? /** @type {number[]} */ (interval) : [value, value];
  const { from, to, ticks } = axis(Math.min(low, value), Math.max(high, value));
  const at = (/** @type {number} */ number) => (number - from) / (to - from);
  const said = known
    ? `${isNumber(level) ? `${percentOf(level)} interval: ` : "Interval: "}${measured(low)} to ${measured(high)} ${unit}`
    : "No interval is given.";
  const drawing = el(
    "div",
    { class: "scale", role: "img", "aria-label": `${measured(value)} ${unit}. ${said}` },
    known && el("span", { class: "span", vars: { from: at(low), to: at(high) } }),
    el("span", { class: "axis" }),
    ...ticks.map((tick) => el("span", { class: "tick", vars: { at: at(tick) } }, plain(tick))),
    el("span", { class: "dot", vars: { at: at(value) } }),
  );
  return el("div", {}, drawing, el("p", { class: "scale-said" }, said));
}

/** @param {number} share */
const percentOf = (share) => `${plain(100 * share)}%`;

/** An axis with about five round ticks around a range. @param {number} low @param {number} high */
function axis(low, high) {
  const width = Math.max(high - low, Math.abs(high) * 0.1, 1e-6) * 1.5;
  const exponent = 10 ** Math.floor(Math.log10(width / 4));
  const step = [1, 2, 5, 10].map((times) => times * exponent).find((each) => width / each <= 5) ?? 10 * exponent;
  const from = Math.floor((low - width / 6) / step) * step;
  const to = Math.ceil((high + width / 6) / step) * step;
  const ticks = Array.from({ length: Math.round((to - from) / step) + 1 }, (_, at) => from + at * step);
  return { from, to, ticks };
}
