// Uses the page as a visitor does, in a frame, and sends the report to the server of the test.

const {files, widths} = await (await fetch("/visit.json")).json();
const {image_size: size} = await (await fetch("/playground/network.json")).json();
const report = {faults: [], classes: {}, squares: {}, errors: {}, overflow: {}};

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

function errorOf({get}) {
  return until(() => !get("error").hidden && get("error").textContent, "error");
}

async function classify(visit, name) {
  visit.get("classes").replaceChildren();
  giveFile(visit, await fetched(name));
  const items = await until(() => {
    const found = [...visit.get("classes").children];
    return found.length && found;
  }, `classes of ${name}`);
  report.classes[name] = items.map(
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

async function occlude({get}) {
  get("occlusion-start").click();
  await until(() => get("occlusion-progress").value > 0, "progress");
  get("occlusion-stop").click();
  await until(() => get("occlusion-stop").disabled, "end of the stopped map");
  report.stopped = {
    status: get("occlusion-status").textContent, progress: get("occlusion-progress").value,
  };
  get("occlusion-start").click();
  await until(() => get("occlusion-stop").disabled, "whole map");
  report.whole = {status: get("occlusion-status").textContent, pixels: pixels(get("drops"))};
}

async function takePicture({get}) {
  get("classes").replaceChildren();
  get("camera-start").click();
  await until(() => get("video").videoWidth && !get("camera-take").hidden, "picture of the camera");
  get("camera-take").click();
  await until(() => get("classes").children.length, "classes of the camera's picture");
  report.camera = {status: get("status").textContent, error: get("error").textContent};
  get("camera-stop").click();
  report.camera.closed = get("video").hidden && get("video").srcObject === null;
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
  visit.get("drop").dispatchEvent(
    new visit.page.DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
  report.errors["dropped text"] = await errorOf(visit);
  report.errors["no network"] = await errorOf(await open("/no_network/index.html"));
  report.errors["no WebAssembly"] = await errorOf(await open("/no_webassembly/index.html"));
}

try {
  const start = performance.now();
  const visit = await open("/playground/index.html");
  await until(() => visit.get("classes").children.length, "classes of the first sample");
  report.seconds = (performance.now() - start) / 1000;
  await occlude(visit);
  await chooseKernel(visit);
  for (const name of files.check) await classify(visit, name);
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
