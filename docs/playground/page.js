// The page: what the visitor does, and what is shown then.

import {hasCamera, startCamera, stopCamera, takePicture} from "./camera.js";
import {drawDrops} from "./drawing.js";
import {VisitorError, cannotFetch} from "./errors.js";
import {Kernels} from "./kernels.js";
import {loadNetwork} from "./network.js";
import {occlusionMap} from "./occlusion.js";
import {readPicture} from "./picture.js";
import {preparedSquare} from "./prepare.js";
import {ranking, showClasses, showCrop, showMaps} from "./results.js";

const element = id => document.getElementById(id);

let network = null;
let kernels = null;
let shown = null;  // the classified picture: its square and all outputs
let latest = 0;  // number of the picture that was chosen last
let occlusion = null;  // controller of the occlusion map that is computed

// Calls a function, and says in the page what goes wrong.
async function guarded(action) {
  element("error").hidden = true;
  try {
    await action();
  } catch (error) {
    element("error").textContent =
      error instanceof VisitorError ? error.message : `This page has a fault: ${error.message}`;
    element("error").hidden = false;
    element("status").textContent = "";
    if (!(error instanceof VisitorError)) throw error;
  }
}

async function start() {
  const loading = load();
  connectDrop(loading);
  await loading;
  await choose(readSample(document.querySelector("#samples button")));
}

async function load() {
  network = await loadNetwork();
  const {description} = network;
  await network.run(new Float32Array(3 * description.image_size ** 2));  // the first run is slower
  element("network-note").textContent =
    `The network: ${description.name}, ${description.classes.length} classes. `
    + `It gets ${description.crop_size} x ${description.crop_size} pixels.`;
  kernels = new Kernels(element("kernels"), description, showChosenKernel);
  for (const {name, side, maps} of description.layers) {
    element("layer").append(new Option(`${name}: ${maps} maps of ${side} x ${side}`, name));
  }
  element("layer").value = "conv2";
  connect();
}

function connect() {
  for (const control of document.querySelectorAll("#file, #samples button, #camera-start")) {
    control.disabled = false;
  }
  element("camera").hidden = !hasCamera();
  element("file").addEventListener("change", event => chooseFile(event.target.files[0]));
  for (const button of document.querySelectorAll("#samples button")) {
    button.addEventListener("click", () => guarded(() => choose(readSample(button))));
  }
  connectCamera();
  element("layer").addEventListener("change", showChosenLayer);
  element("occlusion-start").addEventListener("click", () => guarded(startOcclusion));
  element("occlusion-stop").addEventListener("click", () => occlusion?.abort());
}

// Takes files that are dropped. `loading` is the promise of the network.
function connectDrop(loading) {
  // On the whole page, and at once: a file that misses the field would replace the page.
  document.addEventListener("dragover", event => {
    event.preventDefault();
    element("drop").classList.add("over");
  });
  document.addEventListener("dragleave", () => element("drop").classList.remove("over"));
  document.addEventListener("drop", event => {
    event.preventDefault();
    element("drop").classList.remove("over");
    guarded(async () => {
      const [file] = event.dataTransfer.files;
      if (!file) {
        throw new VisitorError("This is no file. Drop a picture that is stored on this machine.");
      }
      await loading;
      await choose(readPicture(file));
    });
  });
}

function connectCamera() {
  const video = element("video");
  const show = on => {
    for (const id of ["video", "camera-take", "camera-stop"]) element(id).hidden = !on;
    element("camera-start").hidden = on;
    element(on ? "camera-take" : "camera-start").focus();  // the button that had it is hidden
  };
  element("camera-start").addEventListener("click", () => guarded(async () => {
    await startCamera(video);
    show(true);
  }));
  element("camera-take").addEventListener("click", () => guarded(() => choose(takePicture(video))));
  element("camera-stop").addEventListener("click", () => {
    stopCamera(video);
    show(false);
  });
}

