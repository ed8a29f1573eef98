// The kernels of conv1 as buttons, tower by tower, each with its map of the picture.

import {drawColors, drawMap, rangeOf} from "./drawing.js";

export class Kernels {
  #conv1;
  #layer;
  #towers;
  #buttons = [];
  #values = null;

  // Makes the buttons in `container`. `onChoose` gets the index of a kernel, or null for none.
  constructor(container, description, onChoose) {
    this.#conv1 = description.conv1;
    this.#layer = description.layers.find(layer => layer.name === "conv1");
    this.#towers = description.towers;
    this.chosen = null;
    const tiles = Uint8Array.from(atob(this.#conv1.tiles), character => character.charCodeAt(0));
    const bytes = 3 * this.#conv1.side ** 2;
    for (let tower = 0; tower < this.#towers; tower++) {
      const grid = this.#addTower(container, tower);
      for (let i = 0; i < this.#perTower; i++) {
        const index = tower * this.#perTower + i;
        const tile = tiles.subarray(index * bytes, (index + 1) * bytes);
        grid.append(this.#makeButton(index, tile, onChoose));
      }
    }
  }

  get #perTower() {
    return this.#conv1.kernels / this.#towers;
  }

  #addTower(container, tower) {
    const heading = document.createElement("h3");
    heading.textContent = this.#towers > 1 ? `Tower ${tower + 1}` : "One tower";
    const grid = document.createElement("div");
    grid.className = "kernels";
    container.append(heading, grid);
    return grid;
  }

  #makeButton(index, tile, onChoose) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    const [kernel, map] = [document.createElement("canvas"), document.createElement("canvas")];
    drawColors(kernel, tile, this.#conv1.side);
    button.append(kernel, map);
    button.addEventListener("click", () => {
      this.chosen = this.chosen === index ? null : index;
      this.#buttons.forEach((other, i) => other.setAttribute("aria-pressed", i === this.chosen));
      onChoose(this.chosen);
    });
    this.#buttons.push(button);
    return button;
  }

  // Draws the maps of a picture, the output of conv1.
  show(values) {
    this.#values = values;
    const range = rangeOf(values);
    this.#buttons.forEach((button, index) => {
      drawMap(button.lastChild, values, this.#layer, index, range);
      const {value} = this.strongest(index);
      const label = `${this.nameOf(index)}, largest answer ${value.toPrecision(3)}`;
      button.setAttribute("aria-label", label);
    });
  }

  nameOf(index) {
    const kernel = `Kernel ${index % this.#perTower + 1}`;
    const tower = Math.floor(index / this.#perTower) + 1;
    return this.#towers > 1 ? `${kernel} of tower ${tower}` : kernel;
  }

  // Returns the largest value of a kernel's map, and the square of the crop that it answers there:
  // {value, top, left, side}, in pixels, from 0.
  strongest(index) {
    const {side: rows, maps} = this.#layer;
    const valueAt = position => this.#values[position * maps + index];
    let best = 0;
    for (let position = 1; position < rows * rows; position++) {
      if (valueAt(position) > valueAt(best)) best = position;
    }
    const start = step => step * this.#conv1.stride - this.#conv1.padding;
    return {
      value: valueAt(best),
      top: start(Math.floor(best / rows)),
      left: start(best % rows),
      side: this.#conv1.side,
    };
  }
}
