// Draws arrays into canvases, a pixel for each value. Style sheets enlarge the canvases.

const LOWER = [43, 108, 217], HIGHER = [220, 38, 38];  // of a class' probability, when covered
const SMALL_DROP = 0.05;  // of a probability
const TILE = 52, GAP = 4;  // pixels

// Draws RGB values of a square; `shade` changes a value into 0 to 255.
export function drawColors(canvas, values, side, shade = value => value) {
  paint(canvas, side, side, (pixel, rgba, at) => {
    for (let color = 0; color < 3; color++) rgba[at + color] = shade(values[3 * pixel + color]);
  });
}

// Draws one map of a layer's output (height x width x maps): black is `low`, white `high`.
export function drawMap(canvas, values, layer, index, {low, high}) {
  paint(canvas, layer.side, layer.side, (pixel, rgba, at) => {
    const value = values[pixel * layer.maps + index];
    rgba.fill(255 * (value - low) / (high - low || 1), at, at + 3);
  });
}

// Draws the maps from `first` to `end` as tiles in rows of `columns`, enlarged, with gaps between.
export function drawTiles(canvas, values, layer, {first, end, columns}, {low, high}) {
  const zoom = Math.max(1, Math.round(TILE / layer.side));
  const tile = layer.side * zoom;
  const step = tile + GAP;
  const rows = Math.ceil((end - first) / columns);
  paint(canvas, columns * step - GAP, rows * step - GAP, (pixel, rgba, at, x, y) => {
    const map = first + Math.floor(y / step) * columns + Math.floor(x / step);
    if (x % step >= tile || y % step >= tile || map >= end) {
      rgba[at + 3] = 0;
      return;
    }
    const position = Math.floor(y % step / zoom) * layer.side + Math.floor(x % step / zoom);
    const value = values[position * layer.maps + map];
    rgba.fill(255 * (value - low) / (high - low || 1), at, at + 3);
  });
}

// Draws the falls of a probability: red where it falls, blue where it rises, clear for none. The
// largest is opaque, unless it is too small to matter.
export function drawDrops(canvas, {side, drops, done}) {
  const largest = drops.reduce((most, drop) => Math.max(most, Math.abs(drop)), SMALL_DROP);
  paint(canvas, side, side, (pixel, rgba, at) => {
    rgba.set(drops[pixel] >= 0 ? HIGHER : LOWER, at);
    rgba[at + 3] = pixel < done ? 220 * Math.abs(drops[pixel]) / largest : 0;
  });
}

// Returns the range of values, from 0 or below.
export function rangeOf(values) {
  let [low, high] = [0, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return {low, high};
}

function paint(canvas, width, height, setPixel) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const rgba = image.data;  // rounds and clips what it gets
  for (let pixel = 0; pixel < width * height; pixel++) {
    rgba[4 * pixel + 3] = 255;
    setPixel(pixel, rgba, 4 * pixel, pixel % width, Math.floor(pixel / width));
  }
  context.putImageData(image, 0, 0);
}
