// @ts-check
/** What stands in the answer's place while there is none. */

import { el } from "./dom.js";

/** Before anything was asked. @param {import("./api.js").Model | undefined} model */
export const start = (model) =>
  el(
    "div",
    { class: "start" },
    el("span", { class: "start-drawing", "aria-hidden": "true" }, el("span", {}), el("span", {}), el("span", {})),
    el("p", { class: "start-title" }, "The answer appears here"),
    el(
      "p",
      {},
      "With its probabilities, how sure it is, whether a person must look, and where in a picture the evidence lies.",
    ),
    model?.disclaimer ? el("p", { class: "disclaimer" }, model.disclaimer) : null,
  );

/** While the server works; some models take more than a minute. @param {string} name */
export function pending(name) {
  const began = Date.now();
  const elapsed = el("p", { class: "hint", "aria-hidden": "true" });
  const shown = el(
    "div",
    { class: "card pending" },
    el("p", { class: "pending-title" }, `Asking ${name}…`),
    el("span", { class: "pending-bar", "aria-hidden": "true" }),
    elapsed,
  );
  const clock = setInterval(() => {
    if (!shown.isConnected) clearInterval(clock);
    else elapsed.textContent = `${Math.round((Date.now() - began) / 1000)} s`;
  }, 1000);
  return shown;
}

/**
 * A sentence, and when to try again.
 * @param {import("./problems.js").Problem} problem @param {() => void} retry
 */
export function failed(problem, retry) {
  const again = el("button", { type: "button", class: "secondary", onclick: retry }, "Try again");
  const wait = el("p", { class: "hint" });
  const said = el(
    "div",
    { role: "alert" },
    el("h3", {}, problem.title),
    el("p", { class: "failed-detail" }, problem.message),
  );
  const shown = el("div", { class: "card failed" }, said, wait, again);
  if (problem.code) shown.append(el("p", { class: "hint code-line" }, "Reason code ", el("code", {}, problem.code)));
  if (problem.retryAfterS > 0) countDown(problem.retryAfterS, wait, again);
  return shown;
}

/** @param {number} seconds @param {HTMLElement} wait @param {HTMLElement} again */
function countDown(seconds, wait, again) {
  const ends = Date.now() + 1000 * seconds;
  const tick = () => {
    const left = Math.ceil((ends - Date.now()) / 1000);
    again.toggleAttribute("disabled", left > 0);
    wait.textContent = left > 0 ? `Try again in ${left} s.` : "Now it may work.";
    if (left <= 0) clearInterval(clock);
  };
  const clock = setInterval(tick, 500);
  tick();
}
