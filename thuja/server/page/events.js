"use strict";
// Server-sent events of an answer, as fetch gives it: one value after the other, until the last or until the answer is aborted.

async function* events(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let kept = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (kept + decoder.decode(value, { stream: true })).split("\n\n");
    kept = parts.pop();
    for (const part of parts) {
      const data = part.slice("data: ".length);
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}