function chooseFile(file) {
  if (file) guarded(() => choose(readPicture(file)));
  element("file").value = "";  // so that the same file can be chosen again
}

async function readSample(button) {
  const {src} = button.querySelector("img");
  const response = await fetch(src).catch(() => null);
  if (!response?.ok) throw cannotFetch(src);
  return readPicture(await response.blob());
}

// Classifies a picture and shows it, unless another is chosen meanwhile. `reading` is the picture,
// or its promise.
async function choose(reading) {
  const number = ++latest;
  element("status").textContent = "Reading the picture.";
  try {
    const classified = await classify(await reading);
    if (number === latest) show(classified);
  } catch (error) {
    if (number === latest) throw error;
  }
}

async function classify(picture) {
  const square = Float32Array.from(preparedSquare(picture, network.description.image_size));
  const {outputs, milliseconds} = await network.run(square);
  return {picture, square, outputs, milliseconds};
}

function show({picture, square, outputs, milliseconds}) {
  occlusion?.abort();
  shown = {square, outputs};
  element("status").textContent = `The picture has ${picture.width} x ${picture.height} pixels.`;
  element("results").hidden = false;
  showCrop(network.description, square, outputs.crop);
  showClasses(network.description.classes, outputs.probabilities);
  element("time").textContent = `A forward pass took ${milliseconds.toFixed(1)} milliseconds.`;
  clearOcclusion();
  kernels.show(outputs.conv1);
  showChosenKernel(kernels.chosen);
  showChosenLayer();
}

function showChosenKernel(index) {
  const frame = element("frame");
  frame.hidden = index === null;
  if (index === null) {
    element("kernel-status").textContent = "No kernel is chosen.";
    return;
  }
  const {value, top, left, side} = kernels.strongest(index);
  if (value <= 0) {
    frame.hidden = true;
    element("kernel-status").textContent = `${kernels.nameOf(index)} answers nowhere here.`;
    return;
  }
  const {crop_size: cropSize} = network.description;
  const share = pixels => `${100 * pixels / cropSize}%`;
  frame.style.top = share(top);
  frame.style.left = share(left);
  frame.style.width = frame.style.height = share(side);
  element("kernel-status").textContent =
    `${kernels.nameOf(index)} answers most, ${value.toPrecision(3)}, in the frame: `
    + `${side} x ${side} pixels from row ${top + 1}, column ${left + 1}.`;
}

function showChosenLayer() {
  showMaps(network.description, element("layer").value, shown.outputs);
}

function clearOcclusion() {
  element("drops").hidden = true;
  element("occlusion-progress").value = 0;
  element("occlusion-status").textContent = "";
}

async function startOcclusion() {
  const {probabilities, crop} = shown.outputs;
  const [label] = ranking(probabilities);
  const cover = Number(element("cover").value);
  const target = {square: shown.square, crop, label, probability: probabilities[label], cover};
  occlusion = new AbortController();
  const {signal} = occlusion;
  const picture = shown;
  const onProgress = progress => {
    if (picture === shown) showProgress(progress);
  };
  element("occlusion-start").disabled = true;
  element("occlusion-stop").disabled = false;
  clearOcclusion();
  try {
    const progress = await occlusionMap(network, target, signal, onProgress);
    if (picture === shown) showOcclusionResult(progress, label);
  } finally {
    occlusion = null;
    element("occlusion-start").disabled = false;
    element("occlusion-stop").disabled = true;
  }
}

function showProgress(progress) {
  element("occlusion-progress").value = progress.done / progress.count;
  drawDrops(element("drops"), progress);
  element("drops").hidden = false;
}

function showOcclusionResult({drops, done, count}, label) {
  const name = network.description.classes[label];
  const largest = Math.max(0, ...drops.subarray(0, done));
  const points = (100 * largest).toFixed(1);
  element("occlusion-status").textContent =
    (done < count ? `Stopped after ${done} of ${count} places. ` : `All ${count} places. `)
    + `The probability of ${name} falls by up to ${points} points.`;
}

guarded(start);
