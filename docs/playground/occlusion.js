// How much the probability of a class falls when a part of the picture is covered.

const POSITIONS = 28;  // at most, along a side
const BATCH = 16;

// Covers the crop of a prepared square, position by position, with the mean image.
//
// In `target`, `square` are the values of the square, `crop` the network's output of that name, and
// `label` the class with its `probability`; `cover` is the cover's share of the crop's side. After
// each batch, calls `onProgress({side, drops, done, count})`: `drops` are the falls of the
// probability, row by row, of the positions so far. Ends early when `signal` is aborted. Returns the
// last progress.
export async function occlusionMap(network, target, signal, onProgress) {
  const {square, crop, label, probability, cover} = target;
  const {image_size: size, crop_size: cropSize, classes} = network.description;
  const side = Math.min(POSITIONS, cropSize);
  const count = side * side;
  const progress = {side, drops: new Float32Array(count), done: 0, count};
  const mean = meanSquare(network.description, square, crop);
  while (progress.done < count && !signal.aborted) {
    const batch = Math.min(BATCH, count - progress.done);
    const squares = new Float32Array(batch * square.length);
    for (let i = 0; i < batch; i++) {
      const covered = squares.subarray(i * square.length, (i + 1) * square.length);
      covered.set(square);
      const place = placeOf(progress.done + i, side);
      paste(mean, covered, rectangleAt(place, cover * cropSize, size, cropSize), size);
    }
    const {outputs} = await network.run(squares, ["probabilities"]);
    for (let i = 0; i < batch; i++) {
      const now = outputs.probabilities[i * classes.length + label];
      progress.drops[progress.done + i] = probability - now;
    }
    progress.done += batch;
    onProgress(progress);
    await new Promise(done => setTimeout(done));  // for the button that stops
  }
  return progress;
}

// Returns a square whose crop is the mean: what the network sees as nothing.
function meanSquare({image_size: size, crop_size: cropSize, color_order: order}, square, crop) {
  const mean = Float32Array.from(square);
  const offset = (size - cropSize) >> 1;
  for (let y = 0; y < cropSize; y++) {
    for (let x = 0; x < cropSize; x++) {
      for (let color = 0; color < 3; color++) {
        const source = 3 * (y * cropSize + x) + (order === "BGR" ? 2 - color : color);
        mean[3 * ((offset + y) * size + offset + x) + color] -= crop[source];
      }
    }
  }
  return mean;
}

// Returns the center of a position, as shares of the crop's side.
function placeOf(position, side) {
  return {y: (Math.floor(position / side) + 0.5) / side, x: (position % side + 0.5) / side};
}

// Returns the rectangle of a cover in the square. It ends at the edges of the crop.
function rectangleAt({y, x}, length, size, cropSize) {
  const offset = (size - cropSize) >> 1;
  const start = share => offset + Math.max(0, Math.round(share * cropSize - length / 2));
  const end = share => offset + Math.min(cropSize, Math.round(share * cropSize + length / 2));
  return {top: start(y), bottom: end(y), left: start(x), right: end(x)};
}

// Copies a rectangle of a square into another.
function paste(source, target, {top, bottom, left, right}, size) {
  for (let y = top; y < bottom; y++) {
    const [start, end] = [3 * (y * size + left), 3 * (y * size + right)];
    target.set(source.subarray(start, end), start);
  }
}
