"use strict";
// The labelling page: one question after the other, answered with a button, a key, a number, some words or boxes. Every text is set as text, never as HTML.

const form = document.getElementById("label");
const place = Object.fromEntries(["progress", "done", "question", "truth", "error", "save", "skip", "back", "model", "by"].map((id) => [id, document.getElementById(id)]));
const MOST_BUTTONS = 30;
const ROW = new Set(["number", "category", "moment"]); // kinds that are shown as a table
const passed = []; // questions before this one, to go back to
let question = null;
let read = null; // gives the truth as it stands in the form; undefined where it is not said yet
let labelled = 0;
let busy = false; // a label is on its way: a key that is pressed twice says nothing about the next question

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function complain(message) {
  place.error.textContent = message;
  place.error.hidden = !message;
}

async function load(after = "") {
  const answer = await fetch("/label/next?after=" + encodeURIComponent(after)).catch(() => null);
  if (!answer || !answer.ok) return complain("The server does not answer. Try again in a moment.");
  show(await answer.json());
}

function show(next) {
  question = next.left ? next : null;
  complain("");
  place.question.replaceChildren();
  place.truth.replaceChildren();
  place.done.hidden = !labelled && !question;
  place.done.max = labelled + next.left || 1;
  place.done.value = labelled;
  place.save.hidden = true;
  place.skip.hidden = !question;
  place.back.hidden = !passed.length;
  place.model.hidden = !question;
  place.model.open = false;
  const mine = labelled ? ` ${labelled} labelled by you.` : "";
  place.progress.textContent = question ? `${next.left} ${next.left === 1 ? "question" : "questions"} left.${mine}` : next.why + mine;
  if (!question) return;
  place.model.querySelector("pre").textContent = JSON.stringify(question.answer, null, 1);
  place.question.append(make("p", `Asked ${question.at} UTC, answered by version ${question.version}`, { class: "hint" }));
  const picture = question.inputs.find((input) => input.kind === "image" && input.value);
  const drawn = question.asked.kind === "boxes" && picture;
  place.question.append(...shown(question.inputs.filter((input) => !drawn || input !== picture)));
  read = drawn ? boxes(picture) : control(question.asked);
}

// The inputs: cells of a row as one table, everything else by itself.
function shown(inputs) {
  const cells = inputs.filter((input) => ROW.has(input.kind));
  const found = [];
  if (cells.length) {
    const table = make("table", "");
    for (const input of cells) {
      const row = table.insertRow();
      row.append(make("th", input.name, { scope: "row" }), make("td", input.value === null || input.value === undefined ? "unknown" : String(input.value)));
      if (input.description) row.cells[0].title = input.description;
    }
    found.push(table);
  }
  const list = make("dl", "");
  for (const input of inputs.filter((other) => !ROW.has(other.kind))) list.append(make("dt", input.name), value(input));
  if (list.children.length) found.push(list);
  return found;
}

function value(input) {
  const item = make("dd", "");
  if (input.value === null || input.value === undefined) item.textContent = "not kept";
  else if (input.kind === "image") item.append(make("img", "", { src: input.value, alt: `The picture ${input.name} that was asked about` }));
  else if (input.kind === "audio") item.append(make("audio", "", { src: sound(input.value), controls: "", "aria-label": input.name }));
  else if (typeof input.value === "string") item.textContent = input.value;
  else item.textContent = Array.isArray(input.value) ? input.value.map((one) => (one !== null && typeof one === "object" ? JSON.stringify(one) : one ?? "–")).join(", ") : JSON.stringify(input.value);
  return item;
}

function sound(base64) {
  return URL.createObjectURL(new Blob([Uint8Array.from(atob(base64.slice(base64.indexOf(",") + 1)), (letter) => letter.charCodeAt(0))]));
}

// The control for what is asked; a function that reads it.
function control(asked) {
  if (asked.kind === "category" && asked.names.length <= MOST_BUTTONS) return buttons(asked);
  place.save.hidden = false;
  const field = make("div", "", { class: "field" });
  const input = asked.kind === "text" ? make("textarea", "", { rows: 5 }) : make("input", "", { type: asked.kind === "number" ? "number" : "text", autocomplete: "off" });
  input.id = "said";
  field.append(make("label", asked.name, { for: "said" }), input);
  if (asked.kind === "number") input.step = asked.integer ? 1 : "any";
  else if ((asked.names || []).length) {
    const list = make("datalist", "", { id: "names" });
    for (const name of asked.names.slice(0, 1000)) list.append(make("option", "", { value: name }));
    input.setAttribute("list", "names");
    field.append(list);
  }
  place.truth.append(field);
  input.focus();
  return () => {
    if (asked.kind === "number") return input.value === "" || input.validity.badInput ? undefined : input.valueAsNumber;
    return input.value === "" && asked.kind !== "text" ? undefined : input.value;
  };
}

function buttons(asked) {
  const group = make("div", "", { class: "classes", role: "group", "aria-label": asked.name });
  asked.names.forEach((name, i) => {
    const button = make("button", "", { type: "button", "data-name": name });
    if (i < 9) button.append(make("kbd", String(i + 1)));
    button.append(make("span", name));
    button.addEventListener("click", () => save(name));
    group.append(button);
  });
  place.truth.append(group);
  place.question.focus({ preventScroll: true });
  return () => undefined;
}

function boxes(picture) {
  place.save.hidden = false;
  const drawing = new Drawing(picture.value, question.asked.names || [], question.said || []);
  place.truth.append(drawing.element);
  return () => drawing.value();
}

async function save(truth) {
  if (truth === undefined) return complain(question.asked.kind === "number" ? "Type a number." : "Say what is true, or that you cannot say.");
  if (busy) return undefined;
  busy = true;
  if (await send(truth)) await load(question.call);
  busy = false;
  return undefined;
}

async function send(truth) {
  const asked = question;
  const label = { call: asked.call, truth: { [asked.asked.name]: truth }, by: place.by.value.trim(), audit: true };
  const answer = await fetch("/feedback", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(label) }).catch(() => null);
  if (!answer || !answer.ok) {
    const problem = answer ? await answer.json().catch(() => null) : null;
    complain(problem && problem.expected ? `Expected ${problem.expected}, found ${problem.found}. ${problem.fix}` : "It could not be kept. Try again.");
    return false;
  }
  if (asked.said === undefined) labelled += 1;
  asked.said = truth;
  passed.push(asked);
  return true;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (question) save(read());
});
place.skip.addEventListener("click", () => {
  if (busy) return;
  passed.push(question);
  load(question.call);
});
place.back.addEventListener("click", () => {
  if (busy) return;
  const before = passed.pop();
  show(before);
  if (before.said !== undefined) {
    for (const button of place.truth.querySelectorAll("[data-name]")) button.setAttribute("aria-pressed", String(button.dataset.name === before.said));
    const said = document.getElementById("said");
    if (said) said.value = before.said;
  }
});

form.addEventListener("input", () => complain(""));

document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.ctrlKey && event.key === "Enter") form.requestSubmit();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !question) return;
  if (event.key === "0") place.skip.click();
  else if (/^[1-9]$/.test(event.key)) place.truth.querySelectorAll(".classes:not(.names) button")[Number(event.key) - 1]?.click();
});

place.by.value = localStorage.getItem("thuja-by") || "";
place.by.addEventListener("change", () => localStorage.setItem("thuja-by", place.by.value.trim()));
load();
