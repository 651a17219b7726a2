// @ts-check
/** What went wrong, as a title and a sentence with the next step. */

const MAX_TEXT = 1000; // characters of a server's sentence

/** By status: a title, since RFC 9457's is HTTP's own phrase, and a sentence for answers that bring none. */
const SENTENCES = /** @type {Record<number, [string, string]>} */ ({
  400: ["The request was not understood", "Reload the page, and try again."],
  401: ["This server asks for a key", "Enter a key, then ask again."],
  403: ["This key may not do that", "Ask whoever runs the server for a key that covers this model."],
  404: ["The model is not there", "Reload the page to see which models are served now."],
  408: ["The upload took too long", "Check the connection, then try again."],
  413: ["The file is too large", "Send a smaller file."],
  415: ["This kind of file is not taken", "Send a picture in one of the formats that the input names."],
  422: ["The input cannot be used", "Check it, or send another one."],
  429: ["Too many requests", "Wait a moment, then try again."],
  500: ["The server failed", "Try again. If it goes on, tell whoever runs the server."],
  502: ["The server is not answering", "Try again in a minute."],
  503: ["The server is busy or not ready", "Try again in a moment."],
  504: ["The server took too long", "Try again in a moment."],
});

export class Problem extends Error {
  /**
   * @param {string} title
   * @param {string} detail a sentence
   * @param {{status?: number, code?: string, retryAfterS?: number}} [more] `retryAfterS`: when it may help to ask again
   */
  constructor(title, detail, { status = 0, code = "", retryAfterS = 0 } = {}) {
    super(detail);
    this.title = title;
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/**
 * Of an answer that is no success: RFC 9457 where it is one, else a sentence for its status.
 * @param {Response} response
 */
export async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  const [title, detail] = SENTENCES[response.status] ?? [
    "The server refused",
    `It answered with status ${response.status}.`,
  ];
  return new Problem(title, text(told?.detail) || detail, {
    status: response.status,
    code: text(told?.code),
    retryAfterS: retryAfter(response.headers.get("Retry-After")),
  });
}

/**
 * Of a request that got no answer at all.
 * @param {number} sentBytes
 */
export function unreachable(sentBytes) {
  if (navigator.onLine === false) {
    return new Problem("This computer is offline", "Connect it to the network, then try again.", { code: "offline" });
  }
  const large = sentBytes > 8e6 ? " A file of this size may also be more than the server takes." : "";
  return new Problem("The server cannot be reached", `No answer came. Check that it runs, then try again.${large}`, {
    code: "unreachable",
  });
}

/**
 * Sentences for anything that was thrown.
 * @param {unknown} thrown
 */
export function asProblem(thrown) {
  if (thrown instanceof Problem) return thrown;
  return new Problem(
    "The answer cannot be shown",
    "It is not what this page understands. Reload the page; if it goes on, tell whoever runs the server.",
    { code: "broken_answer" },
  );
}

/** @param {unknown} value */
const text = (value) => (typeof value === "string" ? value.slice(0, MAX_TEXT) : "");

/** @param {string | null} header seconds, or a date @returns {number} seconds */
function retryAfter(header) {
  if (!header) return 0;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(3600, Math.max(0, Math.ceil(seconds))) : 0;
}
