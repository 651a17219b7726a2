// @ts-check
/** What is told of the models before one is asked. */

import { el, entry, words } from "./dom.js";

/** @typedef {import("./api.js").Model} Model */

/**
 * @param {Model[]} models
 * @param {string} before the name that was chosen; else the first that is served is
 * @returns {HTMLElement[]}
 */
export function optionsOf(models, before) {
  const first =
    models.find((model) => model.name === before) ?? models.find((model) => model.served !== false) ?? models[0];
  return models.map((model) =>
    el(
      "option",
      { value: model.name, disabled: model.served === false, selected: model === first },
      el("span", { class: "option-task" }, words(model.task), " "),
      el("span", { class: "option-name" }, model.served === false ? `${model.name}, not served now` : model.name),
    ),
  );
}

/** An input's name as its meaning writes it ("CT", "SMILES"), else with a capital. @param {import("./api.js").Input} input */
export function titleOf({ name, meaning }) {
  const written = String(meaning)
    .split(/[^\p{L}\p{N}_]+/u)
    .find((word) => word.toLowerCase() === name.toLowerCase());
  return words(written ?? name);
}

/** @param {Model} model @returns {HTMLElement[]} */
export function badgesOf(model) {
  if (model.trained === false)
    return [el("span", { class: "badge loud" }, "Untrained weights: its answers mean nothing")];
  return [];
}

/** @param {Model} model @returns {HTMLElement[]} */
export function aboutOf(model) {
  const limits = Array.isArray(model.limits) ? model.limits : [];
  const told = [
    ["Meant for", model.intended_use],
    ["Answers", model.labels?.length ? model.labels.join(", ") : `a number in ${model.unit}`],
    ["Claimed by its source", model.claim],
    ["Version", model.version],
    ["Weights", model.trained ? "trained" : "untrained"],
  ];
  const entries = told.filter(([, said]) => said).map(([term, said]) => entry(String(term), String(said)));
  const known = limits.length
    ? [
        el("p", { class: "label" }, "Known limits"),
        el("ul", { class: "limits" }, ...limits.map((limit) => el("li", {}, limit))),
      ]
    : [];
  return [el("dl", { class: "entries wide" }, ...entries), ...known];
}
