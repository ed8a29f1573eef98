// Decodes PNG files. A canvas would multiply colors by their opacity, and the colors of transparent
// pixels would be lost; the classifier drops the opacity and keeps the colors.

import {VisitorError, animated} from "./errors.js";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const GRAY = 0, PALETTE = 3;
const CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4};  // by color type
// First column and row, and steps, of the seven passes of an interlaced file.
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2],
  [0, 1, 1, 2]];

export function isPng(bytes) {
  return SIGNATURE.every((value, i) => bytes[i] === value);
}

// Returns the width and height of a PNG file, which its first chunk holds.
export function pngSize(bytes) {
  if (bytes.length < 33) throw damaged();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {width: view.getUint32(16), height: view.getUint32(20)};
}

// Returns {width, height, pixels, orientation}: RGB bytes row by row, and the orientation of EXIF.
export async function decodePng(bytes) {
  const chunks = readChunks(bytes);
  const header = readHeader(chunks);
  if (isAnimated(chunks)) throw animated();
  const parts = chunks.filter(chunk => chunk.kind === "IDAT").map(chunk => chunk.data);
  const data = await inflate(parts);
  const palette = chunks.find(chunk => chunk.kind === "PLTE")?.data;
  if (header.type === PALETTE && !palette) throw damaged();
  const pixels = new Uint8Array(3 * header.width * header.height);
  let start = 0;
  for (const [left, top, across, down] of header.interlaced ? PASSES : [[0, 0, 1, 1]]) {
    const columns = Math.ceil((header.width - left) / across);
    const rows = Math.ceil((header.height - top) / down);
    if (columns <= 0 || rows <= 0) continue;
    const rowBytes = Math.ceil(columns * header.channels * header.depth / 8);
    const lines = unfilter(data, start, rows, rowBytes, header);
    start += rows * (rowBytes + 1);
    for (let row = 0; row < rows; row++) {
      const line = lines.subarray(row * rowBytes, (row + 1) * rowBytes);
      for (let column = 0; column < columns; column++) {
        const target = 3 * ((top + row * down) * header.width + left + column * across);
        writePixel(pixels, target, line, column, header, palette);
      }
    }
  }
  const exif = chunks.find(chunk => chunk.kind === "eXIf")?.data;
  return {width: header.width, height: header.height, pixels, orientation: orientationOf(exif)};
}

function damaged() {
  return new VisitorError("This PNG file is damaged. Choose another picture.");
}

function readChunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks = [];
  for (let at = SIGNATURE.length; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) throw damaged();
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    chunks.push({kind, data: bytes.subarray(at + 8, at + 8 + length)});
    at += 12 + length;
  }
  return chunks;
}

function readHeader(chunks) {
  const data = chunks[0]?.kind === "IHDR" ? chunks[0].data : null;
  if (data?.length !== 13) throw damaged();
  const view = new DataView(data.buffer, data.byteOffset);
  const [depth, type] = [data[8], data[9]];
  const header = {
    width: view.getUint32(0), height: view.getUint32(4), depth, type,
    channels: CHANNELS[type], interlaced: data[12] === 1,
  };
  if (!header.width || !header.height || !header.channels || ![1, 2, 4, 8, 16].includes(depth)) {
    throw damaged();
  }
  return header;
}

// Returns whether a file holds several pictures: `acTL` counts those of the animation. The still
// picture is one of them if its `fcTL` stands before it.
function isAnimated(chunks) {
  const before = chunks.slice(0, chunks.findIndex(chunk => chunk.kind === "IDAT"));
  const control = before.find(chunk => chunk.kind === "acTL")?.data;
  if (!control || control.length < 8) return false;
  const count = new DataView(control.buffer, control.byteOffset).getUint32(0);
  return count > (before.some(chunk => chunk.kind === "fcTL") ? 1 : 0);
}

async function inflate(parts) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw damaged();
  }
}

// Undoes the filter of each row: bytes are stored as differences from their neighbors.
function unfilter(data, start, rows, rowBytes, header) {
  if (data.length < start + rows * (rowBytes + 1)) throw damaged();
  const pixelBytes = Math.max(1, header.channels * header.depth / 8);
  const lines = new Uint8Array(rows * rowBytes);
  let above = new Uint8Array(rowBytes);
  for (let row = 0; row < rows; row++) {
    const source = start + row * (rowBytes + 1);
    const restore = FILTERS[data[source]];
    if (!restore) throw damaged();
    const line = lines.subarray(row * rowBytes, (row + 1) * rowBytes);
    line.set(data.subarray(source + 1, source + 1 + rowBytes));
    restore(line, above, pixelBytes);
    above = line;
  }
  return lines;
}

// Each adds to the bytes of a row what its filter predicts: nothing, the byte to the left, the byte
// above, their mean, or the one of three neighbors that is closest to left + above - corner.
const FILTERS = [
  () => {},
  (line, above, step) => {
    for (let i = step; i < line.length; i++) line[i] += line[i - step];
  },
  (line, above) => {
    for (let i = 0; i < line.length; i++) line[i] += above[i];
  },
  (line, above, step) => {
    for (let i = 0; i < line.length; i++) {
      line[i] += ((i < step ? 0 : line[i - step]) + above[i]) >> 1;
    }
  },
  (line, above, step) => {
    for (let i = 0; i < line.length; i++) {
      const left = i < step ? 0 : line[i - step];
      const corner = i < step ? 0 : above[i - step];
      line[i] += closest(left, above[i], corner);
    }
  },
];

function closest(left, above, corner) {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

function writePixel(pixels, target, line, column, header, palette) {
  const first = sample(line, column * header.channels, header);
  if (header.type === PALETTE) {
    for (let color = 0; color < 3; color++) pixels[target + color] = palette[3 * first + color];
  } else if (header.channels < 3) {
    const scale = header.type === GRAY && header.depth < 8 ? 255 / (2 ** header.depth - 1) : 1;
    pixels.fill(first * scale, target, target + 3);
  } else {
    pixels[target] = first;
    pixels[target + 1] = sample(line, column * header.channels + 1, header);
    pixels[target + 2] = sample(line, column * header.channels + 2, header);
  }
}

// Returns a sample of a row; of 16 bits the upper 8.
function sample(line, index, header) {
  if (header.depth === 8) return line[index];
  if (header.depth === 16) return line[2 * index];
  const bit = index * header.depth;
  const shift = 8 - header.depth - bit % 8;
  return (line[bit >> 3] >> shift) & (2 ** header.depth - 1);
}

// Returns the orientation that an EXIF block holds, 1 to 8; 1, upright, where there is none.
function orientationOf(exif) {
  if (!exif || exif.length < 14) return 1;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const little = exif[0] === 0x49;
  const start = view.getUint32(4, little);
  if (start + 2 > exif.length) return 1;
  const count = view.getUint16(start, little);
  for (let i = 0; i < count && start + 14 + 12 * i <= exif.length; i++) {
    const entry = start + 2 + 12 * i;
    if (view.getUint16(entry, little) === 0x0112) {
      const value = view.getUint16(entry + 8, little);
      return value >= 1 && value <= 8 ? value : 1;
    }
  }
  return 1;
}
