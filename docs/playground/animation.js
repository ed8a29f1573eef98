// Tells whether a GIF or WebP file holds several pictures, as Pillow's `is_animated` does.

const EXTENSION = 0x21, PICTURE = 0x2c, TRAILER = 0x3b;  // first bytes of the blocks of a GIF

export function isAnimated(bytes) {
  const start = String.fromCharCode(...bytes.subarray(0, 12));
  if (start.startsWith("GIF8")) return gifPictures(bytes) > 1;
  if (start.startsWith("RIFF") && start.endsWith("WEBP")) return webpPictures(bytes) > 1;
  return false;
}

function gifPictures(bytes) {
  const paletteBytes = flags => flags & 128 ? 3 * 2 ** (1 + (flags & 7)) : 0;
  let pictures = 0;
  let at = 13 + paletteBytes(bytes[10]);
  while (at < bytes.length && bytes[at] !== TRAILER) {
    if (bytes[at] === PICTURE) {
      pictures++;
      at = afterParts(bytes, at + 11 + paletteBytes(bytes[at + 9]));
    } else if (bytes[at] === EXTENSION) {
      at = afterParts(bytes, at + 2);
    } else {
      at++;
    }
  }
  return pictures;
}

// Skips the parts of a block, each with its length before it. The last has length 0.
function afterParts(bytes, at) {
  while (bytes[at]) at += 1 + bytes[at];
  return at + 1;
}

function webpPictures(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let pictures = 0;
  for (let at = 12; at + 8 <= bytes.length;) {
    if (String.fromCharCode(...bytes.subarray(at, at + 4)) === "ANMF") pictures++;
    const length = view.getUint32(at + 4, true);
    at += 8 + length + length % 2;
  }
  return pictures;
}
