// Uses the page as a visitor does, in a frame, and sends the report to the server of the test.

const {files, widths} = await (await fetch("/visit.json")).json();
const description = await (await fetch("/playground/network.json")).json();
const {image_size: size, crop_size: cropSize} = description;
const report = {faults: [], classes: {}, squares: {}, errors: {}, overflow: {}, late: {}};

async function until(check, what) {
  const start = performance.now();
  for (;;) {
    const found = check();
    if (found) return found;
    if (performance.now() - start > 60000) throw new Error(`no ${what} within 60 s`);
    await new Promise(done => setTimeout(done, 20));
  }
}

async function open(path, width = 1280) {
  const frame = document.createElement("iframe");
  frame.style = `border: 0; width: ${width}px; height: 2000px`;
  frame.src = path;
  document.body.append(frame);
  await new Promise(done => frame.onload = done);
  frame.contentWindow.addEventListener(
    "unhandledrejection", event => report.faults.push(`${event.reason}`));
  return {frame, page: frame.contentWindow, get: id => frame.contentDocument.getElementById(id)};
}

async function fetched(name) {
  return new File([await (await fetch(`/pictures/${name}`)).blob()], name);
}

function giveFile({page, get}, file) {
  const transfer = new page.DataTransfer();
  transfer.items.add(file);
  get("file").files = transfer.files;
  get("file").dispatchEvent(new page.Event("change"));
}

// Drops a transfer on the page. Returns whether the browser is kept from opening it.
function drop({page, get}, transfer) {
  const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
  return !get("drop").dispatchEvent(new page.DragEvent("drop", options));
}

function dropFile(visit, file) {
  const transfer = new visit.page.DataTransfer();
  transfer.items.add(file);
  return drop(visit, transfer);
}

function messagesOf({get}) {
  return {
    status: get("status").textContent, error: get("error").hidden ? "" : get("error").textContent,
  };
}

function errorOf({get}) {
  return until(() => !get("error").hidden && get("error").textContent, "error");
}

async function classify(visit, file) {
  visit.get("classes").replaceChildren();
  giveFile(visit, file);
  await until(() => visit.get("classes").children.length, `classes of ${file.name}`);
  return classesOf(visit);
}

function classesOf({get}) {
  return [...get("classes").children].map(
    item => [item.querySelector(".name").textContent, Number(item.dataset.probability)]);
}

function pixels(canvas) {
  return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}

async function chooseKernel(visit) {
  const buttons = [...visit.get("kernels").querySelectorAll("button")];
  report.kernels = buttons.map(button => [...button.children].map(pixels));
  const strength = button => Number(button.getAttribute("aria-label").split(" ").at(-1));
  const best = buttons.reduce((a, b) => strength(a) >= strength(b) ? a : b);
  best.click();
  report.chosen = {
    index: buttons.indexOf(best), pressed: best.getAttribute("aria-pressed"),
    status: visit.get("kernel-status").textContent, input: pixels(visit.get("input")),
  };
}

async function occlude({page, get}) {
  report.pictureFilter = page.getComputedStyle(get("occluded")).filter;
  get("occlusion-start").click();
  await until(() => get("occlusion-progress").value > 0, "progress");
  get("occlusion-stop").click();
  await until(() => get("occlusion-stop").disabled, "end of the stopped map");
  report.stopped = {
    status: get("occlusion-status").textContent, progress: get("occlusion-progress").value,
  };
  get("occlusion-start").click();
  report.restarted = {hidden: get("drops").hidden, progress: get("occlusion-progress").value};
  await until(() => get("occlusion-stop").disabled, "whole map");
  report.whole = {status: get("occlusion-status").textContent, pixels: pixels(get("drops"))};
}

async function takePicture({page, frame, get}) {
  const {mediaDevices} = page.navigator;
  const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
  let wanted = null;
  mediaDevices.getUserMedia = constraints => {
    wanted = constraints;
    return getUserMedia(constraints);
  };
  const focus = [];
  const noteFocus = () => focus.push(frame.contentDocument.activeElement.id);
  get("classes").replaceChildren();
  get("camera-start").click();
  await until(() => get("video").videoWidth && !get("camera-take").hidden, "picture of the camera");
  noteFocus();
  get("camera-take").click();
  await until(() => get("classes").children.length, "classes of the camera's picture");
  report.camera = {...messagesOf({get}), wanted, focus};
  get("camera-stop").click();
  noteFocus();
  report.camera.closed = get("video").hidden && get("video").srcObject === null;
}

