// @ts-check
/** Numbers as people read them. */

const PERCENT = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const PLAIN = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

/** @param {unknown} value @returns {value is number} */
export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/**
 * A share of one in percent. What is not certain is never shown as 100 %, nor what is possible as 0 %.
 * @param {unknown} share 0..1
 */
export function percent(share) {
  if (!isNumber(share)) return "not given";
  if (share < 1 && share >= 0.9995) return "> 99.9%";
  if (share > 0 && share < 0.0005) return "< 0.1%";
  return PERCENT.format(share);
}

/** @param {unknown} value */
export function plain(value) {
  if (!isNumber(value)) return "not given";
  if (value > 0 && value < 0.0001) return "< 0.0001";
  return PLAIN.format(value).replace("-", "−");
}

/** @param {unknown} value two places after the point, as a measurement is read */
export const measured = (value) => (isNumber(value) ? value.toFixed(2).replace("-", "−") : "not given");

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** @param {unknown} share 0..1 @returns {number} the same, kept inside */
export const within = (share) => (isNumber(share) ? Math.min(1, Math.max(0, share)) : 0);

/** @param {unknown} stamp ISO 8601 @returns {string} in the reader's own time */
export function localTime(stamp) {
  const when = new Date(String(stamp));
  return Number.isNaN(when.valueOf()) ? "" : when.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}
