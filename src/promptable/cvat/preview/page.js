// The page of `promptable preview`: frames down, variants across, and above each variant its labels' thresholds.

const COLOURS = ["#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#00a3c4", "#f032e6", "#808000", "#9a6324", "#008080"];
const state = { variants: [], frames: [], cells: [] };

async function open() {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const data = JSON.parse(await new Response(stream).text());
  document.getElementById("about").textContent = data.about;
  state.frames = await Promise.all(data.frames.map(async (frame, i) => ({ ...frame, image: await picture(i) })));
  const names = [...new Set(data.variants.flatMap((variant) => variant.labels.map((label) => label.name)))];
  state.variants = data.variants.map((variant) => ({
    ...variant,
    shown: true,
    labels: variant.labels.map((label) => ({
      ...label, on: true, at: Math.max(label.threshold, variant.floor), colour: COLOURS[names.indexOf(label.name) % COLOURS.length],
    })),
    answers: variant.answers.map((answer) => (answer.proposals ? prepare(answer) : answer)),
  }));
  build();
  refresh();
  document.body.dataset.ready = "yes";
}

async function picture(i) {
  const image = new Image();
  image.src = document.getElementById(`picture-${i}`).textContent;
  await image.decode();
  return image;
}

/** The items of a variant on a frame at the thresholds of its sliders; labels that are off are left out. */
function answered(variant, frame) {
  const answer = variant.answers[frame];
  if (answer.error !== undefined) return [];
  const off = new Set(variant.labels.filter((label) => !label.on).map((label) => label.name));
  const all = answer.items ?? select(answer, variant.labels.map((label) => label.at));
  return all.filter((item) => !off.has(item.label));
}

function element(tag, properties = {}, ...children) {
  const { dataset, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, dataset ?? {});
  made.append(...children);
  return made;
}

function build() {
  const grid = document.getElementById("grid");
  state.variants.forEach((variant, v) => {
    const box = element("input", { type: "checkbox", checked: true, onchange: () => { variant.shown = box.checked; layOut(); } });
    if (state.variants.length > 1) document.getElementById("shown").append(element("label", {}, box, ` ${variant.name}`));
    grid.append(panel(variant, v));
  });
  const pictures = element("div", { id: "pictures" });
  grid.append(pictures);
  state.frames.forEach((frame, f) => {
    state.cells.push(state.variants.map((variant, v) => {
      const canvas = canvasFor(frame);
      const ariaLabel = `enlarge ${frame.name}, ${variant.name}`;
      const picture = element("button", { type: "button", className: "enlarge", ariaLabel, onclick: () => enlarge(f) }, canvas);
      const caption = element("figcaption");
      const cell = element("figure", { dataset: { variant: v, frame: f } }, picture, caption);
      pictures.append(cell);
      return { cell, canvas, caption };
    }));
  });
  layOut();
}

function layOut() {
  const shown = state.variants.filter((variant) => variant.shown).length;
  const grid = document.getElementById("grid");
  grid.classList.toggle("alone", shown === 1);
  grid.style.gridTemplateColumns = shown > 1 ? `repeat(${shown}, minmax(340px, 1fr))` : "";
  for (const one of grid.querySelectorAll("section, figure")) {
    one.hidden = !state.variants[one.dataset.variant].shown;
  }
  refresh();
}

