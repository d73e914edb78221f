"use strict";
// The chat page: sends the conversation to /v1/chat/completions and shows the answer as it comes. Every text is set as text, never as HTML.

const form = document.getElementById("form");
const message = document.getElementById("message");
const transcript = document.getElementById("transcript");
const spoken = document.getElementById("spoken");
const error = document.getElementById("error");
const send = form.querySelector("button[type=submit]");
const stop = document.getElementById("stop");
const anew = document.getElementById("anew");
const SPEAKERS = { user: "You", assistant: "Model" };
let messages = [];
let waiting = null; // an AbortController, while the model speaks

function bubble(role, text) {
  const item = document.createElement("li");
  const words = document.createElement("p");
  item.className = role;
  item.append(document.createElement("strong"), words);
  item.firstChild.textContent = SPEAKERS[role];
  words.textContent = text;
  transcript.append(item);
  item.scrollIntoView({ block: "nearest" });
  return words;
}

function settings() {
  const given = {};
  for (const input of form.querySelectorAll("[data-setting]")) {
    if (input.value !== "" && !Number.isNaN(input.valueAsNumber)) given[input.name] = input.valueAsNumber;
  }
  return given;
}

function complain(words) {
  error.textContent = words;
  error.hidden = !words;
}

function speaking(controller) {
  waiting = controller;
  send.disabled = Boolean(controller);
  stop.hidden = !controller;
  anew.hidden = Boolean(controller) || messages.length === 0;
}

// Returns whether the answer came to its end, or was stopped on purpose.
async function answer(words, controller) {
  const body = { model: form.dataset.model, messages, stream: true, ...settings() };
  const headers = { "Content-Type": "application/json" };
  try {
    const response = await fetch("/v1/chat/completions", { method: "POST", headers, body: JSON.stringify(body), signal: controller.signal });
    if (!response.ok) {
      complain((await response.json()).error.message);
      return false;
    }
    for await (const event of events(response)) {
      if (event.error) {
        complain(event.error.message);
        return words.textContent !== "";
      }
      words.textContent += event.choices[0]?.delta.content ?? "";
      words.parentElement.scrollIntoView({ block: "nearest" });
    }
    return true;
  } catch (problem) {
    if (problem.name === "AbortError") return true;
    complain("The server cannot be reached: " + problem.message);
    return words.textContent !== "";
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = message.value;
  if (waiting || !text.trim()) return;
  complain("");
  messages.push({ role: "user", content: text });
  const asked = bubble("user", text);
  const words = bubble("assistant", "");
  words.setAttribute("aria-busy", "true");
  message.value = "";
  const controller = new AbortController();
  speaking(controller);
  const good = await answer(words, controller);
  words.removeAttribute("aria-busy");
  if (good) {
    messages.push({ role: "assistant", content: words.textContent });
    spoken.textContent = words.textContent; // read aloud once, when it is whole
  } else { // as if it had never been sent
    messages.pop();
    asked.parentElement.remove();
    words.parentElement.remove();
    message.value = text;
  }
  speaking(null);
  message.focus();
});

message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && waiting) waiting.abort();
});

stop.addEventListener("click", () => waiting?.abort());

anew.addEventListener("click", () => {
  messages = [];
  transcript.replaceChildren();
  spoken.textContent = "";
  complain("");
  speaking(null);
  message.focus();
});

message.focus();
