// Shows what the network computed for a picture: its crop, the classes, the maps of a layer.

import {drawColors, drawTiles, rangeOf} from "./drawing.js";

const SHOWN_CLASSES = 5;
const COLUMNS = 16;  // of maps; half as many on a narrow screen
const element = id => document.getElementById(id);

// Draws the crop of a prepared square wherever the page shows it, and the network's input.
export function showCrop(description, square, input) {
  const {image_size: size, crop_size: side, color_order: order} = description;
  const offset = (size - side) >> 1;
  const crop = new Uint8Array(3 * side * side);
  for (let y = 0; y < side; y++) {
    const start = 3 * ((offset + y) * size + offset);
    crop.set(square.subarray(start, start + 3 * side), 3 * y * side);
  }
  for (const id of ["crop", "occluded", "answered"]) drawColors(element(id), crop, side);
  const colors = Float32Array.from(input);
  if (order === "BGR") {
    for (let i = 0; i < colors.length; i += 3) {
      [colors[i], colors[i + 2]] = [colors[i + 2], colors[i]];
    }
  }
  drawColors(element("input"), colors, side, value => 127.5 + value / 2);
}

// Returns the labels, the most probable first.
export function ranking(probabilities) {
  return [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
}

// Lists the most probable classes with bars.
export function showClasses(classes, probabilities) {
  const best = ranking(probabilities).slice(0, SHOWN_CLASSES);
  const items = best.map(label => classItem(classes[label], probabilities[label]));
  element("classes").replaceChildren(...items);
  const label = `The center of the picture, classified as ${classes[best[0]]}`;
  element("crop").setAttribute("aria-label", label);
}

function classItem(className, probability) {
  const item = document.createElement("li");
  item.dataset.probability = probability;
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = className;
  const value = document.createElement("span");
  value.textContent = `${(100 * probability).toFixed(1)}%`;
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.style.setProperty("--share", probability);
  item.append(name, " ", value, bar);
  return item;
}

// Draws all maps of a layer, tower by tower, on one scale.
export function showMaps({layers, towers}, name, outputs) {
  const layer = layers.find(each => each.name === name);
  const values = outputs[name];
  const range = rangeOf(values);
  const count = layer.maps / towers;
  const narrow = element("maps").clientWidth < 40 * COLUMNS;
  const columns = Math.min(count, narrow ? COLUMNS / 2 : COLUMNS);
  const parts = [];
  for (let tower = 0; tower < towers; tower++) {
    const heading = document.createElement("h3");
    heading.textContent = towers > 1 ? `Tower ${tower + 1}` : "One tower";
    const canvas = document.createElement("canvas");
    canvas.className = "tiles";
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${heading.textContent}: the ${count} maps of ${name}`);
    const first = tower * count;
    drawTiles(canvas, values, layer, {first, end: first + count, columns}, range);
    parts.push(heading, canvas);
  }
  element("maps").replaceChildren(...parts);
  const [low, high] = [range.low.toPrecision(3), range.high.toPrecision(3)];
  element("maps-note").textContent = `Black is ${low}, white ${high}, for all maps.`;
}