function panel(variant, v) {
  const rows = variant.labels.map((label, l) => {
    const on = element("input", {
      type: "checkbox", checked: true, title: "show", ariaLabel: `show ${label.name}`,
      onchange: () => { label.on = on.checked; refresh(); },
    });
    const fixed = !variant.exact || Boolean(label.marks);
    const value = element("output", { hidden: fixed }, label.at.toFixed(2));
    const slider = element("input", {
      type: "range", min: variant.floor, max: 1, step: 0.01, value: label.at, disabled: fixed, hidden: fixed,
      ariaLabel: `threshold of ${label.name}`,
      oninput: () => { label.at = Number(slider.value); value.textContent = label.at.toFixed(2); refresh(); },
    });
    const name = element("span", { className: "name", title: [label.name, ...(label.prompts ?? [])].join("\n") });
    name.append(element("span", { className: "swatch", style: `background:${label.colour}` }), label.name);
    const count = element("span", { className: "count", dataset: { count: `${v}-${l}` } });
    return element("div", { className: "label", dataset: { label: label.name } }, on, name, slider, value, count);
  });
  const heading = [element("h2", {}, variant.name), element("p", {}, variant.note)];
  if (!variant.exact) return element("section", { dataset: { variant: v } }, ...heading, ...rows);
  const text = element("pre", { dataset: { yaml: v } });
  const button = element("button", { type: "button", ariaLive: "polite", onclick: () => copy(button, text.textContent) }, "copy");
  const yaml = element("details", {}, element("summary", {}, "labels.yaml with these thresholds "), button, text);
  return element("section", { dataset: { variant: v } }, ...heading, ...rows, yaml);
}

/** Copy a text, and say on the button for two seconds what came of it. */
async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    button.textContent = "the browser refused: select the text and copy it";
  }
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}

function refresh() {
  state.variants.forEach((variant, v) => {
    if (!variant.shown) return;
    const found = state.frames.map((_, f) => answered(variant, f));
    found.forEach((items, f) => show(state.cells[f][v], variant, f, items));
    variant.labels.forEach((label, l) => {
      const count = found.flat().filter((item) => item.label === label.name).length;
      document.querySelector(`[data-count="${v}-${l}"]`).textContent = count;
    });
    if (variant.exact) document.querySelector(`pre[data-yaml="${v}"]`).textContent = labelsYaml(variant.labels);
  });
  redraw();
}

function redraw() {
  for (const canvas of document.querySelectorAll("canvas")) canvas.redraw();
}

function show({ canvas, caption }, variant, f, items) {
  const frame = state.frames[f];
  const error = variant.answers[f].error;
  canvas.redraw = () => draw(canvas, frame, items, variant);
  const tags = items.filter((item) => item.type === "tag").map((tag) => element("span", { className: "tag" }, tag.label));
  const review = items.filter((item) => item.review).length;
  caption.replaceChildren(
    ...title(frame), element("strong", {}, `${items.length - tags.length}`), ...tags,
    ...(review ? [element("span", { className: "note" }, `${review} to review`)] : []),
    ...(error === undefined ? [] : [element("span", { className: "error" }, error)]),
  );
}

/** What a frame is called: a task's by its number, as a link into CVAT, and by its file. */
function title(frame) {
  const file = element("span", {}, frame.name);
  return frame.url ? [element("a", { href: frame.url, target: "cvat" }, `frame ${frame.number}`), file] : [file];
}

/** As large as a frame's picture can be in its place. */
function canvasFor(frame) {
  const [height, width] = frame.hw;
  return element("canvas", { style: `--ratio: ${width / height}` });
}

/** Draw a frame and its items in the screen's own pixels, and lines and texts in the page's, however large the frame. */
function draw(canvas, frame, items, variant) {
  const { width, height } = canvas.getBoundingClientRect();
  if (!width) return;
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  const g = canvas.getContext("2d");
  g.imageSmoothingQuality = "high";
  g.drawImage(frame.image, 0, 0, canvas.width, canvas.height);
  g.scale(canvas.width / frame.hw[1], canvas.height / frame.hw[0]);
  const colours = Object.fromEntries(variant.labels.map((label) => [label.name, label.colour]));
  const unit = frame.hw[1] / width;
  const drawn = items.filter((item) => item.type !== "tag").reverse();
  for (const step of [drawItem, nameItem]) for (const item of drawn) step(g, item, colours[item.label] ?? "#888", unit);
}

