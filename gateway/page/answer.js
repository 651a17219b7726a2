// @ts-check
/** One answer: what was found, whether a person must look, how sure it is, and what computed it. */

import { isUntrained, review, ungated, warning } from "./banners.js";
import { bars, meter, scale } from "./bars.js";
import { el, entry, words } from "./dom.js";
import { figures } from "./figures.js";
import { titleOf } from "./models.js";
import { isNumber, localTime, measured, percent, plain } from "./numbers.js";

/**
 * @typedef {import("./api.js").Answer} Answer
 * @typedef {import("./api.js").Model} Model
 */

/** Fields that have a place of their own; whatever else an answer holds is listed as it is. */
const PLACED = new Set([
  "prediction_id",
  "model",
  "prediction",
  "confidence",
  "probabilities",
  "uncertainty",
  "risk_level",
  "alerts",
  "needs_review",
  "review_reasons",
  "disclaimer",
  "timestamp",
  "provenance",
  "processing_time",
  "statistics",
  "unit",
  "interval",
  "interval_level",
  "modalities",
  "heatmaps",
  "pictures",
  "overlays",
]);

const NOT_CALIBRATED = "Not calibrated: how often such a probability is right was not fitted to labelled pictures.";

/**
 * @param {Answer} answer
 * @param {Model | undefined} model that it is of; its disclaimer holds where the answer brings none
 * @param {Map<string, import("./figures.js").Sent>} sent
 * @param {string} [note] on where the pictures come from
 * @returns {Promise<HTMLElement>}
 */
export async function answerOf(answer, model, sent, note = "") {
  const title = titles(model);
  const shown = await figures(answer, sent, title);
  const columns = el(
    "div",
    { class: "answer-columns" },
    el("div", { class: "answer-figures" }, chances(answer), others(answer)),
    shown,
  );
  return el(
    "article",
    { class: "card result" },
    warning(answer),
    ungated(answer),
    review(answer),
    headline(answer, model, title),
    el(
      "p",
      { class: "disclaimer" },
      answer.disclaimer || model?.disclaimer || "Not for diagnosis: a qualified person must decide.",
    ),
    note && el("p", { class: "hint" }, note),
    columns,
    provenance(answer),
    statistics(answer),
  );
}

/** The answer in one sentence, to be read aloud. @param {Answer} answer */
export function summary(answer) {
  const found = isNumber(answer.prediction)
    ? `${measured(answer.prediction)} ${answer.unit ?? ""}`
    : `${answer.prediction}${isNumber(answer.confidence) ? `, ${percent(answer.confidence)}` : ""}`;
  const untrained = isUntrained(answer) ? "Warning: untrained weights, the answer means nothing. " : "";
  const person = answer.needs_review ? " A person must look at it." : "";
  return `${untrained}${answer.model}: ${found}.${person} ${answer.disclaimer ?? ""}`;
}

/** How a model's inputs are called. @param {Model | undefined} model @returns {(input: string) => string} */
function titles(model) {
  const known = new Map((model?.inputs ?? []).map((input) => [input.name, titleOf(input)]));
  return (name) => known.get(name) ?? words(name);
}

/** @param {Answer} answer @param {Model | undefined} model @param {(input: string) => string} title */
function headline(answer, model, title) {
  const number = isNumber(answer.prediction);
  const sure =
    isNumber(answer.confidence) &&
    el("p", { class: "sure" }, percent(answer.confidence), el("span", {}, " probability"));
  const head = el(
    "header",
    { class: "headline" },
    el("p", { class: "eyebrow" }, el("span", { class: "name" }, answer.model), model ? ` ${model.task}` : ""),
    el(
      "div",
      { class: "found-line" },
      el(
        "h3",
        { class: "found" },
        number ? `${measured(answer.prediction)} ` : answer.prediction,
        number && el("span", { class: "unit" }, answer.unit ?? ""),
      ),
      sure,
    ),
  );
  head.append(...[chips(answer, title), alerts(answer)].filter((part) => part !== null));
  if (isNumber(answer.uncertainty))
    head.append(meter("Uncertainty", answer.uncertainty, plain(answer.uncertainty), "0 sure, 1 no idea"));
  return head;
}

