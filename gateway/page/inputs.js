// @ts-check
/** The fields of a form, made from what a model says it takes. */

import { el } from "./dom.js";
import { titleOf } from "./models.js";
import { size } from "./numbers.js";
import { kindOf, opened } from "./pictures.js";

/**
 * @typedef {import("./api.js").Input} Input
 * @typedef {{file: File | Blob, kind: string, picture: HTMLCanvasElement | null, faithful: boolean}} Chosen
 */

export class Inputs {
  /** @param {HTMLElement} place @param {() => void} changed called after something was chosen or taken away */
  constructor(place, changed) {
    this.place = place;
    this.changed = changed;
    /** @type {Input[]} */
    this.inputs = [];
    /** @type {Map<string, Chosen>} */
    this.chosen = new Map();
    /** @type {Map<string, string>} */
    this.typed = new Map();
    /** @type {Promise<void>} */
    this.opening = Promise.resolve(); // ends when the last chosen picture can be shown, or cannot
  }

  /** Fields for this model; what was chosen for an input of the same name stays. @param {Input[]} inputs */
  show(inputs) {
    this.inputs = inputs;
    this.place.replaceChildren(...inputs.map((input) => (input.picture ? this.#zone(input) : this.#text(input))));
  }

  /** What is sent. @returns {import("./api.js").Values} */
  values() {
    const found = new Map();
    for (const { name, picture } of this.inputs) {
      const value = picture ? this.chosen.get(name)?.file : this.typed.get(name)?.trim();
      if (value) found.set(name, value);
    }
    return found;
  }

  /** Pictures that the browser can show. @returns {Promise<Map<string, import("./figures.js").Sent>>} */
  async pictures() {
    const taken = this.inputs.map(({ name }) => /** @type {const} */ ([name, this.chosen.get(name)])); // before anybody chooses another
    await this.opening;
    const found = new Map();
    for (const [name, chosen] of taken) {
      if (chosen?.picture) found.set(name, { picture: chosen.picture, faithful: chosen.faithful });
    }
    return found;
  }

  /** What is still missing, as a sentence; "" where all is there. */
  missing() {
    const values = this.values();
    const needed = this.inputs.filter((input) => !input.optional && !values.has(input.name));
    if (needed.length)
      return needed
        .map((input) => `${titleOf(input)}: ${input.picture ? "choose a picture" : "type something"} first.`)
        .join(" ");
    return values.size ? "" : `Give at least one of: ${this.inputs.map(titleOf).join(", ")}.`;
  }

  /** Puts the reader at the first field that wants something. */
  focus() {
    const values = this.values();
    const first = this.inputs.find((input) => !values.has(input.name)) ?? this.inputs[0];
    if (first) document.getElementById(idOf(first))?.focus();
  }

  /** A picture that was dropped beside a zone, or pasted: to the first input that is empty. @param {Blob | undefined} file @returns {boolean} */
  offer(file) {
    const pictures = this.inputs.filter((input) => input.picture);
    const first = pictures.find((input) => !this.chosen.has(input.name)) ?? pictures[0];
    if (!file || !first) return false;
    this.#choose(first, file);
    return true;
  }

  /** @param {Input} input @param {Blob} file */
  #choose(input, file) {
    /** @type {Chosen} */
    const chosen = { file, kind: "File", picture: null, faithful: false };
    this.chosen.set(input.name, chosen);
    this.changed();
    this.opening = Promise.all([this.opening, this.#open(input, chosen)]).then(() => undefined);
  }

  /** @param {Input} input @param {Chosen} chosen */
  async #open(input, chosen) {
    Object.assign(chosen, await kindOf(chosen.file).catch(() => ({})), { picture: await opened(chosen.file) });
    if (this.chosen.get(input.name) === chosen) this.#refresh(input); // else another was chosen meanwhile
  }

  /** @param {Input} input */
  #refresh(input) {
    const old = this.place.querySelector(`[data-input="${CSS.escape(input.name)}"]`);
    if (!old) return;
    const focused = old.contains(document.activeElement);
    old.replaceWith(this.#zone(input));
    if (focused) document.getElementById(idOf(input))?.focus();
  }

  /** @param {Input} input */
  #zone(input) {
    const chosen = this.chosen.get(input.name);
    const file = el("input", {
      type: "file",
      id: idOf(input),
      class: "visually-hidden",
      "aria-describedby": `${idOf(input)}-hint`,
    });
    file.addEventListener("change", () => {
      const first = /** @type {HTMLInputElement} */ (file).files?.[0];
      if (first) this.#choose(input, first);
    });
    const zone = el(
      "label",
      { class: chosen ? "zone filled" : "zone", for: idOf(input) },
      file,
      ...(chosen ? filled(input, chosen) : empty(input)),
    );
    catchDrops(zone, (dropped) => this.#choose(input, dropped));
    const clear = el(
      "button",
      { type: "button", class: "quiet small", onclick: () => this.#clear(input) },
      `Remove`,
      el("span", { class: "visually-hidden" }, ` ${titleOf(input)}`),
    );
    return el(
      "div",
      { class: "field", "data-input": input.name },
      el(
        "div",
        { class: "label-row" },
        el(
          "span",
          { class: "label" },
          titleOf(input),
          input.optional && el("span", { class: "optional" }, " optional"),
        ),
        chosen && clear,
      ),
      zone,
      el("p", { class: "hint", id: `${idOf(input)}-hint` }, formats(input)),
    );
  }

  /** @param {Input} input */
  #clear(input) {
    this.chosen.delete(input.name);
    this.#refresh(input);
    document.getElementById(idOf(input))?.focus();
    this.changed();
  }

  /** @param {Input} input */
  #text(input) {
    // No spelling help: some browsers send what is typed to their maker for it.
    const field = /** @type {HTMLInputElement} */ (
      el("input", {
        type: "text",
        id: idOf(input),
        autocomplete: "off",
        autocapitalize: "off",
        spellcheck: "false",
        "aria-describedby": `${idOf(input)}-hint`,
      })
    );
    field.value = this.typed.get(input.name) ?? "";
    field.addEventListener("input", () => {
      this.typed.set(input.name, field.value);
      this.changed();
    });
    return el(
      "div",
      { class: "field", "data-input": input.name },
      el("label", { for: idOf(input) }, titleOf(input)),
      field,
      el("p", { class: "hint", id: `${idOf(input)}-hint` }, input.meaning),
    );
  }
}

/** @param {Input} input */
const idOf = (input) => `input-${input.name}`;

/** The formats that an input's meaning lists in brackets, else the whole of it. @param {Input} input */
function formats({ meaning }) {
  const listed = /\(([^()]*,[^()]*)\)/.exec(meaning)?.[1];
  return listed ? `${listed}. The file's name is not sent.` : meaning;
}

/** @param {Input} input */
const empty = (input) => [
  el("span", { class: "zone-icon", "aria-hidden": "true" }),
  el(
    "span",
    { class: "zone-text" },
    el("strong", {}, "Choose a picture"),
    el("span", { class: "visually-hidden" }, ` for ${titleOf(input)}`),
    el("span", { class: "zone-more" }, "or drop it here, or paste one"),
  ),
];

/** @param {Input} input @param {Chosen} chosen */
function filled(input, { file, kind, picture }) {
  const copy = picture && el("img", { class: "zone-picture", src: picture.toDataURL("image/jpeg", 0.85), alt: "" });
  const more = picture
    ? "choose or drop another"
    : "This browser cannot show it; the answer shows what the network saw.";
  return [
    copy || el("span", { class: "zone-kind", "aria-hidden": "true" }, kind),
    el(
      "span",
      { class: "zone-text" },
      el("span", { class: "visually-hidden" }, `${titleOf(input)}: `),
      el("strong", {}, `${kind}, ${size(file.size)}`),
      el("span", { class: "zone-more" }, more),
    ),
  ];
}

/** @param {HTMLElement} zone @param {(file: File) => void} taken */
function catchDrops(zone, taken) {
  zone.addEventListener("dragover", () => zone.classList.add("over"));
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.remove("over");
    const file = event.dataTransfer?.files[0];
    if (file) taken(file);
  });
}
