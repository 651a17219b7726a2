// @ts-check
/** The page: what is chosen on the left, what is answered on the right, what was answered before below. */

import { answerOf, summary } from "./answer.js";
import { key, modelInfo, predict } from "./api.js";
import { byId, el } from "./dom.js";
import { clear, copiesOf, item, recent, remember } from "./history.js";
import { Inputs } from "./inputs.js";
import { aboutOf, badgesOf, optionsOf } from "./models.js";
import { asProblem, Problem } from "./problems.js";
import { failed, pending, start } from "./states.js";

/** @typedef {import("./api.js").Model} Model */

/** @type {Model[]} */
let models = [];
/** @type {AbortController | null} */
let running = null;
const inputs = new Inputs(byId("inputs"), () => say("form-problem", ""));

const chosenModel = () => models.find((model) => model.name === byId("model").value);

/** @param {string} id @param {string} text */
function say(id, text) {
  byId(id).textContent = text;
}

/** @param {...(HTMLElement | null)} shown */
function show(...shown) {
  byId("answer-body").replaceChildren(...shown.filter((node) => node !== null));
}

/** Asks what there is; a key is asked for where the server wants one. */
async function load() {
  say("loading", "Asking the server for its models…");
  byId("loading").hidden = false;
  show(start(undefined));
  try {
    const before = byId("model").value;
    models = await modelInfo();
    byId("model")
      .querySelectorAll("option")
      .forEach((/** @type {Element} */ option) => option.remove());
    byId("model").append(...optionsOf(models, before));
    if (!models.length) throw new Problem("No model is there", "This server serves none. Tell whoever runs it.");
    opened(true);
    chosen();
  } catch (thrown) {
    const problem = asProblem(thrown);
    byId("loading").hidden = true;
    if (problem.status === 401) locked(problem);
    else show(failed(problem, () => void load()));
  }
}

/** @param {boolean} open */
function opened(open) {
  byId("loading").hidden = true;
  byId("ask-form").hidden = !open;
  byId("key-form").hidden = open;
  byId("forget-key").hidden = !key.known();
}

/** @param {import("./problems.js").Problem} problem */
function locked(problem) {
  const refused = key.known();
  key.forget();
  opened(false);
  say("key-problem", refused ? problem.message : "");
  byId("key").focus();
}

/** Another model: other fields, other words. */
function chosen() {
  const model = chosenModel();
  if (!model) return;
  byId("model-badges").replaceChildren(...badgesOf(model));
  byId("about-body").replaceChildren(...aboutOf(model));
  byId("about").hidden = false;
  say("form-problem", "");
  inputs.show(model.inputs);
  if (!byId("answer-body").querySelector(".result, .failed, .pending")) show(start(model));
}

async function ask() {
  const model = chosenModel();
  if (!model) return;
  const missing = inputs.missing();
  say("form-problem", missing);
  if (missing) return inputs.focus();
  running?.abort();
  const controller = (running = new AbortController());
  const values = inputs.values();
  busy(true, model.name);
  try {
    const sent = await inputs.pictures();
    const answer = await predict(model.name, values, controller.signal);
    const shown = await answerOf(answer, model, sent);
    if (controller !== running) return;
    show(shown);
    say("status", summary(answer));
    await remember(answer, sent).catch(() => undefined); // the answer is there, kept or not
    list();
  } catch (thrown) {
    if (controller !== running) return;
    refused(asProblem(thrown));
  } finally {
    if (controller === running) busy(false, "");
  }
  bringIntoView();
}

/** @param {import("./problems.js").Problem} problem */
function refused(problem) {
  show(failed(problem, () => void ask()));
  if (problem.status === 401) locked(problem);
}

/** @param {boolean} on @param {string} name */
function busy(on, name) {
  byId("cancel").hidden = !on;
  byId("answer").setAttribute("aria-busy", String(on));
  if (!on) return;
  show(pending(name));
  say("status", `Asking ${name}.`);
}

function cancel() {
  running?.abort();
  running = null;
  busy(false, "");
  show(start(chosenModel()));
  say("status", "Cancelled.");
  byId("ask").focus();
}

/** On a narrow page the answer lies below the form. */
function bringIntoView() {
  const answer = byId("answer");
  if (answer.getBoundingClientRect().top < innerHeight * 0.7) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  answer.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}

function list() {
  const results = recent();
  byId("recent").hidden = !results.length;
  byId("recent-list").replaceChildren(...results.map((result) => item(result, () => void again(result))));
}

/** @param {import("./history.js").Result} result */
async function again(result) {
  if (running) cancel();
  const model = models.find((each) => each.name === result.answer.model);
  show(
    await answerOf(
      result.answer,
      model,
      await copiesOf(result),
      "An earlier result; its pictures are the small copies that this tab keeps.",
    ),
  );
  say("status", `Earlier result. ${summary(result.answer)}`);
  byId("answer").focus({ preventScroll: true });
  bringIntoView();
}

/** A picture that was dropped beside a zone, or pasted, goes to the first input that is empty. @param {Blob | undefined} file */
function offer(file) {
  if (!file || byId("ask-form").hidden) return;
  if (!inputs.offer(file))
    say("form-problem", "This model takes no picture: choose another model, or type what it takes.");
}

function wire() {
  byId("ask-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    void ask();
  });
  byId("key-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const wrong = key.keep(byId("key").value);
    say("key-problem", wrong);
    if (wrong) return;
    byId("key").value = "";
    void load();
  });
  byId("forget-key").addEventListener("click", () => {
    key.forget();
    clear(); // whoever comes next may not see what this key saw
    list();
    byId("answer-body").replaceChildren();
    say("status", "The key is forgotten, and what it showed.");
    void load();
  });
  byId("model").addEventListener("change", chosen);
  byId("cancel").addEventListener("click", cancel);
  byId("clear-recent").addEventListener("click", () => {
    clear();
    list();
    say("status", "Recent results are cleared.");
  });
  // Only files: a dragged text belongs into the field that it is dropped on.
  const files = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (files(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    offer(event.dataTransfer?.files[0]);
  });
  document.addEventListener("paste", (event) => offer(event.clipboardData?.files[0]));
}

wire();
list();
void load();
