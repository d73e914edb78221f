"use strict";
// Boxes drawn on a picture: with a finger or a mouse (drag to draw, drag a box to move it, a corner to resize it), or with the keyboard (Tab to a box, arrows move
// it, Shift with arrows resizes it, Delete removes it, 1 to 9 name it).

const SVG = "http://www.w3.org/2000/svg";
const LEAST = 3; // pixels of a side
const HANDLE = 9; // of the screen

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

class Drawing {
  constructor(address, names, boxes) {
    this.names = names;
    this.boxes = boxes.map((one) => ({ label: one.label, box: [...one.box] }));
    this.chosen = -1;
    this.name = names[0] || "object";
    this.element = document.createElement("div");
    this.picture = Object.assign(document.createElement("img"), { src: address, alt: "The picture to draw boxes on" });
    this.over = shape("svg", { class: "over", role: "group", "aria-label": "Boxes", preserveAspectRatio: "none" });
    const frame = Object.assign(document.createElement("div"), { className: "draw" });
    frame.append(this.picture, this.over);
    this.list = Object.assign(document.createElement("ul"), { className: "people" });
    this.element.append(this._classes(), frame, this._add(), this.list);
    this.picture.addEventListener("load", () => {
      this.over.setAttribute("viewBox", `0 0 ${this.picture.naturalWidth} ${this.picture.naturalHeight}`);
      this.show();
    });
    this.over.addEventListener("pointerdown", (event) => this._down(event));
    this.over.addEventListener("pointermove", (event) => this._drag(event));
    new ResizeObserver(() => this.held || this.show(this.over.contains(document.activeElement))).observe(this.over); // letters and corners keep their size
    for (const end of ["pointerup", "pointercancel"]) this.over.addEventListener(end, () => this._up());
  }

  value() {
    return this.boxes.map((one) => ({ label: one.label, box: one.box.map((side) => Math.round(10 * side) / 10) }));
  }

  show(focus = false) {
    const scale = this.picture.naturalWidth / (this.over.clientWidth || this.picture.naturalWidth);
    this.over.replaceChildren(...this.boxes.map((one, place) => this._drawn(one, place, scale)));
    this.list.replaceChildren(...this.boxes.map((one, place) => this._listed(one, place)));
    if (focus && this.chosen >= 0) this.over.children[this.chosen]?.focus();
  }

  _classes() {
    const group = Object.assign(document.createElement("div"), { className: "classes names" });
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Name of the next box");
    (this.names.length ? this.names : [this.name]).forEach((name, i) => {
      const button = make("button", "", { type: "button", "aria-pressed": String(name === this.name) });
      if (i < 9) button.append(make("kbd", String(i + 1)));
      button.append(make("span", name));
      button.addEventListener("click", () => this._call(name));
      group.append(button);
    });
    this.buttons = group;
    return group;
  }

  _call(name) {
    this.name = name;
    for (const button of this.buttons.children) button.setAttribute("aria-pressed", String(button.lastChild.textContent === name));
    if (this.chosen >= 0) {
      this.boxes[this.chosen].label = name;
      this.show();
    }
  }

  _add() {
    const actions = make("div", "", { class: "actions" });
    const button = make("button", "Add a box", { type: "button", class: "quiet" });
    button.addEventListener("click", () => {
      const [width, height] = [this.picture.naturalWidth, this.picture.naturalHeight];
      this.chosen = this.boxes.push({ label: this.name, box: [width / 3, height / 3, (2 * width) / 3, (2 * height) / 3] }) - 1;
      this.show(true);
    });
    actions.append(button);
    const help = make("p", "Drag to draw, drag a box to move it or its corners to resize it. With the keyboard: Add a box, then arrows move it, Shift with arrows resizes it, Delete removes it.", { class: "hint" });
    const wrap = document.createElement("div");
    wrap.append(help, actions);
    return wrap;
  }

