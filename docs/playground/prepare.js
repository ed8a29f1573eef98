// Scales a picture to the square that the classifier takes, to the pixel as its `prepared_square`.
//
// The filter is a triangle as wide as the pixels that become one. All arithmetic is in float32, and
// sums are in the same order, so that both round alike. A canvas scales in another way.

const f32 = Math.fround;

// Returns RGB bytes, size x size: the shorter side scaled to `size`, and the center cut out.
export function preparedSquare({width, height, pixels}, size) {
  const shorter = Math.min(width, height);
  if (shorter === size) return cutOut(pixels, width, height, size);
  const rows = axisSpans(height, shorter, size);
  const columns = axisSpans(width, shorter, size);
  const square = new Uint8Array(3 * size * size);
  for (let y = 0; y < size; y++) {
    const line = scaledLine(pixels, width, rows, y, columns);
    for (let x = 0; x < size; x++) {
      for (let color = 0; color < 3; color++) {
        let sum = 0;
        for (let tap = 0; tap < columns.taps; tap++) {
          const i = x * columns.taps + tap;
          const value = line[3 * (columns.stored[i] - columns.start) + color];
          sum = f32(sum + f32(value * columns.weights[i]));
        }
        square[3 * (y * size + x) + color] = Math.min(255, Math.max(0, roundHalfEven(sum)));
      }
    }
  }
  return square;
}

function cutOut(pixels, width, height, size) {
  const top = (height - size) >> 1;
  const left = (width - size) >> 1;
  const square = new Uint8Array(3 * size * size);
  for (let y = 0; y < size; y++) {
    const start = 3 * ((top + y) * width + left);
    square.set(pixels.subarray(start, start + 3 * size), 3 * y * size);
  }
  return square;
}

// Returns a scaled row, float32, of the stored columns that the square needs.
function scaledLine(pixels, width, rows, y, columns) {
  const length = 3 * (columns.end - columns.start);
  const line = new Float32Array(length);
  for (let tap = 0; tap < rows.taps; tap++) {
    const weight = rows.weights[y * rows.taps + tap];
    const first = 3 * (rows.stored[y * rows.taps + tap] * width + columns.start);
    for (let i = 0; i < length; i++) line[i] += f32(pixels[first + i] * weight);
  }
  return line;
}

// Returns, for each scaled pixel of an axis, the stored pixels that it is a mean of, with weights.
function axisSpans(length, shorter, size) {
  const scaledLength = roundHalfEven(length * size / shorter);
  const first = Math.floor((scaledLength - size) / 2);
  const reach = 2 + Math.max(Math.floor(shorter / size), 1);
  const start = Math.max(Math.floor((length - shorter) / 2) - reach, 0);
  const scale = scaledLength / length;
  const spans = triangles(length - 2 * start, size, scale, start * scale - first);
  return {...spans, stored: spans.stored.map(i => i + start), start, end: length - start};
}

function triangles(length, size, scale, translation) {
  const inverse = f32(1 / f32(scale));
  const width = Math.max(inverse, 1);  // half the base of the triangle
  const shift = f32(inverse * f32(translation));
  const clip = value => Math.min(Math.max(value, 0), length - 1);
  const middles = Array.from({length: size}, (_, i) => f32(f32((i + 0.5) * inverse) - shift));
  const firsts = middles.map(middle => clip(Math.ceil(f32(f32(middle - width) - 0.5))));
  const lasts = middles.map(middle => clip(Math.floor(f32(f32(middle + width) - 0.5))));
  const taps = Math.max(...lasts.map((last, i) => last - firsts[i])) + 1;
  const stored = new Int32Array(size * taps);
  const weights = new Float32Array(size * taps);
  const sharpness = f32(1 / width);
  for (let i = 0; i < size; i++) {
    let total = 0;
    for (let tap = 0; tap < taps; tap++) {
      const pixel = firsts[i] + tap;
      const distance = Math.abs(f32(f32(pixel + 0.5 - middles[i]) * sharpness));
      const weight = pixel <= lasts[i] ? Math.max(0, f32(1 - distance)) : 0;
      stored[i * taps + tap] = clip(pixel);
      weights[i * taps + tap] = weight;
      total = f32(total + weight);
    }
    const share = f32(1 / total);
    for (let tap = 0; tap < taps; tap++) weights[i * taps + tap] *= share;
  }
  return {taps, stored, weights};
}

// Rounds halves to the even neighbor, as NumPy does.
function roundHalfEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}
