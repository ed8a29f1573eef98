// Reads a picture into RGB bytes, as the classifier's `read_image` does.

import {isAnimated} from "./animation.js";
import {VisitorError, animated} from "./errors.js";
import {decodePng, isPng, pngSize} from "./png.js";

export const MAX_PIXELS = 80e6;  // the classifier's
const MAX_BYTES = 2 ** 28;
// Of a canvas. iOS refuses one of more than 2 ** 24; a frame of a 4K camera has fewer than these.
const STRIP_PIXELS = 2 ** 23;

// Returns {width, height, pixels} of a file: upright RGB bytes, row by row.
export async function readPicture(file) {
  if (!file.size) throw new VisitorError("This file is empty. Choose another picture.");
  if (file.size > MAX_BYTES) {
    throw new VisitorError("This file is larger than 256 MB. Choose a smaller picture.");
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (isPng(bytes)) {
    checkSize(pngSize(bytes));
    return upright(await decodePng(bytes));
  }
  if (isAnimated(bytes)) throw animated();
  return fromBitmap(await decodedByBrowser(file));
}

// Returns the present frame of a video.
export function readFrame(video) {
  return fromCanvasSource(video, video.videoWidth, video.videoHeight);
}

function checkSize({width, height}) {
  if (width * height > MAX_PIXELS) {
    throw new VisitorError(
      `This picture is too large: ${width} x ${height} pixels. Choose one of 80 million at most.`);
  }
}

async function decodedByBrowser(file) {
  try {
    // Pillow does not apply profiles of color.
    const options = {imageOrientation: "from-image", colorSpaceConversion: "none"};
    return await createImageBitmap(file, options);
  } catch {
    throw new VisitorError(
      "This file is not a picture that the browser can read. "
      + "Choose a JPEG, PNG, GIF, BMP or WebP file.");
  }
}

function fromBitmap(bitmap) {
  try {
    checkSize(bitmap);
    return fromCanvasSource(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

// Reads a picture strip by strip, from the top.
function fromCanvasSource(source, width, height) {
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP_PIXELS / width)));
  const context = newContext(width, rows);
  const pixels = new Uint8Array(3 * width * height);
  for (let top = 0; top < height; top += rows) {
    context.clearRect(0, 0, width, rows);
    context.drawImage(source, 0, -top);
    const strip = context.getImageData(0, 0, width, Math.min(rows, height - top));
    copyColors(strip.data, pixels, 3 * top * width);
  }
  return {width, height, pixels};
}

function newContext(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", {willReadFrequently: true});
  if (!context) {
    throw new VisitorError("The browser has no memory for this picture. Choose a smaller one.");
  }
  return context;
}

// Copies RGB bytes from RGBA. A canvas does not keep the colors of transparent pixels.
function copyColors(rgba, pixels, start) {
  for (let i = 0, j = start; i < rgba.length; i += 4) {
    if (rgba[i + 3] !== 255) {
      throw new VisitorError(
        "This picture has transparent parts, whose colors the browser does not keep. "
        + "Choose a PNG file, or a picture without transparent parts.");
    }
    pixels[j++] = rgba[i];
    pixels[j++] = rgba[i + 1];
    pixels[j++] = rgba[i + 2];
  }
}

// Turns and mirrors a picture by its orientation, as EXIF defines the eight.
function upright({width, height, pixels, orientation}) {
  if (orientation === 1) return {width, height, pixels};
  const turned = orientation >= 5;
  const [newWidth, newHeight] = turned ? [height, width] : [width, height];
  const mirrored = [2, 3, 7, 8].includes(orientation);  // along the stored row
  const flipped = [3, 4, 6, 7].includes(orientation);  // along the stored column
  const result = new Uint8Array(pixels.length);
  for (let y = 0; y < newHeight; y++) {
    for (let x = 0; x < newWidth; x++) {
      let [column, row] = turned ? [y, x] : [x, y];
      if (mirrored) column = width - 1 - column;
      if (flipped) row = height - 1 - row;
      const source = 3 * (row * width + column);
      result.set(pixels.subarray(source, source + 3), 3 * (y * newWidth + x));
    }
  }
  return {width: newWidth, height: newHeight, pixels: result};
}
