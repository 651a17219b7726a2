// @ts-check
/** The pictures of an answer: each under its heat map, and what the network saw of it. */

import { el } from "./dom.js";
import { coloured, contextOf, gridOf, inWords } from "./heatmap.js";
import { isDrawing, opened, pictureAddress } from "./pictures.js";

const COLOURED = 320; // pixels of a coloured map's longer side: smooth when it is stretched further
const OPACITY = 55; // per cent, before anybody moves the slider

/**
 * @typedef {{picture: HTMLCanvasElement, faithful: boolean}} Sent a picture as the browser shows it
 * @typedef {import("./heatmap.js").Grid} Grid
 * @typedef {{input: string, own: Sent | null, seen: HTMLCanvasElement | null, grid: Grid | null,
 *   context: CanvasRenderingContext2D, canvas: HTMLCanvasElement}} View
 */

/**
 * @param {import("./api.js").Answer} answer
 * @param {Map<string, Sent>} sent input name → the picture that was sent, where the browser can show it
 * @param {(input: string) => string} title of an input
 * @returns {Promise<HTMLElement | null>} null where there is nothing to show
 */
export async function figures(answer, sent, title) {
  const maps = answer.heatmaps ?? {};
  const pictures = answer.pictures ?? {};
  const names = [...new Set([...sent.keys(), ...Object.keys(pictures), ...Object.keys(maps)])];
  const drawings = names.filter((name) => isDrawing(pictureAddress(pictures[name])));
  /** @type {View[]} */
  const views = [];
  for (const input of names.filter((name) => !drawings.includes(name))) {
    const view = await viewOf(input, sent.get(input) ?? null, pictures[input], maps[input]);
    if (view) views.push(view);
  }
  if (!views.length && !drawings.length) return null;
  const several = views.length > 1;
  const heading = drawings.length
    ? "Structure"
    : views.some((view) => view.grid)
      ? "Where the evidence lies"
      : "Picture";
  const section = el("section", {
    class: several ? "block views pair" : "block views",
    "aria-labelledby": "views-title",
  });
  section.append(el("h3", { id: "views-title" }, heading));
  const row = el("div", { class: several ? "view-row two" : "view-row" });
  row.append(
    ...drawings.map((name) => drawing(pictureAddress(pictures[name]))),
    ...views.map((view) => framed(view, title(view.input), several)),
  );
  section.append(row, ...controls(views));
  return section;
}

/** @param {string} input @param {Sent | null} own @param {unknown} seenUri @param {unknown} mapUri @returns {Promise<View | null>} */
async function viewOf(input, own, seenUri, mapUri) {
  const seen = await opened(pictureAddress(seenUri));
  if (!own && !seen) return null;
  const map = await opened(pictureAddress(mapUri));
  const shown = own?.picture ?? seen;
  const context = contextOf(shown?.width ?? 1, shown?.height ?? 1);
  return { input, own, seen, grid: map && gridOf(map), context, canvas: context.canvas };
}

/** A molecule. @param {string} uri */
const drawing = (uri) =>
  el(
    "figure",
    { class: "view" },
    el("div", { class: "paper" }, el("img", { src: uri, alt: "The molecule, drawn from what was sent" })),
  );

/** @param {View} view @param {string} title @param {boolean} several */
function framed(view, title, several) {
  const said = view.grid ? inWords(view.grid) : "";
  view.canvas.setAttribute("role", "img");
  view.canvas.setAttribute("aria-label", `${title}${view.grid ? " under its heat map" : ""}. ${said}`.trim());
  const caption = el("figcaption", {}, several && el("strong", {}, `${title}. `), said);
  return el(
    "figure",
    { class: "view" },
    el("div", { class: "lightbox" }, view.canvas),
    caption.textContent ? caption : null,
  );
}

/** @param {View[]} views @returns {HTMLElement[]} */
function controls(views) {
  if (!views.length) return [];
  const state = { opacity: OPACITY, seen: views.some((view) => !view.own?.faithful && view.seen) };
  const redraw = () => views.forEach((view) => draw(view, state));
  redraw();
  const bar = el("div", { class: "view-controls" });
  if (views.some((view) => view.grid)) bar.append(slider(state, redraw), legend());
  if (views.some((view) => view.own && view.seen)) bar.append(choice(state, redraw));
  const note =
    "The map covers the whole picture on the network's own coarse grid. It shows what the network used, not where a disease is; left and right are the picture's, not the patient's.";
  return [bar, ...(views.some((view) => view.grid) ? [el("p", { class: "hint" }, note)] : [])];
}

/** @param {{opacity: number}} state @param {() => void} redraw */
function slider(state, redraw) {
  const shown = el("output", { for: "opacity" }, `${state.opacity}%`);
  const input = /** @type {HTMLInputElement} */ (
    el("input", {
      id: "opacity",
      type: "range",
      min: 0,
      max: 100,
      step: 5,
      value: state.opacity,
      "aria-valuetext": `${state.opacity}%`,
    })
  );
  input.addEventListener("input", () => {
    state.opacity = Number(input.value);
    shown.textContent = `${input.value}%`;
    input.setAttribute("aria-valuetext", `${input.value}%`);
    redraw();
  });
  return el("div", { class: "slider" }, el("label", { for: "opacity" }, "Heat map opacity"), input, shown);
}

const legend = () =>
  el(
    "p",
    { class: "legend" },
    el("span", {}, "less"),
    el("span", { class: "ramp", "aria-hidden": "true" }),
    el("span", {}, "more evidence"),
  );

/** Which picture lies below: the file, or what became of it. @param {{seen: boolean}} state @param {() => void} redraw */
function choice(state, redraw) {
  const option = (/** @type {string} */ text, /** @type {boolean} */ seen) =>
    el(
      "label",
      {},
      el("input", {
        type: "radio",
        name: "below",
        checked: state.seen === seen,
        onchange: () => {
          state.seen = seen;
          redraw();
        },
      }),
      el("span", {}, text),
    );
  return el(
    "fieldset",
    { class: "segments" },
    el("legend", { class: "visually-hidden" }, "Picture below the map"),
    option("As sent", false),
    option("As the network saw it", true),
  );
}

/** @param {View} view @param {{opacity: number, seen: boolean}} state */
function draw({ own, seen, grid, context, canvas }, state) {
  const picture = state.seen ? (seen ?? own?.picture) : (own?.picture ?? seen);
  if (!picture) return;
  // What the network saw is a square: it is shown in the shape of the picture that it was made from.
  const { width, height } = own?.picture ?? picture;
  canvas.width = width;
  canvas.height = height;
  context.globalAlpha = 1;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  if (!grid || !state.opacity) return;
  const scale = COLOURED / Math.max(width, height);
  context.globalAlpha = state.opacity / 100;
  context.drawImage(
    coloured(grid, Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))),
    0,
    0,
    width,
    height,
  );
}
