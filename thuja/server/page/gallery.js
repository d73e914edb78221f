"use strict";
// Galleries: show, enrol, search, delete. The token is sent as Bearer and kept in the field alone. Every text is set as text, never as HTML.

const main = document.getElementById("galleries");
const answer = document.getElementById("answer");
const people = document.getElementById("people");
const drop = document.getElementById("drop");
const value = (id) => document.getElementById(id).value.trim();

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, content] of Object.entries(attributes)) element.setAttribute(name, content);
  return element;
}

function say(...parts) {
  answer.replaceChildren(...parts);
}

function complain(words, id) {
  say(make("p", words, { class: "error", role: "alert" }));
  if (id) document.getElementById(id).focus();
}

function place(person) {
  const gallery = `/galleries/${encodeURIComponent(value("gallery"))}`;
  return person === undefined ? gallery : `${gallery}/people/${encodeURIComponent(person)}`;
}

// The answer of a route, or null after having said why there is none.
async function ask(method, path, body) {
  const headers = { Authorization: `Bearer ${value("token")}`, ...(body ? { "Content-Type": "application/json" } : {}) };
  try {
    const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    const told = await response.json();
    if (response.ok) return told;
    complain(response.status === 401 ? "This is not the token of this server." : `${told.where}: expected ${told.expected}, found ${told.found}. ${told.fix}`, response.status === 401 ? "token" : "");
  } catch (error) {
    complain("The server cannot be reached: " + error.message);
  }
  return null;
}

function ready() {
  if (!value("token")) complain("Type the token first.", "token");
  else if (!document.getElementById("gallery").checkValidity() || !value("gallery")) complain("A gallery's name has letters, digits, - and _.", "gallery");
  else return true;
  return false;
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

async function show() {
  const known = await ask("GET", "/galleries");
  if (!known) return;
  document.getElementById("known").replaceChildren(...known.galleries.map((name) => make("option", "", { value: name })));
  drop.hidden = !known.galleries.includes(value("gallery"));
  if (drop.hidden) {
    people.replaceChildren(make("li", "There is no gallery of this name yet: the first person enrolled makes it.", { class: "hint" }));
    return;
  }
  const gallery = await ask("GET", place());
  if (!gallery) return;
  if (!gallery.usable) complain("This gallery is of another model: its people must be enrolled again.");
  people.replaceChildren(...gallery.people.map((one) => {
    const item = make("li", "");
    const button = make("button", "Delete", { type: "button", class: "quiet", "aria-label": `Delete ${one.person}` });
    button.addEventListener("click", () => remove(one.person));
    const since = new Date(1000 * one.enrolled).toISOString().slice(0, 10);
    item.append(make("span", `${one.person} (${one.pictures === 1 ? "1 picture" : `${one.pictures} pictures`}, ${since})`), button);
    return item;
  }));
  if (!gallery.people.length) people.replaceChildren(make("li", "Nobody is enrolled.", { class: "hint" }));
}

async function remove(person) {
  if (!window.confirm(`Delete ${person}? Their vectors are gone then.`)) return;
  if (await ask("DELETE", place(person))) {
    await show();
    say(make("p", `${person} is deleted.`));
    document.getElementById("gallery").focus();
  }
}

// Submits once at a time, and says so to who cannot see it.
function on(id, work) {
  const form = document.getElementById(id);
  const button = form.querySelector("button[type=submit]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled || !ready()) return;
    button.disabled = true;
    answer.setAttribute("aria-busy", "true");
    try {
      await work();
    } finally {
      button.disabled = false;
      answer.removeAttribute("aria-busy");
    }
  });
}

if (main) {
  on("access", show);

  on("enrol", async () => {
    const files = [...document.getElementById("pictures").files];
    if (!value("person")) return complain("Type a name.", "person");
    if (!files.length || files.length > Number(main.dataset.most)) return complain(`Choose 1 to ${main.dataset.most} pictures.`, "pictures");
    if (files.some((file) => file.size > Number(main.dataset.limit))) return complain("One of these files is too large.", "pictures");
    if (!document.getElementById("consent").checked) return complain("Nobody is enrolled without having agreed.", "consent");
    const person = value("person");
    const told = await ask("POST", `${place()}/people`, { person, images: await Promise.all(files.map(base64)) });
    if (!told) return null;
    document.getElementById("enrol").reset();
    await show();
    return say(make("p", `${told.person} is enrolled with ${told.pictures === 1 ? "1 picture" : `${told.pictures} pictures`}.`));
  });

  on("search", async () => {
    const [file] = document.getElementById("face").files;
    if (!file) return complain("Choose a picture first.", "face");
    if (file.size > Number(main.dataset.limit)) return complain("This file is too large.", "face");
    const found = await ask("POST", `${place()}/search`, { image: await base64(file), far: Number(value("far")) });
    if (!found) return null;
    const list = make("ol", "");
    for (const { person, score, accepted } of found.matches) {
      const verdict = accepted === null ? "" : accepted ? ": passes the threshold" : ": does not pass";
      list.append(make("li", `${person}, similarity ${score.toFixed(3)}${verdict}`, accepted ? { class: "passes" } : {}));
    }
    const least = found.threshold === null ? "No threshold is known: the model was exported before it was evaluated." : `Threshold ${found.threshold.toFixed(3)} for one comparison; ${found.comparisons} were made.`;
    return say(found.matches.length ? list : make("p", "Nobody is enrolled."), make("p", least, { class: "hint" }));
  });

  drop.addEventListener("click", async () => {
    if (!ready() || !window.confirm(`Delete the gallery ${value("gallery")} with all who are in it?`)) return;
    const told = await ask("DELETE", place());
    if (told) {
      await show();
      say(make("p", `The gallery ${told.gallery} is deleted.`));
    }
  });

  const face = document.getElementById("face");
  face.addEventListener("change", () => {
    const image = face.parentElement.querySelector("img");
    if (image.src) URL.revokeObjectURL(image.src);
    image.hidden = !face.files.length;
    if (face.files.length) {
      image.src = URL.createObjectURL(face.files[0]);
      image.alt = "The chosen picture, " + face.files[0].name;
    }
  });
}
