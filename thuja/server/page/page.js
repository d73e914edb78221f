"use strict";
// The try-it page: reads the form, asks /predict, shows the answer. Every text that came from anywhere is set as text, never as HTML.

const form = document.getElementById("form");
const answer = document.getElementById("answer");
const ask = form.querySelector("button[type=submit]");
const stop = document.getElementById("stop");
const streams = form.hasAttribute("data-streams"); // the answer can be shown while it is made
const inputs = [...form.querySelectorAll("[data-kind]")];
const pictures = new Map(); // input -> File or Blob
const FILES = new Set(["image", "audio"]);
const MOST_SCORES = 10;
const painted = new Set(form.dataset.pictures.split(" ").filter(Boolean)); // names of answers that are pictures

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function complain(input, message) {
  const place = document.getElementById(input.id.replace("in-", "error-"));
  place.textContent = message;
  place.hidden = !message;
  if (message) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

function choose(input, file) {
  const image = input.parentElement.querySelector("img, audio");
  if (image.src) URL.revokeObjectURL(image.src);
  complain(input, "");
  pictures.delete(input);
  image.hidden = !file;
  if (!file) return;
  if (file.size > Number(input.dataset.limit)) {
    image.hidden = true;
    complain(input, "This file is too large.");
    return;
  }
  pictures.set(input, file);
  if (input.dataset.kind === "image") image.alt = "The chosen picture" + (file.name ? ", " + file.name : "");
  image.src = URL.createObjectURL(file);
  if (inputs.length === 1) form.requestSubmit();
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

async function row() {
  const out = {};
  let first = null;
  for (const input of inputs) {
    complain(input, "");
    let problem = "";
    if (FILES.has(input.dataset.kind)) {
      if (pictures.has(input)) out[input.name] = await base64(pictures.get(input));
      else problem = input.dataset.kind === "image" ? "Choose a picture first." : "Record something or choose a file first.";
    } else if (input.dataset.kind === "number") {
      if (input.validity.badInput || (input.required && !input.value)) problem = "Type a number.";
      else out[input.name] = input.value === "" ? null : input.valueAsNumber;
    } else if (input.dataset.kind === "items") {
      out[input.name] = input.value.split("\n").map((line) => line.trim()).filter(Boolean);
    } else if (input.dataset.kind === "series") {
      const numbers = series(input.value);
      const { least, most } = input.dataset;
      if (numbers.some(Number.isNaN)) problem = "Type numbers, with spaces between them, and - for a gap.";
      else if (numbers.length < Number(least) || numbers.length > Number(most)) problem = `Type ${least} to ${most} numbers; there are ${numbers.length}.`;
      else out[input.name] = numbers;
    } else if (input.dataset.kind === "category" || input.dataset.kind === "moment") {
      out[input.name] = input.value === "" ? null : input.value;
    } else out[input.name] = input.value;
    if (problem) {
      complain(input, problem);
      first = first || input;
    }
  }
  if (first) first.focus();
  return first ? null : out;
}

function percent(value) {
  return (100 * value).toFixed(value > 0.9995 && value < 1 ? 2 : 1) + " %";
}

function scores(values) {
  const sorted = Object.entries(values).sort((a, b) => b[1] - a[1]);
  const list = make("ul", "", { class: "scores" });
  for (const [name, value] of sorted.slice(0, MOST_SCORES)) {
    const item = make("li", "");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    svg.setAttribute("aria-hidden", "true");
    bar.setAttribute("height", "100%");
    bar.setAttribute("width", (100 * value).toFixed(2) + "%");
    svg.append(bar);
    item.append(svg, make("span", name), make("span", percent(value)));
    list.append(item);
  }
  return sorted.length > MOST_SCORES ? [list, make("p", `and ${sorted.length - MOST_SCORES} less likely ones`, { class: "hint" })] : [list];
}

function ranking(entries) {
  const list = make("ol", "");
  for (const { item, score } of entries) list.append(make("li", `${item} (${score.toLocaleString("en", { maximumSignificantDigits: 3 })})`));
  return entries.length ? list : make("p", "Nothing may be recommended.", { class: "hint" });
}

// A list of numbers as it is typed; null for a gap, NaN for what is no number.
function series(text) {
  return text.split(/[\s,;[\]]+/).filter(Boolean).map((word) => (/^(-|null|nan)$/i.test(word) ? null : Number(word)));
}

function short(value) {
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

// A forecast with its range after the last steps of the past, and in words for those who do not see it.
function forecast(past, { forecast: middle, low, high }) {
  const before = past.slice(-2 * middle.length);
  const all = [...before, ...low, ...high].filter((value) => value !== null);
  const [bottom, top] = [Math.min(...all), Math.max(...all)];
  const [width, height] = [600, 220];
  const x = (step) => ((step + before.length) / Math.max(before.length + middle.length - 1, 1)) * width;
  const y = (value) => height - 10 - ((value - bottom) / (top - bottom || 1)) * (height - 20);
  const line = (values, from) => values.map((value, i) => (value === null ? "" : `${x(i + from).toFixed(1)},${y(value).toFixed(1)}`)).filter(Boolean).join(" ");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const words = `${middle.length} steps to come: from ${short(middle[0])} (${short(low[0])} to ${short(high[0])}) to ${short(middle.at(-1))} (${short(low.at(-1))} to ${short(high.at(-1))}).`;
  for (const [name, value] of [["viewBox", `0 0 ${width} ${height}`], ["role", "img"], ["aria-label", words], ["class", "forecast"]]) svg.setAttribute(name, value);
  const shapes = [["polygon", "range", `${line(high, 0)} ${line([...low], 0).split(" ").reverse().join(" ")}`], ["polyline", "past", line(before, -before.length)], ["polyline", "middle", line(middle, 0)]];
  for (const [tag, name, points] of shapes) {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", tag);
    shape.setAttribute("points", points);
    shape.setAttribute("class", name);
    svg.append(shape);
  }
  return [svg, make("p", words, { class: "hint" })];
}

// A picture that was made, enlarged with its pixels kept; what was asked for says what it shows to those who do not see it.
function picture(name, data) {
  const words = inputs.filter((input) => input.value && !FILES.has(input.dataset.kind)).map((input) => `${input.name} ${input.value}`).join(", ");
  return make("img", "", { src: "data:image/png;base64," + data, alt: `The ${name} made for ${words || "this request"}`, class: "made" });
}

// The chosen picture with what was found in it, and the same in words. Corners are pixels of the upright picture, which is how a browser shows it.
function boxed(entries) {
  const picture = form.querySelector(".drop img");
  const words = entries.map(({ label, box, score }) => `${label} ${score === undefined ? "" : percent(score)} at ${box.map(Math.round).join(", ")}`);
  const list = make("ol", "", { class: "found" });
  for (const line of words) list.append(make("li", line));
  if (!picture || !picture.naturalWidth) return [list];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const add = (tag, attributes) => {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
    svg.append(shape);
    return shape;
  };
  const [width, height] = [picture.naturalWidth, picture.naturalHeight];
  const shown = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${entries.length} found`, class: "boxes" };
  for (const [name, value] of Object.entries(shown)) svg.setAttribute(name, value);
  add("image", { href: picture.src, width, height });
  const labels = [...new Set(entries.map(({ label }) => label))].sort();
  for (const { label, box: [left, top, right, bottom] } of entries.toReversed()) {
    const colour = `class${labels.indexOf(label) % 6}`;
    add("rect", { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top), class: colour });
    add("text", { x: left + width / 200, y: top + width / 35, "font-size": width / 40, class: colour }).textContent = label;
  }
  return [svg, list];
}

function show(result, milliseconds) {
  const plain = make("dl", "", { class: "result" });
  const more = [];
  const fan = ["forecast", "low", "high"].every((name) => Array.isArray(result[name]));
  if (fan) more.push(...forecast(series(document.querySelector("[data-kind=series]").value), result));
  for (const [name, value] of Object.entries(result)) {
    if (name in JSON.parse(form.dataset.masks)) more.push(overlay(name, value));
    else if (painted.has(name) && typeof value === "string") more.push(picture(name, value));
    else if (Array.isArray(value) && !value.length && name !== "recommended") plain.append(make("dt", name), make("dd", "none"));
    else if (Array.isArray(value) && value.every((one) => one !== null && Array.isArray(one.box))) more.push(...boxed(value));
    else if (Array.isArray(value) && value.every((one) => one !== null && typeof one === "object")) more.push(ranking(value));
    else if (Array.isArray(value)) plain.append(make("dt", name), make("dd", value.map((one) => (typeof one === "number" ? short(one) : String(one ?? "-"))).join(typeof value[0] === "string" ? ", " : "  "), { class: "numbers" }));
    else if (value !== null && typeof value === "object") more.push(...scores(value));
    else {
      const shown = typeof value !== "number" ? String(value ?? "unknown") : name === "probability" ? percent(value) : value.toLocaleString("en", { maximumSignificantDigits: 6 });
      plain.append(make("dt", name), make("dd", shown));
    }
  }
  answer.replaceChildren(plain, ...more, make("p", `answered in ${milliseconds.toFixed(0)} ms`, { class: "hint" }));
}

function fail(problem) {
  const input = inputs.find((one) => one.name === problem.where);
  const words = `Expected ${problem.expected}, found ${problem.found}. ${problem.fix}`;
  if (input) {
    complain(input, words);
    input.focus();
    answer.replaceChildren(make("p", "No answer: see the field marked above.", { class: "error" }));
  } else answer.replaceChildren(make("p", `${problem.where}: ${words}`, { class: "error", role: "alert" }));
}

// Shows an answer while it grows; aria-busy keeps a screen reader silent until it is whole.
async function grow(response, start) {
  const growing = make("p", "", { class: "growing" });
  answer.replaceChildren(growing);
  for await (const event of events(response)) {
    if (event.delta) growing.textContent += event.delta;
    else if (event.answer) show(event.answer, performance.now() - start);
    else fail(event.error);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (ask.disabled) return;
  ask.disabled = true;
  answer.setAttribute("aria-busy", "true");
  const controller = new AbortController();
  stop.onclick = () => controller.abort();
  try {
    const question = await row();
    if (!question) return;
    stop.hidden = !streams;
    const start = performance.now();
    const headers = { "Content-Type": "application/json", Accept: streams ? "text/event-stream" : "application/json" };
    const response = await fetch("/predict", { method: "POST", headers, body: JSON.stringify(question), signal: controller.signal });
    if (!response.ok) fail(await response.json());
    else if (streams) await grow(response, start);
    else show(await response.json(), performance.now() - start);
  } catch (error) {
    if (error.name === "AbortError") answer.append(make("p", "stopped", { class: "hint" }));
    else answer.replaceChildren(make("p", "The server cannot be reached: " + error.message, { class: "error", role: "alert" }));
  } finally {
    ask.disabled = false;
    stop.hidden = true;
    answer.removeAttribute("aria-busy");
  }
});

for (const input of inputs) {
  if (input.dataset.kind === "text") {
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
  }
  if (!FILES.has(input.dataset.kind)) continue;
  const drop = input.parentElement;
  drop.querySelector("img, audio").addEventListener("error", (event) => { event.target.hidden = true; });
  input.addEventListener("change", () => choose(input, input.files[0]));
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); choose(input, event.dataTransfer.files[0]); });
}

document.addEventListener("paste", (event) => {
  const input = inputs.find((one) => one.dataset.kind === "image");
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (input && file) choose(input, file);
});

// Examples: rows of the artefact's certificate, shown one after the other.
const example = document.getElementById("example");
const examples = JSON.parse(example.dataset.examples);
let next = 0;
example.hidden = examples.length === 0;
example.addEventListener("click", async () => {
  const chosen = examples[next++ % examples.length];
  for (const input of inputs) {
    const value = chosen[input.name];
    if (input.dataset.kind === "series") input.value = (value ?? []).map((one) => one ?? "-").join(" ");
    else if (!FILES.has(input.dataset.kind)) input.value = Array.isArray(value) ? value.join("\n") : value ?? "";
    else {
      const bytes = Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
      choose(input, new Blob([bytes]));
    }
  }
  if (!inputs.some((input) => FILES.has(input.dataset.kind)) || inputs.length > 1) form.requestSubmit();
});
