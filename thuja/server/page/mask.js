"use strict";
// Masks over the picture that was asked about: a colour a class, chosen so that the colour-blind tell them apart (Okabe and Ito 2008).

const COLOURS = [[0, 0, 0], [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167], [153, 153, 153], [255, 255, 255], [102, 51, 0], [170, 221, 204]];
const masks = new Map(Object.entries(JSON.parse(form.dataset.masks || "{}"))); // name of an answer -> names of its classes; none where they are objects
const WIDEST = 900;

function colour(number) {
  return COLOURS[number < COLOURS.length ? number : 1 + ((number - 1) % (COLOURS.length - 1))];
}

// A figure for one mask; it is drawn as soon as both pictures are decoded.
function overlay(name, base64) {
  const figure = make("figure", "", { class: "mask" });
  const canvas = make("canvas", "", { role: "img", "aria-label": name });
  const legend = make("ul", "", { class: "legend" });
  figure.append(canvas, make("figcaption", name), legend);
  draw(canvas, legend, masks.get(name), base64).catch(() => canvas.replaceWith(make("p", "This mask cannot be shown.", { class: "hint" })));
  return figure;
}

async function draw(canvas, legend, names, base64) {
  const mask = new Image();
  mask.src = "data:image/png;base64," + base64;
  await mask.decode();
  const scale = Math.min(1, WIDEST / Math.max(mask.naturalWidth, mask.naturalHeight));
  canvas.width = Math.max(1, Math.round(mask.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(mask.naturalHeight * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false; // numbers of classes must not be mixed
  context.drawImage(mask, 0, 0, canvas.width, canvas.height);
  const numbers = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const asked = pictures.get(inputs.find((input) => input.dataset.kind === "image"));
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (asked) context.drawImage(await createImageBitmap(asked), 0, 0, canvas.width, canvas.height);
  const shown = context.getImageData(0, 0, canvas.width, canvas.height);
  const hidden = names.length === 2 || names[0] === "background" || !names.length; // class 0 is what is left: the picture is seen through it
  const counts = new Map();
  for (let i = 0; i < numbers.length; i += 4) {
    const number = numbers[i];
    counts.set(number, (counts.get(number) || 0) + 1);
    shown.data[i + 3] = 255;
    if (number === 0 && hidden) continue;
    const mixed = colour(number);
    for (let c = 0; c < 3; c++) shown.data[i + c] = 0.45 * shown.data[i + c] + 0.55 * mixed[c];
  }
  context.putImageData(shown, 0, 0);
  const total = numbers.length / 4;
  const words = [...counts].sort((a, b) => b[1] - a[1]).map(([number, count]) => [number, `${names[number] ?? number} ${percent(count / total)}`]);
  if (names.length) for (const [number, text] of words) if (number || !hidden) legend.append(swatch(number, text));
  canvas.setAttribute("aria-label", names.length ? words.map(([, text]) => text).join(", ") : `${counts.size - (counts.has(0) ? 1 : 0)} objects`);
  if (!names.length) legend.append(make("li", canvas.getAttribute("aria-label")));
}

function swatch(number, text) {
  const item = make("li", "");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of [["width", "12"], ["height", "12"], ["fill", `rgb(${colour(number)})`]]) square.setAttribute(name, value);
  for (const [name, value] of [["width", "12"], ["height", "12"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  svg.append(square);
  item.append(svg, make("span", " " + text));
  return item;
}
