// @ts-check
/** Pictures that the browser can or cannot show. */

import { contextOf } from "./heatmap.js";

const LONGEST = 1400; // pixels of a picture's longer side on the page
const SMALL = 240; // and of the copy that the tab keeps

/**
 * A picture in memory, turned upright as its EXIF says; null for what the browser cannot show (DICOM, TIFF, text).
 * @param {Blob | string} source a file, or a data: URI of a picture
 * @returns {Promise<HTMLCanvasElement | null>}
 */
export async function opened(source) {
  const address = typeof source === "string" ? pictureAddress(source) : URL.createObjectURL(source);
  if (!address) return null;
  const image = new Image();
  try {
    image.src = address;
    await image.decode();
    return drawn(image, image.naturalWidth, image.naturalHeight);
  } catch {
    return null;
  } finally {
    if (typeof source !== "string") URL.revokeObjectURL(address);
  }
}

/**
 * The same picture, no larger than the page needs it.
 * @param {CanvasImageSource} image @param {number} width @param {number} height @param {number} [longest]
 */
export function drawn(image, width, height, longest = LONGEST) {
  if (!width || !height) return null;
  const scale = Math.min(1, longest / Math.max(width, height));
  const context = contextOf(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, context.canvas.width, context.canvas.height);
  return context.canvas;
}

/** A small JPEG of a picture. @param {HTMLCanvasElement} picture @returns {string} data: URI */
export const small = (picture) =>
  drawn(picture, picture.width, picture.height, SMALL)?.toDataURL("image/jpeg", 0.8) ?? "";

/** @param {unknown} uri @returns {string} it, where it is a data: URI of a picture and so asks nobody; else "" */
export const pictureAddress = (uri) =>
  typeof uri === "string" && /^data:image\/(png|jpeg|svg\+xml)[;,]/.test(uri) ? uri : "";

/** @param {string} uri */
export const isDrawing = (uri) => uri.startsWith("data:image/svg+xml");

/**
 * What kind of file this is, by its first bytes; and whether its pixels are what the network sees.
 * A browser shows 16-bit files by their upper byte, black where a detector fills 12 of them: the server's view is better.
 * @param {Blob} file
 * @returns {Promise<{kind: string, faithful: boolean}>}
 */
export async function kindOf(file) {
  const head = new Uint8Array(await file.slice(0, 132).arrayBuffer());
  const text = (/** @type {number} */ from, /** @type {number} */ to) => String.fromCharCode(...head.slice(from, to));
  if (text(1, 4) === "PNG") return { kind: "PNG", faithful: head[24] !== 16 };
  if (text(128, 132) === "DICM") return { kind: "DICOM", faithful: false };
  if (head[0] === 0xff && head[1] === 0xd8) return { kind: "JPEG", faithful: true };
  if (text(0, 2) === "BM") return { kind: "BMP", faithful: true };
  if (text(8, 12) === "WEBP") return { kind: "WebP", faithful: true };
  if (text(0, 4) === "II*\0" || text(0, 4) === "MM\0*") return { kind: "TIFF", faithful: false };
  return { kind: "File", faithful: true };
}
