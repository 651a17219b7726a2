// @ts-check
/** The gateway's routes. Paths are relative, so that a proxy may serve the page below a prefix. */

import { Problem, problemOf, unreachable } from "./problems.js";

/**
 * @typedef {{name: string, meaning: string, optional: boolean, picture: boolean}} Input
 * @typedef {{name: string, task: string, labels: string[], unit: string, inputs: Input[], intended_use: string,
 *   limits: string[], disclaimer: string, trained: boolean, version: string, served: boolean, claim: string}} Model
 * @typedef {Record<string, any>} Answer one model's answer, as the server wrote it
 * @typedef {Map<string, File | Blob | string>} Values input name → what is sent
 */

const KEY = "medserve.key";
const NEUTRAL_NAME = "upload"; // a file's own name may hold a patient's: it stays here

export const key = {
  known: () => sessionStorage.getItem(KEY) !== null,
  forget: () => sessionStorage.removeItem(KEY),
  /** @param {string} given @returns {string} what is wrong with it; "" where it was kept */
  keep(given) {
    const trimmed = given.trim();
    if (!/^[\x21-\x7e]+$/.test(trimmed)) return "A key has letters, digits and signs, and no spaces.";
    sessionStorage.setItem(KEY, trimmed);
    return "";
  },
};

/** @returns {Promise<Model[]>} every model that the server describes */
export async function modelInfo() {
  const told = await asked("model-info", {});
  if (!Array.isArray(told?.models))
    throw new Problem("The server is not understood", "Its list of models cannot be read. Is this a MedServe gateway?");
  return told.models;
}

/**
 * One answer, with its heat maps and with what the network saw.
 * @param {string} model
 * @param {Values} values
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export async function predict(model, values, signal) {
  const form = new FormData();
  let bytes = 0;
  for (const [name, value] of values) {
    if (typeof value === "string") form.append(name, value);
    else form.append(name, await readable(value), NEUTRAL_NAME);
    bytes += typeof value === "string" ? value.length : value.size;
  }
  const path = `predict/${encodeURIComponent(model)}?heatmap=png&explain=seen`;
  const answer = await asked(path, { method: "POST", body: form, signal }, bytes);
  if (typeof answer !== "object" || answer === null || !("prediction" in answer)) {
    throw new Problem("The answer cannot be shown", "It holds no prediction.", { code: "broken_answer" });
  }
  return answer;
}

/** A chosen file may have been moved since, or be a folder: said before it looks like a lost connection. @param {Blob} file */
async function readable(file) {
  // Zero bytes of an optional input would mean that none was sent.
  if (!file.size) throw new Problem("The file is empty", "It has no bytes. Choose another.", { code: "empty_file" });
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Problem("The file cannot be read", "It was moved or changed, or is a folder. Choose it again.", {
      code: "unreadable",
    });
  }
  return file;
}

/**
 * @param {string} path
 * @param {RequestInit} request
 * @param {number} [bytes] that it sends
 */
async function asked(path, request, bytes = 0) {
  const held = sessionStorage.getItem(KEY);
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (held) headers.Authorization = `Bearer ${held}`;
  let response;
  try {
    response = await fetch(path, { ...request, headers, credentials: "same-origin", cache: "no-store" });
  } catch (thrown) {
    if (request.signal?.aborted) throw thrown;
    throw unreachable(bytes);
  }
  if (!response.ok) throw await problemOf(response);
  try {
    return await response.json();
  } catch (thrown) {
    if (request.signal?.aborted) throw thrown;
    throw new Problem("The answer cannot be read", "It was cut short, or is not JSON. Try again.", {
      status: response.status,
      code: "broken_answer",
    });
  }
}
