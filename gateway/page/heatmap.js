// @ts-check
/** A heat map: the network's own small grid, stretched over the whole picture, in colour and in words. */

// Google's "turbo" at even steps, as the client draws it.
// Source: Mikhailov, "Turbo, An Improved Rainbow Colormap for Visualization", 2019.
const TURBO = [
  [48, 18, 59],
  [70, 107, 227],
  [40, 188, 235],
  [50, 242, 152],
  [164, 252, 60],
  [238, 207, 58],
  [251, 126, 33],
  [209, 47, 5],
  [122, 4, 3],
];
const LARGEST_GRID = 1024;
const FULL_FROM = 0.6; // from this value on, a colour covers as much as the slider says; below it, less

/** @typedef {{width: number, height: number, values: Float32Array}} Grid values in 0..1, row by row */

/**
 * The numbers in a grey picture.
 * @param {CanvasImageSource & {width: number, height: number}} picture
 * @returns {Grid}
 */
export function gridOf(picture) {
  const width = Math.min(picture.width, LARGEST_GRID);
  const height = Math.min(picture.height, LARGEST_GRID);
  const context = contextOf(width, height);
  context.drawImage(picture, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return { width, height, values: Float32Array.from({ length: width * height }, (_, at) => data[4 * at] / 255) };
}

/**
 * The grid in colour, bilinear between the middles of its cells, clear where there is no evidence.
 * @param {Grid} grid
 * @param {number} width of what is drawn
 * @param {number} height
 * @returns {HTMLCanvasElement}
 */
export function coloured(grid, width, height) {
  const context = contextOf(width, height);
  const drawn = context.createImageData(width, height);
  const columns = places(width, grid.width);
  const rows = places(height, grid.height);
  let at = 0;
  for (const row of rows) {
    for (const column of columns) {
      const value = between(grid, row, column);
      drawn.data.set(colour(value), at);
      drawn.data[at + 3] = Math.round(255 * Math.min(1, value / FULL_FROM));
      at += 4;
    }
  }
  context.putImageData(drawn, 0, 0);
  return context.canvas;
}

/**
 * Where the evidence lies, for those who cannot see it.
 * @param {Grid} grid
 */
export function inWords({ width, height, values }) {
  const peak = values.reduce((best, value, at) => (value > values[best] ? at : best), 0);
  if (!(values[peak] > 0)) return "No part of the picture speaks for this answer.";
  const share = values.filter((value) => value >= values[peak] / 2).length / values.length;
  const place = placeOf(((peak % width) + 0.5) / width, (Math.floor(peak / width) + 0.5) / height);
  return `The evidence is strongest ${place} of the picture; it is at least half as strong in ${Math.round(100 * share)}% of its area.`;
}

/** @param {number} x 0..1 from the left @param {number} y 0..1 from the top */
function placeOf(x, y) {
  const across = x < 1 / 3 ? "left" : x > 2 / 3 ? "right" : "";
  const down = y < 1 / 3 ? "upper" : y > 2 / 3 ? "lower" : "";
  if (!across && !down) return "in the middle";
  if (!across) return `in the ${down} middle`;
  return `at the ${down ? `${down} ` : ""}${across}`;
}

/**
 * For each pixel: the two cells that it lies between, and how far it is from the first to the second.
 * @param {number} pixels @param {number} cells @returns {[number, number, number][]}
 */
function places(pixels, cells) {
  return Array.from({ length: pixels }, (_, pixel) => {
    const exact = Math.min(cells - 1, Math.max(0, ((pixel + 0.5) * cells) / pixels - 0.5));
    const first = Math.floor(exact);
    return [first, Math.min(cells - 1, first + 1), exact - first];
  });
}

/** @param {Grid} grid @param {[number, number, number]} row @param {[number, number, number]} column */
function between({ width, values }, [top, bottom, down], [left, right, across]) {
  const upper = values[top * width + left] * (1 - across) + values[top * width + right] * across;
  const lower = values[bottom * width + left] * (1 - across) + values[bottom * width + right] * across;
  return upper * (1 - down) + lower * down;
}

/** @param {number} value 0..1 @returns {number[]} red, green, blue */
function colour(value) {
  const exact = Math.min(1, Math.max(0, value)) * (TURBO.length - 1);
  const first = Math.min(TURBO.length - 2, Math.floor(exact));
  return TURBO[first].map((low, channel) => Math.round(low + (TURBO[first + 1][channel] - low) * (exact - first)));
}

/** @param {number} width @param {number} height @returns {CanvasRenderingContext2D & {canvas: HTMLCanvasElement}} */
export function contextOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser draws no canvas");
  return context;
}