function drawItem(g, item, colour, unit) {
  g.strokeStyle = g.fillStyle = colour;
  g.lineWidth = 2 * unit;
  if (item.type === "mask" && item.mask) {
    const [left, top, right, bottom] = item.mask.rle.slice(-4);
    g.globalAlpha = 0.45;
    g.drawImage(bitmap(item.mask, colour), left, top, right - left + 1, bottom - top + 1);
    g.globalAlpha = 1;
  }
  const outline = item.mask?.polygon ?? (item.type === "polygon" ? item.points : undefined);
  g.beginPath();
  if (outline) for (let i = 0; i < outline.length; i += 2) g.lineTo(outline[i], outline[i + 1]);
  else g.rect(item.box[0], item.box[1], item.box[2] - item.box[0], item.box[3] - item.box[1]);
  g.closePath();
  g.setLineDash(item.review ? [5 * unit, 3 * unit] : []);
  if (item.type !== "mask" || outline) g.stroke();
  g.setLineDash([]);
}

/** An item's label, above all masks: one of a surer item may lie where it stands. */
function nameItem(g, item, colour, unit) {
  const score = item.score === null ? "" : ` ${Math.floor(100 * item.score + 1e-9)}`;
  write(g, `${item.label}${score}`, item.box[0], item.box[1], colour, unit);
}

function write(g, text, x, y, colour, unit) {
  g.font = `${12 * unit}px system-ui, sans-serif`;
  const width = g.measureText(text).width + 6 * unit;
  const left = Math.max(Math.min(x, g.canvas.width / g.getTransform().a - width), 0);
  const top = Math.max(y - 16 * unit, 0);
  g.fillStyle = colour;
  g.fillRect(left, top, width, 16 * unit);
  g.fillStyle = "#fff";
  g.fillText(text, left + 3 * unit, top + 12 * unit);
}

/** A mask's pixels in its box, from CVAT's run lengths: zeros first, then left, top, right, bottom. */
function bitmap(mask, colour) {
  if (mask.bitmap?.colour === colour) return mask.bitmap.canvas;
  const [left, top, right, bottom] = mask.rle.slice(-4);
  const canvas = element("canvas", { width: right - left + 1, height: bottom - top + 1 });
  const g = canvas.getContext("2d");
  const pixels = g.createImageData(canvas.width, canvas.height);
  const rgb = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  let at = 0;
  mask.rle.slice(0, -4).forEach((run, i) => {
    if (i % 2) for (let p = at; p < at + run; p++) pixels.data.set([...rgb, 255], 4 * p);
    at += run;
  });
  g.putImageData(pixels, 0, 0);
  mask.bitmap = { colour, canvas };
  return canvas;
}

function enlarge(f) {
  const dialog = document.getElementById("large");
  const frame = state.frames[f];
  dialog.querySelector("h2").replaceChildren(...title(frame).flatMap((part) => [part, " "]));
  const shown = state.variants.filter((variant) => variant.shown);
  dialog.style.setProperty("--columns", shown.length);
  dialog.querySelector("div").replaceChildren(...shown.map((variant) => {
    const canvas = canvasFor(frame);
    canvas.redraw = () => draw(canvas, frame, answered(variant, f), variant);
    return element("figure", {}, canvas, element("figcaption", {}, variant.name));
  }));
  dialog.onclick = (event) => event.target === dialog && dialog.close(); // on what is around it: it has no padding
  if (!dialog.open) dialog.showModal();
  redraw();
  dialog.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step && !event.ctrlKey && !event.metaKey && !event.altKey && state.frames[f + step]) enlarge(f + step);
  };
}

/** Labels as labels.yaml takes them: JSON texts are YAML. */
function labelsYaml(labels) {
  return labels.map((label) => {
    const lines = [`- name: ${JSON.stringify(label.name)}`];
    if (label.marks) return `${lines[0]}\n  type: tag\n  marks: ${label.marks}\n`;
    lines.push(`type: ${label.type}`);
    if (label.prompts) lines.push(`prompts: ${JSON.stringify(label.prompts)}`);
    if (label.attributes?.length) lines.push(`attributes: ${JSON.stringify(label.attributes)}`);
    lines.push(`threshold: ${label.at}`);
    return lines.join("\n  ") + "\n";
  }).join("");
}

addEventListener("resize", redraw);
open();
