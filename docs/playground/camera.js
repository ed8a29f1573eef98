// Takes a picture by the camera.

import {VisitorError} from "./errors.js";
import {readFrame} from "./picture.js";

// Browsers offer the camera to pages of https addresses and of this machine only.
export function hasCamera() {
  return Boolean(navigator.mediaDevices?.getUserMedia);
}

export async function startCamera(video) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}});
  } catch {
    throw new VisitorError("The browser gives no camera to this page. Allow it, or choose a file.");
  }
  stopCamera(video);  // which a second click has started
  video.srcObject = stream;
  try {
    await video.play();
  } catch (error) {
    stopCamera(video);
    throw error;
  }
}

export function takePicture(video) {
  if (!video.videoWidth) throw new VisitorError("The camera shows no picture yet. Wait a moment.");
  return readFrame(video);
}

export function stopCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
