// @ts-check
/** Elements of text and attributes. Whatever the server says becomes a text node, never markup. */

/**
 * @param {string} tag
 * @param {Record<string, any>} [given] attributes; `on…` are listeners, `vars` are CSS custom properties;
 *   null, undefined and false are left out.
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {HTMLElement}
 */
export function el(tag, given = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) set(node, name, value);
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false)
      node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/** @param {HTMLElement} node @param {string} name @param {any} value */
function set(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "vars") {
    for (const [key, text] of Object.entries(value)) node.style.setProperty(`--${key}`, String(text));
  } else if (name.startsWith("on")) {
    node.addEventListener(name.slice(2), value);
  } else {
    node.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * An element of the page that must be there.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page has no #${id}`);
  return node;
}

/**
 * A term and what is said of it, for a <dl>.
 * @param {string} term
 * @param {Node | string} said
 */
export const entry = (term, said) => el("div", { class: "entry" }, el("dt", {}, term), el("dd", {}, said));

/**
 * Words of an identifier: "survival_risk" → "Survival risk".
 * @param {string} name
 */
export function words(name) {
  const spaced = name.replaceAll("_", " ").trim();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
