"use strict";
// Records from the microphone and hands a WAV file to the form. What a browser records (WebM, MP4) is decoded by the browser itself, mixed down and resampled
// to the model's rate, so that the server needs no decoder for it.

const LONGEST_S = 60;

function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((letter, place) => view.setUint8(at + place, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // plain samples
  view.setUint16(22, 1, true); // one channel
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, place) => view.setInt16(44 + 2 * place, Math.max(-32768, Math.min(32767, Math.round(32768 * sample))), true));
  return new Blob([view], { type: "audio/wav" });
}

async function converted(blob, rate) {
  const context = new AudioContext();
  const heard = await context.decodeAudioData(await blob.arrayBuffer()).finally(() => context.close());
  const offline = new OfflineAudioContext(1, Math.max(1, Math.ceil(heard.duration * rate)), rate);
  const source = offline.createBufferSource();
  source.buffer = heard;
  source.connect(offline.destination);
  source.start();
  return wav((await offline.startRendering()).getChannelData(0), rate);
}

function refusal(error) {
  if (error.name === "NotAllowedError" || error.name === "SecurityError") return "The browser was not allowed to use the microphone. Allow it in the address bar, or choose a file.";
  if (error.name === "NotFoundError") return "No microphone was found. Connect one, or choose a file.";
  return "Recording failed: " + error.message;
}

function recorder(input, button, status) {
  let running = null;
  const stop = () => running && running.state === "recording" && running.stop();

  async function begin() {
    complain(input, "");
    if (!navigator.mediaDevices || !window.MediaRecorder) {
      complain(input, "This browser records on https:// and localhost only. Choose a file instead.");
      return;
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false } });
    } catch (error) {
      complain(input, refusal(error));
      return;
    }
    const parts = [];
    running = new MediaRecorder(stream);
    running.addEventListener("dataavailable", (event) => parts.push(event.data));
    running.addEventListener("stop", async () => {
      clearTimeout(limit);
      stream.getTracks().forEach((track) => track.stop());
      button.textContent = "Record again";
      button.setAttribute("aria-pressed", "false");
      status.textContent = "";
      try {
        choose(input, await converted(new Blob(parts), Number(input.dataset.rate)));
      } catch (error) {
        complain(input, refusal(error));
      }
      running = null;
    });
    running.start();
    const seconds = Math.min(Number(button.dataset.seconds), LONGEST_S);
    const limit = setTimeout(stop, 1000 * seconds);
    button.textContent = "Stop";
    button.setAttribute("aria-pressed", "true");
    status.textContent = `Recording; it stops after ${seconds} s at the latest.`;
  }

  button.addEventListener("click", () => (running ? stop() : begin()));
}

for (const input of inputs) {
  if (input.dataset.kind !== "audio") continue;
  recorder(input, input.parentElement.querySelector("button.record"), input.parentElement.querySelector("[role=status]"));
}
