// @ts-check
/** What must be read before the answer is. */

import { el } from "./dom.js";

/** @typedef {import("./api.js").Answer} Answer */

/** @param {Answer} answer */
export const isUntrained = (answer) => answer.provenance?.weights === "untrained";

/** @param {Answer} answer */
export function warning(answer) {
  if (!isUntrained(answer)) return null;
  return el(
    "div",
    { class: "banner untrained" },
    el("p", { class: "banner-title" }, "Untrained weights: this answer means nothing"),
    el(
      "p",
      {},
      "The network runs with random numbers. It shows that the software works, and nothing about the picture or the molecule.",
    ),
  );
}

/** Somebody serves what did not pass its comparison with the original network. @param {Answer} answer */
export function ungated(answer) {
  const why = answer.provenance?.published_anyway;
  if (!why) return null;
  return el(
    "div",
    { class: "banner review" },
    el("p", { class: "banner-title" }, "This version of the network did not pass its checks"),
    el("p", {}, `It is served all the same: ${why}`),
  );
}

/** @param {Answer} answer */
export function review(answer) {
  if (!answer.needs_review) {
    return el(
      "div",
      { class: "banner calm" },
      el("p", {}, "No rule of this model asks for a person to look. The disclaimer below still holds."),
    );
  }
  const reasons = (answer.review_reasons ?? []).map((/** @type {string} */ reason) => el("li", {}, reason));
  return el(
    "div",
    { class: "banner review" },
    el("p", { class: "banner-title" }, "A person must look at this"),
    reasons.length > 0 && el("ul", {}, ...reasons),
  );
}