  _drawn(one, place, scale) {
    const [left, top, right, bottom] = one.box;
    const group = shape("g", { tabindex: 0, role: "button", "aria-label": words(one), "aria-pressed": String(place === this.chosen), "data-place": place });
    const corners = { x: left, y: top, width: Math.max(right - left, 0), height: Math.max(bottom - top, 0) };
    group.append(shape("rect", { class: "under", ...corners }), shape("rect", { class: place === this.chosen ? "box chosen" : "box", ...corners }));
    const name = shape("text", { x: left + 3 * scale, y: Math.max(top - 4 * scale, 14 * scale), "font-size": 14 * scale });
    name.textContent = one.label;
    group.append(name);
    if (place === this.chosen) {
      [[left, top, 0, 1], [right, top, 2, 1], [left, bottom, 0, 3], [right, bottom, 2, 3]].forEach(([x, y, across, down]) => {
        group.append(shape("circle", { cx: x, cy: y, r: HANDLE * scale, "data-across": across, "data-down": down }));
      });
    }
    group.addEventListener("keydown", (event) => this._key(event, place));
    group.addEventListener("focus", () => {
      if (this.chosen === place) return;
      this.chosen = place;
      this.show(true);
    });
    return group;
  }

  _listed(one, place) {
    const item = make("li", "");
    item.append(make("span", words(one)));
    const away = make("button", "Remove", { type: "button", class: "quiet", "aria-label": `Remove ${words(one)}` });
    away.addEventListener("click", () => this._remove(place));
    item.append(away);
    return item;
  }

  _remove(place) {
    this.boxes.splice(place, 1);
    this.chosen = -1;
    this.show();
  }

  _key(event, place) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const far = Math.max(1, Math.round(this.picture.naturalWidth / 100));
      if (event.shiftKey) this._resize(place, 2, 3, step[0] * far, step[1] * far);
      else this._move(place, step[0] * far, step[1] * far);
    } else if (event.key === "Delete" || event.key === "Backspace") this._remove(place);
    else if (/^[1-9]$/.test(event.key) && Number(event.key) <= this.buttons.children.length) this._call(this.buttons.children[Number(event.key) - 1].lastChild.textContent);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.show(true);
  }

  _move(place, across, down) {
    const [left, top, right, bottom] = this.boxes[place].box;
    const x = Math.min(Math.max(across, -left), this.picture.naturalWidth - right);
    const y = Math.min(Math.max(down, -top), this.picture.naturalHeight - bottom);
    this.boxes[place].box = [left + x, top + y, right + x, bottom + y];
  }

  _resize(place, across, down, x, y) {
    const box = [...this.boxes[place].box];
    box[across] = Math.min(Math.max(box[across] + x, across ? box[0] + LEAST : 0), across ? this.picture.naturalWidth : box[2] - LEAST);
    box[down] = Math.min(Math.max(box[down] + y, down === 3 ? box[1] + LEAST : 0), down === 3 ? this.picture.naturalHeight : box[3] - LEAST);
    this.boxes[place].box = box;
  }

  _at(event) {
    const edge = this.over.getBoundingClientRect();
    const x = ((event.clientX - edge.left) / edge.width) * this.picture.naturalWidth;
    const y = ((event.clientY - edge.top) / edge.height) * this.picture.naturalHeight;
    return [Math.min(Math.max(x, 0), this.picture.naturalWidth), Math.min(Math.max(y, 0), this.picture.naturalHeight)];
  }

  _down(event) {
    if (event.button) return;
    const [x, y] = this._at(event);
    const group = event.target.closest("g");
    const corner = event.target.dataset.across;
    if (group) this.chosen = Number(group.dataset.place);
    else this.chosen = this.boxes.push({ label: this.name, box: [x, y, x, y] }) - 1;
    this.held = { x, y, start: [x, y], how: corner !== undefined ? [Number(corner), Number(event.target.dataset.down)] : group ? "move" : "draw" };
    this.over.setPointerCapture(event.pointerId);
    event.preventDefault();
    this.show(true);
  }

  _drag(event) {
    if (!this.held) return;
    const [x, y] = this._at(event);
    const { how, start } = this.held;
    if (how === "draw") this.boxes[this.chosen].box = [Math.min(x, start[0]), Math.min(y, start[1]), Math.max(x, start[0]), Math.max(y, start[1])];
    else if (how === "move") this._move(this.chosen, x - this.held.x, y - this.held.y);
    else this._resize(this.chosen, how[0], how[1], x - this.held.x, y - this.held.y);
    this.held.x = x;
    this.held.y = y;
    this.show();
  }

  _up() {
    if (!this.held) return;
    const [left, top, right, bottom] = this.boxes[this.chosen].box;
    if (this.held.how === "draw" && (right - left < LEAST || bottom - top < LEAST)) this.boxes.splice(this.chosen, 1);
    if (this.chosen >= this.boxes.length) this.chosen = -1;
    this.held = null;
    this.show(true);
  }
}

function words(one) {
  return `${one.label} at ${one.box.map(Math.round).join(", ")}`;
}
