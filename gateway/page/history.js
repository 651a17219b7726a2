// @ts-check
/**
 * Recent results, in this tab only: sessionStorage is gone when the tab is closed, as it should be on a shared computer.
 * Kept are answers and small copies of pictures; never a file's name, nor what was typed.
 */

import { isUntrained } from "./banners.js";
import { el } from "./dom.js";
import { isNumber, localTime, measured, percent } from "./numbers.js";
import { isDrawing, opened, pictureAddress, small } from "./pictures.js";

const KEPT = "medserve.recent";
const MOST = 12;

/**
 * @typedef {import("./figures.js").Sent} Sent
 * @typedef {{answer: import("./api.js").Answer, copies: Record<string, string>}} Result `copies`: input → small picture
 */

/** @returns {Result[]} newest first */
export function recent() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(kept) ? kept.filter((each) => each?.answer && each?.copies) : [];
  } catch {
    return []; // another page of this origin wrote it
  }
}

/**
 * @param {import("./api.js").Answer} answer
 * @param {Map<string, Sent>} sent
 */
export async function remember(answer, sent) {
  /** @type {Record<string, string>} */
  const copies = {};
  const drawings = Object.fromEntries(
    Object.entries(answer.pictures ?? {}).filter(([, uri]) => isDrawing(pictureAddress(uri))),
  );
  for (const [input, uri] of Object.entries(answer.pictures ?? {})) {
    const picture = sent.get(input)?.faithful ? sent.get(input)?.picture : await opened(pictureAddress(uri));
    if (picture && !(input in drawings)) copies[input] = small(picture);
  }
  for (const [input, { picture }] of sent) copies[input] ??= small(picture);
  const { overlays: _overlays, pictures: _pictures, ...rest } = answer;
  write([{ answer: { ...rest, pictures: drawings }, copies }, ...recent()].slice(0, MOST));
}

export const clear = () => sessionStorage.removeItem(KEPT);

/** As many of the newest as the browser has room for. @param {Result[]} results */
function write(results) {
  for (let kept = results.length; kept > 0; kept -= 1) {
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(results.slice(0, kept)));
      return;
    } catch {
      continue; // full: without the oldest, then
    }
  }
}

/** The pictures of a kept result, to be shown again. @param {Result} result @returns {Promise<Map<string, Sent>>} */
export async function copiesOf({ copies }) {
  const found = new Map();
  for (const [input, uri] of Object.entries(copies)) {
    const picture = await opened(pictureAddress(uri));
    if (picture) found.set(input, { picture, faithful: true });
  }
  return found;
}

/** @param {Result} result @param {() => void} chosen */
export function item({ answer, copies }, chosen) {
  const found = isNumber(answer.prediction)
    ? `${measured(answer.prediction)} ${answer.unit ?? ""}`
    : String(answer.prediction);
  const uri = pictureAddress(Object.values(copies)[0] ?? Object.values(answer.pictures ?? {})[0]);
  return el(
    "li",
    {},
    el(
      "button",
      { type: "button", class: "recent-item", onclick: chosen },
      uri
        ? el("img", { src: uri, alt: "", class: isDrawing(uri) ? "drawn" : "" })
        : el("span", { class: "no-picture" }),
      el(
        "span",
        { class: "recent-text" },
        el(
          "strong",
          {},
          found,
          isNumber(answer.confidence) && el("span", { class: "recent-share" }, ` ${percent(answer.confidence)}`),
        ),
        el("span", { class: "recent-more" }, `${answer.model}, ${localTime(answer.timestamp)}`),
        (isUntrained(answer) || answer.needs_review) &&
          el(
            "span",
            { class: isUntrained(answer) ? "recent-flag untrained" : "recent-flag" },
            isUntrained(answer) ? "Untrained: means nothing" : "A person must look",
          ),
      ),
    ),
  );
}