/** @param {Answer} answer @param {(input: string) => string} title */
function chips(answer, title) {
  const made = [];
  if (answer.risk_level) {
    made.push(el("li", { class: "chip" }, "Risk of a wrong answer: ", el("strong", {}, answer.risk_level)));
  }
  const modalities = list(answer.modalities);
  if (modalities.length)
    made.push(el("li", { class: "chip" }, "Made from: ", el("strong", {}, modalities.map(title).join(" and "))));
  return made.length ? el("ul", { class: "chips" }, ...made) : null;
}

/** @param {Answer} answer */
function alerts(answer) {
  const found = Array.isArray(answer.alerts) ? answer.alerts : [];
  if (!found.length) return null;
  const lines = found.map((alert) =>
    el(
      "li",
      {},
      el("strong", {}, alert.label),
      `: ${percent(alert.probability)}, reported from ${percent(alert.at_least)} on`,
    ),
  );
  return el("div", { class: "alerts" }, el("p", { class: "alerts-title" }, "Alert"), el("ul", {}, ...lines));
}

/** Probabilities, or a regression's number on a scale. @param {Answer} answer */
function chances(answer) {
  if (isNumber(answer.prediction)) {
    return el(
      "section",
      { class: "block" },
      el("h3", {}, "Value"),
      scale(answer.prediction, answer.interval, answer.interval_level, answer.unit ?? ""),
    );
  }
  const found = Object.entries(answer.probabilities ?? {});
  if (!found.length) return null;
  return el(
    "section",
    { class: "block" },
    el("h3", {}, "Probabilities"),
    bars(found, answer.prediction, answer.alerts ?? []),
    answer.provenance?.calibrated === false && el("p", { class: "hint" }, NOT_CALIBRATED),
  );
}

/** @param {Answer} answer */
function others(answer) {
  const known = Object.entries(answer).filter(
    ([name, value]) =>
      !PLACED.has(name) && value !== answer.prediction && (typeof value !== "object" || value === null),
  );
  if (!known.length) return null;
  const entries = known.map(([name, value]) =>
    entry(words(name), value === null ? "does not apply" : isNumber(value) ? plain(value) : String(value)),
  );
  return el("section", { class: "block" }, el("h3", {}, "Also answered"), el("dl", { class: "entries" }, ...entries));
}

/** @param {Answer} answer */
function provenance(answer) {
  const entries = Object.entries(answer.provenance ?? {}).map(([name, value]) =>
    entry(words(name), el("code", {}, written(value))),
  );
  if (answer.prediction_id) entries.unshift(entry("Prediction id", el("code", {}, answer.prediction_id)));
  if (isNumber(answer.processing_time))
    entries.unshift(entry("Computed in", `${Math.round(answer.processing_time * 1000).toLocaleString("en")} ms`));
  entries.unshift(entry("Answered", el("time", { datetime: answer.timestamp }, localTime(answer.timestamp))));
  return el(
    "details",
    { class: "more" },
    el("summary", {}, "What computed it"),
    el("dl", { class: "entries wide" }, ...entries),
  );
}

/** @param {Answer} answer */
function statistics(answer) {
  const found = Object.entries(answer.statistics ?? {}).filter(([, value]) => isNumber(value));
  if (!found.length) return null;
  return el(
    "details",
    { class: "more" },
    el("summary", {}, "What the input is like"),
    el("dl", { class: "entries" }, ...found.map(([name, value]) => entry(words(name), plain(value)))),
  );
}

/** @param {unknown} value @returns {string[]} */
const list = (value) => (Array.isArray(value) ? value.map(String) : []);

/** @param {unknown} value */
function written(value) {
  if (value === null || value === undefined || value === "") return "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