// Draws the first sample with the cover where the map is strongest, and has it classified.
async function coverStrongest(visit) {
  const {get} = visit;
  const strengths = pixels(get("drops")).filter((_, i) => i % 4 === 3);
  const best = strengths.indexOf(Math.max(...strengths));
  const side = Math.sqrt(strengths.length);
  const offset = (size - cropSize) / 2;
  const length = cropSize * get("cover").value;
  const edges = step => [-1, 1].map(sign => {
    const edge = Math.round((step + 0.5) * cropSize / side + sign * length / 2);
    return Math.min(cropSize, Math.max(0, edge));
  });
  const [[top, bottom], [left, right]] = [edges(Math.floor(best / side)), edges(best % side)];
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  const sample = visit.frame.contentDocument.querySelector("#samples img");
  context.drawImage(sample, 0, 0, size, size);
  const mean = context.getImageData(offset, offset, cropSize, cropSize);
  // The page draws the picture less the mean, halved, around gray.
  pixels(get("input")).forEach((value, i) => {
    if (i % 4 < 3) mean.data[i] -= 2 * (value - 127.5);
  });
  context.putImageData(mean, offset, offset, left, top, right - left, bottom - top);
  const [before] = classesOf(visit);
  const blob = await new Promise(done => canvas.toBlob(done));
  report.covered = {before, classes: await classify(visit, new File([blob], "covered.png"))};
}

// Chooses a sample that arrives, or fails, only after the picture that is chosen next.
async function arriveLate(visit, file, fails) {
  const {page, get} = visit;
  const {fetch} = page;
  let arrive;
  const arrival = new Promise(done => arrive = done);
  page.fetch = async path => {
    await arrival;
    if (fails) throw new Error("late");
    return fetch(path);
  };
  get("classes").replaceChildren();
  page.document.querySelector("#samples button").click();
  await classify(visit, file);
  arrive();
  await new Promise(done => setTimeout(done, 500));
  page.fetch = fetch;
  return messagesOf(visit);
}

// Drops a picture on a page that has only begun to load the network.
async function dropEarly(file) {
  const visit = await open("/playground/index.html");
  const prevented = dropFile(visit, file);
  await until(() => visit.get("status").textContent.startsWith("The picture"), "dropped picture");
  await new Promise(done => setTimeout(done, 500));
  report.early = {prevented, ...messagesOf(visit)};
  visit.frame.remove();
}

// Records the size of the largest canvas that a picture is drawn into.
function watchCanvases() {
  const {prototype} = CanvasRenderingContext2D;
  const {drawImage} = prototype;
  report.largestCanvas = 0;
  prototype.drawImage = function (...rest) {
    report.largestCanvas = Math.max(report.largestCanvas, this.canvas.width * this.canvas.height);
    return drawImage.apply(this, rest);
  };
}

async function prepare(names) {
  const {readPicture} = await import("/playground/picture.js");
  const {preparedSquare} = await import("/playground/prepare.js");
  for (const name of names) {
    const square = preparedSquare(await readPicture(await fetched(name)), size);
    report.squares[name] = btoa(String.fromCharCode(...square));
  }
}

async function collectErrors(visit) {
  for (const name of files.wrong) {
    visit.get("error").hidden = true;
    giveFile(visit, await fetched(name));
    report.errors[name] = await errorOf(visit);
  }
  visit.get("error").hidden = true;
  const transfer = new visit.page.DataTransfer();
  transfer.setData("text/plain", "text");
  drop(visit, transfer);
  report.errors["dropped text"] = await errorOf(visit);
  const noNetwork = await open("/no_network/index.html");
  report.errors["no network"] = await errorOf(noNetwork);
  noNetwork.get("error").hidden = true;
  dropFile(noNetwork, await fetched("smaller.png"));
  report.errors["dropped without network"] = await errorOf(noNetwork);
  report.errors["no WebAssembly"] = await errorOf(await open("/no_webassembly/index.html"));
}

try {
  const visit = await open("/playground/index.html");
  await until(() => visit.get("classes").children.length, "classes of the first sample");
  await occlude(visit);
  await chooseKernel(visit);
  await coverStrongest(visit);
  for (const name of files.check) {
    report.classes[name] = await classify(visit, await fetched(name));
  }
  const smaller = await fetched("smaller.png");
  report.late.sample = await arriveLate(visit, smaller, false);
  report.late.failure = await arriveLate(visit, smaller, true);
  await dropEarly(smaller);
  watchCanvases();
  await prepare([...files.check, ...files.rare]);
  await takePicture(visit);
  await collectErrors(visit);
  for (const width of widths) {
    visit.frame.style.width = `${width}px`;
    report.overflow[width] = visit.frame.contentDocument.documentElement.scrollWidth - width;
  }
} catch (error) {
  report.faults.push(`${error}`);
}
await fetch("/report", {method: "POST", body: JSON.stringify(report)});
