// Takes a picture by the camera.

import {VisitorError} from "./errors.js";
import {readFrame} from "./picture.js";

// Browsers offer the camera to pages of https addresses and of this machine only.
export function hasCamera() {
  return Boolean(navigator.mediaDevices?.getUserMedia);
}

export async function startCamera(video) {
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({video: true});
  } catch {
    throw new VisitorError("The browser gives no camera to this page. Allow it, or choose a file.");
  }
  await video.play();
}

export function takePicture(video) {
  if (!video.videoWidth) throw new VisitorError("The camera shows no picture yet. Wait a moment.");
  return readFrame(video);
}

export function stopCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
